"""The honest users, in a process of their own: they write to one another all the time, and a ledger is kept.

Twenty write, at a rate in all, each to anyone of the others. Newcomers, whom their servers know from before, come
one after another while an attack goes on. Two more are away until it is over, and are written to. Most have keys,
and know their servers'; a few are as existing programs are, in plain.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any, Final

from parley import Delivery
from parley.shared.addresses import Endpoint, Server, ServerList
from parley.shared.config import ClientConfig, Config, LinkConfig, LogConfig, SecurityConfig
from parley.shared.discovery.discovery import DiscoveryService
from parley.shared.runtime.event_loop import run_loop
from parley.shared.telemetry import logs
from parley.shared.trust_storage.identity import find_identity
from parley.shared.wire.messages import MESSAGES, pb
from tests.attack.places import HOUSES, MESSAGES_PORT, NAMES, NEWCOMERS
from tests.chaos.ledger import Ledger, Message
from tests.chaos.people import Client

EACH: Final = 10
"""Users of each node."""
TICK: Final = 0.002
"""Seconds between two turns of the writing."""
LATE: Final = 2.0
"""Seconds after which an honest message is late."""
SETTLED: Final = 8.0
"""Seconds in which everything must be received and told when all is over, or from what comes last of all."""
EMPTIED: Final = 60.0
"""Seconds in which those who were away have taken what came before, an attacker's mail too: it goes in order."""
EVERY: Final = 2.0
"""Seconds from one newcomer to the next."""
MAIL: Final = 0.25
"""Seconds from one message for somebody away to the next."""
COMERS: Final = 40
PING_TIMEOUT: Final = 3.0
ARRIVAL: Final = 30.0
PLAIN: Final = frozenset({8, 9})
"""Of ten regulars of each node, and of each ten newcomers: those without a key."""
HELLO: Final = "hello"
"""What they write to one another before anything is measured."""
ONCE: Final = "once"
"""The first word of a text of an attacker's that nobody may be shown twice."""
SHOWN: Final = 3
"""Messages of each kind that are told of."""


@dataclass(frozen=True)
class Phase:
    """What became of what was written in one phase. Seconds."""

    written: int
    p50: float
    p99: float
    worst: float


@dataclass(frozen=True)
class Record:
    """What came of it all. `wrong`: what must not be, in words."""

    phases: dict[str, Phase]
    lost: int
    late: int
    wrong: list[str] = field(default_factory=list)
    stall: float = 0.0
    """The longest time for which this process did not get to write, in the last phase."""


class Known(DiscoveryService):
    """Knows where both nodes are, and their keys, and asks nobody."""

    def __init__(self, config: Config, directory: Path) -> None:
        super().__init__(config)
        self._servers = tuple(
            Server(name, {MESSAGES: (Endpoint(host, MESSAGES_PORT),)}, key=_key_of(name, directory))
            for host, name in NAMES.items()
        )

    async def discover_servers(self, *_: object, **__: object) -> ServerList:  # type: ignore[override]
        """Both."""
        return self._servers


def _key_of(name: str, directory: Path) -> bytes:
    """The public key of a node whose data is there; empty: it has none."""
    identity = find_identity(directory / name / "data", name)
    return identity.public if identity is not None else b""


class Honest(Client):
    """Whoever else writes to an honest user is received, and is no matter of the ledger's.

    What is shown as forged is not shown as its author's.
    """

    received = 0
    forged = 0

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.repeated: list[str] = []
        """Texts that were to be shown once."""
        self._once: set[str] = set()

    def _hear(self, delivery: Delivery, *told: object) -> None:
        if delivery.message.textContent != HELLO:
            super()._hear(delivery, *told)

    def _show(self, message: pb.ChatMessage) -> None:
        self.received += 1
        text, first = message.textContent, message.textContent.partition(" ")[0]
        if message.assurance == pb.ChatMessage.FORGED:
            self.forged += 1
        elif first.isdecimal():
            super()._show(message)
        elif first == ONCE:
            if text in self._once:
                self.repeated.append(text)
            self._once.add(text)


