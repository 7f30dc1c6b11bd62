"""study.json: what a study compares, written when it is created and held to ever after."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from seglib.data.integrity import changes, find_store
from seglib.losses import LOSSES, loss_spec
from seglib.metrics import CONTRACT
from seglib.models import model_spec
from study.config import AXES, ENVIRONMENT, FIELDS, RECIPE, RunConfig, unknown_name
from study.matrix import Matrix
from study.record.rundir import RunDir, parse_json, write_json

FORMAT = 1
CROSS_ENTROPY_FIELDS = {"class_weight_exponent": 0.0, "background_multiplier": 1.0}


class StudyError(ValueError):
    """A study cannot be created or continued as asked; the message says what to do."""


class Study:
    """A declared study: `declaration` is the content of study.json under `path`."""

    def __init__(self, path: Path, declaration: dict) -> None:
        self.path, self.declaration = path, declaration

    @property
    def name(self) -> str:
        return self.declaration["name"]

    @property
    def cells(self) -> list[dict]:
        return self.declaration["cells"]

    def save(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.path / "study.json", self.declaration)

    def config(self, cell: Mapping, seed: int, *, role: str = "final", **more: object) -> RunConfig:
        """The configuration of one run of a cell; pretrained cells need the weights resolved."""
        values = dict(cell["values"])
        recipe = dict(self.declaration["recipe"])
        spec = loss_spec(values["loss"])
        given = self.declaration["loss_params"] | values
        params = {name: given[f"loss.{name}"] for name in spec.params if f"loss.{name}" in given}
        values = {
            name: v
            for name, v in values.items()
            if name != "label" and not name.startswith("loss.")
        }
        if not spec.cross_entropy:
            recipe |= {k: v for k, v in CROSS_ENTROPY_FIELDS.items() if k not in values}
        weights = self.declaration["weights"].get(self.encoder(cell))
        if weights and values["init"] == "pretrained":
            values |= {"weights": weights["sha256"], "weights_source": weights["source"]}
        config = {
            "data": self.declaration["data"]["fingerprint"],
            "seed": seed,
            "role": role,
            "loss_params": params,
            **recipe,
            **values,
            **more,
        }
        return RunConfig(**config)

    @staticmethod
    def _check_cell(values: Mapping) -> None:
        if missing := [name for name in ("model", "init", "loss", "tuning") if name not in values]:
            raise StudyError(f"a cell must have {', '.join(missing)}, got {dict(values)}")
        declared = {f"loss.{name}" for name in loss_spec(values["loss"]).params}
        if unknown := [n for n in values if n not in {*RECIPE, *AXES, *declared, "label"}]:
            raise StudyError(f"a cell with loss {values['loss']} cannot set {', '.join(unknown)}")

    def resolvable(self, cell: Mapping) -> bool:
        """Whether the cell's run ids are known (a pretrained one needs its weights' hash)."""
        return cell["values"]["init"] != "pretrained" or (
            self.encoder(cell) in self.declaration["weights"]
        )

    def encoder(self, cell: Mapping) -> str:
        """The classifier whose pretrained weights a cell would use; "" where it can use none."""
        values = cell["values"]
        encoder = values.get("encoder", self.declaration["recipe"]["encoder"])
        return model_spec(values["model"]).classifier_for(encoder)

    def stand_in(self, cell: Mapping) -> dict[str, str]:
        """Weights for a configuration that is looked at before the real ones are known."""
        return {} if self.resolvable(cell) else {"weights": "0" * 64, "weights_source": "?"}

    def run_dir(self, config: RunConfig) -> RunDir:
        return RunDir(self.path / "runs" / config.run_id)

    def set_weights(self, encoder: str, source: str, sha256: str) -> None:
        """Record an encoder's pretrained weights; another file than before is another recipe."""
        old, new = self.declaration["weights"].get(encoder), {"source": source, "sha256": sha256}
        if old and old != new:
            raise StudyError(
                f"study {self.name} was run with weights {old['source']} {old['sha256'][:12]}, "
                f"got {source} {sha256[:12]}; use --study NEWNAME for a new study"
            )
        self.declaration["weights"][encoder] = new
        self.fill_ids()

    def fill_ids(self) -> None:
        """Name and hash every cell as far as that is known."""
        same: dict[str, dict] = {}
        for cell in self.cells:
            values = cell["values"]
            self._check_cell(values)
            known = self.resolvable(cell)
            config = self.config(cell, 0, **self.stand_in(cell))
            cell["network"] = config.network
            cell["cell_id"] = config.cell_id if known else None
            twin = same.setdefault(config.cell_id, cell)
            if twin is not cell:
                raise StudyError(
                    f"cells {twin['values']} and {values} are the same run: what "
                    "differs does not apply to that model or loss"
                )
            usual = f"{config.network}-{values.get('label') or values['loss']}"
            if values["tuning"] == "tuned":
                cell["arm"] = f"{cell.get('default', usual)}-tuned"
                continue
            extra = [f"{k}={v}" for k, v in values.items() if k not in (*AXES, "label")]
            cell["arm"] = "-".join([usual, *([] if "label" in values else extra)])
        arms = [cell["arm"] for cell in self.cells]
        if len(set(arms)) != len(arms):
            raise StudyError(f"arms must have different names, got {', '.join(arms)}")

    def add_cells(self, cells: Mapping[str, tuple[dict, dict]]) -> None:
        """Add the tuned sisters of default arms, with how they were chosen.

        Their contrasts: each with its default arm, and those planned between default arms once
        more between their tuned sisters. A cell that is there already must be the same.

        Args:
            cells: default arm -> the tuned cell's values, and how they were found.
        """
        for default, (values, chosen) in cells.items():
            cell = {"values": values, "default": default}
            trial = Study(self.path, {**copy.deepcopy(self.declaration), "cells": [cell]})
            trial.fill_ids()
            tuned = trial.cells[0]["arm"]
            same = [c for c in self.cells if c["arm"] == tuned]
            if same and same[0]["values"] != values:
                raise StudyError(
                    f"study {self.name} has {tuned} with other tuned values than "
                    "the tuning now holds; use --study NEWNAME for a new study"
                )
            self.declaration.setdefault("tunings", {})[tuned] = chosen
            if same:
                continue
            self.cells.append(trial.cells[0])
            self._add_contrast("tuning", tuned, default)
        arms = {cell["arm"] for cell in self.cells}
        for contrast in list(self.declaration["contrasts"]):
            pair = [f"{contrast[side]}-tuned" for side in "ab"]
            if set(pair) <= arms:
                self._add_contrast(f"{contrast['family']}, tuned", *pair)

    def _add_contrast(self, family: str, a: str, b: str) -> None:
        contrast = {"name": f"{a} minus {b}", "family": family, "a": a, "b": b}
        if contrast not in self.declaration["contrasts"]:
            self.declaration["contrasts"].append(contrast)


