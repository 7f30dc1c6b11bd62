"""Every kind of image and mask: read rightly, to the value, or refused by name (docs/data.md)."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from seglib.data import pictures
from seglib.data.pictures import as_labels, as_rgb, open_picture, what_it_is
from seglib.data.plain import DataError, read_plain

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by PNG's colour type


def chunk(kind, data):
    crc = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + crc


def png(bits, colours, row, *extra):
    """A PNG of one row, its bytes given."""
    n_pixels = len(row) * 8 // (bits * CHANNELS[colours])
    header = struct.pack(">IIBB", n_pixels, 1, bits, colours)
    body = (
        chunk(b"IHDR", header + b"\0\0\0"),
        *extra,
        chunk(b"IDAT", zlib.compress(b"\0" + row)),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(body) + chunk(b"IEND", b"")


def jpeg(mode="RGB", format="JPEG", **options):
    buffer = io.BytesIO()
    Image.new(mode, (8, 8), 100 if mode == "L" else 0).save(buffer, format, **options)
    return buffer.getvalue()


def patched(content, mark, offset, value):
    content = bytearray(content)
    content[content.index(mark) + offset] = value
    return bytes(content)


PALETTE = chunk(b"PLTE", bytes([1, 2, 3, 40, 50, 60]))
CLEAR = "must be opaque, got transparent pixels"
# content -> the first pixels as an image, and as a mask; or what the refusal says
KINDS = {
    "grey, 1 bit": (png(1, 0, b"\xa5"), [255, 0, 255], "got a 1-bit grey PNG"),
    "grey, 2 bits": (png(2, 0, b"\x1b"), [0, 85, 170, 255], "got a 2-bit grey PNG"),
    "grey, 4 bits": (png(4, 0, b"\x0f"), [0, 255], "got a 4-bit grey PNG"),
    "grey": (png(8, 0, b"\x00\x80"), [0, 128], [0, 128]),
    "grey, 16 bits": (png(16, 0, b"\x0f\xff" * 2), "got a 16-bit grey PNG: most", "a 16-bit grey"),
    "RGB": (png(8, 2, b"\1\2\3\4\5\6"), [(1, 2, 3), (4, 5, 6)], "got an 8-bit RGB PNG"),
    "RGB, 16 bits": (png(16, 2, bytes(12)), "got a 16-bit RGB PNG: most", "got a 16-bit RGB PNG"),
    "palette": (png(8, 3, b"\0\1", PALETTE), [(1, 2, 3), (40, 50, 60)], [0, 1]),
    "palette, 1 bit": (png(1, 3, b"\x50", PALETTE), [(1, 2, 3), (40, 50, 60)], [0, 1, 0, 1]),
    "palette, 4 bits": (png(4, 3, b"\x10", PALETTE), [(40, 50, 60), (1, 2, 3)], [1, 0]),
    "value without colour": (png(8, 3, b"\0\7", PALETTE), "must have a colour for each", [0, 7]),
    "transparent colour": (png(8, 3, b"\0\1", PALETTE, chunk(b"tRNS", b"\xff\0")), CLEAR, [0, 1]),
    "transparent colour unused": (
        png(8, 3, b"\1\1", PALETTE, chunk(b"tRNS", b"\0\xff")),
        [(40, 50, 60)],
        [1, 1],
    ),
    "grey+alpha": (png(8, 4, b"\1\xff\2\xff"), [1, 2], "got an 8-bit grey+alpha PNG"),
    "grey+alpha, clear": (png(8, 4, b"\1\xff\2\0"), CLEAR, "got an 8-bit grey+alpha PNG"),
    "grey+alpha, 16 bits": (png(16, 4, b"\1\1\xff\xff"), "16-bit grey+alpha PNG: most", "16-bit g"),
    "RGBA": (png(8, 6, b"\1\2\3\xff"), [(1, 2, 3)], "got an 8-bit RGBA PNG"),
    "RGBA, clear": (png(8, 6, b"\1\2\3\xfe"), CLEAR, "got an 8-bit RGBA PNG"),
    "RGBA, 16 bits": (png(16, 6, b"\xff" * 8), "got a 16-bit RGBA PNG: most", "a 16-bit RGBA PNG"),
    "clear grey": (png(8, 0, b"\0\x80", chunk(b"tRNS", b"\0\x80")), CLEAR, [0, 128]),
    "clear grey unused": (png(8, 0, b"\0\x80", chunk(b"tRNS", b"\0\x81")), [0, 128], [0, 128]),
    "clear grey, 4 bits": (png(4, 0, b"\x0f", chunk(b"tRNS", b"\0\x0f")), CLEAR, "4-bit grey PNG"),
    "clear grey, 1 bit": (png(1, 0, b"\xa5", chunk(b"tRNS", b"\0\1")), CLEAR, "a 1-bit grey PNG"),
    "clear RGB": (png(8, 2, b"\1\2\3", chunk(b"tRNS", b"\0\1\0\2\0\3")), CLEAR, "8-bit RGB PNG"),
    "of an iPhone": (
        (plain := png(8, 6, b"\1\2\3\xff"))[:8] + chunk(b"CgBI", b"\x50\0\x20\2") + plain[8:],
        "must begin with its header, got an iOS",
        "must begin with its header",
    ),
    "animation": (
        jpeg(format="PNG", save_all=True, append_images=[Image.new("RGB", (8, 8), "red")]),
        "must be one picture, got an animation",
        "got an animation",
    ),
    "grey JPEG": (jpeg("L"), [100, 100], "got a grey JPEG; JPEG changes labels"),
    "JPEG": (jpeg(), [0, 0], "got an RGB JPEG; JPEG changes labels"),
    "two pictures of a camera": (
        jpeg(format="MPO", save_all=True, append_images=[Image.new("RGB", (8, 8), "red")]),
        [0, 0],
        "got an RGB JPEG",
    ),
    "CMYK": (jpeg("CMYK"), "got a CMYK JPEG; convert it to RGB", "got a CMYK JPEG"),
    "YCCK": (patched(jpeg("CMYK"), b"Adobe", 11, 2), "got a CMYK JPEG", "got a CMYK JPEG"),
    "12-bit JPEG": (
        patched(jpeg(), b"\xff\xc0", 4, 12),
        "got a JPEG of 12 bits a channel",
        "12 bits",
    ),
    "turned": (
        jpeg(exif=b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"),
        "must be stored upright, got EXIF orientation 6",
        "EXIF orientation 6",
    ),
    "cut": (jpeg()[:200], "must be a readable image: ", "must be a readable image: "),
    "empty": (b"", "got an empty file", "got an empty file"),
}


@pytest.mark.parametrize("content, image, mask", KINDS.values(), ids=KINDS)
def test_each_kind_is_read_rightly_or_refused(tmp_path, content, image, mask):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    for read, wanted in ((as_rgb, image), (as_labels, mask)):
        if isinstance(wanted, str):
            with pytest.raises(DataError) as caught:
                read(open_picture(path), path)
            assert str(caught.value).startswith(f"{path} must") and wanted in str(caught.value)
            continue
        found = np.asarray(read(open_picture(path), path))[0, : len(wanted)].tolist()
        if read is as_rgb:
            wanted = [[v] * 3 if isinstance(v, int) else list(v) for v in wanted]
        assert found == wanted


OTHERS = {
    "BMP": ("a BMP", "--convert"),
    "TIFF": ("a TIFF", "--convert"),
    "GIF": ("a GIF", "--convert"),
    "WEBP": ("a WebP", "--convert"),
    "JPEG2000": ("a JPEG 2000", "PNG"),
    "AVIF": ("AVIF", "PNG"),
}


@pytest.mark.parametrize("format", OTHERS)
def test_other_formats_under_a_name_that_is_read(tmp_path, format):
    (tmp_path / "a.jpg").write_bytes(jpeg(format=format))
    with pytest.raises(DataError, match="must be a readable JPEG or PNG file, got ") as caught:
        open_picture(tmp_path / "a.jpg")
    assert all(part in str(caught.value) for part in OTHERS[format])


def test_files_that_are_no_pictures_are_named():
    for content, what in (
        (b"<html>\n404", "text that begins '<html>'"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        (b"\x93NUMPY\1\0", "a NumPy array"),
        (b"PK\3\4", "a zip archive"),
        (b"MM\0*\0\0", "a TIFF"),
        (bytes(range(200, 256)), "something else"),
        (b"\xff\xd8\xff\xc4\0\0" * 9, "a damaged JPEG"),
        (b"\x89PNG\r\n", "a damaged PNG"),
    ):
        assert what in what_it_is(content)[0]


def test_size_is_asked_before_reading(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    with path.open("wb") as file:
        file.truncate(10 * 2**30)  # takes no room
    with pytest.raises(DataError, match="must have at most 537 MB, got 10737 MB"):
        open_picture(path)
    monkeypatch.setattr(pictures.Image, "MAX_IMAGE_PIXELS", 63)
    path.write_bytes(jpeg())
    with pytest.raises(DataError, match="must have at most 63 pixels, got more"):
        open_picture(path)


ODD = {
    "pipe": (lambda path: os.mkfifo(path), "got a pipe"),
    "endless": (lambda path: path.symlink_to("/dev/zero"), "got a device"),
    "terminal": (lambda path: path.symlink_to("/dev/tty"), "got a device"),
    "folder": (lambda path: path.mkdir(), "got a folder"),
    "link to a pipe": (
        lambda path: (os.mkfifo(f"{path}.pipe"), path.symlink_to(f"{path}.pipe")),
        "got a pipe",
    ),
    "link to itself": (lambda path: path.symlink_to(path), "got a link to"),
    "nothing": (lambda path: None, "got no such file or directory"),
    "of the kernel": (lambda path: path.symlink_to("/proc/self/status"), "does not grow"),
}


@pytest.mark.parametrize("make, message", ODD.values(), ids=ODD)
def test_what_is_no_plain_file_is_never_waited_for(tmp_path, make, message):
    make(tmp_path / "a")
    with pytest.raises(DataError, match=message):
        read_plain(tmp_path / "a", limit=1000)


def test_a_link_to_a_plain_file_is_followed(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert read_plain(tmp_path / "b", limit=5) == b"12345"
    with pytest.raises(DataError, match="must have at most 0 MB"):
        read_plain(tmp_path / "b", limit=4)
