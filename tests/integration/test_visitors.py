"""Users whose clients are attached at another server than their own: what they do, and what they are shown."""

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from parley.client.location import LocationFeature
from parley.client.typing import TypingFeature
from parley.services.location import LocationService
from parley.services.typing import TypingService
from parley.shared.addresses import Group, User
from parley.shared.link.link import Link
from parley.shared.soft_state.visitors import elsewhere
from parley.shared.wire import capabilities
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.messages import decode, encode, pb
from tests.interop.programs.code_one_client import CodeOneClient
from tests.interop.recorder import Recorder
from tests.support.federation import Federation, configuration, until
from tests.support.plain_link import Announced
from tests.support.plain_server import LOCATION, TYPING

SERVERS = ("alpha", "beta", "gamma")
CREW = Group("crew", "gamma")
LASTS = 60.0
NOBODY = frozenset()


class Chat:
    """One node's chat process, as typing and location ask it: who is in a group, whom a user blocks."""

    def __init__(self, members=()):
        self.group = frozenset(map(User.parse, members))
        self.blocks = {}
        self.watched = []
        self.posted = []

    def want(self, author, group, until):
        """Everything is known."""

    def members(self, author, group):
        return self.group - {author} if group == CREW and author in self.group else NOBODY

    def post(self, message):
        self.posted.append(message)

    def watch_blocks(self, user):
        self.watched.append(user)

    def unwatch_blocks(self, user):
        if user in self.watched:
            self.watched.remove(user)

    def blocked(self, user):
        return self.blocks.get(user, NOBODY)


class World:
    """Three servers, and people."""

    def __init__(self, stack, federation):
        self._stack = stack
        self.federation = federation
        self.services = federation.services
        self._recorder = Recorder({service.config.address for service in self.services.values()})
        self.plain = []

    async def client(self, name, at):
        """An existing client of USER@SERVER, attached at a server, its own or another."""
        user_id, server_id = name.split("@")
        service, address = self.services[at], self.federation.fresh_address()
        client = CodeOneClient(user_id, server_id, address, udp_ports={TYPING: 0, LOCATION: 0})
        client.tap = self._recorder.tap(f"{name} at {at}", client.names, address)
        self._stack.enter_context(client)
        client.servers = [
            Announced(at, service.config.address, {service.feature: (service.listener.port, service.udp_port)})
        ]
        await asyncio.to_thread(client.connect, service.feature)
        self.plain.append(client)
        return client

    async def parley(self, kind, name, at, *, asks_for_link=True):
        """A Parley's client; it may be so old that it has no events on its link."""
        kind = type(kind.__name__, (kind,), {"asks_for_link": asks_for_link})
        person = kind(name, configuration(self.federation.fresh_address()))
        await self._stack.enter_async_context(person)
        await person.handle_connection([s for s in self.federation.servers if s.server_id == at])
        return person

    def counts(self, server_id):
        return self.services[server_id].status()["visitors"]

    async def told_at_home(self, at, count=1):
        """Wait until so many visitors' homes tell them."""
        await until(lambda: self.counts(at)["here"] == count, what="visitors whose homes tell them")

    def dropped(self, server_id, reason):
        return self.federation.dropped(server_id, reason)

    def rejected(self, server_id, reason):
        service = self.services[server_id]
        return service.metrics.frames_rejected.labels(service.feature, reason)._value.get()


@asynccontextmanager
async def world(kind, network, servers=SERVERS, chat=Chat):
    async with AsyncExitStack() as stack:
        federation = await stack.enter_async_context(Federation(kind, network, servers))
        for service in federation.services.values():
            service.chat = chat()
        made = World(stack, federation)
        yield made
        for client in made.plain:
            assert client.tap.faults == {}
            assert client.dropped == 0
            assert client.death == ""


def wait(client, predicate):
    """Wait in a thread: it is the test's loop that serves."""
    return asyncio.to_thread(client.wait_for, predicate)


def types(client):
    return asyncio.to_thread(client.send_typing)