def declare(
    path: Path,
    *,
    matrix_name: str,
    matrix: Matrix,
    data: dict,
    recipe: Mapping[str, object],
    loss_params: Mapping[str, object],
    pretrained: str,
    given: Mapping[str, object],
) -> Study:
    """A fresh declaration, not saved yet. `given` is what the user typed: data and settings."""
    cells = matrix.expand()
    study = Study(
        path,
        {
            "format": FORMAT,
            "name": path.name,
            "uuid": uuid.uuid4().hex,
            "created": datetime.now(UTC).isoformat("T", "seconds"),
            "matrix": matrix_name,
            "data": data,
            "recipe": dict(recipe),
            "loss_params": dict(loss_params),
            "pretrained": pretrained,
            "weights": {},
            "given": dict(given),
            "cells": [{"values": cell} for cell in cells],
            "excluded": [{"where": where, "reason": why} for where, why in matrix.excluded()],
            "smallest_difference": matrix.smallest_difference,
            "contract": CONTRACT,
        },
    )
    study.fill_ids()
    arms = [cell["arm"] for cell in study.cells]
    baseline = [
        c["arm"]
        for c in study.cells
        if all(c["values"].get(k) == v for k, v in matrix.baseline.items())
    ]
    if not baseline:
        raise StudyError(
            f"the baseline of matrix {matrix_name} must be one of its cells, got "
            f"{dict(matrix.baseline)}"
        )
    study.declaration["baseline"] = baseline[0]
    study.declaration["contrasts"] = [
        {"name": f"{arms[i]} minus {arms[j]}", "family": family, "a": arms[i], "b": arms[j]}
        for family, i, j in matrix.pairs(cells)
    ]
    return study


def load(path: Path) -> Study:
    """The study stored at `path`; StudyError when there is none."""
    file = path / "study.json"
    try:
        declaration = parse_json(file.read_bytes())
    except FileNotFoundError:
        there = sorted(p.parent.name for p in path.parent.glob("*/study.json"))
        raise StudyError(
            f"study {path.name} does not exist in {path.parent}; "
            + (f"there are {', '.join(there)}" if there else "run `python runs.py --grid` first")
        ) from None
    except (OSError, ValueError) as error:
        raise StudyError(f"{file} must be readable JSON: {error}") from None
    found = declaration.get("format") if isinstance(declaration, dict) else declaration
    if found != FORMAT:
        raise StudyError(f"{file} must have format {FORMAT}, got {str(found)[:40]}")
    try:
        return _whole(path, declaration)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else error
        raise StudyError(
            f"{file} must be as it was written, got {what}; restore it, use the "
            "version that wrote it, or --study NEWNAME"
        ) from None


# what is read from a stored declaration beyond its cells and recipe
SHAPE = {
    "name": str,
    "uuid": str,
    "matrix": str,
    "pretrained": str,
    "loss_params": dict,
    "contrasts": list,
    "excluded": list,
    "data": dict,
}
DATA_SHAPE = {
    "name": str,
    "fingerprint": str,
    "classes": list,
    "background": bool,
    "n_images": dict,
    "notes": list,
    "constant_floor": dict,
}


