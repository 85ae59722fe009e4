"""Wrong clocks, a certificate renewed under traffic, a backup put back: nobody notices any (docs/trust.md)."""

import asyncio
import contextlib
import hashlib
import shutil
import time

import pytest

from parley import ChatFeature
from parley.shared.config import load
from parley.shared.trust.certificates import DAYS
from parley.shared.wire.messages import pb
from tests.support.commands import client_environment
from tests.support.nodes import COUNTED, Node, wait_linked
from tests.support.secured import Secured
from tests.support.wall_clocks import COMPILER, YEAR_1970, YEAR_2106, WallClock

pytestmark = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")
ADDRESSES = {"alpha": "127.0.113.1", "beta": "127.0.113.2", "gamma": "127.0.113.3"}
PEOPLE = "127.0.113.9"
SERVICES = ("discovery", "chat")
SETTINGS = COUNTED | {"PARLEY_DISCOVERY__DISCOVERY_INTERVAL": "0.5", "PARLEY_LINK__BACKOFF_MAX": "1"}
PATIENCE = 20.0


def node(name, directory, clock=None):
    more = clock.environment if clock is not None else {}
    return Node(name, ADDRESSES[name], directory, SERVICES, SETTINGS | more)


def alarms(nodes):
    """Whatever an operator would be told, or a key be refused for."""
    found = {}
    for each in nodes:
        for service in SERVICES:
            refused = each.metrics(service).value("parley_key_refusals_total")
            kinds = {one["kind"] for one in each.status(service)["troubles"]}
            if refused or kinds:
                found[each.server_id, service] = refused, kinds
    return found


class Person:
    """A client with a key, the messages that it got, and what was known of their authors."""

    def __init__(self, user, directory):
        self.user = user
        self.got = []
        self.links = 0
        self._changed = asyncio.Event()
        environment = client_environment(PEOPLE, directory, PARLEY_CLIENT__DATA_DIR=str(directory / "people"))
        self.chat = ChatFeature(
            user, load(environ=environment), on_message=self._message, on_connection=self._connection
        )

    def _message(self, message):
        self.got.append((message.textContent, pb.ChatMessage.Assurance.Name(message.assurance)))
        self._changed.set()

    def _connection(self, is_connected):
        self.links += is_connected

    async def connect(self):
        await self.chat.handle_connection(await self.chat.discovery.discover_servers())

    async def has(self, count):
        async with asyncio.timeout(PATIENCE):
            while len(self.got) < count:
                self._changed.clear()
                await self._changed.wait()


@contextlib.asynccontextmanager
async def people(directory, *users):
    """Them, connected."""
    directory.mkdir(exist_ok=True)
    async with contextlib.AsyncExitStack() as stack:
        found = [Person(user, directory) for user in users]
        for each in found:
            await stack.enter_async_context(each.chat)
            await each.connect()
        yield found


async def everybody_writes(found, words):
    """Each writes to each; all come once, signed."""
    before = [len(each.got) for each in found]
    sent = [
        author.chat.send(reader.user, f"{words} of {author.user}")
        for author in found
        for reader in found
        if author is not reader
    ]
    async with asyncio.timeout(PATIENCE):
        assert {await each.final for each in sent} == {"DELIVERED"}
    for each, had in zip(found, before, strict=True):
        await each.has(had + len(found) - 1)
        expected = {(f"{words} of {other.user}", "SIGNED") for other in found if other is not each}
        assert set(each.got[had:]) == expected, each.user
        assert len(each.got[had:]) == len(expected), each.user


