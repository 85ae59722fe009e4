"""In-memory links for the router's tests: what was sent to one, and servers joined by queues."""

from collections import deque

from parley.services.chat.engine import ChatEngine
from parley.services.chat.groups.asks import ASKS, number_of, result_of, set_number
from parley.services.chat.hooks import Hooks
from parley.services.chat.message.statuses import Status
from parley.services.chat.roster import LinkedServer, LocalRoster, retries_messages
from parley.shared.addresses import User
from parley.shared.compiled import core
from parley.shared.config import ChatConfig
from parley.shared.dialects.dialect import OLD_SERVER, PARLEY
from parley.shared.spellings import Spellings
from parley.shared.wire.framing import FrameReader, read_datagram
from parley.shared.wire.messages import REGISTRY, decode, encode, pb
from tests.support.disks import FakeDisk

ACK_TIMEOUT = 10.0


def message(author, snowflake, to, text="", **recipient):
    """A ChatMessage; `recipient` (group, userOfGroup) instead of a user where `to` is None."""
    if to is not None:
        recipient["user"] = to.to_pb()
    return pb.ChatMessage(messageSnowflake=snowflake, author=author.to_pb(), textContent=text, **recipient)


def ack(snowflake, *statuses, author=None):
    """A MESSAGE_ACK: a status number each, or (user, status)."""
    response = pb.ChatMessageResponse(messageSnowflake=snowflake)
    for entry in statuses:
        user, status = entry if isinstance(entry, tuple) else (None, entry)
        added = response.statuses.add()
        added.status = status
        if user is not None:
            added.user.CopyFrom(user.to_pb())
    if author is not None:
        response.author.CopyFrom(author.to_pb())
    return response


def group_ask(name, group, number=1, user=None, **fields):
    """JOIN_GROUP, LEAVE_GROUP, QUERY_GROUP_MEMBERS or CHANGE_GROUP."""
    ask = ASKS[name](group=group.to_pb(), user=user.to_pb() if user is not None else None, **fields)
    set_number(ask, number)
    return encode(name, ask)


def group_answer(ask, *members, reason="NONE"):
    """The GROUP_MEMBERS that answers it."""
    number = pb.GroupMembers.Reason.Value(reason)
    told = pb.GroupMembers(group=ask.group, result=result_of(number), reason=number, request=number_of(ask))
    told.user.extend(member.to_pb() for member in members)
    return told


def told(answer):
    """What a GROUP_MEMBERS says became of a request."""
    is_refused = answer.result != pb.GroupMembers.SUCCESS
    assert is_refused == (answer.reason != pb.GroupMembers.NONE)
    return pb.GroupMembers.Reason.Name(answer.reason) if is_refused else "SUCCESS"


class Sink:
    """A link that keeps what is sent to it."""

    has_arrived = True

    def __init__(self, *, writable=True, is_parley=True):
        self.writable = writable
        self.is_parley = is_parley
        self.answers_searches = is_parley
        self.takes_read_receipts = is_parley
        self.dialect = PARLEY if is_parley else OLD_SERVER
        self.takes_pieces = False
        self.takes_shared_copies = False
        self.window = 0
        self.is_paced = False
        """Whether what is sent waits for its turn, which does not come."""
        self.sent = deque()

    def send(self, raw):
        self.sent.append(raw)

    def take_back(self, raw):
        if not self.is_paced or raw not in self.sent:
            return False
        self.sent.remove(raw)
        return True

    def answer(self, raw):
        self.send(raw)

    def send_run(self, raw, name, count):
        frames = FrameReader(1 << 30).feed(raw)
        assert [frame.name for frame in frames] == [name] * count
        for frame in frames:
            self.send(frame.raw)

    def take(self):
        """Everything sent since the last look, decoded."""
        frames = [read_datagram(raw) for raw in self.sent]
        self.sent.clear()
        return [decode(frame, REGISTRY[frame.name]) for frame in frames]

    def snowflakes(self):
        """The numbers of the messages sent since the last look; statuses among them are a mistake."""
        taken = self.take()
        assert all(isinstance(each, pb.ChatMessage) for each in taken), taken
        return [each.messageSnowflake for each in taken]

    def statuses(self):
        """(snowflake, who, status name) since the last look; messages among them are a mistake."""
        taken = self.take()
        assert all(isinstance(each, pb.ChatMessageResponse) for each in taken), taken
        return [
            (each.messageSnowflake, User.of(s.user), Status.Status.Name(s.status))
            for each in taken
            for s in each.statuses
        ]


