"""One run of the crash test: nodes up, people writing, faults, quiet, and then what is wrong with the record."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from parley.shared.config import ClientConfig, Config, LinkConfig, LogConfig
from parley.shared.telemetry import logs
from tests.chaos import conversations
from tests.chaos.cluster import Asking, Cluster, own_address
from tests.chaos.conversations import GRACE, Kill, Lists, Record
from tests.chaos.devices import RATE, Device, Owners, Silent, draw_groups
from tests.chaos.faults import Done, Faults
from tests.chaos.ledger import Ledger
from tests.chaos.people import Client, People
from tests.chaos.report import SHOWN, Figures, failures, figures
from tests.chaos.schedule import CHAT, NODES, Fault, draw_faults
from tests.support.containers import Engine
from tests.support.nodes import ROOT

QUIET: Final = 120.0
"""Seconds within which everything is to be received and told, once everything is well again."""
SETTLED: Final = 3.0
"""Seconds without anything new after which it is quiet: what is late has come."""
ARRIVAL: Final = 60.0
"""Seconds within which everyone finds their server, when all is well."""
LOOK: Final = 0.25
REFRESH: Final = 0.5
PING_TIMEOUT: Final = 3.0
"""Seconds; a client's links. With the default of 300 a client would notice a half-open link after ten minutes."""
PROBE: Final = 3600.0
KEPT: Final = 30
"""Days for which history is kept, where it is."""
KILLS: Final = frozenset({"kill", "down", "restart", "epoch"})
"""Faults by which a process ends without a word."""
FULL: Final = "disk"
"""The fault during which a chat process can write nothing, so that a kill takes with it what is to be kept."""


@dataclass(frozen=True)
class Options:
    """What to run."""

    seed: int
    seconds: float
    rate: float = 500.0
    per_minute: float = 15.0
    kinds: Sequence[str] = ()
    history: bool = False
    """Whether the nodes keep history, and people with two devices each write as well."""


@dataclass
class Outcome:
    """What came of it. `failed`: what is wrong, in lines; `told`: the figures."""

    failed: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    directory: Path = ROOT


