"""Requests of users about groups and blocks, here and, for groups, at other servers. Pure.

A change is answered when it is on disk. A request for a group of another server is passed on, over each new link
again until it is answered, and given up after `timeout`: changes may come twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final, Protocol, TypeVar

from google.protobuf.message import Message

from parley.services.chat.groups.blocks import Blocks
from parley.services.chat.groups.groups import Groups
from parley.services.chat.roster import ChatLink, Roster
from parley.shared.addresses import Group, User
from parley.shared.errors import UnexpectedMessage
from parley.shared.spellings import Spellings
from parley.shared.wire.framing import Frame, encode_frame
from parley.shared.wire.messages import decode, encode, pb

MembersResult = pb.GroupMembers
Ask = pb.ChangeGroup | pb.GroupMembers
MOST: Final = 10_000
"""Requests that other servers have not answered yet."""
MOST_OF_LINK: Final = 1000
"""Of them, those that came over one link."""
MOST_MEMBERS: Final = 50_000
"""Members of a group that another server may tell of: names of 20 bytes, by groups.py's BYTES."""
UNKNOWN_SERVER_TIMEOUT: Final = 1.0
"""Seconds for which an unlinked server is looked for."""


_Asked = TypeVar("_Asked", bound=Message)


def read_ask(frame: Frame, kind: type[_Asked], spellings: Spellings) -> _Asked:
    """A question, with servers spelt as they spell themselves."""
    ask = decode(frame, kind)
    if isinstance(ask, pb.GroupMembers):
        ask.ClearField("members")  # an answer has them
    spellings.correct(ask)
    return ask


class Changes(Protocol):
    """Makes changes last. `done` is told whether a change is safe; else it was not made."""

    def join(self, group: str, user: User, done: Callable[[bool], None]) -> None:
        """Make somebody a member."""

    def leave(self, group: str, user: User, done: Callable[[bool], None]) -> None:
        """Make somebody a former member."""

    def forget_member(self, group: str, user: User, done: Callable[[bool], None]) -> None:
        """Know nothing of somebody's having been a member."""

    def block(self, user: str, other: User, done: Callable[[bool], None]) -> None:
        """Note that one of our users takes nothing from another user."""

    def unblock(self, user: str, other: User, done: Callable[[bool], None]) -> None:
        """Note that they do again."""


@dataclass(slots=True)
class _Passed:
    """A request that another server is to answer."""

    server_id: str
    name: str
    ask: Ask
    request: int
    """The asker's own number."""
    link: ChatLink
    asked: float
    until: float


