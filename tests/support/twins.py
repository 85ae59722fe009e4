"""The same story told to two routers, one with the compiled core and one in Python; and what each made of it."""

from collections import Counter, defaultdict, deque
from unittest import mock

from parley.services.chat.archive.collector import Collector
from parley.services.chat.archive.entries import entries
from parley.services.chat.deduplication.recent import PureRecentMessages, RecentMessages
from parley.services.chat.message import statuses
from parley.services.chat.message.statuses import Status
from parley.shared.addresses import Group, User
from parley.shared.errors import RemoteProtocolError, UnexpectedMessage
from parley.shared.wire.framing import FrameReader, PureFrameReader, encode_frame, read_datagram
from parley.shared.wire.messages import decode, encode, pb
from tests.support.people import final_and_interim
from tests.support.sinks import Node, Sink, ack, message

PEOPLE = ANN, AMY, BOB = [User(name, "alpha") for name in ("ann", "amy", "bob")]
ELSEWHERE = BEN, BEA, OZ = User("ben", "beta"), User("bea", "beta"), User("oz", "old")
NOBODY = User("nobody", "alpha"), User("nobody", "nowhere")
CREW = Group("crew", "alpha")
SERVERS = {"beta": True, "old": False}
"""Whether each answers for every message."""
SOURCES = [*PEOPLE, *SERVERS]
REMEMBERED = 12
"""So few that tables on disk are needed, too."""


class Record(Sink):
    """A link: what came over it, by kind."""

    def __init__(self, destination):
        super().__init__()
        self.destination = destination
        self.messages = []
        self.told = defaultdict(list)
        """Per message: the statuses, in order."""

    def send(self, raw):
        frame = read_datagram(raw)
        if frame.name == "MESSAGE":
            self.messages.append(raw)
        elif frame.name == "MESSAGE_ACK":
            author = self.destination if isinstance(self.destination, User) else None
            for key, status in final_and_interim(frame, author):
                self.told[key].append(status)


class TwinNode(Node):
    """One of the two. Its disk may fail."""

    disk_state = "works"

    def __init__(self, *, fast_path, mailbox):
        self.refused = []
        self.went_fast = Counter()
        self.kept = Counter()
        """The entries for the archive."""
        super().__init__("alpha", fast_path=fast_path, mailbox=mailbox)

    def start(self):
        self.collector = Collector("alpha", lambda: None)
        with (
            mock.patch.object(statuses, "RecentMessages", RecentMessages if self.fast_path else PureRecentMessages),
            mock.patch.object(statuses, "REMEMBERED", REMEMBERED),
        ):
            super().start()
        for member in (ANN, BOB, BEN):
            self.engine.groups.add(CREW, member)

    def keep(self):
        """All that was gathered for the archive so far."""
        chunk = b"".join(self.collector.take().entries)
        self.kept.update((each.kind, each.marks, each.status, each.data) for each in entries(chunk))
        return self.kept

    def end_turn(self):
        self.commits = self.disk_state == "works"
        super().end_turn()
        if self.disk_state == "fails":
            self.disk.fail()
            self.router.flush()

    def read(self, source, raw):
        """All of a read, as services/chat/service.py handles it."""
        reader = FrameReader if self.fast_path else PureFrameReader
        frames = reader(1 << 20).feed(raw)
        at = self._take(source, frames, 0)
        step = 1
        while at < len(frames):
            for frame in frames[at : at + step]:
                self._route(source, frame)
            after = at + step
            at = self._take(source, frames, after) if after < len(frames) else after
            step = 2 * step if at == after else 1
        self.end_turn()

    def _take(self, source, frames, start):
        if self.router.fast_path is None:
            return start
        at = self.router.route_fast(source, frames, start, self.now)
        self.went_fast.update(frame.name for frame in frames[start:at])
        return at

    def _route(self, source, frame):
        route = self.route_from_client if isinstance(source, User) else self.route_from_server
        try:
            route(source, frame)
        except (UnexpectedMessage, RemoteProtocolError) as error:
            self.refused.append(repr(error))


