"""Twelve people with two devices each, which come and go by themselves, and write, edit, delete and read on both.

A device is a directory that stays, with its key and its copy of the conversations. Each time it comes there is a
new program on it, as `parley chat` is one. The second device of each person is let in by the first, with a code.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec

from parley import Delivery
from parley.client.outbox.history import HistoryLine, named
from parley.client.outbox.questions import RequestFailed
from parley.client.trust.new_device import DeviceLinking
from parley.shared.addresses import Recipient
from parley.shared.config import ClientConfig, Config
from parley.shared.discovery.discovery import DiscoveryService
from parley.shared.errors import PeerError
from parley.shared.wire.framing import Frame
from parley.shared.wire.messages import decode, pb
from tests.chaos.conversations import MOST_UNREAD, Line, Lists, Post, Record, Wrong
from tests.chaos.ledger import person
from tests.chaos.people import PADDING, PAUSE, TICK, CountingChat, Traveller
from tests.chaos.schedule import NODES, draw_moves

NAMES: Final = ("eva", "finn", "gil", "hana")
OWNERS: Final = tuple(f"{name}@{node}" for node in NODES for name in NAMES)
DEVICES: Final = 2
"""Of each person."""
MEMBERS: Final = 6
"""Of each group; there is one at each node."""
RATE: Final = 12.0
"""Texts, edits, deletions and marks of reading a second, of all together."""
ACTIONS: Final = {"text": 50, "to a group": 20, "edit": 12, "delete": 6, "read": 12}
RECENT: Final = 30
"""The latest messages of a person that a device may change."""
ALL: Final = 1_000_000
CAUGHT_UP: Final = 30.0
"""Seconds within which every device has what its server has, once all is quiet."""
LOOK: Final = 0.5
PAGE: Final = 200
TRIES: Final = 10
SYNCED: Final = 4
"""Lines that a device asks for at a time: whoever was away for some seconds needs several pages."""


class _Program(CountingChat):
    """A program on a device. `read` hears what its server confirms of reading."""

    def __init__(self, read: Callable[[pb.ReadReceiptAck], None], *arguments: Any, **how: Any) -> None:
        super().__init__(*arguments, **how)
        self._read = read

    def handle_message(self, frame: Frame) -> bool:
        """Hear of a mark of reading before it is looked at."""
        if frame.name == "READ_RECEIPT_ACK":
            self._read(decode(frame, pb.ReadReceiptAck))
        return super().handle_message(frame)


class Silent(Exception):
    """A server does not tell what it has."""


class Device(Traveller):
    """One device of a person. `directory` is its own."""

    def __init__(
        self,
        name: str,
        config: Config,
        directory: Path,
        discovery: DiscoveryService,
        record: Record,
        now: Callable[[], float],
    ) -> None:
        super().__init__(name, now)
        self.directory = directory
        self._config = msgspec.structs.replace(config, client=ClientConfig(data_dir=str(directory)))
        self._discovery = discovery
        self._record = record
        self._changeable: deque[pb.ChatMessage] = deque(maxlen=RECENT)
        """The latest messages of this person's that this device knows."""
        self._told: dict[Recipient, int] = {}
        """The last line of each conversation that a program here told of."""
        self._frames = self._lost = 0
        """Of the programs before."""
        self.chat = self._program()

    def _program(self) -> CountingChat:
        program = _Program(
            self._read,
            person(self.name),
            self._config,
            on_message=self._show,
            on_edit=self._show,
            on_status=self._hear,
            on_line=self._tell,
            on_forged=lambda message: self._strange("a forged message", message),
            on_replayed=lambda message: self._strange("a replayed message", message),
            on_forged_status=lambda delivery, _whose, _status: self._strange("a forged status", delivery.message),
            discovery=self._discovery,
        )
        program.history.sync = partial(program.history.sync, limit=SYNCED)  # type: ignore[method-assign] # many pages
        return program

    def _read(self, receipt: pb.ReadReceiptAck) -> None:
        self._record.read(person(self.name), str(named(receipt)), receipt.sequence, self.now())

    @property
    def frames(self) -> int:
        """Messages that came over the wire."""
        return self._frames + self.chat.frames

    @property
    def lost(self) -> int:
        """Links that ended although nobody here wanted it."""
        return self._lost + self.chat.lost

    async def renew(self) -> None:
        """Begin with a new program."""
        await self.chat.close()
        self._frames, self._lost = self.frames, self.lost
        self.chat = self._program()

    async def let_in(self, earlier: Device) -> None:
        """Become a device of the person, as soon as the server has written down that the earlier one is."""
        while True:
            try:
                await self._let_in(earlier)
            except PeerError:
                await asyncio.sleep(PAUSE)
            else:
                return

    async def _let_in(self, earlier: Device) -> None:
        """Show a code, which is entered at the earlier one. PeerError: refused."""
        code: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        linking = DeviceLinking(person(self.name), self._config, on_code=code.set_result, discovery=self._discovery)
        async with linking:
            found = await self._discovery.discover_servers(until=self._offers_home)
            shown = asyncio.create_task(linking.run(found))
            await asyncio.wait([shown, code], return_when=asyncio.FIRST_COMPLETED)
            if code.done():
                await earlier.chat.devices.add(code.result(), earlier.name)
            await shown

    # What is done here --------------------------------------------------------------------------------

    def write(self, to: str, padding: int) -> None:
        """Write to a user or a group."""
        post = self._post(to)
        post.text = f"[{post.number}] {'x' * padding}"
        self._sent(post, self.chat.send(to, post.text))

    def change(self, random: Random, *, deletes: bool) -> None:
        """Edit or delete a message that the person did not delete."""
        known = [each for each in self._changeable if not self._record.is_deleted(each.messageSnowflake)]
        if not known:
            return
        message = random.choice(known)
        post = self._post(self._record.posts[message.messageSnowflake].to)
        post.text = "" if deletes else f"[{post.number}] edited {'y' * random.randrange(PADDING)}"
        post.target = message.messageSnowflake
        self._sent(post, self.chat.delete(message) if deletes else self.chat.edit(message, post.text))

    def _post(self, to: str) -> Post:
        return Post(len(self._record.posts) + 1, self.name, to, self.now(), "")

    def _sent(self, post: Post, delivery: Delivery) -> None:
        post.snowflake = delivery.snowflake
        post.revision = delivery.message.edit.revision
        self._record.sent(post)
        if not post.target:
            self._changeable.append(delivery.message)

    def read(self, random: Random) -> None:
        """Have read a conversation to its end; every other time a mark comes late, and says that less was."""
        if self._told:
            other = random.choice(list(self._told))
            last = self._told[other]
            self.chat.history.mark_read(other, last)
            if random.randrange(2):
                self.chat.history.mark_read(other, random.randint(1, last))

    # What comes ---------------------------------------------------------------------------------------

    def _show(self, message: pb.ChatMessage) -> None:
        self._record.shown(message.messageSnowflake, self.name, self.now())

    def _hear(self, delivery: Delivery, whose: Recipient, status: str) -> None:
        self._record.heard(delivery.snowflake, str(whose), status, self.now())

    def _tell(self, line: HistoryLine) -> None:
        if line.sequence <= self._told.get(line.conversation, 0):
            text = f"{self.name} told of {line.sequence} of {line.conversation} again, or behind a later one"
            self._record.noted.append(Wrong("twice", text))
        self._told[line.conversation] = line.sequence
        if not line.received and line.message is not None:
            self._changeable.append(line.message)

    def _strange(self, what: str, message: pb.ChatMessage) -> None:
        post = self._record.posts.get(message.messageSnowflake)
        self._record.noted.append(Wrong("strange", f"{what} at {self.name}", post))

    # In the end -----------------------------------------------------------------------------------------

    async def copy(self) -> Lists:
        """All conversations as this device has them."""
        found = Lists({}, {})
        if self.chat.cache is not None:
            for last, unread in await self.chat.cache.latest(ALL):
                lines = await self.chat.cache.lines(last.conversation, limit=ALL)
                found.lines[str(last.conversation)] = [*map(line_of, reversed(lines))]
                found.unread[str(last.conversation)] = min(unread, MOST_UNREAD)
        return found

    async def kept(self) -> Lists:
        """All conversations as the server has them. RequestFailed."""
        history, found = self.chat.history, Lists({}, {}, read := {})
        for each in await history.conversations(limit=PAGE):
            lines: list[Line] = []
            page = await history.lines(each.conversation, after=0, limit=PAGE)
            while page.lines:
                lines += map(line_of, page.lines)
                page = await history.lines(each.conversation, after=lines[-1].sequence, limit=PAGE)
            found.lines[str(each.conversation)] = lines
            found.unread[str(each.conversation)] = min(each.unread, MOST_UNREAD)
            read[str(each.conversation)] = each.read
        return found

    def has_bytes(self, texts: Iterable[tuple[Post, str]]) -> list[Wrong]:
        """Those of these texts of which something is in a file of this device's conversations."""
        files = [path.read_bytes() for path in sorted((self.directory / "history").iterdir())]
        return [
            Wrong("kept", f"at {self.name}", post)
            for post, text in texts
            if any(text.encode() in content for content in files)
        ]