class Requests:
    """The requests of our users, and those of other servers' users about our groups."""

    def __init__(
        self,
        server_id: str,
        roster: Roster,
        groups: Groups,
        blocks: Blocks,
        changes: Changes,
        *,
        timeout: float,
        look_for: Callable[[str], None],
        limited: Callable[[str, str], None] = lambda _what, _where: None,
    ) -> None:
        """`limited` counts what a limit stopped: what, and where."""
        self._server_id = server_id
        self._roster = roster
        self._groups = groups
        self._blocks = blocks
        self._changes = changes
        self._timeout = timeout
        self._look_for = look_for
        self._limited = limited
        self._passed: dict[int, _Passed] = {}
        self._passed_of: Counter[ChatLink] = Counter()
        self._due: list[tuple[float, int]] = []
        """A heap: when requests are given up; those that were answered meanwhile are passed by."""
        self._last = 0
        self._watchers: dict[ChatLink, None] = {}
        """Processes of this node that are told who blocks whom."""

    @property
    def passed_count(self) -> int:
        """How many requests other servers have not answered yet."""
        return len(self._passed)

    # Groups ----------------------------------------------------------------------------------

    def group_asked(self, user: User, name: str, ask: Ask, link: ChatLink, now: float) -> None:
        """One of our users joins, leaves or asks who is in a group.

        Raises:
            UnexpectedMessage: it names no group, or speaks for somebody else.

        """
        if ask.HasField("user") and User.of(ask.user) != user:
            raise UnexpectedMessage(f"{user} speaks for {User.of(ask.user)}", "foreign_user")
        try:
            group = _group(ask)
        except UnexpectedMessage:
            self._answer(ask, link, MembersResult.ERROR)
            raise
        ask.user.CopyFrom(user.to_pb())
        if group.server_id == self._server_id:
            self._handle(name, group, ask, link)
        else:
            self._pass_on(group.server_id, name, ask, link, now)

    def group_asked_by_server(self, server_id: str, name: str, ask: Ask, link: ChatLink) -> None:
        """A user of another server joins, leaves or asks.

        Raises:
            UnexpectedMessage: it names no group of ours, or a user that is not its own.

        """
        user, group = User.of(ask.user), _group(ask)
        if not user.is_complete or user.server_id != server_id:
            raise UnexpectedMessage(f"{server_id} speaks for {user}", "foreign_user")
        if group.server_id != self._server_id:
            raise UnexpectedMessage(f"{server_id} asks us about {group}", "foreign_user")
        self._handle(name, group, ask, link)

    def group_answered(self, server_id: str, answer: pb.GroupMembers, spellings: Spellings) -> None:
        """Another server answered: pass it back under the asker's own number.

        Raises:
            UnexpectedMessage: it tells of more members than a group can have.

        """
        number = answer.request
        passed = self._passed.get(number)
        if passed is None or passed.server_id != server_id:
            return
        if len(answer.members) > MOST_MEMBERS:
            raise UnexpectedMessage(f"{server_id} tells of {len(answer.members)} members", "too_large")
        self._take(number)
        spellings.correct(answer)
        answer.request = passed.request
        passed.link.send(encode("GROUP_MEMBERS", answer))

    def _handle(self, name: str, group: Group, ask: Ask, link: ChatLink) -> None:
        """Do it, and answer once it is done."""
        user, members = User.of(ask.user), self._groups.members(group.group_id)
        if name == "LEAVE_GROUP" and user in members:
            self._leave(group, user, ask, link)
        elif name == "JOIN_GROUP" and user not in members:
            self._join(group, user, ask, link)
        elif name == "GROUP_MEMBERS" and user not in members:
            self._answer(ask, link, MembersResult.NOT_A_MEMBER)
        else:
            self._answer(ask, link, MembersResult.OK)

    def _join(self, group: Group, user: User, ask: Ask, link: ChatLink) -> None:
        def joined(is_safe: bool) -> None:
            self._groups.joined(user)
            if is_safe:
                self._groups.add(group.group_id, user)
                self._roster.use(user)
            self._answer(ask, link, MembersResult.OK if is_safe else MembersResult.ERROR)

        if self._groups.is_full(group.group_id):
            self._limited("names", "groups")
            self._answer(ask, link, MembersResult.GROUP_FULL)
        elif not self._groups.has_room(group.group_id, user):
            self._limited("names", "groups")
            self._answer(ask, link, MembersResult.ERROR)
        else:
            self._groups.joins(user)
            self._changes.join(group.group_id, user, joined)

    def _leave(self, group: Group, user: User, ask: Ask, link: ChatLink) -> None:
        def left(is_safe: bool) -> None:
            if is_safe:
                for each in self._groups.remove(group.group_id, user):
                    self._changes.forget_member(*each, lambda _is_safe: None)
            self._answer(ask, link, MembersResult.OK if is_safe else MembersResult.ERROR)

        remembers = self._groups.remembers_former(group.group_id)
        change = self._changes.leave if remembers else self._changes.forget_member
        change(group.group_id, user, left)

    def _answer(self, ask: Ask, link: ChatLink, result: pb.GroupMembers.Result) -> None:
        answer = pb.GroupMembers(group=ask.group, user=ask.user, request=ask.request, result=result)
        payload = answer.SerializeToString()
        if result == MembersResult.OK and User.of(ask.user) in self._groups.members(ask.group.groupId):
            payload += self._groups.encoded_members(ask.group.groupId)
        link.send(encode_frame("GROUP_MEMBERS", payload))

    # Passing on ---------------------------------------------------------------------------------

    def _pass_on(self, server_id: str, name: str, ask: Ask, link: ChatLink, now: float) -> None:
        server = self._roster.server(server_id)
        if len(self._passed) >= MOST or self._passed_of[link] >= MOST_OF_LINK:
            self._limited("requests", "groups")
            self._answer(ask, link, MembersResult.ERROR)
            return
        if server is None:
            self._look_for(server_id)
        self._last += 1
        until = now + (
            self._timeout if server is not None or self._roster.knows_server(server_id) else UNKNOWN_SERVER_TIMEOUT
        )
        passed = _Passed(server_id, name, ask, ask.request, link, now, until)
        ask.request = self._last
        self._passed[self._last] = passed
        self._passed_of[link] += 1
        heappush(self._due, (until, self._last))
        if server is not None:
            server.link.send(encode(name, ask))

    def server_connected(self, server_id: str) -> None:
        """A server is in the roster: it hears what it has not answered, and has as long for it as any."""
        server = self._roster.server(server_id)
        for number, passed in self._passed.items():
            if passed.server_id == server_id and server is not None:
                passed.until = passed.asked + self._timeout
                heappush(self._due, (passed.until, number))
                server.link.send(encode(passed.name, passed.ask))

    def next_timeout(self) -> float | None:
        """When `handle_timeout` must be called, or None."""
        while self._due and not self._is_due(*self._due[0]):
            heappop(self._due)
        return self._due[0][0] if self._due else None

    def _is_due(self, until: float, number: int) -> bool:
        return number in self._passed and self._passed[number].until == until

    def _take(self, number: int) -> _Passed:
        """A request is answered."""
        passed = self._passed.pop(number)
        self._passed_of[passed.link] -= 1
        if not self._passed_of[passed.link]:
            del self._passed_of[passed.link]
        return passed

    def handle_timeout(self, now: float) -> None:
        """Answer for servers that did not."""
        while self._due and self._due[0][0] <= now:
            until, number = heappop(self._due)
            if self._is_due(until, number):
                passed = self._take(number)
                passed.ask.request = passed.request
                known = self._roster.knows_server(passed.server_id)
                self._answer(
                    passed.ask,
                    passed.link,
                    MembersResult.SERVER_TIMEOUT if known else MembersResult.SERVER_NOT_FOUND,
                )

    # Blocking -----------------------------------------------------------------------------------------

    def block_asked(self, user: User, name: str, ask: pb.ChangeBlock, link: ChatLink) -> None:
        """One of our users blocks somebody, takes it back, or asks whom they block.

        Raises:
            UnexpectedMessage: it names nobody.

        """
        other = User.of(ask.user)

        def answer(is_safe: bool) -> None:
            if is_safe and name != "ASK_BLOCKED_USERS":
                self._tell_watchers(name, user, other)
            users = [each.to_pb() for each in self._blocks.of(user)]
            link.send(encode("BLOCKED_USERS", pb.BlockedUsers(request=ask.request, users=users, ok=is_safe)))

        def unblocked(is_safe: bool) -> None:
            if is_safe:
                self._blocks.remove(user.user_id, other)
            answer(is_safe)

        if name == "ASK_BLOCKED_USERS":
            answer(True)
        elif not other.is_complete:
            raise UnexpectedMessage(f"{user} blocks nobody: {other}", "no_recipient")
        elif name == "BLOCK_USER":
            self._block(user, other, answer)
        else:
            self._changes.unblock(user.user_id, other, unblocked)

    def _block(self, user: User, other: User, answer: Callable[[bool], None]) -> None:
        def blocked(is_safe: bool) -> None:
            self._blocks.came(user.user_id)
            if is_safe:
                self._blocks.add(user.user_id, other)
                self._roster.use(user)
            answer(is_safe)

        if self._is_rather_a_group(other):
            answer(False)
        elif other in self._blocks.of(user):
            answer(True)
        elif not self._blocks.has_room(user.user_id):
            self._limited("names", "blocks")
            answer(False)
        else:
            self._blocks.comes(user.user_id)
            self._changes.block(user.user_id, other, blocked)

    def watch_blocks(self, ask: pb.ChangeBlock, link: ChatLink) -> None:
        """Another process of this node asks whom one of our users blocks; from now on it hears of changes."""
        self._watchers[link] = None
        users = [each.to_pb() for each in self._blocks.of(User.of(ask.of))]
        link.send(encode("BLOCKED_USERS", pb.BlockedUsers(request=ask.request, users=users, ok=True)))

    def _tell_watchers(self, name: str, user: User, other: User) -> None:
        for watcher in self._watchers:
            watcher.send(encode(name, pb.ChangeBlock(of=user.to_pb(), user=other.to_pb())))

    def unwatch_blocks(self, link: ChatLink) -> None:
        """That process is gone."""
        self._watchers.pop(link, None)

    def _is_rather_a_group(self, user: User) -> bool:
        """Whether this is written like one of our groups, and was never a user here: groups cannot be blocked."""
        is_local = user.server_id == self._server_id
        return is_local and user.user_id.startswith("#") and not self._roster.knows(user)


def _group(ask: Ask) -> Group:
    group = Group.of(ask.group)
    if not group.is_complete:
        raise UnexpectedMessage(f"{group} is no group", "no_recipient")
    return group
