"""What a study is called: as given, or after its matrix and its data."""

from __future__ import annotations

from study.commands.place import check_name, safe_name
from study.commands.request import Request
from study.presets import data_name


def study_name(request: Request) -> str:
    """The name given, or `<matrix>-<data>` with other letters than a name may have as -.

    Raises: ConfigError for a name or a device that cannot be.
    """
    device = request.device
    if device != "cpu" and (device != "auto" or (request.study is None and request.data == "voc")):
        from study.execution.preflight import resolve_device  # slow to import: it asks torch

        device = resolve_device(device)
    if request.study is None:
        return safe_name(f"{request.matrix}-{data_name(request.data, device) or 'data'}")
    check_name(request.study)
    return request.study
