"""Words of a command line."""

from hypothesis import example, given
from hypothesis import strategies as st

from study.commands.choice import choose
from study.commands.settings import pairs_of, parse_settings
from study.config import AXES, FIELDS, RECIPE, RunConfig
from study.record import Cell
from tests.fuzz.damage import REFUSED, TEXT, finite, fuzz
from tests.helpers import BASE_RUN

WORDS = [*AXES, *RECIPE, *FIELDS, "network", "arm", "unet", "bce", "scratch", "0", "loss.share"]
WORDS += ["loss.activation", "tuning", "tune.trials", "default"]
NUMBERS = ["nan", "inf", "-inf", "1e999", "1" * 5000, "9" * 400, "-0", "1_0", "٣", "²", "0x10"]
NUMBERS += [" 3 ", "none", "null", "true", "", "1e-320"]
WORD = st.sampled_from(WORDS) | TEXT
VALUE = st.sampled_from(NUMBERS) | TEXT | (st.integers() | st.floats()).map(str)


def test_the_study_s_own_cells_are_chosen():
    assert len(choose(DECLARED, ["loss=bce", "model=unet,init=scratch"])) == 1


DECLARED = [
    Cell(
        arm=f"unet-scratch-{loss}",
        network="unet-scratch",
        cell_id=None,
        values={"model": "unet", "init": "scratch", "loss": loss, "tuning": "default"},
    )
    for loss in ("bce", "dice_bce")
]


@fuzz
@given(
    only=st.lists(
        st.lists(st.tuples(WORD, WORD).map("=".join) | WORD, max_size=3).map(",".join), max_size=3
    )
)
def test_any_only(only):
    try:
        assert choose(DECLARED, only)
    except REFUSED as error:
        assert "--only" in str(error)


@fuzz
@given(texts=st.lists(st.tuples(WORD, VALUE).map("=".join) | TEXT, max_size=3))
@example(texts=["lr=nan"])
def test_any_setting(texts):
    try:
        found = parse_settings(pairs_of(texts, "--set"))
        parsed = {**found.recipe, **found.environment}
        assert finite([*parsed.values(), *found.loss_params.values()])
        given = {k.removeprefix("loss."): v for k, v in found.loss_params.items()}
        RunConfig.of({**BASE_RUN, "loss": "dice_bce", "loss_params": given, **parsed})
    except REFUSED as error:
        assert str(error)
