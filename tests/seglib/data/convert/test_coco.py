"""COCO: polygons and runs as pycocotools has them, what lies on top, what is void; bad files."""

import json
import sys

import numpy as np
import pytest
from pycocotools import mask as coder

from seglib.data import DataError
from seglib.data.convert import convert
from seglib.data.convert.outlines import uncompressed
from tests.seglib.data.convert import made

SQUARE, STRIPE = 3, 7  # ids in the file; labels 1 and 2
BIG = {"category_id": STRIPE, "segmentation": [made.box(2, 2, 20, 16)]}
SMALL = {"category_id": SQUARE, "segmentation": [made.box(5, 4, 6, 6)]}
REST = {i: [] for i in range(1, 10)}


def converted(tmp_path, annotations, **more):
    done = convert(made.coco(tmp_path / "s", {0: annotations} | REST, **more), tmp_path / "new")
    return made.labels_of(tmp_path / "new", "000"), done


def expected(*parts, size=(20, 30)):
    """(label, rows, columns) painted one over the other."""
    mask = np.zeros(size, np.uint8)
    for label, rows, columns in parts:
        mask[slice(*rows), slice(*columns)] = label
    return mask


@pytest.mark.parametrize("order", [(BIG, SMALL), (SMALL, BIG)])
def test_the_smaller_is_on_top_in_any_order(tmp_path, order):
    labels, done = converted(tmp_path, list(order))
    assert done.classes == ("background", "square", "stripe")
    assert np.array_equal(labels, expected((2, (2, 18), (2, 22)), (1, (4, 10), (5, 11))))
    assert any("overlap on 36 pixels (0.60%): the smaller" in line for line in done.lines)
    assert "9 images have no annotation: all background" in done.lines


def test_overlaps_of_one_class_are_none(tmp_path):
    labels, done = converted(tmp_path, [BIG, {**SMALL, "category_id": STRIPE}])
    assert np.array_equal(labels, expected((2, (2, 18), (2, 22))))
    assert not any("overlap" in line for line in done.lines)


def test_crowds_are_void_but_under_what_is_told_apart(tmp_path):
    crowd = {"iscrowd": 1, "category_id": SQUARE}
    crowd["segmentation"] = {"size": [20, 30], "counts": [0, 200, 400]}  # ten columns
    labels, done = converted(tmp_path, [SMALL, crowd])
    assert np.array_equal(labels, expected((255, (0, 20), (0, 10)), (1, (4, 10), (5, 11))))
    assert not any("overlap" in line for line in done.lines)


@pytest.mark.parametrize("seed", range(6))
def test_runs_are_those_of_pycocotools(tmp_path, seed):
    rng = np.random.default_rng(seed)
    mask = np.asfortranarray(rng.random((20, 30)) < (0.02, 0.5, 0.9, 0, 1, 0.3)[seed])
    packed = coder.encode(mask.astype(np.uint8))
    text = {"size": packed["size"], "counts": packed["counts"].decode()}
    assert sum(uncompressed(text["counts"])) == 600
    for kind, shape in {
        "text": text,
        "numbers": {"size": [20, 30], "counts": uncompressed(text["counts"])},
    }.items():
        labels, _ = converted(tmp_path / kind, [{"category_id": SQUARE, "segmentation": shape}])
        assert np.array_equal(labels == 1, mask)


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # of pycocotools' decode
def test_polygons_are_those_of_pycocotools(tmp_path):
    rng = np.random.default_rng(0)
    polygons = [(rng.random(10) * 18).tolist() for _ in range(3)]
    labels, _ = converted(tmp_path, [{"category_id": SQUARE, "segmentation": polygons}])
    merged = coder.merge(coder.frPyObjects(polygons, 20, 30))
    assert np.array_equal(labels == 1, coder.decode(merged)) and labels.any()


def test_a_line_of_two_points_is_no_box(tmp_path):
    """pycocotools would fill a box of 4 numbers."""
    line = {"category_id": SQUARE, "segmentation": [[2, 2, 9, 9]]}
    labels, done = converted(tmp_path, [line, BIG])
    assert np.array_equal(labels, expected((2, (2, 18), (2, 22))))
    assert "1 polygons of fewer than 3 points were left out" in done.lines


def test_background_as_a_category_is_the_background(tmp_path):
    kinds = ((0, "stripe"), (3, "Background"), (7, "square"))
    labels, done = converted(tmp_path, [BIG, SMALL], categories=kinds)
    assert done.classes == ("background", "stripe", "square")
    assert np.array_equal(labels, expected((2, (2, 18), (2, 22)), (0, (4, 10), (5, 11))))


def test_splits_as_files(tmp_path):
    for split, some in (("train2017", range(6)), ("val2017", range(6, 9))):
        made.coco(
            tmp_path / "s",
            {i: [SMALL] for i in some},
            file=f"annotations/instances_{split}.json",
            folder=split,
        )
        made.coco(tmp_path / "t", {i: [SMALL] for i in some}, file=f"{split[:-4]}/_a.coco.json",
                  folder=split[:-4])  # fmt: skip
        text = (tmp_path / f"s/annotations/instances_{split}.json").read_text()
        (tmp_path / f"s/annotations/person_keypoints_{split}.json").write_text(text)
    for source in ("s", "t"):
        convert(tmp_path / source, tmp_path / f"new {source}")
        found = made.listed(tmp_path / f"new {source}")
        assert found == {"train": [f"00{i}" for i in range(6)], "val": ["006", "007", "008"]}


