"""Folders that are not as they should be, and what is said of them; odd ones that will do."""

import shutil

import numpy as np
from PIL import Image

from tests.study.commands.harm import (
    bomb,
    image,
    link_folder_out,
    link_out,
    link_to_itself,
    link_to_nothing,
    listing,
    mask,
    pipe,
    remove,
    rewrite,
    second_file,
    transparent,
    turned,
    unreadable,
)

ALL = "\n".join(f"train_{i:02d}" for i in range(8))

BAD_FOLDERS = {
    "image missing": (
        remove("JPEGImages/train_03.jpg", "JPEGImages/val_01.jpg"),
        "JPEGImages must hold every listed image, 2 of 16 missing: train_03.jpg, val_01.jpg",
    ),
    "mask missing": (
        remove("SegmentationClass/val_00.png"),
        "SegmentationClass must hold a mask for every listed image, 1 of 16 missing: val_00.png",
    ),
    "folder of images missing": (
        lambda root: shutil.rmtree(root / "JPEGImages"),
        "16 of 16 missing: train_00.jpg, train_01.jpg, train_02.jpg",
    ),
    "list missing": (
        remove("ImageSets/Segmentation/train.txt"),
        "must hold train.txt with val.txt, test.txt or both, got test",
    ),
    "a folder instead of an image": (unreadable, "train_01.jpg is a folder"),
    "two files of one name": (second_file, "must hold one file a name, got val_00.jpg, val_00.png"),
    "mask of another size": (
        mask(lambda m: m[:8, :8]),
        "train_00.png must have the size of its image, got 8x8 against 4",
    ),
    "label too high": (
        mask(lambda m: np.full_like(m, 3)),
        "train_00.png must hold labels below 3 (the number of classes) or 255 for void, got 3",
    ),
    "class list too short": (
        rewrite("classes.txt", "background\nsquare\n"),
        "must hold labels below 2 (the number of classes)",
    ),
    "classes twice": (rewrite("classes.txt", "a\na\nb\n"), "classes.txt names a twice"),
    "empty class": (
        rewrite("classes.txt", "background\n\nstripe\n"),
        "classes.txt must name one class a line, got an empty name on line 2",
    ),
    "escape codes in a class": (
        rewrite("classes.txt", "background\na\x1b[2J\nb\n"),
        "at most 100 printable characters, one of them a letter or digit",
    ),
    "a class of dots": (rewrite("classes.txt", "background\n..\nb\n"), "got '..'"),
    "one class": (rewrite("classes.txt", "background\n"), "must name 2 to 254 classes, got 1"),
    "classes not text": (
        lambda root: (root / "classes.txt").write_bytes(b"\xff\xfe\x00"),
        "classes.txt must be a readable UTF-8 text file",
    ),
    "RGB mask": (
        mask(lambda m: np.stack([m] * 3, -1)),
        "train_00.png must hold class ids (a palette or 8-bit grey PNG), got an 8-bit RGB PNG",
    ),
    "16-bit mask": (
        mask(lambda m: m.astype(np.uint16)),
        "got a 16-bit grey PNG; write the ids 0, 1, ... as 8 bits, or python runs.py --convert",
    ),
    "mask of 4 grey bits": (
        mask(lambda m: Image.fromarray(m % 2 * 255).convert("1")),
        "got a 1-bit grey PNG",
    ),
    "JPEG as mask": (mask(lambda m: m, format="JPEG"), "got a grey JPEG; JPEG changes labels"),
    "truncated image": (
        image(lambda _, content: content[:200]),
        "train_00.jpg must be a readable image",
    ),
    "truncated mask": (
        lambda root: (root / "SegmentationClass/test_01.png").write_bytes(
            (root / "SegmentationClass/test_01.png").read_bytes()[:60]
        ),
        "test_01.png must be a readable image",
    ),
    "not an image": (
        image(lambda *_: b"<html>not found</html>"),
        "train_00.jpg must be a readable JPEG or PNG file, got something else, text that",
    ),
    "empty image": (
        image(lambda *_: b""),
        "train_00.jpg must be a readable JPEG or PNG file, got an empty file",
    ),
    "decompression bomb": (
        image(lambda *_: bomb(20_000)),
        "train_00.jpg must have at most 89478485 pixels, got more",
    ),
    "small bomb": (image(lambda *_: bomb(10_000)), "must have at most 89478485 pixels, got more"),
    "CMYK": (
        image(lambda picture, _: picture.convert("CMYK")),
        "train_00.jpg must be an 8-bit RGB or grey image, got a CMYK JPEG",
    ),
    "16-bit image": (
        image(lambda picture, _: Image.fromarray(np.full(picture.size[::-1], 40_000, np.uint16))),
        "train_00.png must be an 8-bit RGB or grey image, got a 16-bit grey PNG: most of",
    ),
    "transparent": (image(transparent), "train_00.png must be opaque, got transparent pixels"),
    "turned by EXIF": (image(turned), "train_00.jpg must be stored upright, got EXIF orientation"),
    "empty list": (listing(""), "train.txt must name at least 2 images, one a line, got an empty"),
    "list on one line": (
        listing(ALL.replace("\n", " ")),
        "got 1 line of 8 words; write one name a line",
    ),
    "list of one": (listing("val_00\n", "val"), "val.txt must name at least 2 images"),
    "two columns": (
        listing(ALL.replace("\n", " 1\n")),
        "the list has more than a name a line, 'train_00 1'; keep the image names alone",
    ),
    "twice in a list": (
        listing("train_00\ntrain_01\ntrain_00\n"),
        "train.txt names train_00 twice",
    ),
    "in two lists": (
        listing("train_00\nval_00\n"),
        "train.txt and val.txt must not share images, got 1 in both: val_00",
    ),
    "upwards": (listing("../secret\ntrain_01\n"), "plain image names without folders, got '../sec"),
    "absolute": (listing("/etc/passwd\ntrain_01\n"), "without folders, got '/etc/passwd'"),
    "a link to nothing": (
        link_to_nothing,
        "1 of 16 missing: train_00.jpg; train_00.jpg is a link to",
    ),
    "a link to itself": (link_to_itself, "train_00.jpg is a link to"),
    "a pipe as a list": (
        pipe("ImageSets/Segmentation/val.txt"),
        "val.txt must be a plain file, got a pipe",
    ),
    "a pipe as classes": (pipe("classes.txt"), "classes.txt must be a plain file, got a pipe"),
    "a pipe as groups": (pipe("groups.txt"), "groups.txt must be a plain file, got a pipe"),
    "a pipe as an image": (pipe("JPEGImages/train_00.jpg"), "train_00.jpg is a pipe"),
    "groups missing": (
        rewrite("groups.txt", "train_00 g\n"),
        "groups.txt must give every listed image a group, 15 have none: train_01",
    ),
    "group twice": (rewrite("groups.txt", "train_00 g\ntrain_00 h\n"), "names train_00 twice"),
    "group without name": (
        rewrite("groups.txt", "train_00\n"),
        "groups.txt must hold '<name> <group>' a line, got 'train_00' on line",
    ),
    "one training group": (
        lambda root: (
            remove("ImageSets/Segmentation/test.txt")(root),
            rewrite(
                "groups.txt", "".join(f"{p.stem} g\n" for p in (root / "JPEGImages").iterdir())
            )(root),
        ),
        "groups.txt must give the training images at least 2 groups",
    ),
    "test all void": (
        lambda root: [
            mask(lambda m: np.full_like(m, 255), f"test_{i:02d}.png")(root) for i in range(4)
        ],
        "the test masks of tiny must show a class, got only void (255)",
    ),
    "dev all void": (
        lambda root: [
            mask(lambda m: np.full_like(m, 255), f"val_{i:02d}.png")(root) for i in range(4)
        ],
        "the dev masks of tiny must show a class, got only void (255)",
    ),
    "0 and 255": (
        lambda root: [
            mask(lambda m: np.where(m > 0, 255, 0).astype(np.uint8), p.name)(root)
            for p in (root / "SegmentationClass").iterdir()
        ],
        "must show at least 2 classes, got only background; 8 of 8 are 0/255 masks, e.g. train_00",
    ),
}

GOOD = {
    "grey image": image(lambda picture, _: picture.convert("L")),
    "opaque alpha": image(lambda picture, _: (picture.putalpha(255), picture)[1]),
    "grey mask": mask(lambda m: m),
    "upper-case suffix": lambda root: (root / "JPEGImages/train_00.jpg").rename(
        root / "JPEGImages/train_00.JPG"
    ),
    "windows lines": listing(ALL.replace("\n", "\r\n") + "\r\n\r\n"),
    "a space in a name": lambda root: (
        (root / "JPEGImages/train_00.jpg").rename(root / "JPEGImages/my image.jpg"),
        (root / "SegmentationClass/train_00.png").rename(root / "SegmentationClass/my image.png"),
        listing(ALL.replace("train_00", "my image"))(root),
    ),
    "with suffix": listing(ALL.replace("\n", ".jpg\n")),
    "no classes.txt": remove("classes.txt"),
    "a link": link_out,  # data sets are often made of links
    "a folder that is a link": link_folder_out,
}
