"""Something large holds up nobody but its own pair: in pieces, after a loss, and when it never passes."""

import pytest

from parley.services.chat.delivery import lanes, paths
from parley.services.chat.message.statuses import Status
from parley.shared.addresses import User
from parley.shared.wire.framing import encode_frame, read_datagram
from parley.shared.wire.messages import decode, encode, pb
from parley.shared.wire.pieces import Limits, Partials, Whole
from tests.support.sinks import Node, Sink

ANN, AMY = User("ann", "alpha"), User("amy", "alpha")
BOB, BEN = User("bob", "beta"), User("ben", "beta")
LARGE, MEDIUM = "x" * 600_000, "x" * 20_000
TTL = 1000.0
OK, LATER, REFUSED = pb.PieceReceived.OK, pb.PieceReceived.LATER, pb.PieceReceived.REFUSED


class Beta:
    """The other server: what came over a link, whole or in pieces; its memory outlives the link."""

    def __init__(self, node):
        self.node = node
        self.partials = Partials(Limits(3_000_000))
        self.taken = []
        self.link = None
        self.links = 0

    def connect(self, *, takes_pieces=True):
        self.links += 1
        self.link = self.node.link("beta", Sink(), takes_pieces=takes_pieces)
        return self

    def lose(self, *, cleanly=False):
        self.node.unlink("beta", self.link, cleanly=cleanly)
        self.link = None

    def frames(self):
        """What was sent since the last look."""
        found = [read_datagram(raw) for raw in self.link.sent]
        self.link.sent.clear()
        return found

    def take(self, frames):
        """Take frames as a server does, and answer pieces; the numbers of the messages that are whole now."""
        numbers = []
        for frame in frames:
            if frame.name == "MESSAGE":
                numbers.append(decode(frame, pb.ChatMessage).messageSnowflake)
            else:
                numbers += self.take_piece(decode(frame, pb.Piece))
        self.taken += numbers
        return numbers

    def take_piece(self, piece):
        got = self.partials.receive(
            "alpha", self.links, Whole.read(piece.whole), piece.offset, piece.data, self.node.now
        )
        self.answer(piece, got.offset, got.result)
        if got.data is None:
            return []
        return [decode(read_datagram(encode_frame("MESSAGE", got.data)), pb.ChatMessage).messageSnowflake]

    def answer(self, piece, offset, result=OK):
        received = pb.PieceReceived(whole=piece.whole, offset=offset, result=result)
        self.node.from_server("beta", read_datagram(encode("PIECE_RECEIVED", received)))

    def run(self):
        """Take all that comes, until nothing does."""
        numbers = []
        while self.link.sent:
            numbers += self.take(self.frames())
        return numbers

    def confirm(self, number, whose, author):
        self.node.answer("beta", number, (whose, Status.DELIVERED), author=author)


@pytest.fixture
def node():
    return Node("alpha", mailbox=20_000, stuck_ttl=TTL)


@pytest.fixture(autouse=True)
def ann(node):
    return node.connect(ANN)


@pytest.fixture
def beta(node):
    return Beta(node).connect()


def names(frames):
    return [frame.name for frame in frames]


def end(node, beta, *sent):
    """Have each message of (number, to) of ann's confirmed; nothing is left of any of it."""
    for number, to in sent:
        beta.confirm(number, to, ANN)
    node.pass_time(1)
    assert node.is_at_rest
    assert len(node.router._dispatcher._lanes) == 0


# In pieces ------------------------------------------------------------------------------------------


def test_what_is_large_goes_in_pieces_to_who_takes_them_and_is_delivered_once(node, ann, beta):
    node.send(ANN, 1, BOB, LARGE)
    assert beta.run() == [1]
    end(node, beta, (1, BOB))
    assert ann.statuses() == [(1, BOB, "DELIVERED")]


def test_what_is_large_goes_whole_to_who_does_not(node):
    beta = Beta(node).connect(takes_pieces=False)
    node.send(ANN, 1, BOB, LARGE)
    assert names(beta.frames()) == ["MESSAGE"]
    end(node, beta, (1, BOB))


@pytest.mark.parametrize("text", ["", "x" * 30_000])
def test_what_is_not_large_goes_whole(node, beta, text):
    node.send(ANN, 1, BOB, text)
    assert names(beta.frames()) == ["MESSAGE"]
    end(node, beta, (1, BOB))


