"""`parley send`, `parley listen` and `parley chat`."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence

from client.chat import ChatFeature
from client.cli.terminal import discover_home, err, fail
from client.deliveries import Delivery
from shared.addresses import Recipient, User
from shared.config import Config
from shared.errors import ConfigError
from shared.messages import pb

EXPLAINED = {
    "DELIVERED": "{to} has it",
    "USER_AWAY": "{to} is away; kept at {server}, it will be delivered",
    "USER_NOT_FOUND": "{server} knows no {to}",
    "OTHER_SERVER_NOT_FOUND": "no server {server} is known here",
    "OTHER_SERVER_TIMEOUT": "{server} does not answer; kept here, it will be delivered",
    "USER_BLOCKED": "{to} does not take messages from you",
    "OTHER_ERROR": "it was not taken",
    "UNKNOWN_STATUS": "handed over to {server}, which does not confirm",
}


def _line(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _explain(status: str, to: User) -> str:
    return f"{status}: {EXPLAINED.get(status, status).format(to=to, server=to.server_id)}"


def who_we_are(config: Config, name: str) -> User:
    """The user named on the command line, or the configured one; ConfigError where there is neither."""
    if not (name or config.client.user):
        raise ConfigError("who are you? Name yourself with --as USER@SERVER, or as client.user in parley.yml")
    return User.parse(name or config.client.user)


async def send(
    config: Config, sender: str, recipient: str, text: str, servers: Sequence[str], wait: float, *, as_json: bool
) -> int:
    """Send one message, print each status as it comes; 0 only on DELIVERED."""
    user, to = who_we_are(config, sender), User.parse(recipient)

    def on_status(delivery: Delivery, _whose: Recipient, status: str) -> None:
        if as_json:
            _line(json.dumps({"snowflake": delivery.snowflake, "to": str(to), "status": status}))
        else:
            _line(_explain(status, to))

    discovery, found = await discover_home(config, user, servers)
    async with ChatFeature(user, config, on_status=on_status, discovery=discovery) as chat:
        await chat.handle_connection(found)
        delivery = chat.send(to, text)
        await asyncio.wait([delivery.final], timeout=wait)
        if not delivery.statuses:
            fail(f"{user.server_id} gave no status within {wait:g} s")
        return 0 if delivery.statuses[-1] == "DELIVERED" else 1


def _content(message: pb.ChatMessage) -> str:
    which = message.WhichOneof("content")
    if which == "document":
        return f"[document {message.document.filename}, {len(message.document.data)} bytes]"
    if which == "live_location":
        at = message.live_location.location
        return f"[location {at.latitude:.5f}, {at.longitude:.5f}]"
    return message.textContent


def _as_json(message: pb.ChatMessage) -> str:
    which = message.WhichOneof("recipient")
    group = message.userOfGroup.group if which == "userOfGroup" else message.group
    fields = {
        "snowflake": message.messageSnowflake,
        "author": str(User.of(message.author)),
        "group": f"{group.groupId}@{group.serverId}" if which in ("group", "userOfGroup") else None,
        "received_at": time.time(),
        "text": message.textContent if message.HasField("textContent") else None,
        "document": message.document.filename if message.HasField("document") else None,
    }
    return json.dumps({key: value for key, value in fields.items() if value is not None}, ensure_ascii=False)


def _harmless(text: str) -> str:
    """Another's words for a terminal: no control characters, and no line that looks like somebody else's."""
    shown = "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)
    return shown.replace("\n", "\n    ")


def _show(message: pb.ChatMessage) -> None:
    _line(_harmless(f"{User.of(message.author)}: {_content(message)}"))


async def listen(config: Config, name: str, servers: Sequence[str], *, as_json: bool) -> None:
    """Print each message, acknowledge it, for ever."""
    user = who_we_are(config, name)

    def on_message(message: pb.ChatMessage) -> None:
        if as_json:
            _line(_as_json(message))
        else:
            _show(message)

    discovery, found = await discover_home(config, user, servers)
    async with ChatFeature(user, config, on_message=on_message, discovery=discovery) as chat:
        await chat.handle_connection(found)
        err.print(f"listening as {user}; Ctrl-C ends it", markup=False)
        await asyncio.Event().wait()


async def chat(config: Config, name: str, servers: Sequence[str]) -> None:
    """Lines in, lines out: `USER@SERVER: text` chooses whom the next lines go to as well."""
    user = who_we_are(config, name)

    def on_status(delivery: Delivery, _whose: Recipient, status: str) -> None:
        to = User.of(delivery.message.user)
        err.print(f"  {'✓' if status == 'DELIVERED' else '…'} {_explain(status, to)}", markup=False)

    discovery, found = await discover_home(config, user, servers)
    async with ChatFeature(user, config, on_message=_show, on_status=on_status, discovery=discovery) as feature:
        await feature.handle_connection(found)
        err.print(f"you are {user}. Write `someone@server: text`; Ctrl-D ends.", markup=False)
        lines = await _standard_input()
        to: User | None = None
        while line := (await lines.readline()).decode(errors="replace"):
            to = _say(feature, to, line.rstrip("\n"))
        await _wait_for_answers(feature)


def _say(feature: ChatFeature, to: User | None, line: str) -> User | None:
    """Send one line; whom the next goes to."""
    head, colon, text = line.partition(":")
    if colon and "@" in head and " " not in head.strip():
        try:
            to = User.parse(head)
        except ConfigError as error:
            err.print(str(error), markup=False)
            return to
    else:
        text = line
    if not text.strip():
        return to
    if to is None:
        err.print("to whom? Write `someone@server: text` once.", markup=False)
        return None
    feature.send(to, text.strip())
    return to


async def _wait_for_answers(feature: ChatFeature) -> None:
    """At the end of the input, what was just sent may still be under way."""
    pending = [delivery.final for delivery in feature.outbox if not delivery.statuses]
    if pending:
        await asyncio.wait(pending, timeout=5.0)


async def _standard_input() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader
