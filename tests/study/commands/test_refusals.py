"""What a command line asks for that cannot be: one line, exit 2, nothing begun."""

import pytest

import runs
from study.matrix import Matrix
from tests.helpers import TINY, flags

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "words, message",
    [
        (["--data", "nowhere"], "or an existing folder"),
        (["--matrix", "defualt"], "'defualt' is unknown; did you mean default?"),
        (["--set", "epoch=3"], "'epoch' is unknown; did you mean epochs?"),
        (["--set", "epochs"], "--set must look like name=value, got 'epochs'"),
        (["--set", "loss.share=2"], r"share must be in [0, 1], got 2"),
        (["--set", "loss.activation=sigmoid", "--matrix", "m"], "'m' is unknown"),
        (
            ["--set", "crop_px=60", "--study", "new"],
            "crop_px must be a multiple of 8 for unet, got 60",
        ),
        (["--only", "modle=unet"], "'modle' is unknown; did you mean model?"),
        (
            ["--only", "loss=dice"],
            "--only loss must be among bce, dice_bce, focal_tversky, got dice",
        ),
        (["--seeds", "0"], "--seeds must be at least 1 and at most 1000, got 0"),
        (["--device", "tpu"], "device must be auto, cpu or cuda, got 'tpu'"),
        (["--study", "../x"], "--study must be letters"),
        (["--set", "epochs=auto", "--study", "new"], "epochs must be int, got 'auto'"),
        (["--set", "width=none", "--study", "new"], "width must be int, got 'none'"),
        (["--set", "tune.trials=3"], "--set tune.trials belongs to --tune"),
        (
            ["--tune", "--set", "tune.trials=0"],
            "tune.trials must be a whole number above 0, got '0'",
        ),
        (
            ["--tune", "--set", "tune.epochs=-9"],
            "tune.epochs must be a whole number above 0, got '-9'",
        ),
        (["--tune", "--set", "tune.epochs=9", "--set", "tune.trials=1"], "not both"),
        (
            ["--tune", "--set", "tune.sampler=grid"],
            "tune.sampler must be one of tpe, gp, random, got",
        ),
        (
            ["--tune", "--set", "tune.pruner=asha"],
            "tune.pruner must be one of median, hyperband, none",
        ),
        (
            ["--tune", "--set", "tune.objective=dice"],
            "tune.objective must be one of miou, rare, got",
        ),
        (
            ["--tune", "--set", "tune.name=../x"],
            "tune.name must be letters, digits and _, got '../x'",
        ),
        (["--tune", "--set", "tune.budget=9"], "--set field 'tune.budget' is unknown; "),
        (["--tune", "--set", "tune.epochs=1"], "tune.epochs must be at least the 2 epochs of one"),
        (["--set", "tuning=tune"], "tuning must be one of default, tuned, got 'tune'"),
        (["--only", "seed=0,7", "--study", "new"], "--only seed must be below --seeds 3, got 7"),
        (["--seeds", "1001", "--study", "new"], "--seeds must be at least 1 and at most 1000"),
        (["--set", "tuning=tuned", "--study", "new"], "no finished tuning for unet-w4-scratch-bce"),
        (["--set", "width=8"], "was declared with width=4 (now 8)"),
        (["--set", "retries=x"], "retries must be a whole number, 0 or more, got 'x'"),
        (
            ["--set", "accumulate=3", "--study", "new"],
            "accumulate must divide batch_size, got 3 and 4",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_2(grid, out, data, words, message, capsys):
    verb = [] if "--tune" in words else ["--grid"]
    given = [*verb, "--data", str(data), "--matrix", "losses", "--study", "s", "--out", str(out)]
    changed = words[1].split("=")[0]
    settings = flags(**{changed: None}) if changed in TINY else flags()
    assert runs.main([*given, *settings, *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (out / "new/study.json").exists()  # bad input starts no study


BCE = {"model": "unet", "init": "scratch", "loss": "bce"}


@pytest.mark.parametrize(
    "mine, message",
    [
        ({"cells": ({"model": "unet", "loss": "bce"},)}, "a cell must have init, got"),
        ({"cells": ({**BCE, "loss": "bcee"},)}, "loss must be one of ce, bce, "),
        ({"axes": {"model": (["unet"],), "init": ("pretrained",)}}, "unhashable type: 'list'"),
    ],
)
def test_a_matrix_that_cannot_be_read_is_named(tmp_path, monkeypatch, capsys, mine, message):
    monkeypatch.setitem(runs.MATRICES, "mine", Matrix(**mine))
    assert runs.main(["--plan", "--matrix", "mine", "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert f"matrix mine of runs.py cannot be read: {message}" in error and error.count("\n") == 1
