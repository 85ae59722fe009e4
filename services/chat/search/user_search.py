"""Searches for people: answered from our roster, and with what other Parleys answer, for two seconds. Pure.

    who asks              is answered
    a client of ours      at once with who is connected here, then with what each linked Parley answers
    another server        with who is connected here, once: what came from a server is not passed on

Existing servers are never asked: some end all their links at a name that they do not know. The common sheet has no
last answer, and does not say that somebody was left out; a Parley is told both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from heapq import heappop, heappush
from typing import Final

from parley.services.chat.roster import ChatLink, Roster
from parley.services.chat.search.connected_users import ConnectedUsers
from parley.shared.addresses import User
from parley.shared.errors import UnexpectedMessage
from parley.shared.limits.token_buckets import Buckets, TokenBucket
from parley.shared.names import is_gateway
from parley.shared.runtime.steps import Task
from parley.shared.spellings import Spellings
from parley.shared.wire.messages import encode, pb

LONGEST: Final = 64
"""Characters of a query."""
USERS_IN_ANSWER: Final = 100
"""Users in an answer."""
WITHIN: Final = 2.0
"""Seconds within which other servers have to answer."""
MOST, MOST_OF_LINK = 1000, 16
"""Searches under way, and those that were asked over one link."""
OF_USER: Final = (2.0, 20.0)
"""Searches of one user that other servers are asked about: so many a second, and so many at once."""
FORWARDED: Final = (1000.0, 4000.0)
"""The same of questions to other servers, for all users together."""
_ROOM: Final = 64
"""Bytes of an answer's frame besides its users."""


class _Search:
    """One search; `unanswered`: the servers that have not answered yet."""

    __slots__ = ("handle", "is_here_done", "is_partial", "link", "number", "unanswered")

    def __init__(self, number: int, handle: int, link: ChatLink) -> None:
        self.number = number
        self.handle = handle
        """The asker's own number."""
        self.link = link
        self.unanswered: set[str] = set()
        self.is_here_done = False
        self.is_partial = False
        """Whether somebody may be left out."""


