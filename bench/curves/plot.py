"""Draw what was measured: `python -m bench.curves.plot`; docs/images/performance/*.svg and the tables of its page.

The same figures make the same files, to the byte.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from bench.curves.curve import Curve, Quantity, text
from bench.curves.page import curve_text, hop_table, machine_text, replaced
from bench.curves.sources import BUILD, curves, read

PAGE = Path("docs/performance.md")
IMAGES = Path("docs/images/performance")
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
"""Okabe and Ito's, which colour-blind people tell apart; each has a mark of its own as well."""
MARKS = ("o", "s", "^", "D", "v")
STYLE = {
    "svg.hashsalt": "parley",
    "svg.fonttype": "none",  # text stays text: smaller, and found by a search
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.3,
    "lines.markersize": 3.5,
    "legend.fontsize": 7,
    "legend.frameon": False,
}
PANELS: Mapping[str, Sequence[Sequence[str]]] = {
    "nodes": [["mesh"], ["start_cpu"], ["rest_cpu"]],
    "connects": [["rate"], ["greeting"], ["cpu"]],
    "groups": [["arrived"], ["cpu"], ["join_cpu"]],
    "typing": [["rate"], ["cpu"], ["each"]],
    "mailbox": [["start", "first"], ["drain"], ["each"], ["memory", "drained_memory"]],
    "payloads": [["latency"], ["throughput"], ["byte"]],
    "links": [["rate"], ["cpu"]],
}
"""For each curve its plots, and the quantities in each; of others each quantity has a plot."""
WIDTH, HEIGHT = 2.8, 2.2
"""Inches, of one plot."""


def draw(curve: Curve, path: Path) -> None:
    """A curve's plots beside each other, as an SVG file."""
    by_key = {quantity.key: quantity for quantity in curve.quantities}
    panels = PANELS.get(curve.name) or [[key] for key in by_key]
    with plt.style.context(STYLE):
        figure, row = plt.subplots(
            1, len(panels), figsize=(WIDTH * len(panels), HEIGHT), squeeze=False, layout="constrained"
        )
        for axes, keys in zip(row[0], panels, strict=True):
            _panel(axes, curve, [by_key[key] for key in keys])
        figure.savefig(path, metadata={"Date": None, "Creator": None})
        plt.close(figure)


def _panel(axes: Axes, curve: Curve, quantities: Sequence[Quantity]) -> None:
    lines = [(quantity, variant) for quantity in quantities for variant in curve.variants]
    for i, (quantity, variant) in enumerate(lines):
        rows = [row for row in curve.rows if row.variant == variant and quantity.key in row.values]
        values = [row.values[quantity.key] for row in rows]
        middle = [value.median for value in values]
        spread = [[v.median - v.least for v in values], [v.most - v.median for v in values]]
        growth = curve.growth(quantity.key, variant)[1]
        names = [
            quantity.title if len(quantities) > 1 else "",
            variant,
            "" if growth is None else f"growth {growth:.2f}",
        ]
        axes.errorbar(
            [row.size for row in rows],
            middle,
            yerr=spread,
            color=COLOURS[i % len(COLOURS)],
            marker=MARKS[i % len(MARKS)],
            elinewidth=0.8,
            capsize=1.5,
            label=", ".join(filter(None, names)),
        )
    axes.set_title(quantities[0].title if len(quantities) == 1 else _unit_name(quantities[0]))
    _scale(axes, curve, quantities[0].unit)
    axes.legend(loc="best")


def _scale(axes: Axes, curve: Curve, unit: str) -> None:
    """Both axes are logarithmic, and tell their units; the sizes that were measured are the marks of the first."""
    sizes = sorted({row.size for row in curve.rows})
    if sizes[0] > 0:
        axes.set_xscale("log")
    else:
        axes.set_xscale("symlog", linthresh=min(size for size in sizes if size > 0))
    axes.set_xticks(sizes, [_size(size, curve.axis) if size in _apart(sizes) else "" for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(curve.axis)
    axes.set_yscale("log", base=2 if unit.startswith("B") else 10)
    _room(axes)
    low, high = axes.get_ylim()
    is_narrow = high / low < 100 and not unit.startswith("B")
    axes.yaxis.set_major_locator(
        LogLocator(base=2 if unit.startswith("B") else 10, subs=(1, 2, 5) if is_narrow else (1,), numticks=7)
    )
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _position: _tick(value, unit)))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_minor_locator(NullLocator())


def _room(axes: Axes) -> None:
    """At least a tenfold on the second axis: else noise would look like growth."""
    low, high = axes.get_ylim()
    if high / low < 10:
        middle = (high * low) ** 0.5
        axes.set_ylim(middle / 10**0.5, middle * 10**0.5)


def _apart(sizes: Sequence[float]) -> list[float]:
    """Sizes whose names have room: from the greatest on, each that is a tenth of the axis from the one before."""
    named = [sizes[-1]]
    span = sizes[-1] / min(size for size in sizes if size > 0)
    for size in reversed(sizes[:-1]):
        if size == 0 or named[-1] / size >= span**0.1:
            named.append(size)
    return named


def _size(size: float, axis: str) -> str:
    if axis.startswith("bytes"):
        return _tick(size, "B")
    for factor, letter in ((1e6, "M"), (1e3, "k")):
        if size >= factor:
            return f"{size / factor:g}{letter}"
    return f"{size:g}"


def _tick(value: float, unit: str) -> str:
    """A mark of an axis, without needless zeros."""
    number, *rest = text(value, unit).split(" ")
    tail = ""
    for i, letter in enumerate(number):
        if letter not in "0123456789.,":
            number, tail = number[:i], number[i:]
            break
    if "." in number:
        number = number.rstrip("0").rstrip(".")
    return " ".join([number + tail, *rest])


def _unit_name(quantity: Quantity) -> str:
    return {"s": "time", "B": "memory", "core": "CPU"}.get(quantity.unit, quantity.title)


def main() -> None:
    """Draw all, and fill the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=BUILD, help="where the figures are; %(default)s")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page that is filled; %(default)s")
    parser.add_argument("--images", type=Path, default=IMAGES, help="where the plots go; %(default)s")
    arguments = parser.parse_args()
    arguments.images.mkdir(parents=True, exist_ok=True)
    contents = {}
    for curve in curves(arguments.build):
        image = arguments.images / f"{curve.name}.svg"
        draw(curve, image)
        contents[f"curve: {curve.name}"] = curve_text(curve, os.path.relpath(image, arguments.page.parent))
        print(f"drawn: {curve.title}")
    if machine := read(arguments.build / "curves.json").get("machine"):
        contents["machine"] = machine_text(machine)
    if hop := read(arguments.build / "bench.json"):
        contents["hop"] = hop_table(hop)
        print("filled in: one federated hop")
    page = arguments.page.read_text(encoding="utf-8")
    arguments.page.write_text(replaced(page, contents), encoding="utf-8")
    print(
        f"{arguments.page} has these figures now"
        if contents
        else f"nothing was measured: {arguments.build} is empty"
    )


if __name__ == "__main__":
    main()