def line_of(line: HistoryLine) -> Line:
    """A line as it is judged."""
    snowflake = line.message.messageSnowflake if line.message is not None else 0
    if line.is_deleted and line.edit is not None:
        snowflake = line.edit.target
    return Line(line.sequence, snowflake, line.text, line.is_deleted, line.received, line.status)


class Owners:
    """All people with two devices. `over` ends their moves."""

    def __init__(self, make: Callable[[str], Device], record: Record, over: asyncio.Event) -> None:
        self._record = record
        self.over = over
        self.devices = {owner: [make(f"{owner}/{n}") for n in range(1, DEVICES + 1)] for owner in OWNERS}
        self._all = [device for devices in self.devices.values() for device in devices]

    async def settle_in(self) -> None:
        """Everyone comes for the first time, has the second device let in, and joins the groups."""
        await asyncio.gather(*(self._settle_in(owner, devices) for owner, devices in self.devices.items()))

    async def _settle_in(self, owner: str, devices: list[Device]) -> None:
        first, *others = devices
        await first.arrive()
        for device in others:
            await device.let_in(first)
            await device.arrive()
        for group in self.groups_of(owner):
            await first.chat.join(group)

    def groups_of(self, owner: str) -> list[str]:
        """The groups that a person is in."""
        return [group for group, members in self._record.groups.items() if owner in members]

    async def arrive(self) -> None:
        """Every device comes, and comes back if it is away."""
        await asyncio.gather(*(device.arrive() for device in self._all))

    async def live(self, seed: int, length: float) -> None:
        """Come and go for so long (seconds), each device by itself."""
        moves = ((device, draw_moves(seed, device.name, length, second=False)) for device in self._all)
        await asyncio.gather(*(device.live(each, self.over) for device, each in moves))

    async def write(self, seed: int, rate: float) -> None:
        """Do `rate` things a second until it is over: anyone who is there, on any device."""
        random, loop = Random(f"conversations {seed}"), asyncio.get_running_loop()
        began, done = loop.time(), 0
        while not self.over.is_set():
            while done < (loop.time() - began) * rate:
                here = [device for device in self._all if device.is_here]
                if here:
                    self._act(random, random.choice(here))
                done += 1
            await asyncio.sleep(TICK)

    def _act(self, random: Random, device: Device) -> None:
        owner = person(device.name)
        action = random.choices(list(ACTIONS), list(ACTIONS.values()))[0]
        if action == "text":
            device.write(random.choice([each for each in OWNERS if each != owner]), random.randrange(PADDING))
        elif action == "to a group":
            device.write(random.choice(self.groups_of(owner)), random.randrange(PADDING))
        elif action == "read":
            device.read(random)
        else:
            device.change(random, deletes=action == "delete")

    @property
    def away(self) -> list[str]:
        """The devices that are not there."""
        return [device.name for device in self._all if not device.is_here]

    @property
    def are_owed(self) -> bool:
        """Whether somebody has to hear of a message still."""
        return any(device.chat.outbox for device in self._all) or bool(self._record.unanswered)

    @property
    def frames(self) -> int:
        """Messages that came over the wire."""
        return sum(device.frames for device in self._all)

    @property
    def lost(self) -> int:
        """Links that ended although nobody here wanted it."""
        return sum(device.lost for device in self._all)

    async def lists(self) -> tuple[dict[str, Lists], dict[str, Lists]]:
        """All lists of the servers, by person, and all copies, by device: alike, or as they are after CAUGHT_UP."""
        loop = asyncio.get_running_loop()
        end = loop.time() + CAUGHT_UP
        while True:
            servers = dict(zip(OWNERS, await asyncio.gather(*map(self._kept, OWNERS)), strict=True))
            copies = await asyncio.gather(*(device.copy() for device in self._all))
            devices = {device.name: copy for device, copy in zip(self._all, copies, strict=True)}
            are_alike = all(copy.is_like(servers[person(name)]) for name, copy in devices.items())
            if are_alike or loop.time() > end:
                return servers, devices
            await asyncio.sleep(LOOK)

    async def _kept(self, owner: str) -> Lists:
        """As the first device is told. A server that is busy is asked again. Silent."""
        device = self.devices[owner][0]
        for _ in range(TRIES):
            try:
                return await device.kept()
            except RequestFailed as error:
                why = error
                await asyncio.sleep(PAUSE)
        place = "not connected" if device.chat.link is None else f"connected: {device.chat.link!r}"
        raise Silent(f"{device.name}, which is {place}, was not told its lists in {TRIES} tries: {why}")

    def leftovers(self, servers: dict[str, Lists]) -> list[Wrong]:
        """Bytes of what was deleted, at any device."""
        return [
            each
            for owner, devices in self.devices.items()
            for device in devices
            for each in device.has_bytes(self._record.deleted_texts(servers[owner]))
        ]

    async def close(self) -> None:
        """Everyone goes."""
        await asyncio.gather(*(device.depart() for device in self._all))


def draw_groups(seed: int) -> dict[str, list[str]]:
    """A group at each node, with its members: everybody is in one."""
    people = Random(f"groups {seed}").sample(OWNERS, len(OWNERS))
    step = len(OWNERS) // len(NODES)
    return {
        f"#crew@{node}": [people[(number * step + each) % len(people)] for each in range(MEMBERS)]
        for number, node in enumerate(NODES)
    }
