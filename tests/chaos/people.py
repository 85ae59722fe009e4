"""Twelve people, each with one or two client objects, who come and go and write to one another without a pause."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from parley import ChatFeature, Delivery
from parley.shared.addresses import Server
from parley.shared.config import Config
from parley.shared.discovery.discovery import DiscoveryService
from parley.shared.errors import PeerError
from parley.shared.link.events import Closed
from parley.shared.link.link import Link
from parley.shared.wire.framing import Frame
from parley.shared.wire.messages import MESSAGES, pb
from tests.chaos.ledger import Ledger, person
from tests.chaos.schedule import NODES, Move, draw_moves

NAMES: Final = ("ada", "ben", "cleo", "dan")
PEOPLE: Final = tuple(f"{name}@{node}" for node in NODES for name in NAMES)
TICK: Final = 0.01
"""Seconds between two turns of the writing."""
PADDING: Final = 160
"""Characters of a text at most, beside its number."""
PAUSE: Final = 0.3


class CountingChat(ChatFeature):
    """The library's client, which counts what comes over the wire."""

    frames = 0
    """Messages, duplicates too."""
    lost = 0
    """Links that ended although nobody here wanted it."""
    is_wanted = False
    """Whether it is to be connected."""

    def handle_message(self, frame: Frame) -> bool:
        """Count a message before it is looked at."""
        self.frames += frame.name == "MESSAGE"
        return super().handle_message(frame)

    def link_closed(self, link: Link, closed: Closed) -> None:
        """Count a link that was lost."""
        self.lost += link.was_open and self.is_wanted
        super().link_closed(link, closed)


class Traveller:
    """Somebody's client, named PERSON/NUMBER, which comes and goes."""

    chat: CountingChat
    """The client object that is there, or was last."""

    def __init__(self, name: str, now: Callable[[], float]) -> None:
        self.name = name
        self.now = now

    @property
    def is_here(self) -> bool:
        """Whether it is connected, or has just lost its connection and dials again."""
        return self.chat.is_wanted

    async def arrive(self) -> None:
        """Find the servers and connect, however long that takes."""
        while not self.is_here:
            await self.renew()
            found = await self.chat.discovery.discover_servers(until=self._offers_home)
            try:
                await self.chat.handle_connection(found)
            except PeerError:
                await asyncio.sleep(PAUSE)
            else:
                self.chat.is_wanted = True

    async def renew(self) -> None:
        """Begin as whoever comes: with the client object that was there before."""

    def _offers_home(self, found: Sequence[Server]) -> bool:
        return any(s.server_id == self.chat.user.server_id and s.endpoints(MESSAGES) for s in found)

    async def depart(self) -> None:
        """Hang up."""
        self.chat.is_wanted = False
        await self.chat.close()

    async def vanish(self) -> None:
        """Be gone without a word."""
        self.chat.is_wanted = False
        if self.chat._connector is not None:
            await self.chat._connector.stop()
        self.abort()
        await self.chat.close()

    def abort(self) -> None:
        """The connection breaks."""
        link = self.chat.link
        if link is not None and link._transport is not None:
            link._transport.abort()

    async def live(self, moves: list[Move], until: asyncio.Event) -> None:
        """Make these moves, each at its time or as soon after it as the last is over; none begins after `until`."""
        for move in moves:
            if not await pass_time(move.at - self.now(), until):
                return
            await self._move(move, until)

    async def _move(self, move: Move, until: asyncio.Event) -> None:
        if move.action == "abort":
            self.abort()
        else:
            await (self.depart() if move.action == "leave" else self.vanish())
            await pass_time(move.seconds, until)
            await self.arrive()


