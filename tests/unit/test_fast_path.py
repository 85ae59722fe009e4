"""The fast path (shared/core/fast_path/): faults within it, and that it lets go of everything."""

import gc
import sys
import tracemalloc
import weakref

import pytest

from parley.services.chat.deduplication.stored_keys import empty_table, fingerprint
from parley.services.chat.message.statuses import Status
from parley.services.chat.state import ChatState
from parley.shared.addresses import User
from parley.shared.compiled import core
from parley.shared.trust.authors import AUTHOR_PROOF, STATUS_PROOF, is_status_signed, sign_message, sign_status
from parley.shared.trust.keys import PrivateKey
from parley.shared.wire.framing import FrameReader, encode_frame
from parley.shared.wire.messages import encode, pb
from tests.support.sinks import Node, Sink, ack, message

pytestmark = pytest.mark.skipif(core is None, reason="the compiled core is not here")

ANN, AMY, BOB = (User(name, "alpha") for name in ("ann", "amy", "bob"))
DEVICE = PrivateKey(b"d" * 32)
ROUNDS = 20


class Broken(Sink):
    """A link that cannot be written to once it is broken."""

    error = None

    def send_run(self, raw, name, count):
        if self.error is not None:
            raise self.error
        super().send_run(raw, name, count)


def frames(*raws):
    return FrameReader(1 << 20).feed(b"".join(raws))


def written(*numbers, author=ANN, to=BOB):
    return [encode("MESSAGE", message(author, number, to, "hello")) for number in numbers]


def acknowledged(*numbers):
    return [encode("MESSAGE_ACK", ack(number, Status.DELIVERED)) for number in numbers]


def numbered(sinks):
    return [[each.messageSnowflake for each in sink.take()] for sink in sinks]


def texts(sink):
    """The numbers of the messages that came; statuses that may be owed are left aside."""
    return [each.messageSnowflake for each in sink.take() if isinstance(each, pb.ChatMessage)]


class Talk:
    """Ann and Bob, who wrote to each other: what they write now takes the fast path."""

    def __init__(self, *, sink=Sink):
        self.node = Node("alpha")
        self.ann, self.bob = self.node.connect(ANN, sink()), self.node.connect(BOB, sink())
        for author, to, number in ((ANN, BOB, 1), (BOB, ANN, 2)):
            self.node.send(author, number, to, "hello")
            self.node.ack(to, number)
        self.ann.take()
        self.bob.take()

    def limit(self, window):
        """Bob's client comes again, and asks for no more than so many messages."""
        self.node.disconnect(BOB, self.bob)
        self.bob.window = window
        self.node.connect(BOB, self.bob)

    def take(self, source, *raws):
        came = frames(*raws)
        assert self.node.router.fast_path.route(source, came, 0, self.node.now) == len(came)


@pytest.fixture
def talk():
    return Talk(sink=Broken)


def test_a_batch_takes_the_fast_path_whole(talk):
    talk.take(ANN, *written(11, 12))
    talk.take(BOB, *acknowledged(11), *written(21, author=BOB, to=ANN), *acknowledged(12))
    assert numbered([talk.bob, talk.ann]) == [[11, 12], [21, 11, 12]]


def test_the_fast_path_keeps_to_the_window_that_a_client_asks_for(talk):
    talk.limit(2)
    talk.node.send(ANN, 3, BOB, "hello")
    talk.node.ack(BOB, 3)
    talk.bob.take()
    came = frames(*written(11, 12, 13))
    assert talk.node.router.fast_path.route(ANN, came, 0, talk.node.now) == 2
    assert texts(talk.bob) == [11, 12]
    talk.take(BOB, *acknowledged(11))
    assert talk.node.router.fast_path.route(ANN, came, 2, talk.node.now) == 3


def signed(number, author=ANN, to=BOB, text="hello"):
    said = message(author, number, to, text)
    sign_message(DEVICE, said, 0, 1_800_000_000_000)
    return said


def signed_ack(said, to=BOB, status=Status.DELIVERED, author=None):
    answer = ack(said.messageSnowflake, status, author=author)
    answer.proofs.append(sign_status(DEVICE, said, to, status, 1_800_000_000_000))
    return answer