def test_others_go_in_between_and_the_same_pair_waits(node, beta):
    amy = node.connect(AMY)
    node.send(ANN, 1, BOB, LARGE)
    first = beta.frames()
    node.send(ANN, 2, BOB, "behind it")
    node.send(ANN, 3, BEN, "to somebody else")
    node.send(AMY, 4, BOB, "of somebody else")
    assert beta.take(beta.frames()) == [3, 4]
    assert beta.take(first) == []
    assert beta.run() == [1, 2]
    beta.confirm(4, BOB, AMY)
    end(node, beta, (1, BOB), (2, BOB), (3, BEN))
    assert amy.statuses() == [(4, BOB, "DELIVERED")]


def test_several_large_ones_of_a_pair_keep_their_order(node, beta):
    for number in range(1, 7):
        node.send(ANN, number, BOB, LARGE if number % 2 else "")
    node.send(ANN, 7, BEN, LARGE)
    assert [number for number in beta.run() if number != 7] == [1, 2, 3, 4, 5, 6]
    end(node, beta, *((n, BOB) for n in range(1, 7)), (7, BEN))


def test_what_is_on_its_way_and_on_disk_is_read_by_nobody_else(node, beta):
    """Of two pairs the second large one waits on disk only, behind the first, which is there, too."""
    node.connect(AMY)
    node.send(ANN, 1, BOB, LARGE)
    node.send(AMY, 2, BEN, LARGE)
    node.pass_time(1)
    node.send(ANN, 3, BOB, LARGE)
    node.send(AMY, 4, BEN, LARGE)
    node.send(ANN, 5, User("others", "beta"))
    node.pass_time(1)
    assert sorted(beta.run()) == [1, 2, 3, 4, 5]
    for number in (2, 4):
        beta.confirm(number, BEN, AMY)
    end(node, beta, (1, BOB), (3, BOB), (5, User("others", "beta")))


def test_many_large_ones_go_a_few_at_a_time(node, beta):
    people = [User(f"ben{n}", "beta") for n in range(10)]
    for number, person in enumerate(people, 1):
        node.send(ANN, number, person, LARGE)
    assert len(beta.frames()) == lanes.TRANSFERS  # a question each
    assert len(node.router._dispatcher._lanes.paths["beta"].active) == len(people)


def test_it_goes_on_over_the_next_link_where_it_stood(node, beta):
    node.send(ANN, 1, BOB, LARGE)
    for _ in range(3):
        beta.take(beta.frames())
    node.send(ANN, 2, BOB, "behind it")
    have = beta.partials.size
    assert 0 < have < 600_000
    beta.frames()  # lost on its way
    beta.lose()
    node.send(ANN, 3, BEN, "others first")
    beta.connect()
    frames = beta.frames()
    assert names(frames) == ["MESSAGE", "PIECE"]
    assert beta.take(frames) == [3]
    assert decode(read_datagram(beta.link.sent[0]), pb.Piece).offset == have
    assert beta.run() == [1, 2]
    end(node, beta, (1, BOB), (2, BOB), (3, BEN))


def test_it_begins_again_where_the_other_server_was_restarted(node, beta):
    node.send(ANN, 1, BOB, LARGE)
    for _ in range(3):
        beta.take(beta.frames())
    beta.lose()
    beta.partials = Partials(Limits(3_000_000))
    beta.connect()
    assert beta.run() == [1]
    end(node, beta, (1, BOB))


def test_a_server_that_was_restarted_gets_it_over_each_link_without_a_wait(node, beta):
    """Also before it has as much as it had before."""
    node.send(ANN, 1, BOB, LARGE)
    for _ in range(3):
        beta.take(beta.frames())
    have = beta.partials.size
    beta.lose()
    beta.partials = Partials(Limits(3_000_000))
    for _ in range(2):
        beta.connect()
        frames = beta.frames()
        assert names(frames) == ["PIECE"]
        beta.take(frames)
        beta.take(beta.frames()[:1])
        beta.lose()
    assert 0 < beta.partials.size < have
    beta.connect()
    assert beta.run() == [1]
    end(node, beta, (1, BOB))


def test_a_server_that_forgets_each_time_what_it_has_is_not_sent_it_for_ever(node, ann, beta):
    node.send(ANN, 1, BOB, LARGE)
    while node.now < TTL + 50:
        for _ in range(2):
            beta.take(beta.frames())
        beta.lose()
        beta.partials = Partials(Limits(3_000_000))
        node.pass_time(10)
        beta.connect()
    assert ann.statuses()[-1] == (1, BOB, "OTHER_ERROR")
    node.pass_time(1)
    assert node.is_at_rest


