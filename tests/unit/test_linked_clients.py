"""Clients on links: a slow one costs a number, and gets the newest of everything in the end."""

import random
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from parley.shared.runtime.steps import next_step
from parley.shared.soft_state.linked_clients import ENTRIES, FRAMES, LinkedClients
from parley.shared.wire.framing import FrameReader

LIST = "TYPING_EVENTS"


@dataclass(frozen=True)
class Entry:
    key: int
    sequence: int

    def item(self, _now):
        """An item that is no message: 16 bytes."""
        return b"%7d %8d" % (self.key, self.sequence)


class Client:
    """A link with room for so many bytes, until somebody reads."""

    def __init__(self, room=1 << 30):
        self.room = room
        self.written = 0
        self.flushed = 0
        self.known = {}
        """Key → the number of the newest that came."""
        self.items = 0

    @property
    def writable(self):
        return self.written < self.room

    def send(self, raw):
        self.written += len(raw)
        for frame in FrameReader(1 << 20).feed(raw):
            assert frame.name == LIST
            for at in range(0, len(frame.payload), 16):
                key, sequence = map(int, frame.payload[at : at + 16].split())
                assert sequence >= self.known.get(key, 0), "nothing older comes behind what is newer"
                self.known[key] = sequence
                self.items += 1

    def flush(self):
        self.flushed += 1

    def read(self):
        self.written = 0


class Service:
    """Numbered entries, and rounds of those that changed."""

    list_name = LIST

    def __init__(self):
        self.entries = {}
        self.newest = self.last_round = 0
        self.here = set()
        self.tasks = []
        self.caught = []
        self.linked = LinkedClients(self)

    def now(self):
        return 0.0

    def missed(self, _client, since):
        return sorted((e for e in self.entries.values() if e.sequence > since), key=lambda entry: entry.sequence)

    def serves(self, client):
        return client in self.here

    def in_turn(self, task):
        next(task)
        self.tasks.append(task)

    def caught_up(self, client):
        self.caught.append(client)

    def step(self):
        """One step of what is done in turn; whether there was any."""
        if self.tasks and not next_step(self.tasks[0], 0.0):
            self.tasks.pop(0)
        return bool(self.tasks)

    def work(self):
        while self.step():
            pass

    def came(self, client):
        self.here.add(client)
        self.linked.fell_behind(client)

    def change(self, *keys):
        for key in keys:
            self.newest += 1
            self.entries[key] = Entry(key, self.newest)

    def round(self):
        since, self.last_round = self.last_round, self.newest
        frames = [] if since == self.newest else self.frames(since)
        for client in self.here:
            self.linked.tell(client, frames, since)

    def frames(self, since):
        one = SimpleNamespace(sent=[])
        one.send = one.sent.append
        one.flush = lambda: None
        LinkedClients(self)._send(one, self.missed(one, since))
        return one.sent

    def is_right(self, client):
        return client.known == {key: entry.sequence for key, entry in self.entries.items()}


def test_who_is_new_gets_everything_once_and_then_each_change_once():
    service, client = Service(), Client()
    service.change(*range(200))
    service.round()
    service.came(client)
    service.work()
    assert service.is_right(client)
    assert service.caught == [client]
    assert client.items == 200
    service.change(3, 3, 4)
    service.round()
    assert service.is_right(client)
    assert client.items == 202


def test_a_link_that_is_full_costs_a_number_and_gets_only_the_newest():
    service, client = Service(), Client(room=100)
    service.came(client)
    service.work()
    for _ in range(50):
        service.change(*range(10))
        service.round()
    assert len(service.linked) == 1
    assert client.written <= 100 + 1024
    before = client.items
    client.read()
    client.room = 1 << 20
    service.linked.has_room(client)
    service.work()
    assert service.is_right(client)
    assert client.items - before == 10
    assert len(service.linked) == 0


def test_a_state_that_is_larger_than_the_room_arrives_part_by_part():
    service, client = Service(), Client(room=512)
    service.change(*range(20 * ENTRIES))
    service.round()
    service.came(client)
    for _ in range(20 * ENTRIES):
        service.work()
        if not len(service.linked):
            break
        assert client.written <= 512 + ENTRIES * 16 + 200
        client.read()
        service.change(0, 7)  # what changes all the time does not keep the rest from coming
        service.round()
        service.linked.has_room(client)
    service.work()
    assert service.is_right(client)
    assert client.flushed >= 20


def test_a_round_of_very_many_changes_serves_a_step_at_a_time():
    service, client = Service(), Client()
    service.here.add(client)
    service.change(*range(100 * FRAMES))
    service.round()
    assert client.items == 0
    service.step()
    assert 0 < client.items <= ENTRIES
    service.work()
    assert service.is_right(client)


def test_a_round_in_the_middle_of_catching_up_is_not_missed():
    service, client = Service(), Client()
    service.change(*range(3 * ENTRIES))
    service.round()
    service.came(client)
    service.step()
    service.change(0, 5000)
    service.round()
    service.work()
    assert service.is_right(client)


def test_who_is_gone_is_forgotten_also_in_the_middle():
    service, client = Service(), Client()
    service.change(*range(3 * ENTRIES))
    service.came(client)
    service.step()
    items = client.items
    service.here.discard(client)
    service.linked.forget(client)
    service.linked.tell(client, [b"x"] * (FRAMES + 1), 0)
    service.work()
    assert client.items == items
    assert len(service.linked) == 0
    assert service.caught == []


def happens(service, clients, chance):
    """Something, at random."""
    match chance.randrange(6):
        case 0 | 1:
            service.change(*(chance.randrange(300) for _ in range(chance.choice([1, 5, 200]))))
        case 2:
            service.round()
        case 3 | 4:
            service.step()
        case 5:
            client = chance.choice(clients)
            client.read()
            service.linked.has_room(client)


def all_read(service, clients):
    """Until nobody is behind."""
    service.round()
    while len(service.linked):
        service.work()
        for client in clients:
            client.read()
            service.linked.has_room(client)


@pytest.mark.parametrize("seed", range(60))
def test_whatever_happens_a_reader_ends_with_the_newest_of_everything(seed):
    chance = random.Random(seed)
    service = Service()
    clients = [Client(room=chance.choice([64, 600, 5000])) for _ in range(3)]
    for client in clients:
        service.came(client)
    for _ in range(300):
        happens(service, clients, chance)
    all_read(service, clients)
    assert all(service.is_right(client) for client in clients)
