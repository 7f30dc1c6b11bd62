"""Tables of labels in the forms people have, and what is no table."""

import pytest

from seglib.data import DataError
from seglib.data.convert.labels import find_table, read_table
from seglib.data.convert.source import list_files

RED, GREEN = 128 << 16, 128 << 8
COLOURED = {0: 0, RED: 1, GREEN: 2}
CAMVID = "64 128 64\tAnimal\n192 0 128\tArchway\n0 0 0\tVoid\n"

TABLES = {
    "names": ("background\nsquare\nstripe\n", {0: 0, 1: 1, 2: 2}),
    "names with a mark before them": (
        "\ufeffbackground\r\nsquare\r\nstripe\r\n",
        {0: 0, 1: 1, 2: 2},
    ),
    "labelme's labels": ("__ignore__\n_background_\nsquare\nstripe\n", {-1: 255, 0: 0, 1: 1, 2: 2}),
    "background in the middle": ("square\nbackground\nstripe\n", {0: 1, 1: 0, 2: 2}),
    "names that end in numbers": ("background\nzone 1\nzone 2\n", {0: 0, 1: 1, 2: 2}),
    "void among the names": ("background\nvoid\nsquare\n", {0: 0, 1: 255, 2: 1}),
    "colours after": ("background 0 0 0\nsquare 128 0 0\nstripe 0 128 0\n", COLOURED),
    "colours before": ("0 0 0 background\n128,0,0,square\n0\t128\t0\tstripe\n", COLOURED),
    "csv with a header": (
        "name,r,g,b\nbackground,0,0,0\nsquare,128,0,0\nstripe,0,128,0\n",
        COLOURED,
    ),
    "csv, another header": (
        "r, g, b, class\n0, 0, 0, background\n128, 0, 0, square\n0, 128, 0, stripe\n",
        COLOURED,
    ),
    "hex": ("# a comment\n#000000 background\n#800000 square\n#008000 stripe\n", COLOURED),
    "hex after": ("background,#000000\nsquare,#800000\nstripe,#008000\n", COLOURED),
    "cvat": (
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\nsquare:128,0,0::\nstripe:0,128,0::\n",
        COLOURED,
    ),
    "cvat without colours": ("background:::\nsquare:::\nstripe:::\n", COLOURED),
    "values": ("0 background\n7 square\n255 stripe\n", {0: 0, 7: 1, 255: 2}),
    "values after": ("background,0\nsquare,7\nstripe,255\n", {0: 0, 7: 1, 255: 2}),
    "values with a header": (
        "Pixel Value, Class\n0, background\n1, a b\n2, c\n",
        {0: 0, 1: 1, 2: 2},
    ),
    "values as in yaml": ("0: background\n1: square\n2: stripe\n", {0: 0, 1: 1, 2: 2}),
    "camvid's own": (CAMVID, {4227136: 0, 12583040: 1, 0: 255}),
}


@pytest.mark.parametrize("text, labels", TABLES.values(), ids=TABLES)
def test_tables(tmp_path, text, labels):
    (tmp_path / "t.txt").write_text(text)
    assert read_table(tmp_path / "t.txt").labels() == labels


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "must name one class a line, got none"),
        ("crack\n", "must name 2 to 254 classes, got 1 .crack.; the background needs a name too"),
        ("a\nb\na\n", "names a twice; class names must differ"),
        ("a 0 0 0\nb 1 1 1\nc\nd 2 2 2\n", "one form in all lines .rgb, last in most., got 'c'"),
        ("a 0 0 0\nb 0 0 0\n", "must name each value or colour once, got 0 0 0 2 times; leave one"),
        ("a 0 0 0\nb 300 0 0\n", "must hold colours of 0 to 255, got 'b 300 0 0'"),
        ("0 a\n0 b\n", "must name each value or colour once, got 0 2 times"),
        ("a\n__ignore__\nb\n", "must have __ignore__ on its first line or not at all"),
        ("Klasse,Wert\na,0\nb,1\n", "one form in all lines .value, last in most., got 'Klasse"),
        (b"a\nStra\xdfe\n", "must be a readable UTF-8 text file, got byte 0xdf on line 2"),
        (None, "must be a plain file, got no such file or directory"),
    ],
)
def test_no_tables(tmp_path, text, message):
    path = tmp_path / "t.txt"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=message):
        read_table(path)


def test_tables_are_read_as_other_texts_are(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("class_index,class_name\r\n0,a\r\n1,b\r\n".encode("utf-16"))
    assert read_table(path).labels() == {0: 0, 1: 1} and read_table(path).names == ("a", "b")


def test_names_and_colours_of_the_same_classes_are_one_table(tmp_path):
    (tmp_path / "classes.txt").write_text("background\nsquare\n")
    (tmp_path / "class_dict.csv").write_text("name,r,g,b\nbackground,0,0,0\nsquare,9,9,9\n")
    table = find_table(list_files(tmp_path))
    assert table is not None and table.labels() == {0: 0, 0x090909: 1}