def test_it_goes_on_after_a_restart_of_this_server(node, beta):
    node.send(ANN, 1, BOB, LARGE)
    for _ in range(3):
        beta.take(beta.frames())
    node.send(ANN, 2, BOB, "behind it")
    node.pass_time(1)
    have = beta.partials.size
    node.disk.crash()
    node.start()
    node.end_turn()
    beta.connect()
    frames = beta.frames()
    assert names(frames) == ["PIECE"]
    beta.take(frames)
    assert decode(read_datagram(beta.link.sent[0]), pb.Piece).offset == have
    assert beta.run() == [1, 2]


def test_an_answer_lost_with_the_link_is_asked_for_and_nothing_is_sent_again(node, beta):
    node.send(ANN, 1, BOB, LARGE)
    assert beta.run() == [1]
    beta.lose()
    beta.connect()
    node.pass_time(paths.FIRST_WAIT)
    frames = beta.frames()
    assert names(frames) == ["PIECE"]
    assert beta.take(frames) == [1]  # once more to who recognises it
    assert not beta.link.sent
    end(node, beta, (1, BOB))


def test_who_has_no_room_is_asked_again_later_and_holds_up_nobody(node, beta):
    node.send(ANN, 1, BOB, LARGE)
    (question,) = beta.frames()
    beta.answer(decode(question, pb.Piece), 0, LATER)
    node.send(ANN, 2, BEN, LARGE)
    assert beta.run() == [2]
    node.pass_time(paths.NO_ROOM_WAIT)
    assert beta.run() == [1]
    end(node, beta, (1, BOB), (2, BEN))


def test_what_is_too_large_there_is_given_up_at_once(node, ann, beta):
    node.send(ANN, 1, BOB, LARGE)
    node.send(ANN, 2, BOB, "behind it")
    (question,) = beta.frames()
    beta.answer(decode(question, pb.Piece), 0, REFUSED)
    assert ann.statuses() == [(1, BOB, "OTHER_ERROR")]
    assert beta.run() == [2]
    end(node, beta, (2, BOB))


# After a loss -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("takes_pieces", [False, True])
def test_after_a_loss_all_others_go_first_and_within_the_pair_nothing_overtakes(node, takes_pieces):
    beta = Beta(node).connect(takes_pieces=takes_pieces)
    node.send(ANN, 1, BOB, "before it")
    node.send(ANN, 2, BOB, MEDIUM)
    node.send(ANN, 3, BOB, "behind it")
    node.send(ANN, 4, BEN, "to somebody else")
    beta.frames()
    beta.lose()
    node.send(ANN, 5, BEN, "while there is no link")
    node.send(ANN, 6, BOB, "while there is no link")
    beta.connect(takes_pieces=takes_pieces)
    assert beta.run() == [4, 5]
    node.send(ANN, 7, BEN, "over the next link")
    node.send(ANN, 8, BOB, "over the next link")
    assert beta.run() == [7]
    node.pass_time(paths.FIRST_WAIT)
    assert beta.run() == [1, 2, 3, 6, 8]
    end(node, beta, *((n, BOB) for n in (1, 2, 3, 6, 8)), *((n, BEN) for n in (4, 5, 7)))


def test_what_cannot_pass_is_tried_later_each_time_and_one_at_a_time(node):
    beta = Beta(node).connect(takes_pieces=False)
    node.send(ANN, 1, BOB, MEDIUM)
    node.send(ANN, 2, BEN, MEDIUM)
    beta.frames()
    times = []
    for _ in range(8):
        beta.lose()
        lost, number = node.now, 100 + len(times)
        beta.connect(takes_pieces=False)
        node.send(ANN, number, User("others", "beta"), "")
        assert beta.run() == [number]
        beta.confirm(number, User("others", "beta"), ANN)
        while not beta.link.sent:
            node.pass_time(0.5)
        times.append(node.now - lost)
        assert len(beta.frames()) == 1
    assert times == [1, 2, 4, 8, 16, 32, 60, 60]
    node.pass_time(0)