def test_signed_messages_and_answers_take_the_fast_path_and_arrive_as_they_were(talk):
    said = [signed(number) for number in (11, 12)]
    answers = [signed_ack(each) for each in said]
    talk.take(ANN, *(encode("MESSAGE", each) for each in said), *written(13))
    talk.take(BOB, *(encode("MESSAGE_ACK", each) for each in answers), *acknowledged(13))
    assert talk.bob.take() == [*said, message(ANN, 13, BOB, "hello")]
    for each, came in zip(said, told := talk.ann.take(), strict=False):
        assert is_status_signed(each, BOB, Status.DELIVERED, came.proofs[0])
    assert not told[2].proofs


def test_a_signed_message_that_comes_again_is_recognised_however_it_is_signed_then(talk):
    talk.take(ANN, encode("MESSAGE", signed(11)))
    talk.take(BOB, *acknowledged(11))
    for again in (signed(11), message(ANN, 11, BOB, "hello")):
        talk.node.from_client(ANN, *frames(encode("MESSAGE", again)))
    assert texts(talk.bob) == [11]
    assert [each.messageSnowflake for each in talk.ann.take()] == [11, 11, 11]


def test_what_was_learnt_of_signed_ones_is_good_for_the_next_and_for_unsigned_ones():
    talk = Talk()
    amy = talk.node.connect(AMY)
    for number, said in ((5, signed(5, AMY)), (6, signed(6, AMY)), (7, message(AMY, 7, BOB, "hello"))):
        talk.node.from_client(AMY, *frames(encode("MESSAGE", said)))
        answer = (
            signed_ack(said, author=AMY) if said.HasField("proof") else ack(number, Status.DELIVERED, author=AMY)
        )
        (frame,) = frames(encode("MESSAGE_ACK", answer))
        assert talk.node.takes_the_fast_path(BOB, frame) is (number != 5)
        if number == 5:
            talk.node.from_client(BOB, frame)
        talk.node.end_turn()
        (came,) = amy.take()
        assert [each.SerializeToString() for each in came.proofs] == [
            each.SerializeToString() for each in answer.proofs
        ]


def damaged():
    """Payloads of messages and answers, of which field 140 is of another shape than Parley's."""
    proof = signed(11).SerializeToString()[-AUTHOR_PROOF:]
    yield from (proof[:-1], proof + proof, proof + b"\x08\x0c", proof[:-1] + b"\n", b"\x08\x0c" + proof)
    for at in (0, 2, 3, 5, 38, 40, 105, 115):
        yield proof[:at] + bytes([proof[at] ^ 1]) + proof[at + 1 :]


@pytest.mark.parametrize("tail", list(damaged()), ids=lambda tail: tail.hex()[-12:])
def test_a_proof_of_another_shape_is_left_to_the_router(talk, tail):
    payload = message(ANN, 11, BOB, "hello").SerializeToString() + tail
    (came,) = frames(encode_frame("MESSAGE", payload))
    assert talk.node.router.fast_path.route(ANN, [came], 0, talk.node.now) == 0


def test_an_answer_with_a_proof_of_another_shape_is_left_to_the_router(talk):
    said = signed(11)
    talk.take(ANN, encode("MESSAGE", said))
    payload = signed_ack(said).SerializeToString()
    for at in (0, 2, 3, 5, 38, 40, 105, 114):
        place = len(payload) - STATUS_PROOF + at
        bad = payload[:place] + bytes([payload[place] ^ 1]) + payload[place + 1 :]
        (came,) = frames(encode_frame("MESSAGE_ACK", bad))
        assert talk.node.router.fast_path.route(BOB, [came], 0, talk.node.now) == 0
    talk.take(BOB, encode_frame("MESSAGE_ACK", payload))


def test_what_may_be_on_disk_is_left_to_the_router_wherever_in_a_table_it_is(talk):
    """Both ways to look it up divide a table alike."""
    node, on_disk = talk.node, talk.node.disk.stored_keys
    for number in range(100, 164):
        said = message(ANN, number, BOB, "hello")
        if number % 2:
            on_disk.add(fingerprint(node.router._keys.of(ANN, BOB, None, said)))
        (came,) = frames(encode("MESSAGE", said))
        assert node.router.fast_path.route(ANN, [came], 0, node.now) == (0 if number % 2 else 1)
    on_disk.mark()
    (came,) = frames(*written(101))
    assert node.router.fast_path.route(ANN, [came], 0, node.now) == 0


