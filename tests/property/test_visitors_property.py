"""Visitors come and go, links break, homes have little room: each client is told by one server, the right one."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.shared.addresses import User
from parley.shared.link.events import Identity
from parley.shared.soft_state.visitors import elsewhere
from parley.shared.soft_state.visitors.visits import Visits
from parley.shared.spellings import Spellings
from parley.shared.wire.capabilities import OURS
from parley.shared.wire.framing import FrameReader, read_datagram
from parley.shared.wire.messages import decode, encode, pb

ROOM = 3
"""Clients at other servers that a home tells."""
HOMES = ("alpha", "gamma")


@pytest.fixture(autouse=True, scope="module")
def _small():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(elsewhere, "MOST", ROOM)
        patch.setattr(elsewhere, "SHARE", 1.0)
        yield


class Nothing:
    """Metrics, and a guard."""

    def __getattr__(self, name):
        return lambda *_, **__: None


class Client:
    """A client's link to beta."""

    remote_host = "127.0.0.1"
    is_parley = False

    def __init__(self, number, user):
        self.link_id = number
        self.identity = Identity(user=user)
        self.logged_faults = frozenset()


class End:
    """One end of a link between two servers: what is sent waits until it is carried."""

    is_parley = True
    writable = True

    def __init__(self, peer_id):
        self.peer_id = peer_id
        self.identity = Identity(server_id=peer_id, capabilities=OURS)
        self.sent = deque()

    def send(self, raw):
        self.sent.extend(FrameReader(1 << 20).feed(raw))


class Server:
    """What Visits needs of a process, and what became of it."""

    section, list_name = "typing", "TYPING_EVENTS"

    def __init__(self, server_id):
        self.server_id = server_id
        self.spellings = Spellings()
        self.spellings.learn_own(server_id)
        self.metrics = self.guard = Nothing()
        self.clients = {}
        self.heard, self.sent, self.greeted = [], [], []
        self.rejected = []
        self.soon = []
        self.visits = Visits(self, self.soon.append)

    def now(self):
        return 0.0

    def may_subscribe(self, user):
        return user.is_complete

    def refuses_visitor(self, _user, _token):
        return False  # no name has an owner here

    def add_client(self, client):
        assert client not in self.clients.setdefault(client.identity.user, [])
        self.clients[client.identity.user].append(client)

    def remove_client(self, client):
        self.clients.get(client.identity.user, [client]).remove(client)

    def greet_in_turn(self, clients):
        self.greeted += clients

    def take_datagram(self, client, frame):
        self.heard.append((client.identity.user, decode(frame, pb.TypingEvent).timestamp))

    def send_datagrams(self, client, datagrams):
        if isinstance(client, elsewhere.VisitingClient):
            self.visits.elsewhere.send(client, datagrams)
        else:
            self.sent += [(client, read_datagram(datagram).payload) for datagram in datagrams]

    def handle_in_turn(self, _link, entries):
        deque(entries, maxlen=0)

    def message_rejected(self, link, reason, detail):
        self.rejected.append((link.peer_id, reason, detail))

    def told(self):
        return [client for clients in self.clients.values() for client in clients]


