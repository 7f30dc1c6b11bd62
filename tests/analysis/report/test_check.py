"""The page of a data check on small known facts."""

import io

import pytest
from PIL import Image

from analysis.figures.classes import frequency_bars
from analysis.report.check import write_check
from analysis.report.check_words import check_lines
from analysis.tables.classes import class_frequencies
from tests.analysis.report.inspections import facts, sample

pytestmark = pytest.mark.slow


def page(tmp_path, sheet=(), **changes) -> str:
    return write_check(facts(**changes), sheet, tmp_path / "check").read_text()


def test_csv_holds_the_raw_shares(tmp_path):
    page(tmp_path)
    assert (tmp_path / "check/frequencies.csv").read_text().splitlines() == [
        "class,split,pixel_share,image_share",
        "background,fit,0.5,1.0",
        "background,dev,0.75,1.0",
        "background,test,0.5,1.0",
        "disc,fit,0.25,0.5",
        "disc,dev,0.25,1.0",
        "disc,test,0.5,0.25",
        "<script>alert(1)</script>,fit,0.25,0.125",
        "<script>alert(1)</script>,dev,0.0,0.0",
        "<script>alert(1)</script>,test,0.0,0.0",
    ]


def test_lead_says_what_the_splits_would_be(tmp_path):
    assert (
        "<p>shapes &amp; &lt;b&gt; has 3 classes; class 0 is background. Networks would train on "
        "fit (8 images), choose their epoch on dev (1 image) and be scored on test (4 images). "
        "Void pixels, which do not count in test mIoU, are 3 % of fit, 2 % of dev, 0 % of test. "
        "Images are 20 to 50 px high and 40 px wide; longer sides above 512 px are reduced to "
        "that. The floor: always predicting background has test mIoU 0.250.</p>"
    ) in page(tmp_path)
    assert "40 px wide; none is reduced." in page(tmp_path, max_side=None)


def test_sections_stand_in_order_and_everything_is_escaped(tmp_path):
    text = page(
        tmp_path,
        [sample([1], name="<script>x</script>", note="<script>y</script>")],
        notes=["<script>n</script>"],
        groups={"fit": {"<script>g</script>": 8}, "dev": {}},
        suspicious=[{"name": "<script>s</script>", "split": "fit", "what": "<script>"}],
        duplicates=[{"images": ["fit/<script>", "test/b"], "across": True}],
    )
    titles = ("Warnings", "Class frequencies", "Groups", "Contact sheet", "Data set")
    places = [text.index(f"<h2>{title}</h2>") for title in titles]
    assert places == sorted(places) and text.index("f00d") > places[-1]
    assert "<script" not in text and text.count("data:image/png;base64,") == 2
    assert "<h2>Groups</h2>" not in page(tmp_path)


def test_classes_without_fit_or_test_images_are_marked(tmp_path):
    text, shown = page(tmp_path), "&lt;script&gt;alert(1)&lt;/script&gt;"
    assert f"No test image shows {shown}: no score." in text and "No fit image" not in text
    row = text.split(f'<th scope="row">{shown} (not in dev, not in test)</th>')[1].split("</tr>")[0]
    cells = [cell.split("</td>")[0] for cell in row.split('<td class="num">')[1:]]
    assert cells == ["25 %", "0 %", "0 %", "1", "0", "0"]
    shares = {"fit": [1, 0, 0], "dev": [1, 0, 0], "test": [1, 1, 0]}
    text = page(tmp_path, pixel_share=shares, image_share=shares)
    assert f"No fit image shows disc, {shown}: nothing to learn from." in text
    assert '<th scope="row">disc (not in fit, not in dev)</th>' in text


def test_nothing_suspicious_is_said_only_when_nothing_was_found(tmp_path):
    text = page(tmp_path)
    assert "Nothing suspicious was found. Looked for: masks that are all void" in text
    masks = [{"name": f"m{i:02}", "split": "fit", "what": "all void"} for i in range(23)]
    same = [
        {"images": ["fit/a", "test/b"], "across": True},
        {"images": [f"fit/{i}" for i in range(9)], "across": False},
    ]
    text = page(tmp_path, suspicious=masks, duplicates=same)
    assert "Nothing suspicious" not in text and "Looked for: masks" in text
    assert "1 set of images with the same pixels in different splits:" in text
    assert "fit/a = test/b" in text
    assert "fit/0 = fit/1 = fit/2 = 5 more = fit/8" in text
    assert "23 suspicious masks; the first 20:" in text
    assert "fit/m19: all void" in text and "fit/m20" not in text