def test_equal_numbers_of_two_authors_are_told_apart(talk):
    """An answer names no author: the older message is meant, and both must be known where that is decided."""
    amy = talk.node.connect(AMY)
    talk.node.send(AMY, 5, BOB, "hello")
    talk.node.ack(BOB, 5)
    amy.take()
    for number, held in ((11, False), (12, True)):
        talk.take(ANN, *written(number))
        if held:  # by the router
            talk.node.pass_time(0.2)
        [frame] = frames(*written(number, author=AMY))
        assert not talk.node.takes_the_fast_path(AMY, frame)
        talk.node.from_client(AMY, frame)
        talk.node.ack(BOB, number)
        assert numbered([talk.ann, amy]) == [[number], []]
        talk.node.ack(BOB, number)
        assert numbered([talk.ann, amy]) == [[], [number]]


@pytest.mark.parametrize("run", [1, 3, 100])
def test_what_a_dead_link_was_told_last_is_owed_and_no_more_of_it(talk, run):
    """The last hundred statuses, in whatever runs they were told; memory holds no more than a hundred runs."""
    numbers = [*range(1000, 1300)]
    for first in range(0, len(numbers), run):
        talk.take(ANN, *written(*numbers[first : first + run]))
        talk.take(BOB, *acknowledged(*numbers[first : first + run]))
    assert len(talk.node.engine.state.unconfirmed_statuses[talk.ann]) == (1 if run == 100 else 100)
    talk.node.disconnect(ANN, talk.ann)
    assert numbered([talk.node.connect(ANN)]) == [numbers[-100:]]


def test_who_left_is_forgotten_and_hears_all_once_they_are_back(talk):
    node = talk.node
    held = len(node.router._dispatcher._in_flight)
    node.disconnect(BOB, talk.bob)
    assert len(node.router._dispatcher._in_flight) == held - 1
    node.send(ANN, 30, BOB, "hello")
    bob = node.connect(BOB)
    node.send(ANN, 31, BOB, "hello")
    assert texts(bob) == [30, 31]
    node.ack(BOB, 30)
    node.ack(BOB, 31)
    node.disconnect(BOB, bob)
    bob = node.connect(BOB)
    node.send(ANN, 32, BOB, "hello")
    assert len(node.router.fast_path) == 1  # the flow from before led to who is not there any more
    node.disconnect(BOB, bob)
    bob = node.connect(BOB)
    assert texts(bob) == [32]


TABLES = ["clients", "servers", "queues", "unconfirmed_statuses", "stored_keys", "delivered_keys"]


@pytest.mark.parametrize("table", TABLES)
def test_nobody_can_give_chat_another_table_than_the_core_reads(talk, table):
    for state in (talk.node.engine.state, talk.node.roster.state):
        with pytest.raises(AttributeError):
            setattr(state, table, {})
        with pytest.raises(AttributeError):
            delattr(state, table)


@pytest.mark.parametrize("table", ["held", "by_number"])
def test_nobody_can_give_a_destination_another_table_than_the_core_reads(talk, table):
    with pytest.raises(AttributeError):
        setattr(talk.node.router._dispatcher.in_flight_to(BOB), table, {})


@pytest.mark.parametrize("owner", ["roster", "mailbox"])
def test_nobody_can_give_a_part_of_chat_another_state(talk, owner):
    with pytest.raises(AttributeError):
        getattr(talk.node, owner).state = ChatState()


def test_all_of_chat_has_one_state_and_links_that_outlive_it(talk):
    node, state = talk.node, talk.node.engine.state
    for part in (node.mailbox, node.router._dispatcher, node.router._statuses):
        assert (part.state if part is node.mailbox else part._state) is state
    assert (state.clients, state.servers) == (node.roster.state.clients, node.roster.state.servers)
    assert state.clients is node.roster.state.clients
    assert state.servers is node.roster.state.servers
    assert (state.stored_keys, state.delivered_keys) == (node.disk.stored_keys, node.disk.delivered_keys)