def test_clocks_from_1970_to_2106_do_no_harm_nor_does_one_that_jumps(tmp_path):
    clocks = {name: WallClock(tmp_path / f"clock-{name}") for name in ("beta", "gamma")}
    clocks["beta"].set_to(YEAR_1970)
    clocks["gamma"].set_to(YEAR_2106)

    async def story(nodes):
        async with people(tmp_path / "clients", "ann@alpha", "bob@beta", "cid@gamma") as found:
            await everybody_writes(found, "hello")
            clocks["beta"].set_to(YEAR_2106)
            clocks["gamma"].set_to(YEAR_1970)
            await everybody_writes(found, "after the jump")
            assert [each.links for each in found] == [1, 1, 1]
            assert [len(each.status("chat")["peers"]) for each in nodes] == [2, 2, 2]

    with contextlib.ExitStack() as stack:
        nodes = [stack.enter_context(node(name, tmp_path, clocks.get(name))) for name in ADDRESSES]
        wait_linked(nodes, ["chat"])
        asyncio.run(story(nodes))
        beta = nodes[1]
        beta.stop()
        for service in SERVICES:
            beta.start(service)  # 136 years later than it was begun
        beta.wait_ready()
        wait_linked(nodes, ["chat"])
        asyncio.run(story(nodes))
        for clock in clocks.values():
            clock.set_to(time.time())  # by which we know that their counts are of now
        assert alarms(nodes) == {}


def certificate_of(address):
    with Secured((address, 6666)) as link:
        return hashlib.sha256(link.sock.getpeercert(binary_form=True)).digest()


def test_a_certificate_is_renewed_under_traffic_and_nothing_is_lost(tmp_path):
    clock = WallClock(tmp_path / "clock")

    async def story():
        async with people(tmp_path / "clients", "ann@alpha", "bob@beta") as (ann, bob):
            await everybody_writes([ann, bob], "before")
            first, certificates = time.time(), []
            for round_number in range(3):
                sent = [ann.chat.send("bob@beta", f"{round_number}-{n}") for n in range(50)]
                clock.set_to(first + round_number * DAYS * 86400)
                certificates.append(await asyncio.to_thread(certificate_of, ADDRESSES["alpha"]))
                sent += [ann.chat.send("bob@beta", f"{round_number}-{n}") for n in range(50, 100)]
                async with asyncio.timeout(PATIENCE):
                    assert {await each.final for each in sent} == {"DELIVERED"}
            assert len(set(certificates)) == 3
            clock.set_to(first)  # the certificate of now is one of half a year later
            assert await asyncio.to_thread(certificate_of, ADDRESSES["alpha"]) not in certificates
            await bob.has(301)
            texts = [f"{round_number}-{n}" for round_number in range(3) for n in range(100)]
            assert bob.got[1:] == [(each, "SIGNED") for each in texts]
            assert (ann.links, bob.links) == (1, 1)
        clock.set_to(time.time())

    with node("alpha", tmp_path, clock) as alpha, node("beta", tmp_path) as beta:
        wait_linked([alpha, beta], ["chat"])
        asyncio.run(story())
        assert alarms([alpha, beta]) == {}


def test_a_backup_that_is_put_back_raises_no_alarm(tmp_path):
    """Of alpha, from before beta and bob were known: pins, users and messages are older than what others saw."""
    data, backup = tmp_path / "alpha" / "data", tmp_path / "backup"

    async def talk(*users):
        async with people(tmp_path / "clients", *users) as found:
            await everybody_writes(found, "hello")

    with node("alpha", tmp_path) as alpha:
        asyncio.run(talk("ann@alpha", "eve@alpha"))
        alpha.stop()
        shutil.copytree(data, backup, ignore=shutil.ignore_patterns("*.sock"))
        for service in SERVICES:
            alpha.start(service)
        alpha.wait_ready()
        with node("beta", tmp_path) as beta:
            wait_linked([alpha, beta], ["chat"])
            asyncio.run(talk("ann@alpha", "bob@alpha", "cid@beta"))
            alpha.stop()
            shutil.rmtree(data)
            shutil.copytree(backup, data)
            for service in SERVICES:
                alpha.start(service)
            alpha.wait_ready()
            wait_linked([alpha, beta], ["chat"])
            asyncio.run(talk("ann@alpha", "bob@alpha", "cid@beta"))
            assert alarms([alpha, beta]) == {}
