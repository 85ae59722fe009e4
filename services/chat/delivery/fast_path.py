"""The fast path: messages between people who are online, handled by the compiled core. Pure.

Theory of operation. Nearly every message is alike: a text from one of two who are online to the other, answered
within milliseconds. The compiled core (shared/core/) handles a batch of these at a time, from the read to the
write, without an object of Python's for each. It does so only for what it has learnt:

    flow     author → recipient, from one source: after the router has sent such a message (`introduce`)
    answer   the bytes of an acknowledgement, after the router has understood one (`learn_answer`)

The core takes no message that is known already, too large, for a destination where something waits, or beyond the
window. It leaves that frame, and all behind it in the read, to the router. What is not answered within the persist
delay, and all in flight to a destination for which anything else happens, is handed over to the dispatcher first
(`settle`), in order. So the fast path never holds what another module would have to know of.

The core repeats in C the rules of router.py, dispatcher.py and statuses.py for these messages. A property test
tells both the same stories and fails where they differ.

The core sees what state.py lists and nothing else of chat, and is given each constant here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from parley.services.chat.delivery.author_windows import MOST
from parley.services.chat.delivery.dispatcher import BYTES_ON_THEIR_WAY, ON_THEIR_WAY, Dispatcher
from parley.services.chat.delivery.fast_path_interface import Sent
from parley.services.chat.delivery.persist_timer import ANSWERING_FACTOR
from parley.services.chat.groups.blocks import Blocks
from parley.services.chat.hooks import Hooks
from parley.services.chat.message.in_flight import BURST, LOOKED_AT, WINDOW
from parley.services.chat.message.life import Envelope
from parley.services.chat.message.model import Destination
from parley.services.chat.message.statuses import UNCONFIRMED, Status, Statuses, tail
from parley.services.chat.roster import ChatLink, LocalRoster
from parley.services.chat.storage.mailbox import Mailbox
from parley.shared.addresses import User
from parley.shared.compiled import core, same_as_compiled
from parley.shared.errors import MalformedMessage
from parley.shared.limits.bounds import Bounds
from parley.shared.wire.framing import Frame
from parley.shared.wire.message_keys import MessageKeys
from parley.shared.wire.messages import decode, pb
from parley.shared.wire.pieces import WHOLE
from parley.shared.wire.plain_messages import PlainMessages

_PLAIN: Final = tail(None, None, Status.DELIVERED)
"""The acknowledgement of existing clients: a status that names nobody."""
_NUMBER, _BYTES = 0, 2
"""Protobuf's types of fields: a varint; a length, and as many bytes."""
_FIELDS: Final = {name: field.number << 3 for name, field in pb.ChatMessage.DESCRIPTOR.fields_by_name.items()}
same_as_compiled(
    SNOWFLAKE=_FIELDS["messageSnowflake"] | _NUMBER,
    AUTHOR=_FIELDS["author"] | _BYTES,
    USER=_FIELDS["user"] | _BYTES,
    TEXT=_FIELDS["textContent"] | _BYTES,
)

FLOWS_OF_USER: Final = 1024
"""Recipients of one user's that are known at a time; beyond it all are learnt again."""
FLOWS_OF_SERVER: Final = 65_536
"""The same of one server's users."""


