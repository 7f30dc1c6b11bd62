"""Sources that are ambiguous or damaged, each with the line that refuses it."""

import os

import numpy as np
from PIL import Image

from tests.seglib.data.convert import made
from tests.seglib.data.convert.bad_pictures import (
    cmyk,
    damaged,
    mask,
    not_a_picture,
    pages,
    sixteen_bit_grey,
    sixteen_bit_image,
    transparent_image,
    transparent_mask,
    upside_down,
)

NAMES = {"classes.txt": "background\nsquare\nstripe\n"}

SQUARE = {"category_id": 3, "segmentation": [made.box(1, 1, 5, 5)]}


def two_masks(root):
    made.pairs(root, mask="masks/{i:03d}_mask.png")
    made.save(made.scene(3)[1], root / "masks/003_gt.png")


def two_images(root):
    made.save(made.scene(3)[0], made.pairs(root) / "images/003.png")


def missing_mask(root):
    (made.pairs(root) / "masks/003.png").unlink()


def missing_image(root):
    (made.pairs(root) / "images/003.jpg").unlink()


def other_size(root):
    mask(made.pairs(root), made.scene(3)[1][:-1])


def unknown_colour(root):
    made.pairs(root, change=made.coloured)
    (root / "class_dict.csv").write_text("name,r,g,b\nbackground,0,0,0\nsquare,128,0,0\n")


def colours_without_table(root):
    made.pairs(root, change=made.coloured)


def jpeg_masks(root):
    made.pairs(root, mask="masks/{i:03d}.jpg")


def once_jpeg(root):
    import io

    def through(labels):
        buffer = io.BytesIO()
        Image.fromarray(made.coloured(labels)).save(buffer, "JPEG", quality=60)
        return np.asarray(Image.open(buffer))

    made.pairs(root, change=through)


def probabilities(root):
    """A map of 0 to 199: no 200 classes."""
    made.pairs(root, change=lambda m: (np.arange(m.size) % 200).reshape(m.shape).astype(np.uint8))


def some_binary(root):
    mask(
        made.pairs(root, change=lambda m: (m == 1).astype(np.uint8)), made.binary(made.scene(3)[1])
    )


def spread_greys(root):
    made.pairs(root, change=lambda m: m * 100)


def one_value(root):
    made.pairs(root, change=np.zeros_like)


def value_without_name(root):
    (made.pairs(root) / "classes.txt").write_text("background\nsquare\n")


def binary_of_three_names(root):
    (made.pairs(root, change=made.binary) / "classes.txt").write_text("a\nb\nc\n")


def palettes_disagree(root):
    made.pairs(root)
    for i in range(10):
        labels = made.scene(i)[1]
        made.as_palette(labels, root / f"masks/{i:03d}.png")
    turned = Image.fromarray(labels)
    turned.putpalette([0, 0, 0, 0, 128, 0, 128, 0, 0])
    turned.save(root / "masks/005.png")


def two_tables(root):
    made.pairs(root)
    (root / "classes.txt").write_text("background\nsquare\nstripe\n")
    (root / "labels.txt").write_text("background\nstripe\nsquare\n")


def two_formats(root):
    made.coco(root, {i: [] for i in range(9)} | {9: [SQUARE]})
    made.pairs(root)


def both_mask_folders(root):
    made.voc(root)
    made.voc(root, masks="SegmentationClassPNG")


def no_images(root):
    made.voc(root)
    for path in (root / "JPEGImages").iterdir():
        path.unlink()


def nothing(root):
    root.mkdir()
    (root / "notes.txt").write_text("hello")


def raw_labelme(root):
    made.save(made.scene(0)[0], root / "a.jpg")
    made.write_json({"shapes": [], "imagePath": "a.jpg"}, root / "a.json")


def pipe(root):
    made.pairs(root)
    (root / "images/003.jpg").unlink()
    os.mkfifo(root / "images/003.jpg")


def dangling(root):
    made.pairs(root)
    (root / "images/003.jpg").unlink()
    (root / "images/003.jpg").symlink_to("/nowhere/x.jpg")


def loop(root):
    (made.pairs(root) / "images/again").symlink_to(root)


