"""Tasks and callbacks that run for as long as their process: no exception ends them.

Every endless loop, connector and timer of a process goes through here. What fails is logged when it begins to fail
and when it is well again, is tried again, and makes /readyz say no meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from parley.shared.runtime.backoff import Backoff
from parley.shared.runtime.throttle import Throttle
from parley.shared.runtime.timer import Timer
from parley.shared.telemetry import logs

AGAIN: Final = 1.0
"""Seconds until a timer that failed fires again."""
AGAIN_MIN, AGAIN_MAX = 0.5, 5.0
"""Seconds between two tries of a loop, with jitter."""
STRAY: Final = 60.0
"""Seconds for which further errors that nobody caught are counted and not logged."""
MOST: Final = 100
"""Faults that are remembered at a time: a connector has a name for each server."""


class Log(Protocol):
    """Where a fault is told."""

    def error(self, event: str, **fields: object) -> object:
        """The fault began."""

    def info(self, event: str, **fields: object) -> object:
        """The fault is over."""


class Faults:
    """The parts of a process that fail just now. `count` is told of each failure."""

    def __init__(self, log: Callable[[], Log] = logs.get, count: Callable[[], None] = lambda: None) -> None:
        self._log = log
        self._count = count
        self._failing: dict[str, str] = {}

    @property
    def reasons(self) -> list[str]:
        """For /readyz: what fails, and why; empty when all is well."""
        return [f"{what} fails: {error}" for what, error in self._failing.items()]

    def failed(self, what: str, error: BaseException, *, may_be_bug: bool = True) -> None:
        """Note that something failed, and will be tried again; its first failure is logged.

        `may_be_bug`: it may be a bug, and where it happened is logged, too; a full disk, say, is none.
        """
        self._count()
        text = f"{type(error).__name__}: {error}"[:200]
        if what not in self._failing and len(self._failing) < MOST:
            self._failing[what] = text
            why = {"exc_info": error} if may_be_bug else {"error": text}
            self._log().error("loop_failed", what=what, detail="it is tried again", **why)

    def stray(self, where: str, error: BaseException | None) -> None:
        """Count an error that no loop of ours caught; it is logged where the caller names a place."""
        self._count()
        if where:
            self._log().error("callback_failed", where=where, exc_info=error)

    def well(self, what: str) -> None:
        """Note that something did what it should, or is not done any more."""
        if self._failing and self._failing.pop(what, None) is not None:
            self._log().info("loop_well_again", what=what)


async def forever(what: str, step: Callable[[], Awaitable[None]], faults: Faults) -> None:
    """Do `step` again and again until cancelled; it waits by itself for when it is to be done next."""
    backoff = Backoff(AGAIN_MIN, AGAIN_MAX)
    while True:
        try:
            await step()
        except Exception as error:  # noqa: BLE001 - whatever it is, the loop goes on
            faults.failed(what, error)
            await asyncio.sleep(AGAIN_MIN + backoff.next_delay())
        else:
            faults.well(what)
            backoff.reset()


class SupervisedTimer(Timer):
    """A Timer that fires again where what it calls failed, and so did not set it again."""

    __slots__ = ("_faults", "_what", "_work")

    def __init__(self, what: str, work: Callable[[], None], faults: Faults) -> None:
        super().__init__(self._attempt)
        self._what = what
        self._work = work
        self._faults = faults

    def _attempt(self) -> None:
        try:
            self._work()
        except Exception as error:  # noqa: BLE001 - whatever it is, the timer goes on
            self._faults.failed(self._what, error)
            self.set(asyncio.get_running_loop().time() + AGAIN)
        else:
            self._faults.well(self._what)


class SupervisedThrottle(Throttle):
    """A Throttle that does again what failed, an interval later."""

    def __init__(self, what: str, interval: float, work: Callable[[], None], faults: Faults) -> None:
        super().__init__(interval, self._attempt)
        self._what = what
        self._work = work
        self._faults = faults

    def _attempt(self) -> None:
        try:
            self._work()
        except Exception as error:  # noqa: BLE001 - whatever it is, the pace goes on
            self._faults.failed(self._what, error)
            self.ask_later()
        else:
            self._faults.well(self._what)


def catch_strays(loop: asyncio.AbstractEventLoop, faults: Faults) -> None:
    """Have the loop tell `faults` of an exception in a callback that nobody caught: a link's, a socket's.

    The loop goes on, and what failed is one connection's, which ends with it: /readyz is not concerned. Each is
    counted; the first in STRAY seconds is logged.
    """
    quiet_until = -STRAY

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal quiet_until
        error = context.get("exception")
        if isinstance(error, (SystemExit, KeyboardInterrupt)):
            loop.default_exception_handler(context)
        elif loop.time() >= quiet_until:
            quiet_until = loop.time() + STRAY
            faults.stray(str(context.get("message", "")), error)
        else:
            faults.stray("", error)

    loop.set_exception_handler(handle)
