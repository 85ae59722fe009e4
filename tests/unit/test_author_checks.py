"""Checks of signatures at a server: what is looked at, how often, and that it has an end."""

import pytest

from parley.services.chat.authors import author_checks
from parley.services.chat.authors.author_checks import BURST, LARGEST, OF_TURN, SAMPLE, AuthorChecks
from parley.shared.addresses import Group, User
from parley.shared.trust.authors import content_digest, sign_message
from parley.shared.trust.keys import PrivateKey
from parley.shared.wire.messages import pb

ANN, BOB = User("ann", "alpha"), User("bob", "beta")
CREW = Group("crew", "gamma")
DEVICE, OTHER = PrivateKey(b"d" * 32), PrivateKey(b"o" * 32)


class World:
    """A server's checks, and what they found."""

    def __init__(self, monkeypatch):
        self.forged, self.limited, self.verified = [], 0, 0
        self.keys = {}
        self.checks = AuthorChecks(self.keys.get, self.forged.append, self.note_limit, 0.0)
        real = author_checks.is_message_signed
        monkeypatch.setattr(author_checks, "is_message_signed", lambda message: self.count(real(message)))

    def count(self, result):
        self.verified += 1
        return result

    def note_limit(self):
        self.limited += 1

    def look_at(self, message, now=0.0):
        return self.checks.look_at(message, now)


@pytest.fixture
def world(monkeypatch):
    return World(monkeypatch)


def copy(number, member="bob", text="hi", key=DEVICE):
    message = pb.ChatMessage(messageSnowflake=number, author=ANN.to_pb(), group=CREW.to_pb(), textContent=text)
    if key is not None:
        sign_message(key, message, 0, 1)
    message.userOfGroup.CopyFrom(pb.UserOfGroup(user=User(member, "beta").to_pb(), group=CREW.to_pb()))
    return message


def direct(number, key=DEVICE):
    message = pb.ChatMessage(messageSnowflake=number, author=ANN.to_pb(), user=BOB.to_pb(), textContent="hi")
    sign_message(key, message, 0, 1)
    return message


def test_the_copies_of_one_body_are_verified_once(world):
    assert all(world.look_at(copy(1, member)) for member in ("bob", "cid", "dan"))
    assert (world.verified, world.forged) == (1, [])


def test_a_copy_that_is_put_in_other_words_is_forged_and_each_counts(world):
    assert world.look_at(copy(1))
    for _ in range(2):
        other = copy(1)
        other.textContent = "ho"
        assert not world.look_at(other)
    assert world.forged == ["copy", "copy"]
    assert world.verified == 2


def test_a_key_that_is_not_the_authors_is_forged_where_the_authors_are_known(world):
    assert world.look_at(copy(1, key=OTHER))
    world.keys[ANN] = {DEVICE.public}
    assert not world.look_at(copy(1, key=OTHER))
    assert world.look_at(copy(2))


def test_what_is_not_signed_is_nothing_to_look_at(world):
    assert world.look_at(copy(1, key=None))
    assert world.verified == 0


def test_of_other_messages_some_are_verified(world):
    for number in range(3 * SAMPLE):
        message = direct(number)
        message.textContent = "ho"
        if next(world.checks.samples):
            world.look_at(message, now=number)
    assert world.verified == 3
    assert world.forged == ["message"] * 3


def test_what_its_recipient_refused_is_looked_at_and_counts_once(world):
    forged, good = direct(1), direct(2)
    forged.textContent = "ho"
    for message in (forged, good):
        world.checks.look_at_refused(message, now=0.0)
    assert (world.verified, world.forged) == (2, ["message"])
    sampled = direct(3)
    sampled.textContent = "ho"
    world.look_at(sampled, now=1.0)
    world.checks.look_at_refused(sampled, now=2.0)
    assert world.forged == ["message"] * 2
    unsigned = direct(4)
    unsigned.ClearField("proof")
    world.checks.look_at_refused(unsigned, now=3.0)
    assert (world.verified, world.forged) == (3, ["message"] * 2)


def test_no_turn_and_no_second_has_more_than_its_share(world):
    for number in range(OF_TURN + 2):
        assert world.look_at(copy(number))
    assert (world.verified, world.limited) == (OF_TURN, 2)
    for number in range(100, 100 + int(BURST)):
        world.look_at(copy(number), now=number * 1e-9)
    assert world.verified == BURST
    world.look_at(copy(1000), now=1.0)
    assert world.verified == BURST + 1


def test_a_large_document_is_left_to_who_receives_it(world):
    assert world.look_at(copy(1, text="x" * LARGEST))
    assert world.verified == 0


def test_a_body_that_held_says_nothing_of_one_that_says_to_be_changed_since(world):
    good = copy(1)
    assert world.look_at(good)
    forged = copy(1)
    forged.revised.content, forged.textContent = content_digest(good), "forged"
    assert not world.look_at(forged)
    assert world.forged == ["copy"]
