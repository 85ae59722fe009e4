"""Questions about groups, and the answers to them: the common sheet's fields to everybody, ours to a Parley.

The sheet has no answer to JOIN_GROUP and LEAVE_GROUP, and no reasons. Who is no Parley is told what the sheet has.
"""

from __future__ import annotations

from typing import Final, TypeVar

from google.protobuf.message import Message

from parley.services.chat.roster import ChatLink
from parley.shared.addresses import Group, User
from parley.shared.errors import UnexpectedMessage
from parley.shared.spellings import Spellings
from parley.shared.wire.framing import Frame, encode_frame
from parley.shared.wire.messages import decode, pb

Ask = pb.JoinGroup | pb.LeaveGroup | pb.QueryGroupMembers | pb.ChangeGroup
Result, Reason = pb.GroupMembers, pb.GroupMembers
ASKS: Final[dict[str, type[Ask]]] = {
    "JOIN_GROUP": pb.JoinGroup,
    "LEAVE_GROUP": pb.LeaveGroup,
    "QUERY_GROUP_MEMBERS": pb.QueryGroupMembers,
    "CHANGE_GROUP": pb.ChangeGroup,
}
NOT_FOUND: Final = frozenset({Reason.NOT_A_MEMBER, Reason.SERVER_NOT_FOUND, Reason.NO_GROUPS_THERE})
"""Reasons for which the sheet's result is NOT_FOUND; for the others it is UNKNOWN_ERROR."""

_Asked = TypeVar("_Asked", bound=Message)


def read_ask(frame: Frame, kind: type[_Asked], spellings: Spellings) -> _Asked:
    """A question, with servers spelt as they spell themselves."""
    ask = decode(frame, kind)
    spellings.correct(ask)
    return ask


def group_of(ask: Ask) -> Group:
    """The group that it is about.

    Raises:
        UnexpectedMessage: it names none.

    """
    group = Group.of(ask.group)
    if not group.is_complete:
        raise UnexpectedMessage(f"{group} is no group", "no_recipient")
    return group


def number_of(ask: Ask) -> int:
    """The asker's own number for it; 0: none."""
    return ask.handle if isinstance(ask, pb.JoinGroup) else ask.request


def set_number(ask: Ask, number: int) -> None:
    """Have it asked under another number."""
    if isinstance(ask, pb.JoinGroup):
        ask.handle = number
    else:
        ask.request = number


def result_of(reason: pb.GroupMembers.Reason) -> pb.GroupMembers.Result:
    """The sheet's result for one of our reasons."""
    if reason == Reason.NONE:
        return Result.SUCCESS
    return Result.NOT_FOUND if reason in NOT_FOUND else Result.UNKNOWN_ERROR


def answer(
    ask: Ask,
    link: ChatLink,
    reason: pb.GroupMembers.Reason = Reason.NONE,
    members: bytes | bytearray = b"",
    admin: User | None = None,
    *,
    history_off: bool = False,
) -> None:
    """Answer over the link on which it was asked; `members`: who is in the group, as GroupMembers has them.

    `admin`: who may change the group; `history_off`: whether nothing of it is kept.
    """
    said = pb.GroupMembers(group=ask.group, result=result_of(reason))
    if link.is_parley:
        said.asker.CopyFrom(ask.user)
        said.request, said.reason, said.historyOff = number_of(ask), reason, history_off
        if admin is not None:
            said.admins.append(admin.to_pb())
    elif not _is_answered(ask, link):
        return
    link.send(encode_frame("GROUP_MEMBERS", said.SerializeToString() + members))


def pass_back(said: pb.GroupMembers, ask: Ask, link: ChatLink) -> None:
    """Answer as another server answered; the question has the asker's own number again."""
    if link.is_parley:
        said.request = number_of(ask)
    elif _is_answered(ask, link):
        for ours in ("asker", "request", "reason", "historyOff", "admins"):
            said.ClearField(ours)
    else:
        return
    link.send(encode_frame("GROUP_MEMBERS", said.SerializeToString()))


def _is_answered(ask: Ask, link: ChatLink) -> bool:
    """Whether who is no Parley hears of it: a client does, of what it changes, too.

    A server that never asked for members may know no GROUP_MEMBERS.
    """
    return isinstance(ask, pb.QueryGroupMembers) or not link.dialect.is_server