def test_twins_and_what_reducing_removes_are_listed(tmp_path):
    pairs = [("test/b", "fit/a"), ("test/c", "fit/a"), ("dev/d", "fit/e")]
    near = [{"image": image, "like": like} for image, like in pairs]
    rows = [
        {"name": "<b>", "share": 0.5, "share_kept": 0.6, "n_masks": 9, "n_lost": 0},
        {"name": "crack", "share": 0.02, "share_kept": 0.0, "n_masks": 4, "n_lost": 4},
    ]
    told = "2 test images have a near twin in fit, 1 dev image has a near twin in fit"
    advice = "write whole scenes or videos into one list, and give groups.txt"
    text = page(tmp_path, twins=near, reduced=rows)
    assert f"{told} ({advice}):" in text and "test/b ~ fit/a" in text
    assert f"warning: {told}, e.g. test/b ~ fit/a; {advice}" in check_lines(facts(twins=near))
    assert "<h2>Reduced images</h2>" in text and text.index("crack") < text.index("&lt;b&gt;</th>")
    row = text.split('<th scope="row">crack</th>')[1].split("</tr>")[0]
    cells = [cell.split("</td>")[0] for cell in row.split('<td class="num">')[1:]]
    assert cells == ["2 %", "0 %", "4", "4"]
    assert "Reduced images" not in page(tmp_path)


def test_groups_in_several_splits_come_first(tmp_path):
    groups = {"fit": {"big": 6, "both": 1}, "dev": {}, "test": {"both": 3}}
    text = page(tmp_path, groups=groups)
    assert "2 groups, 1 of them in more than one split." in text
    assert text.index(">both<") < text.index(">big<")
    assert "1 group, none of them in more" in page(tmp_path, groups={"fit": {"a": 8}, "dev": {}})


def test_lines_for_a_terminal():
    same = [{"images": ["fit/a", "test/b\x1b"], "across": True}]
    assert check_lines(facts(duplicates=same)) == [
        "shapes & <b>: 3 classes, class 0 is background",
        "fit: 8 images, 3 of 3 classes, void 3 %",
        "dev: 1 image, 2 of 3 classes, void 2 %",
        "test: 4 images, 2 of 3 classes, void 0 %",
        "Images are 20 to 50 px high and 40 px wide; longer sides above 512 px are reduced to that",
        "The floor: always predicting background has test mIoU 0.250",
        "note: dev is cut from train.txt",
        "warning: 1 set of images with the same pixels in different splits, e.g. fit/a = test/b ",
    ]
    lines = check_lines(facts(notes=[f"n{i}" for i in range(9)]))
    assert lines[-2:] == [
        "note: 5 more on the page",
        "nothing suspicious was found in masks and images",
    ]


def test_splits_without_images_or_classes(tmp_path):
    nothing = {"fit": [1, 1, 1], "dev": [0, 0, 0], "test": [0, 0, 0]}
    changes = {
        "n_images": {"fit": 8, "dev": 0, "test": 4},
        "pixel_share": nothing,
        "image_share": nothing,
        "void_share": {"fit": 0.0, "dev": 0.0, "test": 1.0},
        "size_px": {"fit": [9, 9, 9, 9], "test": [9, 9, 9, 9]},
    }
    text = page(tmp_path, **changes)
    assert "are 0 % of fit, – of dev, 100 % of test. Images are 9 px high and 9 px wide;" in text
    assert "No test image shows any class: there would be no score." in text
    assert "floor" not in text
    assert "dev: 0 images, 0 of 3 classes, void –" in check_lines(facts(**changes))
    assert (tmp_path / "check/frequencies.csv").read_text().splitlines()[2] == "background,dev,,"


@pytest.mark.parametrize("n_classes", [2, 40])
def test_bars_name_what_is_missing_and_count_images(n_classes):
    names = [f"{'a very long name ' * 9}$_{i}" for i in range(n_classes)]
    shares = [*(0.5**i for i in range(n_classes - 1)), 0]
    split = {"fit": shares, "dev": shares, "test": [1] * n_classes}
    found = facts(classes=names, pixel_share=split, image_share=split)
    figure = frequency_bars(class_frequencies(found), found.n_images)
    figure.savefig(io.BytesIO(), dpi=40)
    left, right = ([text.get_text() for text in axes.texts] for axes in figure.axes)
    assert left.count("none in fit") == left.count("none in dev") == 1
    assert left.count("none in test") == 0 and left.count("100%") == 2 + n_classes
    assert right[0] == "8 of 8" and right[n_classes - 1] == "0 of 8"
    heights = [bar.get_width() for bar in figure.axes[0].containers[0]]
    assert heights == shares
    assert figure.axes[0].get_xscale() == "log"


def test_a_second_check_replaces_the_first(tmp_path):
    text = page(tmp_path, [sample([1], note="all one")])
    assert "1 image of 13: the mask&#39;s colours" in text and "Framed: the mask looks" in text
    files = {path.name for path in (tmp_path / "check").iterdir()}
    pictures = {"frequencies.png", "contact-sheet.png"}
    assert files == {"index.html", "frequencies.csv", "manifest.json", *pictures}
    with Image.open(tmp_path / "check/contact-sheet.png") as stored:
        assert stored.getpixel((85, 160)) == (162, 92, 178)
    text = page(tmp_path, name="second")
    assert "Data check: second" in text and "No images were chosen." in text
    assert not (tmp_path / "check/contact-sheet.png").exists()
    assert "contact-sheet.png" not in text