class World:
    """beta, where the clients are, and the homes of their users."""

    def __init__(self):
        self.beta = Server("beta")
        self.homes = {name: Server(name) for name in HOMES}
        self.links = {}
        self.clients = []
        self.count = 0

    def link(self, home):
        if home not in self.links:
            ends = self.links[home] = (End(home), End("beta"))
            self.beta.visits.linked(ends[0])
            self.homes[home].visits.linked(ends[1])

    def cut(self, home):
        if home in self.links:
            ours, theirs = self.links.pop(home)
            self.beta.visits.unlinked(ours)
            self.homes[home].visits.unlinked(theirs)

    def come(self, home, who):
        self.count += 1
        client = Client(self.count, User(f"user{who}", home))
        self.clients.append(client)
        if not self.beta.visits.here.arrived(client):
            self.beta.add_client(client)

    def leave(self, which):
        if self.clients:
            client = self.clients.pop(which % len(self.clients))
            if client in self.beta.told():
                self.beta.remove_client(client)
            self.beta.visits.here.left(client)

    def say(self, which):
        """A client says something; whether that is passed on."""
        if self.clients:
            client = self.clients[which % len(self.clients)]
            self.count += 1
            event = pb.TypingEvent(user=client.identity.user.to_pb(), timestamp=float(self.count))
            self.beta.visits.pass_on(client, read_datagram(encode("TYPING_EVENT", event)))

    def tell(self, home):
        """A home tells each of its clients its own number."""
        server = self.homes[home]
        for client in server.told():
            server.send_datagrams(client, [encode("TYPING_EVENTS", pb.TypingEvents(typing_events=[named(client)]))])
        for flush in server.soon:
            flush()
        server.soon.clear()

    def carry(self, home, count):
        """Some of what is under way on a link arrives."""
        for end, server, over in ((0, self.homes.get(home), 1), (1, self.beta, 0)):
            for _ in range(count):
                if home in self.links and self.links[home][end].sent:
                    frame = self.links[home][end].sent.popleft()
                    assert server.visits.handle(self.links[home][over], frame)

    def settle(self):
        for _ in range(3):
            for home in HOMES:
                self.carry(home, 1000)


def named(client):
    user = client.identity.user
    return pb.TypingEvent(user=user.to_pb(), timestamp=float(client.number))


homes, some = st.sampled_from(HOMES), st.integers(0, 9)
steps = st.one_of(
    st.tuples(st.sampled_from(["link", "cut", "tell"]), homes),
    st.tuples(st.just("come"), homes, st.integers(0, 2)),
    st.tuples(st.just("come"), homes, st.integers(0, 2)),
    st.tuples(st.sampled_from(["leave", "say", "say"]), some),
    st.tuples(st.just("carry"), homes, st.integers(1, 3)),
)


@given(st.lists(steps, max_size=40))
def test_each_client_is_told_by_one_server_and_by_the_right_one(story):
    world = World()
    for name, *arguments in story:
        getattr(world, name)(*arguments)
    world.settle()
    beta = world.beta
    for client in world.clients:
        home = client.identity.user.server_id
        elsewhere_too = [
            each
            for each in world.homes[home].told()
            if (each.number, each.identity.user) == (client.link_id, client.identity.user)
        ]
        assert len(elsewhere_too) + (client in beta.told()) == 1
        assert (beta.visits.here.home_of(client) is not None) == bool(elsewhere_too)
    for home, server in world.homes.items():
        assert len(server.told()) == len(server.visits.elsewhere) <= ROOM
        numbers = {client.link_id for client in world.clients if client.identity.user.server_id == home}
        assert {each.number for each in server.told()} <= numbers
        assert home in world.links or not server.told()
        assert all(user.server_id == home for user, _ in server.heard)
        assert server.rejected == []
    assert len(beta.told()) + len(beta.visits.here) == len(world.clients)
    assert beta.rejected == []
    for client, payload in beta.sent:
        [event] = pb.TypingEvents.FromString(payload).typing_events
        assert User.of(event.user) == client.identity.user
        assert event.timestamp == client.link_id
    for home in HOMES:
        world.cut(home)
    assert sorted(client.link_id for client in beta.told()) == sorted(each.link_id for each in world.clients)
    assert not any(server.told() or len(server.visits.elsewhere) for server in world.homes.values())


@given(st.lists(st.tuples(homes, st.integers(0, 2)), min_size=1, max_size=8), some)
def test_what_a_client_says_reaches_its_home_as_of_its_user_and_nobody_else(people, which):
    world = World()
    for home in HOMES:
        world.link(home)
    for home, who in people:
        world.come(home, who)
    world.settle()
    world.say(which)
    world.settle()
    client = world.clients[which % len(world.clients)]
    user = client.identity.user
    passed = [user] if world.beta.visits.here.home_of(client) is not None else []
    assert [who for who, _ in world.homes[user.server_id].heard] == passed
    assert all(not server.heard for home, server in world.homes.items() if home != user.server_id)
