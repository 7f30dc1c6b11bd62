"""What is done to the lists and names of a good folder: what is read all the same, what is not."""

import os
import shutil

TRAIN = [f"train_{i:02d}" for i in range(8)]
LISTS = "ImageSets/Segmentation"


def lines(form, name="train", names=TRAIN):
    def write(root):
        text = "".join(form.format(n) + "\n" for n in names)
        (root / LISTS / f"{name}.txt").write_text(text)

    return write


def content(data, name="train.txt"):
    return lambda root: (root / LISTS / name).write_bytes(data)


def rename(old, new):
    return lambda root: (root / old).rename(root / new)


def every(folder, change):
    """Each file of a folder renamed by `change`."""

    def rename(root):
        for path in sorted((root / folder).iterdir()):
            path.rename(path.with_name(change(path.name)))

    return rename


def both(*steps):
    return lambda root: [step(root) for step in steps] and None


JOINED = "\n".join(TRAIN)
READ = {
    "as it is": both(),
    "suffixes": lines("{}.jpg"),
    "suffixes in capitals": lines("{}.PNG"),
    "paths": lines("JPEGImages/{}.jpg"),
    "pairs of VOC's own lists": lines("JPEGImages/{0}.jpg SegmentationClass/{0}.png"),
    "pairs with a slash": lines("/JPEGImages/{0}.jpg /SegmentationClass/{0}.png"),
    "pairs elsewhere, by tabs": lines("/a/b/JPEGImages/{0}.jpg\t/a/b/SegmentationClass/{0}.png"),
    "windows lines": content(JOINED.replace("\n", "\r\n").encode()),
    "old mac lines": content(JOINED.replace("\n", "\r").encode()),
    "a mark of UTF-8": content(JOINED.encode("utf-8-sig")),
    "UTF-16": content(JOINED.encode("utf-16")),
    "UTF-16, other way": content(b"\xfe\xff" + JOINED.encode("utf-16-be")),
    "blank lines and spaces": content(b"\n" + JOINED.replace("\n", "  \n\n").encode() + b"\n \n"),
    "capital suffix": every("JPEGImages", lambda n: n.replace(".jpg", ".JPG")),
    "hidden second suffix of images": every("JPEGImages", lambda n: f"{n}.png"),
    "masks named after images": every("SegmentationClass", lambda n: n[:-4] + ".jpg.png"),
    "masks with .png twice": every("SegmentationClass", lambda n: f"{n}.PNG"),
    "masks named after .bmp": both(
        every("SegmentationClass", lambda n: n[:-4] + ".bmp.png"), lines("{}.jpg")
    ),
}

