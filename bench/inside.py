"""A chat process's message path from inside: real links in a real service, but no network and no turn of the loop.

alice's link at alpha is fed messages to bob at beta as a read would bring them; beta's link is fed the answers. So
nothing of the machine is in the figures but what the process itself does for a message.
"""

from __future__ import annotations

import asyncio
import math
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from bench.hop.parley import varint
from parley.services.chat.service import ChatService
from parley.shared.addresses import User
from parley.shared.config import ChatConfig, Config, HistoryConfig
from parley.shared.limits.bounds import Bounds
from parley.shared.link.link import Link
from parley.shared.link.turn import turn_of
from parley.shared.wire.capabilities import terms
from parley.shared.wire.messages import MESSAGES, encode, pb

ALICE, BOB = User("alice", "alpha"), User("bob", "beta")
TEXT = "x" * 60
"""Makes a frame of 120 bytes, about."""
FIRST = 1 << 62
"""The first snowflake: as long as those of this century are, when written."""
DELIVERED = pb.ChatMessageResponse.DeliveryStatus(user=BOB.to_pb(), status="DELIVERED")


class Transport(asyncio.Transport):
    """Takes what is written, and counts it."""

    written = 0
    """Bytes."""

    def write(self, data: bytes) -> None:
        self.written += len(data)

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass


class Batch(NamedTuple):
    """What two reads bring."""

    messages: bytes
    answers: bytes


class Inside:
    """Both links of a running service."""

    def __init__(self, service: ChatService) -> None:
        self.service = service
        alice = pb.ConnectClient(user=ALICE.to_pb(), terms=terms())
        beta = pb.ConnectServer(serverId=BOB.server_id, features=[MESSAGES], instanceId="beta's")
        self.alice = self._connected(encode("CONNECT_CLIENT", alice))
        self.beta = self._connected(encode("CONNECT_SERVER", beta))
        self._next = FIRST
        message = pb.ChatMessage(messageSnowflake=FIRST, author=ALICE.to_pb(), user=BOB.to_pb(), textContent=TEXT)
        answer = pb.ChatMessageResponse(messageSnowflake=FIRST, author=ALICE.to_pb(), statuses=[DELIVERED])
        number = varint(FIRST)
        self._message = encode("MESSAGE", message).split(number)
        self._answer = encode("MESSAGE_ACK", answer).split(number)

    def _connected(self, hello: bytes) -> Link:
        link = self.service.make_accepted_link()
        link.connection_made(Transport())
        link.data_received(hello)
        return link

    def batch(self, size: int) -> Batch:
        """So many new messages and their answers."""
        numbers = [varint(number) for number in range(self._next, self._next + size)]
        self._next += size
        return Batch(*(b"".join(each.join(parts) for each in numbers) for parts in (self._message, self._answer)))

    def hear(self, batch: Batch) -> None:
        """The work that is measured."""
        self.alice.data_received(batch.messages)
        self.beta.data_received(batch.answers)

    @property
    def count(self) -> int:
        """Messages so far."""
        return self._next - FIRST

    def check(self) -> None:
        """All that was sent was passed on and answered at once: nothing is on its way, nothing waits."""
        opened, told = self.service.engine, self.count
        assert opened.router.next_timeout() is None, "something is on its way"
        assert len(opened.mailbox) == 0, "something waits"
        sent = self.beta._transport.written, self.alice._transport.written  # noqa: SLF001 - what there is to see
        least = told * (sum(map(len, self._message)) + len(varint(FIRST)))
        assert sent[0] >= least, f"{sent[0]} bytes of {least} reached beta"

    def close(self) -> None:
        for link in (self.alice, self.beta):
            link.connection_lost(None)


@asynccontextmanager
async def inside(kind: type[ChatService] = ChatService) -> AsyncIterator[Inside]:
    """A service of this class, and its links."""
    # What is counted must not depend on the clock: under valgrind a turn would be over before a batch is.
    turn_of(asyncio.get_running_loop(), Bounds(slice=math.inf, round=math.inf))
    with tempfile.TemporaryDirectory() as directory:
        config = Config(
            address="127.0.0.1",
            data_dir=str(Path(directory)),
            chat=ChatConfig(port=0),
            history=HistoryConfig(keep=0.0),  # what a message costs before it is kept; docs/performance.md has both
        )
        async with kind(ALICE.server_id, config) as service:
            found = Inside(service)
            try:
                yield found
            finally:
                found.close()
