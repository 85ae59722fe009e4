"""A chat process that counts nothing, to compare with; as a program it has both counted (bench/metrics.py)."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from bench.guard.instructions import Marks
from bench.guard.work import WARM_UP, count_of, repeat
from bench.inside import inside
from parley.services.chat.service import ChatService

SIZES = (1, 16, 64, 300)
"""Messages in one read."""
COUNTED, UNCOUNTED = "counted", "uncounted"
TURNS = COUNTED, UNCOUNTED, UNCOUNTED, COUNTED
"""A process that is older has tables that are fuller: so neither comes first."""


def nothing(*_: object) -> None:
    """Count nothing."""


class Uncounted(ChatService):
    """Has no counts of frames, of statuses, or of how long messages took."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.metrics.frames = None  # type: ignore[assignment] # a link takes that
        self.chat_metrics.count_status = nothing  # type: ignore[method-assign]
        self.chat_metrics.fast_path = None

    _delivered = staticmethod(nothing)


async def main(library: str) -> None:
    """Count both, each size."""
    marks = Marks(library)
    times = {}
    kinds = {COUNTED: ChatService, UNCOUNTED: Uncounted}
    for turn, name in enumerate(TURNS):
        async with inside(kinds[name]) as path:
            for size in SIZES:
                batches = [path.batch(size) for _ in range(WARM_UP + count_of(size))]
                what = label(name, size, turn)
                repeat(marks, what, path.hear, batches)
                times[what] = count_of(size)
            path.check()
    print(json.dumps(times))


def label(name: str, size: int, turn: int) -> str:
    """What a count is called."""
    return f"{name} {size}, {turn}"


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
