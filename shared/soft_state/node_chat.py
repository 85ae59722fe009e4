"""The link of a process to its node's chat process: who is in a group, and messages on behalf of our users.

The same link and the same connector as to any other server. Our CONNECT_SERVER names our own serverId: by that
the chat process knows a process of its node.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Protocol

from parley.shared.addresses import Endpoint, Group, User
from parley.shared.config import Config
from parley.shared.link.credentials import Credentials
from parley.shared.link.events import Closed
from parley.shared.link.link import Link
from parley.shared.peering.connector import resolve
from parley.shared.peering.dialler import Dialler
from parley.shared.runtime.supervised import Faults, SupervisedTimer
from parley.shared.service.node_trust import NodeTrust
from parley.shared.service.proofs import Dialling
from parley.shared.soft_state.block_lists import NOBODY, BlockLists
from parley.shared.soft_state.group_members import Members
from parley.shared.telemetry.logs import Log
from parley.shared.wire.capabilities import terms
from parley.shared.wire.framing import Frame
from parley.shared.wire.messages import MESSAGES, decode, encode, pb

MOST_PENDING = 1000
"""Messages that wait to be handed over; beyond that the oldest is forgotten."""
HANDED_OVER = 5.0
"""Seconds after which a message that was written to the link has arrived, if the link stands.

Statuses go to the author's clients, so nothing comes back here. What is sent again is recognised by its number.
"""
RETRY = 1.0
"""Seconds, at most, between two dials: chat is a process of our own node."""


class ChatUser(Protocol):
    """The part of its process that the link needs."""

    server_id: str
    instance_id: str
    log: Log
    faults: Faults
    trust: NodeTrust

    @property
    def feature(self) -> str:
        """The process's feature."""

    def secret(self) -> bytes | None:
        """The secret that processes of our node know."""

    def members_changed(self, group: Group) -> None:
        """The members of a group are others than before."""

    def blocks_changed(self, user: User, others: AbstractSet[User]) -> None:
        """A user's blocks are known: `others` are blocked now, or no longer; none: they are known at last."""


