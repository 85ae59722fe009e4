"""Questions to one's own server, sent again over each new link until they are answered.

They share the order of the outbox with messages. An existing server is asked none of them, which may be its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from google.protobuf.message import Message

from parley.client.outbox.outbox import Outbox
from parley.shared.errors import ParleyError
from parley.shared.link.link import Link
from parley.shared.names import spell

AnswerT = TypeVar("AnswerT")
_A = TypeVar("_A")


class RequestFailed(ParleyError):
    """A request that was refused, or not answered; one sentence for people.

    `reason`: refused, busy, timeout, unsupported. `is_away`: the server that a group is at does not answer.
    """

    def __init__(self, reason: str, text: str, *, is_away: bool = False) -> None:
        self.reason = reason
        self.is_away = is_away
        super().__init__(text)


class Questions(Generic[AnswerT]):
    """Questions of one kind that wait for their answers."""

    def __init__(self, outbox: Outbox, home: str, not_offered: Callable[[str], RequestFailed]) -> None:
        """`home`: the server that is asked; `not_offered(name)`: the failure where it knows no such question."""
        self._outbox = outbox
        self._home = home
        self._not_offered = not_offered
        self._pending: dict[int, tuple[str, asyncio.Future[AnswerT]]] = {}
        self._link: Link | None = None

    async def ask(self, name: str, number: int, question: Message, kind: type[_A], timeout: float) -> _A:
        """The answer, of that kind; `number` is no other question's.

        Raises:
            RequestFailed: not offered, not answered in `timeout` seconds, or with something else.

        """
        if self._link is not None and not self._link.is_parley:
            raise self._not_offered(name)
        future: asyncio.Future[AnswerT] = asyncio.get_running_loop().create_future()
        self._pending[number] = (name, future)
        self._outbox.add(-number, name, question)  # negative: no message has such a number
        try:
            async with asyncio.timeout(timeout):
                answer = await future
        except TimeoutError:
            text = f"{spell(self._home)} gave no answer within {timeout:g} s; try again when it is back"
            raise RequestFailed("timeout", text) from None
        finally:
            self._outbox.forget(-number)
            del self._pending[number]
        if not isinstance(answer, kind):
            raise RequestFailed(
                "unsupported", f"{spell(self._home)} answered something else; it may need an update"
            )
        return answer

    def answered(self, number: int, answer: AnswerT) -> None:
        """An answer came. One that nobody waits for any more does nothing."""
        _, future = self._pending.get(number, ("", None))
        if future is not None and not future.done():
            future.set_result(answer)

    def link_opened(self, link: Link) -> None:
        """Called before anything goes out."""
        self._link = link
        if not link.is_parley:
            for number, (name, future) in self._pending.items():
                self._outbox.forget(-number)
                self._fail(future, name)

    def link_lost(self) -> None:
        """Questions wait for the next link."""
        self._link = None

    def unsupported(self, name: str) -> None:
        """The server does not know questions of this name: it is no Parley, or an old one."""
        for asked, future in self._pending.values():
            if asked == name:
                self._fail(future, name)

    def _fail(self, future: asyncio.Future[AnswerT], name: str) -> None:
        if not future.done():
            future.set_exception(self._not_offered(name))
