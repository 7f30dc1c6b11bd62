"""Which example predictions are shown, and of which arms."""

from pathlib import Path

import numpy as np
import pytest

from analysis.records import read_study
from analysis.report import predictions
from analysis.report.examples import disagreement, examples
from tests.analysis.studies import BCE, DICE, NEVER, TUNED, write_run, write_study


def write_maps(run: Path, maps) -> None:
    np.savez(run / "panel.npz", **{f"prediction_{i}": m for i, m in enumerate(maps)})


@pytest.mark.slow
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
    shown = examples(study, DICE.arm)
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
    assert table.loc["disc", DICE.arm] == pytest.approx(4 / 11)
    blocks = predictions.predictions(study, shown, table.reset_index(), DICE.arm)
    assert "IoU the same to the second decimal: bar. In none of these images: ring." in (
        blocks[0].caption
    )
    write_maps(runs[1], half[:1])  # a run from before the pool grew: what all share is compared
    shown = examples(study, DICE.arm)
    table = disagreement(study, shown)
    assert table["image"].tolist() == ["a", "a"] and "the first 1 of the 3 example images" in (
        predictions.predictions(study, shown, table, DICE.arm)[0].caption
    )
    write_maps(runs[1], [half[0][:5]])
    with pytest.raises(ValueError, match=r"dice_bce seed 0 must have a map of a .*got \(5, 16\)"):
        examples(study, None)
    (runs[1] / "panel.npz").unlink()
    assert examples(study, None).without == (DICE.arm,)


def test_the_baseline_and_the_chosen_arm_are_always_shown(tmp_path, monkeypatch):
    monkeypatch.setattr("analysis.report.examples.MOST_ARMS", 2)
    root = write_study(tmp_path / "s", [BCE, DICE, TUNED], baseline=TUNED.arm)
    for one in (BCE, DICE, TUNED):
        write_run(root, one, 0)
    shown = examples(read_study(root), DICE.arm)
    assert [run.arm for run in shown.runs] == [DICE.arm, TUNED.arm]
    assert shown.left_out == (BCE.arm,)