class People:
    """All of them."""

    def __init__(self, rate: float, directory: Path, homes: Path, seed: int = 14) -> None:
        """`directory`: the nodes', whose keys are known; `homes`: where the people keep theirs."""
        self.ledger = Ledger()
        self._directory = directory
        self._homes = homes
        self._rate = rate
        self._random = Random(seed)
        self._began = time.monotonic()
        names = [f"{name}{n}@{name}" for n in range(EACH) for name in NAMES.values()]
        self.regulars = [
            self._client(name, HOUSES[i % len(HOUSES)], is_plain=i // 2 in PLAIN) for i, name in enumerate(names)
        ]
        self._names = names
        self.away = [self._client(f"away@{name}", NEWCOMERS[-1]) for name in NAMES.values()]
        servers = itertools.cycle(NAMES.values())
        self.comers = [
            self._client(
                f"new{n}@{next(servers)}", NEWCOMERS[n // 2 % len(NEWCOMERS)], is_plain=n // 2 % 10 in PLAIN
            )
            for n in range(COMERS)
        ]
        self.phases: dict[str, tuple[float, float]] = {}
        self._phase = ""
        self._stall = 0.0
        self._came = 0

    def _client(self, name: str, source: str, *, is_plain: bool = False) -> Honest:
        config = Config(
            address=source,
            link=LinkConfig(ping_timeout=PING_TIMEOUT, backoff_max=0.5),
            security=SecurityConfig(mode="open" if is_plain else "mixed"),
            client=ClientConfig(data_dir=str(self._homes)),
        )
        return Honest(f"{name}/1", config, Known(config, self._directory), self.ledger, self.now)

    def now(self) -> float:
        """Seconds of the run."""
        return time.monotonic() - self._began

    async def arrive(self) -> None:
        """Everyone comes; the newcomers and those who will be away go again."""
        for each in (*self.comers, *self.away):
            await each.arrive()
            await each.depart()
        async with asyncio.timeout(ARRIVAL):
            await asyncio.gather(*(each.arrive() for each in self.regulars))
            await self._meet()

    async def _meet(self) -> None:
        """Each writes to each once: whose keys an author has is asked at the first message, and not measured."""
        for each in self.regulars:
            for name in self._names:
                each.chat.send(name, HELLO)
        while any(each.received < len(self._names) for each in self.regulars):  # noqa: ASYNC110 - many clients
            await asyncio.sleep(TICK)

    def begin(self, phase: str) -> None:
        """What is written from now on is of this phase; empty: of none."""
        now = self.now()
        if self._phase:
            self.phases[self._phase] = self.phases[self._phase][0], now
        self._phase = phase
        self._stall = 0.0
        if phase:
            self.phases[phase] = now, now

    async def write(self) -> None:
        """Write, for ever."""
        began = last = self.now()
        written = mailed = 0
        while True:
            now = self.now()
            if self._phase:
                self._stall = max(self._stall, now - last - TICK)
            last = now
            while written < (now - began) * self._rate:
                author, recipient = self._random.sample(range(len(self.regulars)), 2)
                self.regulars[author].write(self._names[recipient], self._random.randrange(100))
                written += 1
            while mailed < (now - began) / MAIL:
                self._mail(mailed)
                mailed += 1
            await asyncio.sleep(TICK)

    def _mail(self, number: int) -> None:
        """A message for somebody who is away, and whom others may have filled the mailbox of."""
        away = self.away[number % len(self.away)]
        self._random.choice(self.regulars).write(str(away.chat.user), 20)

    async def come(self) -> None:
        """While an attack goes on one newcomer after another comes, with something to say."""
        while True:
            await asyncio.sleep(EVERY)
            if self._phase == "attack" and self._came < len(self.comers):
                comer, self._came = self.comers[self._came], self._came + 1
                comer.write(self._random.choice(self._names), 20)
                coming = asyncio.create_task(comer.arrive())
                coming.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def settle(self) -> None:
        """Those who were away come back; wait until nothing is missing, for so long."""
        for each in self.away:
            coming = asyncio.create_task(each.arrive())
            coming.add_done_callback(lambda done: done.cancelled() or done.exception())
        now = self.now()
        end, latest, received = now + SETTLED, now + EMPTIED, 0
        while self.now() < min(end, latest) and (any(self.ledger.missing()) or any(self.ledger.unfinished())):
            if (more := sum(each.received for each in self.away)) > received:
                end, received = self.now() + SETTLED, more
            await asyncio.sleep(0.1)

    # What came of it ------------------------------------------------------------------------------

    def _is_ordinary(self, message: Message) -> bool:
        """Whether both sides were there all the time."""
        return message.recipient in self._names and message.author.partition("/")[0] in self._names

    def _in(self, phase: str) -> Iterator[Message]:
        began, ended = self.phases[phase]
        return (m for m in self.ledger.messages.values() if began <= m.sent < ended and self._is_ordinary(m))

    def phase(self, name: str) -> Phase:
        """The latencies of a phase, what was never shown at the end of them."""
        delays = sorted(m.shown[0][0] - m.sent if m.shown else float("inf") for m in self._in(name))
        if not delays:
            return Phase(0, 0.0, 0.0, 0.0)
        return Phase(len(delays), _share(delays, 0.5), _share(delays, 0.99), delays[-1])

    def record(self) -> Record:
        """All of it."""
        away = {str(each.chat.user) for each in self.away}
        messages = self.ledger.messages.values()
        lost = [m for m in messages if not m.shown]
        late = [m for m in messages if m.shown and m.shown[0][0] - m.sent > LATE and m.recipient not in away]
        wrong = [f"{each.kind}: {each}" for each in self.ledger.wrong() if each.kind != "lost"]
        wrong = _few(wrong) + _few([f"lost: {each}" for each in lost]) + _few([f"late: {each}" for each in late])
        wrong += _few([f"nobody sent {each}" for each in self.ledger.strangers])
        clients = (*self.regulars, *self.away, *self.comers)
        wrong += _few([f"shown again: {text} to {each.name}" for each in clients for text in each.repeated])
        return Record({name: self.phase(name) for name in self.phases}, len(lost), len(late), wrong, self._stall)


def _few(lines: Sequence[str]) -> list[str]:
    return [*lines[:SHOWN], *([f"… and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else [])]


def _share(ordered: Sequence[float], share: float) -> float:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


# The process --------------------------------------------------------------------------------------------


def serve(pipe: Connection, rate: float, directory: Path, homes: Path) -> None:
    """The process: a word of `arrive`, `phase NAME`, `settle`; each is answered."""
    logs.configure(LogConfig(level="error"))
    run_loop(_serve(pipe, rate, directory, homes))


async def _serve(pipe: Connection, rate: float, directory: Path, homes: Path) -> None:
    people, words = People(rate, directory, homes), asyncio.Queue[str]()
    asyncio.get_running_loop().add_reader(pipe.fileno(), _read, pipe, words)
    going: list[asyncio.Task[None]] = []
    while word := await words.get():
        name, _, phase = word.partition(" ")
        if name == "arrive":
            await people.arrive()
            gc.collect()
            gc.freeze()
            gc.disable()
            going = [asyncio.create_task(people.write()), asyncio.create_task(people.come())]
            pipe.send("arrived")
        elif name == "phase":
            people.begin(phase)
            pipe.send(phase)
        elif name == "settle":
            people.begin("")
            for task in going:
                task.cancel()
            await people.settle()
            pipe.send(people.record())
    for client in (*people.regulars, *people.away, *people.comers):
        client.abort()


def _read(pipe: Connection, words: asyncio.Queue[str]) -> None:
    try:
        words.put_nowait(pipe.recv())
    except (EOFError, OSError):
        asyncio.get_running_loop().remove_reader(pipe.fileno())
        words.put_nowait("")
