"""Nothing to the wrong people: 50 people in pairs and groups on 3 servers, at random; every datagram is checked.

In half of the runs a quarter of them is attached at another server than their own.
"""

import asyncio
import itertools
import random
import time
from contextlib import AsyncExitStack

import pytest

from parley.client.location import LocationFeature
from parley.client.typing import TypingFeature
from parley.services.location import LocationService
from parley.services.typing import TypingService
from parley.shared.addresses import Group, User
from parley.shared.audiences import Audience
from parley.shared.wire.messages import decode, pb
from tests.support.federation import Federation, until

SERVERS = ["alpha", "beta", "gamma"]
PEOPLE = 50
ACTIONS = 400
VISITORS = [i for i in range(PEOPLE) if i % 4 == 0]
ON_ITS_WAY = 0.5
"""Seconds that a datagram may take: what ended that long ago must not come any more."""


class Groups:
    """Who is in which group, as each server's chat would tell at once: the stand-in for all of them."""

    def __init__(self, services):
        self._services = services
        self.now = {}
        self.log = []

    def want(self, author, group, until):
        """Everything is known."""

    def members(self, author, group):
        members = self.now.get(group, frozenset())
        return members - {author} if author in members else frozenset()

    def post(self, message):
        """Chat is not what is tested here."""

    watch_blocks = unwatch_blocks = post

    def blocked(self, _user):
        """Nobody blocks anybody."""
        return frozenset()

    def change(self, group, members):
        self.now[group] = frozenset(members)
        self.log.append((time.monotonic(), group, self.now[group]))
        for service in self._services:
            service.members_changed(group)

    def was_in(self, user, group, since, until):
        """Whether somebody was in a group at any time between."""
        before = frozenset()
        for at, changed, members in self.log:
            if changed != group:
                continue
            if at > since and user in before:
                return True
            if at > until:
                return False
            before = members
        return user in before


class Locations:
    """How people share locations; the latitude is each position's number."""

    service, feature, message = LocationService, LocationFeature, "LIVE_LOCATIONS"
    numbers = itertools.count(1)

    @classmethod
    def tell(cls, person, to):
        number = next(cls.numbers)
        person.send_location(_name(to), number / 1e4, 1.0, expiry_at=time.time() + 60)
        return number

    @staticmethod
    def stop(person, to):
        person.stop_sharing(_name(to))

    @staticmethod
    def entries(frame):
        for entry in decode(frame, pb.LiveLocations).extended_live_locations:
            location = entry.live_location
            number = round(location.location.latitude * 1e4) if location.HasField("location") else None
            yield User.of(location.author), Audience.of_location(location), number

    @staticmethod
    def seen(person, author):
        return {p.audience: round(p.latitude * 1e4) for p in person.locations if p.author == author}


class Typings:
    """How people type; the timestamp is each event's number."""

    service, feature, message = TypingService, TypingFeature, "TYPING_EVENTS"

    @staticmethod
    def tell(person, to):
        person._sent_at.pop(to, None)  # a person may type once in 3 s: here they are quicker
        person.send_typing(_name(to))
        return round(person._last_timestamp, 5)

    @staticmethod
    def stop(person, to):
        person._sent_at.setdefault(to, 0.0)
        person.stop_typing(_name(to))

    @staticmethod
    def entries(frame):
        lists = decode(frame, pb.TypingEvents)
        for event in lists.typing_events:
            yield User.of(event.user), Audience.of_typing(event), round(event.timestamp, 5)
        for event in lists.stopped:
            yield User.of(event.user), Audience.of_typing(event), None

    @staticmethod
    def seen(person, author):
        return {t.audience: round(t.timestamp, 5) for t in person.typists if t.user == author}


def _name(to):
    return to.group if to.user is None else to.user


