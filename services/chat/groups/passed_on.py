"""Questions about groups of other servers: passed on to them, and their answers passed back. Pure.

A question is asked over each new link again until it is answered, and given up after `timeout`: changes may come
twice. An existing server is never asked: some end all their links at a name that they do not know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final

from parley.services.chat.groups.asks import Ask, Reason, answer, number_of, pass_back, set_number
from parley.services.chat.roster import ChatLink, Roster
from parley.shared.errors import UnexpectedMessage
from parley.shared.spellings import Spellings
from parley.shared.wire.messages import encode, pb

MOST: Final = 10_000
"""Questions that other servers have not answered yet."""
MOST_OF_LINK: Final = 1000
"""Of them, those that came over one link."""
MOST_MEMBERS: Final = 50_000
"""Members of a group that another server may tell of: names of 20 bytes, by groups.py's BYTES."""
UNKNOWN_SERVER_TIMEOUT: Final = 1.0
"""Seconds for which an unlinked server is looked for."""


@dataclass(slots=True)
class _Passed:
    """A question that another server is to answer, under a number of ours."""

    server_id: str
    name: str
    ask: Ask
    number: int
    """The asker's own."""
    link: ChatLink
    asked: float
    until: float


class PassedOn:
    """The questions of our users that other servers have not answered yet."""

    def __init__(
        self,
        roster: Roster,
        *,
        timeout: float,
        look_for: Callable[[str], None],
        is_existing: Callable[[str], bool],
        limited: Callable[[str, str], None],
    ) -> None:
        """`is_existing`: whether a server is no Parley, as it announced itself.

        `limited` counts what a limit stopped: what, and where.
        """
        self._roster = roster
        self._timeout = timeout
        self._look_for = look_for
        self._is_existing = is_existing
        self._limited = limited
        self._passed: dict[int, _Passed] = {}
        self._passed_of: Counter[ChatLink] = Counter()
        self._due: list[tuple[float, int]] = []
        """A heap: when questions are given up; those that were answered meanwhile are passed by."""
        self._last = 0

    def __len__(self) -> int:
        return len(self._passed)

    def pass_on(self, server_id: str, name: str, ask: Ask, link: ChatLink, now: float) -> None:
        """Ask a server; one that is not linked is looked for."""
        server = self._roster.linked(server_id)
        if len(self._passed) >= MOST or self._passed_of[link] >= MOST_OF_LINK:
            self._limited("requests", "groups")
            answer(ask, link, Reason.FAILED)
            return
        if server is not None and not server.link.is_parley:
            answer(ask, link, Reason.NO_GROUPS_THERE)
            return
        if server is None:
            self._look_for(server_id)
        self._last += 1
        until = now + (
            self._timeout if server is not None or self._may_answer(server_id) else UNKNOWN_SERVER_TIMEOUT
        )
        self._passed[self._last] = _Passed(server_id, name, ask, number_of(ask), link, now, until)
        set_number(ask, self._last)
        self._passed_of[link] += 1
        heappush(self._due, (until, self._last))
        if server is not None:
            server.link.send(encode(name, ask))

    def _may_answer(self, server_id: str) -> bool:
        """Whether a server that is not linked may be one that answers, as far as it is known."""
        return self._roster.knows_server(server_id) and not self._is_existing(server_id)

    def server_connected(self, server_id: str) -> None:
        """A server is in the roster: it hears what it has not answered, and has as long for it as any."""
        server = self._roster.linked(server_id)
        for number, passed in list(self._passed.items()):
            if passed.server_id != server_id or server is None:
                continue
            if not server.link.is_parley:
                self._take(number)
                answer(passed.ask, passed.link, Reason.NO_GROUPS_THERE)
            else:
                passed.until = passed.asked + self._timeout
                heappush(self._due, (passed.until, number))
                server.link.send(encode(passed.name, passed.ask))

    def answered(self, server_id: str, said: pb.GroupMembers, spellings: Spellings) -> None:
        """Another server answered: pass it back under the asker's own number.

        Raises:
            UnexpectedMessage: it tells of more members than a group can have.

        """
        passed = self._passed.get(said.request)
        if passed is None or passed.server_id != server_id:
            return
        if len(said.user) > MOST_MEMBERS:
            raise UnexpectedMessage(f"{server_id} tells of {len(said.user)} members", "too_large")
        self._take(said.request)
        spellings.correct(said)
        pass_back(said, passed.ask, passed.link)

    def _take(self, number: int) -> _Passed:
        """A question is answered: it has the asker's own number again."""
        passed = self._passed.pop(number)
        self._passed_of[passed.link] -= 1
        if not self._passed_of[passed.link]:
            del self._passed_of[passed.link]
        set_number(passed.ask, passed.number)
        return passed

    def next_timeout(self) -> float | None:
        """When `handle_timeout` must be called, or None."""
        while self._due and not self._is_due(*self._due[0]):
            heappop(self._due)
        return self._due[0][0] if self._due else None

    def _is_due(self, until: float, number: int) -> bool:
        return number in self._passed and self._passed[number].until == until

    def handle_timeout(self, now: float) -> None:
        """Answer for servers that did not."""
        while self._due and self._due[0][0] <= now:
            until, number = heappop(self._due)
            if self._is_due(until, number):
                passed = self._take(number)
                answer(passed.ask, passed.link, self._why_silent(passed.server_id))

    def _why_silent(self, server_id: str) -> pb.GroupMembers.Reason:
        if self._is_existing(server_id):
            return Reason.NO_GROUPS_THERE
        return Reason.SERVER_TIMEOUT if self._roster.knows_server(server_id) else Reason.SERVER_NOT_FOUND
