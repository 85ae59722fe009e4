"""Users' passwords: argon2id, one at a time on a thread of its own, so that guessing costs nobody else their turn.

The thread rests as long as it worked: no guessing takes more than half of one core. Who guesses waits longer each
time, by address and by user (shared/trust/guesses.py); of those who wait for the thread there are MOST at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from parley.shared.trust.guesses import FREE_TRIES, LONGEST_OF_USER, Guesses

HASHER: Final = PasswordHasher(2, 19456, 1)
"""OWASP's parameters for argon2id: 19 MiB, two passes, about 30 ms."""
LONGEST: Final = 128
"""Characters of a password."""
SHORTEST: Final = 8
MOST: Final = 32
"""Passwords that wait to be looked at; beyond it, SLOW_DOWN."""
OF_ADDRESS: Final = 8
"""Of those one address may have, and FREE_TRIES are for one user: what waits is not counted as wrong yet."""
TRUSTED: Final = 4096
"""Users with an address from which they gave the right password; the oldest is forgotten."""
NOBODY: Final = "$argon2id$v=19$m=19456,t=2,p=1$Ijt7fqBHNrTFgyy2f/j4jA$uCMzvVnHsBZ9ydjcdgh95qkn0naRVv6iGuw5GJ5xV8o"
"""Compared with where a user has none: the answer takes as long."""


class Passwords:
    """Checks passwords. `close` when the process ends."""

    def __init__(self) -> None:
        self._by_address = Guesses()
        self._by_user = Guesses(LONGEST_OF_USER)
        self._trusted: dict[tuple[str, str], None] = {}
        """Users, and from where they gave the right password: others' guesses do not slow them down."""
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._queued = 0
        self._of: Counter[tuple[str, str]] = Counter()
        """Kind and address, or user → those of it that wait to be looked at."""
        self._thread: threading.Thread | None = None

    def close(self) -> None:
        """Look at no more."""
        self._queue.put(None)

    def may_try(self, user_id: str, address: str, now: float) -> bool:
        """Whether a password is looked at now (seconds, monotonic)."""
        if self._queued >= MOST or self._by_address.wait(address, now):
            return False
        if (user_id, address) in self._trusted:
            return True
        of_address, of_user = self._of["address", address], self._of["user", user_id]
        return (
            self._by_address.may_begin(address, of_address, OF_ADDRESS)
            and not self._by_user.wait(user_id, now)
            and self._by_user.may_begin(user_id, of_user, FREE_TRIES)
        )

    def check(self, user_id: str, address: str, text: str, known: str, then: Callable[[bool], None]) -> None:
        """Compare a password with the hash that is known, or with none; `then` hears the result on this loop."""
        loop = asyncio.get_running_loop()
        self._queued += 1
        counted = [("address", address), ("user", user_id)]
        self._of.update(counted)

        def looked_at(is_right: bool) -> None:
            self._queued -= 1
            self._of = self._of - Counter(counted)
            self._note(user_id, address, loop.time(), is_right=is_right)
            then(is_right)

        def work() -> None:
            is_right = _is_right(known or NOBODY, text) and bool(known)
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(looked_at, is_right)

        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="passwords", daemon=True)
            self._thread.start()
        self._queue.put(work)

    def _note(self, user_id: str, address: str, now: float, *, is_right: bool) -> None:
        if not is_right:
            self._by_address.failed(address, now)
            self._by_user.failed(user_id, now)
            return
        self._by_address.succeeded(address)
        self._trusted[user_id, address] = None
        if len(self._trusted) > TRUSTED:
            del self._trusted[next(iter(self._trusted))]

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            began = time.monotonic()
            work()
            time.sleep(min(1.0, time.monotonic() - began))


def hash_of(text: str) -> str:
    """The hash to keep of a password; it takes about 30 ms. ValueError where it is too short or too long."""
    if not SHORTEST <= len(text) <= LONGEST:
        raise ValueError(f"a password has {SHORTEST} to {LONGEST} characters")
    return HASHER.hash(text)


def _is_right(known: str, text: str) -> bool:
    if len(text) > LONGEST:
        return False
    try:
        return HASHER.verify(known, text)
    except (Argon2Error, InvalidHashError):
        return False
