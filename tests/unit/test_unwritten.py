"""What could not be written waits in its place, within limits; the rest is refused."""

import pytest

from parley.services.chat.message.life import Envelope, Input
from parley.services.chat.storage.unwritten import BYTES, MESSAGES, Unwritten, Work
from parley.shared.addresses import User

ANN, BOB, CID = User("ann", "beta"), User("bob", "alpha"), User("cid", "beta")


def work(number, *, author=ANN, to=BOB, size=10, again=True):
    """A message that is to be written."""
    item = Envelope(author, number, to, bytes(size), origin="beta")
    item.id, item.is_retried_by_origin = number, again
    return Work((("INSERT", ()),), item, to)


def read(*numbers, size=10):
    """What was read from the disk."""
    return [work(number, size=size).envelope for number in numbers]


def ids(items):
    return [item.id for item in items]


@pytest.fixture
def unwritten():
    return Unwritten()


def test_what_is_offered_again_and_what_is_no_message_is_tried_again_in_order(unwritten):
    one, change, other = work(1), Work(), work(2, again=False)
    asked = Work(done=lambda _is_safe: None)
    assert unwritten.add([one, change, other, asked], is_passing=True) == [other, asked]
    assert unwritten.drain() == [one, change]
    assert unwritten.drain() == []


def test_what_can_never_be_written_or_is_over_is_not_tried_again(unwritten):
    over = work(1)
    over.envelope.advance(Input.ANSWERED)
    assert unwritten.add([over], is_passing=True) == [over]
    poison = work(2)
    assert unwritten.add([poison], is_passing=False) == [poison]


@pytest.mark.parametrize(("size", "most"), [(1, MESSAGES), (BYTES // 4, 4)])
def test_it_holds_so_many_messages_and_bytes(unwritten, size, most):
    works = [work(number, size=size) for number in range(1, most + 3)]
    assert unwritten.add(works, is_passing=True) == works[most:]
    assert unwritten.drain() == works[:most]


def test_what_is_read_has_them_in_their_places(unwritten):
    unwritten.add([work(2), work(5), work(3, to=CID)], is_passing=True)
    assert ids(unwritten.add_to(read(1, 4), BOB, 0, 10, None)) == [1, 2, 4, 5]
    assert ids(unwritten.add_to(read(4), BOB, 2, 10, None)) == [4, 5]
    assert ids(unwritten.add_to([], BOB, 0, 1, None)) == [2]


def test_what_comes_after_all_that_was_read_waits_while_more_is_on_disk(unwritten):
    unwritten.add([work(2), work(5)], is_passing=True)
    assert ids(unwritten.add_to(read(1, 4), BOB, 0, 2, None)) == [1, 2]
    assert ids(unwritten.add_to(read(4, size=BYTES), BOB, 2, 10, None)) == [4]


def test_a_pair_gets_its_own_and_what_is_over_is_gone(unwritten):
    mine, over = work(2), work(4)
    unwritten.add([mine, work(3, author=CID), over], is_passing=True)
    over.envelope.advance(Input.ANSWERED)
    assert ids(unwritten.add_to([], BOB, 0, 10, (ANN, BOB))) == [2]
    assert ids(unwritten.add_to([], BOB, 0, 10, None)) == [2, 3]
