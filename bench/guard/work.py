"""What the guard counts, run under callgrind: `python -m bench.guard.work MARKS`; prints how often each was done.

Batches of messages and their answers through a chat process (bench/inside.py), and a reference: the same messages
through the relay that parses them and makes them anew (bench/hop/uvloop_relay.py), and then twice through protobuf
alone, which is compiled. So half of the reference is the interpreter's work and half is in C, as in what it is
compared with: how an interpreter was built changes both about alike.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from bench.guard.instructions import Marks
from bench.hop.uvloop_relay import In, Out
from bench.inside import Inside, inside
from parley.shared.compiled import core
from parley.shared.wire.framing import FrameReader
from parley.shared.wire.messages import pb

SIZES = (1, 16, 300)
"""Messages in one read."""
REFERENCE = "reference"
REFERENCE_SIZE = 16
WARM_UP = 3
"""Batches before any is counted: what is learnt from the first of a kind, and memory that grows once."""
FEWEST, MESSAGES = 1, 600 if core is not None else 60
"""So many batches are counted, or as many as have so many messages."""

T = TypeVar("T")


def count_of(size: int) -> int:
    """How many batches of this size are counted."""
    return max(FEWEST, MESSAGES // size)


def repeat(marks: Marks, name: str, work: Callable[[T], object], on: Sequence[T]) -> None:
    """Count work on each of these but the first few. No garbage is collected meanwhile, or it is by chance."""
    for each in on[:WARM_UP]:
        work(each)
    gc.collect()
    gc.disable()
    with marks.counted(name):
        for each in on[WARM_UP:]:
            work(each)
    gc.enable()


def count(marks: Marks, path: Inside) -> None:
    """Count each size."""
    for size in SIZES:
        repeat(marks, str(size), path.hear, [path.batch(size) for _ in range(WARM_UP + count_of(size))])
        path.check()


def count_reference(marks: Marks, path: Inside) -> None:
    """Count what the others are compared with."""
    relay, limit = In(Out(), asyncio.Event(), parses=True), 1 << 16

    def work(read: tuple[bytes, list[bytes]]) -> None:
        relay._parsed(read[0])  # noqa: SLF001 - what its reads are
        for _ in range(2):
            b"".join(map(pb.ChatMessage.SerializeToString, map(pb.ChatMessage.FromString, read[1])))

    reads = [path.batch(REFERENCE_SIZE).messages for _ in range(WARM_UP + count_of(REFERENCE_SIZE))]
    payloads = [[frame.payload for frame in FrameReader(limit).feed(read)] for read in reads]
    repeat(marks, REFERENCE, work, list(zip(reads, payloads, strict=True)))


async def main(library: str) -> None:
    """Count all."""
    marks = Marks(library)
    async with inside() as path:
        count(marks, path)
        count_reference(marks, path)
    times = {str(size): count_of(size) for size in SIZES} | {REFERENCE: count_of(REFERENCE_SIZE)}
    print(json.dumps(times))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
