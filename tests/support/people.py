"""People at joined routers, with clients that behave as Parley's do, and all that can happen to their links."""

from collections import Counter, defaultdict, deque
from itertools import combinations

from parley.services.chat.message.statuses import INTERIM, Status
from parley.shared.addresses import User
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.messages import decode, encode, pb
from tests.support.sinks import ACK_TIMEOUT, Joined, Node, Pipe, ack, message

NUMBERS = [n * 37 % 257 for n in range(1, 257)]
"""Every author's numbers: not rising, and every other author's too."""


class Client:
    """One connection of a person. `down` is what its server sends, `up` what it sends; both are in flight."""

    def __init__(self, person, *, acknowledges):
        self.person = person
        self.acknowledges = acknowledges
        self.received = []
        self.came = Counter()
        self.statuses = defaultdict(list)
        self.unacknowledged = deque()
        self.forgotten = deque()
        self.up = Pipe(self._arrived_at_server)
        self.down = Pipe(self._arrived)
        for key, sent in person.outbox.items():
            if not person.heard[key]:
                self.up.send(sent)

    def _arrived_at_server(self, frame):
        world, home, user = self.person.world, self.person.home, self.person.user
        if frame.name == "MESSAGE":
            sent = decode(frame, pb.ChatMessage)
            world.note_accepted((user, sent.messageSnowflake, User.of(sent.user)))
        home.from_client(user, frame)

    def _arrived(self, frame):
        if frame.name == "MESSAGE":
            came = decode(frame, pb.ChatMessage)
            key = (User.of(came.author), came.messageSnowflake, User.of(came.user))
            if not self.came[key]:
                self.received.append(key)
            self.came[key] += 1
            self.person.world.note_arrived(key)
            if came.messageSnowflake not in (*self.unacknowledged, *self.forgotten):
                self.unacknowledged.append(came.messageSnowflake)
            if self.acknowledges:
                self.acknowledge()
        else:
            for key, status in final_and_interim(frame, self.person.user):
                self.statuses[key].append(status)
                self.person.heard[key].append(status)

    @property
    def came_too_often(self):
        """What came again sooner than what is not acknowledged is offered again."""
        most = 1 + self.person.home.now / ACK_TIMEOUT
        return {key: count for key, count in self.came.items() if count > most}

    def acknowledge(self):
        """Answer for the oldest message that is not answered for."""
        self.up.send(encode("MESSAGE_ACK", ack(self.unacknowledged.popleft(), Status.DELIVERED)))

    def forget(self):
        """Do not answer for the oldest, until all are."""
        self.forgotten.append(self.unacknowledged.popleft())

    def acknowledge_all(self):
        """Answer for all that came, and from now on at once."""
        self.acknowledges = True
        self.unacknowledged.extendleft(reversed(self.forgotten))
        self.forgotten.clear()
        while self.unacknowledged:
            self.acknowledge()


def final_and_interim(frame, author):
    """(key, status) of each status in a MESSAGE_ACK to an author."""
    response = decode(frame, pb.ChatMessageResponse)
    if response.HasField("author"):
        author = User.of(response.author)
    return [((author, response.messageSnowflake, User.of(s.user)), s.status) for s in response.statuses]


class Person:
    """A user, what they sent and what they heard of it."""

    client = Client

    def __init__(self, world, user):
        self.world = world
        self.user = user
        self.home = world.nodes[user.server_id]
        self.clients = []
        self.outbox = {}
        self.heard = defaultdict(list)

    def connect(self, *, acknowledges=False):
        client = self.client(self, acknowledges=acknowledges)
        self.clients.append(client)
        self.world.all_clients.append(client)
        self.home.connect(self.user, client.down)

    def disconnect(self, client):
        """What is in flight is lost, both ways."""
        self.clients.remove(client)
        for raw in client.down.sent:
            self.world.note_lost(raw, self.user)
        self.home.disconnect(self.user, client.down)

    def write(self, to):
        """Send a message to someone, over any client."""
        snowflake = NUMBERS[len(self.outbox)]
        raw = encode("MESSAGE", message(self.user, snowflake, to.user))
        self.outbox[self.user, snowflake, to.user] = raw
        for client in self.clients[:1]:
            client.up.send(raw)


class World:
    """Servers, people, and the record of what happened."""

    def __init__(self, names, *, mailbox, servers=()):
        """`servers`: those where nobody lives, too."""
        servers = sorted({name.partition("@")[2] for name in names}.union(servers))
        self.nodes = {server_id: Node(server_id, mailbox=mailbox) for server_id in servers}
        self.people = [Person(self, User.parse(name)) for name in names]
        self.pairs = [Joined(one, other) for one, other in combinations(self.nodes.values(), 2)]
        self.all_clients = []
        self.accepted = {}
        """Each message that its author's server took, in that order."""
        self.arrived = {}
        """Each message that a client of its recipient got, in the order of its first arrival."""
        self.broken = []
        """Messages that arrived although their author had been told that they would not."""
        self.untold = set()
        """Messages of which a final status was lost on a link."""

    # The record -----------------------------------------------------------------------------

    def person(self, user):
        return next(person for person in self.people if person.user == user)

    def note_accepted(self, key):
        self.accepted.setdefault(key)

    def note_arrived(self, key):
        self.arrived.setdefault(key)
        wrong = {s for s in self.person(key[0]).heard[key] if s not in INTERIM} - {Status.DELIVERED}
        if wrong:
            self.broken.append((key, wrong))

    def note_lost(self, raw, author=None):
        frame = read_datagram(raw)
        if frame.name == "MESSAGE_ACK":
            found = final_and_interim(frame, author)
            self.untold |= {key for key, status in found if status not in INTERIM}

    # What may happen -------------------------------------------------------------------------

    @property
    def pipes(self):
        """(pipe, whom to tell that it can be written to): what is sent moves in these."""
        of_clients = [
            (pipe, person.home, person.user)
            for person in self.people
            for client in person.clients
            for pipe in (client.up, client.down)
        ]
        of_servers = [
            (pipe, one, other.server_id)
            for pair in self.pairs
            for pipe, (one, other) in zip(pair.pipes, (pair.nodes, pair.nodes[::-1]), strict=False)
        ]
        return of_clients + of_servers

    def set_writable(self, pipe, node, destination, *, writable):
        was, pipe.writable = pipe.writable, writable
        if writable and not was:
            node.writable(destination)

    def cut(self, pair):
        for raw in pair.cut():
            self.note_lost(raw)

    def pass_time(self, seconds):
        for node in self.nodes.values():
            node.pass_time(seconds)

    def carry_all(self):
        """Everything that is on its way arrives, and what that sets off, too."""
        while any(pipe.sent for pipe, _, _ in self.pipes):
            for pipe, _, _ in self.pipes:
                pipe.carry()

    def bring_up(self):
        """Everyone is connected, and every server linked."""
        for person in self.people:
            person.connect()
        for pair in self.pairs:
            pair.link()

    def settle(self):
        """Everyone reads, comes back and acknowledges, every server is linked, and time passes."""
        for pipe, node, destination in self.pipes:
            self.set_writable(pipe, node, destination, writable=True)
        for pair in self.pairs:
            if not pair.is_linked:
                pair.link()
        self.carry_all()
        for person in self.people:
            for client in list(person.clients):
                person.disconnect(client)
            person.connect(acknowledges=True)
        for _ in range(3):
            self.carry_all()
            self.pass_time(11.0)
