"""Questions of clients and servers for a user's devices, answered from our lists or by the user's own server. Pure.

A user's own server is asked once for all that wait, and its signed list is passed on as it is: who asked checks the
signature with a key that they learnt elsewhere. What has no answer after WAIT is told what is known here, or that
nothing is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

from parley.shared.addresses import User
from parley.shared.wire.messages import encode, pb

WAIT: Final = 0.8
"""Seconds that the user's own server may take: a client waits for 1 s."""
FRESH: Final = 1.0
"""Seconds for which its answer is taken for the newest."""
MOST: Final = 10_000
"""Users who are asked for at a time, or were within FRESH."""
MOST_ASKERS: Final = 100
"""Links that wait for the same user's list: beyond it one is told what is known."""

Lists = Callable[[User], pb.DeviceList | None]


class AskedLink(Protocol):
    """A link over which lists are asked for and told."""

    @property
    def tells_devices(self) -> bool:
        """Whether the other side answers DEVICES_OF."""

    @property
    def is_open(self) -> bool:
        """Whether anything may be sent."""

    def send(self, raw: bytes) -> None:
        """Send a frame."""

    def answer(self, raw: bytes) -> None:
        """Send a frame that was asked for."""


class _Question:
    __slots__ = ("asked_at", "askers", "is_answered")

    def __init__(self, asked_at: float) -> None:
        self.asked_at = asked_at
        self.is_answered = False
        self.askers: list[AskedLink] = []


class DeviceQuestions:
    """The questions of one server. `ours` and `others` find signed lists; `link_to` a linked server."""

    def __init__(
        self,
        ours: Lists,
        others: Lists,
        link_to: Callable[[str], AskedLink | None],
        limited: Callable[[], None] = lambda: None,
    ) -> None:
        self._ours = ours
        self._others = others
        self._link_to = link_to
        self._limited = limited
        self._questions: OrderedDict[User, _Question] = OrderedDict()
        """In the order in which they were asked."""

    def __len__(self) -> int:
        return len(self._questions)

    def asked_by_server(self, user: User, link: AskedLink) -> None:
        """Another server asks for a user of ours; of others we tell it nothing."""
        self._answer(link, user, self._ours(user))

    def asked_by_client(self, server_id: str, user: User, link: AskedLink, now: float) -> None:
        """One of our clients asks; `server_id` is ours."""
        if user.server_id == server_id:
            self._answer(link, user, self._ours(user))
            return
        question = self._questions.get(user) or self._ask(user, now)
        if question is None or question.is_answered or len(question.askers) >= MOST_ASKERS:
            self._answer(link, user, self._others(user))
        else:
            question.askers.append(link)

    def _ask(self, user: User, now: float) -> _Question | None:
        """Ask the user's own server; None: nobody can be asked."""
        home = self._link_to(user.server_id)
        if home is None or not home.tells_devices:
            return None
        if len(self._questions) >= MOST:
            self._limited()
            return None
        question = self._questions[user] = _Question(now)
        home.send(encode("DEVICES_OF", pb.DevicesOf(user=user.to_pb())))
        return question

    def answered(self, user: User) -> None:
        """The user's own server answered, or told a change; its list was taken where it is newer and signed."""
        question = self._questions.get(user)
        if question is not None:
            self._end(user, question)

    def _end(self, user: User, question: _Question) -> None:
        question.is_answered = True
        askers, question.askers = question.askers, []
        known = self._others(user)
        for link in askers:
            self._answer(link, user, known)

    @staticmethod
    def _answer(link: AskedLink, user: User, known: pb.DeviceList | None) -> None:
        if link.is_open:
            link.answer(encode("DEVICE_LIST", known or pb.DeviceList(user=user.to_pb())))

    def next_timeout(self) -> float | None:
        """When `handle_timeout` must be called, or None."""
        first = next(iter(self._questions.values()), None)
        return None if first is None else first.asked_at + (FRESH if first.is_answered else WAIT)

    def handle_timeout(self, now: float) -> None:
        """Answer for servers that did not; forget answers that may be old."""
        for user, question in list(self._questions.items()):
            if now < question.asked_at + WAIT:
                break
            if not question.is_answered:
                self._end(user, question)
            if now >= question.asked_at + FRESH:
                del self._questions[user]