class UserSearch:
    """All searches under way."""

    def __init__(
        self,
        roster: Roster,
        connected: ConnectedUsers,
        *,
        begin: Callable[[Task], None],
        limited: Callable[[str, str], None],
        wait_until: Callable[[float], None],
        ended: Callable[[bool], None],
    ) -> None:
        """`begin` has a task done in its turn; `limited` counts what a limit stopped: what, and where.

        `wait_until` hears when `handle_timeout` is to be called next, at each search: messages do not ask for it.
        `ended` hears of each search that is over, and whether nobody can have been left out.
        """
        self._roster = roster
        self._connected = connected
        self._begin = begin
        self._limited = limited
        self._wait_until = wait_until
        self._ended = ended
        self._searches: dict[int, _Search] = {}
        self._of_link: Counter[ChatLink] = Counter()
        self._due: list[tuple[float, int]] = []
        """A heap; searches that are over are passed by."""
        self._last = 0
        self._of_user = Buckets(*OF_USER)
        self._forwarded = TokenBucket(*FORWARDED, now=0.0)

    def __len__(self) -> int:
        return len(self._searches)

    # Asked ------------------------------------------------------------------------------------

    def asked(self, user: User, ask: pb.QueryUsers, link: ChatLink, now: float) -> None:
        """One of our users searches.

        Raises:
            UnexpectedMessage: for more characters than a query has.

        """
        search = self._accept(str(user), ask, link)
        if search is not None:
            self._ask_others(user, ask.query, search, now)
            self._look_here(ask.query, search)

    def asked_by_server(self, server_id: str, ask: pb.QueryUsers, link: ChatLink) -> None:
        """A user of another server searches.

        Raises:
            UnexpectedMessage: for more characters than a query has.

        """
        search = self._accept(server_id, ask, link)
        if search is not None:
            self._look_here(ask.query, search)

    def _accept(self, whose: str, ask: pb.QueryUsers, link: ChatLink) -> _Search | None:
        if len(ask.query) > LONGEST:
            self._answer(link, ask.handle, [], is_last=True)
            raise UnexpectedMessage(f"{whose} searches for {len(ask.query)} characters", "out_of_range")
        if len(self._searches) >= MOST or self._of_link[link] >= MOST_OF_LINK:
            self._limited("requests", "search")
            self._answer(link, ask.handle, [], is_last=True, is_partial=True)
            return None
        self._last += 1
        search = self._searches[self._last] = _Search(self._last, ask.handle, link)
        self._of_link[link] += 1
        return search

    def _ask_others(self, user: User, query: str, search: _Search, now: float) -> None:
        others = [each for each in self._roster.linked_servers() if each[1].answers_searches]
        if not others:
            return
        if not self._of_user.consume(user, now) or not self._forwarded.consume(now, len(others)):
            self._limited("requests", "search")
            search.is_partial = True
            return
        raw = encode("SEARCH_USERS", pb.QueryUsers(handle=search.number, query=query))
        for server_id, link in others:
            if link.writable:
                link.send(raw)
                search.unanswered.add(server_id)
            else:
                search.is_partial = True
        heappush(self._due, (now + WITHIN, search.number))
        self._wait_until(self._due[0][0])

    def _look_here(self, query: str, search: _Search) -> None:
        def found(users: list[User], are_more: bool) -> None:
            search.is_here_done = True
            search.is_partial |= are_more
            self._tell(search, users, is_from_here=True)

        self._begin(self._connected.search(query, USERS_IN_ANSWER, found))

    # Answered -----------------------------------------------------------------------------------

    def answered(self, server_id: str, answer: pb.QueryUsersResponse, spellings: Spellings) -> None:
        """Another server answered: pass it back under the asker's own number.

        Raises:
            UnexpectedMessage: it tells of more users than an answer has, or of others than its own.

        """
        search = self._searches.get(answer.handle)
        if search is None or server_id not in search.unanswered:
            return
        if len(answer.users) > USERS_IN_ANSWER:
            raise UnexpectedMessage(f"{server_id} tells of {len(answer.users)} users", "too_large")
        spellings.correct(answer)
        users = [User.of(user) for user in answer.users]
        if any(not user.is_complete or user.server_id != server_id for user in users):
            raise UnexpectedMessage(f"{server_id} tells of users of others", "foreign_user")
        search.unanswered.discard(server_id)
        search.is_partial |= answer.more
        self._tell(search, [user for user in users if not is_gateway(user.user_id)])

    def _tell(self, search: _Search, users: Sequence[User], *, is_from_here: bool = False) -> None:
        """Answer with these users; an answer without any is our own, or says that no more come."""
        link, is_last = search.link, search.is_here_done and not search.unanswered
        if users or is_from_here or (is_last and link.is_parley):
            self._answer(link, search.handle, users, is_last=is_last, is_partial=is_last and search.is_partial)
        if is_last:
            del self._searches[search.number]
            self._of_link[search.link] -= 1
            if not self._of_link[search.link]:
                del self._of_link[search.link]
            self._ended(not search.is_partial)

    @staticmethod
    def _answer(
        link: ChatLink, handle: int, users: Sequence[User], *, is_last: bool, is_partial: bool = False
    ) -> None:
        answers = [pb.QueryUsersResponse(handle=handle, users=part) for part in _parts(users, link.dialect.longest)]
        if link.is_parley:
            answers[-1].complete, answers[-1].more = is_last, is_partial
        for answer in answers:
            link.answer(encode("SEARCH_USERS_RESP", answer))

    # Time -----------------------------------------------------------------------------------------

    def next_timeout(self) -> float | None:
        """When `handle_timeout` must be called, or None."""
        while self._due and self._due[0][1] not in self._searches:
            heappop(self._due)
        return self._due[0][0] if self._due else None

    def handle_timeout(self, now: float) -> None:
        """Wait no longer for servers that have not answered."""
        while (due := self.next_timeout()) is not None and due <= now:
            search = self._searches[heappop(self._due)[1]]
            search.unanswered.clear()
            search.is_partial = True
            if search.is_here_done:
                self._tell(search, [])


def _parts(users: Sequence[User], longest: int) -> Iterator[list[pb.User]]:
    """The users, so many at a time that each answer's frame has at most `longest` bytes (0: all at once)."""
    part: list[pb.User] = []
    size = _ROOM
    for user in users:
        named = user.to_pb()
        length = named.ByteSize() + 4
        if part and 0 < longest < size + length:
            yield part
            part, size = [], _ROOM
        part.append(named)
        size += length
    yield part
