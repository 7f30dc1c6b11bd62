"""--check: the page that shows a data set as a study would see it."""

from __future__ import annotations

from rich.console import Console

from study.commands.hooks import Analysis
from study.commands.opening import prepare_data
from study.commands.place import safe_name
from study.commands.request import Request
from study.commands.settings import pairs_of, parse_settings
from study.describe import inspect_data
from study.execution import preflight
from study.record import Inspection
from study.values import ConfigError, digest


def check(request: Request, console: Console, analysis: Analysis) -> int:
    """Write the page, print what it says in short."""
    settings = parse_settings(pairs_of(request.set, "--set"))
    if others := settings.loss_params:
        raise ConfigError(f"--check takes settings of the data only, got {', '.join(others)}")
    device = preflight.resolve_device(request.device)
    data = prepare_data(request, settings, device, console)
    facts, sheet = inspect_data(data.store, data.folder, data.recipe)
    page, lines = analysis.check(facts, sheet, request.out / "check" / page_name(facts))
    for line in (*lines, f"check: {page}"):
        console.print(line)
    return 0


def page_name(facts: Inspection) -> str:
    """Of the page's folder: the data's name and what tells folders of one name apart."""
    return f"{safe_name(facts.name)}-{digest(facts.path)[:6]}"
