"""A curve: quantities measured in rounds at several sizes, and how they grow. Pure.

Growth is the slope of a straight line through the medians on two logarithmic axes: 0 where size changes nothing,
1 where twice the size costs twice as much, 2 where it costs four times as much. It is told for the whole curve and
for its last tenfold, because what a beginning costs hides the growth at small sizes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import linear_regression, median
from typing import Any, NamedTuple

Json = dict[str, Any]


class Quantity(NamedTuple):
    """One figure of a curve."""

    key: str
    title: str
    unit: str
    """s, B, B/s, /s, core (1: one core is busy), s/min or empty: the values' unit, without a prefix."""
    at_most: float | None = None
    """The greatest growth that is as it should be. Times have none: they depend on what else runs."""
    is_aside: bool = False
    """Whether it only explains the others: nobody asks how it grows."""


class Value(NamedTuple):
    """A quantity at one size: the median of the rounds, the least and the most."""

    median: float
    least: float
    most: float
    rounds: int

    @classmethod
    def of(cls, rounds: Sequence[float]) -> Value:
        """Sum up rounds."""
        return cls(median(rounds), min(rounds), max(rounds), len(rounds))


@dataclass
class Row:
    """What was measured at one size, under one variant."""

    variant: str
    size: float
    values: dict[str, Value]


@dataclass
class Curve:
    """A curve, measured or not."""

    name: str
    title: str
    axis: str
    """What grows, with its unit."""
    quantities: Sequence[Quantity]
    rows: list[Row] = field(default_factory=list)

    def add(self, size: float, rounds: Sequence[dict[str, float]], variant: str = "") -> Row:
        """Take the rounds measured at a size; not each has to have each quantity."""
        found = {q.key: [each[q.key] for each in rounds if q.key in each] for q in self.quantities}
        row = Row(variant, size, {key: Value.of(values) for key, values in found.items() if values})
        self.rows.append(row)
        return row

    @property
    def variants(self) -> list[str]:
        """In the order in which they were measured."""
        return list(dict.fromkeys(row.variant for row in self.rows))

    def points(self, key: str, variant: str) -> list[tuple[float, float]]:
        """Sizes and medians."""
        return [(r.size, r.values[key].median) for r in self.rows if r.variant == variant and key in r.values]

    def growth(self, key: str, variant: str) -> tuple[float | None, float | None]:
        """The growth over the whole curve, and over its last tenfold."""
        points = self.points(key, variant)
        greatest = max((size for size, _value in points), default=0.0)
        return slope(points), slope([point for point in points if point[0] >= greatest / 10])

    def too_steep(self) -> list[str]:
        """What grows faster than it should, a sentence each."""
        found = []
        for quantity in self.quantities:
            for variant in self.variants if quantity.at_most is not None else ():
                last = self.growth(quantity.key, variant)[1]
                if last is not None and last > (quantity.at_most or 0.0):
                    what = f"{quantity.title}{f' ({variant})' if variant else ''}"
                    found.append(f"{self.name}: {what} grows with exponent {last:.2f} (limit {quantity.at_most:g})")
        return found

    def to_json(self) -> Json:
        """For a file."""
        return {
            "title": self.title,
            "axis": self.axis,
            "quantities": [quantity._asdict() for quantity in self.quantities],
            "rows": [
                {"variant": r.variant, "size": r.size, "values": {k: v._asdict() for k, v in r.values.items()}}
                for r in self.rows
            ],
            "growth": {
                variant: {q.key: self.growth(q.key, variant) for q in self.quantities} for variant in self.variants
            },
        }

    @classmethod
    def from_json(cls, name: str, data: Json) -> Curve:
        """Read what `to_json` wrote."""
        rows = [Row(r["variant"], r["size"], {k: Value(**v) for k, v in r["values"].items()}) for r in data["rows"]]
        return cls(name, data["title"], data["axis"], [Quantity(**each) for each in data["quantities"]], rows)


def slope(points: Iterable[tuple[float, float]]) -> float | None:
    """The exponent of the power law that fits best; None where there are no two sizes to compare."""
    logs = [(math.log(x), math.log(y)) for x, y in points if x > 0 and y > 0]
    if len({x for x, _y in logs}) < 2:
        return None
    return linear_regression(*zip(*logs, strict=True)).slope


# For people -------------------------------------------------------------------------------------------------

_TIMES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_BYTES = ((1024.0**3, "GiB"), (1024.0**2, "MiB"), (1024.0, "KiB"), (1.0, "B"))


def text(value: float, unit: str) -> str:
    """A value with its unit, three digits long."""
    factor, name = _scale(value, unit)
    return f"{_digits(value / factor)}{name}"


def _scale(value: float, unit: str) -> tuple[float, str]:
    """By what a value of about that size is divided to be shown, and the unit then."""
    if unit == "core":
        return 0.01, " %"
    scale: Sequence[tuple[float, str]] = _TIMES if unit[:1] == "s" else _BYTES if unit[:1] == "B" else ()
    for factor, name in scale:
        if abs(value) >= factor or factor == scale[-1][0]:
            return factor, f" {name}{unit[1:]}"
    return 1.0, unit


def _digits(value: float) -> str:
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{max(2 - math.floor(math.log10(abs(value))), 0)}f}" if abs(value) >= 1e-6 else f"{value:.2g}"


def size_text(size: float) -> str:
    """A size."""
    return f"{size:,.0f}"


def table(curve: Curve) -> list[list[str]]:
    """Rows of cells: a head, each size with median and spread, and the growth of each variant."""
    has_variants = curve.variants != [""]
    head = [curve.axis, *(quantity.title for quantity in curve.quantities)]
    lines = [["", *head] if has_variants else head]
    for variant in curve.variants:
        for row in (each for each in curve.rows if each.variant == variant):
            cells = [size_text(row.size), *(_cell(row, quantity) for quantity in curve.quantities)]
            lines.append([variant, *cells] if has_variants else cells)
        cells = ["growth (last tenfold)", *(_growth(curve, quantity, variant) for quantity in curve.quantities)]
        lines.append([variant, *cells] if has_variants else cells)
    return lines


def _cell(row: Row, quantity: Quantity) -> str:
    value = row.values.get(quantity.key)
    if value is None:
        return "–"
    shown = text(value.median, quantity.unit)
    if value.rounds < 2:
        return shown
    factor, _name = _scale(value.median, quantity.unit)
    return f"{shown} ({_digits(value.least / factor)} … {_digits(value.most / factor)})"


def _growth(curve: Curve, quantity: Quantity, variant: str) -> str:
    whole, last = (None, None) if quantity.is_aside else curve.growth(quantity.key, variant)
    return "–" if whole is None else f"{whole:+.2f} ({'–' if last is None else f'{last:+.2f}'})"


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """The same for a terminal."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True)) for line in lines)