class FastPath:
    """Takes frames of one source, and learns from those that the router handled."""

    def __init__(
        self,
        server_id: str,
        roster: LocalRoster,
        mailbox: Mailbox,
        dispatcher: Dispatcher,
        statuses: Statuses,
        blocks: Blocks,
        keys: MessageKeys,
        plain: PlainMessages,
        hooks: Hooks,
    ) -> None:
        if core is None:
            raise RuntimeError("there is no compiled core")
        self._server_id = server_id
        self._roster = roster
        self._dispatcher = dispatcher
        self._blocks = blocks
        self._keys = keys
        self._plain = plain
        blocks.changed = self.forget_all
        self.core = core.FastPath(
            chat=mailbox.state,
            recent=statuses.recent,
            delivered=hooks.delivered_run,
            arm=hooks.arm,
            multipliers=keys.multipliers,
            most=BURST * ON_THEIR_WAY,
            most_bytes=BYTES_ON_THEIR_WAY,
            most_unconfirmed=UNCONFIRMED,
            most_produced=Bounds().produced,
            first_window=WINDOW,
            largest=WHOLE,
            looked_at=LOOKED_AT,
            of_author=MOST,
            patience=ANSWERING_FACTOR,
            delivered_status=Status.DELIVERED,
            collect=None if hooks.collect is None else hooks.collect.begun,
            collect_room=None if hooks.collect is None else hooks.collect.make_room,
            counted=dispatcher.counted,
        )
        if hooks.collect is not None:
            hooks.collect.share(self.core.collect_into, self.core.collected)
        self.route: Callable[[Destination, list[Frame], int, float, ChatLink | None], int] = self.core.route
        """route(source, frames, start, now, link): handle frames from `start` on; the first that is left."""
        self.settle: Callable[[Destination], Iterable[Sent]] = self.core.settle
        self.settle_due: Callable[[float, float], Iterable[Sent]] = self.core.settle_due
        self.due: Callable[[float], float | None] = self.core.due
        self.leave: Callable[[Destination], None] = self.core.leave
        """A destination is not there any more."""

    def forget_all(self) -> None:
        """Something changed that may concern any flow: learn all again."""
        self.core.forget()

    def close(self) -> None:
        """Take nothing any more."""
        self.core.is_closed = True

    def timer_is_set(self, is_set: bool) -> None:
        """Whether a timer asks `due` in time for what is on its way."""
        self.core.is_armed = is_set and len(self.core) > 0

    def __len__(self) -> int:
        return len(self.core)

    @property
    def size(self) -> int:
        """Bytes on their way."""
        return int(self.core.size)

    def introduce(self, source: Destination, frame: Frame) -> bool:
        """Learn of whom a message is and for whom, if the router would send it at once; whether it was learnt.

        From then on `route` handles it, and what is like it.
        """
        if not self.core.may_learn(source, frame) or self._is_for_nobody(source, frame):
            return False
        try:
            message = decode(frame, pb.ChatMessage)
        except MalformedMessage:
            return False
        if message.WhichOneof("recipient") != "user":
            return False
        author, recipient = User.of(message.author), User.of(message.user)
        is_local = recipient.server_id == self._server_id
        if not (recipient.is_complete and _may_speak(source, author) and (is_local or isinstance(source, User))):
            return False
        destination: Destination = recipient if is_local else recipient.server_id
        if not self._dispatcher.is_open(destination) or (is_local and self._blocks.blocks(recipient, author)):
            return False
        confirmed = tail(author, recipient, Status.DELIVERED)
        learnt: bool = self.core.learn(
            source,
            frame.raw,
            author,
            recipient,
            destination,
            self._dispatcher.in_flight_to(destination),
            source,
            "" if isinstance(source, User) else source,
            tail(None, recipient, Status.DELIVERED) if isinstance(source, User) else confirmed,
            (confirmed, _PLAIN),
            self._keys.pair(author, recipient, None),
            is_local,
            FLOWS_OF_USER if isinstance(source, User) else FLOWS_OF_SERVER,
        )
        self._roster.use(author, recipient)
        return learnt

    def _is_for_nobody(self, source: Destination, frame: Frame) -> bool:
        """Whether nothing goes to the recipient now, as far as that is told without reading the whole message."""
        plain = self._plain.read(source, frame) if isinstance(source, User) else None
        if plain is None:
            return False
        recipient = plain[1]
        is_local = recipient.server_id == self._server_id
        return not self._dispatcher.is_open(recipient if is_local else recipient.server_id)

    def learn_answer(self, envelope: Envelope, payload: bytes) -> None:
        """This MESSAGE_ACK's payload said of an envelope that it was delivered."""
        self.core.learn_answer(envelope.reply_to, envelope.raw, payload)


def _may_speak(source: Destination, author: User) -> bool:
    """Whether an author's messages come from there."""
    return author == source if isinstance(source, User) else author.is_complete and author.server_id == source
