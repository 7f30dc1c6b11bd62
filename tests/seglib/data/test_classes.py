"""classes.txt in the forms that annotators write, and names that do not fit what masks show."""

import pytest

from seglib.data.classes import implausible_classes, read_classes
from seglib.data.lists import DataError

THREE = ("background", "square", "two words")
MAP = "classes.txt: a label map: labels are counted from its first line, colours are not shown"
NUMBERS = "classes.txt: the numbers beside the names are the labels and left out"
COMMENTS = "classes.txt: comments left out"
IGNORE = "classes.txt: labelme's __ignore__ left out (it is 255 in masks)"
BACKGROUND = "classes.txt: labelme's _background_ read as background"
# text -> notes; the names are always THREE
READ = {
    "plain": ("background\nsquare\ntwo words\n", ()),
    "windows": ("\ufeffbackground\r\nsquare\r\ntwo words\r\n\r\n", ()),
    "labelme": ("__ignore__\n_background_\nsquare\ntwo words\n", (IGNORE, BACKGROUND)),
    "labelme without ignore": ("_background_\nsquare\ntwo words\n", (BACKGROUND,)),
    "ignore alone": ("__ignore__\nbackground\nsquare\ntwo words", (IGNORE,)),
    "comment first": ("# my classes\nbackground\nsquare\ntwo words", (COMMENTS,)),
    "comments behind": ("background # 0\nsquare // 1\ntwo words\n//end", (COMMENTS,)),
    "CVAT": (
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\nsquare:128,0,0::\n"
        "two words:0,9,0:a,b:c",
        (COMMENTS, MAP),
    ),
    "CVAT, short": ("background:0,0,0\nsquare:128,0,0\ntwo words:0,9,0", (MAP,)),
    "CamVid": ("0 0 0\tbackground\n128  0 0 square\n0 128 64\t\ttwo words", (MAP,)),
    "class_dict.csv": ("name,r,g,b\nbackground,0,0,0\nsquare,128,0,0\ntwo words,0,9,0", (MAP,)),
    "capitals and spaces": (
        "Class, R, G, B\nbackground, 0, 0, 0\nsquare, 128, 0, 0\ntwo words, 0, 9, 0",
        (MAP,),
    ),
    "no header": ("background,0,0,0\nsquare,128,0,0\ntwo words,0,9,0", (MAP,)),
    "name r g b": ("background 0 0 0\nsquare 128 0 0\ntwo words 0 9 0", (MAP,)),
    "semicolons": ("background;0;0;0\nsquare;128;0;0\ntwo words;0;9;0", (MAP,)),
    "with alpha": ("background 0 0 0 255\nsquare 128 0 0 255\ntwo words 0 9 0 255", (MAP,)),
    "hex": ("background #000000\nsquare #800000\ntwo words #0009Ff", (MAP,)),
    "hex first": ("#000000 background\n#800000 square\n#0009Ff two words", (MAP,)),
    "number, name and colour": (
        "id,name,r,g,b\n0,background,0,0,0\n1,square,128,0,0\n2,two words,0,9,0",
        (MAP, NUMBERS),
    ),
    "a header of words with lines": (
        "class_index,class_name,r,g,b\n0,background,0,0,0\n1,square,128,0,0\n2,two words,0,9,0",
        (MAP, NUMBERS),
    ),
    "(0) name": ("(0) background\n(1) square\n(2) two words", (NUMBERS,)),
    "labelme with colours": (
        "__ignore__ 0 0 0\n_background_ 0 0 0\nsquare 128 0 0\ntwo words 0 9 0",
        (MAP, IGNORE, BACKGROUND),
    ),
    "0 name": ("0 background\n1 square\n2 two words", (NUMBERS,)),
    "0: name": ("0: background\n1: square\n2: two words", (NUMBERS,)),
    "0. name": ("0. background\n1. square\n2. two words", (NUMBERS,)),
    "0,name under a header": ("label,name\n0,background\n1,square\n2,two words", (NUMBERS,)),
    "name 0": ("background 0\nsquare 1\ntwo words 2", (NUMBERS,)),
    "name: 0": ("background: 0\nsquare: 1\ntwo words: 2", (NUMBERS,)),
    "name,0": ("name,id\nbackground,0\nsquare,1\ntwo words,2", (NUMBERS,)),
    "with void": ("0 background\n1 square\n2 two words\n255 void", (NUMBERS,)),
}


def write(tmp_path, text):
    path = tmp_path / "classes.txt"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("text, notes", READ.values(), ids=READ)
def test_known_forms_are_read(tmp_path, text, notes):
    found = read_classes(write(tmp_path, text))
    assert (found.names, found.notes) == (THREE, notes)
    if MAP in notes:
        assert found.colours[0] == "000000" and found.colours[1] == "800000"
        assert len(found.colours) == 3 and found.colours[2] in ("000900", "0009ff", "008040")