class Node:
    """One server's router as the chat process drives it; `looked_for` is whom it had the network asked for.

    Its disk writes at the end of each turn, unless `commits` is False.
    """

    commits = True
    collector = None
    """Gathers for an archive, where a test has one."""

    def __init__(self, server_id, *, mailbox=1000, fast_path=core is not None, **settings):
        self.fast_path = fast_path
        self.server_id = server_id
        self.now = 0.0
        self.looked_for = []
        self.searched = []
        """Of each search that is over: whether nobody can have been left out."""
        self.existing = set()
        """The servers that announced themselves as no Parley."""
        self.counted = []
        self.doubted = 0
        self.taken_for_forged = []
        self.limited = []
        self.held = []
        """Whose links were held, and released: ("hold", user), ("release", user)."""
        self.settings = ChatConfig(ack_timeout=ACK_TIMEOUT, mailbox_messages=mailbox, **settings)
        self.disk = FakeDisk()
        self.start()

    def sign(self, _envelope, _status):
        """The proof of a status of its own: none."""
        return b""

    def start(self):
        """A new process, which knows what is on disk."""
        self.roster = LocalRoster()
        self.wake_at = None
        """When the users of other servers are to be looked after."""
        self.engine = ChatEngine(
            self.server_id,
            self.settings,
            self.roster,
            self.disk,
            Hooks(
                now=lambda: self.now,
                wake=self.wake,
                collect=self.collector,
                loaded=lambda destination: self.router.loaded(destination, self.now),
                limited=lambda what, where: self.limited.append((what, where)),
                hold=lambda user: self.held.append(("hold", user)),
                release=lambda user: self.held.append(("release", user)),
                delivered_together=self.count_together,
                count=lambda scope, status: self.counted.append((scope, status)),
                delivered_run=self.count_run,
                look_for=self.looked_for.append,
                searched=self.searched.append,
                is_existing=self.existing.__contains__,
                doubted=self.note_doubt,
                taken_for_forged=self.taken_for_forged.append,
                sign=self.sign,
            ),
            fast_path=self.fast_path,
        )
        self.router, self.mailbox = self.engine.router, self.engine.mailbox
        self.disk.kept = self.router.persisted
        self.disk.not_persisted = lambda items: self.router.not_persisted(items, self.now)
        self.disk.handed_over = self.router.handed_over

    def wake(self, when):
        """As a timer: it fires at the earliest of the times that it was set to."""
        if when is not None and (self.wake_at is None or when < self.wake_at):
            self.wake_at = when

    def note_doubt(self):
        self.doubted += 1

    def count_run(self, is_local, _arrived, count):
        self.counted += [("local" if is_local else "remote", Status.DELIVERED)] * count

    def count_together(self, _arrived, count):
        self.counted += [("remote", Status.DELIVERED)] * count

    def takes_the_fast_path(self, source, frame, sink=None):
        """Whether a frame is handled by the compiled core."""
        fast_path = self.router.fast_path
        return fast_path is not None and self.router.route_fast(source, [frame], 0, self.now, sink) == 1

    @property
    def waits_until(self):
        """Until when statuses wait for others of a message that came for several at once; None: none do."""
        return min(self.router._statuses.together.due(), default=None)

    def end_turn(self):
        """What the event loop does when a batch is handled."""
        self.router.flush()
        while self.commits and len(self.disk):
            self.disk.commit_all()
            self.router.flush()

    def know(self, destination):
        if self.roster.remember([destination]):
            self.disk.know(destination)

    def connect(self, user, sink=None):
        sink = sink or Sink()
        self.know(user)
        self.roster.add_client(user, sink)
        self.router.client_connected(user, self.now)
        self.end_turn()
        return sink

    def disconnect(self, user, sink):
        self.roster.remove_client(user, sink)
        self.router.client_disconnected(user, sink, self.now)
        self.end_turn()

    takes_shared_copies = True
    """Whether other Parleys take one message for several members of a group."""

    def link(self, server_id, sink=None, *, confirms=True, takes_pieces=False):
        sink = sink or Sink(is_parley=confirms)
        sink.takes_pieces = takes_pieces
        sink.takes_shared_copies = confirms and self.takes_shared_copies
        self.know(server_id)
        self.roster.add_server(server_id, LinkedServer(sink, confirms=confirms))
        self.router.server_connected(server_id, self.now)
        self.engine.requests.elsewhere.server_connected(server_id)
        self.end_turn()
        return sink

    def unlink(self, server_id, sink, *, confirms=True, cleanly=False):
        self.roster.remove_server(server_id)
        self.router.server_disconnected(server_id, sink, self.now, confirms=confirms, cleanly=cleanly)
        self.end_turn()

    def send(self, author, snowflake, to, text="", **recipient):
        """A client of the author's sends."""
        sent = message(author, snowflake, to, text, **recipient)
        self.from_client(author, read_datagram(encode("MESSAGE", sent)))

    def receive(self, server_id, sent):
        """Another server sends."""
        self.from_server(server_id, read_datagram(encode("MESSAGE", sent)))

    def ack(self, user, snowflake, status=Status.DELIVERED, sink=None):
        """A client acknowledges, as clients do: one status that names nobody."""
        self.from_client(user, read_datagram(encode("MESSAGE_ACK", ack(snowflake, status))), sink)

    def answer(self, server_id, snowflake, *statuses, author=None):
        """Another server answers."""
        self.from_server(server_id, read_datagram(encode("MESSAGE_ACK", ack(snowflake, *statuses, author=author))))

    def received(self, server_id, receipt):
        """Another server says that statuses are safe there."""
        self.from_server(server_id, read_datagram(encode("STATUS_RECEIVED", pb.StatusReceived(receipt=receipt))))

    def from_client(self, user, frame, sink=None):
        """A frame comes from a client: as services/chat/service.py has it."""
        try:
            if not self.takes_the_fast_path(user, frame, sink):
                self.route_from_client(user, frame, sink)
        finally:
            self.end_turn()

    def route_from_client(self, user, frame, sink=None):
        router, requests = self.router, self.engine.requests
        if frame.name == "MESSAGE":
            router.message_from_client(user, decode(frame, pb.ChatMessage), frame.raw, self.now)
        elif frame.name == "MESSAGE_ACK":
            answer = decode(frame, pb.ChatMessageResponse)
            router.ack_from_client(user, answer, self.now, frame, link=sink)
        elif frame.name == "SEARCH_USERS":
            self.engine.search.asked(user, decode(frame, pb.QueryUsers), sink, self.now)
        elif frame.name in ASKS:
            requests.group_asked(user, frame.name, decode(frame, ASKS[frame.name]), sink, self.now)
        else:
            requests.block_asked(user, frame.name, decode(frame, pb.ChangeBlock), sink)

    def from_server(self, server_id, frame):
        """A frame comes from a server."""
        try:
            if not self.takes_the_fast_path(server_id, frame):
                self.route_from_server(server_id, frame)
        finally:
            self.end_turn()

    def route_from_server(self, server_id, frame):
        router, requests = self.router, self.engine.requests
        if frame.name == "MESSAGE":
            is_retried = retries_messages(self.roster, server_id)
            message = decode(frame, pb.ChatMessage)
            router.message_from_server(server_id, message, frame.raw, self.now, is_retried=is_retried)
        elif frame.name == "MESSAGE_ACK":
            router.ack_from_server(server_id, decode(frame, pb.ChatMessageResponse), self.now, frame)
        elif frame.name == "PIECE_RECEIVED":
            router.piece_received(server_id, decode(frame, pb.PieceReceived), self.now)
        elif frame.name == "STATUS_RECEIVED":
            router.statuses_received(server_id, decode(frame, pb.StatusReceived).receipt)
        elif frame.name == "SEARCH_USERS":
            link = self.roster.server(server_id).link
            self.engine.search.asked_by_server(server_id, decode(frame, pb.QueryUsers), link)
        elif frame.name == "SEARCH_USERS_RESP":
            answer = decode(frame, pb.QueryUsersResponse)
            self.engine.search.answered(server_id, answer, Spellings())
        elif frame.name == "GROUP_MEMBERS":
            requests.elsewhere.answered(server_id, decode(frame, pb.GroupMembers), Spellings())
        else:
            asked = decode(frame, ASKS[frame.name])
            requests.group_asked_by_server(server_id, frame.name, asked, self.roster.server(server_id).link)

    def writable(self, destination):
        self.router.writable(destination, self.now)
        self.end_turn()

    def pass_time(self, seconds):
        """Let time pass; timers fire when they are due, as an event loop would have it."""
        end = self.now + seconds
        while (due := self.next_timeout()) is not None and due <= end:
            self.now = max(self.now, due)
            self.router.handle_timeout(self.now)
            self.engine.requests.elsewhere.handle_timeout(self.now)
            self.engine.search.handle_timeout(self.now)
            if self.wake_at is not None and self.wake_at <= self.now:
                self.wake_at = None
                self.router.remote_users.handle_timeout(self.now)
            self.end_turn()
        self.now = end

    def next_timeout(self):
        """When time is to be told of next: search and the users of other servers have timers of their own."""
        timeouts = self.engine.next_timeout(), self.engine.search.next_timeout(), self.wake_at
        return min((due for due in timeouts if due is not None), default=None)

    @property
    def is_at_rest(self):
        """Whether nothing waits, is on its way or is to be told, and no timer runs."""
        statuses = self.router._statuses
        return (
            len(self.mailbox) == 0
            and self.router.is_idle
            and not any(out.by_number for out in self.router._dispatcher._in_flight.values())
            and len(self.engine.owed) == 0
            and not statuses._gathered
            and len(statuses.expected) == 0
            and self.next_timeout() is None
        )


