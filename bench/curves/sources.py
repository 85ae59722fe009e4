"""Where the figures are that docs/performance.md shows, as curves: build/curves.json, idle.json, bench.json.

build/idle.json, of bench/idle: a number, or a list of rounds, for each figure; what is missing is left out.

    {"clients": [{"links": 100, "pss_bytes": …, "cpu_share": …, "active_cpu_share": …}, …],
     "datagrams": [{"nodes": 2, "per_second_and_node": …}, …]}
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.curves.curve import Curve, Quantity

BUILD = Path("build")
IDLE = {
    "clients": (
        "links",
        Curve(
            "clients",
            "Idle links of clients at one chat process",
            "links",
            [
                Quantity("pss_bytes", "memory (PSS)", "B", at_most=1.1),
                Quantity("cpu_share", "CPU at rest", "core", at_most=1.15),
                Quantity("active_cpu_share", "CPU, a message per link and 10 s", "core", at_most=1.15),
            ],
        ),
    ),
    "datagrams": (
        "nodes",
        Curve(
            "datagrams",
            "N nodes at rest",
            "nodes",
            [Quantity("per_second_and_node", "datagrams per second and node", "/s", at_most=1.1)],
        ),
    ),
}


def read(path: Path) -> dict[str, Any]:
    """A file of figures; empty where there is none."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def curves(build: Path = BUILD) -> Iterator[Curve]:
    """All that were measured."""
    for name, data in read(build / "curves.json").get("curves", {}).items():
        yield Curve.from_json(name, data)
    idle = read(build / "idle.json")
    for name, (size, curve) in IDLE.items():
        if rows := idle.get(name):
            yield _idle(curve, size, rows)


def _idle(like: Curve, size: str, rows: Sequence[dict[str, Any]]) -> Curve:
    keys = {key for row in rows for key in row}
    found = Curve(like.name, like.title, like.axis, [q for q in like.quantities if q.key in keys])
    for row in sorted(rows, key=lambda each: each[size]):
        values = {q.key: _rounds(row[q.key]) for q in found.quantities if q.key in row}
        count = max(map(len, values.values()))
        found.add(row[size], [{k: v[i] for k, v in values.items() if i < len(v)} for i in range(count)])
    return found


def _rounds(value: float | list[float]) -> list[float]:
    return value if isinstance(value, list) else [value]
