"""`parley export`: a whole conversation, for programs, as text, or as a page for a browser."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Sequence
from enum import StrEnum
from typing import Annotated

import typer

from parley.cli.options import As, ConfigFile, ServerOption
from parley.cli.people.documents import Folder
from parley.cli.people.export_page import ExportPage
from parley.cli.people.history import PAGE, Since, document_of, fields, since_of, written
from parley.cli.people.names import recipient_named
from parley.cli.terminal import as_html, as_json, at_home, finder, line, run, who_we_are
from parley.client.chat import ChatFeature
from parley.client.outbox.history import HistoryLine
from parley.shared.addresses import Recipient
from parley.shared.config import Config


class Format(StrEnum):
    """The formats of an export."""

    JSONL = "jsonl"
    TEXT = "text"
    HTML = "html"


Whom = Annotated[
    str,
    typer.Argument(metavar="USER[@SERVER]", help="Or '#GROUP[@SERVER]', in quotes; without a server: at yours."),
]


def command(
    whom: Whom,
    user: As = "",
    how: Annotated[
        Format, typer.Option("--format", help="One JSON object a line, text, or a page for a browser.")
    ] = Format.JSONL,
    since: Since = "",
    save: Annotated[str, typer.Option("--save", metavar="DIR", help="Write the documents there, too.")] = "",
    server: ServerOption = None,
    config: ConfigFile = None,
) -> None:
    """Print a whole conversation, from the oldest message that is kept.

    Examples:
        parley export bob@beta --as alice@alpha > bob.jsonl

        parley export '#crew' --format text --as alice@alpha

        parley export bob@beta --format html --save bob --as alice@alpha > bob.html

    """
    sys.exit(run(lambda c: _export(c, user, server or (), whom, since, how, save), config))


async def _export(
    config: Config, name: str, servers: Sequence[str], whom: str, since: str, how: Format, save: str
) -> int:
    me = who_we_are(config, name)
    other, begin = recipient_named(whom, me.server_id), since_of(since)
    folder = Folder.named(save) if save else None
    chat = ChatFeature(me, config, discovery=await finder(config, servers))
    page = ExportPage(me, other)
    show: dict[Format, Callable[[HistoryLine, str], str]] = {
        Format.JSONL: lambda each, saved: as_json(fields(each, me, saved)),
        Format.TEXT: lambda each, saved: written(each, me, saved=saved),
        Format.HTML: lambda each, saved: as_html(page.line(each, saved)),
    }
    async with at_home(chat, servers):
        if how is Format.HTML:
            line(as_html(page.begin()))
        async for each in _all_lines(chat, other):
            if each.at >= begin:
                document = document_of(each)
                saved = folder.save(document) if folder is not None and document is not None else ""
                line(show[how](each, saved))
        if how is Format.HTML:
            line(as_html(page.end()))
    return 0


async def _all_lines(chat: ChatFeature, other: Recipient) -> AsyncIterator[HistoryLine]:
    """All lines of a conversation, the oldest first."""
    after, more = 0, True
    while more:
        page = await chat.history.lines(other, after=after, limit=PAGE)
        for each in page.lines:
            yield each
        more, after = page.more, page.lines[-1].sequence if page.lines else after