class Twins:
    """Both, their links, and what the story needs to know to go on: as the one in Python has it."""

    def __init__(self, *, mailbox):
        self.nodes = TwinNode(fast_path=True, mailbox=mailbox), TwinNode(fast_path=False, mailbox=mailbox)
        self.links = defaultdict(list)
        """Destination → its links, each one record per node."""
        self.all_links = []
        self.written = defaultdict(list)
        """Source → what it sent."""
        self.numbers = Counter()
        self.number = 1
        """The one given last, and to whom that was written."""
        self.last_recipient = None
        self.unanswered = defaultdict(deque)
        self.seen = Counter()

    def check(self):
        """Whether both did the same so far."""
        compiled, pure = self.nodes
        for records in self.all_links:
            one, other = records
            assert one.messages == other.messages
            assert one.told == other.told
        assert Counter(compiled.counted) == Counter(pure.counted)
        assert compiled.refused == pure.refused
        assert compiled.looked_for == pure.looked_for
        assert rows(compiled) == rows(pure)
        assert compiled.keep() == pure.keep()
        self._note_arrived()

    def _note_arrived(self):
        for records in self.all_links:
            record = records[1]
            for raw in record.messages[self.seen[record] :]:
                self.unanswered[record.destination].append(decode(read_datagram(raw), pb.ChatMessage))
            self.seen[record] = len(record.messages)

    # What happens ------------------------------------------------------------------------------

    def connect(self, user):
        records = [Record(user) for _ in self.nodes]
        self._add(user, records)
        for node, record in zip(self.nodes, records, strict=True):
            node.connect(user, record)

    def disconnect(self, user, which):
        records = self.links[user].pop(which)
        for node, record in zip(self.nodes, records, strict=True):
            node.disconnect(user, record)

    def link(self, server_id):
        records = [Record(server_id) for _ in self.nodes]
        self._add(server_id, records)
        for node, record in zip(self.nodes, records, strict=True):
            node.link(server_id, record, confirms=SERVERS[server_id])

    def unlink(self, server_id):
        [records] = self.links.pop(server_id)
        for node, record in zip(self.nodes, records, strict=True):
            node.unlink(server_id, record, confirms=SERVERS[server_id])

    def _add(self, destination, records):
        self.links[destination].append(records)
        self.all_links.append(records)

    def set_writable(self, destination, which, writable):
        for node, record in zip(self.nodes, self.links[destination][which], strict=True):
            was, record.writable = record.writable, writable
            if writable and not was:
                node.writable(destination)

    def each(self, do):
        for node in self.nodes:
            do(node)
            node.end_turn()

    def block(self, user, other, *, is_blocked):
        blocks = "add" if is_blocked else "remove"
        self.each(lambda node: getattr(node.engine.blocks, blocks)(user.user_id, other))

    def pass_time(self, seconds):
        for node in self.nodes:
            node.pass_time(seconds)

    def set_disk(self, state):
        """It works, fails, or keeps everybody waiting."""

        def change(node):
            node.disk_state = state

        self.each(change)

    def restart(self):
        """What is on its way is written first: when exactly, is each one's own affair."""
        self.set_disk("works")
        self.pass_time(0.5)
        self.links.clear()
        for node in self.nodes:
            node.disk.crash()
            node.start()

    def read(self, source, raws):
        for node in self.nodes:
            node.read(source, b"".join(raws))

    # What is written --------------------------------------------------------------------------

    def message(self, source, author, to, kind, number):
        """A frame from a source: with its author's next number, another's, or one that it sent before."""
        if number == "again" and self.written[source]:
            return self.written[source][-1 - len(kind) % min(len(self.written[source]), 20)]
        if number == "next":
            self.numbers[author] += 1
            self.number = self.numbers[author] << 32 | (*PEOPLE, *ELSEWHERE).index(author)
            self.last_recipient = to
        number = self.number
        raw = encode_frame("MESSAGE", MESSAGES[kind](author, number, to))
        self.written[source].append(raw)
        return raw

    def answer(self, source, kind):
        """A frame for the oldest message that this source has and did not answer."""
        waiting = self.unanswered[source]
        if not waiting:
            return encode("MESSAGE_ACK", ack(999, Status.DELIVERED))
        answered = waiting[0] if kind == "again" else waiting.popleft()
        return encode_frame("MESSAGE_ACK", ANSWERS[kind](answered))


def rows(node):
    """What is on disk, in order."""
    return [(row.destination, row.author, row.snowflake) for _, row in sorted(node.disk.messages.items())]


# Payloads ---------------------------------------------------------------------------------------------------


