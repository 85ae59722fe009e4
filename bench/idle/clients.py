"""What links of clients cost a chat process that they ask nothing of, and what little they ask costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.cost import KIB, MIB, memory
from bench.idle.crowd import Crowd
from bench.idle.processes import Row, cpu_in, verdict
from tests.support.nodes import Node

ADDRESS: Final = "127.0.206.1"
SERVICES: Final = ("discovery", "chat")
MEMORY, SHARE = 150 * MIB, 0.01
"""The targets for 10,000 idle clients: bytes (PSS) and share of a core."""
ASKED_EVERY: Final = 300.0
"""Seconds of silence after which a client is asked for a sign of life, by default."""
MESSAGE_EVERY: Final = 10.0
"""Seconds between two messages of a client that does a little."""


_HEADING: Final = f"""\
links of one chat process, {{seconds:g}} s each; asked for a sign of life once in that time (in brackets: what that
makes at the default, every {ASKED_EVERY:g} s); then also with a message per link and {MESSAGE_EVERY:g} s
  links  MiB PSS  KiB/link     idle   (300 s)  µs/PING   active  µs/message  connects/s  loader"""


def clients(directory: Path, counts: Sequence[int], seconds: float, rows: list[Row]) -> bool:
    """Idle and a little active, for each number of links; adds to `rows`. Whether the targets are kept."""
    settings = {"PARLEY_LINK__PING_TIMEOUT": str(seconds), "PARLEY_LOG__LEVEL": "warning"}
    print(_HEADING.format(seconds=seconds))
    kept = True
    with Node("alpha", ADDRESS, directory, SERVICES, settings) as node, Crowd(ADDRESS, node.server_id) as crowd:
        pid = node.pid("chat")
        empty = memory([pid])
        rest = cpu_in([pid], seconds)[pid]
        print(f"{0:7} {empty / MIB:8.1f} {'':9} {rest:8.3%}")
        made = 0
        for count in counts:
            rate = (count - made) / crowd.grow(count)
            made = count
            resting = crowd.rest(seconds)
            idle, taken = cpu_in([pid], seconds)[pid], memory([pid])
            pings = resting.result().frames["PING"]
            each = (idle - rest) * seconds / pings if pings else 0.0
            default = rest + each * count / ASKED_EVERY
            acting = crowd.rest(seconds, count / MESSAGE_EVERY)
            active = cpu_in([pid], seconds)[pid]
            done = acting.result()
            per_message = (active - idle) * seconds / max(done.frames["MESSAGE"], 1)
            print(f"{count:7} {taken / MIB:8.1f} {(taken - empty) / count / KIB:9.2f} {idle:8.3%}", end=" ")
            print(f"({default:7.3%}) {each * 1e6:8.1f} {active:8.3%} {per_message * 1e6:11.1f}", end=" ")
            print(f"{rate:11.0f} {done.share:7.1%}", flush=True)
            rows.append({"links": count, "pss_bytes": taken, "cpu_share": default, "active_cpu_share": active})
            if count == 10_000:
                kept &= verdict("10,000 idle clients, memory", f"{taken / MIB:.1f} MiB", kept=taken < MEMORY)
                kept &= verdict("10,000 idle clients, CPU", f"{default:.3%} of a core", kept=default < SHARE)
        print(f"all {made} left within {crowd.leave():.1f} s")
    return kept
