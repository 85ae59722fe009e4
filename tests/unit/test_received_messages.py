"""The messages by which a duplicate is recognised."""

import tracemalloc

from parley.client.inbox.received import REMEMBERED, ReceivedMessages
from parley.shared.addresses import User
from parley.shared.wire.messages import pb

ANN, BOB = User("ann", "alpha"), User("bob", "beta")


def written(number, author=BOB, text="hello"):
    return pb.ChatMessage(messageSnowflake=number, author=author.to_pb(), user=ANN.to_pb(), textContent=text)


def test_a_message_is_known_by_what_it_is():
    seen = ReceivedMessages()
    seen.add(seen.key(written(1)))
    assert seen.has(seen.key(written(1)))
    assert not seen.has(seen.key(written(2)))
    assert not seen.has(seen.key(written(1, text="another")))
    assert not seen.has(seen.key(written(1, User("bob", "gamma"))))
    assert not seen.has(seen.key(written(1, User("bobb", "eta"))))
    copy = written(1)
    copy.userOfGroup.CopyFrom(pb.UserOfGroup(user=ANN.to_pb(), group=pb.Group(groupId="crew", serverId="beta")))
    assert not seen.has(seen.key(copy))


def test_no_duplicate_is_recognised_by_0():
    seen = ReceivedMessages()
    seen.add(seen.key(written(0)))
    assert not seen.has(seen.key(written(0)))
    assert len(seen) == 0


def test_the_oldest_is_forgotten_first():
    seen = ReceivedMessages(3)
    for number in (1, 2, 1, 3, 4):
        seen.add(seen.key(written(number)))
    assert [seen.has(seen.key(written(number))) for number in (1, 2, 3, 4)] == [False, True, True, True]


def test_a_large_mailbox_is_remembered_in_little_memory():
    """The figure in parley/client.inbox.received.py."""
    message = written(1)
    tracemalloc.start()
    try:
        seen = ReceivedMessages()
        for number in range(1, REMEMBERED + 1000):
            message.messageSnowflake = number << 22
            seen.add(seen.key(message))
        size = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(seen) == REMEMBERED >= 100_000
    assert not seen.has(seen.key(written(1 << 22)))
    assert 50 < size / REMEMBERED < 130  # 99 on CPython 3.11
