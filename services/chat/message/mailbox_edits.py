"""Edits of messages that still wait: the body is replaced, and the number stays. Pure.

Theory of operation. An edit is a message like any other, and waits behind the message that it changes (`Edit` in
proto/messenger.proto). As it is put there, its target is looked for among what waits for the same recipient:

    the edit       its target, waiting                                   earlier edits of it, waiting
    new text       has that text, and the proof of the edit (`revised`)  stay: their recipient has a newer text
    deletion       is given up, and erased                               are given up, and erased

The edit itself waits on. Its recipient's client finds that it has the text already, shows nothing, and
acknowledges it, so its author is told by the recipient. A program that is no Parley is sent no edit; that it is in
effect all the same is noted in it (`inEffect`), and its author is told DELIVERED.

Nobody may take another's message away: the author of both is the same, and the edit is as certainly theirs
(`EditChecks`). Anything else stays as it is: the edit is delivered behind its target, as it is to who has that
already.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from parley.services.chat.message.life import Envelope
from parley.services.chat.message.model import Destination, Key, Pair
from parley.services.chat.message.statuses import FINAL, Status, Statuses
from parley.services.chat.storage.bodies import Body, Copy, head_of
from parley.services.chat.storage.mailbox import Mailbox
from parley.services.chat.storage.rows import edit_mark
from parley.shared.addresses import User
from parley.shared.errors import MalformedMessage
from parley.shared.trust.authors import EditChecks, KeysOf, signed_content
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.messages import decode, encode, pb

LOOKED_FOR: Final = 8
"""Edits whose targets are looked for on disk at a time: each takes some milliseconds of the disk's thread."""
MOST: Final = 4096
"""Edits that wait for that: beyond it an edit is delivered behind its target."""
TRIES: Final = 3
"""So often it is looked for where it is being read just then."""
LARGEST: Final = 1_000_000
"""Bytes of a message with its new text: one that is longer could not be sent to everybody."""

REMEMBERED: Final = 10_000
"""Messages that were changed."""


@dataclass(frozen=True, slots=True)
class _Edit:
    """An edit that waits at a destination."""

    destination: Destination
    envelope: Envelope
    message: pb.ChatMessage
    tries: int = TRIES

    @property
    def edit(self) -> pb.Edit:
        return self.message.edit

    @property
    def what(self) -> tuple[Destination, Pair, int]:
        """The message that it changes, where that waits."""
        return self.destination, self.envelope.pair, self.edit.target


