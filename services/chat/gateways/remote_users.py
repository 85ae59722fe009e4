"""The users of servers that are reached by gateways: who is known, and what happens to their servers. Pure.

Each is a destination of their own. Order, mailbox, quotas and statuses are as for a user of ours.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from parley.services.chat.delivery.dispatcher import Dispatcher
from parley.services.chat.gateways.answers import Answer
from parley.services.chat.gateways.moved_mail import MovedMail
from parley.services.chat.gateways.presence import State
from parley.services.chat.gateways.remote_server import RemoteServer
from parley.services.chat.hooks import Hooks
from parley.services.chat.message.life import WAITING, Envelope
from parley.services.chat.message.statuses import Status, Statuses
from parley.services.chat.roster import ChatLink, LinkedServer, LocalRoster
from parley.services.chat.storage.mailbox import Mailbox
from parley.shared.addresses import Recipient, User

IDLE: Final = 600.0
"""Seconds after which a user is forgotten to whom nothing is on its way, and for whom nothing waits."""


class RemoteUsers:
    """All of them, by server. `hooks.wake` is told when `handle_timeout` is to be called."""

    def __init__(
        self,
        server_id: str,
        roster: LocalRoster,
        mailbox: Mailbox,
        dispatcher: Dispatcher,
        statuses: Statuses,
        hooks: Hooks,
        *,
        ack_timeout: float,
    ) -> None:
        self._server_id = server_id
        self._roster = roster
        self._mailbox = mailbox
        self._dispatcher = dispatcher
        self._statuses = statuses
        self._hooks = hooks
        self._make_server = partial(
            RemoteServer, roster, mailbox, dispatcher, statuses, hooks, ack_timeout=ack_timeout
        )
        self._servers: dict[str, RemoteServer] = {}
        self._names = roster.new_names(is_here=self._is_here, forgotten=self._forgotten)
        self._mail = MovedMail(roster, mailbox, dispatcher, statuses, users_of=self._users_of, found=self._found)

    def __len__(self) -> int:
        return len(self._names)

    @property
    def away(self) -> list[tuple[str, int]]:
        """Each server, and how many of its users are away."""
        return [(server_id, server.presence.away) for server_id, server in self._servers.items()]

    @property
    def unanswered(self) -> int:
        """How many users who are believed there have not acknowledged what went to them."""
        return sum(server.presence.unanswered for server in self._servers.values())

    def found_at_start(self) -> None:
        """Know those for whom something waits from before: their servers are reached as they were."""
        for destination in list(self._mailbox.state.queues):
            if isinstance(destination, User) and destination.server_id != self._server_id:
                self._roster.reach_by_gateway(destination.server_id)
                self._found(destination)

    def _found(self, user: User) -> None:
        """Something waits for a user, wherever it waited before."""
        presence = self._server(user.server_id).presence
        if user not in presence:
            self._names.restore(user, user.server_id, self._hooks.now(), used=False)
            presence.add(user, State.AWAY)

    def _server(self, server_id: str) -> RemoteServer:
        server = self._servers.get(server_id)
        if server is None:
            server = self._servers[server_id] = self._make_server()
        return server

    def _users_of(self, server_id: str) -> list[User]:
        return list(self._server(server_id).presence)

    # Who is remembered -----------------------------------------------------------------------

    def _is_here(self, user: User) -> bool:
        """Whether a user cannot be forgotten now."""
        return self._server(user.server_id).presence.owes_answer(user) or not self._mailbox.is_empty(user)

    def _forgotten(self, user: User) -> None:
        self._server(user.server_id).presence.forget(user)
        self._roster.remove_remote_user(user)
        self._dispatcher.leave(user)

    def expire(self, now: float) -> None:
        """Forget who has been idle for long."""
        self._names.expire(now - IDLE)

    # Messages --------------------------------------------------------------------------------

    def accept(self, envelope: Envelope, recipient: Recipient, now: float) -> bool:
        """Send a message, or keep it; False where there is no room."""
        server = self._server(recipient.server_id)
        if not isinstance(recipient, User) or recipient == server.gateway:
            self._statuses.report(envelope, Status.USER_NOT_FOUND)  # such servers have no groups
            return True
        if recipient not in server.presence:
            if not self._names.may_add(recipient, recipient.server_id):
                self._hooks.limited("names", "gateways")
                return False
            self._names.add(recipient, recipient.server_id, now)
            server.enter(recipient, now)
        if not self._dispatcher.dispatch(recipient, envelope, now):
            return False
        self._roster.use(recipient.server_id, envelope.author)
        if envelope.state is WAITING:
            server.kept(envelope, recipient, now)
        self._set_timer()
        return True

    def answered(self, answer: Answer, now: float) -> None:
        """A message has its final status."""
        server = self._servers.get(answer.user.server_id)
        if server is not None and answer.user in server.presence:
            server.answered(answer, now)
            self._set_timer()

    def heard(self, user: User, now: float) -> None:
        """A user wrote to one of ours, or the operator says so: they may be there."""
        server = self._servers.get(user.server_id)
        if server is not None and user in server.presence:
            server.heard(user, now)
            self._set_timer()

    # Links -----------------------------------------------------------------------------------

    def server_linked(self, server_id: str, link: ChatLink, now: float) -> None:
        """A server is linked whose users are reached by a gateway."""
        self._roster.reach_by_gateway(server_id, LinkedServer(link, confirms=False))
        self._server(server_id).link = link
        self._mail.settle(server_id, lambda: self._update(server_id, self._hooks.now()))
        self._update(server_id, now)

    def server_lost(self, server_id: str, now: float, *, cleanly: bool = False) -> None:
        """Its link is over. `cleanly`: it was ended, and not lost."""
        if (server := self._servers.get(server_id)) is not None:
            server.link = None
            self._update(server_id, now, cleanly=cleanly)

    def gateway_connected(self, server_id: str, gateway: User, now: float) -> None:
        """Our gateway is connected there, as that user."""
        self._server(server_id).gateway = gateway
        self._update(server_id, now)

    def gateway_lost(self, server_id: str, now: float) -> None:
        """It is not connected any more."""
        if (server := self._servers.get(server_id)) is not None:
            server.gateway = None
            self._update(server_id, now, cleanly=True)

    def release(self, server_id: str, then: Callable[[], None]) -> None:
        """A server takes its users' messages itself: `then` is called when what waited for them waits for it."""
        if self._roster.is_reached_by_gateway(server_id):
            self._roster.reach_directly(server_id)
            self._mail.settle(server_id, then)
        else:
            then()

    def _update(self, server_id: str, now: float, *, cleanly: bool = False) -> None:
        """Begin to send where all is there that is needed for it, or end."""
        server = self._server(server_id)
        is_open = (
            server.link is not None
            and server.gateway is not None
            and self._roster.is_reached_by_gateway(server_id)
            and not self._mail.is_moving(server_id)
        )
        server.set_open(is_open, now, cleanly=cleanly)
        self._set_timer()

    def writable(self, server_id: str, now: float) -> None:
        """A server reads again."""
        if (server := self._servers.get(server_id)) is not None:
            server.writable(now)
            self._set_timer()

    def pause(self) -> None:
        """Send nothing more: this process ends."""
        for server in self._servers.values():
            server.is_paused = True

    def close(self) -> None:
        """Nothing is routed any more."""
        for server_id in self._servers:
            for user in self._users_of(server_id):
                self._roster.remove_remote_user(user)

    # Time ------------------------------------------------------------------------------------

    def next_timeout(self) -> float | None:
        """When `handle_timeout` must be called, or None."""
        due = (server.next_timeout() for server in self._servers.values())
        return min((each for each in due if each is not None), default=None)

    def handle_timeout(self, now: float) -> None:
        """Have each server do what is due."""
        for server in self._servers.values():
            server.handle_timeout(now)
        self._set_timer()

    def _set_timer(self) -> None:
        self._hooks.wake(self.next_timeout())