def test_once_one_has_passed_the_others_are_tried_at_once(node):
    beta = Beta(node).connect(takes_pieces=False)
    people = [User(f"ben{n}", "beta") for n in range(5)]
    for number, person in enumerate(people, 1):
        node.send(ANN, number, person, MEDIUM)
    beta.frames()
    beta.lose()
    beta.connect(takes_pieces=False)
    node.pass_time(paths.FIRST_WAIT)
    for number, person in enumerate(people, 1):
        assert beta.run() == [number]
        beta.confirm(number, person, ANN)
    end(node, beta)


def test_a_link_that_was_ended_and_not_lost_makes_nothing_suspect(node):
    beta = Beta(node).connect(takes_pieces=False)
    node.send(ANN, 1, BOB, MEDIUM)
    node.send(ANN, 2, BEN, "")
    beta.frames()
    beta.lose(cleanly=True)
    beta.connect(takes_pieces=False)
    assert beta.run() == [1, 2]
    end(node, beta, (1, BOB), (2, BEN))


def test_a_clients_link_is_no_different(node):
    bob, ben = User("bob", "alpha"), User("ben", "alpha")
    node.connect(AMY)
    first = node.connect(bob)
    node.send(ANN, 1, bob, MEDIUM)
    node.send(ANN, 2, bob, "behind it")
    node.send(AMY, 3, bob, "of somebody else")
    assert first.snowflakes() == [1, 2, 3]
    node.disconnect(bob, first)
    second = node.connect(bob)
    assert second.snowflakes() == [3]
    node.send(AMY, 4, bob)
    assert second.snowflakes() == [4]
    node.pass_time(paths.FIRST_WAIT)
    assert second.snowflakes() == [1, 2]
    for number in (3, 4, 1, 2):
        node.ack(bob, number)
    node.pass_time(1)
    assert node.is_at_rest
    assert ben not in node.roster.state.clients


def test_what_waits_on_disk_only_finds_its_lane(node):
    """Far more waits than is held in memory, of two pairs in turn: each stays in order, the suspect one last."""
    beta = Beta(node).connect(takes_pieces=False)
    node.send(ANN, 1, BOB, MEDIUM)
    beta.frames()
    beta.lose()
    for number in range(2, 3000):
        node.send(ANN, number, BOB if number % 2 else BEN)
    beta.connect(takes_pieces=False)
    node.end_turn()
    node.send(ANN, 3001, BOB)
    node.send(ANN, 3000, BEN)
    assert beta.run() == list(range(2, 3001, 2))
    node.pass_time(paths.FIRST_WAIT)
    assert beta.run() == list(range(1, 3002, 2))
    for number in range(1, 3002):
        beta.confirm(number, BOB if number % 2 else BEN, ANN)
    node.pass_time(1)
    assert node.is_at_rest


# One number twice --------------------------------------------------------------------------------------------


def test_two_messages_of_one_number_go_one_after_the_other_and_hold_up_nobody_else(node, beta):
    for text in ("one", "another", "a third"):
        node.send(ANN, 1, BOB, text)
    node.send(ANN, 2, BOB, "behind them")
    node.send(ANN, 3, BEN, "to somebody else")
    assert beta.run() == [1, 3]
    beta.confirm(1, BOB, ANN)
    assert beta.run() == [1]
    node.pass_time(11)  # overdue: it holds up nobody any more
    assert beta.run()[:2] == [1, 2]
    beta.confirm(1, BOB, ANN)
    beta.confirm(1, BOB, ANN)
    end(node, beta, (2, BOB), (3, BEN))


# Given up --------------------------------------------------------------------------------------------------


def test_what_never_passes_is_given_up_and_what_waited_behind_it_goes(node, ann):
    beta = Beta(node).connect(takes_pieces=False)
    node.send(ANN, 1, BOB, MEDIUM)
    node.send(ANN, 2, BOB, "behind it")
    beta.frames()
    while node.now < TTL - 20:
        beta.lose()
        node.pass_time(1)
        beta.connect(takes_pieces=False)
        node.pass_time(15)
        beta.frames()
    assert [status for _number, _who, status in ann.statuses() if status != "OTHER_SERVER_TIMEOUT"] == []
    beta.lose()
    beta.connect(takes_pieces=False)
    node.pass_time(25)
    assert ann.statuses() == [(1, BOB, "UNKNOWN_STATUS")]
    node.pass_time(61)
    assert set(beta.run()) == {2}  # offered again as long as it is unanswered
    end(node, beta, (2, BOB))


