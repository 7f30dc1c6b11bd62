"""Names in letters that a font has, and in letters that none has."""

import io
import warnings

import pandas as pd
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager

from analysis.figures import contact, fonts
from analysis.figures.contact import contact_sheet
from analysis.figures.style import plain
from analysis.report.blocks import picture
from tests.analysis.report.inspections import sample

CRACK = "裂缝"
CACHES = (fonts.families, fonts._installed, fonts._has, fonts._font)


def make_font(path, letters: str, family: str) -> None:
    """A font of black boxes for some letters."""
    letters = "".join(dict.fromkeys(letters))
    pen, empty = TTGlyphPen(None), TTGlyphPen(None).glyph()
    pen.moveTo((100, 0))
    for point in ((100, 700), (900, 700), (900, 0)):
        pen.lineTo(point)
    pen.closePath()
    names = [".notdef", *(f"uni{ord(letter):04X}" for letter in letters)]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(letter): f"uni{ord(letter):04X}" for letter in letters})
    box = pen.glyph()
    builder.setupGlyf({name: box if number else empty for number, name in enumerate(names)})
    builder.setupHorizontalMetrics({name: (1000, 100) for name in names})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": family, "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=800, usWinAscent=800, usWinDescent=200)
    builder.setupPost()
    builder.save(path)


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine with the fonts that Matplotlib brings, and a function that installs another."""
    ours = [one for one in fontManager.ttflist if "/mpl-data/" in one.fname]
    monkeypatch.setattr(fontManager, "ttflist", ours)

    def forget():
        for function in CACHES:
            function.cache_clear()
        fontManager._findfont_cached.cache_clear()

    def install(letters, family="Some Sans"):
        make_font(tmp_path / f"{family}.ttf", letters, family)
        fontManager.addfont(tmp_path / f"{family}.ttf")
        forget()

    forget()
    yield install
    monkeypatch.undo()
    forget()


def drawn(*texts: str) -> tuple[Figure, bytes]:
    """A figure with these texts as title, tick labels, legend; its picture, warnings as errors."""
    figure = Figure()
    axes = figure.subplots()
    axes.set_title(plain(texts[0]))
    axes.set_yticks(range(len(texts)), map(plain, texts))
    axes.plot([0], [0], label=plain(texts[0]))
    axes.legend()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return figure, picture("a", figure, "", "").png


NAMES = [
    "background",
    CRACK,
    "ひび割れ",
    "균열",
    "Трещина",
    "Ρωγμή",
    "شق",
    "दरार",
    "סדק",
    "🧱🏚",
    "รอยแตก",
]


def test_without_a_font_names_are_numbered_and_the_rest_kept(machine):
    called = fonts.called(NAMES)
    assert called[:4] == ["background", "class 1", "class 2", "class 3"]
    assert called[4:6] == NAMES[4:6]  # DejaVu has Cyrillic and Greek
    assert called[6:] == [f"class {i}" for i in range(6, 11)]  # Arabic it has, but cannot join
    drawn(*called)
    assert (
        fonts.key(["a", CRACK, "b", "شق"]) == f" In this figure class 1 is {CRACK}, class 3 is شق."
    )
    assert fonts.key(["a", "b"]) == "" and fonts.without_letters(["a", "Ж"]) == []
    assert fonts.without_letters(NAMES)[0].startswith("figures number the 8 classes whose names no")
    table = fonts.renamed(pd.DataFrame({"class": [CRACK, "a"]}), ["a", CRACK])
    assert table["class"].tolist() == ["class 1", "a"]


def test_an_installed_font_is_used(machine):
    without = drawn("class 1")[1]
    machine(CRACK)
    assert fonts.called(["a", CRACK]) == ["a", CRACK] and fonts.key(["a", CRACK]) == ""
    figure, png = drawn(f"a {CRACK}", CRACK)
    assert png != without
    title = figure.axes[0].title
    assert title.get_fontfamily()[-1] == "Some Sans"
    assert figure.axes[0].xaxis.label.get_fontfamily() == ["sans-serif"]  # not touched
    assert fonts.called([CRACK + "剥"]) == ["class 0"]  # one letter lacking


def test_letters_may_come_from_several_fonts_the_fullest_first(machine):
    machine("缝", "A Sans")
    machine(CRACK, "B Sans")
    machine("剥", "C Sans")
    assert fonts.families(CRACK) == ("B Sans",)
    assert fonts.families(f"{CRACK}剥") == ("B Sans", "C Sans")


def test_a_font_that_was_removed_is_passed_over(machine, tmp_path):
    machine(CRACK)
    (tmp_path / "Some Sans.ttf").unlink()
    for function in CACHES:
        function.cache_clear()
    assert fonts.called([CRACK]) == ["class 0"]


def test_text_that_is_no_class_stands_as_code_points(machine):
    assert plain(f"{CRACK}_001\x1b[0m\tx") == "\\u88c2\\u7f1d_001\\u001b[0m x"
    assert plain("a\nb $x$ _") == "a\nb \\$x\\$ _"
    drawn(f"{CRACK}\x00\u202e\u0301\ud800", "$a$")


def test_the_contact_sheet_numbers_what_it_cannot_draw(machine, monkeypatch):
    monkeypatch.setattr(contact, "fonts", lambda size: [])
    sheet = [sample([1], name="a"), sample([1], name=f"{CRACK}_1", note=CRACK)]
    names = [one.name for one in sheet]
    assert contact.called(names, "image") == ["a", "image 1"]
    before = contact_sheet(sheet, ("background", CRACK), True)
    machine(f"{CRACK} _0123456789:suspciou")
    assert contact.called(names, "image") == names
    after, buffer = contact_sheet(sheet, ("background", CRACK), True), io.BytesIO()
    assert before.tobytes() != after.tobytes()
    after.save(buffer, "png")
