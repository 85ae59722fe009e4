"""What counting costs a chat process: processor time per message, with and without it.

One process, no network: alice's link is fed frames as a read would bring them, bob's answers are fed back. The two
ways take turns, a short round each, so that whatever else the machine does meets both.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from prometheus_client import generate_latest

from services.chat import ChatService
from shared.config import ChatConfig, Config
from shared.messages import encode, pb
from shared.tallies import Frames
from tests.support.nodes import Samples

PER_READ = 16
"""Messages in one read."""


class Transport(asyncio.Transport):
    """Takes what is written, and forgets it."""

    def write(self, data):
        pass

    def close(self):
        pass

    def abort(self):
        pass

    def is_closing(self):
        return False

    def set_write_buffer_limits(self, high=None, low=None):
        pass


def user(name):
    return pb.User(userId=name, serverId="alpha")


def connected(service, name):
    link = service._make_accepted_link()  # noqa: SLF001 - as its listener does
    link.connection_made(Transport())
    link.data_received(encode("CONNECT_CLIENT", pb.ConnectClient(user=user(name))))
    return link


def batches(first, count):
    """The reads from alice and those from bob."""
    for start in range(first, first + count, PER_READ):
        numbers = range(start, start + PER_READ)
        yield (
            b"".join(
                encode("MESSAGE", pb.ChatMessage(
                    messageSnowflake=n, author=user("alice"), user=user("bob"), textContent="hello",
                ))
                for n in numbers
            ),
            b"".join(
                encode("MESSAGE_ACK", pb.ChatMessageResponse(
                    messageSnowflake=n,
                    statuses=[pb.ChatMessageResponse.DeliveryStatus(user=user("bob"), status="DELIVERED")],
                ))
                for n in numbers
            ),
        )  # fmt: skip


@contextmanager
def uncounted(service):
    """As if nothing were counted."""
    statuses = service.opened.router._statuses  # noqa: SLF001 - it was given what to call
    nothing = lambda *_: None  # noqa: E731
    with (
        mock.patch.object(Frames, "count_received", nothing),
        mock.patch.object(Frames, "count_sent", nothing),
        mock.patch.object(statuses, "_count", nothing),
        mock.patch.object(statuses, "_delivered", nothing),
    ):
        yield


async def spent(alice, bob, first, count):
    """Seconds of processor time for so many messages."""
    reads = list(batches(first, count))
    began = time.process_time()
    for sent, answered in reads:
        alice.data_received(sent)
        bob.data_received(answered)
        await asyncio.sleep(0)
    return time.process_time() - began


async def measure(rounds, count):
    with tempfile.TemporaryDirectory() as directory:
        config = Config(address="127.0.0.1", data_dir=str(Path(directory)), chat=ChatConfig(port=0))
        with_it, without = [], []
        async with ChatService("alpha", config) as service:
            alice, bob = connected(service, "alice"), connected(service, "bob")
            number = 1
            for n in range(2 * rounds + 2):
                if n % 2:
                    with uncounted(service):
                        without.append(await spent(alice, bob, number, count))
                else:
                    with_it.append(await spent(alice, bob, number, count))
                number += count
            told = Samples(generate_latest(service.metrics.registry).decode())
            delivered = told.value("parley_messages_total", status="delivered")
            assert delivered == (rounds + 1) * count, f"{delivered:.0f} of {(rounds + 1) * count} were delivered"
            for link in (alice, bob):
                link.connection_lost(None)
    # The quickest rounds: whatever else the machine does only ever adds.
    counted, uncounted_ = (
        1e6 * statistics.mean(sorted(each[1:])[: rounds // 4]) / count for each in (with_it, without)
    )
    print(f"a message and its answer: {counted:.2f} µs counted, {uncounted_:.2f} µs uncounted")
    percent = 100 * (counted / uncounted_ - 1)
    print(f"counting costs {percent:.1f} % (the quickest quarter of {rounds} rounds of {count})")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--messages", type=int, default=1600)
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.rounds, arguments.messages))


if __name__ == "__main__":
    main()
