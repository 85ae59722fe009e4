"""The conversations of before in a chat: its first lines, /history and /search, and what other devices sent."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import OrderedDict
from typing import Final

from parley.cli.people.history import written
from parley.cli.people.screens import Screen
from parley.cli.people.wording import beginning, clock, describe_own
from parley.client.chat import ChatFeature
from parley.client.outbox.history import HistoryLine
from parley.client.outbox.questions import RequestFailed
from parley.shared.addresses import Recipient, User
from parley.shared.errors import ConfigError
from parley.shared.wire.messages import pb

OPENING: Final = 5
"""Conversations that a chat opens with."""
SHOWN: Final = 10
"""Lines of /history and /search where no number is given."""
MOST: Final = 200
GATHERED: Final = 0.3
"""Seconds for which the server is not told what was read: it takes few such requests a second."""
REMEMBERED: Final = 10_000
"""Messages of this chat's own that are told from other devices'."""


class Past:
    """Those of one chat. `chat` and `screen` are given before anything comes."""

    def __init__(self, user: User) -> None:
        self._user = user
        self._sent: OrderedDict[int, None] = OrderedDict()
        self._read: dict[Recipient, int] = {}
        """How far conversations were read, that the server is not told yet."""
        self.chat: ChatFeature
        self.screen: Screen

    def sent(self, snowflake: int) -> None:
        """This chat sent that message."""
        self._sent[snowflake] = None
        if len(self._sent) > REMEMBERED:
            self._sent.popitem(last=False)

    def line_came(self, each: HistoryLine) -> None:
        """Note that a received line was seen; show one that was sent elsewhere."""
        if each.received:
            self._was_read(each.conversation, each.sequence)
        elif each.message is not None and each.message.messageSnowflake not in self._sent:
            self.screen.own(f"{describe_own(each.message, each.conversation)}  (from another device of yours)")

    def _was_read(self, other: Recipient, sequence: int) -> None:
        """Tell the server soon: of many messages together once."""
        if not self._read:
            asyncio.get_running_loop().call_later(GATHERED, self._tell_read)
        self._read[other] = max(sequence, self._read.get(other, 0))

    def _tell_read(self) -> None:
        for other, sequence in self._read.items():
            self.chat.history.mark_read(other, sequence)
        self._read.clear()

    async def opening(self) -> str:
        """The latest conversations, and what is new in them; nothing, where there are none."""
        cache = self.chat.cache
        if cache is None:
            return ""
        await cache.caught_up()
        try:
            found = await cache.latest(OPENING)
        except (OSError, sqlite3.Error):
            return ""
        now = time.time()
        lines = [
            f"  {each.conversation}{f', {unread} new' if unread else ''}: "
            f"“{_beginning(each)}” ({clock(each.at, now)})"
            for each, unread in found
        ]
        return "\n".join(["your latest conversations; /history shows one:", *lines]) if lines else ""

    async def history(self, other: Recipient | None, rest: str) -> str:
        """The last lines of the conversation; `rest`: how many."""
        if other is None:
            raise ConfigError("whose? Choose with /to NAME, then /history, or /history 50")
        if rest and not rest.isdecimal():
            raise ConfigError("write /history, or /history 50 for so many lines")
        limit = min(int(rest or SHOWN), MOST)
        try:
            found = (await self.chat.history.lines(other, limit=limit)).lines
        except RequestFailed as error:
            cache = self.chat.cache
            if cache is None or error.reason != "timeout":
                raise
            found = tuple(await cache.lines(other, limit=limit))
        if found and found[0].received:
            self._was_read(other, found[0].sequence)
        return (
            "\n".join(f"  {written(each, self._user)}" for each in reversed(found)) or f"nothing of {other} is kept"
        )

    async def search(self, query: str) -> str:
        """Lines of all conversations with these words, the latest last."""
        if not query:
            raise ConfigError("for what? Write /search WORDS; all of them have to be there")
        page = await self.chat.history.search(query, limit=SHOWN)
        lines = [f"  {written(each, self._user, with_conversation=True)}" for each in reversed(page.lines)]
        return "\n".join(lines) or "nothing was found"


def _beginning(each: HistoryLine) -> str:
    """The first words of a line as it is now."""
    if each.edit is not None and not each.is_deleted:
        return beginning(pb.ChatMessage(textContent=each.text))
    return "…" if each.message is None or each.is_deleted else beginning(each.message)