REFUSED = {
    "all empty": (
        both(content(b"", "val.txt"), content(b"", "test.txt")),
        "val.txt must name at least 2 images, one a line, got an empty list; write the images to "
        "test on into it",
    ),
    "nothing to train on": (content(b"\n"), "got an empty list; write the images to train on into"),
    "one image": (
        content(b"train_00\n"),
        "at least 2 images, one a line, got 1: train_00; move others there",
    ),
    "one line": (content(b"a, b, c, d"), "got 1 line of 4 words; write one name a line"),
    "latin letters": (
        content("train_00\ntrainé\n".encode("latin-1")),
        "train.txt must be a readable UTF-8 text file, got byte 0xe9 on line 2; save it as UTF-8",
    ),
    "UTF-16 without its mark": (content(JOINED.encode("utf-16-le")), "got bytes 0, as in UTF-16"),
    "UTF-32": (content(JOINED.encode("utf-32")), "train.txt must be a readable UTF-8 text file"),
    "other folders": (
        lines("images/{0}.jpg masks/{0}.png"),
        "must hold plain image names without folders, got 'images/train_00.jpg masks/train_00.png' "
        "on line 1; write <name>, or JPEGImages/<name>.jpg",
    ),
    "masks from elsewhere": (
        lines("JPEGImages/{0}.jpg SegmentationClassAug/{0}.png"),
        "without folders, got 'JPEGImages/train_00.jpg SegmentationClassAug/train_00.png'",
    ),
    "a pair of two images": (
        lines("JPEGImages/{0}.jpg SegmentationClass/val_00.png"),
        "without folders, got",
    ),
    "upwards": (lines("../JPEGImages/{0}.jpg"), "without folders, got '../JPEG"),
    "scores": (
        lines("{} -1"),
        "8 of 16 missing: train_00 -1.jpg, train_01 -1.jpg, train_02 -1.jpg; the list has more "
        "than a name a line, 'train_00 -1'; keep the image names alone",
    ),
    "columns": (lines("{0}.jpg,{0}.png,3"), "the list has more than a name a line, 'train_00.j"),
    "a comment": (
        content(f"# mine\n{JOINED}".encode()),
        "1 of 17 missing: # mine.jpg; '# mine' stands in a list: take comments out",
    ),
    "one name with two suffixes": (
        content(b"train_00.jpg\ntrain_00.png\n"),
        "train.txt names train_00 twice; each image may stand once",
    ),
    "in two lists, with and without suffix": (
        lines("{}.jpg", "val"),
        "train.txt and val.txt must not share images, got 8 in both: train_00",
    ),
    "two names of one image": (
        both(content(b"train_00\ntrain_00.tif\n")),
        "train_00.jpg must belong to one listed image, got train_00 and train_00.tif",
    ),
    "two suffixes": (
        both(
            lambda root: (root / "JPEGImages/train_00.jpg").rename(
                root / "JPEGImages/train_00.jpg.jpg"
            ),
            lambda root: (root / "JPEGImages/train_00.png.jpg").write_bytes(b""),
        ),
        "must hold one file a name, got train_00.jpg.jpg, train_00.png.jpg; keep the right one",
    ),
    "images as .bmp": (
        every("JPEGImages", lambda n: n[:-3] + "bmp"),
        "missing: train_00.jpg, train_01.jpg, train_02.jpg; found train_00.bmp: images are read as "
        ".jpg or .png; save them so, or python runs.py --convert ",
    ),
    "images as .TIF": (every("JPEGImages", lambda n: n[:-3] + "TIF"), "found train_00.TIF: images"),
    "images as .webp": (every("JPEGImages", lambda n: n[:-3] + "webp"), "found train_00.webp: im"),
    "masks as .jpg": (
        every("SegmentationClass", lambda n: n[:-3] + "jpg"),
        "found train_00.jpg: a mask must be a PNG, JPEG changes labels; make the masks again",
    ),
    "masks as .tiff": (
        every("SegmentationClass", lambda n: n[:-3] + "tiff"),
        "found train_00.tiff: masks are read as .png; save them so, or python runs.py --convert ",
    ),
    "masks with _mask": (
        every("SegmentationClass", lambda n: n[:-4] + "_mask.png"),
        "found train_00_mask.png: files must have the listed names; rename them, or correct the ",
    ),
    "masks with gt-": (every("SegmentationClass", lambda n: f"gt-{n}"), "found gt-train_00.png: "),
    "masks with more words": (
        every("SegmentationClass", lambda n: n[:-4] + ".jpg.mask.png"),
        "found train_00.jpg.mask.png: files must have the listed names; rename it, or correct",
    ),
    "a list of masks": (
        lines("{}_mask"),
        "found train_00.jpg: files must have the listed names; rename them, or correct the list",
    ),
    "a name too many": (
        lines("{}", names=[*TRAIN, "train_99"]),
        "1 of 17 missing: train_99.jpg; the others are there; add what is missing, or take it out",
    ),
    "images as .jfif": (every("JPEGImages", lambda n: n[:-3] + "jfif"), "found train_00.jfif: im"),
    "packed images": (
        every("JPEGImages", lambda n: f"{n}.gz"),
        "found train_00.jpg.gz: images are",
    ),
    "no suffix": (every("JPEGImages", lambda n: n[:-4]), "found train_00: images are read as .jpg"),
    "arrays": (
        every("SegmentationClass", lambda n: n[:-3] + "npy"),
        "found train_00.npy: masks are",
    ),
    "a space behind": (
        every("JPEGImages", lambda n: n[:-4] + " .jpg"),
        "found train_00 .jpg: capi",
    ),
    "other names": (
        every("SegmentationClass", lambda n: "m" + n[3:]),
        "found m_00.png, m_01.png, m_02.png, ...; correct the lists, or python runs.py --convert",
    ),
    "control codes": (
        every("JPEGImages", lambda n: f"\x1b[2J-{n}"),
        "'\\x1b[2J-train_00.jpg'",
    ),
    "capital letters": (
        every("JPEGImages", lambda n: n.title().replace(".Jpg", ".jpg")),
        "found Train_00.jpg: capitals, spaces or signs differ; rename it, or correct the list",
    ),
    "in folders": (
        lambda root: (
            (root / "SegmentationClass").rename(root / "train"),
            (root / "SegmentationClass").mkdir(),
            (root / "train").rename(root / "SegmentationClass/train"),
        ),
        "found folders train; move the files out of them, or python runs.py --convert",
    ),
    "an empty folder": (
        lambda root: [p.unlink() for p in (root / "JPEGImages").iterdir()],
        "train_02.jpg; it is empty",
    ),
    "another folder of masks": (
        rename("SegmentationClass", "SegmentationClassPNG"),
        "there is no folder SegmentationClass, only ImageSets, JPEGImages, SegmentationClassPNG; ",
    ),
    "an endless image": (
        lambda root: (
            (root / "JPEGImages/train_00.jpg").unlink(),
            (root / "JPEGImages/train_00.jpg").symlink_to("/dev/zero"),
        ),
        "1 of 16 missing: train_00.jpg; train_00.jpg is a device",
    ),
    "a pipe for a folder": (
        lambda root: (shutil.rmtree(root / "JPEGImages"), os.mkfifo(root / "JPEGImages")),
        "JPEGImages is a pipe",
    ),
    "a pipe for the lists": (
        lambda root: (shutil.rmtree(root / LISTS), os.mkfifo(root / LISTS)),
        "must hold train.txt with val.txt, test.txt or both, got a pipe of that name",
    ),
    "a name in other bytes": (
        lambda root: os.rename(
            root / "JPEGImages/train_00.jpg", os.fsencode(root) + b"/JPEGImages/\xe9.jpg"
        ),
        "found '\\udce9.jpg': its name is not in UTF-8; rename it",
    ),
    "list.txt.txt": (
        both(rename(f"{LISTS}/train.txt", f"{LISTS}/train.txt.txt")),
        "got test.txt, train.txt.txt, val.txt; rename train.txt.txt to train.txt",
    ),
    "other words": (
        both(
            rename(f"{LISTS}/val.txt", f"{LISTS}/Validation.txt"),
            rename(f"{LISTS}/train.txt", f"{LISTS}/training"),
        ),
        "got Validation.txt, test.txt, training; rename Validation.txt to val.txt, training to ",
    ),
    "a list in capitals beside two others": (
        rename(f"{LISTS}/test.txt", f"{LISTS}/Test.txt"),
        "must call its lists train, val and test.txt; rename Test.txt to test.txt",
    ),
    "validation.txt beside two others": (
        rename(f"{LISTS}/val.txt", f"{LISTS}/validation.txt"),
        "must call its lists train, val and test.txt; rename validation.txt to val.txt",
    ),
    "lists of detection": (
        rename(LISTS, "ImageSets/Main"),
        "got nothing; test.txt, train.txt, val.txt lie in ImageSets/Main: copy them there",
    ),
    "no lists": (
        lambda root: [p.unlink() for p in (root / LISTS).iterdir()],
        "must hold train.txt with val.txt, test.txt or both, got nothing; write them, one image a",
    ),
}
