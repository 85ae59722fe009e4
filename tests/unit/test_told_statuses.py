"""What a MESSAGE_ACK says of many: read by the compiled core as protobuf reads it, whatever the bytes."""

import random

import pytest
from google.protobuf.message import DecodeError

from parley.shared.addresses import User
from parley.shared.compiled import core
from parley.shared.wire import statuses
from parley.shared.wire.messages import pb
from parley.shared.wire.statuses import read_statuses, statuses_of

MOST = 50
KINDS = 4


def acknowledgement(chance):
    ack = pb.ChatMessageResponse(messageSnowflake=chance.getrandbits(63))
    ack.author.userId = "ann"
    for _ in range(chance.choice([0, 1, 2, 40, MOST + 5])):
        kind = chance.randrange(KINDS)
        user = pb.User(
            userId="bé語"[: chance.randrange(4)] * chance.choice([1, 50]), serverId=chance.choice(["", "beta"])
        )
        ack.statuses.add(status=chance.choice([0, 1, 7, 300]), user=None if kind == 0 else user)
    if chance.randrange(2):
        ack.group.groupId, ack.receipt, ack.groupNumber = "crew", chance.getrandbits(60), chance.getrandbits(60)
        ack.proofs.add(key=chance.randbytes(32))
    return ack.SerializeToString()


def spoilt(chance, payload):
    data = bytearray(payload)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(min(len(data), 200))
        data[at] = chance.randrange(256)
    return bytes(data)


def test_it_is_what_protobuf_reads_whatever_the_bytes():
    chance, read = random.Random(7), 0
    for _ in range(300):
        payload = acknowledgement(chance)
        for each in (payload, *(spoilt(chance, payload) for _ in range(30))):
            try:
                ack = pb.ChatMessageResponse.FromString(each)
            except DecodeError:
                continue
            read += 1
            found = read_statuses(each, ack, MOST)
            assert found == statuses_of(ack, MOST)
            assert set(found) == set(statuses_of(ack, MOST))  # tuples of newer Pythons hold their hash
            assert all(user is None or type(user) is User for user, _status in found)
    assert read > 1000


@pytest.mark.skipif(core is None, reason="there is no compiled core")
def test_what_parleys_write_is_read_by_the_core_and_any_other_shape_by_protobuf():
    ack = pb.ChatMessageResponse(messageSnowflake=7)
    ack.statuses.add(user=pb.User(userId="bob", serverId="beta"), status=1)
    ack.statuses.add(status=3)
    assert core.read_statuses(ack.SerializeToString(), MOST, User) == [(User("bob", "beta"), 1), (None, 3)]
    twice = ack.SerializeToString() + b"\x12\x08\x0a\x02\x0a\x00\x0a\x02\x0a\x00"
    assert core.read_statuses(twice, MOST, User) is None
    assert core.read_statuses(twice, 2, User) == [(User("bob", "beta"), 1), (None, 3)]
    for wrong in ((b"", MOST), (b"", MOST, dict), ("", MOST, User)):
        with pytest.raises(TypeError):
            core.read_statuses(*wrong)


def test_without_the_core_it_is_read_all_the_same(monkeypatch):
    monkeypatch.setattr(statuses, "_compiled", None)
    ack = pb.ChatMessageResponse()
    ack.statuses.add(user=pb.User(userId="bob", serverId="beta"), status=1)
    assert read_statuses(ack.SerializeToString(), ack, MOST) == [(User("bob", "beta"), 1)]