class NodeChat(Dialler):
    """Keeps the link for as long as the node has a chat process."""

    def __init__(self, user: ChatUser, config: Config) -> None:
        super().__init__(config, lambda: user.log)
        self._user = user
        self._members = Members()
        self._blocks = BlockLists()
        self._pending: dict[bytes, float | None] = {}
        """Messages that may not have arrived, and when they were written; None: there was no link."""
        self._addresses: tuple[tuple[str, int], ...] = ()
        self._timer = SupervisedTimer("refreshing members", self._fired, user.faults)
        self._is_stopping = False

    @property
    def is_linked(self) -> bool:
        """Whether chat answers now."""
        return self.link is not None

    # What the process calls -------------------------------------------------------------------------

    def endpoints_changed(self, own: Sequence[pb.Endpoint]) -> None:
        """Learn where the node's chat process is (SERVER_LIST's `own`); without a host it is where discovery is."""
        beside, _ = self.config.registration_address()
        self._addresses = tuple((e.host or beside, e.port) for e in own if e.feature == MESSAGES)
        if self._connector is not None and self.link is None:
            self._connector.heard_from()

    def is_needed(self) -> bool:
        """Whether there is something to say, and no link."""
        return self.link is None and (bool(self._pending) or self._members.is_wanted or len(self._blocks) > 0)

    def _dial(self) -> None:
        """Have a link for as long as there is something to say."""
        if not self._is_stopping:
            self.dial("dialling chat", RETRY, self._user.faults)

    async def stop(self) -> None:
        """Hang up."""
        self._is_stopping = True
        self._timer.cancel()
        await self.hang_up()

    def want(self, author: User, group: Group, until: float) -> None:
        """Keep the group's members known until then (the loop's seconds)."""
        was_needed = self.is_needed()
        self._members.want(author, group, until)
        if self.is_needed() and not was_needed:
            self._dial()
        self._set_timer()

    def members(self, author: User, group: Group) -> frozenset[User]:
        """The users whom the author reaches through the group, as far as they are known now."""
        return self._members.of(author, group)

    def post(self, message: pb.ChatMessage) -> None:
        """Have a message sent for one of our users: now, or once there is a link."""
        self._forget_arrived()
        was_needed = self.is_needed()
        self._pending[encode("MESSAGE", message)] = None
        if len(self._pending) > MOST_PENDING:
            del self._pending[next(iter(self._pending))]
        if self.is_needed() and not was_needed:
            self._dial()
        self._hand_over()

    def watch_blocks(self, user: User) -> None:
        """Keep known whom one of our users blocks, while they are here."""
        was_needed = self.is_needed()
        question = self._blocks.want(user, _now())
        if question is not None and self.link is not None:
            self.link.send(encode("ASK_BLOCKED_USERS", question))
        if self.is_needed() and not was_needed:
            self._dial()

    def unwatch_blocks(self, user: User) -> None:
        """The user is here no longer."""
        self._blocks.forget(user)

    def blocked(self, user: User) -> AbstractSet[User] | None:
        """The users whom one of our users blocks; None: not known yet. A node without chat has no blocks."""
        found = self._blocks.of(user, _now())
        return NOBODY if found is None and not self._addresses else found

    def _hand_over(self) -> None:
        """Write what has not been written to this link."""
        if self.link is None:
            return
        for raw, written in self._pending.items():
            if written is None:
                self.link.send(raw)
                self._pending[raw] = _now()

    def _forget_arrived(self) -> None:
        arrived = _now() - HANDED_OVER
        self._pending = {r: written for r, written in self._pending.items() if written is None or written > arrived}

    # Questions -----------------------------------------------------------------------------------------

    def _set_timer(self) -> None:
        self._timer.set(self._members.next_timeout())

    def _fired(self) -> None:
        questions, changed = self._members.due(_now())
        for question in questions:
            if self.link is not None:
                self.link.send(encode("QUERY_GROUP_MEMBERS", question))
        for group in changed:
            self._user.members_changed(group)
        self._set_timer()

    # Dialling ------------------------------------------------------------------------------------------

    async def find_endpoints(self) -> Sequence[Endpoint]:
        """Every address of the places that discovery named."""
        return [endpoint for host, port in self._addresses for endpoint in await resolve(host, port)]

    def connect_message(self, _endpoint: Endpoint) -> bytes:
        """We are a process of that node, and prove it."""
        return encode("CONNECT_SERVER", self._connect())

    def credentials(self, _endpoint: Endpoint) -> Credentials | None:
        """Ours, where there are keys: chat has the same key as we have."""
        trust = self._user.trust
        if not trust.has_keys:
            return None
        return trust.credentials(self._connect(), MESSAGES, trust.expect_sibling)

    def _connect(self) -> pb.ConnectServer:
        me = self._user
        self._proving = Dialling(me.secret() or b"", me.server_id, me.instance_id)
        hello = pb.ConnectServer(serverId=me.server_id, features=[me.feature], instanceId=me.instance_id)
        hello.terms.CopyFrom(terms(me.server_id))
        hello.proof.CopyFrom(self._proving.nonce)
        return hello

    # LinkOwner -----------------------------------------------------------------------------------------

    def link_opened(self, link: Link) -> None:
        """Prove that we are of its node, if it is of ours; what may not have arrived goes out again."""
        proof = self._proving.answer(link.identity)
        if proof is None:
            self._user.log.warning("chat_is_another", detail="it does not know the secret of our data directory")
            link.hang_up()
            return
        link.send(proof)
        super().link_opened(link)
        self._user.log.info("chat_connected", link_id=link.link_id)
        self._hand_over()
        self._members.unanswered()
        for question in self._blocks.questions():
            link.send(encode("ASK_BLOCKED_USERS", question))
        self._set_timer()

    def messages_received(self, link: Link, frames: list[Frame]) -> None:
        """An answer decides when to ask next."""
        super().messages_received(link, frames)
        self._set_timer()

    def handle_message(self, frame: Frame) -> bool:
        """Chat answers; what becomes of a message later is not for us."""
        match frame.name:
            case "MESSAGE_ACK":
                pass
            case "GROUP_MEMBERS":
                group = self._members.answered(decode(frame, pb.GroupMembers), _now())
                if group is not None:
                    self._user.members_changed(group)
            case "BLOCKED_USERS":
                answered = self._blocks.answered(decode(frame, pb.BlockedUsers))
                if answered is not None:
                    self._user.blocks_changed(*answered)
            case "BLOCK_USER" | "UNBLOCK_USER":
                change = decode(frame, pb.ChangeBlock)
                changed = self._blocks.changed(change, is_blocked=frame.name == "BLOCK_USER")
                if changed is not None:
                    self._user.blocks_changed(changed[0], {changed[1]})
            case _:
                return False
        return True

    def link_lost(self, closed: Closed) -> None:
        """Keep what was written to it: it may not have arrived."""
        self._forget_arrived()
        self._pending = dict.fromkeys(self._pending)
        self._user.log.info("chat_disconnected", reason=closed.reason)


def _now() -> float:
    return asyncio.get_running_loop().time()
