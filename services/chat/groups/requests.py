"""Requests of users about groups and blocks, and those of other servers' users about our groups. Pure.

A change is answered when it is on disk. A question about a group of another server is passed on (passed_on.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from parley.services.chat.groups.asks import Ask, Reason, answer, group_of
from parley.services.chat.groups.blocks import Blocks
from parley.services.chat.groups.groups import Groups
from parley.services.chat.groups.passed_on import PassedOn
from parley.services.chat.hooks import Hooks
from parley.services.chat.roster import ChatLink, Roster
from parley.shared.addresses import Group, User
from parley.shared.errors import UnexpectedMessage
from parley.shared.wire.framing import encode_frame
from parley.shared.wire.messages import encode, pb

MOST_BEHIND_A_JOIN: Final = 16
"""Questions of one user about a group that wait until it is on disk that they joined it."""


class Changes(Protocol):
    """Makes changes last. `done` is told whether a change is safe; else it was not made."""

    def join(self, group: str, user: User, done: Callable[[bool], None]) -> None:
        """Make somebody a member."""

    def leave(self, group: str, user: User, done: Callable[[bool], None]) -> None:
        """Make somebody a former member."""

    def forget_member(self, group: str, user: User, done: Callable[[bool], None]) -> None:
        """Know nothing of somebody's having been a member."""

    def set_history(self, group: str, is_off: bool, done: Callable[[bool], None]) -> None:
        """Note whether servers are to keep nothing of what is written in a group."""

    def block(self, user: str, other: User, done: Callable[[bool], None]) -> None:
        """Note that one of our users takes nothing from another user."""

    def unblock(self, user: str, other: User, done: Callable[[bool], None]) -> None:
        """Note that they do again."""


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
        hooks: Hooks,
    ) -> None:
        self._server_id = server_id
        self._roster = roster
        self._groups = groups
        self._blocks = blocks
        self._changes = changes
        self._limited = hooks.limited
        self.elsewhere: Final = PassedOn(
            roster,
            timeout=timeout,
            look_for=hooks.look_for,
            is_existing=hooks.is_existing,
            limited=hooks.limited,
        )
        self._joining: dict[tuple[str, User], list[tuple[Ask, ChatLink]]] = {}
        """Group and user of a membership that is being written → questions that wait for it."""
        self._watchers: dict[ChatLink, None] = {}
        """Processes of this node that are told who blocks whom."""

    # Groups ----------------------------------------------------------------------------------

    def group_asked(self, user: User, name: str, ask: Ask, link: ChatLink, now: float) -> None:
        """One of our users joins, leaves or asks who is in a group.

        Raises:
            UnexpectedMessage: it names no group, or speaks for somebody else.

        """
        if ask.HasField("user") and User.of(ask.user) != user:
            raise UnexpectedMessage(f"{user} speaks for {User.of(ask.user)}", "foreign_user")
        try:
            group = group_of(ask)
        except UnexpectedMessage:
            answer(ask, link, Reason.FAILED)
            raise
        ask.user.CopyFrom(user.to_pb())
        if group.server_id == self._server_id:
            self._handle(name, group, ask, link)
        else:
            self.elsewhere.pass_on(group.server_id, name, ask, link, now)

    def group_asked_by_server(self, server_id: str, name: str, ask: Ask, link: ChatLink) -> None:
        """A user of another server joins, leaves or asks.

        Raises:
            UnexpectedMessage: it names no group of ours, or a user that is not its own.

        """
        user, group = User.of(ask.user), group_of(ask)
        if name == "QUERY_GROUP_MEMBERS" and not link.is_parley:
            self._tell_server(server_id, group, ask, link)
            return
        if not user.is_complete or user.server_id != server_id:
            raise UnexpectedMessage(f"{server_id} speaks for {user}", "foreign_user")
        if group.server_id != self._server_id:
            raise UnexpectedMessage(f"{server_id} asks us about {group}", "foreign_user")
        self._handle(name, group, ask, link)

    def _tell_server(self, server_id: str, group: Group, ask: Ask, link: ChatLink) -> None:
        """An existing server asks, and does not say for whom: it hears of groups that a user of its own is in."""
        members = self._groups.members(group.group_id) if group.server_id == self._server_id else ()
        if any(member.server_id == server_id for member in members):
            answer(ask, link, members=self._groups.encoded_members(group.group_id))
        else:
            answer(ask, link, Reason.NOT_A_MEMBER)

    def _handle(self, name: str, group: Group, ask: Ask, link: ChatLink) -> None:
        """Do it, and answer once it is done."""
        user, members = User.of(ask.user), self._groups.members(group.group_id)
        if name == "LEAVE_GROUP" and user in members:
            self._leave(group, user, ask, link)
        elif name == "JOIN_GROUP" and user not in members:
            self._join(group, user, ask, link)
        elif name == "QUERY_GROUP_MEMBERS" and user not in members:
            self._ask_behind_a_join(group, user, ask, link)
        elif isinstance(ask, pb.ChangeGroup):
            self._change(group, user, ask, link)
        else:
            self._succeeded(group, user, ask, link)

    def _succeeded(self, group: Group, user: User, ask: Ask, link: ChatLink) -> None:
        """Tell who is in the group, if the asker is."""
        groups, name = self._groups, group.group_id
        if user not in groups.members(name):
            answer(ask, link)
            return
        members, is_off = groups.encoded_members(name), groups.is_history_off(name)
        answer(ask, link, members=members, admin=groups.admin(name), history_off=is_off)

    def _ask_behind_a_join(self, group: Group, user: User, ask: Ask, link: ChatLink) -> None:
        """No member asks: somebody who is about to be one is answered after that."""
        behind = self._joining.get((group.group_id, user))
        if behind is None:
            answer(ask, link, Reason.NOT_A_MEMBER)
        elif len(behind) < MOST_BEHIND_A_JOIN:
            behind.append((ask, link))
        else:
            self._limited("requests", "groups")
            answer(ask, link, Reason.FAILED)

    def _join(self, group: Group, user: User, ask: Ask, link: ChatLink) -> None:
        def joined(is_safe: bool) -> None:
            self._groups.joined(user)
            if is_safe:
                self._groups.add(group.group_id, user)
                self._roster.use(user)
                self._succeeded(group, user, ask, link)
            else:
                answer(ask, link, Reason.FAILED)
            for question in self._joining.pop((group.group_id, user), ()):
                self._handle("QUERY_GROUP_MEMBERS", group, *question)

        if self._groups.is_full(group.group_id):
            self._limited("names", "groups")
            answer(ask, link, Reason.GROUP_FULL)
        elif not self._groups.has_room(group.group_id, user):
            self._limited("names", "groups")
            answer(ask, link, Reason.FAILED)
        else:
            self._groups.joins(user)
            self._joining.setdefault((group.group_id, user), [])
            self._changes.join(group.group_id, user, joined)

    def _change(self, group: Group, user: User, ask: pb.ChangeGroup, link: ChatLink) -> None:
        """Switch the group's history, for an admin of it."""
        name, is_off = group.group_id, ask.historyOff

        def changed(is_safe: bool) -> None:
            if not is_safe:
                answer(ask, link, Reason.FAILED)
                return
            if not self._groups.set_history(name, is_off=is_off) and is_off:  # it ended: another begins as any
                self._changes.set_history(name, False, lambda _is_safe: None)
            self._succeeded(group, user, ask, link)

        if user not in self._groups.members(name):
            answer(ask, link, Reason.NOT_A_MEMBER)
        elif user != self._groups.admin(name):
            answer(ask, link, Reason.NOT_AN_ADMIN)
        elif is_off == self._groups.is_history_off(name):
            self._succeeded(group, user, ask, link)
        else:
            self._changes.set_history(name, is_off, changed)

    def _leave(self, group: Group, user: User, ask: Ask, link: ChatLink) -> None:
        def left(is_safe: bool) -> None:
            if is_safe:
                was_off = self._groups.is_history_off(group.group_id)
                for each in self._groups.remove(group.group_id, user):
                    self._changes.forget_member(*each, lambda _is_safe: None)
                if was_off and not self._groups.members(group.group_id):
                    self._changes.set_history(group.group_id, False, lambda _is_safe: None)
                self._succeeded(group, user, ask, link)
            else:
                answer(ask, link, Reason.FAILED)

        remembers = self._groups.remembers_former(group.group_id)
        change = self._changes.leave if remembers else self._changes.forget_member
        change(group.group_id, user, left)

    # Blocking -----------------------------------------------------------------------------------------

    def block_asked(self, user: User, name: str, ask: pb.ChangeBlock, link: ChatLink) -> None:
        """One of our users blocks somebody, takes it back, or asks whom they block.

        Raises:
            UnexpectedMessage: it names nobody.

        """
        other = User.of(ask.user)

        def tell(is_safe: bool) -> None:
            if is_safe and name != "ASK_BLOCKED_USERS":
                self._tell_watchers(name, user, other)
            self._answer_blocked(user, ask, link, is_safe=is_safe)

        def unblocked(is_safe: bool) -> None:
            if is_safe:
                self._blocks.remove(user.user_id, other)
            tell(is_safe)

        if name == "ASK_BLOCKED_USERS":
            tell(True)
        elif not other.is_complete:
            raise UnexpectedMessage(f"{user} blocks nobody: {other}", "no_recipient")
        elif name == "BLOCK_USER":
            self._block(user, other, tell)
        else:
            self._changes.unblock(user.user_id, other, unblocked)

    def _block(self, user: User, other: User, tell: Callable[[bool], None]) -> None:
        def blocked(is_safe: bool) -> None:
            self._blocks.came(user.user_id)
            if is_safe:
                self._blocks.add(user.user_id, other)
                self._roster.use(user)
            tell(is_safe)

        if self._is_rather_a_group(other):
            tell(False)
        elif other in self._blocks.of(user):
            tell(True)
        elif not self._blocks.has_room(user.user_id):
            self._limited("names", "blocks")
            tell(False)
        else:
            self._blocks.comes(user.user_id)
            self._changes.block(user.user_id, other, blocked)

    def watch_blocks(self, ask: pb.ChangeBlock, link: ChatLink) -> None:
        """Another process of this node asks whom one of our users blocks; from now on it hears of changes."""
        self._watchers[link] = None
        self._answer_blocked(User.of(ask.of), ask, link, is_safe=True)

    def _answer_blocked(self, user: User, ask: pb.ChangeBlock, link: ChatLink, *, is_safe: bool) -> None:
        payload = pb.BlockedUsers(request=ask.request, ok=is_safe).SerializeToString() + self._blocks.encoded(user)
        link.send(encode_frame("BLOCKED_USERS", payload))

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