def test_pieces_that_never_pass_are_given_up_as_never_delivered(node, ann, beta):
    node.send(ANN, 1, BOB, LARGE)
    beta.frames()
    for _ in range(60):
        beta.lose()
        node.pass_time(1)
        beta.connect()
        node.pass_time(16)
    assert ann.statuses()[-1] == (1, BOB, "OTHER_ERROR")
    node.pass_time(1)
    assert node.is_at_rest


@pytest.mark.parametrize(
    ("text", "takes_pieces", "status"),
    [(MEDIUM, False, "UNKNOWN_STATUS"), (MEDIUM, True, "UNKNOWN_STATUS"), (LARGE, True, "OTHER_ERROR")],
)
def test_what_was_stuck_for_too_long_while_there_was_no_link_is_given_up_with_the_next(
    node, ann, text, takes_pieces, status
):
    """However short the links are, and whenever it would be tried again; what went whole once may have arrived."""
    beta = Beta(node).connect(takes_pieces=takes_pieces)
    node.send(ANN, 1, BOB, text)
    while node.now < TTL - 40:
        beta.lose()
        node.pass_time(30)
        beta.connect(takes_pieces=takes_pieces)
        node.pass_time(0.1)
    beta.lose()
    assert {told for *_, told in ann.statuses()} == {"OTHER_SERVER_TIMEOUT"}
    node.pass_time(40)
    assert ann.statuses() == []
    beta.connect(takes_pieces=takes_pieces)
    assert ann.statuses() == [(1, BOB, status)]
    assert beta.run() == []
    node.pass_time(paths.LONGEST_WAIT)
    assert node.is_at_rest


def test_what_is_stuck_while_nothing_else_waits_is_given_up_in_time(node, ann):
    """Over one link, which nothing comes over, and without any other timer that is due by then."""
    beta = Beta(node).connect(takes_pieces=False)
    node.send(ANN, 1, BOB, MEDIUM)
    node.send(ANN, 2, BEN, MEDIUM)
    beta.lose()
    lost = node.now
    beta.connect(takes_pieces=False)
    node.pass_time(paths.FIRST_WAIT)
    assert beta.run() == [1]
    node.pass_time(5)
    beta.confirm(1, BOB, ANN)
    assert beta.run() == [2]
    node.pass_time(lost + TTL - node.now - 1)
    assert (2, BEN, "UNKNOWN_STATUS") not in ann.statuses()
    node.pass_time(1)
    assert ann.statuses() == [(2, BEN, "UNKNOWN_STATUS")]
    assert node.is_at_rest


def test_time_in_which_another_client_of_the_user_was_there_counts(node, ann):
    bob = User("bob", "alpha")
    first, _full = node.connect(bob), node.connect(bob, Sink(writable=False))
    node.send(ANN, 1, bob, MEDIUM)
    node.disconnect(bob, first)
    lost = node.now
    node.pass_time(TTL / 2)
    node.connect(bob, Sink(writable=False))
    node.pass_time(lost + TTL - node.now - 1)
    assert ann.statuses() == []
    node.pass_time(1)
    assert ann.statuses() == [(1, bob, "UNKNOWN_STATUS")]


def test_time_without_a_link_does_not_count(node):
    beta = Beta(node).connect(takes_pieces=False)
    node.send(ANN, 1, BOB, MEDIUM)
    beta.frames()
    beta.lose()
    node.pass_time(3 * TTL)
    beta.connect(takes_pieces=False)
    node.pass_time(1)
    assert beta.run() == [1]
    end(node, beta, (1, BOB))


def test_pieces_that_get_further_are_not_given_up(node, ann, beta):
    node.send(ANN, 1, BOB, LARGE)
    beta.take(beta.frames())
    for _ in range(20):
        beta.lose()
        node.pass_time(50)
        beta.connect()
        beta.take(beta.frames())
        if beta.link.sent:
            beta.take(beta.frames()[:1])
        node.pass_time(50)
    assert node.now > 1.5 * TTL
    assert {status for _number, _who, status in ann.statuses()} == {"OTHER_SERVER_TIMEOUT"}
    assert beta.run() == [1]
    end(node, beta, (1, BOB))


def test_no_waking_is_kept_for_what_is_over(node):
    beta = Beta(node).connect(takes_pieces=False)
    for number in range(1, 3000):
        node.send(ANN, number, BOB, MEDIUM)
        beta.lose()
        beta.connect(takes_pieces=False)
        beta.frames()
        beta.confirm(number, BOB, ANN)
    assert len(node.router._dispatcher._lanes._wakings) <= 2 * 1 + lanes.SLACK + 1