def test_other_tables_of_keys_than_before_are_looked_into_at_once(talk):
    """A table is renewed while chat runs: the core has no memory of the one before."""
    node = talk.node
    said = message(ANN, 11, BOB, "hello")
    key = node.router._keys.of(ANN, BOB, None, said)
    (came,) = frames(encode("MESSAGE", said))
    stored, delivered = node.disk.stored_keys.tables, node.disk.delivered_keys.table
    node.disk.stored_keys.tables = [empty_table()]
    node.disk.stored_keys.add(fingerprint(key))
    assert not node.takes_the_fast_path(ANN, came)
    node.disk.stored_keys.tables = stored
    node.disk.delivered_keys.table = bytearray(len(delivered))
    node.disk.delivered_keys.add(key)
    assert not node.takes_the_fast_path(ANN, came)
    node.disk.delivered_keys.table = delivered
    assert node.takes_the_fast_path(ANN, came)


def test_whoever_is_blocked_is_not_heard_any_more(talk):
    talk.node.engine.blocks.add(BOB.user_id, ANN)
    talk.node.send(ANN, 11, BOB, "hello")
    assert talk.ann.statuses() == [(11, BOB, "USER_BLOCKED")]
    assert not talk.bob.sent


@pytest.mark.parametrize("text", [b"\xc3\x28", b"\xed\xa0\x80", b"\xff", b"0123456789abcde\x80"])
def test_what_is_no_text_is_not_passed_on(talk, text):
    payload = message(ANN, 11, BOB).SerializeToString().removesuffix(b"\x5a\0") + b"\x5a%c" % len(text) + text
    [frame] = frames(b"MESSAGE %d %b\n" % (len(payload), payload))
    assert not talk.node.takes_the_fast_path(ANN, frame)
    assert not talk.bob.sent


def test_what_waits_goes_out_before_what_is_new(talk):
    talk.node.disconnect(BOB, talk.bob)
    talk.node.send(ANN, 11, BOB, "hello")
    talk.bob.sent.clear()
    talk.node.roster.add_client(BOB, talk.bob)  # and the router is not told yet
    talk.node.send(ANN, 12, BOB, "hello")
    assert numbered([talk.bob])[0][-2:] == [11, 12]


def test_a_link_that_fails_keeps_nothing_from_the_others(talk):
    other = talk.node.connect(BOB, Broken())
    talk.bob.error = OSError("broken")
    with pytest.raises(OSError, match="broken"):
        talk.take(ANN, *written(11))
    assert numbered([other]) == [[11]]
    other.error = ValueError("broken, too")
    with pytest.raises(OSError, match="broken"):  # the first of both
        talk.take(ANN, *written(10))
    talk.bob.error = other.error = None
    talk.take(ANN, *written(12))
    talk.take(BOB, *acknowledged(12))
    assert numbered([talk.bob, other, talk.ann]) == [[12], [12], [12]]


def test_what_failed_is_as_much_on_its_way_as_what_did_not(talk):
    talk.bob.error = OSError("broken")
    with pytest.raises(OSError, match="broken"):
        talk.take(ANN, *written(11))
    talk.node.disconnect(BOB, talk.bob)
    [again] = numbered([talk.node.connect(BOB)])
    assert again[-1] == 11


def test_an_answer_that_names_two_numbers_teaches_nothing(talk):
    talk.node.router.fast_path.forget_all()
    talk.node.send(ANN, 11, BOB, "hello")
    talk.bob.take()
    twice = ack(99, Status.DELIVERED).SerializeToString() + ack(11).SerializeToString()
    [frame] = frames(b"MESSAGE_ACK %d %b\n" % (len(twice), twice))
    talk.node.from_client(BOB, frame)
    assert numbered([talk.ann]) == [[11]]
    talk.take(ANN, *written(12))
    twice = ack(12, Status.DELIVERED).SerializeToString() + ack(11).SerializeToString()
    [frame] = frames(b"MESSAGE_ACK %d %b\n" % (len(twice), twice))
    assert not talk.node.takes_the_fast_path(BOB, frame)


class Meddling(Sink):
    """A link that calls back into what writes to it."""

    meddle = staticmethod(lambda: None)

    def send_run(self, raw, name, count):
        self.meddle()
        super().send_run(raw, name, count)


def test_a_batch_cannot_begin_within_another():
    talk = Talk(sink=Meddling)
    talk.bob.meddle = lambda: talk.take(BOB, *written(21, author=BOB, to=ANN))
    with pytest.raises(RuntimeError, match="in the midst"):
        talk.take(ANN, *written(11))
    talk.bob.meddle = lambda: None
    talk.take(ANN, *written(12))
    assert numbered([talk.bob]) == [[12]]