def list_of_others(root):
    made.voc(root, lists={"train": range(6), "val": range(6, 12)}, files=NAMES)


def in_two_lists(root):
    made.voc(root, lists={"train": range(7), "test": range(6, 10)}, files=NAMES)


def empty_list(root):
    made.voc(root, lists={"train": range(6), "val": range(6, 10), "test": range(0)}, files=NAMES)


def one_test_image(root):
    made.voc(root, lists={"train": range(7), "test": range(8, 9)}, files=NAMES)


def few_images(root):
    made.pairs(root, n=3)


def too_many_classes(root):
    (made.pairs(root) / "classes.txt").write_text("".join(f"c{i}\n" for i in range(300)))


CASES = {
    two_masks: "003.jpg must have one mask, got .*003_gt.png and 003_mask.png; keep one",
    two_images: "must hold one image a name, got 003.jpg and 003.png; keep one",
    missing_mask: "must have a mask of its name .*got 1 of 10 without: images/003.jpg; add them",
    missing_image: "got 1 of 10 masks without an image: masks/003.png",
    other_size: "003.jpg must have the size of its mask, got 56x40 against 56x39",
    unknown_colour: "000.png must hold the 2 colours of .*class_dict.csv, got others: 0 128 0; "
    "give --labels FILE with a line 'r g b name'",
    colours_without_table: "RGB mask and there is no table of its colours .0 0 0, 0 128 0, 128 0 0",
    jpeg_masks: "000.jpg must be a mask saved without loss, got a JPEG",
    once_jpeg: "must be a mask of classes, got .* different colours, as in a photograph or after",
    probabilities: "000.png must be a mask of classes, got 200 different values, as after JPEG or",
    some_binary: "003.png must hold the values that other masks hold, got 0 and 255 against 0, 1",
    spread_greys: "masks of the values 0, 100, 200 and no table of labels; give --labels FILE with",
    one_value: "got masks of the values 0 and no table",
    value_without_name: "000.png must hold the values of .*classes.txt .0, 1, 255., got 2; give",
    binary_of_three_names: "got masks of 0 and 255 alone; give --labels",
    palettes_disagree: "the palettes number the classes differently; give --labels FILE with",
    two_tables: "classes.txt and .*labels.txt must agree on the classes, got .*choose one: --lab",
    two_formats: "got coco-instances and pairs; choose one: --format NAME",
    both_mask_folders: "SegmentationClassPNG and SegmentationClass must hold .* got both; leave",
    no_images: "JPEGImages must hold the images, got none; export once more with the images",
    nothing: "must hold one of the formats .*, got none of them .files: .txt.; docs/convert.md",
    raw_labelme: "labelme's JSON files must be exported first",
    pipe: "003.jpg must be a plain file, got a pipe; remove it",
    dangling: "003.jpg must be a plain file, got a link to '.*', which cannot be followed; remove",
    loop: "images/again must not lead back to a folder above it; remove the link",
    transparent_mask: "003.png must be opaque, got transparent pixels",
    sixteen_bit_image: "003.png must have 8 bits a channel, got 16; convert it to 8-bit RGB",
    sixteen_bit_grey: "003.png must be an 8-bit RGB or grey image, got mode I;16",
    cmyk: "003.jpg must be an 8-bit RGB or grey image, got mode CMYK; convert it",
    transparent_image: "003.png must be opaque, got transparent pixels",
    pages: "003.tif must hold one picture, got 2 pages",
    damaged: "003.jpg must be a readable picture: .*; save it again",
    not_a_picture: "003.png must be a picture .*, got something else, text that begins 'mask'",
    upside_down: "003.jpg must be stored upright, got EXIF orientation 3 and a mask whose size",
    list_of_others: "val.txt must name images of the source, got '010'; mend the list",
    in_two_lists: "train.txt and test.txt must not share images, got 006 in both",
    empty_list: "test.txt must name images, one a line, got an empty list; fill it",
    one_test_image: "test must have at least 2 images, got 1 of 8",
    few_images: "must have at least 2 images, got 1 of 3; add images",
    too_many_classes: "must name 2 to 254 classes, got 300",
}