def _text(text):
    return lambda author, number, to: message(author, number, to, text).SerializeToString()


def _added(more):
    return lambda author, number, to: message(author, number, to, "hello").SerializeToString() + more


def _without_text(more=b""):
    def payload(author, number, to):
        whole = message(author, number, to)
        whole.ClearField("textContent")
        return whole.SerializeToString() + more

    return payload


def _fields_backwards(author, number, to):
    whole = message(author, number, to, "hello")
    parts = [pb.ChatMessage() for _ in range(4)]
    parts[0].textContent = whole.textContent
    parts[1].user.CopyFrom(whole.user)
    parts[2].author.CopyFrom(whole.author)
    parts[3].messageSnowflake = number
    return b"".join(part.SerializeToString() for part in parts)


def _document(author, number, to):
    whole = message(author, number, to)
    whole.document.filename = "a.txt"
    whole.document.data = b"\xff\n\0"
    return whole.SerializeToString()


def _to_group(author, number, _to):
    return message(author, number, None, "all", group=CREW.to_pb()).SerializeToString()


MESSAGES = {
    "text": _text("hello"),
    "text, too": _text("PING 0 \n"),
    "empty": _without_text(),
    "empty text": _text(""),
    "words": _text("schöne Grüße 🙂"),
    "long": _text("x" * 300),
    "not utf-8": _without_text(b"\x5a\x02\xc3\x28"),
    "surrogate": _without_text(b"\x5a\x03\xed\xa0\x80"),
    "text is cut": _without_text(b"\x5a\x09x"),
    "unknown field": _added(b"\xa2\x06\x01x"),
    "two texts": _added(b"\x5a\x01x"),
    "two numbers": _added(b"\x08\x63"),
    "long number": lambda author, number, to: (
        b"\x08\xe3\x80\0" + message(author, number, to).SerializeToString()[2:]
    ),
    "no number": lambda author, _number, to: message(author, 0, to, "hello").SerializeToString(),
    "number 0": lambda author, _number, to: b"\x08\0" + message(author, 0, to, "hello").SerializeToString(),
    "greatest number": lambda author, _number, to: message(author, (1 << 64) - 1, to, "hello").SerializeToString(),
    "backwards": _fields_backwards,
    "document": _document,
    "group": _to_group,
    "nobody": lambda author, number, _to: message(author, number, NOBODY[0]).SerializeToString(),
    "nowhere": lambda author, number, _to: message(author, number, NOBODY[1]).SerializeToString(),
    "another's": lambda _author, number, to: message(BOB, number, to).SerializeToString(),
    "no protobuf": lambda _author, _number, _to: b"\x08",
}


def _answer(*statuses, user=False, author=False, more=b""):
    def payload(answered):
        said = [(User.of(answered.user), status) if user else status for status in statuses]
        whole = ack(answered.messageSnowflake, *said, author=User.of(answered.author) if author else None)
        return whole.SerializeToString() + more

    return payload


def _answer_backwards(answered):
    number = pb.ChatMessageResponse(messageSnowflake=answered.messageSnowflake).SerializeToString()
    return ack(0, Status.DELIVERED).SerializeToString() + number


ANSWERS = {
    "plain": _answer(Status.DELIVERED),
    "again": _answer(Status.DELIVERED),
    "user": _answer(Status.DELIVERED, user=True),
    "author": _answer(Status.DELIVERED, author=True),
    "both": _answer(Status.DELIVERED, user=True, author=True),
    "nothing": _answer(),
    "two": _answer(Status.DELIVERED, Status.OTHER_ERROR),
    "away": _answer(Status.USER_AWAY),
    "timeout": _answer(Status.OTHER_SERVER_TIMEOUT, user=True, author=True),
    "error": _answer(Status.OTHER_ERROR),
    "not found": _answer(Status.USER_NOT_FOUND, user=True),
    "no status of ours": lambda answered: b"\x08%c\x12\x02\x10\x63" % (answered.messageSnowflake % 128),
    "receipt": _answer(Status.DELIVERED, more=b"\xb8\x06\x07"),
    "another number": _answer(Status.DELIVERED, more=b"\x08\x01"),
    "unknown field": _answer(Status.DELIVERED, more=b"\xa2\x1f\x01x"),
    "backwards": _answer_backwards,
    "no protobuf": lambda _answered: b"\x08",
}