class Pipe(Sink):
    """A link to another node's router, or to a client: what is sent waits in it until it is carried over."""

    def __init__(self, deliver):
        super().__init__()
        self._deliver = deliver

    @property
    def has_arrived(self):
        return not self.sent

    def carry(self, count=None):
        """Let the first `count` frames arrive (all that are there now, if None); whether any did."""
        carried = len(self.sent) if count is None else min(count, len(self.sent))
        for _ in range(carried):
            self._deliver(read_datagram(self.sent.popleft()))
        return carried > 0


class Joined:
    """Two nodes and the link between them, a pipe for each direction."""

    def __init__(self, one, other):
        self.nodes = one, other
        self.pipes = ()

    @property
    def is_linked(self):
        return bool(self.pipes)

    def link(self):
        one, other = self.nodes
        self.pipes = _towards(one, other), _towards(other, one)
        one.link(other.server_id, self.pipes[0])
        other.link(one.server_id, self.pipes[1])

    def cut(self):
        """What is on its way is lost, and returned."""
        (one, other), (there, back) = self.nodes, self.pipes
        self.pipes = ()
        one.unlink(other.server_id, there)
        other.unlink(one.server_id, back)
        return [*there.sent, *back.sent]

    def carry(self):
        """Carry everything over, both ways, until both are silent."""
        while any(pipe.sent for pipe in self.pipes):
            for pipe in self.pipes:
                pipe.carry()


def _towards(sender, receiver):
    return Pipe(lambda frame: receiver.from_server(sender.server_id, frame))
