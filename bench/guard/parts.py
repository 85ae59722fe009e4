"""What each part of the compiled core is worth: `python -m bench.guard.parts`.

Counts the instructions of the guard's work (work.py) with parts left to Python, beside all of the core and none of
it. The figures stand in docs/decisions/2026-11-28-compiled-core.md.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.isolation import alone
from parley.shared import compiled

READING = ("parley.shared.wire.framing",)
IO = ("parley.shared.link.turn", "parley.shared.link.io")
DEDUPLICATION = ("parley.shared.wire.message_keys",)
OTHERS = ("parley.shared.wire.framing", "parley.shared.telemetry.tallies", "parley.shared.link.session")
"""Those import these: imported before, so that they are the core's where they are not to be left out."""
PARTS: dict[str, tuple[tuple[str, ...], bool]] = {
    "nothing": ((), True),
    "io": (IO, True),
    "the fast path": ((), False),
    "the fast path and de-duplication": (DEDUPLICATION, False),
    "the fast path, io and reading": ((*READING, *IO), False),
}
"""What is left to Python: these modules' classes; and whether the fast path is the core's."""


def leave_out(modules: Iterable[str], *, has_fast_path: bool) -> None:
    """Have these modules do without the core, whatever the others do. Nothing of chat was imported yet."""
    core = compiled.core
    assert not {*modules} & {*sys.modules}, "something was imported before"
    for name in [*OTHERS, *modules]:
        compiled.core = None if name in modules else core
        importlib.import_module(name)
    compiled.core = core
    from parley.services.chat import engine, service  # noqa: PLC0415 - not before
    from parley.services.chat.deduplication.recent import PureRecentMessages  # noqa: PLC0415
    from parley.services.chat.message import statuses  # noqa: PLC0415
    from parley.services.chat.routing import router  # noqa: PLC0415

    if DEDUPLICATION[0] in modules:
        statuses.RecentMessages = PureRecentMessages  # type: ignore[misc]
    if not has_fast_path:
        for kind in (engine.ChatEngine, router.Router):
            kind.__init__.__kwdefaults__["fast_path"] = False
    elif IO[0] in modules:
        service.ChatService._use_fast_path = lambda *_: None  # type: ignore[method-assign] # noqa: SLF001
        service.ChatService.messages_received = lambda self, link, frames: self.messages_left(  # type: ignore[assignment,method-assign]
            link, frames, 0, time.monotonic()
        )


def show(name: str, counts: dict[str, float], base: dict[str, float]) -> None:
    figures = "  ".join(f"{size:>4}: {counts[size]:>12,.0f} ({counts[size] / base[size]:5.2f} ×)" for size in base)
    print(f"{name:34} {figures}", flush=True)


def counted(*arguments: str, **environment: str) -> dict[str, float]:
    from bench.guard.instructions import instructions  # noqa: PLC0415 - it imports much of Parley

    with tempfile.TemporaryDirectory(prefix="guard-") as directory:
        found = dict(instructions("bench.guard.parts", [*arguments], Path(directory), **environment))
    del found["reference"]
    return dict(sorted(found.items(), key=lambda entry: int(entry[0])))


def main() -> None:
    alone()
    print("instructions of a message and its answer, for reads of so many; left to Python:")
    base = counted("nothing")
    for part in PARTS:
        show(part, base if part == "nothing" else counted(part), base)
    show("everything", counted("nothing", PARLEY_PURE="1"), base)


def work(library: str, part: str) -> Any:
    modules, has_fast_path = PARTS[part]
    if not os.environ.get("PARLEY_PURE"):
        leave_out(modules, has_fast_path=has_fast_path)
    from bench.guard.work import main as counting  # noqa: PLC0415 - not before

    return counting(library)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(work(*sys.argv[1:]))
    else:
        main()