class MailboxEdits:
    """Those of one server. `keys` knows authors' devices, `limited` hears where a target is not looked for.

    `refused` hears of each message that an edit may not change.
    """

    def __init__(
        self,
        mailbox: Mailbox,
        statuses: Statuses,
        keys: KeysOf,
        limited: Callable[[], None],
        refused: Callable[[], None],
    ) -> None:
        self._mailbox = mailbox
        self._statuses = statuses
        self._checks = EditChecks(keys)
        self._limited = limited
        self._refused = refused
        self._looked_for: set[tuple[Destination, Pair, int]] = set()
        self._queue: deque[_Edit] = deque()
        self._first_id = mailbox.state.next_id
        """Greater than the number of any message of the processes before."""
        self._changed: OrderedDict[Key, None] = OrderedDict()
        self._shared: tuple[Body, Body, Body] | None = None
        """The body of a group's message, that of its edit, and what the message's copies share from now on."""

    def came(self, destination: Destination, envelope: Envelope, message: pb.ChatMessage) -> None:
        """An edit waits there now: what it changes is changed where it waits, too."""
        if message.edit.target:  # 0 is nobody's number
            self._look(_Edit(destination, envelope, message))

    def has_changed(self, key: Key) -> bool:
        """Whether the message with this key was changed here while it waited: nobody is to have it as it was."""
        return key in self._changed

    def _look(self, new: _Edit) -> None:
        here = self._in_memory(new)
        self._apply(new, here)
        is_found = not new.edit.deletes and any(each.snowflake == new.edit.target for each in here)
        if is_found or not self._mailbox.has_messages_on_disk(new.destination):
            return
        if len(self._queue) < MOST:
            self._queue.append(new)
            self._look_for_more()
        else:
            self._limited()

    def _look_for_more(self) -> None:
        """Look for those whose turn it is: of one target one at a time, as what is read must be as it is then."""
        for _ in range(len(self._queue)):
            if len(self._looked_for) >= LOOKED_FOR:
                break
            new = self._queue.popleft()
            if new.what in self._looked_for:
                self._queue.append(new)
            else:
                self._look_on_disk(new)

    def _look_on_disk(self, new: _Edit) -> None:
        self._looked_for.add(new.what)

        def found(read: list[Envelope]) -> None:
            self._looked_for.discard(new.what)
            here = self._in_memory(new)
            known = {each.id for each in here}
            is_done = self._apply(new, [*here, *(each for each in read if each.id not in known)])
            if not is_done and new.tries > 1:
                self._queue.append(_Edit(new.destination, new.envelope, new.message, new.tries - 1))
            self._look_for_more()

        self._mailbox.look_through(new.destination, new.envelope.pair, new.edit.target, found)

    def _in_memory(self, new: _Edit) -> list[Envelope]:
        """The messages in memory that may be the target, or edits of it."""
        pair, target, mark = new.envelope.pair, new.edit.target, edit_mark(new.edit.target)
        return [
            each
            for each in self._mailbox.messages_in_memory(new.destination)
            if each.pair == pair and (each.snowflake == target or mark in each.raw)
        ]

    # Changing -----------------------------------------------------------------------------------

    def _apply(self, new: _Edit, found: list[Envelope]) -> bool:
        """Change what is to be changed of what was found; False: something of it is being read just now."""
        is_done = True
        for each in found:
            if each is new.envelope or each.id >= new.envelope.id or each.group != new.envelope.group:
                continue
            message = _message_of(each)
            if message is None:
                continue
            if message.HasField("edit"):
                is_done &= self._apply_to_edit(new, each, message)
            elif each.snowflake == new.edit.target:
                is_done &= self._apply_to_target(new, each, message)
        return is_done

    def _apply_to_edit(self, new: _Edit, earlier: Envelope, message: pb.ChatMessage) -> bool:
        """A deletion takes earlier edits of the same message away; others stand in it, and are passed by."""
        edit, old = new.edit, message.edit
        is_over = edit.deletes and (old.target, old.content) == (edit.target, edit.content)
        if not is_over or old.revision >= edit.revision or not self._may_change(new, message):
            return True
        return self._drop(new.destination, earlier)

    def _apply_to_target(self, new: _Edit, target: Envelope, message: pb.ChatMessage) -> bool:
        edit, changed = new.edit, self._changed_before(new, target)
        if changed is None:
            is_target = message.WhichOneof("content") in ("textContent", "document")
            if not is_target or signed_content(message) != edit.content or not self._may_change(new, message):
                return True
        if changed is None and message.HasField("revised") and message.revised.revision >= edit.revision:
            is_done = True
        elif edit.deletes:
            is_done = self._drop(new.destination, target)
        elif target.attempts and not message.HasField("proof"):
            return True  # it may have come already, and could not be told from another one
        else:
            is_done = self._rewrite(new, target, message, changed)
            self._changed[target.key] = None
            if len(self._changed) > REMEMBERED:
                self._changed.popitem(last=False)
        return is_done and self._note_effect(new)

    def _changed_before(self, new: _Edit, target: Envelope) -> Body | None:
        """The body that another copy of the same group message was given for the same edit."""
        if self._shared is None or target.body is None or new.edit.deletes:
            return None
        old, edit, changed = self._shared
        return changed if old is target.body and edit is new.envelope.body else None

    def _may_change(self, new: _Edit, message: pb.ChatMessage) -> bool:
        """Whether an edit is its author's as certainly as what it changes."""
        is_allowed = self._checks.allows(new.message, message)
        if not is_allowed:
            self._refused()
        return is_allowed

    def _drop(self, destination: Destination, envelope: Envelope) -> bool:
        """Give a message up, and leave no byte of it; False: it is being read just now."""
        if self._statuses.recent.status(envelope.key) in FINAL:
            return True
        if not self._mailbox.remove(destination, envelope):
            return False
        self._mailbox.erase(envelope)
        may_have_come = envelope.attempts or envelope.id < self._first_id  # what the last process sent is not known
        self._statuses.report(envelope, Status.UNKNOWN_STATUS if may_have_come else Status.OTHER_ERROR)
        return True

    def _rewrite(self, new: _Edit, target: Envelope, message: pb.ChatMessage, changed: Body | None) -> bool:
        if not isinstance(target, Copy):
            raw = encode("MESSAGE", revised(message, new.message))
            return len(raw) > LARGEST or self._mailbox.rewrite(new.destination, target, raw)
        before = target.body
        if changed is None:
            shared = revised(message, new.message)
            shared.ClearField("recipient")
            changed = Body(shared.SerializeToString())
        if changed.size > LARGEST or target.group is None:
            return True
        head = head_of(User(*target.recipient), target.group, changed)
        if not self._mailbox.rewrite(new.destination, target, head, changed):
            return False
        if new.envelope.body is not None:
            self._shared = before, new.envelope.body, changed
        return True

    def _note_effect(self, new: _Edit) -> bool:
        """Have the edit say that it is in effect, as long as it waits."""
        envelope, message = new.envelope, new.message
        if message.inEffect:
            return True
        if isinstance(envelope, Copy):
            if envelope.group is not None:
                head = head_of(User(*envelope.recipient), envelope.group, envelope.body, in_effect=True)
                self._mailbox.rewrite(new.destination, envelope, head, envelope.body)
            return True
        noted = pb.ChatMessage()
        noted.CopyFrom(message)
        noted.inEffect = True
        self._mailbox.rewrite(new.destination, envelope, encode("MESSAGE", noted))
        return True


def revised(message: pb.ChatMessage, edit: pb.ChatMessage) -> pb.ChatMessage:
    """A message with the text of an edit, and the proofs of both. Archived where both are to be."""
    changed, content = pb.ChatMessage(), signed_content(message)
    changed.CopyFrom(message)
    changed.textContent = edit.edit.text
    changed.historyOff = message.historyOff or edit.historyOff
    changed.revised.Clear()
    changed.revised.messageSnowflake = edit.messageSnowflake
    changed.revised.content, changed.revised.revision = content, edit.edit.revision
    if edit.HasField("proof"):
        changed.revised.proof.CopyFrom(edit.proof)
    return changed


def _message_of(envelope: Envelope) -> pb.ChatMessage | None:
    try:
        return decode(read_datagram(envelope.raw), pb.ChatMessage)
    except MalformedMessage:
        return None