def test_plain_names_stay_as_they_are(tmp_path):
    for names in (
        ("class 0", "class 1"),  # without their numbers they would be one
        ("1 euro", "2 euro", "5 euro"),
        ("car", "truck 2", "Building #1"),
        ("a: b", "c, d", "label"),
        ("name", "r", "g"),
        ("C#", "people's"),
    ):
        assert read_classes(write(tmp_path, "\n".join(names))) == (names, (), ())
    assert read_classes(tmp_path / "none.txt") is None


REFUSED = {
    "twice": ("a\nb\na\n", "names a twice; class names must differ"),
    "twice behind colours": ("a,1,2,3\nb,1,2,4\na,1,2,5", "names a twice"),
    "ignore later": ("a\n__ignore__\nb", "must hold __ignore__ as its first name alone"),
    "only ignore": ("__ignore__\na\n", "must name 2 to 254 classes, got 1"),
    "only comments": ("# a\n# b\n", "must name 2 to 254 classes, got 0"),
    "some with colours": (
        "a:0,0,0::\nb:1,0,0::\nc\n",
        "must have a name and a colour on every line or on none, got 'c' beside 'a:0,0,0::'; write",
    ),
    "an unknown header": ("Klasse;Rot;Gruen;Blau\na;0;0;0\nb;1;0;0", "or on none, got 'Klasse;Rot"),
    "one line": ("background, square, stripe", "got 1 line of 3 words; write one a line"),
    "JSON": ('["a",\n"b"]', "must hold plain names, one a line, got '[\"a\",'; take quotes"),
    "YAML": ("names:\n- a\n- b", "must hold plain names, one a line, got 'names:'"),
    "a list": ("- a\n- b", "must hold plain names, one a line, got '- a'"),
    "bullets": ("* a\n* b", "must hold plain names, one a line, got '* a'; take"),
    "ends of lines": ("a;\nb;\n", "must hold plain names, one a line, got 'a;'"),
    "a table": (
        "Idx,Ratio,Train,Name\n1,0.15,11664,wall\n2,0.1,6046,sky",
        "got a table of 4 columns that begins 'Idx,Ratio,Train,Name'; keep the column of names",
    ),
    "a table by tabs": ("a\tall else\nb\tcracks", "got a table of 2 columns that begins 'a"),
    "colours up to 1": ("a 0 0 0\nb 0.5 0 0", "or colours of 0 to 255, got 'a 0 0 0'; take the"),
    "a long line": ("a" * 301 + "\nb", "got a line that begins 'aaaaa"),
    "empty": ("", "must name 2 to 254 classes, got 0"),
    "too many": ("\n".join(f"n{i}x" for i in range(255)), "must name 2 to 254 classes, got 255"),
}


@pytest.mark.parametrize("text, message", REFUSED.values(), ids=REFUSED)
def test_other_forms_are_refused(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(DataError) as caught:
        read_classes(path)
    assert message in str(caught.value) and str(path) in str(caught.value)


OFF = "is the name of label 0 on the first line?"
# names, pixels of each label -> notes
IMPLAUSIBLE = [
    (("background", "a", "b"), (70, 20, 10), ()),
    (("road", "a", "b"), (10, 70, 20), ()),
    (("background", "a", "b"), (30, 60, 10), ()),  # more a than background: not rare
    (
        ("background", "a", "b", "c"),
        (70, 20, 10, 0),
        (
            "4 classes are named, the masks show 3: no mask shows c, nothing to learn and no "
            f"score; {OFF}",
        ),
    ),
    (
        ("background", "a", "b"),
        (10, 75, 15),
        (f"background (label 0) has 10.0% of the pixels, a (label 1) 75.0%: {OFF}",),
    ),
    (
        ("a", "background"),
        (70, 30),
        (
            "background is the name of label 1: it counts as a class like the others; only "
            "`background` on the first line is what is left",
        ),
    ),
    (("Background", "a"), (70, 30), ("Background is the name of label 0: it counts as a class",)),
    (("a", "Void"), (70, 30), ("Void (label 1) is scored as a class; void must be 255 in masks",)),
    (("car", "Car"), (70, 30), ("class names that differ in capital letters only: Car, car",)),
    (
        ("1 road", "2 car"),
        (70, 30),
        (f"all class names begin with a number (1 road): labels count from 0, {OFF}",),
    ),
]


@pytest.mark.parametrize("names, pixels, notes", IMPLAUSIBLE)
def test_names_that_do_not_fit_are_named(names, pixels, notes):
    found = implausible_classes(names, pixels)
    assert len(found) == len(notes)
    assert all(line.startswith(note) for line, note in zip(found, notes, strict=True))