def shares(client, to, latitude):
    to = to.to_pb() if isinstance(to, Group) else User.parse(to).to_pb()
    recipient = {"group": {"groupId": to.groupId, "serverId": to.serverId}} if isinstance(to, pb.Group) else None
    recipient = recipient or {"user": {"userId": to.userId, "serverId": to.serverId}}
    return asyncio.to_thread(client.send_location, recipient, latitude, 1.0, LASTS)


def heard_by(person):
    """The timestamps that a Parley's client is told were heard."""
    timestamps, take = [], person.heard

    def heard(timestamp, snowflake):
        timestamps.append(timestamp)
        take(timestamp, snowflake)

    person.heard = heard
    return timestamps


def names(client):
    """Everybody in the newest list of an existing client, or in the view of ours."""
    if isinstance(client, TypingFeature):
        return sorted(typist.user.user_id for typist in client.typists)
    return sorted(event["user"]["userId"] for event in client.typing)


def ever(client):
    """Everybody in any list that an existing client was sent."""
    return {
        event["user"]["userId"]
        for each in client.received
        if each.name == "TYPING_EVENTS"
        for event in each.fields.get("typing_events", [])
    }


def seen(client):
    """Author and latitude of each place that a client was shown."""
    if isinstance(client, LocationFeature):
        return {(place.author.user_id, place.latitude) for place in client.locations}
    return {
        (each["live_location"]["author"]["userId"], each["live_location"]["location"]["latitude"])
        for frame in client.received
        if frame.name == "LIVE_LOCATIONS"
        for each in frame.fields.get("extended_live_locations", [])
        if "location" in each["live_location"]
    }


# Typing -------------------------------------------------------------------------------------------------


def test_a_visitor_s_typing_is_seen_at_home_where_they_are_and_elsewhere():
    async def check():
        async with world(TypingService, "127.0.76") as net:
            alice = await net.client("alice@alpha", at="beta")
            others = [
                await net.client(name, at)
                for name, at in [("ann@alpha", "alpha"), ("bob@beta", "beta"), ("carol@gamma", "gamma")]
            ]
            guest = await net.client("zoe@gamma", at="beta")
            await net.told_at_home("beta", 2)
            await types(alice)
            for each in [*others, guest]:
                await wait(each, lambda each=each: names(each) == ["alice"])
            for each in others:
                await types(each)
            for each in [alice, guest]:
                await wait(each, lambda each=each: set(names(each)) >= {"ann", "bob", "carol"})
            assert "alice" not in ever(alice)
            assert not any(net.rejected(server, "foreign_user") for server in SERVERS)

    asyncio.run(check())


def test_a_visitor_is_shown_what_is_for_them_and_nobody_else_there_is():
    async def check():
        async with world(TypingService, "127.0.77") as net:
            alice = await net.client("alice@alpha", at="beta")
            eve, ann = await net.client("eve@alpha", at="beta"), await net.client("ann@alpha", at="alpha")
            await net.told_at_home("beta", 2)
            for name, at in [("bob@beta", "beta"), ("carol@gamma", "gamma"), ("dan@alpha", "gamma")]:
                person = await net.parley(TypingFeature, name, at)
                who = name.split("@")[0]
                assert person.send_typing("alice@alpha")
                await wait(alice, lambda who=who: who in names(alice))
                assert person.stop_typing("alice@alpha")
                await wait(alice, lambda who=who: who not in names(alice))
            await types(ann)
            for each in (alice, eve):
                await wait(each, lambda each=each: names(each) == ["ann"])
            assert ever(eve) == {"ann"}
            assert ever(ann) == set()

    asyncio.run(check())


@pytest.mark.parametrize("on_link", [False, True])
def test_a_parley_s_client_is_a_visitor_like_any_other_and_in_datagrams_told_that_it_is_heard(on_link):
    async def check():
        async with world(TypingService, "127.0.78", ("alpha", "beta")) as net:
            alice = await net.parley(TypingFeature, "alice@alpha", at="beta", asks_for_link=on_link)
            assert alice.is_on_link is on_link
            heard = heard_by(alice)
            ann = await net.parley(TypingFeature, "ann@alpha", at="alpha")
            bob = await net.parley(TypingFeature, "bob@beta", at="beta")
            await net.told_at_home("beta")
            assert alice.send_typing("ann@alpha")
            await until(lambda: names(ann) == ["alice"])
            await until(lambda: heard or on_link, what="HEARD came back")
            assert alice.stop_typing("ann@alpha")
            await until(lambda: names(ann) == [])
            for person in (ann, bob):
                assert person.send_typing("alice@alpha")
            await until(lambda: names(alice) == ["ann", "bob"])
            assert names(bob) == []

    asyncio.run(check())


