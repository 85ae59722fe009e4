"""Groups and blocking: requests with numbers, sent again over each new link until they are answered."""

from __future__ import annotations

import asyncio
import secrets
from typing import Final, TypeVar

from parley.client.outbox.outbox import Outbox
from parley.shared.addresses import Group, User
from parley.shared.errors import ParleyError
from parley.shared.link.link import Link
from parley.shared.names import spell
from parley.shared.wire.framing import Frame
from parley.shared.wire.messages import decode, pb

Answer = pb.GroupMembers | pb.BlockedUsers
_A = TypeVar("_A", pb.GroupMembers, pb.BlockedUsers)
_Reason = pb.GroupMembers
_Request = pb.JoinGroup | pb.LeaveGroup | pb.QueryGroupMembers | pb.ChangeBlock

NAMES: Final = frozenset(
    {"JOIN_GROUP", "LEAVE_GROUP", "QUERY_GROUP_MEMBERS", "BLOCK_USER", "UNBLOCK_USER", "ASK_BLOCKED_USERS"}
)
TIMEOUT: Final = 15.0
"""Seconds for which an answer is waited for: a server gives another, which a group is at, 10."""

_REFUSED: Final = {
    _Reason.NOT_A_MEMBER: "you are not in {group}, or there is no such group; only its members may ask "
    "who is in it, and whoever joins one that is not there makes it",
    _Reason.GROUP_FULL: "{group} is full; ask a member to leave, or join another group",
    _Reason.SERVER_NOT_FOUND: "no server {server} is known at {home}; check the name behind the @",
    _Reason.SERVER_TIMEOUT: "{server}, where {group} lives, does not answer; try again when it is back",
    _Reason.NO_GROUPS_THERE: "{server} is another kind of server, which has no groups that Parley can join; "
    "join a group of a Parley server",
    _Reason.FAILED: "{server} could not do that for {group}; try again later",
}


class RequestFailed(ParleyError):
    """A request about groups or blocking that was refused, or not answered; one sentence for people.

    `reason`: refused, timeout, unsupported. `is_away`: the server that the group is at does not answer.
    """

    def __init__(self, reason: str, text: str, *, is_away: bool = False) -> None:
        self.reason = reason
        self.is_away = is_away
        super().__init__(text)


class Requests:
    """One user's requests. They share the order of `outbox` with the messages."""

    def __init__(self, outbox: Outbox, user: User) -> None:
        """The user's server is asked."""
        self._outbox = outbox
        self._user = user
        self._home = user.server_id
        self._last = secrets.randbits(48)  # another client of this user may ask at the same time
        self._pending: dict[int, tuple[str, asyncio.Future[Answer]]] = {}
        self._link: Link | None = None

    def link_opened(self, link: Link) -> None:
        """Called before anything goes out: an existing server is asked none of this, which may be its end."""
        self._link = link
        if not link.is_parley:
            for number, (name, future) in self._pending.items():
                self._outbox.forget(-number)
                _fail(future, self._not_offered(name))

    def link_lost(self) -> None:
        """Requests wait for the next link."""
        self._link = None

    async def group(self, name: str, group: Group, timeout: float) -> list[User]:
        """Ask JOIN_GROUP, LEAVE_GROUP or QUERY_GROUP_MEMBERS; who is in the group.

        Raises:
            RequestFailed: refused, or not answered in `timeout` seconds.

        """
        number = self.next_number()
        request = _about_group(name, group, self._user, number)
        answer = await self._ask(name, number, request, pb.GroupMembers, timeout)
        if answer.result != pb.GroupMembers.SUCCESS:
            text = _REFUSED.get(answer.reason, _REFUSED[_Reason.FAILED])
            is_away = answer.reason == _Reason.SERVER_TIMEOUT
            names = {"group": group, "server": spell(group.server_id), "home": spell(self._home)}
            raise RequestFailed("refused", text.format(**names), is_away=is_away)
        return [User.of(user) for user in answer.user]

    async def block(self, name: str, user: User | None, timeout: float) -> list[User]:
        """Ask BLOCK_USER, UNBLOCK_USER or ASK_BLOCKED_USERS; who is blocked.

        Raises:
            RequestFailed: refused, or not answered in `timeout` seconds.

        """
        number = self.next_number()
        request = pb.ChangeBlock(request=number, user=user.to_pb() if user is not None else None)
        answer = await self._ask(name, number, request, pb.BlockedUsers, timeout)
        if not answer.ok:
            raise RequestFailed(
                "refused", f"{spell(self._home)} could not keep that, and nothing has changed; try again"
            )
        return [User.of(each) for each in answer.users]

    def next_number(self) -> int:
        """A number that no other request of this client has."""
        self._last += 1
        return self._last

    async def _ask(self, name: str, number: int, request: _Request, kind: type[_A], timeout: float) -> _A:
        if self._link is not None and not self._link.is_parley:
            raise self._not_offered(name)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._pending[number] = (name, future)
        self._outbox.add(-number, name, request)  # negative: no message has such a number
        try:
            async with asyncio.timeout(timeout):
                answer = await future
        except TimeoutError:
            text = f"{spell(self._home)} gave no answer within {timeout:g} s; try again when it is back"
            raise RequestFailed("timeout", text) from None
        finally:
            self._outbox.forget(-number)
            del self._pending[number]
        if not isinstance(answer, kind):
            raise RequestFailed(
                "unsupported", f"{spell(self._home)} answered something else; it may need an update"
            )
        return answer

    def handle(self, frame: Frame) -> bool:
        """Handle an answer; False where the message is none. One that nobody waits for any more does nothing."""
        if frame.name == "GROUP_MEMBERS":
            self._answer(decode(frame, pb.GroupMembers))
        elif frame.name == "BLOCKED_USERS":
            self._answer(decode(frame, pb.BlockedUsers))
        else:
            return False
        return True

    def _answer(self, answer: Answer) -> None:
        _, future = self._pending.get(answer.request, ("", None))
        if future is not None and not future.done():
            future.set_result(answer)

    def unsupported(self, name: str) -> None:
        """The server does not know requests of this name: it is no Parley, or an old one."""
        for asked, future in self._pending.values():
            if asked == name:
                _fail(future, self._not_offered(name))

    def _not_offered(self, name: str) -> RequestFailed:
        what = "groups" if name.endswith(("_GROUP", "_MEMBERS")) else "blocking"
        return RequestFailed("unsupported", f"the server {spell(self._home)} offers no {what}")


def _fail(future: asyncio.Future[Answer], error: RequestFailed) -> None:
    if not future.done():
        future.set_exception(error)


def _about_group(name: str, group: Group, user: User, number: int) -> _Request:
    if name == "JOIN_GROUP":
        return pb.JoinGroup(handle=number, group=group.to_pb(), user=user.to_pb())
    if name == "LEAVE_GROUP":
        return pb.LeaveGroup(group=group.to_pb(), user=user.to_pb(), request=number)
    return pb.QueryGroupMembers(group=group.to_pb(), request=number)
