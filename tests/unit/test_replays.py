"""The numbers of a device that came: late ones are let in, old and known ones told apart."""

from parley.shared.addresses import Group, User
from parley.shared.trust.authors import sign_message
from parley.shared.trust.keys import PrivateKey
from parley.shared.trust.replays import Order, Replays, sender_of
from parley.shared.wire.messages import pb

ALICE, BOB, CREW = User("alice", "alpha"), User("bob", "beta"), Group("bob", "beta")
DEVICE, OTHER = PrivateKey(b"d" * 32), PrivateKey(b"o" * 32)


def sender(device, to):
    message = pb.ChatMessage(messageSnowflake=1, author=ALICE.to_pb(), textContent="hi")
    if isinstance(to, Group):
        message.group.CopyFrom(to.to_pb())
    else:
        message.user.CopyFrom(to.to_pb())
    sign_message(device, message, 0, 1)
    return sender_of(message)


ONE = sender(DEVICE, BOB)


def came(replays, *numbers, sender=ONE):
    for number in numbers:
        replays.note(sender, number)


def test_a_number_that_came_is_known_and_a_late_one_new():
    replays = Replays(window=3)
    came(replays, 10, 30)
    orders = {number: replays.order(ONE, number) for number in (5, 10, 20, 30, 40)}
    assert orders == {5: Order.NEW, 10: Order.KNOWN, 20: Order.NEW, 30: Order.KNOWN, 40: Order.NEW}


def test_what_the_window_has_passed_is_old_for_ever():
    replays = Replays(window=3)
    came(replays, 10, 40, 30, 20)
    assert replays.order(ONE, 10) is Order.OLD
    assert replays.order(ONE, 19) is Order.OLD
    assert replays.order(ONE, 25) is Order.NEW
    came(replays, 5)  # nobody should note one; if so it changes nothing
    assert replays.order(ONE, 19) is Order.OLD


def test_each_device_and_conversation_counts_for_itself():
    replays = Replays(window=1)
    came(replays, 10)
    for device, to in ((OTHER, BOB), (DEVICE, User("carol", "beta")), (DEVICE, CREW)):
        assert replays.order(sender(device, to), 5) is Order.NEW
    assert replays.order(ONE, 5) is Order.OLD


def test_a_server_that_is_spelt_otherwise_is_the_same_conversation():
    assert sender(DEVICE, User("bob", "BETA")) == ONE


def test_no_more_senders_are_known_than_there_is_room_for():
    replays = Replays(most=2)
    for device in (b"1", b"2", b"1", b"3"):
        came(replays, 7, sender=device * 16)
    assert len(replays) == 2
    assert replays.order(b"2" * 16, 7) is Order.NEW
    assert replays.order(b"1" * 16, 7) is Order.KNOWN
