"""Chunks of made-up conversations, as chat hands them over: made quickly, so that the archive is what is measured.

A thousand people write ten words at a time to nine others each, half of it to one of them. Words come as in a
language: the second half as often as the first, the third a third as often. Texts repeat after BLOCKS blocks;
keys never do.
"""

from __future__ import annotations

import random
import time
from itertools import accumulate
from typing import Final

from parley.services.chat.archive.entries import HEAD, MESSAGE, RECEIVED, SENT, entry_bytes
from parley.services.chat.message.statuses import Status
from parley.shared.addresses import User
from parley.shared.wire.messages import encode, pb

SERVER: Final = "alpha"
PEOPLE: Final = [User(f"user{number:04}", SERVER) for number in range(1000)]
NEAR: Final = (2, 5, 11, 40, -2, -5, -11, -40)
WORDS: Final = [f"w{number * 2654435761 % (1 << 32):x}" for number in range(30_000)]
COMMON: Final = WORDS[0]
"""The most frequent word: more than half of all messages have it."""
RARE: Final = "needle"
RARELY: Final = 20
"""Messages that have it."""
BLOCKS: Final = 8
KEY_AT: Final = HEAD.size - 16


class Corpus:
    """Makes blocks of messages, each of `size` of them."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._chance = random.Random(1)
        self._weights = list(accumulate(1 / (number + 1) for number in range(len(WORDS))))
        self._blocks: list[tuple[bytearray, list[int]]] = []
        self.body = 0.0
        """Bytes of a message as it is sent, on average."""
        self._number = 0
        made = [[self._message() for _ in range(size)] for _ in range(BLOCKS)]
        for parts in made:
            self._blocks.append((bytearray().join(parts), [0, *accumulate(map(len, parts))][:-1]))
        self.body = sum(len(block) for block, _places in self._blocks) / (BLOCKS * size) - HEAD.size

    def block(self) -> bytes:
        """The next block's entries, with keys of their own."""
        block, places = self._blocks[self._number // self.size % BLOCKS]
        number = self._number
        for at in places:
            number += 1
            block[at + KEY_AT : at + KEY_AT + 8] = number.to_bytes(8, "little")
        self._number = number
        return bytes(block)

    def rare(self, number: int) -> bytes:
        """One entry with the rare word, of the first person's."""
        return self._entry(PEOPLE[0], PEOPLE[1], f"a {RARE} in {self._text()}", (1 << 100) + number)

    def _message(self) -> bytes:
        author = self._chance.randrange(len(PEOPLE))
        step = self._chance.choice(NEAR)
        other = author ^ 1 if self._chance.random() < 0.5 else (author + step) % len(PEOPLE)
        return self._entry(PEOPLE[author], PEOPLE[other], self._text(), 0)

    def _text(self) -> str:
        return " ".join(self._chance.choices(WORDS, cum_weights=self._weights, k=10))

    def _entry(self, author: User, other: User, text: str, key: int) -> bytes:
        message = pb.ChatMessage(
            messageSnowflake=self._chance.getrandbits(63),
            author=author.to_pb(),
            user=other.to_pb(),
            textContent=text,
        )
        frame = encode("MESSAGE", message)
        return entry_bytes(
            MESSAGE, SENT | RECEIVED, Status.DELIVERED, time.monotonic(), key.to_bytes(16, "little"), frame
        )
