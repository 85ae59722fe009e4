"""A slow line that is cut again and again: small messages pass at once, documents in the end, once, in order."""

import asyncio
import time
from collections import Counter

import msgspec
import pytest

from parley.client.chat import ChatFeature
from parley.services.chat.service import ChatService
from parley.shared.addresses import Endpoint, Server, User
from parley.shared.config import ChatConfig, Config, LinkConfig
from parley.shared.wire.messages import MESSAGES
from parley.shared.wire.pieces import LEAST
from tests.support.line import Line

ALPHA, BETA = "127.0.61.1", "127.0.61.2"
RATE = 80_000
"""Bytes a second."""
EVERY = 1.0
"""Seconds that a connection lasts."""
DOCUMENT = bytes(range(251)) * 1600
"""400 kB: five of such connections."""
SOON = 2.5
"""Seconds for a small message while the line stands; a cut and the dial after it are in it."""
PATIENCE = 90.0
LINK = LinkConfig(backoff_min=0.05, backoff_max=0.2)


class Town:
    """Two servers, with a line between them, and people at each; alpha dials."""

    def __init__(self, directory, *, every=EVERY, rate=RATE, chat=None):
        self.directory, self.every, self.rate = directory, every, rate
        self.chat = chat or ChatConfig(port=0)
        self.people = {}
        self.servers = {}
        self.came = {}
        """Who → (what, when) of each message shown."""
        self.statuses = {}

    async def __aenter__(self):
        self.beta = await self.start("beta", BETA)
        self.line = await Line(ALPHA, (BETA, self.port("beta")), rate=self.rate, every=self.every).__aenter__()
        self.alpha = await self.start("alpha", ALPHA)
        return self

    async def __aexit__(self, *_):
        for person in self.people.values():
            await person.close()
        for server in self.servers.values():
            await server.stop()
        await self.line.__aexit__()

    async def start(self, name, host):
        """Start a server, at the port that it had before."""
        port = self.port(name) if name in self.servers else 0
        config = Config(
            server_id=name,
            address=host,
            data_dir=str(self.directory / name),
            link=LINK,
            chat=msgspec.structs.replace(self.chat, port=port),
        )
        server = self.servers[name] = ChatService(config=config)
        await server.start()
        if name == "alpha":
            beta = Server("beta", {MESSAGES: (self.line.endpoint,)})
            await server.set_server_list_and_connect([beta])
        return server

    async def restart(self, name):
        server = self.servers[name]
        await server.stop()
        await self.start(name, server.config.address)

    def port(self, name):
        return self.servers[name].listener.port

    async def discover_servers(self, *, until=None):  # noqa: ARG002 - it is known at once
        """What a client's discovery finds."""
        return [
            Server(name, {MESSAGES: (Endpoint(server.config.address, server.listener.port),)})
            for name, server in self.servers.items()
        ]

    async def connect(self, name, line=None):
        """Somebody comes; `line`: over this one to their server."""
        user = User.parse(name)
        self.came[name], self.statuses[name] = [], []
        person = ChatFeature(
            user,
            Config(link=LINK),
            on_message=lambda message: self.came[name].append((_content(message), time.monotonic())),
            on_status=lambda delivery, _whose, status: self.statuses[name].append((delivery, status)),
            discovery=self if line is None else Behind(line, user.server_id),
        )
        await person.handle_connection(await person.discovery.discover_servers())
        self.people[name] = person
        return person

    async def until(self, condition, patience=PATIENCE):
        async with asyncio.timeout(patience):
            while not condition():  # noqa: ASYNC110 - of several objects, none of which tells
                await asyncio.sleep(0.02)

    async def cut_each_link(self, stands):
        """Cut the line so many seconds after each time that the servers are linked over it."""
        alpha = self.servers["alpha"]
        while True:
            await self.until(lambda: alpha.roster.server("beta"))
            await asyncio.sleep(stands)
            self.line.cut()
            await self.until(lambda: not alpha.roster.server("beta"))

    def shown(self, name):
        return [what for what, _when in self.came[name]]

    async def chatter(self, of, to, which):
        """Somebody writes a line every quarter of a second; how long each took."""
        times = []
        while not which.is_set():
            text = f"line {len(times)} of {of}"
            began = time.monotonic()
            self.people[of].send(to, text)
            await self.until(lambda text=text: text in self.shown(to))
            times.append(time.monotonic() - began)
            await asyncio.sleep(0.25)
        return times


class Behind:
    """A server that is found at the near end of a line."""

    def __init__(self, line, server_id):
        self.found = [Server(server_id, {MESSAGES: (line.endpoint,)})]

    async def discover_servers(self, *, until=None):  # noqa: ARG002 - it is known at once
        return self.found


def _content(message):
    return message.textContent or message.document.data


def run(story):
    asyncio.run(story())


@pytest.fixture
def directory(tmp_path):
    return tmp_path


