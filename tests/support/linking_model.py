"""A linking server as a model, beside a router: what it does with what is written to it, as protocol.md says.

It notes the author of each number, drops what is for somebody who is not connected, and recognises nothing that
comes again. A client's acknowledgement goes to the noted author's client; where that is nobody's, its chat ends.
"""

from collections import Counter, deque

from parley.shared.addresses import User
from parley.shared.wire.framing import FrameReader
from parley.shared.wire.messages import decode, pb
from tests.support.sinks import ack

DELIVERED = pb.ChatMessageResponse.DeliveryStatus.DELIVERED
NOT_FOUND = pb.ChatMessageResponse.DeliveryStatus.OTHER_SERVER_NOT_FOUND


class ServersLink:
    """Our link to it: each write waits here until it is carried over."""

    has_arrived = True
    is_parley = False
    takes_pieces = False
    takes_shared_copies = False
    window = 0

    def __init__(self, model):
        self.model = model
        self.writable = True
        self.writes = deque()

    def send(self, raw):
        frames = FrameReader(1 << 30).feed(raw)
        if frames[0].name == "MESSAGE":
            self.model.check_write(frames)
        self.writes.append(frames)


class LinkingModel:
    """One linking server, and a node of ours that reaches its users by a gateway."""

    def __init__(self, node, server_id="old", gateway="parley-gw-alpha"):
        self.node = node
        self.server_id = server_id
        self.gateway = User(gateway, server_id)
        self.link = None
        self.has_gateway = False
        self.is_dead = False
        self.connected = set()
        self.unacknowledged = deque()
        """(user, number): its clients have these, and will acknowledge them."""
        self.acks = deque()
        """What is on its way to our gateway."""
        self.came = []
        """(author, number, recipient) of each MESSAGE that a client was given."""
        self._authors = {}

    # Links ------------------------------------------------------------------------------------

    def bring_up(self):
        """Link, and connect the gateway, where that is not so."""
        if self.link is None:
            self.link = ServersLink(self)
            self.node.know(self.server_id)
            self.node.router.remote_users.server_linked(self.server_id, self.link, self.node.now)
            self.node.router.server_connected(self.server_id, self.node.now)
            self.node.end_turn()
        if not self.has_gateway:
            self.has_gateway = True
            self.node.router.remote_users.gateway_connected(self.server_id, self.gateway, self.node.now)
            self.node.end_turn()

    def cut(self):
        """The server's link breaks: what is on its way over it is lost."""
        if self.link is not None:
            link, self.link = self.link, None
            self.node.roster.remove_server(self.server_id)
            self.node.router.remote_users.server_lost(self.server_id, self.node.now)
            self.node.router.server_disconnected(self.server_id, link, self.node.now, confirms=False)
            self.node.end_turn()

    def cut_gateway(self):
        """The gateway's link breaks, and what is on its way is lost: else nobody could help the server."""
        if self.has_gateway:
            self.has_gateway = False
            self.acks.clear()
            self.unacknowledged.clear()
            if self.link is not None:
                self.link.writes.clear()
            self.node.router.remote_users.gateway_lost(self.server_id, self.node.now)
            self.node.end_turn()

    def node_died(self):
        """Its links with our node are gone, and what was on them."""
        self.link, self.has_gateway = None, False
        self.acks.clear()
        self.unacknowledged.clear()

    # What it does -------------------------------------------------------------------------------

    def check_write(self, frames):
        """A MESSAGE goes out only while the gateway is connected, and with its claim in the same write."""
        assert self.has_gateway, "a message without a gateway"
        sent, claim = (decode(frame, pb.ChatMessage) for frame in frames)
        assert sent.messageSnowflake == claim.messageSnowflake
        assert User.of(claim.author) == self.gateway
        assert User.of(claim.user).server_id not in (self.server_id, self.node.server_id)

    def carry(self, count=1):
        """So many writes arrive at it."""
        for _ in range(min(count, len(self.link.writes) if self.link is not None else 0)):
            for frame in self.link.writes.popleft():
                if frame.name == "MESSAGE":
                    self._arrived(decode(frame, pb.ChatMessage))

    def _arrived(self, message):
        author, recipient = User.of(message.author), User.of(message.user)
        self._authors[message.messageSnowflake] = author
        if recipient.server_id != self.server_id:
            status = recipient, NOT_FOUND
            self._tell(author, ack(message.messageSnowflake, status))
        elif recipient in self.connected:
            self.came.append((author, message.messageSnowflake, recipient))
            self.unacknowledged.append((recipient, message.messageSnowflake))

    def acknowledge(self):
        """A client acknowledges the oldest that it has."""
        if self.unacknowledged:
            user, number = self.unacknowledged.popleft()
            self._tell(self._authors[number], ack(number, (user, DELIVERED)))

    def _tell(self, author, answer):
        if author == self.gateway and self.has_gateway:
            self.acks.append(answer)
        else:
            self.is_dead = True

    def carry_acks(self):
        """All that it said to our gateway arrives."""
        while self.acks:
            self.node.router.ack_from_gateway(self.server_id, self.acks.popleft(), self.node.now)
            self.node.end_turn()

    def leave(self, user):
        """A client leaves without a word: what it has not acknowledged it has for nothing."""
        self.connected.discard(user)
        self.unacknowledged = deque(each for each in self.unacknowledged if each[0] != user)

    def settle(self):
        """Everything that is on its way arrives, and is acknowledged at once."""
        while self.acks or self.unacknowledged or (self.link is not None and self.link.writes):
            self.carry()
            self.acknowledge()
            self.carry_acks()

    @property
    def most_often(self):
        """How often a client was given the same message at most."""
        return max(Counter(self.came).values(), default=0)
