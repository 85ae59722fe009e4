"""Searches for people: a question to our server, and the answers that come for some seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple

from parley.client.outbox.outbox import Outbox
from parley.client.outbox.questions import RequestFailed
from parley.shared.addresses import User
from parley.shared.errors import ConfigError
from parley.shared.link.link import Link
from parley.shared.names import spell
from parley.shared.wire.messages import pb

NAME: Final = "SEARCH_USERS"
LONGEST: Final = 64
"""Characters of a query."""
TIMEOUT: Final = 5.0
"""Seconds for which the last answer is waited for: a server gives others 2."""
MOST: Final = 100_000
"""Users that one search gathers."""


class FoundUsers(NamedTuple):
    """The users that a search found, by name. `is_all`: nobody who is connected can have been left out."""

    users: list[User]
    is_all: bool


class _Search:
    """One that waits for its last answer."""

    def __init__(self) -> None:
        self.users: dict[User, None] = {}
        self.is_answered = False
        self.last: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        """Whether others may match, too; done with the last answer."""


class Searches:
    """One user's searches. They share the order of `outbox` with the messages."""

    def __init__(self, outbox: Outbox, home: str, next_number: Callable[[], int]) -> None:
        """`home`: the serverId that is asked. `next_number` gives each request another number."""
        self._outbox = outbox
        self._home = home
        self._next_number = next_number
        self._pending: dict[int, _Search] = {}
        self._link: Link | None = None

    async def search(self, query: str, timeout: float) -> FoundUsers:
        """Search; what came until `timeout` where the last answer does not.

        Raises:
            ConfigError: the query is too long.
            RequestFailed: our server cannot search, or does not answer at all.

        """
        if len(query) > LONGEST:
            raise ConfigError(f"a search has at most {LONGEST} characters, not {len(query)}")
        if self._link is not None and not self._link.answers_searches:
            raise self._not_offered()
        number, search = self._next_number(), _Search()
        self._pending[number] = search
        self._outbox.add(-number, NAME, pb.QueryUsers(handle=number, query=query))
        try:
            async with asyncio.timeout(timeout):
                is_partial = await search.last
        except TimeoutError:
            if not search.is_answered:
                text = f"{spell(self._home)} gave no answer within {timeout:g} s; try again when it is back"
                raise RequestFailed("timeout", text) from None
            is_partial = True
        finally:
            self._outbox.forget(-number)
            del self._pending[number]
        return FoundUsers(sorted(search.users, key=str), not is_partial)

    def answered(self, answer: pb.QueryUsersResponse) -> None:
        """Take an answer; one that nobody waits for any more does nothing."""
        search = self._pending.get(answer.handle)
        if search is None or search.last.done():
            return
        search.is_answered = True
        for user in answer.users:
            search.users[User.of(user)] = None
        is_full = len(search.users) >= MOST
        if answer.complete or is_full:
            search.last.set_result(answer.more or is_full)

    def link_opened(self, link: Link) -> None:
        """Called before anything goes out: a server that cannot search is not asked, which may be its end."""
        self._link = link
        if not link.answers_searches:
            for number in self._pending:
                self._outbox.forget(-number)
            self.unsupported()

    def link_lost(self) -> None:
        """Searches wait for the next link."""
        self._link = None

    def unsupported(self) -> None:
        """Our server does not know searches."""
        for search in self._pending.values():
            if not search.last.done():
                search.last.set_exception(self._not_offered())

    def _not_offered(self) -> RequestFailed:
        return RequestFailed("unsupported", f"the server {spell(self._home)} offers no search for people")