def test_links_may_come_and_go_while_a_batch_is_sent():
    talk = Talk(sink=Meddling)
    talk.bob.meddle = lambda: talk.node.disconnect(ANN, talk.ann)
    talk.take(ANN, *written(11))
    assert numbered([talk.bob]) == [[11]]


class Counted(Sink):
    """A link that can be watched; it knows its node, as links do."""

    def __init__(self, node=None):
        super().__init__()
        self.node = node


def test_a_router_that_is_let_go_takes_the_core_and_its_links_along():
    talk = Talk(sink=Counted)
    talk.ann.node = talk.bob.node = talk.node
    talk.take(ANN, *written(11, 12))  # the first by the router's hands soon, the second still on its way
    talk.node.router._dispatcher.adopt(talk.node.router.fast_path.settle(BOB))
    talk.take(ANN, *written(13))
    watched = [weakref.ref(each) for each in (talk.node, talk.bob, talk.node.router, talk.node.router.fast_path)]
    del talk
    gc.collect()
    assert [each() for each in watched] == [None] * 4


def go_round():
    """All that a router does, and some of what goes wrong; on disk and in memory nothing is to stay."""
    talk = Talk(sink=Broken)
    node, other = talk.node, talk.node.connect(BOB, Broken())
    talk.take(ANN, *written(11, 12, 13))
    talk.take(BOB, *acknowledged(11), *written(21, author=BOB, to=ANN))
    talk.bob.error = talk.ann.error = KeyError("broken")
    with pytest.raises(KeyError):
        talk.take(ANN, *written(14, 15))
    with pytest.raises(KeyError):
        talk.take(BOB, *acknowledged(12))
    talk.ann.error = None
    node.pass_time(0.2)
    node.ack(BOB, 13)
    node.send(ANN, 14, BOB, "hello")
    node.router.fast_path.forget_all()
    node.disconnect(BOB, other)
    node.disconnect(BOB, talk.bob)
    node.disconnect(ANN, talk.ann)
    with pytest.raises(TypeError):
        node.router.fast_path.route(ANN, frames(), 0)
    with pytest.raises(IndexError):
        node.router.fast_path.route(ANN, frames(), -1, 0.0)
    for number in (0, 1 << 64):
        with pytest.raises((OverflowError, TypeError)):
            node.router.fast_path.core.learn(number)
    reader = FrameReader(20)
    reader.feed(b"PING 0 \nPING 21 ")
    assert reader.error is not None


def test_rounds_of_everything_leave_nothing_behind():
    """Neither objects nor memory nor references to what outlives a round."""
    for _ in range(3):
        go_round()
    found = []
    tracemalloc.start()
    try:
        for _ in range(4):
            for _ in range(ROUNDS):
                go_round()
            gc.collect()
            kept = [sys.getrefcount(each) for each in (ANN, BOB, ANN.user_id, "alpha", None, core.FastPath)]
            found.append((len(gc.get_objects()), *kept, tracemalloc.get_traced_memory()[0] // ROUNDS))
    finally:
        tracemalloc.stop()
    before, *_, after = found
    assert all(late < early + ROUNDS for early, late in zip(before[:-1], after[:-1], strict=True)), found
    a_round = (after[-1] - before[-1]) / (len(found) - 1)
    assert a_round < 100, f"{found}: bytes; Python itself remembers the names that it looked up lately"


def test_one_that_the_router_took_later_than_its_read_came_is_written_before_the_next_of_the_read():
    """Reads have one time, which is that of the fast path's; the router looks at the clock for each message."""
    node = Node("alpha")
    node.commits = False
    for each in (ANN, AMY):
        node.connect(each)
    node.link("beta")
    there = User("bob", "beta")
    node.send(AMY, 1, there)  # the next that has its number is left to the router
    read = frames(*written(1, 2, to=there))
    assert not node.takes_the_fast_path(ANN, read[0])
    came, node.now = node.now, node.now + 0.001
    node.route_from_client(ANN, read[0])
    node.now = came
    assert node.takes_the_fast_path(ANN, read[1])
    node.pass_time(1.0)
    node.disk.commit_all()
    assert [row.snowflake for row in node.disk.messages.values() if row.author == ANN] == [1, 2]
