"""Groups and blocking: requests with numbers, sent again over each new link until they are answered."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

from parley.client.outbox.outbox import Outbox
from parley.client.outbox.questions import Questions, RequestFailed
from parley.shared.addresses import Group, User
from parley.shared.names import spell
from parley.shared.wire.framing import Frame
from parley.shared.wire.messages import decode, pb

Answer = pb.GroupMembers | pb.BlockedUsers
_Reason = pb.GroupMembers
_Request = pb.JoinGroup | pb.LeaveGroup | pb.QueryGroupMembers | pb.ChangeGroup

NAMES: Final = frozenset(
    {"JOIN_GROUP", "LEAVE_GROUP", "QUERY_GROUP_MEMBERS", "CHANGE_GROUP"}
    | {"BLOCK_USER", "UNBLOCK_USER", "ASK_BLOCKED_USERS"}
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
    _Reason.NOT_AN_ADMIN: "only an admin of {group} can change it; that is the member who has been in it the "
    "longest",
    _Reason.FAILED: "{server} could not do that for {group}; try again later",
}


@dataclass(frozen=True, slots=True)
class GroupState:
    """A group, as its server told one of its members."""

    members: tuple[User, ...]
    """In the order in which they came."""
    admins: tuple[User, ...]
    """Those of them who may change the group; none where an older server does not tell."""
    is_history_off: bool
    """Whether no server keeps what is written in it."""


class Requests:
    """One user's requests. They share the order of `outbox` with the messages."""

    def __init__(self, outbox: Outbox, user: User) -> None:
        """The user's server is asked."""
        self._user = user
        self._home = user.server_id
        self._last = secrets.randbits(48)  # another client of this user may ask at the same time
        self.questions: Questions[Answer] = Questions(outbox, self._home, self._not_offered)

    async def group(self, name: str, group: Group, timeout: float, *, history_off: bool = False) -> GroupState:
        """Ask JOIN_GROUP, LEAVE_GROUP, QUERY_GROUP_MEMBERS or CHANGE_GROUP; the group as it is then.

        Raises:
            RequestFailed: refused, or not answered in `timeout` seconds.

        """
        number = self.next_number()
        request = _about_group(name, group, self._user, number, history_off=history_off)
        answer = await self.questions.ask(name, number, request, pb.GroupMembers, timeout)
        if answer.result != pb.GroupMembers.SUCCESS:
            text = _REFUSED.get(answer.reason, _REFUSED[_Reason.FAILED])
            is_away = answer.reason == _Reason.SERVER_TIMEOUT
            names = {"group": group, "server": spell(group.server_id), "home": spell(self._home)}
            raise RequestFailed("refused", text.format(**names), is_away=is_away)
        members, admins = (tuple(map(User.of, users)) for users in (answer.user, answer.admins))
        return GroupState(members, admins, answer.historyOff)

    async def block(self, name: str, user: User | None, timeout: float) -> list[User]:
        """Ask BLOCK_USER, UNBLOCK_USER or ASK_BLOCKED_USERS; who is blocked.

        Raises:
            RequestFailed: refused, or not answered in `timeout` seconds.

        """
        number = self.next_number()
        request = pb.ChangeBlock(request=number, user=user.to_pb() if user is not None else None)
        answer = await self.questions.ask(name, number, request, pb.BlockedUsers, timeout)
        if not answer.ok:
            raise RequestFailed(
                "refused", f"{spell(self._home)} could not keep that, and nothing has changed; try again"
            )
        return [User.of(each) for each in answer.users]

    def next_number(self) -> int:
        """A number that no other request of this client has."""
        self._last += 1
        return self._last

    def handle(self, frame: Frame) -> bool:
        """Handle an answer; False where the message is none. One that nobody waits for any more does nothing."""
        if frame.name == "GROUP_MEMBERS":
            self._answered(decode(frame, pb.GroupMembers))
        elif frame.name == "BLOCKED_USERS":
            self._answered(decode(frame, pb.BlockedUsers))
        else:
            return False
        return True

    def _answered(self, answer: Answer) -> None:
        self.questions.answered(answer.request, answer)

    def _not_offered(self, name: str) -> RequestFailed:
        what = "groups" if name.endswith(("_GROUP", "_MEMBERS")) else "blocking"
        return RequestFailed("unsupported", f"the server {spell(self._home)} offers no {what}")


def _about_group(name: str, group: Group, user: User, number: int, *, history_off: bool) -> _Request:
    if name == "JOIN_GROUP":
        return pb.JoinGroup(handle=number, group=group.to_pb(), user=user.to_pb())
    if name == "LEAVE_GROUP":
        return pb.LeaveGroup(group=group.to_pb(), user=user.to_pb(), request=number)
    if name == "CHANGE_GROUP":
        asked = pb.ChangeGroup(group=group.to_pb(), user=user.to_pb(), request=number)
        asked.historyOff = history_off
        return asked
    return pb.QueryGroupMembers(group=group.to_pb(), request=number)
