"""The command line: words in, a Request out. The only file that imports argparse."""

from __future__ import annotations

import argparse
import typing
from collections.abc import Iterable, Sequence

from study.commands.request import Request, Verb
from study.commands.streams import complain
from study.commands.words import one_line


def parse(argv: Sequence[str] | None, matrices: Iterable[str]) -> Request:
    """Read a command line; argparse ends the program where it cannot be read.

    Raises: ConfigError for what can be read but makes no sense.
    """
    given = vars(parser(matrices).parse_args(argv))
    verb = next(name for name in typing.get_args(Verb) if given[name] not in (None, False))
    values = {name: value for name, value in given.items() if name in Request.model_fields}
    if verb in ("check", "convert"):
        values["data"] = given[verb]
    return Request.checked({**values, "verb": verb})


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> typing.NoReturn:
        """One line, as for all bad input, instead of the whole usage."""
        complain(f"{one_line(message)}; `python runs.py --help` lists the flags")
        raise SystemExit(2)


def parser(matrices: Iterable[str]) -> argparse.ArgumentParser:
    """What reads the command line."""
    made = _Parser(
        prog="runs.py",
        description="Train and compare a matrix of segmentation models and losses.",
        epilog=f"Matrices: {', '.join(matrices)}. Exit codes: 0 all chosen runs finished, 1 some "
        "run failed, 2 bad input or a refusal, 3 not foreseen (the line names a traceback), "
        "130 interrupted, 141 standard output could not be written.",
    )
    _add_verbs(made.add_mutually_exclusive_group(required=True))
    _add_flags(made)
    return made


def _add_verbs(verbs: argparse._MutuallyExclusiveGroup) -> None:
    verbs.add_argument(
        "--check", metavar="DATA", help="look at the images and masks (as --data) before training"
    )
    verbs.add_argument(
        "--convert", metavar="SOURCE", help="write images and masks as you have them into --to"
    )
    for name, text in (
        ("grid", "run the matrix, or what is missing"),
        ("plan", "what --grid would do and cost"),
        ("tune", "tune loss parameters, class weights and learning rate"),
        ("report", "write the report of a study"),
        ("sync", "send MLflow what it is missing of a study (after an outage)"),
    ):
        verbs.add_argument(f"--{name}", action="store_true", help=text)


def _add_flags(parser: argparse.ArgumentParser) -> None:
    default = {name: field.default for name, field in Request.model_fields.items()}

    def add(name: str, metavar: str, text: str, **more: object) -> None:
        parser.add_argument(
            f"--{name}", metavar=metavar, help=text, **({"default": default[name]} | more)
        )

    add(
        "data",
        "shapes|voc|voc2007|voc2012|FOLDER",
        "images with masks; voc is 2007 on a CPU and 2012 on a GPU; a folder in VOC's layout",
    )
    add("study", "NAME", "name of the study (default MATRIX-DATA)")
    add("matrix", "NAME", "a matrix of runs.py")
    several = {"action": "append", "default": []}
    add(
        "only",
        "AXIS=VALUE,...",
        "choose cells, e.g. model=unet or loss=bce,dice_bce; repeatable",
        **several,
    )
    add("to", "FOLDER", "of --convert: the new folder")
    add("labels", "FILE", "of --convert: the classes, a line `name`, `value name` or `r g b name`")
    add(
        "groups",
        "FILE|REGEX",
        "of --convert: what belongs together: `name group` a line, or a pattern on the names",
    )
    add("format", "NAME", "of --convert: which of several formats that fit; it names them")
    add("seeds", "N", "seeds per arm (default: the data's preset)", type=int)
    add("budget", "TIME", "fit seeds, steps and, if need be, arms into a time: 30m, 1h, 1d")
    add("workers", "N", "runs at once (default: one per core, 1 on a GPU)", type=int)
    add("device", "auto|cpu|cuda", "where to train")
    add("out", "DIR", "where everything is written")
    add(
        "pretrained",
        "pretext|imagenet|FILE",
        "encoder weights (default: pretext for shapes, imagenet otherwise)",
    )
    add(
        "set",
        "FIELD=VALUE",
        "change a recipe field, e.g. epochs=5, loss.fn_weight=0.6, tuning=tuned; repeatable",
        **several,
    )