def _whole(path: Path, declaration: dict) -> Study:
    """The study of a declaration whose cells hash to the ids that stand beside them."""
    for record, shape in ((declaration, SHAPE), (declaration["data"], DATA_SHAPE)):
        for name, kind in shape.items():
            if not isinstance(record[name], kind):
                raise TypeError(f"{name} {str(record[name])[:40]}")
    for entry in declaration["excluded"]:
        entry["where"].items(), entry["reason"]
    floor = declaration["data"]["constant_floor"]
    floor["class"], float(floor["test_miou"])
    declaration["weights"] = weights = declaration["weights"] or {}
    if "source" in weights:  # written before a study could have several encoders
        declaration["weights"] = {declaration["recipe"]["encoder"]: weights}
    study = Study(path, declaration)
    stored = [(cell["arm"], cell["network"], cell["cell_id"]) for cell in study.cells]
    study.fill_ids()
    for cell, before in zip(study.cells, stored, strict=True):
        if before != (now := (cell["arm"], cell["network"], cell["cell_id"])):
            raise ValueError(f"a cell {before} whose settings are those of {now}")
    return study


def open_or_create(fresh: Study, *, given: frozenset[str] = frozenset()) -> tuple[Study, bool]:
    """The stored study that `fresh` asks for, or `fresh` itself; second: whether it is new.

    `given` names what the user set; precision left to `auto` follows the stored study.
    Raises: StudyError with both values when the stored study has another recipe.
    """
    if not (fresh.path / "study.json").exists():
        return fresh, True
    stored = load(fresh.path)
    old, new = stored.declaration, fresh.declaration
    if "precision" not in given:
        new["recipe"]["precision"] = old["recipe"].get("precision")
    differences, flags = [], []
    for name in (*RECIPE, *sorted(old["loss_params"] | new["loss_params"])):
        table = "loss_params" if name.startswith("loss.") else "recipe"
        # a field that is newer than the study had its first default there
        first = None if table == "loss_params" else FIELDS[name].metadata["introduced"]
        before, now = old[table].get(name, first), new[table].get(name, first)
        if before != now:
            differences.append(f"{name}={_shown(before)} (now {_shown(now)})")
            if before is not None or table == "recipe":
                flags.append(f"--set {name}={_shown(before)}")
    # another max_side changes the stored pixels, and with them the fingerprint
    if old["recipe"].get("max_side") == new["recipe"].get("max_side") and (
        found := _other_data(stored, fresh)
    ):
        differences.append(found)
        flags.append("the same data")
    for name in ("pretrained", "matrix"):
        if old[name] != new[name]:
            differences.append(f"{name} {old[name]} (now {new[name]})")
            flags.append(f"--{name} {old[name]}")
    if old.get("contract", CONTRACT) != CONTRACT:
        differences.append(f"the metric contract {old['contract']} (now {CONTRACT})")
    cells = [c["values"] for c in old["cells"] if c["values"]["tuning"] == "default"]
    if not differences and cells != [c["values"] for c in new["cells"]]:
        differences.append(f"the cells of matrix {old['matrix']} as they were")
    if differences:
        back = f"give {' '.join(flags)} to continue it, or " if flags else "use "
        raise StudyError(
            f"study {stored.name} was declared with {', '.join(differences)}; "
            f"{back}--study NEWNAME for a new one"
        )
    return stored, False


def _other_data(stored: Study, fresh: Study) -> str:
    """How the data differ, file by file where the stored study's decoded images are still there."""
    (was, before), (now, after) = (
        (data["fingerprint"], data.get("path"))
        for data in (stored.declaration["data"], fresh.declaration["data"])
    )
    if was == now:
        return ""
    places = f" from {before}" * (before != after), f" from {after}" * (before != after)
    stores = [find_store(fresh.path.parent / "store", fingerprint) for fingerprint in (was, now)]
    what = changes(*stores) if all(stores) else "the images as first decoded are no longer there"
    return f"data {was[:12]}{places[0]} (now {now[:12]}{places[1]}: {what})"


def _shown(value: object) -> str:
    return "none" if value is None else str(value)


def split_settings(settings: Mapping[str, str]) -> tuple[dict, dict, dict]:
    """Sort `--set` names into recipe and environment fields, as text, and checked loss parameters.

    Raises: ConfigError listing near misses for an unknown name.
    """
    loss_names = {
        f"loss.{name}": param for spec in LOSSES.values() for name, param in spec.params.items()
    }
    settable = set(ENVIRONMENT) - {"store", "weights_path", "device"}
    recipe, loss_params, environment = {}, {}, {}
    for name, text in settings.items():
        if name in RECIPE:
            recipe[name] = text
        elif name in loss_names:
            loss_params[name] = loss_names[name].check(name, text)
        elif name in settable:
            environment[name] = text
        else:
            known = {*RECIPE, *loss_names, *settable, "tuning", "tune.trials", "retries"}
            raise unknown_name(name, known, "--set field")
    return recipe, loss_params, environment


assert set(CROSS_ENTROPY_FIELDS) <= set(FIELDS)
