"""Parley's speed beside the uvloop relay's: in turn, in one run, as ratios: no machine's own speed."""

from __future__ import annotations

import shutil
from typing import Final

from bench.hop.latency import together
from bench.hop.measure import Plan, rounds
from bench.hop.processes import UnavailableError

PLAN: Final = Plan(messages=5_000, singles=1_000, limit=30.0)
ROUNDS: Final = 3
LATENCY_ROUNDS: Final = 5
PARLEY, RELAY = "parley", "uvloop-relay"
RATIOS: Final = {
    "64 per send": ("free_64", "free_64"),
    "64 per send, acknowledged": ("free_64_acknowledged", "free_64"),
    "one per send": ("free_1", "free_1"),
    "one per send, acknowledged": ("free_1_acknowledged", "free_1"),
}
"""Messages/s of Parley and of the relay, which passes on whole frames and acknowledges nothing."""
LATENCIES: Final = {"p50": "latency_p50", "p99": "latency_p99"}
"""Of one message at a time, the next when this one is acknowledged; the relay has no way back."""


def speeds() -> dict[str, dict[str, float]]:
    """How quick Parley is, 1: as the relay; the median of the rounds; 0 where one of the two failed, which is said.

    "throughput": Parley's messages/s by the relay's. "latency": the relay's by Parley's.

    UnavailableError where there is no compiler.
    """
    if shutil.which("cc") is None:
        raise UnavailableError("there is no C compiler for the load generator")
    found = together([PARLEY, RELAY], PLAN, LATENCY_ROUNDS)
    rounds([PARLEY, RELAY], PLAN, ROUNDS, found)
    ours, theirs = found[PARLEY], found[RELAY]
    if ours.skipped or theirs.skipped:  # the relay needs nothing that Parley does not: its failure is a fault, too
        print(f"speed: {PARLEY}: {ours.skipped or 'measured'}; {RELAY}: {theirs.skipped or 'measured'}")
        return {"throughput": dict.fromkeys(RATIOS, 0.0), "latency": dict.fromkeys(LATENCIES, 0.0)}
    return {
        "throughput": {words: ours.ratio(theirs, *figures) or 0.0 for words, figures in RATIOS.items()},
        "latency": {words: theirs.ratio(ours, figure) or 0.0 for words, figure in LATENCIES.items()},
    }
