"""Work that chat does in turns: messages to groups, and the disk's results for many messages. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from parley.services.chat.groups.fanout import Fanouts
from parley.services.chat.message.life import Envelope
from parley.services.chat.storage.back_pressure import BackPressure, Held
from parley.shared.addresses import User
from parley.shared.runtime.steps import Queue, Steps, Task

AT_A_TIME: Final = 8
"""Messages of which it is told between two looks at the clock."""

Report = Callable[[list[Envelope], float], None]


class FairOrder:
    """One mailbox's. `turn_over` is called where something was done; `links_of` are an author's."""

    def __init__(
        self,
        queue: Queue,
        is_over: Callable[[float], bool],
        *,
        now: Callable[[], float],
        turn_over: Callable[[], None],
        links_of: Callable[[User], Iterable[Held]],
        limited: Callable[[str, str], None] = lambda _what, _where: None,
    ) -> None:
        self._queue = queue
        self._is_over = is_over
        self._now = now
        self._turn_over = turn_over
        self._links_of = links_of
        self.pressure = BackPressure(links_of, lambda: limited("disk", "mailbox"))
        self.reports = self._make_steps(lambda _size: None)
        """The disk's results that are still to be told to others."""
        self.searches = self._make_steps(lambda _size: None)
        """Searches for people among those who are connected."""
        self.fanouts = Fanouts(lambda done: self._make_steps(done, self._is_behind), self.release)

    def _make_steps(self, done: Callable[[int], None], is_behind: Callable[[], bool] = lambda: False) -> Steps:
        def task_done(size: int) -> None:
            done(size)
            self._turn_over()

        return Steps(self._queue, self._now, self._is_over, task_done, is_behind)

    def _is_behind(self) -> bool:
        return self.pressure.is_behind

    def hold(self, author: User) -> None:
        """An author has too many messages under way, and is not listened to."""
        for link in self._links_of(author):
            link.hold()

    def release(self, author: User) -> None:
        """An author who had too many under way is listened to again."""
        for link in self._links_of(author):
            link.release()

    def report(self, envelopes: list[Envelope], tell: Report) -> None:
        """Report of a few messages at a time; then fan-outs that waited for it go on."""

        def steps() -> Task:
            now = yield
            for start in range(0, len(envelopes), AT_A_TIME):
                tell(envelopes[start : start + AT_A_TIME], now)
                now = yield
            self.fanouts.wake()

        self.reports.add(steps())
