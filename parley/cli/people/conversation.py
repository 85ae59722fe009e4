"""One chat: the meaning of each line that is typed, and of all that comes back; the screen shows it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Coroutine
from pathlib import Path
from typing import Any, Final

from parley.cli.people.devices import added
from parley.cli.people.documents import Folder, read_file, too_large
from parley.cli.people.groups import described, joined
from parley.cli.people.line_recipient import Known, addressee, likely_name
from parley.cli.people.lines import LineRefused
from parley.cli.people.names import group_named, new_group, other_than, recipient_named
from parley.cli.people.outcome import Outcome
from parley.cli.people.past import Past
from parley.cli.people.receive import save_document
from parley.cli.people.screens import Screen
from parley.cli.people.typing_notices import TypingNotices
from parley.cli.people.users import LEFT_OUT
from parley.cli.people.wording import (
    HISTORY,
    beginning,
    describe,
    describe_key_change,
    describe_own,
    explain,
    group_of,
    mark,
    worth_of,
)
from parley.client.chat import ChatFeature
from parley.client.contacts.continuity import KeyChange
from parley.client.outbox.deliveries import INTERIM, Delivery
from parley.shared.addresses import Group, Recipient, User
from parley.shared.config import host_name
from parley.shared.errors import ConfigError, FrameTooLarge, ParleyError
from parley.shared.names import spell
from parley.shared.trust.keys import fingerprint
from parley.shared.wire.messages import pb

HELP: Final = """\
someone@server: text    writes to someone; the next lines go to the same person
#group: text        writes to a group, and so do the next lines
someone: text       writes to someone at your server whom you wrote to or heard from here; never inside of a group
/to NAME            chooses whom the next lines go to; /who tells it
/users [PART]       who is connected, with that part in their names
/join #g  /leave #g  /members [#g]      groups
/group [#g]         who may change it, and whether it is kept;  /group [#g] history off  (or on)  changes that
/block NAME  /unblock NAME  /blocked    from whom you take no messages
/file PATH          sends a file
/edit TEXT          gives the last message that you sent another text;  /delete  deletes it, at all who have it
/history [N]        the last messages with whom the next lines go to;  /search WORDS  those with these words
/device add CODE    adds a device of yours, which shows that code; /device lists them
/quit               ends, as Ctrl-D does
A line that begins with a space is sent as it is; // sends a line that begins with a slash."""

WRITTEN: Final = 1000
"""Messages of ours whose beginning is shown when they were read."""
STATUS_TIMEOUT: Final = 15.0
"""Seconds without any status after which, at the end, what has none is given up: a server gives another 10."""
STATUS_TIMEOUT_ALONE: Final = 5.0
"""The same where our server is gone."""


class Conversation:
    """One user's chat. `to`: whom the next line goes to."""

    def __init__(
        self, user: User, folder: Folder | None = None, *, answers_for_all: bool = False, is_marked: bool = True
    ) -> None:
        """`answers_for_all`: the lines are a file's, and the exit code tells what became of all of them.

        `is_marked`: whose author is not known by a key has a mark.
        """
        self.to: Recipient | None = None
        self._known = Known()
        """Names that we wrote to, heard from or saw."""
        self._answers_for_all = answers_for_all
        self._is_marked = is_marked
        self._outcome = Outcome()
        self._home = user.server_id
        self._user = user
        self._folder = folder
        self._newest = 0
        self._last_sent: pb.ChatMessage | None = None
        """The last message, but for edits of it."""
        self._kept: set[tuple[int, Recipient]] = set()
        """Messages that we were told are kept, and their recipients: the author has gone on since."""
        self._history_off: set[Group] = set()
        """Groups that we were told are not kept."""
        self._was_connected = False
        self._is_connected = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended = False
        self.chat: ChatFeature
        self.screen: Screen
        self.typing_notices: TypingNotices | None = None
        self.past = Past(user)
        self.is_at_terminal = False
        """Whether a person reads what is shown: what goes to a file was read by nobody yet."""
        self._written: OrderedDict[int, str] = OrderedDict()
        """How messages of ours to users begin."""

    def prompt(self) -> str:
        """The text before the line that is typed."""
        return f"{self.to}> " if self.to is not None else "> "

    def typing_notice(self) -> str:
        """The text at the other end of that line: who types."""
        return self.typing_notices.text if self.typing_notices is not None else ""

    # What comes ---------------------------------------------------------------------------------

    def message_received(self, message: pb.ChatMessage) -> Awaitable[None] | None:
        """Show a message; the first who writes is whom the next lines go to, where nobody is chosen."""
        saved = save_document(message, self._folder)
        if (group := group_of(message)) is not None:
            self._tell_history(group, is_off=message.historyOff)
        shown = self.screen.say(describe(message, saved, always_when=True, is_marked=self._is_marked))
        self._know(User.of(message.author), group)
        if self.to is None:
            self._choose(group or User.of(message.author))
        if self.is_at_terminal:
            self.chat.was_read(message)
        return shown

    def was_read(self, reader: User, snowflake: int) -> None:
        """Show how far somebody has read what we wrote."""
        text = self._written.get(snowflake)
        self.screen.note(f"  ✓✓ read by {reader}" + (f": “{text}”" if text is not None else ""))

    def _tell_history(self, group: Group, *, is_off: bool) -> None:
        """Say, once, that nothing of a group is kept, or that it is kept again."""
        if is_off != (group in self._history_off):
            (self._history_off.add if is_off else self._history_off.discard)(group)
            self.screen.note(HISTORY[is_off].format(group=group))

    def edit_received(self, message: pb.ChatMessage) -> None:
        """Show that somebody changed what they wrote."""
        self.screen.say(describe(message, always_when=True, is_marked=self._is_marked))

    def key_changed(self, user: User, change: KeyChange) -> None:
        """Say that somebody is another device than before."""
        self.screen.note(describe_key_change(user, change))

    def status_received(self, delivery: Delivery, whose: Recipient, status: str) -> None:
        """Show a status; the message's beginning with it, where others were sent or told of since."""
        key = delivery.snowflake, whose
        was_kept = key in self._kept
        text = f"  {mark(status)} {explain(status, whose, was_kept=was_kept)}{worth_of(delivery, whose)}"
        if delivery.snowflake != self._newest or was_kept:
            text += f": “{beginning(delivery.message)}”"
        if status in INTERIM:
            self._kept.add(key)
        self._outcome.status_received(delivery)
        self.screen.note(text)
        if delivery.is_history_off and isinstance(delivery.recipient, Group):
            self._tell_history(delivery.recipient, is_off=True)

    def connection_changed(self, is_connected: bool) -> None:
        """Greet, before anything comes; later say that the server is gone, and that it is back."""
        self._is_connected = is_connected
        if is_connected:
            self.screen.note(f"{spell(self._home)} is back" if self._was_connected else self._greeting())
            if not self._was_connected and self.chat.cache is not None:
                self._spawn(self.past.opening())
        elif not is_connected and not self._ended and not self.chat.is_revoked:
            self.screen.note(f"{spell(self._home)} is gone; what you write goes out when it is back")
        self._was_connected = True

    def _greeting(self) -> str:
        return f"you are {self._user}. Write `someone@server: text`; /help tells more, Ctrl-D ends."

    # What is typed --------------------------------------------------------------------------------

    async def run(self) -> int:
        """Read lines until the end; the exit code."""
        try:
            while await self._next():
                await self._outcome.wait_for_room()
            return await self._end()
        finally:
            self._ended = True

    async def _next(self) -> bool:
        """Read a line and do what it says; False at the end."""
        try:
            text = await self.screen.read()
        except LineRefused as error:
            self._outcome.failed = True
            self.screen.note(str(error))
            return True
        return text is not None and self._line(text)

    def _line(self, text: str) -> bool:
        """Do what a line says, or tell why not; False to end."""
        is_command = text.startswith("/") and not text.startswith("//")
        if is_command:
            self.screen.own(self.prompt() + text)
        try:
            if is_command:
                word, _, rest = text.partition(" ")
                return self._command(word, rest.strip())
            self._write(text)
        except ParleyError as error:
            if not is_command:
                self._outcome.failed = True
                self.screen.own(self.prompt() + text)
            self.screen.note(str(error))
        return True

    def _write(self, text: str) -> None:
        """Send a line to whom it names, or to whom the last one went."""
        if text.startswith("//"):
            self._send(text[1:])
            return
        to, body = self._addressee(text)
        if to is not None and (to, type(to)) != (self.to, type(self.to)):
            self._choose(to)
        self._send(body)
        if to is None and (name := likely_name(text)):
            self._hint_at_other_recipient(name)

    def _addressee(self, text: str) -> tuple[Recipient | None, str]:
        return addressee(text, self.to, self._known, self._home)

    def _hint_at_other_recipient(self, name: str) -> None:
        """A line that may have been meant for another went where the last one did: say how it goes elsewhere."""
        user = User(name, self._home)
        if user in self._known or not isinstance(self.to, Group):
            self.screen.note(f"  that went to {self.to}; to write to {user}: /to {user}, or `{user}: text`")

    def edited(self, text: str) -> None:
        """The line that is being typed is another: tell it to whom it is for."""
        if self.typing_notices is not None:
            self.typing_notices.edited(self._reader_of(text))

    def _reader_of(self, text: str) -> Recipient | None:
        """The recipient of a line; None where it is no message, or for nobody."""
        if not text.strip() or (text.startswith("/") and not text.startswith("//")):
            return None
        try:
            return self._addressee(text)[0] or self.to
        except ConfigError:
            return None

    def _know(self, *names: Recipient | None) -> None:
        """Remember whom a line may name."""
        for name in names:
            if name is not None:
                self._known.add(name)

    def _choose(self, to: Recipient) -> None:
        self.to = to
        self._know(to)
        self.screen.note(f"your lines go to {to} now")

    def _send(self, text: str) -> None:
        if not text.strip():
            return
        to = self._recipient()
        try:
            self._note_sent(self.chat.send(to, text.strip()))
        except FrameTooLarge as error:
            raise ParleyError(too_large("the text", error.size, error.limit)) from None

    def _recipient(self) -> Recipient:
        if self.to is None:
            raise ConfigError("to whom? Write `someone@server: text` once, or /help")
        return self.to

    def _note_sent(self, delivery: Delivery) -> None:
        self._newest = delivery.snowflake
        self.past.sent(delivery.snowflake)
        if delivery.message.WhichOneof("content") != "edit":
            self._last_sent = delivery.message
            self._written[delivery.snowflake] = beginning(delivery.message)
            if len(self._written) > WRITTEN:
                self._written.popitem(last=False)
        self._outcome.message_sent(delivery)
        self.screen.own(describe_own(delivery.message, delivery.recipient))
        if not self._is_connected and not self.chat.is_revoked:
            self.screen.note(f"  … not sent yet: {spell(self._home)} is gone; it goes out when it is back")

    def _command(self, word: str, rest: str) -> bool:
        """One of the words of HELP; False to end."""
        if word == "/quit":
            return False
        if word == "/help":
            self.screen.note(HELP)
        elif word == "/who":
            whom = str(self.to) if self.to is not None else "nobody yet; write `someone@server: text`, or /to NAME"
            self.screen.note(f"you are {self._user}; your lines go to {whom}")
        elif word == "/to":
            if not rest:
                raise ConfigError("to whom? Write /to NAME, as in /to bob@beta or /to #crew")
            self._choose(recipient_named(rest, self._home))
        elif word == "/file":
            self._file(rest)
        elif word in ("/edit", "/delete"):
            self._change_last(rest, deletes=word == "/delete")
        elif (ask := self._request(word, rest)) is not None:
            self._spawn(ask)
        else:
            self.screen.note(f"there is no {word}: /help lists the commands, and //… sends a line with a slash")
        return True

    def _file(self, name: str) -> None:
        """Send a file."""
        if not name:
            raise ConfigError("which file? Write /file PATH")
        to, path = self._recipient(), Path(name).expanduser()
        try:
            self._note_sent(self.chat.send_document(to, path.name, read_file(path, self.chat.config)))
        except FrameTooLarge as error:
            raise ParleyError(too_large(str(path), error.size, error.limit)) from None

    def _change_last(self, text: str, *, deletes: bool) -> None:
        """Change the last message that was sent from here."""
        last = self._last_sent
        if last is None:
            raise ConfigError("you sent nothing from here yet that could be changed")
        if not deletes and not text:
            raise ConfigError("to what? Write /edit and the new text")
        self._note_sent(self.chat.delete(last) if deletes else self.chat.edit(last, text))

    def _request(self, word: str, rest: str) -> Coroutine[Any, Any, str] | None:
        """A command's request to the server, with its outcome in words; None where the word is no command."""
        if word in ("/join", "/leave", "/members"):
            return self._group_request(word, self._group(word, rest))
        if word == "/group":
            return self._about_group(rest)
        if word in ("/block", "/unblock"):
            return self._block_request(word, self._person(rest))
        if word in ("/history", "/search"):
            return self.past.history(self.to, rest) if word == "/history" else self.past.search(rest)
        if word in ("/users", "/device"):
            return self._search(rest) if word == "/users" else self._devices(rest)
        return self._list("you take no messages from: ", self.chat.blocked()) if word == "/blocked" else None

    def _group_request(self, word: str, group: Group) -> Coroutine[Any, Any, str]:
        if word == "/join":
            return self._join(group)
        if word == "/leave":
            return self._done(self.chat.leave(group), f"you are not in {group} any more")
        return self._list(f"in {group}: ", self.chat.members(group))

    def _about_group(self, rest: str) -> Coroutine[Any, Any, str]:
        name, space, switch = rest.rpartition("history ")
        if not space:
            return self._show_group(self._group("/group", rest))
        if switch.strip() not in ("on", "off"):
            raise ConfigError("write /group #crew history off, or on")
        return self._set_history(self._group("/group", name.strip()), is_off=switch.strip() == "off")

    async def _show_group(self, group: Group) -> str:
        return "\n".join(f"  {text}" for text in described(group, await self.chat.group(group)))

    async def _set_history(self, group: Group, *, is_off: bool) -> str:
        await self.chat.set_history(group, is_off=is_off)
        (self._history_off.add if is_off else self._history_off.discard)(group)
        return HISTORY[is_off].format(group=group)

    def _block_request(self, word: str, user: User) -> Coroutine[Any, Any, str]:
        if word == "/block":
            return self._done(self.chat.block(user), f"you take no messages from {user}")
        return self._done(self.chat.unblock(user), f"you take messages from {user}")

    async def _join(self, group: Group) -> str:
        members = await self.chat.join(group)
        self._know(*members)
        self.screen.note(joined("you are", group, members))
        self._choose(group)
        return ""

    async def _done(self, request: Coroutine[Any, Any, None], answer: str) -> str:
        await request
        return answer

    async def _list(self, heading: str, request: Coroutine[Any, Any, list[User]]) -> str:
        users = await request
        self._know(*users)
        return heading + (", ".join(sorted(map(str, users))) or "nobody")

    async def _search(self, part: str) -> str:
        found = await self.chat.search_users(part)
        self._know(*found.users)
        others = ", ".join(str(user) for user in found.users if user != self._user) or "nobody else"
        return f"connected: {others}" + ("" if found.is_all else f"; {LEFT_OUT}")

    async def _devices(self, rest: str) -> str:
        word, _, code = rest.partition(" ")
        if word == "add":
            return added(await self.chat.devices.add(code, host_name()))
        if word not in ("", "list"):
            raise ConfigError("write /device add CODE with the code that the new device shows, or /device list")
        devices = await self.chat.devices.all()
        return "yours: " + ", ".join(f"{each.name or '(no name)'} {fingerprint(each.key)}" for each in devices)

    def new_device_waits(self, key: str) -> None:
        """Somebody's device shows a code, and wants to be ours."""
        self.screen.note(
            f"a device (key {key}) asks to speak for you; if it is yours, type /device add CODE with what it shows"
        )

    def _group(self, word: str, text: str) -> Group:
        """The group that is named, or that we write to."""
        if not text and isinstance(self.to, Group):
            return self.to
        if not text.removeprefix("#"):
            raise ConfigError("which group? Write its name, as in #crew")
        return new_group(text, self._home) if word == "/join" else group_named(text, self._home)

    def _person(self, text: str) -> User:
        if not text:
            raise ConfigError("whom? Write a name, as in bob@beta")
        return other_than(self._user, text)

    def _spawn(self, ask: Coroutine[Any, Any, str]) -> None:
        """Ask while lines are typed and messages come."""

        async def show() -> None:
            try:
                if answer := await ask:
                    self.screen.note(answer)
            except ParleyError as error:
                self.screen.note(str(error))

        task = asyncio.get_running_loop().create_task(show())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end(self) -> int:
        """At the end of the input, what was just sent may still be under way."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._status_timeout())
        lost = await self._outcome.wait_for_first_statuses(self._status_timeout)
        for delivery in lost:
            text = f"“{beginning(delivery.message)}” to {delivery.recipient}"
            if self.chat.cache is not None:
                self.screen.note(f"  … no status came for {text}; it goes out again with your next chat")
            else:
                self.screen.note(f"  ✗ no status came for {text}; it may not have been taken, send it again")
        if lost or not self._answers_for_all:
            return 1 if lost else 0
        return self._outcome.exit_code()

    def _status_timeout(self) -> float:
        return STATUS_TIMEOUT if self._is_connected else STATUS_TIMEOUT_ALONE
