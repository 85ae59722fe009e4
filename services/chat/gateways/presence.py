"""The users of an existing server who are believed to be there, as a table, and when others are tried. Pure.

The server does not say who is connected. A user is believed there until a message is not acknowledged in time; from
then on the first that waits is offered at growing intervals. Times are seconds, monotonic.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from heapq import heapify, heappop, heappush
from typing import Final, NamedTuple

from parley.shared.addresses import User

ANSWER_TIME: Final = 1.0
"""Seconds in which a user who is tried has to answer. Later answers count, too: what they answer waits."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 9.0
"""Seconds between two tries: twice as many each time. With ANSWER_TIME they are 10 at most."""
TRIES: Final = 10
"""Tries a second at one server."""
TRIED_BYTES: Final = 512 * 1024
"""Bytes a second of what is tried there."""
SLACK: Final = 1000
"""Times that do not count any more, held beyond one for each user."""


class State(Enum):
    """The state of one user."""

    THERE = auto()
    """Believed there: messages go out."""
    AWAY = auto()
    """Not there: all waits."""
    TRIED = auto()
    """The first that waits goes out, alone."""


class Input(Enum):
    """An event that concerns a user."""

    SENT = auto()
    """A message went out."""
    ANSWERED = auto()
    """A message was acknowledged."""
    UNANSWERED = auto()
    """It was not, in time."""
    HEARD = auto()
    """The user wrote to one of ours."""
    DUE = auto()
    """It is time for a try."""
    CLOSED = auto()
    """There is no link to the server any more, or no gateway."""


class Effect(Enum):
    """The consequence."""

    NONE = auto()
    AWAIT = auto()
    """An answer is due."""
    REST = auto()
    """No answer is due."""
    KEEP = auto()
    """Have that wait again which is on its way."""
    OFFER = auto()
    """Let go out what waits, one message at a time."""
    HASTEN = auto()
    """Try as soon as may be."""


# state × input → state, effect. What is missing cannot happen: KeyError.
PRESENCE: Final[dict[State, dict[Input, tuple[State, Effect]]]] = {
    State.THERE: {
        Input.SENT: (State.THERE, Effect.AWAIT),
        Input.ANSWERED: (State.THERE, Effect.REST),
        Input.UNANSWERED: (State.AWAY, Effect.KEEP),
        Input.HEARD: (State.THERE, Effect.NONE),
        Input.CLOSED: (State.AWAY, Effect.KEEP),
    },
    State.AWAY: {
        Input.ANSWERED: (State.THERE, Effect.OFFER),
        Input.HEARD: (State.AWAY, Effect.HASTEN),
        Input.DUE: (State.TRIED, Effect.OFFER),
        Input.CLOSED: (State.AWAY, Effect.NONE),
    },
    State.TRIED: {
        Input.SENT: (State.TRIED, Effect.AWAIT),
        Input.ANSWERED: (State.THERE, Effect.REST),
        Input.UNANSWERED: (State.AWAY, Effect.KEEP),
        Input.HEARD: (State.TRIED, Effect.NONE),
        Input.CLOSED: (State.AWAY, Effect.KEEP),
    },
}


class _Entry:
    """One user."""

    __slots__ = ("answer_due", "failures", "owes_answer", "state", "try_at")

    def __init__(self, state: State) -> None:
        self.state = state
        self.owes_answer = False
        """Whether a message is on its way and not acknowledged."""
        self.answer_due: float | None = None
        self.try_at: float | None = None
        self.failures = 0
        """Tries since the user was there."""

    def advance(self, event: Input) -> Effect:
        """Something happened. KeyError: that cannot happen now."""
        self.state, effect = PRESENCE[self.state][event]
        return effect


class Mark(NamedTuple):
    """A time of a user's; it counts for as long as theirs is the same."""

    when: float
    user: User


