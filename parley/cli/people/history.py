"""`parley history`, `parley search` and `parley clear`: the conversations of before, as one's server kept them."""

from __future__ import annotations

import re
import sqlite3
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from parley.cli.options import As, ConfigFile, Json, ServerOption
from parley.cli.people.names import recipient_named
from parley.cli.terminal import as_json, at_home, finder, line, note, run, who_we_are
from parley.client.chat import ChatFeature
from parley.client.outbox.history import ConversationSummary, HistoryLine
from parley.shared.addresses import Recipient, User
from parley.shared.config import Config
from parley.shared.errors import ConfigError
from parley.shared.printable import one_line
from parley.shared.wire.messages import pb

PAGE: Final = 200
"""Lines that a server is asked for at once."""
_UNITS: Final = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


HISTORY_OF: Final = "Or '#GROUP[@SERVER]', in quotes; without it: each conversation's last message."
Limit = Annotated[int, typer.Option(min=1, max=100_000, help="So many messages at most, the latest.")]
Since = Annotated[str, typer.Option("--since", metavar="2d", help="Only what came since: with m, h, d or w.")]


def history(
    whom: Annotated[str, typer.Argument(metavar="[USER[@SERVER]]", help=HISTORY_OF)] = "",
    user: As = "",
    since: Since = "",
    limit: Limit = 50,
    server: ServerOption = None,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Print the latest messages of a conversation, the oldest of them first; of none: your conversations.

    Examples:
        parley history --as alice@alpha

        parley history bob@beta --as alice@alpha

        parley history '#crew' --since 2d --json --as alice@alpha

    """
    sys.exit(run(lambda c: _history(c, user, server or (), whom, since, limit, in_json=as_json), config))


def search(
    terms: Annotated[
        list[str], typer.Argument(metavar="WORDS", help="All of them have to be there; par* for more.")
    ],
    user: As = "",
    limit: Limit = 50,
    server: ServerOption = None,
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Print messages of all your conversations that have these words, the latest first.

    Examples:
        parley search lunch friday --as alice@alpha

    """
    sys.exit(run(lambda c: _search(c, user, server or (), " ".join(terms), limit, in_json=as_json), config))


def clear(
    whom: Annotated[str, typer.Argument(metavar="[USER[@SERVER]]", help="Or '#GROUP[@SERVER]', in quotes.")] = "",
    user: As = "",
    of_all: Annotated[bool, typer.Option("--all", help="All conversations.")] = False,
    server: ServerOption = None,
    config: ConfigFile = None,
) -> None:
    """Remove your copy of a conversation from your server, and from your devices when they connect next.

    The other side keeps theirs. Nothing brings it back.

    Examples:
        parley clear bob@beta --as alice@alpha

        parley clear --all --as alice@alpha

    """
    sys.exit(run(lambda c: _clear(c, user, server or (), whom, of_all=of_all), config))


async def _clear(config: Config, name: str, servers: Sequence[str], whom: str, *, of_all: bool) -> int:
    me = who_we_are(config, name)
    if bool(whom) == of_all:
        raise ConfigError("clear which? Write parley clear USER@SERVER, '#GROUP@SERVER', or --all")
    other = recipient_named(whom, me.server_id) if whom else None
    chat = ChatFeature(me, config, on_line=lambda _line: None, discovery=await finder(config, servers))
    async with at_home(chat, servers):
        await chat.history.clear(other)
        if chat.cache is not None:
            await chat.cache.caught_up()
    note(f"your copy of {other or 'all conversations'} is gone from {me.server_id}")
    return 0


async def _history(
    config: Config, name: str, servers: Sequence[str], whom: str, since: str, limit: int, *, in_json: bool
) -> int:
    me = who_we_are(config, name)
    other, begin = recipient_named(whom, me.server_id) if whom else None, since_of(since)
    chat = ChatFeature(me, config, on_line=lambda _line: None, discovery=await finder(config, servers))
    try:
        async with at_home(chat, servers):
            if other is None:
                return _show_conversations(await chat.history.conversations(), me, in_json=in_json)
            found = await _latest(chat, other, begin, limit)
            if chat.cache is not None:
                await chat.cache.caught_up()
    except SystemExit:  # it was said why: the server is not there
        found = await _from_cache(config, me, other, begin, limit)
        if not found:
            raise
    for each in reversed(found):
        _show(each, me, in_json=in_json)
    if not found:
        note(f"parley: nothing of {other} is kept at {me.server_id}")
    return 0


async def _latest(chat: ChatFeature, other: Recipient, since: float, limit: int) -> list[HistoryLine]:
    """The latest lines of a conversation, as the server has them."""
    found: list[HistoryLine] = []
    before, more = 0, True
    while more and len(found) < limit:
        page = await chat.history.lines(other, before=before, limit=min(PAGE, limit - len(found)), since=since)
        found += page.lines
        more, before = page.more, page.lines[-1].sequence if page.lines else 0
    return found


async def _from_cache(
    config: Config, me: User, other: Recipient | None, since: float, limit: int
) -> list[HistoryLine]:
    """The same from the copy on this machine, if there is one; without a conversation the last line of each."""
    chat = ChatFeature(me, config, on_line=lambda _line: None)
    if chat.cache is None:
        return []
    try:
        if other is None:
            found = [each for each, _unread in await chat.cache.latest(limit)]
        else:
            found = await chat.cache.lines(other, limit=limit, since=since)
    except (OSError, sqlite3.Error):
        found = []
    await chat.cache.close()
    if found:
        note("parley: this is the copy on this machine, as of when your server was reached last")
    return found


def _show_conversations(found: Sequence[ConversationSummary], me: User, *, in_json: bool) -> int:
    for each in found:
        if in_json:
            _show(each.last, me, in_json=True)
        else:
            unread = f"  ({each.unread} new)" if each.unread else ""
            line(written(each.last, me, with_conversation=True) + unread)
    if not found:
        note(f"parley: no conversation is kept at {me.server_id}")
    return 0


async def _search(
    config: Config, name: str, servers: Sequence[str], query: str, limit: int, *, in_json: bool
) -> int:
    me = who_we_are(config, name)
    chat = ChatFeature(me, config, discovery=await finder(config, servers))
    count, before, more = 0, 0, True
    async with at_home(chat, servers):
        while more and count < limit:
            page = await chat.history.search(query, before=before, limit=min(PAGE, limit - count))
            for each in page.lines:
                _show(each, me, in_json=in_json, with_conversation=True)
            count += len(page.lines)
            more, before = page.more and page.next != before, page.next
    if not count:
        note("parley: nothing was found")
    return 0


def _show(each: HistoryLine, me: User, *, in_json: bool, with_conversation: bool = False) -> None:
    if in_json:
        line(as_json(fields(each, me)))
    else:
        line(written(each, me, with_conversation=with_conversation))


def fields(each: HistoryLine, me: User, saved: str = "") -> dict[str, object]:
    """A line for programs; `saved`: where its document is."""
    document = document_of(each)
    return {
        "conversation": str(each.conversation),
        "sequence": each.sequence,
        "at": round(each.at, 3),
        "author": str(author_of(each, me)),
        "text": each.text or None,
        "document": document.filename if document is not None else None,
        "saved": saved or None,
        "status": each.status or None,
        "edited": each.edit is not None and not each.is_deleted,
        "deleted": each.is_deleted,
    }


def document_of(each: HistoryLine) -> pb.Document | None:
    """Its document; None: it has none, or its author deleted it."""
    if each.message is None or each.is_deleted or not each.message.HasField("document"):
        return None
    return each.message.document


def author_of(each: HistoryLine, me: User) -> User | Recipient:
    """The author; of what is gone, the other side."""
    if each.message is not None:
        return User.of(each.message.author)
    return each.conversation if each.received else me


def unfinished(each: HistoryLine) -> str:
    """Its status, where that is another than DELIVERED; else nothing."""
    return "" if each.status == "DELIVERED" else each.status


def written(each: HistoryLine, me: User, *, with_conversation: bool = False, saved: str = "") -> str:
    """A line for people: when, who, and what; `saved`: where its document is."""
    document = document_of(each)
    if each.edit is not None:
        body = "[deleted]" if each.is_deleted else f"{each.text}  [edited]"
    elif document is not None:
        body = f"[document {document.filename}{f', saved as {saved}' if saved else ''}]"
    else:
        body = each.text if each.message is not None else "[not kept]"
    when = datetime.fromtimestamp(each.at, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    where = f"{each.conversation}  " if with_conversation else ""
    waits = f"  ({unfinished(each)})" if unfinished(each) else ""
    return f"{when}  {where}{author_of(each, me)}: {one_line(body)}{waits}"


def since_of(text: str) -> float:
    """Unix seconds so long ago; 0: for ever.

    Raises:
        ConfigError: it is no such time.

    """
    if not text:
        return 0.0
    found = re.fullmatch(r"(\d{1,6})([mhdw])", text.strip())
    if found is None:
        raise ConfigError(f"--since {text}: write a number with m, h, d or w, as in 2d")
    return time.time() - float(found[1]) * _UNITS[found[2]]
