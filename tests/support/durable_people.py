"""People at servers whose mailbox is on a disk that writes when told, and whose processes are killed.

Their clients behave as the client's ChatFeature: they send again what has no final status, in order, and show a
message once, however often it comes.
"""

from itertools import combinations

from parley.services.chat.message.statuses import INTERIM
from parley.shared.addresses import User
from tests.support.people import Person, World
from tests.support.sinks import Joined, Node


class DurableNode(Node):
    """One server, its disk, and the process that runs at the moment."""

    commits = False


class DurablePerson(Person):
    """Somebody whose clients keep their word, too."""

    def has_final(self, key):
        return any(status not in INTERIM for status in self.heard[key])

    def connect(self, *, acknowledges=False):
        super().connect(acknowledges=acknowledges)
        client = self.clients[-1]
        client.up.sent.clear()
        self._send_again(client)

    def disconnect(self, client):
        was_first = client is self.clients[0]
        super().disconnect(client)
        if was_first and self.clients:  # the one that writes from now on
            self._send_again(self.clients[0])

    def drop(self):
        """Their server died: what is in flight is lost, and nobody is told."""
        for client in self.clients:
            for raw in client.down.sent:
                self.world.note_lost(raw, self.user)
        self.clients.clear()

    def _send_again(self, client):
        for key, raw in self.outbox.items():
            if not self.has_final(key):
                client.up.send(raw)


class DurableWorld(World):
    """Servers that may be killed at any moment."""

    person_type = DurablePerson

    def __init__(self, names, *, mailbox=1000, servers=()):
        super().__init__(names, mailbox=mailbox, servers=servers)
        self.nodes = {server_id: DurableNode(server_id, mailbox=mailbox) for server_id in self.nodes}
        self.people = [self.person_type(self, User.parse(name)) for name in names]
        self.pairs = [Joined(one, other) for one, other in combinations(self.nodes.values(), 2)]
        self.crashes = 0
        self.lies = []
        """What an author had been told of a message that was then on no disk, and had not arrived."""

    def crash(self, node, written):
        """Kill a server's process, and start the next; `written`: of what waits to be written."""
        self.crashes += 1
        for person in self.people:
            if person.home is node:
                person.drop()
        node.disk.crash(written)
        for pair in self.pairs:
            if node in pair.nodes and pair.is_linked:
                self._lose_link(pair, node)
        node.start()
        self._note_lies()

    def _note_lies(self):
        """A status says that a message arrived, or that a server keeps it."""
        kept = {
            (row.author, row.snowflake, row.recipient)
            for node in self.nodes.values()
            for row in node.disk.messages.values()
        }
        for author in self.people:
            for key, heard in author.heard.items():
                if heard and key not in self.arrived and key not in kept:
                    self.lies.append((key, list(heard)))

    def _lose_link(self, pair, dead):
        (one, other), (there, back) = pair.nodes, pair.pipes
        pair.pipes = ()
        for raw in [*there.sent, *back.sent]:
            self.note_lost(raw)
        if one is dead:
            other.unlink(one.server_id, back)
        else:
            one.unlink(other.server_id, there)

    def commit_all(self):
        for node in self.nodes.values():
            node.disk.commit_all()
            node.router.flush()

    def carry_all(self):
        super().carry_all()
        while any(len(node.disk) for node in self.nodes.values()):
            self.commit_all()
            super().carry_all()

    def settle_quietly(self):
        """Whoever is there stays, reads and acknowledges all that came; who is away comes back; time passes."""
        for pipe, node, destination in self.pipes:
            self.set_writable(pipe, node, destination, writable=True)
        for pair in self.pairs:
            if not pair.is_linked:
                pair.link()
        for person in self.people:
            for client in person.clients:
                client.acknowledge_all()
            if not person.clients:
                person.connect(acknowledges=True)
        for _ in range(3):
            self.carry_all()
            self.pass_time(11.0)