class Presence:
    """The users of one server to whom somebody wrote."""

    def __init__(self, ack_timeout: float) -> None:
        self._ack_timeout = ack_timeout
        self._entries: dict[User, _Entry] = {}
        self._answers: list[Mark] = []
        """A heap: when answers are due."""
        self._tries: list[Mark] = []
        """A heap: when users may be tried."""
        self._next_try = 0.0
        """When the server may be given another try."""

    def __iter__(self) -> Iterator[User]:
        return iter(list(self._entries))

    def __contains__(self, user: object) -> bool:
        return user in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def away(self) -> int:
        """How many users are away, or tried."""
        return sum(entry.state is not State.THERE for entry in self._entries.values())

    @property
    def unanswered(self) -> int:
        """How many users who are believed there owe an acknowledgement."""
        return sum(entry.owes_answer and entry.state is State.THERE for entry in self._entries.values())

    def state(self, user: User) -> State | None:
        """A user's state, if there is anything to remember of them."""
        entry = self._entries.get(user)
        return entry.state if entry is not None else None

    def owes_answer(self, user: User) -> bool:
        """Whether a user owes an acknowledgement."""
        entry = self._entries.get(user)
        return entry is not None and entry.owes_answer

    def add(self, user: User, state: State) -> None:
        """Somebody is believed there, or away: whatever was known of them counts no more."""
        self._entries[user] = _Entry(state)

    def forget(self, user: User) -> None:
        """Remember nothing of a user."""
        self._entries.pop(user, None)

    def try_all(self, now: float) -> None:
        """There is a link to the server, and a gateway: whoever is away is tried, as if for the first time."""
        for user, entry in self._entries.items():
            entry.failures = 0
            self._try_at(user, entry, now)

    def note(self, user: User, event: Input, now: float, size: int = 0) -> Effect:
        """Something happened to a user who is known; what has to be done. `size`: the bytes that were sent."""
        entry = self._entries[user]
        effect = entry.advance(event)
        if event is Input.SENT:
            entry.owes_answer = True
            self._answer_at(user, entry, now + (ANSWER_TIME if entry.state is State.TRIED else self._ack_timeout))
            if entry.state is State.TRIED:
                self._next_try += size / TRIED_BYTES
        elif event is Input.DUE:
            entry.try_at = None
            self._next_try = now + 1 / TRIES
            self._answer_at(user, entry, now + ANSWER_TIME)  # of what has to be read first, too
        elif event is Input.HEARD:
            if effect is Effect.HASTEN:
                self._try_at(user, entry, now)
        else:
            self._settle(user, entry, event, now)
        return effect

    def _settle(self, user: User, entry: _Entry, event: Input, now: float) -> None:
        """Nothing is on its way to a user any more."""
        entry.owes_answer, entry.answer_due, entry.try_at = False, None, None
        if event is Input.ANSWERED:
            entry.failures = 0
        elif event is Input.UNANSWERED:
            pause = min(FIRST_PAUSE * 2.0 ** min(entry.failures, 16), LONGEST_PAUSE)
            entry.failures += 1
            self._try_at(user, entry, now + pause)

    # Time ------------------------------------------------------------------------------------

    def next_timeout(self) -> float | None:
        """When `next_due` must be asked, or None."""
        times = []
        if (first := self._first(self._answers)) is not None:
            times.append(first.when)
        if (first := self._first(self._tries)) is not None:
            times.append(max(first.when, self._next_try))
        return min(times, default=None)

    def next_due(self, now: float) -> tuple[User, Input] | None:
        """The first user whose time has come, and for what: note it before this is asked again."""
        if (first := self._first(self._answers)) is not None and first.when <= now:
            return first.user, Input.UNANSWERED
        if (first := self._first(self._tries)) is not None and max(first.when, self._next_try) <= now:
            return first.user, Input.DUE
        return None

    def _first(self, heap: list[Mark]) -> Mark | None:
        while heap and not self._counts(heap, heap[0]):
            heappop(heap)
        return heap[0] if heap else None

    def _counts(self, heap: list[Mark], mark: Mark) -> bool:
        entry = self._entries.get(mark.user)
        if entry is None:
            return False
        return mark.when == (entry.answer_due if heap is self._answers else entry.try_at)

    def _answer_at(self, user: User, entry: _Entry, when: float) -> None:
        entry.answer_due = when
        self._push(self._answers, when, user)

    def _try_at(self, user: User, entry: _Entry, when: float) -> None:
        if entry.state is State.AWAY:
            entry.try_at = when
            self._push(self._tries, when, user)

    def _push(self, heap: list[Mark], when: float, user: User) -> None:
        heappush(heap, Mark(when, user))
        if len(heap) > 2 * len(self._entries) + SLACK:
            heap[:] = [mark for mark in heap if self._counts(heap, mark)]
            heapify(heap)
