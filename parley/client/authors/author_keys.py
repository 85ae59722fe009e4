"""The keys that speak for the authors of received messages: device lists, asked of the user's own server.

A list counts where the author's own server signed it, and that server's key was learnt on a link to it, by an
invitation, or from the federation: HomeKeys tells, and tries to have such a link. Nobody is waited for longer than
WAIT: until then, or where nothing can be known, a message is judged by what is known.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, Protocol

from parley.client.authors.judgement import Keys
from parley.client.contacts.contacts import Contacts
from parley.shared.addresses import User
from parley.shared.link.link import Link
from parley.shared.trust.authors import DeviceKeys
from parley.shared.trust.devices import DeviceLists, ListVerdict
from parley.shared.wire.messages import encode, pb

WAIT: Final = 2.5
"""Seconds from a question for which an answer is waited for: to find a server takes 2 s at most."""
AGAIN: Final = 60.0
"""Seconds after which it is asked again of whom nothing is known."""
SOON: Final = 1.0
"""The same of a list that lacks a key, which may be a new device's."""
MOST: Final = 10_000
"""Authors of whom it is known when they were asked for."""

MOST_LEARNT: Final = 100
"""Authors for whom a server's key is being learnt."""


class Homes(Protocol):
    """The keys of servers, as HomeKeys has them."""

    def of(self, server_id: str) -> bytes | None:
        """The key of a server; None: it is not known."""

    async def learn(self, server_id: str) -> None:
        """Have a link to that server, so that its key is known."""


@dataclass(slots=True)
class _Question:
    asked_at: float
    answered: asyncio.Event = field(default_factory=asyncio.Event)


class AuthorKeys:
    """The device lists that a client knows."""

    def __init__(self, homes: Homes, contacts: Contacts) -> None:
        self._homes = homes
        self._contacts = contacts
        self._tasks: set[asyncio.Task[None]] = set()
        self._lists = DeviceLists()
        self._read: dict[User, tuple[pb.DeviceList, DeviceKeys]] = {}
        """The keys in the newest of them."""
        self._questions: OrderedDict[User, _Question] = OrderedDict()
        self._link: Link | None = None

    def link_opened(self, link: Link) -> None:
        """The user's own server can be asked."""
        self._link = link if link.tells_devices else None

    def link_lost(self) -> None:
        """Nobody is asked, and nobody waited for, until the next link."""
        self._link = None
        for question in self._questions.values():
            question.answered.set()
        self._questions.clear()

    def known(self, author: User) -> Keys | None:
        """An author's keys, as far as they are known now; None: nothing is."""
        found = self._listed(author)
        return None if found is None else found.now

    def revoked(self, author: User) -> Keys:
        """The keys that were an author's and are revoked, as far as they are known now."""
        found = self._listed(author)
        return () if found is None else found.revoked

    def _listed(self, author: User) -> DeviceKeys | None:
        """Both, from the newest list, each of which is read once: every message of its author is judged by it."""
        newest = self._lists.of(author)
        if newest is None:
            return None
        read = self._read.get(author)
        if read is None or read[0] is not newest:
            if len(self._read) >= MOST:
                self._read.clear()
            keys = DeviceKeys(frozenset(device.key for device in newest.devices), frozenset(newest.revoked))
            read = self._read[author] = newest, keys
        return read[1]

    def of_server(self, server_id: str) -> bytes | None:
        """The key of a server; None: it is not known."""
        return self._homes.of(server_id)

    def has(self, author: User, key: bytes) -> bool:
        """Whether it is known already that this key speaks for an author, or did."""
        found = self._listed(author)
        return found is not None and (key in found.now or key in found.revoked)

    def is_settled(self, author: User, key: bytes) -> bool:
        """Whether `find` would wait for nothing: the key is known, or nobody is being asked."""
        question = self._questions.get(author)
        return question is None or question.answered.is_set() or self.has(author, key)

    def want(self, author: User, key: bytes, *, may_dial: bool = True) -> None:
        """Something came that is signed by this key (empty: by none): ask what is not known, if it may help.

        `may_dial`: the author's server may be dialled, so that its key is known.
        """
        if self._link is None or self.has(author, key):
            return
        known = self.known(author)
        has_home = self._homes.of(author.server_id) is not None
        if not (has_home or (key and may_dial)):
            return  # nobody is dialled for what is not signed
        now, before = time.monotonic(), self._questions.get(author)
        if before is not None and now - before.asked_at < (AGAIN if known is None else SOON):
            return
        question = self._questions[author] = _Question(now)
        self._questions.move_to_end(author)
        if len(self._questions) > MOST:
            self._questions.popitem(last=False)[1].answered.set()
        if has_home:
            self._ask(author)
        elif len(self._tasks) >= MOST_LEARNT:
            question.answered.set()
        else:
            task = asyncio.get_running_loop().create_task(self._learn_and_ask(author, question))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _ask(self, author: User) -> None:
        if self._link is not None:
            self._link.send(encode("DEVICES_OF", pb.DevicesOf(user=author.to_pb())))

    async def _learn_and_ask(self, author: User, question: _Question) -> None:
        await self._homes.learn(author.server_id)
        if self._homes.of(author.server_id) is None or self._link is None:
            question.answered.set()
        else:
            self._ask(author)

    def close(self) -> None:
        """Learn nothing any more."""
        for task in self._tasks:
            task.cancel()

    async def find(self, author: User, key: bytes) -> Keys | None:
        """The keys of an author who signed with that one, once what was asked is answered, or WAIT is over."""
        question = self._questions.get(author)
        if question is None or self.is_settled(author, key):
            return self.known(author)
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + self._left(question)):
                await question.answered.wait()
        except TimeoutError:
            question.answered.set()  # the next message does not wait as long again
        return self.known(author)

    def _left(self, question: _Question) -> float:
        return max(0.0, question.asked_at + WAIT - time.monotonic())

    def wrote(self, author: User, key: bytes) -> None:
        """A message that this key signed is to be shown: whether its author is another device is told first."""
        self._contacts.wrote(author, key, self._lists.of(author))

    def take(self, message: pb.DeviceList) -> None:
        """A list came. What its user's own server did not sign says only that nothing is known.

        One that is older than a list from before a restart does not count: a device may have been revoked since.
        """
        author = User.of(message.user)
        home = self._homes.of(author.server_id)
        question = self._questions.get(author)
        is_current = bool(message.signature) and message.number >= self._contacts.number(author)
        if is_current and home is not None and self._lists.take(message, home) is ListVerdict.NEW:
            self._contacts.listed(author, message, is_asked=question is not None)
        if question is not None:
            question.answered.set()
