"""Numbers of an answer: noise, families, effects; what cannot be scored."""

import numpy as np
import pytest

from analysis.answer import answer
from analysis.records import read_study
from analysis.report.write import write_report
from analysis.tables import contrasts
from tests.analysis.made import about, make, said
from tests.analysis.studies import BCE, DICE, cell, contrast, redeclare


def test_noise_between_images_counts_with_groups_too(tmp_path):
    arms = [(BCE, range(3), (0.8, 0.6, 0.5), 0.01), (DICE, range(3), (0.8, 0.6, 0.5), 0.01)]
    root = make(tmp_path / "s", arms)
    plain = said(root)[1].noise.iloc[0]
    groups = {name: name for name in "abcdefghij"}  # each its own
    redeclare(root, test_groups=groups)
    _, found, lines = said(root)
    assert found.noise.iloc[0]["detectable"] == pytest.approx(plain["detectable"])
    assert found.noise.iloc[0]["image sd"] > 0
    redeclare(root, test_groups={**groups, "a": "b"})
    assert "10 test images in 9 groups" in about(said(root)[2], "unet-scratch-dice_bce")


@pytest.mark.slow
def test_a_pair_in_two_families_is_adjusted_in_each(tmp_path):
    arms = [(BCE, range(3), (0.9, 0.5, 0.4), 0.01), (DICE, range(3), (0.9, 0.8, 0.7), 0.01)]
    root = make(
        tmp_path / "s",
        arms,
        contrasts=[contrast(DICE, BCE), contrast(DICE, BCE, "again"), contrast(BCE, DICE, "again")],
    )
    study, found, _ = said(root)
    one, again, _ = found.contrasts
    assert again.miou.low < one.miou.low and len(contrasts.terciles(found)) in (0, 6)
    assert write_report(study, tmp_path / "report").exists()


def test_effects_and_noise_of_a_full_product(tmp_path):
    base = {"unet-scratch": 0.4, "resnetunet-scratch": 0.6}
    arms = []
    for network, level in base.items():
        for loss, gain in (("bce", 0.0), ("dice_bce", 0.2)):
            more = gain if network == "unet-scratch" else 0.0  # the loss helps one network only
            arms.append((cell(network, loss), range(4), (0.9, level + more, level + more), 0.005))
    study, found, lines = said(make(tmp_path / "s", arms))
    effects = found.effects.set_index("effect")
    assert effects["kind"].tolist() == ["network", "loss", "interaction"]
    inter = effects.loc["resnetunet-scratch minus unet-scratch: under dice_bce minus under bce"]
    assert inter["verdict"] == "worse" and inter["estimate"] < -0.08
    main = effects.loc["dice_bce minus bce"]
    single = found.contrasts[0].difference.miou.estimate
    assert main["estimate"] == pytest.approx(single + inter["estimate"] / 2, abs=1e-9)
    assert found.noise["network"].tolist() == list(base) and (found.noise["detectable"] > 0).all()
    assert about(lines, "unet-scratch, 4 seeds per arm: a true difference of ")


def test_other_images_or_shapes_are_refused(tmp_path):
    arms = [(BCE, [0], (0.8, 0.6, 0.5), 0), (DICE, [0], (0.8, 0.6, 0.5), 0)]
    root = make(tmp_path / "s", arms)
    file = next(p for p in (root / "runs").glob("*/confusion.npz"))
    with np.load(file) as arrays:
        kept = dict(arrays)
    np.savez(file, **kept | {"test_names": kept["test_names"][::-1]})
    with pytest.raises(ValueError, match="must be scored on the same test images in"):
        answer(read_study(root))
    np.savez(file, **kept | {"test": kept["test"][:, :3, :3]})
    with pytest.raises(ValueError, match="10 images and 4 classes, got 10 and 3"):
        answer(read_study(root))
    moved = kept["test"].copy()
    moved[:, 1, 1], moved[:, 1, 3] = moved[:, 1, 3], moved[:, 1, 1].copy()
    np.savez(file, **kept | {"test": moved})
    with pytest.raises(ValueError, match="must have confusions that give its test mIoU"):
        answer(read_study(root))
    file.write_bytes(file.read_bytes()[:99])
    with pytest.raises(ValueError, match="must be a whole .npz file, got"):
        answer(read_study(root))