class Client(Traveller):
    """One client object: it lives on across its connections, and so does the memory of who reads there."""

    def __init__(
        self, name: str, config: Config, discovery: DiscoveryService, ledger: Ledger, now: Callable[[], float]
    ) -> None:
        super().__init__(name, now)
        self.chat = CountingChat(
            person(name), config, on_message=self._show, on_status=self._hear, discovery=discovery
        )
        self._ledger = ledger

    def write(self, to: str, padding: int) -> None:
        """Write to somebody; while away, it goes out after coming back."""
        number = self._ledger.sent(self.name, to, self.now())
        delivery = self.chat.send(to, f"{number} {'x' * padding}")
        self._ledger.messages[number].snowflake = delivery.snowflake

    def _show(self, message: pb.ChatMessage) -> None:
        self._ledger.shown(number_in(message), self.name, self.now())

    def _hear(self, delivery: Delivery, *told: object) -> None:
        """`told`: of whom, if that is said, and the status."""
        self._ledger.heard(number_in(delivery.message), str(told[-1]), self.now())


async def pass_time(seconds: float, until: asyncio.Event) -> bool:
    """Let the time pass; False when it is over before."""
    try:
        async with asyncio.timeout(max(seconds, 0.0)):
            await until.wait()
    except TimeoutError:
        return True
    return False


def number_in(message: pb.ChatMessage) -> int:
    """The test's own number of a message."""
    return int(message.textContent.partition(" ")[0])


class People:
    """All of them. `over` ends their moves."""

    def __init__(self, make: Callable[[str], Client], ledger: Ledger, over: asyncio.Event) -> None:
        self._make = make
        self._ledger = ledger
        self.firsts = {each: make(f"{each}/1") for each in PEOPLE}
        self.seconds: dict[str, Client] = {}
        """The second client of those who have one now."""
        self.clients = list(self.firsts.values())
        """Every client object that there is or was."""
        self.over = over
        self.written = 0
        self.stall = 0.0
        """The longest time for which this process did not get to write."""

    async def arrive(self) -> None:
        """Everyone comes, with the first client, and comes back if they are away."""
        await asyncio.gather(*(client.arrive() for client in self.firsts.values()))

    async def live(self, seed: int, length: float) -> None:
        """Come and go for so long (seconds)."""
        firsts = [c.live(draw_moves(seed, n, length, second=False), self.over) for n, c in self.firsts.items()]
        await asyncio.gather(*firsts, *(self._seconds_of(name, seed, length) for name in PEOPLE))

    async def _seconds_of(self, name: str, seed: int, length: float) -> None:
        """One second client after another, each gone for ever with all that it remembers."""
        for count, move in enumerate(draw_moves(seed, name, length, second=True), 2):
            if not await pass_time(move.at - self.firsts[name].now(), self.over):
                return
            client = self._make(f"{name}/{count}")
            self.clients.append(client)
            await client.arrive()
            self.seconds[name] = client
            await pass_time(move.seconds, self.over)
            del self.seconds[name]
            await (client.depart() if move.action == "come" else client.vanish())
            self._ledger.gone(client.name)

    @property
    def away(self) -> list[str]:
        """Those who are not there, with their first client."""
        return [name for name, client in self.firsts.items() if not client.is_here]

    @property
    def are_owed(self) -> bool:
        """Whether somebody has to hear of a message still, or to be shown one."""
        return any(client.chat.outbox for client in self.firsts.values()) or any(self._ledger.missing())

    @property
    def lost(self) -> int:
        """Links that ended although nobody here wanted it."""
        return sum(client.chat.lost for client in self.clients)

    @property
    def frames(self) -> int:
        """Messages that came over the wire."""
        return sum(client.chat.frames for client in self.clients)

    async def write(self, seed: int, rate: float) -> None:
        """Write `rate` messages a second until it is over: anyone, from any client that is there, to anyone."""
        random, loop = Random(f"traffic {seed}"), asyncio.get_running_loop()
        began = last = loop.time()
        while not self.over.is_set():
            now = loop.time()
            self.stall = max(self.stall, now - last - TICK)
            last = now
            while self.written < (now - began) * rate:
                author, recipient = random.sample(PEOPLE, 2)
                clients = [self.firsts[author], self.seconds.get(author, self.firsts[author])]
                random.choice(clients).write(recipient, random.randrange(PADDING))
                self.written += 1
            await asyncio.sleep(TICK)

    async def close(self) -> None:
        """Everyone goes."""
        await asyncio.gather(*(client.depart() for client in self.firsts.values()))
