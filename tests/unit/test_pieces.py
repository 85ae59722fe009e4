"""What is large, in pieces: how much may be on its way, where it goes on, and what lies half received."""

from hashlib import blake2b

import pytest

from parley.shared.errors import UnexpectedMessage
from parley.shared.wire import pieces
from parley.shared.wire.messages import pb
from parley.shared.wire.pieces import Limits, Partials, Sending, Taken, Whole, Window

DATA = bytes(range(256)) * 400
"""100 KiB."""
LIMIT = 2 * 1024 * 1024
OK, LATER, REFUSED = pb.PieceReceived.OK, pb.PieceReceived.LATER, pb.PieceReceived.REFUSED


class Transfer:
    """Both sides, joined: each piece takes `trip` seconds, and its answer none."""

    def __init__(self, data=DATA, trip=0.01, window=None, partials=None, link="link"):
        self.now, self.trip, self.link = 100.0, trip, link
        self.partials = partials if partials is not None else Partials(Limits(LIMIT))
        self.window = window or Window()
        self.sending = Sending(data, self.window)
        self.lengths = []
        self.taken = None
        self.give(self.sending.question())

    def give(self, piece):
        whole = Whole.read(piece.whole)
        taken = self.partials.receive("beta", self.link, whole, piece.offset, piece.data, self.now)
        self.taken = taken.data or self.taken
        return self.sending.answer(taken.offset, self.now)

    def round(self):
        """Send what may go out, then let all of it arrive."""
        sent = []
        while (piece := self.sending.next_piece(self.now)) is not None:
            sent.append(piece)
        self.lengths.append([len(piece.data) for piece in sent])
        self.now += self.trip
        for piece in sent:
            self.give(piece)

    def run(self, rounds=1000):
        while not self.sending.is_done and rounds:
            self.round()
            rounds -= 1
        return self


def test_all_pieces_together_are_the_whole():
    done = Transfer().run()
    assert done.taken == DATA
    assert sum(map(sum, done.lengths)) == len(DATA)


def test_what_is_on_its_way_grows_while_answers_are_quick():
    done = Transfer(bytes(1_000_000)).run()
    totals = [sum(each) for each in done.lengths]
    assert totals[:4] == [pieces.FIRST, 2 * pieces.FIRST, 4 * pieces.FIRST, 8 * pieces.FIRST]
    assert max(max(each) for each in done.lengths) == pieces.PIECE