def test_a_visitor_whose_link_had_no_room_is_named_again_and_told_all_by_its_home():
    async def check():
        async with world(TypingService, "127.0.81", ("alpha", "beta")) as net:
            alice = await net.parley(TypingFeature, "alice@alpha", at="beta")
            ann = await net.parley(TypingFeature, "ann@alpha", at="alpha")
            bob = await net.parley(TypingFeature, "bob@beta", at="beta")
            await net.told_at_home("beta")
            [link] = net.services["beta"].subscribers[alice.user]
            link.pause_writing()
            assert ann.send_typing()
            await until(lambda: names(bob) == ["ann"])
            await until(lambda: net.services["beta"].visits._behind == {link})
            assert names(alice) == []
            link.resume_writing()
            await until(lambda: names(alice) == ["ann"])
            assert net.counts("beta")["here"] == net.counts("alpha")["elsewhere"] == 1

    asyncio.run(check())


def test_whom_a_visitor_blocks_their_home_knows():
    async def check():
        async with world(TypingService, "127.0.79") as net:
            bob, carol = User("bob", "beta"), User("carol", "gamma")
            net.services["alpha"].chat.blocks[User("alice", "alpha")] = frozenset({bob})
            alice = await net.client("alice@alpha", at="beta")
            await net.told_at_home("beta")
            assert net.services["alpha"].chat.watched == [User("alice", "alpha")]
            blocked = await net.client(str(bob), at="beta")
            other = await net.client(str(carol), at="gamma")
            witness = await net.client("eve@beta", at="beta")
            await types(blocked)
            await wait(witness, lambda: names(witness) == ["bob"])
            await types(other)
            await wait(alice, lambda: names(alice) == ["carol"])
            assert ever(alice) == {"carol"}
            alice.close()
            await until(lambda: net.services["alpha"].chat.watched == [])

    asyncio.run(check())


def test_a_visitor_types_to_a_group_and_is_told_of_it():
    async def check():
        crew = ("alice@alpha", "bob@beta", "carol@gamma")
        async with world(TypingService, "127.0.80", chat=lambda: Chat(crew)) as net:
            alice = await net.parley(TypingFeature, "alice@alpha", at="beta")
            bob = await net.client("bob@beta", at="beta")
            carol = await net.parley(TypingFeature, "carol@gamma", at="gamma")
            stranger = await net.client("eve@alpha", at="beta")
            await net.told_at_home("beta", 2)
            assert alice.send_typing(CREW)
            await wait(bob, lambda: names(bob) == ["alice"])
            await until(lambda: names(carol) == ["alice"])
            assert carol.send_typing(CREW)
            await until(lambda: names(alice) == ["carol"])
            await wait(bob, lambda: names(bob) == ["alice", "carol"])
            assert ever(stranger) == set()

    asyncio.run(check())


# Location -----------------------------------------------------------------------------------------------


def test_a_visitor_s_location_goes_to_whom_it_is_for_and_theirs_to_the_visitor():
    async def check():
        async with world(LocationService, "127.0.81") as net:
            alice = await net.client("alice@alpha", at="beta")
            desk = await net.client("alice@alpha", at="alpha")
            others = {
                name: await net.client(name, at)
                for name, at in [("ann@alpha", "alpha"), ("bob@beta", "beta"), ("carol@gamma", "gamma")]
            }
            guest = await net.client("zoe@gamma", at="beta")
            others["zoe@gamma"] = guest
            await net.told_at_home("beta", 2)
            for number, (name, other) in enumerate(others.items()):
                await shares(alice, name, 10.0 + number)
                for each in (other, desk):
                    await wait(each, lambda each=each, n=number: ("alice", 10.0 + n) in seen(each))
                await shares(other, "alice@alpha", 20.0 + number)
                for each in (alice, desk):
                    await wait(each, lambda each=each, n=number: 20.0 + n in {place for _, place in seen(each)})
            for number, other in enumerate(others.values()):
                mine = {place for author, place in seen(other) if author == "alice"}
                assert mine == {10.0 + number}, "each is shown what is for them"
            assert not any(author == "alice" for author, _ in seen(alice))
            begun = net.services["alpha"].chat.posted
            assert {message.live_location.location.latitude for message in begun} >= {10.0, 11.0, 12.0, 13.0}
            assert not [m for m in net.services["beta"].chat.posted if m.author.userId == "alice"]
            home = net.services["alpha"]
            for client in home.clients[User("alice", "alpha")]:  # told all anew, it is not told its own
                greeting = [
                    decode(read_datagram(datagram), pb.LiveLocations) for datagram in home.state_for(client)
                ]
                told = {
                    each.live_location.author.userId for one in greeting for each in one.extended_live_locations
                }
                assert told == {"ann", "bob", "carol", "zoe"} | ({"alice"} if isinstance(client, Link) else set())

    asyncio.run(check())


