"""One server whose users are reached by a gateway: what goes to them while both links stand, and when not. Pure.

The link to a user, in the roster, is there while the user is believed there, or tried.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from parley.services.chat.delivery.dispatcher import Dispatcher
from parley.services.chat.gateways.answers import Answer
from parley.services.chat.gateways.presence import Effect, Input, Presence, State
from parley.services.chat.gateways.remote_link import RemoteLink
from parley.services.chat.hooks import Hooks
from parley.services.chat.message.life import Envelope
from parley.services.chat.message.statuses import Status, Statuses
from parley.services.chat.roster import ChatLink, LocalRoster
from parley.services.chat.storage.mailbox import Mailbox
from parley.shared.addresses import User

PATIENCE: Final = 1.0
"""Seconds for a server and its gateway to be connected before the authors of what waits are told."""


class RemoteServer:
    """Its users, and what they are sent."""

    def __init__(
        self,
        roster: LocalRoster,
        mailbox: Mailbox,
        dispatcher: Dispatcher,
        statuses: Statuses,
        hooks: Hooks,
        *,
        ack_timeout: float,
    ) -> None:
        self._roster = roster
        self._mailbox = mailbox
        self._dispatcher = dispatcher
        self._statuses = statuses
        self._hooks = hooks
        self.presence = Presence(ack_timeout)
        self.link: ChatLink | None = None
        """The server's own."""
        self.gateway: User | None = None
        """The user as whom our gateway is connected there."""
        self.is_open = False
        """Whether messages go there."""
        self.is_paused = False
        """Whether nothing more is to be sent: this process ends."""
        self._untold: dict[User, None] = {}
        """Users for whom something waits of which the author has heard nothing, as messages do not go there."""
        self._tell_at: float | None = None
        """When the authors are told."""

    # Users -----------------------------------------------------------------------------------

    def enter(self, user: User, now: float) -> None:
        """Somebody to whom nobody has written lately: they are believed there."""
        self.presence.add(user, State.THERE if self.is_open else State.AWAY)
        if self.is_open:
            self._offer(user, now)

    def kept(self, envelope: Envelope, user: User, now: float) -> None:
        """A message waits: its author hears so now, or soon, or with the answer to what goes before it."""
        is_on_disk = self._mailbox.has_messages_on_disk(user)  # nobody comes back to that before it goes out
        if not self.is_open and not is_on_disk:
            self._tell_later(user, now)
        elif not self.is_open:
            self._statuses.report_when_safe(envelope, Status.OTHER_SERVER_TIMEOUT)
        elif is_on_disk or self.presence.state(user) is not State.THERE:
            self._statuses.report_when_safe(envelope, Status.USER_AWAY)

    def answered(self, answer: Answer, now: float) -> None:
        """A message has its final status."""
        user = answer.user
        envelope = self._dispatcher.find(user, answer.snowflake)
        if is_in_time := envelope is not None:
            self._dispatcher.answered(user, envelope, now)
        else:
            envelope = self._take_kept(user, answer.snowflake)
        if envelope is None:
            self.heard(user, now)
            return
        if answer.status == Status.DELIVERED:
            self._hooks.confirmed()
            self._mailbox.delivered(envelope)
        self._statuses.report(envelope, answer.status, b"")
        if is_in_time or not self.presence.owes_answer(user):
            self._go_on(user, now)

    def _take_kept(self, user: User, snowflake: int) -> Envelope | None:
        """A message that went out, and waits again because it was not acknowledged in time, waits no more."""
        for envelope in self._mailbox.messages_in_memory(user):
            if envelope.snowflake == snowflake and envelope.attempts:
                return envelope if self._mailbox.remove(user, envelope) else None
        return None

    def _go_on(self, user: User, now: float) -> None:
        """A user is there: what follows may go."""
        is_back = self.presence.note(user, Input.ANSWERED, now) is Effect.OFFER
        if not self.is_open:
            self.presence.note(user, Input.CLOSED, now)
        elif is_back:
            self._offer(user, now)
        else:
            self._dispatcher.pump(user, now)

    def heard(self, user: User, now: float) -> None:
        """Somebody gave a sign of life."""
        if self.is_open:
            self.presence.note(user, Input.HEARD, now)

    def writable(self, now: float) -> None:
        """The server reads again."""
        if self.is_open:
            for user in self.presence:
                self._dispatcher.pump(user, now)

    # Links -----------------------------------------------------------------------------------

    def set_open(self, is_open: bool, now: float, *, cleanly: bool) -> None:
        """Begin to send, or end; `cleanly`: no link was lost, it was ended."""
        was_open, self.is_open = self.is_open, is_open
        if is_open and not was_open:
            self._untold.clear()
            self._tell_at = None
            self.presence.try_all(now)
        elif was_open and not is_open:
            for user in self.presence:
                if self.presence.note(user, Input.CLOSED, now) is Effect.KEEP:
                    self._keep(user, now, cleanly=cleanly)
                    self._tell_later(user, now)

    def _offer(self, user: User, now: float) -> None:
        """Let what is for a user go out, one message at a time."""
        if self.link is None or self.gateway is None:
            return
        has_room, sent = partial(self._has_room, user), partial(self._sent, user)
        self._roster.add_remote_user(user, RemoteLink(self.link, self.gateway, has_room=has_room, sent=sent))
        self._dispatcher.connected(user, now)

    def _has_room(self, user: User) -> bool:
        return not self.is_paused and self.is_open and not self.presence.owes_answer(user)

    def _sent(self, user: User, size: int) -> None:
        self.presence.note(user, Input.SENT, self._hooks.now(), size)
        self._hooks.wake(self.next_timeout())  # whoever had it sent may know nothing of us

    def _keep(self, user: User, now: float, *, cleanly: bool) -> None:
        """Have what is on its way to a user wait again, before all else that waits."""
        for link in self._roster.clients(user):
            lost = self._dispatcher.lost(user, link)
            self._roster.remove_remote_user(user)
            self._dispatcher.put_back(user, link, lost, now, cleanly=cleanly)
            self._dispatcher.leave(user)

    # Time ------------------------------------------------------------------------------------

    def next_timeout(self) -> float | None:
        """When `handle_timeout` must be called, or None."""
        return self.presence.next_timeout() if self.is_open else self._tell_at

    def handle_timeout(self, now: float) -> None:
        """Keep what was not acknowledged in time; try who is away; tell that the server is not reached."""
        while self.is_open and (due := self.presence.next_due(now)) is not None:
            self._handle_due(*due, now)
        if self._tell_at is not None and self._tell_at <= now:
            self._tell(self._untold)
            self._untold, self._tell_at = {}, None

    def _handle_due(self, user: User, event: Input, now: float) -> None:
        if event is Input.DUE and self._mailbox.is_empty(user):
            self.enter(user, now)  # nothing waits that could tell
            return
        effect = self.presence.note(user, event, now)
        if effect is Effect.OFFER:
            self._offer(user, now)
        elif effect is Effect.KEEP:
            self._keep(user, now, cleanly=True)
            for envelope in self._mailbox.messages_in_memory(user):
                self._statuses.report_when_safe(envelope, Status.USER_AWAY)

    def _tell_later(self, user: User, now: float) -> None:
        """Messages do not go there just now: that may be over soon."""
        self._untold[user] = None
        if self._tell_at is None:
            self._tell_at = now + PATIENCE

    def _tell(self, users: dict[User, None]) -> None:
        """Whoever has heard nothing of what waits hears that its recipient's server is not reached."""
        for user in users:
            for envelope in self._mailbox.messages_in_memory(user):
                if envelope.last_status is None and envelope.promised is None:
                    self._statuses.report_when_safe(envelope, Status.OTHER_SERVER_TIMEOUT)