class Watched:
    """Everything that people did, and every entry of every datagram that they got."""

    def __init__(self, how, groups):
        self.how, self.groups = how, groups
        self.told = {}
        self.stopped = {}
        self.entries = 0
        self.faults = []

    def tell(self, person, to):
        number = self.how.tell(person, to)
        self.told[number] = (person.user, to, time.monotonic())

    def stop(self, person, to):
        self.stopped.setdefault((person.user, to), []).append(time.monotonic())
        self.how.stop(person, to)

    def watch(self, person):
        """See every frame before the person does."""
        handle = person.handle_message

        def seen(frame):
            if frame.name == self.how.message:
                for entry in self.how.entries(frame):
                    self._check(person.user, *entry)
            return handle(frame)

        person.handle_message = seen

    def watch_server(self, service):
        """See every frame that a server gets from another one."""
        handle = service.handle_server_message_for_feature

        def seen(link, frame):
            if frame.name != self.how.message:
                return handle(link, frame)
            for author, recipient, _ in self.how.entries(frame):
                if author.server_id != link.peer_id or recipient.user.server_id != service.server_id:
                    self.faults.append(f"{link.peer_id} tells {service.server_id}: {author} for {recipient}")
            return handle(link, frame)

        service.handle_server_message_for_feature = seen

    def _check(self, user, author, recipient, number):
        self.entries += 1
        if user not in (author, recipient.user):
            self.faults.append(f"{user} was told of {author} for {recipient}")
        if number is None:
            return
        now = time.monotonic()
        really, to, at = self.told[number]
        if really != author or (to.user or to.group) != (recipient.group or recipient.user):
            self.faults.append(f"{number} of {really} for {to} came as of {author} for {recipient}")
        if to.group is not None and user != author and not self.groups.was_in(user, to.group, at, now):
            self.faults.append(f"{user} is told by {author}, but not in {to.group}")
        if any(at < stop < now - ON_ITS_WAY for stop in self.stopped.get((author, to), [])):
            self.faults.append(f"{user} is told of {author} for {to} after the stop")


@pytest.mark.parametrize("how", [Locations, Typings])
@pytest.mark.parametrize("visitors", [[], VISITORS], ids=["at home", "visiting"])
def test_nothing_is_told_to_the_wrong_people(how, visitors, figure, monkeypatch):
    monkeypatch.setattr("parley.client.typing.PAUSE", 60.0)  # nobody stops but where the test says so
    asyncio.run(check(how, visitors, figure))


async def check(how, visitors, figure):
    choose = random.Random(11)
    async with AsyncExitStack() as stack:
        network = "127.0.65" if how is Locations else "127.0.66"
        federation = await stack.enter_async_context(
            Federation(how.service, network, SERVERS, typing={"typing_expiry": 60.0})
        )
        groups = Groups(list(federation.services.values()))
        watched = Watched(how, groups)
        for service in federation.services.values():
            service.chat = groups
            watched.watch_server(service)
        people = []
        for i in range(PEOPLE):
            at = SERVERS[(i + 1) % 3] if i in visitors else ""
            person = await stack.enter_async_context(
                federation.client(how.feature, f"u{i}@{SERVERS[i % 3]}", at=at)
            )
            watched.watch(person)
            people.append(person)
        counts = [service.visits.counts for service in federation.services.values()]
        await until(lambda: sum(count()["elsewhere"] for count in counts) == len(visitors))
        users = [person.user for person in people]
        crews = [Group(f"crew{i}", SERVERS[i % 3]) for i in range(5)]
        for crew in crews:
            groups.change(crew, choose.sample(users, 12))
        shared = await act(choose, watched, people, crews)
        await until(lambda: not wrong(how, shared, people, groups), 5.0, "the right people see what is there")
        assert watched.faults == []
        assert watched.entries > ACTIONS
        where = f"{len(visitors)} of them at another server than their own"
        figure(f"{how.message}: {watched.entries} entries to {PEOPLE} people, {where}, each to whom it was for")


async def act(choose, watched, people, crews):
    """Do things at random; return what was told last by whom to whom."""
    shared = {}
    users = [person.user for person in people]
    for _ in range(ACTIONS):
        person = choose.choice(people)
        others = [user for user in users if user != person.user]
        mine = [to for author, to in shared if author == person.user]
        action = choose.random()
        if action < 0.5 or (action < 0.75 and not mine):
            to = Audience.to(choose.choice([*others[:3], choose.choice(others), *crews]))
            to = choose.choice([to, *mine])
            watched.tell(person, to)
            shared[person.user, to] = max(watched.told) if watched.how is Typings else list(watched.told)[-1]
        elif action < 0.75:
            to = choose.choice(mine)
            watched.stop(person, to)
            del shared[person.user, to]
        else:
            crew = choose.choice(crews)
            watched.groups.change(crew, watched.groups.now[crew] ^ {choose.choice(users)})
        await asyncio.sleep(choose.uniform(0, 0.02))
    return shared


def wrong(how, shared, people, groups):
    """Who does not see what they should, or sees more."""
    found = []
    for person in people:
        for author in {author for author, _ in shared} - {person.user}:
            wanted = {}
            for (by, to), number in shared.items():
                if by == author and to.user == person.user:
                    wanted[to] = number
                elif by == author and to.is_group and person.user in groups.members(author, to.group):
                    wanted[Audience(person.user, to.group)] = number
            if how.seen(person, author) != wanted:
                found.append((person.user, author))
    return found