def test_a_visitor_shares_with_a_group_and_sees_what_members_share():
    async def check():
        crew = ("alice@alpha", "bob@beta", "carol@gamma")
        async with world(LocationService, "127.0.82", chat=lambda: Chat(crew)) as net:
            alice = await net.client("alice@alpha", at="beta")
            bob = await net.client("bob@beta", at="beta")
            carol = await net.client("carol@gamma", at="gamma")
            eve = await net.client("eve@alpha", at="beta")
            await net.told_at_home("beta", 2)
            await shares(alice, CREW, 1.0)
            for each in (bob, carol):
                await wait(each, lambda each=each: ("alice", 1.0) in seen(each))
            await shares(carol, CREW, 2.0)
            for each in (alice, bob):
                await wait(each, lambda each=each: ("carol", 2.0) in seen(each))
            assert seen(eve) == set()

    asyncio.run(check())


def test_a_visitor_who_stops_or_leaves_is_known_as_at_home():
    async def check():
        async with world(LocationService, "127.0.83", ("alpha", "beta")) as net:
            alice = await net.parley(LocationFeature, "alice@alpha", at="beta")
            heard = heard_by(alice)
            desk = await net.parley(LocationFeature, "alice@alpha", at="alpha")
            bob = await net.parley(LocationFeature, "bob@beta", at="beta")
            await net.told_at_home("beta")
            ends = time.time() + LASTS
            assert alice.send_location("bob@beta", 1.0, 1.0, expiry_at=ends)
            await until(lambda: seen(bob) == {("alice", 1.0)})
            assert desk.send_location("bob@beta", 2.0, 1.0, expiry_at=ends)
            await until(lambda: seen(bob) == {("alice", 2.0)})
            assert desk.stop_sharing("bob@beta")
            await until(lambda: seen(bob) == {("alice", 1.0)}, what="the other device's place")
            assert alice.stop_sharing("bob@beta")
            await until(lambda: seen(bob) == set())
            await until(lambda: heard, what="HEARD came back")
            await alice.close()
            await until(lambda: net.counts("alpha") == {"here": 0, "elsewhere": 0})
            assert net.counts("beta") == {"here": 0, "elsewhere": 0}

    asyncio.run(check())


# Homes that come and go -----------------------------------------------------------------------------------


def test_where_the_home_is_away_a_visitor_is_told_here_and_again_from_home_when_it_is_back():
    async def check():
        async with world(TypingService, "127.0.84", ("alpha", "beta")) as net:
            alice = await net.client("alice@alpha", at="beta")
            bob = await net.client("bob@beta", at="beta")
            ann = await net.client("ann@alpha", at="alpha")
            beta = net.services["beta"]
            await net.told_at_home("beta")
            for _ in range(2):
                beta.peering.link_to("alpha").hang_up()
                await types(bob)
                await wait(alice, lambda: names(alice) == ["bob"])
                await net.told_at_home("beta")
                assert net.counts("alpha")["elsewhere"] == 1
                await types(ann)
                await wait(alice, lambda: "ann" in names(alice))
                await types(alice)
                await wait(ann, lambda: "alice" in names(ann))
                await until(lambda: len(beta.indicators) == 0, 20.0, "nobody types")

    asyncio.run(check())


