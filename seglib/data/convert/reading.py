"""How the values of masks become labels: decided once for all masks, or refused."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seglib.data.convert.labels import Table, is_void, shown
from seglib.data.convert.pictures import Values
from seglib.data.convert.source import Labels, few
from seglib.data.convert.survey import GREY, Seen, Survey
from seglib.data.lists import DataError
from seglib.drawing import voc_palette
from seglib.metrics import VOID

VOC_VOID = 0xE0E0C0  # the cream of VOC's borders
MOST_UNNAMED = 64  # different values of one mask that are believed without a table
TABLE_HINT = "give --labels FILE with a line '{form}' for each"


@dataclass(frozen=True)
class Reading:
    """Labels of values: of grey and palette masks, of RGB masks, or of all by their colours."""

    classes: tuple[str, ...]
    by_value: dict[int, int]
    by_colour: dict[int, int]
    palette_colours: bool  # palette masks are read by the colours of their palettes
    note: str

    def labels(self, mask: Values) -> Labels:
        """(H, W) values -> (H, W) labels in [0, C) or 255."""
        values, table = mask.values, self.by_colour if mask.coloured else self.by_value
        if mask.palette is not None and self.palette_colours:
            values, table = mask.palette[values], self.by_colour
        lookup = np.full(int(values.max()) + 1, VOID, np.uint8)
        for code, label in table.items():
            if code < len(lookup):
                lookup[code] = label
        found: Labels = lookup[values]
        return found


def decide(table: Table | None, masks: Survey, *, void_255: bool = False) -> Reading:
    """The one reading that fits every mask.

    Args:
        table: the labels given or found, or None.
        void_255: the format says that 255 is void, so masks of 0 and 255 are not binary ones.
    Raises: DataError naming a mask that does not fit, and the next step.
    """
    if table is None:
        return _without_names(masks)
    if table.kind == "colours":
        return _by_colours(table, masks)
    if any(not seen.grey for seen in masks):
        return _by_voc_colours(table, masks)
    _same_palettes(masks)
    labels, note = table.labels(), f"values of {table.path.name}: {_listed(table)}"
    if table.kind == "names" and not void_255:
        _no_mixture(masks)
        values = _all_values(masks)
        if values <= {0, VOID} and VOID in values:
            if len(table.classes) != 2 or len(table.names) != 2:
                seen = next(seen for seen in masks if VOID in seen.plain)
                raise DataError(
                    f"{seen.path} must hold the line numbers of {table.path} "
                    f"({len(table.names)} names), got masks of 0 and 255 alone; "
                    + TABLE_HINT.format(form="value name")
                )
            labels = {0: 0, VOID: 1}
            note = f"masks of 0 and 255: 255 became {table.classes[1]}"
    return _by_values(table, masks, {VOID: VOID} | labels, note)


def _listed(table: Table) -> str:
    """Which code is which class, void named as such."""
    pairs = zip(table.names, table.codes, strict=True)
    named = [(f"{name} (void)" if is_void(name) else name, code) for name, code in pairs]
    return few([f"{name} {shown(code, table.kind)}" for name, code in named if code >= 0], 12)


def _all_values(masks: Survey) -> set[int]:
    return set().union(*(seen.plain for seen in masks))


def _reading(classes: tuple[str, ...], labels: dict[int, int], note: str) -> Reading:
    """Of values, grey colours the same."""
    grey = {value * GREY: label for value, label in labels.items()}
    return Reading(classes, labels, grey, False, note)


def _by_values(table: Table, masks: Survey, labels: dict[int, int], note: str) -> Reading:
    for seen in masks:
        if unknown := sorted(seen.plain - set(labels)):
            raise DataError(
                f"{seen.path} must hold the values of {table.path} "
                f"({few([str(v) for v in sorted(labels) if v >= 0], 6)}), got "
                f"{few([str(v) for v in unknown], 6)}; " + TABLE_HINT.format(form="value name")
            )
    return _reading(table.classes, labels, note)


def _by_colours(table: Table, masks: Survey) -> Reading:
    """RGB and palette masks by their colours; grey ones by grey colours, or by the line."""
    labels = table.labels()
    lines = {line: labels[code] for line, code in enumerate(table.codes)}
    if VOID * GREY not in labels:  # white
        lines[VOID] = VOID
    grey = [seen for seen in masks if not seen.coloured and not seen.palette]
    ramps = [s for s in masks if s.palette and all(c == v * GREY for v, c in s.palette)]
    values = _all_values(Survey({(i,): s for i, s in enumerate([*grey, *ramps])}))
    as_grey = {v: labels.get(v * GREY, -1) for v in values}
    as_line = {v: lines.get(v, -1) for v in values}
    fits = [way for way in (as_grey, as_line) if -1 not in way.values()]
    if len(fits) == 2 and as_grey != as_line:
        raise DataError(
            f"{[*grey, *ramps][0].path} could hold grey colours or line numbers of {table.path}; "
            + TABLE_HINT.format(form="value name")
        )
    for seen in masks:
        by_line = bool(fits) and seen in [*grey, *ramps]
        if not by_line and (unknown := sorted(seen.colours - set(labels))):
            colours = few([shown(code, "colours") for code in unknown], 4)
            raise DataError(
                f"{seen.path} must hold the {len(labels)} colours of {table.path}, got others: "
                f"{colours}; " + TABLE_HINT.format(form="r g b name") + " (`void` is never scored)"
            )
    by_palette = any(seen.palette and seen not in ramps for seen in masks)
    if by_palette and ramps and fits and fits[0] is as_line:
        raise DataError(
            f"{ramps[0].path} must have colours of {table.path} in its palette as other masks "
            "have, got greys; export all masks alike"
        )
    note = f"colours of {table.path.name}: {_listed(table)}"
    return Reading(table.classes, fits[0] if fits else {}, labels, by_palette, note)


def _by_voc_colours(table: Table, masks: Survey) -> Reading:
    """RGB masks with names alone: VOC's colours by the line number, or refused."""
    voc = [int(r) << 16 | int(g) << 8 | int(b) for r, g, b in voc_palette()]
    colours = {voc[code]: label for code, label in table.labels().items() if 0 <= code < VOID}
    colours |= {VOC_VOID: VOID}
    for seen in masks:
        if not seen.colours <= set(colours) or table.kind != "names":
            got = few([shown(code, "colours") for code in sorted(seen.colours)], 12)
            raise DataError(
                f"{seen.path} must have a colour for each class in a table, got RGB colours {got} "
                f"and no colours in {table.path}; " + TABLE_HINT.format(form="r g b name")
            )
    grey = {code // GREY: label for code, label in colours.items() if code % GREY == 0}
    note = "VOC's colours in the order of the names"
    return Reading(table.classes, grey, colours, True, note)


def _same_palettes(masks: Survey) -> None:
    """Palette indices mean the same in all masks only where the colours agree."""
    first: dict[int, tuple[int, Seen]] = {}
    for seen in masks:
        for value, colour in seen.palette:
            other, where = first.setdefault(value, (colour, seen))
            if other != colour:
                raise DataError(
                    f"{seen.path} must give value {value} the colour it has in {where.path.name} "
                    f"({shown(other, 'colours')}), got {shown(colour, 'colours')}: the palettes "
                    "number the classes differently; " + TABLE_HINT.format(form="r g b name")
                )


def _no_mixture(masks: Survey) -> None:
    """Some masks 0/255, others 0/1: no one reading is right for both."""
    binary = [s for s in masks if VOID in s.plain and s.plain <= {0, VOID}]
    others = [s for s in masks if s.plain - {0, VOID}]
    if binary and others and not any(VOID in s.plain for s in others):
        raise DataError(
            f"{binary[0].path} must hold the values that other masks hold, got 0 and 255 against "
            f"{few([str(v) for v in sorted(others[0].plain)], 6)} in {others[0].path}; is 255 void "
            "or a class? " + TABLE_HINT.format(form="value name")
        )


def _without_names(masks: Survey) -> Reading:
    """Binary masks, or ids without gaps; the classes are numbered."""
    for seen in masks:
        if not seen.grey:
            colours: set[int] = set().union(*(s.colours for s in masks))
            listed = few([shown(code, "colours") for code in sorted(colours)], 12)
            raise DataError(
                f"{seen.path} is an RGB mask and there is no table of its colours ({listed} in all "
                "masks); " + TABLE_HINT.format(form="r g b name")
            )
        if len(seen.plain) > MOST_UNNAMED:
            raise DataError(
                f"{seen.path} must be a mask of classes, got {len(seen.plain)} different values, "
                "as after JPEG or interpolation, and no table of labels; export the masks again, "
                "or " + TABLE_HINT.format(form="value name")
            )
    _same_palettes(masks)
    _no_mixture(masks)
    values = _all_values(masks)
    if values <= {0, VOID} and VOID in values:
        note = "masks of 0 and 255: 255 became class 1; name them with --labels FILE"
        return _reading(("background", "foreground"), {0: 0, VOID: 1}, note)
    ids = sorted(values - {VOID})
    if len(ids) < 2 or 2 * len(ids) < ids[-1] + 1:
        seen = next(seen for seen in masks if max(ids, default=VOID) in seen.plain)
        raise DataError(
            f"{seen.path} must hold class ids (0, 1, 2, ...), got masks of the values "
            f"{few([str(v) for v in sorted(values)], 12)} and no table of labels; "
            + TABLE_HINT.format(form="value name")
        )
    classes = tuple(f"class_{value}" for value in ids)
    note = "no names of classes: numbered by their values; --labels FILE names them"
    note += "; 255 is void" if VOID in values else ""
    return _reading(classes, {v: i for i, v in enumerate(ids)} | {VOID: VOID}, note)
