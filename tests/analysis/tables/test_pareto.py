"""Score against cost: which arms are on a front, and where the report shows them."""

import numpy as np
import pytest

from analysis.figures.pareto import score_against_cost
from analysis.records import read_study
from analysis.report.training import networks
from analysis.report.write import write_report
from analysis.tables.pareto import COSTS, front, pareto
from tests.analysis.studies import cell, write_run, write_study

nan = np.nan
SMALL = cell("lraspp_mobilenet_v3_large-scratch", "bce")
FOREIGN = cell("smp:Unet/mobilenet_v2-scratch", "bce")
UNET, DICE = cell("unet-scratch", "bce"), cell("unet-scratch", "dice_bce")
SCORES = ((SMALL, 0.4), (FOREIGN, 0.3), (UNET, 0.6), (DICE, 0.6))
ARMS = [one.arm for one, _ in SCORES]


@pytest.mark.parametrize(
    "scores, costs, on_it",
    [
        ([0.5, 0.6, 0.7], [1, 2, 3], [1, 1, 1]),
        ([0.5, 0.4, 0.7], [1, 2, 3], [1, 0, 1]),  # dearer and lower
        ([0.5, 0.5], [1, 2], [1, 0]),  # as good, dearer
        ([0.5, 0.6], [1, 1], [0, 1]),  # as dear, better
        ([0.5, 0.5], [1, 1], [1, 1]),  # the same
        ([0.5, nan, 0.4, 0.3], [1, 0, nan, 2], [1, 0, 0, 0]),
        ([0.5, 0.6], [-1, -2], [0, 1]),  # of speeds: faster and better
    ],
)
def test_the_front_by_known_answers(scores, costs, on_it):
    assert front(np.array(scores), np.array(costs, float)).tolist() == list(map(bool, on_it))


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """Two seeds of an arm, one of the others; an arm that failed is left out."""
    failed = cell("resnetunet-scratch", "bce")
    root = write_study(tmp_path_factory.mktemp("out") / "s", [*(one for one, _ in SCORES), failed])
    for one, score in SCORES:
        for seed in (0, 1) if one == UNET else (0,):
            write_run(root, one, seed, (score + 0.1 * seed,) * 3)
    write_run(root, failed, 0, end="failed")
    return read_study(root)


def test_a_row_is_an_arm_with_its_n_and_means(several):
    table = pareto(several).set_index("arm")
    assert list(table.index) == ARMS
    unet = table.loc[UNET.arm]
    assert (unet["n"], unet["variant"], unet["network"]) == (2, "bce", "unet-scratch")
    assert unet["test/miou mean"] == pytest.approx(0.65)
    assert (unet["parameters, M"], unet["minutes"]) == (1.5, 2.0)
    # all cost the same, so the best alone is on a front; no speed was recorded
    for cost in COSTS:
        expected = [] if cost == "images/s" else [UNET.arm]
        assert table.index[table[f"front: {cost}"]].tolist() == expected


def test_a_point_is_an_arm_and_networks_and_losses_are_in_the_legend(several):
    labels = {cost: cost for cost in COSTS}
    figure = score_against_cost(pareto(several), labels)
    for axes in figure.axes:
        points = [line for line in axes.lines if line.get_gid() in ARMS]
        assert len(points) == len(ARMS)
    told = [text.get_text() for text in figure.legends[0].get_texts()]
    assert told == [
        *(SMALL.network, FOREIGN.network, UNET.network),
        *("bce", "dice_bce", "Pareto front"),
    ]


@pytest.mark.slow
def test_the_report_shows_it_where_there_are_two_networks(several, tmp_path):
    page = write_report(several, tmp_path / "r")
    text = page.with_name("report.md").read_text()
    assert "## Networks: score against cost" in text and "not tested" in text
    assert (tmp_path / "r/figures/score_against_cost.png").stat().st_size > 1000
    assert (
        r"smp:Unet/mobilenet\_v2-scratch-bce"
        in (tmp_path / "r/tables/score_against_cost.tex").read_text()
    )
    one = read_study(write_study(tmp_path / "s", [UNET, DICE]))
    assert networks(one) == []
    write_run(one.root, UNET, 0)
    write_run(one.root, DICE, 0)
    assert networks(read_study(one.root)) == []
