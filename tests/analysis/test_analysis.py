"""Reading, tables and the report on tiny written studies; `pytest tests/test_analysis.py`."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from analysis.__main__ import main
from analysis.figures import figures
from analysis.figures.panel import colourize, voc_palette
from analysis.records import read_study
from analysis.report import example_sections
from analysis.report.examples import disagreement, examples
from analysis.report.render import escape, latex
from analysis.report.report import write_report
from analysis.tables import tables
from analysis.tables.provenance import commands
from tests.studies import BCE, CELLS, DICE, FAILING, NEVER, TUNED, cell, write_run, write_study

HOSTILE = "<script>alert(1)</script>|x"
OTHER = cell("resnetunet-scratch", "bce")  # never declared


@pytest.fixture(scope="module")
def study_dir(tmp_path_factory) -> Path:
    """bce: 3 seeds; dice_bce: 2 of 3 (one failed); tuned: 1; one arm never run, one only failed."""
    root = write_study(tmp_path_factory.mktemp("outputs") / "tiny", CELLS)
    for seed, ious in enumerate([(0.9, 0.6, 0.0), (0.9, 0.6, 0.3), (0.9, 0.6, 0.9)]):
        write_run(root, BCE, seed, ious)  # test mIoU 0.5, 0.6, 0.8
    write_run(root, DICE, 0, (0.7, 0.7, 0.7))
    write_run(root, DICE, 1, (0.8, 0.8, 0.8), environment={"device": "cuda"})
    write_run(root, DICE, 2, end="failed", error="loss is nan\nin epoch 2")
    write_run(root, TUNED, 0, (0.4, 0.4, 0.4))
    write_run(root, FAILING, 0, end="failed")
    write_run(root, BCE | {"cell_id": "old"}, 0, (0.1, 0.1, 0.1), config={"epochs": 1})
    write_run(root, OTHER, 5, (0.2, 0.2, 0.2))
    write_run(root, BCE, 7, (0.0, 0.0, 0.0), config={"role": "trial"})
    return root


@pytest.fixture(scope="module")
def study(study_dir):
    return read_study(study_dir)


@pytest.fixture(scope="module")
def report(study, tmp_path_factory) -> Path:
    return write_report(study, tmp_path_factory.mktemp("report")).parent


def test_class_colours_are_those_of_the_stored_masks():
    """Written twice because analysis may not import seglib.data: the two must stay one table."""
    from analysis.figures.panel import voc_palette
    from seglib.data import shapes

    assert voc_palette().ravel().tolist() == shapes.voc_palette()


def test_records_hold_what_the_files_say(study):
    run = study.runs[0]
    assert (run.arm, run.network, run.seed, run.state) == (
        BCE["arm"],
        "unet-scratch",
        0,
        "finished",
    )
    assert (run.best_epoch, run.duration_s, run.n_parameters) == (3, 120.0, 1_500_000)
    assert run.environment["commit"] == "abc123"
    assert run.history["epoch"].tolist() == [1, 2, 3]
    assert np.isnan(run.history["dev/miou"][1])
    names, counts = run.confusion("test")
    assert names == tuple("abcdefghij") and counts.shape == (10, 4, 4)
    assert counts.dtype == np.int64
    assert [m.shape for m in run.panel()] == [(12, 16)] * 2
    assert study.panel().names == ("a", "b")
    assert [r.seed for r in study.finished(DICE["arm"])] == [0, 1]
    with pytest.raises(ValueError, match="arm must be one of .*got 'nope'"):
        study.finished("nope")


def test_summary_known_answers(study):
    table = tables.summary(study).set_index("arm")
    assert list(table.index) == [c["arm"] for c in CELLS]
    assert table["n"].tolist() == [3, 2, 1, 0, 0]
    assert table["n_failed"].tolist() == [0, 1, 0, 0, 1]
    assert table["status"].tolist() == ["finished", "incomplete", "finished", "not run", "failed"]
    bce = table.loc[BCE["arm"]]
    assert bce["test/miou mean"] == pytest.approx(1.9 / 3)
    # deviations -4/30, -1/30, 5/30: their squares sum to 42/900; ddof 0 would give 0.1247
    assert bce["test/miou sd"] == pytest.approx(math.sqrt(42 / 900 / 2))
    assert (bce["test/miou min"], bce["test/miou max"]) == pytest.approx((0.5, 0.8))
    assert (bce["minutes per run mean"], bce["parameters, M"]) == (2.0, 1.5)
    assert np.isnan(table.loc[TUNED["arm"], "test/miou sd"])
    assert table.loc[[NEVER["arm"], FAILING["arm"]], "test/miou mean"].isna().all()
    assert table["tuning"].tolist() == ["default", "default", "tuned", "default", "default"]


def test_tuning_has_a_column_only_if_something_is_tuned(tmp_path):
    root = write_study(tmp_path / "s", [BCE, DICE])
    assert "tuning" not in tables.summary(read_study(root))


def test_labels_and_varied_values_tell_arms_apart(tmp_path):
    low, high = cell("unet-scratch", "ft"), cell("unet-scratch", "ft")
    low["arm"], high["arm"], low["cell_id"] = "unet-scratch-ft-low", "unet-scratch-ft-high", "low"
    low["values"] |= {"loss.fn_weight": 0.3}
    high["values"] |= {"loss.fn_weight": 0.7}
    tuned = cell("unet-scratch", "bce", "tuned")
    tuned["values"] |= {"lr_multiplier": 2.0}
    study = read_study(write_study(tmp_path / "s", [low, high, tuned]))
    table = tables.summary(study)
    assert table["loss.fn_weight"].tolist() == ["0.3", "0.7", ""]
    assert "tuning" in table and "lr_multiplier" not in table
    assert [c.variant for c in study.cells] == ["ft-low", "ft-high", "bce-tuned"]
    assert tables.settings(study)["settings"].tolist()[2] == "lr_multiplier = 2.0"


def test_scores_with_void_scored_stand_beside_the_comparable_ones(tmp_path):
    root = write_study(tmp_path / "s", [BCE, DICE])
    write_run(root, DICE, 0)
    for seed, value in ((0, 0.7), (1, 0.9)):
        journal = write_run(root, BCE, seed) / "journal.jsonl"
        extra = f'"test/miou_void_scored": {value}, "test/miou":'
        journal.write_text(journal.read_text().replace('"test/miou":', extra))
    study = read_study(root)
    assert tables.void_scored(study).to_dict("records") == [
        {
            "arm": BCE["arm"],
            "n": 2,
            "test/miou mean": pytest.approx(0.6),
            "test/miou_void_scored mean": pytest.approx(0.8),
        }
    ]
    text = write_report(study, tmp_path / "report").read_text()
    assert "the same runs with void scored as class 5" in text


def test_per_class_means_order_and_absent_class(study):
    table = tables.per_class(study)
    assert table["class"].tolist() == ["background", "disc", "ring", "bar"]  # by fit pixels
    assert table["in_test"].tolist() == [True, True, False, True]
    assert table[BCE["arm"]].tolist() == pytest.approx([0.9, 0.6, np.nan, 0.4], nan_ok=True)
    assert table[NEVER["arm"]].isna().all()


def test_aggregate_arm(study):
    bce, tuned = (tables.aggregate_arm(study, c["arm"]) for c in (BCE, TUNED))
    assert bce["n"] == 3
    assert bce["test/iou/bar/mean"] == pytest.approx(0.4)
    assert bce["test/iou/bar/sd"] == pytest.approx(math.sqrt((0.16 + 0.01 + 0.25) / 2))
    assert not any("ring" in key or key.startswith("dev") for key in bce)
    assert tuned["n"] == 1 and "test/miou/sd" not in tuned
    assert tables.aggregate_arm(study, NEVER["arm"]) == {"n": 0}


def test_missing_names_every_gap(study):
    table = tables.missing(study).set_index("run")
    assert table["state"].to_dict() == {
        "unet-scratch-dice_bce seed 2": "failed",
        "unet-scratch-bce-tuned seed 1": "not run",
        "unet-scratch-bce-tuned seed 2": "not run",
        "resnetunet-pretrained-bce": "not run",
        "resnetunet-pretrained-dice_bce seed 0": "failed",
        "resnetunet-pretrained-dice_bce seed 1": "not run",
        "resnetunet-pretrained-dice_bce seed 2": "not run",
    }
    assert table["reason"].iloc[0] == "loss is nan in epoch 2"


def test_superseded_runs_are_listed_and_never_pooled(study):
    table = tables.superseded(study)
    assert table["run"].tolist() == ["unet-scratch-bce seed 0", "resnetunet-scratch-bce seed 5"]
    assert table["differs"].tolist() == ["epochs = 1 (study: 3)", ""]
    assert len(tables.runs(study)) == 8
    assert tables.runs(study)["test_miou"].min() == pytest.approx(0.4)


def test_history_is_long_without_gaps(study):
    table = tables.history(study)
    one = table[(table["arm"] == BCE["arm"]) & (table["seed"] == 0)]
    assert one[one["metric"] == "dev/miou"]["epoch"].tolist() == [1, 3]
    assert set(table["variant"]) == {"bce", "dice_bce", "bce-tuned"}


def test_environment_mixtures_count_runs(study):
    table = tables.environment_mixtures(study)
    assert table[["key", "value", "n_runs"]].values.tolist() == [
        ["device", "cpu", 5],
        ["device", "cuda", 1],
    ]


def test_duplicate_arm_and_seed_is_refused(tmp_path):
    root = write_study(tmp_path / "s", [BCE])
    write_run(root, BCE, 0)
    write_run(root, BCE, 0)
    with pytest.raises(ValueError, match="0000 and 0001 both for unet-scratch-bce seed 0"):
        read_study(root)


def test_journal_cut_lines_and_repeated_epochs(tmp_path):
    root = write_study(tmp_path / "s", [BCE])
    journal = write_run(root, BCE, 0, end="") / "journal.jsonl"
    again = {"event": "epoch", "epoch": 2, "metrics": {"train/loss": 99.0}}
    with journal.open("a") as file:
        file.write(json.dumps(again) + '\n{"event": "finished", "metr')
    run = read_study(root).runs[0]
    assert (run.state, run.result) == ("unfinished", {})
    assert "epoch 3 recorded" in run.error
    assert run.history["train/loss"].tolist() == pytest.approx([1, 1 / 2, 1 / 3])
    whole = json.dumps({"event": "start", "environment": {}, "n_parameters": 1})
    with journal.open("a") as file:  # the next attempt keeps the cut line on its own
        file.write("\n" + whole + "\n")
    run = read_study(root).runs[0]
    assert (run.state, len(run.environments)) == ("unfinished", 2)
    lines = journal.read_text().splitlines()
    journal.write_text("\n".join([lines[0][:20], *lines[1:3]]))
    with pytest.raises(ValueError, match=r"journal.jsonl line 1 must be a JSON object"):
        read_study(root)


@pytest.mark.parametrize(
    ("last", "state", "reason"),
    [
        ({"event": "stopped"}, "unfinished", "stopped on request, epoch 3 recorded"),
        ({"event": "pruned", "epoch": 2}, "pruned", "pruned at epoch 2"),
        ({"event": "died", "error": "killed"}, "unfinished", "died: killed, epoch 3 recorded"),
        ({"event": "failed", "error": "a\n b"}, "failed", "a b"),
    ],
)
def test_last_event_decides_the_state(tmp_path, last, state, reason):
    root = write_study(tmp_path / "s", [BCE])
    path = write_run(root, BCE, 0, end="")
    with (path / "journal.jsonl").open("a") as file:
        file.write(json.dumps(last) + "\n")
    run = read_study(root).runs[0]
    assert (run.state, run.error) == (state, reason)


def test_finished_run_without_its_numbers_is_refused(tmp_path):
    root = write_study(tmp_path / "s", [BCE])
    write_run(root, BCE, 0, (0.5, float("nan"), 0.5))
    with pytest.raises(ValueError, match="none for test/miou, test/iou/disc;"):
        read_study(root)


def test_broken_studies_say_what_to_do(tmp_path):
    write_study(tmp_path / "good", [BCE])
    with pytest.raises(ValueError, match="study.json, got .*none.* studies beside it: good; run"):
        read_study(tmp_path / "none")
    bad = write_study(tmp_path / "bad", [BCE], format=2)
    with pytest.raises(ValueError, match="format must be 1, got 2; read it with"):
        read_study(bad)
    (bad / "study.json").write_text('{"format": 1')
    with pytest.raises(ValueError, match="must be a JSON object, got an unreadable file"):
        read_study(bad)
    with pytest.raises(ValueError, match="arm must be unique"):
        read_study(write_study(tmp_path / "twice", [BCE, BCE]))


def test_report_shows_n_failures_and_absences(report):
    for name in ("report.md", "index.html"):
        text = (report / name).read_text()
        assert "6 of 8 runs of declared arms finished (seeds 0, 1, 2)" in text
        assert "3 of 5 declared arms have a finished run" in text
        assert "unet-scratch-dice_bce seed 2" in text and "loss is nan in epoch 2" in text
        assert "ring (not in test)" in text
        assert "unet-scratch-bce (n=3)" in text and "unet-scratch-dice_bce (n=2)" in text
        assert "n or seeds differ between arms" in text
        assert "model = unet, init = pretrained" in text and "no encoder" in text
        assert "resnetunet-scratch-bce seed 5" in text
        assert "beef" in text and "f00d" in text and "abc123" in text
        assert "runs.py --grid --data shapes" in text
    row = next(
        s for s in (report / "report.md").read_text().splitlines() if "| bce | default | 3" in s
    )
    assert "| 0.633 | 0.153 | 0.500 | 0.800 |" in row


def test_report_is_one_file_that_fetches_nothing(report):
    page = (report / "index.html").read_text()
    assert not re.search(r"https?://|@import|<script|<link(?! rel=\"icon\" href=\"data:,\")", page)
    assert set(re.findall(r'src="(.{5})', page)) == {"data:"} and "url(" not in page
    assert page.count("<img") == 6 == len(list((report / "figures").glob("*.png")))
    for link in re.findall(r"\]\((.*?)\)", (report / "report.md").read_text()):
        assert (report / link).is_file()
    header = (report / "tables" / "per_class.csv").read_text().splitlines()[0]
    assert "unet-scratch-bce (n=3)" in header


def test_hostile_names_stay_text(tmp_path):
    bad = cell("unet-scratch", HOSTILE)
    classes = (HOSTILE, "a$b$", "_hidden", "**bold**\nnew")
    root = write_study(tmp_path / HOSTILE.replace("/", ""), [bad, DICE], classes)
    write_run(root, bad, 0)
    write_run(root, DICE, 0, end="failed", error=HOSTILE)
    out = write_report(read_study(root), tmp_path / "out").parent
    page, text = (out / "index.html").read_text(), (out / "report.md").read_text()
    assert "<script" not in page and "&lt;script&gt;alert(1)&lt;/script&gt;|x" in page
    assert "<script" not in text.split("```")[0]
    rows = [line for line in text.splitlines() if line.startswith("|") and "alert" in line]
    assert rows and all("alert(1)&lt;/script&gt;\\|x" in row for row in rows)
    summary = [line for line in text.splitlines() if line.startswith("| unet-scratch | ")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in summary} == {14}
    assert escape("a|b\n`c` [d](e) *f* & \\") == r"a\|b \`c\` \[d](e) \*f\* &amp; \\"


def test_study_without_runs_or_panel_still_reports(tmp_path):
    root = write_study(tmp_path / "s", [BCE])
    (root / "panel.npz").unlink()
    text = (write_report(read_study(root), tmp_path / "o").parent / "report.md").read_text()
    assert "0 of 0 runs" in text and "| not run |" in text and "no example images" in text
    assert "None." not in text and "No finished run has a dev curve." in text
    assert "Score at equal time needs two arms" in text
    assert "there is nothing to compare" in text and "declared no contrasts" in text


def test_command_line(tmp_path, capsys):
    root = write_study(tmp_path / "s", [BCE])
    write_run(root, BCE, 0)
    write_run(root, BCE, 1, environment={"commit": ""})
    assert main(["--study", "s", "--out", str(tmp_path)]) == 0
    assert "git checkout" not in (root / "report" / "report.md").read_text()
    assert Path(capsys.readouterr().out.strip()) == root / "report" / "index.html"
    assert main(["--study", "t", "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "studies beside it: s" in error


def test_figures_are_figures(study):
    per_class, n = tables.per_class(study), tables.n_finished(study)
    figure = figures.per_class_map(per_class, n)
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert isinstance(figure, Figure) and labels[2] == "ring (not in test)"
    curves = figures.learning_curves(tables.history(study), ["bce", "dice_bce"])
    assert len(curves.axes) == 1  # only one network has finished runs
    assert sum(str(line.get_gid()).startswith("seed") for line in curves.axes[0].lines) == 6


def write_maps(run: Path, maps) -> None:
    np.savez(run / "panel.npz", **{f"prediction_{i}": m for i, m in enumerate(maps)})


def test_the_image_of_most_disagreement_by_class(tmp_path):
    """Masks of 12 x 16 pixels: columns 0-7 background, 8-11 disc, of image c also 12-15 bar."""
    root = write_study(tmp_path / "s", [BCE, DICE, TUNED, NEVER])
    truth = np.zeros((3, 12, 16), np.uint8)
    truth[:, :, 8:12] = 1
    truth[2, :, 12:] = 2
    truth[:, 0] = 255  # 11 rows are scored
    arrays = {
        f"{kind}_{i}": truth[i] if kind == "mask" else np.zeros((12, 16, 3), np.uint8)
        for i in range(3)
        for kind in ("image", "mask")
    }
    np.savez(root / "panel.npz", names=np.array(["a", "b", "c"]), **arrays)
    half = truth.copy()
    half[0, :, 10:12] = 0  # half of disc missed in a
    half[1, 5:, 8:12] = 0  # 7 of 11 rows of it in b
    runs = [write_run(root, one, seed) for one, seed in ((BCE, 1), (DICE, 0), (TUNED, 0))]
    for run, maps in zip(runs, (truth, half, truth), strict=True):
        write_maps(run, maps)
    study = read_study(root)
    shown = examples(study, DICE["arm"])
    assert [run.name for run in shown.runs] == [
        "unet-scratch-bce seed 1",
        "unet-scratch-dice_bce seed 0",
        "unet-scratch-bce-tuned seed 0",
    ]
    assert (shown.without, shown.left_out) == ((), ())
    table = disagreement(study, shown).set_index("class")
    assert table.index.tolist() == ["background", "disc", "bar"]  # ring: in no image
    assert table["image"].tolist() == ["b", "b", "c"]
    # what is wrong about disc in b is 7 x 4 pixels of 11 x 16
    assert table["spread"].tolist() == pytest.approx([28 / 176, 28 / 176, 0])
    assert table.loc["disc", DICE["arm"]] == pytest.approx(4 / 11)
    blocks = example_sections.predictions(study, shown, table.reset_index(), DICE["arm"])
    assert "IoU the same to the second decimal: bar. In none of these images: ring." in (
        blocks[0].caption
    )
    write_maps(runs[1], half[:1])  # a run from before the pool grew: what all share is compared
    shown = examples(study, DICE["arm"])
    table = disagreement(study, shown)
    assert table["image"].tolist() == ["a", "a"] and "the first 1 of the 3 example images" in (
        example_sections.predictions(study, shown, table, DICE["arm"])[0].caption
    )
    write_maps(runs[1], [half[0][:5]])
    with pytest.raises(ValueError, match=r"dice_bce seed 0 must have a map of a .*got \(5, 16\)"):
        examples(study, None)
    (runs[1] / "panel.npz").unlink()
    assert examples(study, None).without == (DICE["arm"],)


def test_the_baseline_and_the_chosen_arm_are_always_shown(tmp_path, monkeypatch):
    monkeypatch.setattr("analysis.report.examples.MOST_ARMS", 2)
    root = write_study(tmp_path / "s", [BCE, DICE, TUNED], baseline=TUNED["arm"])
    for one in (BCE, DICE, TUNED):
        write_run(root, one, 0)
    shown = examples(read_study(root), DICE["arm"])
    assert [run.arm for run in shown.runs] == [DICE["arm"], TUNED["arm"]]
    assert shown.left_out == (BCE["arm"],)


def test_commands_say_only_what_ran(tmp_path):
    cells = [
        cell(network, loss)
        for network in ("unet-scratch", "resnetunet-scratch")
        for loss in ("bce", "dice_bce", "focal_tversky")
    ]

    def said(*ran: int) -> str:
        root = write_study(tmp_path / "-".join(map(str, ran)), cells)
        for index in ran:
            write_run(root, cells[index], 0)
        return str(commands(read_study(root), root))

    assert "--only" not in said(0, 1, 2, 3, 4, 5)
    assert "--only network=resnetunet-scratch --study" in said(3, 4, 5)
    assert "--only network=unet-scratch --only loss=bce,focal_tversky --study" in said(0, 2)
    odd = said(0, 4)  # no product of values
    assert "--only" not in odd and "more than was run here: unet-scratch-dice_bce, " in odd


def test_latex_prints_names_as_they_are():
    table = pd.DataFrame({"a_b": ["50 % & <x>", "$^\\{~"], "n": [1.0, math.nan]})
    text = latex(table)
    assert r"a\_b & n" in text and r"50 \% \& \textless{}x\textgreater{} & 1.0000" in text
    assert r"\$\textasciicircum{}\textbackslash{}\{\textasciitilde{} & --" in text


def test_voc_colours():
    assert voc_palette()[[0, 1, 2, 15, 20]].tolist() == [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [192, 128, 128],
        [0, 64, 128],
    ]
    assert colourize(np.full((4, 4), 255, np.uint8)).min() >= 200
