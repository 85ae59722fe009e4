"""What was measured, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.hop.measure import Plan, Result
from parley.shared.compiled import core

OURS, LIMIT = "parley", "c-relay"
GAP = "–"
LEGEND = """\
One federated hop: A at server 1 sends 100-byte messages to B at server 2. Medians of the rounds, least…greatest.
latency: one message at a time, µs from A's send to having come whole at B, each system in turn while the others are
  stopped; the next one goes when the one before is received, and acknowledged to A where the protocol does so
  (Parley's DELIVERED, MQTT's PUBACK, JetStream's ack).
  at once: the next one goes when the one before is received; its acknowledgement is on its way beside it.
  p99/p50: the median of each round's.
w16, w64, w256: messages/s with so many unfinished at most; 64/send, 1/send: without a window, so many in each send.
acked 64, acked 1: the same two, with the acknowledgement back at A as the end (Parley's comes from B; MQTT's and
  JetStream's from a server). B acknowledges each message wherever the protocol has that.
CPU: seconds per 10,000 messages of all server processes together, 64 per send. MiB: their memory (PSS), idle→after.
generator: the share of one CPU that the two clients took: at 64/send, 1/send, one at a time.
parley: existing clients, in plain. parley-tls: the same clients over TLS, between the nodes too. parley-library:
  the library's clients in place of the compiled ones, in plain. parley-signed: the same over TLS, each message
  signed by its author's device, verified at the recipient, its status signed; timed until a program is given it.
InspIRCd has receive buffers of 64 KiB: it stalls where more comes at once.
The second table: as multiples of the limit's, which is c-relay's, and of Parley's; the median of each round's. The
  limit passes on each read as it comes: who gathers what comes in several sends may be quicker at 1/send."""


class Column(NamedTuple):
    """A figure of the table, and how it is written."""

    title: str
    figure: str
    written: Callable[[float], str] = lambda value: f"{value:,.0f}"


def thousands(value: float) -> str:
    """Three digits or more, in thousands."""
    kilo = value / 1000
    return f"{kilo:,.0f}k" if kilo >= 100 else f"{kilo:.1f}k" if kilo >= 10 else f"{kilo:.2f}k"


COLUMNS = (
    Column("p50", "latency_p50"),
    Column("p99", "latency_p99"),
    Column("p99/p50", "latency_tail", lambda value: f"{value:.2f}"),
    Column("p50 at once", "latency_p50_at_once"),
    Column("p99/p50", "latency_tail_at_once", lambda value: f"{value:.2f}"),
    Column("w16", "window_16", thousands),
    Column("w64", "window_64", thousands),
    Column("w256", "window_256", thousands),
    Column("64/send", "free_64", thousands),
    Column("1/send", "free_1", thousands),
    Column("acked 64", "free_64_acknowledged", thousands),
    Column("acked 1", "free_1_acknowledged", thousands),
    Column("CPU", "cpu_64", lambda value: f"{value:.3f}"),
)
RATIOS = {"p50": "latency_p50", "at once": "latency_p50_at_once", "64/send": "free_64", "1/send": "free_1"}
GENERATOR = ("generator_64", "generator_1", "generator_latency")


def table(results: Mapping[str, Result]) -> str:
    """All systems that were measured, with their spread, and why others were not."""
    rows = [["", *(c.title for c in COLUMNS), "MiB", "generator"]]
    for name, result in results.items():
        if result.figures:
            rows.append([name, *(_median(result, c) for c in COLUMNS), _memory(result), _generator(result)])
            rows.append(["", *(_spread(result, c) for c in COLUMNS), "", ""])
    lines = [*_aligned(rows), *(f"{n}: skipped: {r.skipped}" for n, r in results.items() if r.skipped)]
    lines = [line for line in lines if line]
    return "\n".join([LEGEND, "", *lines, *_whole(results), "", *_aligned(_ratios(results))])


def _median(result: Result, column: Column) -> str:
    value = result.median(column.figure)
    return GAP if value is None else column.written(value)


def _spread(result: Result, column: Column) -> str:
    values = result.figures.get(column.figure, [])
    return f"{column.written(min(values))}…{column.written(max(values))}" if len(values) > 1 else ""


def _memory(result: Result, suffix: str = "") -> str:
    values = result.median("memory_idle" + suffix), result.median("memory_after" + suffix)
    return " → ".join(GAP if value is None else f"{value:.1f}" for value in values)


def _generator(result: Result) -> str:
    return " ".join(f"{100 * (result.median(figure) or 0.0):.0f}%" for figure in GENERATOR)


def _ratios(results: Mapping[str, Result]) -> list[list[str]]:
    """A row for each system: what it is beside the limit, and beside Parley."""
    rows = [["", *(f"{title} × {other}" for other in (LIMIT, OURS) for title in RATIOS)]]
    for name, result in results.items():
        if result.figures:
            found = [result.ratio(results.get(other), each) for other in (LIMIT, OURS) for each in RATIOS.values()]
            rows.append([name, *(GAP if each is None else f"{each:.2f}" for each in found)])
    return rows


def _whole(results: Mapping[str, Result]) -> list[str]:
    """What all processes of a system take, where only some of them count above."""
    kind = "with its compiled core" if core else "in pure Python"
    cpu = "cpu_whole_64"
    return [
        f"{name}, {kind}; all its processes: CPU {result.median(cpu):.3f}, MiB {_memory(result, '_whole')}"
        for name, result in results.items()
        if cpu in result.figures
    ]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        ).rstrip()
        for row in rows
    ]


def write_json(path: Path, results: Mapping[str, Result], plan: Plan, rounds: Mapping[str, int]) -> None:
    """Everything, each round's value and the median."""
    systems = {
        name: {
            "skipped": result.skipped or None,
            "figures": {f: {"median": result.median(f), "rounds": v} for f, v in result.figures.items()},
            "ratios": {
                f"to_{base}": {f: result.ratio(results.get(base), f) for f in result.figures}
                for base in (OURS, LIMIT)
            },
        }
        for name, result in results.items()
    }
    about = {
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "compiled_core": core is not None,
        "messages": plan.messages,
        "one_at_a_time": plan.singles,
        "rounds": dict(rounds),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"about": about, "systems": systems}, indent=1) + "\n", encoding="utf-8")
