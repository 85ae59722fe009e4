"""Troubles around a process, for people: told once in its log, and for as long as they last in /status. Pure.

Whoever sends datagrams or dials decides what stands here: so it is bounded, and so are its lines in the log.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from parley.shared.limits.token_buckets import TokenBucket

KINDS: Final = (
    "key_refused", "name_in_use_elsewhere", "name_twice", "node_cloned", "other_data", "peer_silent",
    "peer_unresolved", "unanswered",
)  # fmt: skip
"""Every kind: a name that was refused to a key, or to a program without one; our own name at another server;
another's name at two; two nodes with one key; data of another name beside ours; a static peer that never answers,
or stands for no address; a server that we hear ask, and that does not hear us."""
OF_A_CLONE: Final = "one is a copy of the other, with its key: stop the copy, remove the copy's data directory"
"""Advice about two nodes with one name and one key, whoever finds them."""
MOST: Final = 30
"""Troubles at a time."""
LASTS: Final = 60.0
"""Seconds after it was last noted for which one is told."""
LINES_RATE, LINES_BURST = 1 / 30, 6.0
"""Lines a second in the log, and at once."""


class Log(Protocol):
    """Where a trouble is told."""

    def warning(self, event: str, **fields: object) -> object:
        """A trouble began."""


@dataclass(slots=True)
class Trouble:
    """One thing that is wrong. `subject`: a server, an address or a host."""

    kind: str
    subject: str
    detail: str
    since: float
    last: float


class Troubles:
    """All that is wrong now; times are `now()`'s seconds. `limited` hears of each that was not told."""

    def __init__(self, log: Callable[[], Log], now: Callable[[], float], limited: Callable[[], None]) -> None:
        self._log = log
        self._now = now
        self._limited = limited
        self._known: dict[tuple[str, str], Trouble] = {}
        self._lines: TokenBucket | None = None

    def note(self, kind: str, subject: str, detail: str, **fields: object) -> None:
        """Something is wrong now; `detail` says what, and what to do about it."""
        now = self._now()
        self._expire(now)
        known = self._known.get((kind, subject))
        if known is not None:
            known.last, known.detail = now, detail
        elif len(self._known) >= MOST:
            self._limited()
        else:
            self._known[kind, subject] = Trouble(kind, subject, detail, now, now)
            self._log_line(kind, detail, now, fields)

    def over(self, kind: str, subject: str) -> None:
        """The trouble is over."""
        self._known.pop((kind, subject), None)

    @property
    def now(self) -> list[Trouble]:
        """In the order in which they began."""
        if self._known:
            self._expire(self._now())
        return list(self._known.values())

    def count(self) -> dict[str, int]:
        """How many there are of each kind."""
        kinds = [trouble.kind for trouble in self.now]
        return {kind: kinds.count(kind) for kind in KINDS}

    def status(self) -> list[dict[str, object]]:
        """For /status."""
        now = self._now() if self._known else 0.0
        return [
            {"kind": t.kind, "subject": t.subject, "detail": t.detail, "seconds": round(now - t.since, 1)}
            for t in self.now
        ]

    def _log_line(self, kind: str, detail: str, now: float, fields: dict[str, object]) -> None:
        self._lines = self._lines or TokenBucket(LINES_RATE, LINES_BURST, now)
        if self._lines.consume(now):
            self._log().warning(kind, detail=detail, **fields)
        else:
            self._limited()

    def _expire(self, now: float) -> None:
        self._known = {key: trouble for key, trouble in self._known.items() if now - trouble.last < LASTS}