class Run:
    """A run on an engine that has the image."""

    def __init__(self, engine: Engine, options: Options, say: Callable[[str], None]) -> None:
        self.options = options
        self.say = say
        self.ledger = Ledger()
        self.directory = ROOT / "build" / "chaos" / engine.run
        self.directory.mkdir(parents=True)
        self.record = Record(draw_groups(options.seed))
        self.cluster = Cluster(engine, self.directory, KEPT if options.history else 0)
        self.figures = Figures(options.seed)
        self._lists: dict[str, Lists] = {}
        self._began = time.monotonic()
        self._faults = Faults(self.cluster, self.now, lambda done: say(str(done)))
        self._config, self._asking = self._place("people")
        self._owners = self._place("owners") if options.history else (self._config, self._asking)

    def now(self) -> float:
        """Seconds of the run."""
        return time.monotonic() - self._began

    async def run(self) -> Outcome:
        """All of it. Whatever happens, nothing goes on afterwards but the containers, which are the engine's."""
        logs.configure(LogConfig(level="error"))
        options = self.options
        self.say(
            f"seed {options.seed}: {options.seconds:.0f} s, {options.rate:g} messages/s, of {revision()}; "
            f"containers {self.cluster.engine.run}-…"
        )
        failed: list[str] = []
        try:
            await asyncio.to_thread(self.cluster.start)
            await asyncio.to_thread(self._probe_clock)
            refreshing = asyncio.create_task(self._refresh())
            over = asyncio.Event()
            people = People(self._client, self.ledger, over)
            owners = Owners(self._device, self.record, over) if options.history else None
            try:
                failed = await self._live(people, owners, over)
                if owners is not None:
                    failed += await self._judge_lists(owners)
            finally:
                refreshing.cancel()
                await people.close()
                if owners is not None:
                    await owners.close()
            failed += self._judge()
            if failed:
                await asyncio.to_thread(self.cluster.save, self.directory)
            else:
                shutil.rmtree(self.directory)
        except Exception as error:
            error.add_note(self.cluster.engine.last_words())
            raise
        finally:
            await asyncio.to_thread(self._faults.close)
            self.cluster.close()
        told = figures(self.figures, self.ledger, self._faults.done)
        if self._lists:
            told += conversations.figures(self.record, self._lists)
        return Outcome(failed, told, self.directory)

    def _client(self, name: str) -> Client:
        return Client(name, self._config, self._asking, self.ledger, self.now)

    def _device(self, name: str) -> Device:
        config, asking = self._owners
        directory = self.directory / "owners" / name.replace("/", "-")
        return Device(name, config, directory, asking, self.record, self.now)

    def _place(self, name: str) -> tuple[Config, Asking]:
        """Where some people are, and how they find servers.

        Both are for one address alone: the clients' requests go nowhere else. The keys that they make and pin are
        this run's: the next run's servers of these names have others.
        """
        config = Config(
            address=own_address(self.cluster.engine, name),
            link=LinkConfig(ping_timeout=PING_TIMEOUT),
            client=ClientConfig(data_dir=str(self.directory / name)),
        )
        return config, Asking(config, self.cluster)

    def _probe_clock(self) -> None:
        """See that a clock can be stepped: a fault that does nothing would find nothing."""
        target = (NODES[0], CHAT)
        for offset in (PROBE, 0.0):
            self.cluster.set_clock(NODES[0], offset)
            wrong_by = self.cluster.tells(target) - time.time()
            if abs(wrong_by - offset) > PROBE / 10:
                raise RuntimeError(f"the clock is wrong by {wrong_by:.0f} s and not by {offset:.0f}")

    async def _refresh(self) -> None:
        """Know where to ask, whatever was started again; once the engine is slow, a little later."""
        while True:
            with contextlib.suppress(Exception):
                await asyncio.to_thread(self.cluster.refresh)
            await asyncio.sleep(REFRESH)

    # The three phases -----------------------------------------------------------------------------

    async def _live(self, people: People, owners: Owners | None, over: asyncio.Event) -> list[str]:
        """Write while things break; then wait until it is quiet. What kept that from coming."""
        casts: list[People | Owners] = [people] if owners is None else [people, owners]
        async with asyncio.timeout(ARRIVAL):
            await people.arrive()
            if owners is not None:
                await owners.settle_in()
        self._began = time.monotonic()
        seed, length = self.options.seed, self.options.seconds
        rates = self.options.rate, RATE
        writing = asyncio.gather(*(cast.write(seed, rate) for cast, rate in zip(casts, rates, strict=False)))
        living = asyncio.gather(*(cast.live(seed, length) for cast in casts))
        try:
            await self._break()
            over.set()
            self.figures.seconds = self.now()
            await writing
            self.figures.written, self.figures.stall = people.written, people.stall
            failed = await self._become_well()
            failed += await self._come_back(living, casts)
        finally:
            over.set()
            writing.cancel()
            living.cancel()
        await self._become_quiet(casts)
        self.figures.frames = people.frames
        self.figures.losses = sum(cast.lost for cast in casts)
        return failed

    async def _break(self) -> None:
        """Begin each fault at its time, and wait until all are over and the time is up."""
        options = self.options
        for fault in draw_faults(options.seed, options.seconds, options.per_minute, options.kinds):
            await self._wait_for(fault)
            self._faults.begin(fault)
        while self.now() < options.seconds or not self._faults.are_done:  # noqa: ASYNC110 - threads end them
            await asyncio.sleep(LOOK)

    async def _wait_for(self, fault: Fault) -> None:
        await asyncio.sleep(max(fault.at - self.now(), 0.0))

    async def _become_well(self) -> list[str]:
        """Everything up and linked; what is not."""
        self.say(f"{self.now():7.2f} s  no more faults, no more writing")
        await asyncio.to_thread(self._faults.undo_all)
        try:
            await asyncio.to_thread(self.cluster.wait_well)
        except (TimeoutError, AssertionError) as error:
            return [f"the nodes did not recover: {error}"]
        self.say(f"{self.now():7.2f} s  every process is ready and linked")
        return []

    @staticmethod
    async def _come_back(living: asyncio.Future[list[None]], casts: Sequence[People | Owners]) -> list[str]:
        """Everyone is there in the end, with their first client or all their devices; who is not."""
        try:
            async with asyncio.timeout(ARRIVAL):
                await living
                await asyncio.gather(*(cast.arrive() for cast in casts))
        except TimeoutError:
            away = ", ".join(name for cast in casts for name in cast.away)
            return [f"could not connect again within {ARRIVAL:.0f} s: {away}"]
        return []

    async def _become_quiet(self, casts: Sequence[People | Owners]) -> None:
        """Nothing is owed to anybody any more, and nothing new comes."""
        began = self.now()
        end, since, last = began + QUIET, began, -1
        while self.now() < end:
            frames = sum(cast.frames for cast in casts)
            if frames != last or any(cast.are_owed for cast in casts):
                since, last = self.now(), frames
            if self.now() - since >= SETTLED:
                break
            await asyncio.sleep(LOOK)
        self.figures.quiet_after = since - began
        self.figures.waiting = await asyncio.to_thread(self._waiting)

    def _waiting(self) -> int:
        """How many messages the servers still keep."""
        with contextlib.suppress(OSError, TimeoutError, AssertionError):
            return sum(int(node.status(CHAT)["waiting_messages"]) for node in self.cluster.wait_well())
        return -1

    def _judge(self) -> list[str]:
        done = self._faults.done
        errors = [f"a fault could not be done: {each}" for each in done if each.error]
        strangers = [f"nobody sent {each}" for each in self.ledger.strangers]
        wrong = self.ledger.wrong()
        with (self.directory / "wrong.txt").open("w", encoding="utf-8") as file:
            file.writelines(f"{each.kind}: {each}\n" for each in wrong)
        return errors + strangers + failures(wrong, done)

    async def _judge_lists(self, owners: Owners) -> list[str]:
        """What is wrong with the conversations, on the servers and on each device."""
        try:
            self._lists, devices = await owners.lists()
        except Silent as error:
            return [str(error)]
        wrong = [*self.record.wrong(self._lists, devices, kills_in(self._faults.done))]
        await owners.close()  # what was deleted leaves the file then, or within a minute
        wrong += owners.leftovers(self._lists)
        with (self.directory / "conversations.txt").open("w", encoding="utf-8") as file:
            file.writelines(f"{each.kind}: {each}\n" for each in wrong)
        return conversations.failures(wrong, SHOWN)


def kills_in(done: Sequence[Done]) -> list[Kill]:
    """When chat processes ended without a word while their disk was full, or had just been; from when it was."""
    found = []
    for each in done:
        for node in {node for node, service in each.fault.targets if service == CHAT and each.fault.kind in KILLS}:
            full = [d for d in done if d.fault.kind == FULL and (node, CHAT) in d.fault.targets]
            began = [d.began for d in full if d.began < each.ended and each.began <= d.ended + GRACE]
            if began:
                found.append(Kill(node, min(began), each.ended))
    return found


def revision() -> str:
    """The commit that is tried, and whether there are changes beside it."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "sources without a commit"


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def new_seed() -> int:
    """Another one each time."""
    return int.from_bytes(os.urandom(4), "big")


def tell(outcome: Outcome, out: Callable[[str], None]) -> int:
    """Print what came of a run; the exit code."""
    for line in (*outcome.told, *outcome.failed):
        out(line)
    out(f"FAILED; logs and files are in {outcome.directory.relative_to(ROOT)}" if outcome.failed else "passed")
    return 1 if outcome.failed else 0