def test_what_is_on_its_way_shrinks_at_a_slow_line():
    """At 2 kB/s nobody waits for more than about a second behind it."""
    slow = Transfer(DATA, trip=4.0)
    slow.round()
    slow.trip = 2.0
    slow.round()
    slow.trip = 1.5
    slow.round()
    assert [sum(each) for each in slow.lengths] == [pieces.FIRST, pieces.FIRST // 2, pieces.FIRST // 4]


def test_it_goes_on_where_a_link_broke():
    first = Transfer()
    first.round()
    first.round()
    have = first.sending.received
    assert 0 < have < len(DATA)
    first.sending.next_piece(first.now)  # lost with the link
    again = Transfer(partials=first.partials, link="another")
    assert again.sending.received == have
    again.run()
    assert again.taken == DATA
    assert sum(map(sum, again.lengths)) == len(DATA) - have


def test_it_begins_again_where_the_other_side_has_forgotten_it():
    first = Transfer()
    first.round()
    first.partials = Partials(Limits(LIMIT))
    first.run()
    assert first.taken == DATA


def test_a_piece_that_could_not_pass_is_halved_on_the_next_link_and_one_that_was_only_cut_off_is_not():
    window = Window()
    sending = Transfer(window=window).sending
    sending.next_piece(200.0)
    window.lost(200.1)
    assert window.size == pieces.FIRST
    sizes = []
    for _ in range(6):
        sending = Transfer(window=window).sending
        sending.next_piece(200.0)
        window.lost(211.0)
        sizes.append(window.size)
    assert sizes == [4096, 2048, 1024, 512, 512, 512]
    assert window.piece == pieces.LEAST


def test_the_smallest_window_lets_one_piece_out_at_a_time():
    window = Window()
    window.size = pieces.LEAST
    done = Transfer(DATA[:5000], window=window, trip=0.5).run()
    assert all(len(each) == 1 for each in done.lengths)
    assert done.taken == DATA[:5000]


def test_who_says_to_have_what_was_never_sent_is_not_believed():
    transfer = Transfer()
    with pytest.raises(UnexpectedMessage):
        transfer.sending.answer(1, 100.0)
    with pytest.raises(UnexpectedMessage):
        Sending(DATA, Window()).answer(len(DATA) + 1, 100.0)


def test_bytes_that_are_not_what_was_announced_are_not_handed_on():
    partials = Partials(Limits(LIMIT))
    whole = Whole.of(b"right")
    assert partials.receive("beta", 1, whole, 0, b"wrong", 0.0) == Taken(0)
    assert len(partials) == 0
    assert partials.receive("beta", 1, whole, 0, b"right", 0.0) == Taken(5, data=b"right")


def test_a_question_costs_nothing():
    partials = Partials(Limits(LIMIT))
    for number in range(1000):
        assert partials.receive("beta", 1, Whole(bytes(28) + number.to_bytes(4), 9), 0, b"", 0.0) == Taken(0)
    assert len(partials) == 0


def test_pieces_may_come_twice_and_overlap_and_what_leaves_a_gap_is_not_taken():
    partials, whole = Partials(Limits(LIMIT)), Whole.of(b"abcdefgh")
    assert partials.receive("beta", 1, whole, 0, b"abc", 0.0).offset == 3
    assert partials.receive("beta", 1, whole, 0, b"abc", 0.0).offset == 3
    assert partials.receive("beta", 1, whole, 5, b"fg", 0.0).offset == 3
    assert partials.receive("beta", 1, whole, 2, b"cdefghi", 0.0).offset == 3  # longer than all of it
    assert partials.receive("beta", 1, whole, 1, b"bcde", 0.0).offset == 5
    assert partials.receive("beta", 1, whole, 5, b"fgh", 0.0).data == b"abcdefgh"


def test_what_was_whole_is_handed_on_once_to_each_link_that_asks():
    partials, whole = Partials(Limits(LIMIT)), Whole.of(b"abc")
    assert partials.receive("beta", "one", whole, 0, b"abc", 0.0).data == b"abc"
    assert partials.receive("beta", "one", whole, 0, b"", 0.0) == Taken(3)
    assert partials.receive("beta", "two", whole, 0, b"", 0.0) == Taken(3, data=b"abc")
    assert partials.receive("beta", "two", whole, 0, b"abc", 0.0) == Taken(3)


def test_one_peer_has_its_share_and_what_is_too_large_is_refused():
    limited = []
    partials = Partials(Limits(1000, peer_wholes=3, peer_bytes=1500), limited.append)
    wholes = [Whole(blake2b(bytes([n]), digest_size=32).digest(), 1000) for n in range(9)]
    assert partials.receive("beta", 1, Whole(bytes(32), 1001), 0, b"x", 0.0) == Taken(0, REFUSED)
    for whole in wholes[:3]:
        assert partials.receive("beta", 1, whole, 0, bytes(400), 0.0) == Taken(400, OK)
    assert partials.receive("beta", 1, wholes[3], 0, b"x", 0.0) == Taken(0, LATER)
    assert partials.receive("beta", 1, wholes[0], 400, bytes(400), 0.0) == Taken(400, LATER)
    assert partials.receive("gamma", 1, wholes[3], 0, b"x", 0.0) == Taken(1)
    assert limited == ["bytes", "messages", "bytes"]
    assert partials.receive("beta", 1, wholes[0], 400, bytes(300), 40.0) == Taken(700)
    assert partials.receive("beta", 1, wholes[3], 0, b"x", 40.0) == Taken(1)  # one that lay idle made room
    assert partials.size == 700 + 400 + 1 + 1


def test_who_has_most_makes_room_for_who_has_less():
    limited = []
    partials = Partials(Limits(1000, peer_bytes=3000, all_bytes=3000), limited.append)
    wholes = [Whole(bytes([n]) * 32, 1000) for n in range(9)]
    for whole in wholes[:3]:
        assert partials.receive("evil", 1, whole, 0, bytes(999), 0.0).result == OK
    assert partials.receive("beta", 1, wholes[0], 0, bytes(900), 0.0) == Taken(900, OK)
    assert partials.receive("evil", 1, wholes[3], 0, bytes(900), 0.0) == Taken(0, LATER)
    assert partials.size <= 3000
    assert limited == ["bytes", "bytes"]


def test_what_nobody_goes_on_with_is_forgotten():
    partials, whole = Partials(Limits(LIMIT, expiry=100.0)), Whole.of(b"abc")
    partials.receive("beta", 1, whole, 0, b"ab", 50.0)
    partials.expire(149.0)
    assert len(partials) == 1
    partials.expire(161.0)
    assert (len(partials), partials.size) == (0, 0)


@pytest.mark.parametrize("wrong", [pb.Whole(hash=bytes(31), size=1), pb.Whole(hash=bytes(32))])
def test_a_piece_of_nothing_is_unexpected(wrong):
    with pytest.raises(UnexpectedMessage):
        Whole.read(wrong)