def test_a_document_passes_a_line_that_is_cut_and_nobody_waits_for_it(directory):
    """Of the document's pair nothing overtakes it; all others are as quick as the line."""

    async def story():
        async with Town(directory) as town:
            for name in ("ann@alpha", "amy@alpha", "bob@beta", "ben@beta"):
                await town.connect(name)
            await town.until(lambda: town.line.opened_at)
            ann = town.people["ann@alpha"]
            ann.send("bob@beta", "before it")
            document = ann.send_document("bob@beta", "large", DOCUMENT)
            ann.send("bob@beta", "behind it")
            ann.send("ben@beta", "to another")
            done = asyncio.Event()
            others = asyncio.gather(
                town.chatter("amy@alpha", "ben@beta", done), town.chatter("ben@beta", "amy@alpha", done)
            )
            await asyncio.wait_for(document.final, PATIENCE)
            await town.until(lambda: "behind it" in town.shown("bob@beta"))
            done.set()
            times = [each for both in await others for each in both]
            assert document.final.result() == "DELIVERED"
            assert town.shown("bob@beta") == ["before it", DOCUMENT, "behind it"]
            assert town.line.cuts >= 4
            assert len(times) > 20
            late = [each for each in times if each > SOON]
            assert not late, (late, len(times))

    run(story)


@pytest.mark.parametrize("which", ["alpha", "beta"])
def test_a_restart_of_either_server_in_the_middle_loses_nothing(directory, which):
    async def story():
        async with Town(directory) as town:
            for name in ("ann@alpha", "bob@beta"):
                await town.connect(name)
            await town.until(lambda: town.line.opened_at)
            ann = town.people["ann@alpha"]
            document = ann.send_document("bob@beta", "large", DOCUMENT)
            ann.send("bob@beta", "behind it")
            beta = town.servers["beta"]
            await town.until(lambda: beta._partials.size > len(DOCUMENT) / 4)
            await town.restart(which)
            await asyncio.wait_for(document.final, PATIENCE)
            await town.until(lambda: "behind it" in town.shown("bob@beta"))
            assert town.shown("bob@beta") == [DOCUMENT, "behind it"]

    run(story)


def test_both_directions_at_once_and_several_documents(directory):
    async def story():
        half = DOCUMENT[: len(DOCUMENT) // 2]
        async with Town(directory, rate=2 * RATE) as town:
            for name in ("ann@alpha", "amy@alpha", "bob@beta", "ben@beta"):
                await town.connect(name)
            await town.until(lambda: town.line.opened_at)
            sent = []
            pairs = [("ann@alpha", "bob@beta"), ("amy@alpha", "ben@beta"), ("bob@beta", "ann@alpha")]
            for number in range(2):
                sent += [
                    town.people[one].send_document(other, "large", bytes([number]) + half) for one, other in pairs
                ]
            await asyncio.wait_for(asyncio.gather(*(each.final for each in sent)), PATIENCE)
            for _one, other in pairs:
                assert town.shown(other) == [bytes([number]) + half for number in range(2)]
            assert Counter(each.final.result() for each in sent) == {"DELIVERED": 6}

    run(story)


def test_what_can_never_pass_has_a_final_status_in_the_end(directory):
    """A line that is cut after each handshake, before a single piece is through."""
    chat = ChatConfig(port=0, stuck_ttl=6.0, ack_timeout=2.0)
    stands = 0.5
    rate = LEAST / 2 / stands

    async def story():
        async with Town(directory, every=0, rate=rate, chat=chat) as town:
            for name in ("ann@alpha", "bob@beta"):
                await town.connect(name)
            cutting = asyncio.create_task(town.cut_each_link(stands))
            document = town.people["ann@alpha"].send_document("bob@beta", "large", DOCUMENT)
            assert await asyncio.wait_for(document.final, 40) == "OTHER_ERROR"
            assert {*document.statuses[:-1]} <= {"OTHER_SERVER_TIMEOUT"}
            assert not town.shown("bob@beta")
            assert town.line.cuts >= 4
            assert town.servers["beta"]._partials.size == 0
            cutting.cancel()

    run(story)


@pytest.mark.parametrize("sends", [True, False])
def test_a_client_behind_such_a_line_gets_a_document_through_and_meanwhile_others_lines(directory, sends):
    """In either direction: it sends one, or receives one."""

    async def story():
        async with (
            Town(directory, every=0, rate=1e9) as town,
            Line(ALPHA, (ALPHA, town.port("alpha")), rate=RATE, every=EVERY) as line,
        ):
            await town.connect("ben@alpha")
            await town.connect("ann@alpha", line if sends else None)
            await town.connect("bob@alpha", None if sends else line)
            of, to = ("ann@alpha", "ben@alpha") if sends else ("ben@alpha", "bob@alpha")
            ann = town.people["ann@alpha"]
            ann.send("bob@alpha", "before it")
            document = ann.send_document("bob@alpha", "large", DOCUMENT)
            ann.send("bob@alpha", "behind it")
            done = asyncio.Event()
            others = asyncio.create_task(town.chatter(of, to, done))
            await asyncio.wait_for(document.final, PATIENCE)
            await town.until(lambda: "behind it" in town.shown("bob@alpha"))
            done.set()
            times = await others
            lines = [each for each in town.shown("bob@alpha") if each is not DOCUMENT and "of ben" not in str(each)]
            assert lines == ["before it", DOCUMENT, "behind it"]
            assert line.cuts >= 4
            late = [each for each in times if each > SOON]
            assert not late, (late, len(times))

    run(story)
