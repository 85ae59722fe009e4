"""What happened, beside what is right: tables for people. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.interop.expected import COLUMNS, EXPECTED, Column

WIDTH = 200
"""Of a line that is long."""
Cells = Mapping[tuple[str, str, Column], str]


@dataclass
class Found:
    """What a run found."""

    cells: dict[tuple[str, str, Column], str] = field(default_factory=dict)
    """Name of the kind, row, column → outcome."""
    claims: list[tuple[str, str]] = field(default_factory=list)
    """What must be so; what was instead, empty where it was so."""
    faults: list[str] = field(default_factory=list)
    """What of ours went to existing programs that may not."""
    broken: str = ""
    """Why it could not be carried out."""
    seconds: float = 0.0

    @property
    def wrong(self) -> list[str]:
        """What is not as docs/interop.md says."""
        cells = [
            f"{row}, {', '.join(filter(None, column))}: {outcome}, not {wanted}"
            for (name, row, column), outcome in self.cells.items()
            if outcome != (wanted := EXPECTED[name][row][column])
        ]
        claims = [f"{what}: {instead}" for what, instead in self.claims if instead]
        return [*cells, *claims, *self.faults, *([self.broken] if self.broken else [])]


def table(name: str, cells: Cells) -> list[str]:
    """The table of a kind, of all its runs; `!` stands before what is not right."""
    rows = [["", *(f"… {stage}" if stage else order for order, stage in COLUMNS)]]
    for row, outcomes in EXPECTED[name].items():
        rows.append([row, *(_cell(cells.get((name, row, column), ""), outcomes[column]) for column in COLUMNS)])
    widths = [max(len(cells[number]) for cells in rows) for number in range(len(COLUMNS) + 1)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(each, widths, strict=True)).rstrip() for each in rows
    ]


def _cell(outcome: str, wanted: str) -> str:
    return outcome if outcome == wanted else f"! {outcome or 'not tried'}"


def claims(found: Found) -> list[str]:
    """A line each."""
    lines = [
        f"{'  ' if not instead else '! '}{what}{f': {instead}' if instead else ''}"
        for what, instead in found.claims
    ]
    return [line[:WIDTH] for line in lines]


def wires(found: Sequence[Found]) -> list[str]:
    """What was on the wires that may not be there, each once."""
    once: dict[str, str] = {}
    for each in found:
        for fault in each.faults:
            once.setdefault(fault.partition("   ")[0], fault)
    if not once:
        return ["nothing of Parley's alone was sent to it"]
    return [f"! on the wire: {fault}"[:WIDTH] for fault in once.values()]