@pytest.mark.parametrize("is_bound", [False, True])
def test_a_visitor_whose_home_does_not_tell_is_told_here(monkeypatch, is_bound):
    """It announces no capability for it, or has no room."""
    if is_bound:
        monkeypatch.setattr(elsewhere, "MOST", 0)
    else:
        for module in ("parley.shared.link.link.OURS", "parley.shared.wire.capabilities.OURS"):
            monkeypatch.setattr(module, capabilities.OURS & ~capabilities.VISITORS)

    async def check():
        async with world(TypingService, "127.0.85", ("alpha", "beta")) as net:
            alice = await net.client("alice@alpha", at="beta")
            ann, bob = await net.client("ann@alpha", at="alpha"), await net.client("bob@beta", at="beta")
            for other in (ann, bob):
                await types(other)
            await wait(alice, lambda: names(alice) == ["ann", "bob"])
            assert net.counts("beta") == {"here": 0, "elsewhere": 0}
            await types(alice)
            await wait(bob, lambda: names(bob) == ["alice", "ann"])
            limited = net.services["alpha"].metrics.limits_hit.labels(TYPING, "visitors", "typing")._value.get()
            assert limited == is_bound
            await types(await net.client("later@beta", at="beta"))
            await wait(ann, lambda: "later" in names(ann))
            assert ever(ann) == {"bob", "later"}

    asyncio.run(check())


# Lies -----------------------------------------------------------------------------------------------------


def test_a_server_that_lies_about_visitors_is_refused_and_counted():
    async def check():
        async with world(TypingService, "127.0.86", ("alpha", "beta")) as net:
            ann, bob = await net.client("ann@alpha", at="alpha"), await net.client("bob@beta", at="beta")
            link = net.services["beta"].peering.link_to("alpha")
            visitors = pb.Visitors()
            for number, name in enumerate(["bob@beta", "carl@gamma", "@alpha", "alice@alpha"], start=1):
                user_id, server_id = name.split("@")
                visitors.here.add(user=pb.User(userId=user_id, serverId=server_id), client=number)
            link.send(encode("VISITORS", visitors))
            await until(lambda: net.counts("alpha")["elsewhere"] == 1)
            assert net.rejected("alpha", "foreign_user") == 2
            event = pb.TypingEvent(user=User("ann", "alpha").to_pb(), timestamp=time.time())
            for client in (4, 99):
                says = pb.VisitorDatagrams(clients=[client], datagrams=[encode("TYPING_EVENT", event), b"junk"])
                link.send(encode("FROM_VISITOR", says))
            await until(lambda: net.dropped("alpha", "not_a_subscriber") == 2)
            assert net.dropped("alpha", "foreign_user") == 1
            assert net.dropped("alpha", "malformed") == 1
            await types(bob)
            await wait(ann, lambda: names(ann) == ["bob"])
            assert ever(ann) == {"bob"}

    asyncio.run(check())


def test_a_home_reaches_its_own_users_alone_and_with_lists_alone():
    async def check():
        async with world(TypingService, "127.0.87", ("alpha", "beta")) as net:
            alice = await net.client("alice@alpha", at="beta")
            bob = await net.client("bob@beta", at="beta")
            await net.told_at_home("beta")
            beta, link = net.services["beta"], net.services["alpha"].peering.link_to("beta")
            [[number, _]] = beta.visits.here._served.items()
            [bobs] = [each.link_id for each in beta.clients[User("bob", "beta")]]
            forged = pb.TypingEvent(user=User("mallory", "alpha").to_pb(), timestamp=time.time())
            listed = encode("TYPING_EVENTS", pb.TypingEvents(typing_events=[forged]))
            given = [listed, encode("PING"), b"junk", b"TYPING_EVENTS 1100 " + b"x" * 1100 + b"\n"]
            link.send(encode("TO_VISITORS", pb.VisitorDatagrams(clients=[bobs, number, number], datagrams=given)))
            await wait(alice, lambda: names(alice) == ["mallory"])
            assert net.rejected("beta", "unexpected") == 1
            assert [each.name for each in alice.received].count("TYPING_EVENTS") == 1
            assert ever(bob) == set()

    asyncio.run(check())
