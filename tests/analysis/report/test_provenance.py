"""The commands of a report."""

import pytest

from analysis.records import read_study
from analysis.report.provenance import commands, provenance
from analysis.report.write import write_report
from study.record import files
from tests.analysis.studies import BCE, cell, write_run, write_study


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


@pytest.mark.slow
def test_a_commit_is_checked_out_where_all_runs_have_one(tmp_path):
    root = write_study(tmp_path / "s", [BCE])
    write_run(root, BCE, 0)
    assert "git checkout abc123" in str(commands(read_study(root), root))
    write_run(root, BCE, 1, environment={"commit": ""})
    page = write_report(read_study(root), root / files.REPORT)
    assert page == root / "report" / "index.html"
    assert "git checkout" not in (root / "report" / "report.md").read_text()
    with pytest.raises(ValueError, match="studies beside it: s;") as error:
        read_study(tmp_path / "t")
    assert "\n" not in str(error.value)


def test_commands_name_the_factor_that_tells_what_ran(tmp_path):
    cells = [
        cell("unet-scratch", loss, factors={"augmentation": level}, scale_max=scale)
        for loss in ("bce", "dice_bce")
        for level, scale in (("weak", 1.1), ("strong", 2.0))
    ]
    levels = {"weak": {"scale_max": 1.1}, "strong": {"scale_max": 2.0}}
    root = write_study(tmp_path / "s", cells, factors={"augmentation": levels})
    for one in cells[::2]:
        write_run(root, one, 0)
    assert "--seeds 1 --only augmentation=weak --study" in str(commands(read_study(root), root))


def test_commands_write_a_number_as_only_reads_it(tmp_path):
    cells = [cell("unet-scratch", "bce", cell_id=f"{lr}", lr=lr) for lr in (1.0, 2.5)]
    cells = [one.having(arm=f"{one.arm}-lr={one.cell_id}") for one in cells]
    root = write_study(tmp_path / "s", cells)
    write_run(root, cells[0], 0)
    assert "--seeds 1 --only lr=1 --study" in str(commands(read_study(root), root))


def test_networks_from_elsewhere_are_told_with_their_source(tmp_path):
    sources = {"nets:make": "ab12", "smp:Unet/resnet18": "segmentation-models-pytorch 0.6.0"}
    told = provenance(read_study(write_study(tmp_path / "s", [BCE], sources=sources)))
    assert told["networks from elsewhere"] == (
        "nets:make: ab12; smp:Unet/resnet18: segmentation-models-pytorch 0.6.0"
    )
    plain = provenance(read_study(write_study(tmp_path / "t", [BCE])))
    assert plain["networks from elsewhere"] == "none"