def test_panoptic(tmp_path):
    source = made.panoptic(made.panoptic(tmp_path / "s"), split="train2017", first=20)
    done = convert(source, tmp_path / "new")
    assert done.classes == ("square", "stripe") and done.format == "coco-panoptic"
    assert {k: len(v) for k, v in made.listed(tmp_path / "new").items()} == {"train": 10, "val": 10}
    void_first = np.array([255, 0, 1])
    assert np.array_equal(made.labels_of(tmp_path / "new", "005"), void_first[made.scene(5)[1]])
    crowd = made.labels_of(tmp_path / "new", "000")
    assert np.array_equal(crowd, np.array([255, 0, 255])[made.scene(0)[1]])


def segments(content):
    content["annotations"][3]["segments_info"].pop()


def no_annotation(content):
    content["annotations"].pop(3)


@pytest.mark.parametrize(
    "harm, message",
    [
        (segments, "003.png must hold the segment ids of panoptic_val2017.json, got others: 70000"),
        (no_annotation, "must hold one panoptic annotation an image, got 0 of 003.jpg"),
    ],
)
def test_bad_panoptic(tmp_path, harm, message):
    path = made.panoptic(tmp_path / "s") / "annotations/panoptic_val2017.json"
    content = json.loads(path.read_text())
    harm(content)
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        convert(tmp_path / "s", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def shape(segmentation):
    return [{"category_id": SQUARE, "segmentation": segmentation}]


def runs(counts, size=(20, 30)):
    return shape({"size": list(size), "counts": counts})


@pytest.mark.parametrize(
    "annotations, message",
    [
        (runs([100]), "annotation 1 must have runs that fill its image of 30x20, got others"),
        (runs([300, 400]), "must have runs that fill its image"),
        (runs([-1, 601]), "must have runs that fill its image"),
        (runs([600], size=(30, 20)), "must have runs that fill its image"),
        (runs("zzzz"), "must have runs that fill its image"),
        (runs("\u00e9"), "must have runs that fill its image"),
        (runs(5), "must have runs that fill its image"),
        (shape([[1, 2, 3]]), "must have polygons x1, y1, x2, y2, ...; export it again"),
        (shape([[1, 2, "x", 4, 5, 6]]), "must have polygons x1, y1"),
        (shape([[1, 2, float("nan"), 4, 5, 6]]), "must have polygons x1, y1"),
        (shape([made.box(0, 0, 1e12, 4)]), "must lie in its image of 30x20, got 1e.12; are these"),
        ([{"category_id": 99, "segmentation": [made.box(1, 1, 5, 5)]}], "got category_id 99"),
        ([{"category_id": "3", "segmentation": [made.box(1, 1, 5, 5)]}], "'category_id' as int"),
        ([BIG, {"category_id": SQUARE, "bbox": [1, 1, 5, 5]}], "annotation 2 must have a segmen"),
        ([{**BIG, "image_id": 77}], "must annotate images that it lists, got image_id 77"),
    ],
)
def test_bad_annotations(tmp_path, annotations, message):
    with pytest.raises(DataError, match=message):
        converted(tmp_path, annotations)
    assert not (tmp_path / "new").exists()


def test_images_that_are_not_there_or_not_of_that_size(tmp_path):
    source = made.coco(tmp_path / "s", {0: [BIG]} | REST)
    made.save(made.scene(3)[0], source / "images/003.png")
    with pytest.raises(DataError, match="003.png must have the size of its mask, got 56x40 aga"):
        convert(source, tmp_path / "new")
    (source / "images/003.png").unlink()
    with pytest.raises(DataError, match="1 of 10 missing: 003.png; put them beside it"):
        convert(source, tmp_path / "new")


def test_a_name_never_leads_out_of_the_source(tmp_path):
    source = made.coco(tmp_path / "s", {0: [BIG]} | REST)
    made.save(made.scene(0)[0], tmp_path / "secret.png")
    path = source / "annotations/instances_default.json"
    path.write_text(path.read_text().replace("004.png", "../secret.png"))
    with pytest.raises(DataError, match="1 of 10 missing: ../secret.png"):
        convert(source, tmp_path / "new")


def test_the_extra_is_named_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(DataError, match="need pycocotools; install it: pip install -e '..convert"):
        converted(tmp_path, [BIG])


def test_a_file_that_is_no_json(tmp_path):
    source = made.coco(tmp_path / "s", {0: [BIG]})
    path = source / "annotations/instances_default.json"
    path.write_text(path.read_text()[:-5])
    with pytest.raises(DataError, match="instances_default.json must be JSON, got Unterminated"):
        convert(source, tmp_path / "new")


def test_boxes_alone_are_named_but_where_masks_lie_beside(tmp_path):
    source = made.coco(
        tmp_path / "s", {i: [dict(category_id=3, bbox=[1, 1, 5, 5])] for i in range(4)}
    )
    with pytest.raises(
        DataError, match="must hold masks, got no segmentation, as of boxes alone; "
    ):
        convert(source, tmp_path / "new")
    for i in range(4):
        made.save(np.full((20, 30), i % 2, np.uint8), source / f"masks/{i:03d}.png")
    assert convert(source, tmp_path / "new").format == "pairs"
