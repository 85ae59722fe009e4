"""Pairing of two devices of a user, with an honest server between them and with a hostile one."""

import pytest

from parley.client.trust.pairing import EarlierDevice, NewDevice, over, refused
from parley.shared.addresses import User
from parley.shared.trust.devices import is_confirmed
from parley.shared.trust.keys import PrivateKey
from parley.shared.trust.pairing import TRIES, PairingRefused, make_code
from parley.shared.wire.messages import pb

ALICE = User("alice", "alpha")


@pytest.fixture
def earlier_key():
    return PrivateKey.generate()


@pytest.fixture
def new():
    return NewDevice(ALICE, PrivateKey.generate().public, "phone", 0.0)


def test_both_confirm_and_the_earlier_device_signs_the_new_ones_key_and_name(new, earlier_key):
    earlier = EarlierDevice(User("alice", "ALPHA"), earlier_key, "laptop", new.code.lower())
    answer = new.entered(earlier.enters(), 1.0)
    step, entry = earlier.answered(answer, 1_800_000_000.0)
    assert new.earlier is None
    new.confirmed(step)
    assert new.earlier == "laptop"
    assert (entry.key, entry.name, entry.by) == (answer.key, "phone", earlier_key.public)
    assert is_confirmed(User("alice", "ALPHA"), entry)


def test_another_code_adds_nothing(new, earlier_key):
    earlier = EarlierDevice(ALICE, earlier_key, "laptop", another(new.code))
    answer = new.entered(earlier.enters(), 1.0)
    with pytest.raises(PairingRefused) as caught:
        earlier.answered(answer, 0.0)
    assert over(caught.value) == pb.Pair(step=pb.Pair.OVER, why=pb.Pair.WRONG_CODE)
    assert new.earlier is None


@pytest.mark.parametrize("field", ["key", "name", "element", "confirmation"])
@pytest.mark.parametrize("step", ["ENTERS", "ANSWERS"])
def test_a_server_that_changes_what_is_said_adds_nothing(new, earlier_key, step, field):
    """With its own key, or another name, in either direction; it does not know the code."""
    earlier = EarlierDevice(ALICE, earlier_key, "laptop", new.code)
    own = PrivateKey.generate().public

    def relayed(pair):
        if pb.Pair.Step.Name(pair.step) == step:
            setattr(pair, field, {"key": own, "name": "evil", "element": b"B" + bytes(32)}.get(field, bytes(32)))
        return pair

    if (step, field) == ("ENTERS", "confirmation"):
        return  # it has none
    answer = _answer(new, relayed(earlier.enters()))
    with pytest.raises(PairingRefused):
        earlier.answered(relayed(answer), 0.0)
    assert new.earlier is None


def _answer(new, enters):
    """The new device's answer; where it refuses, what a server would make up."""
    try:
        return new.entered(enters, 1.0)
    except PairingRefused:
        return pb.Pair(step=pb.Pair.ANSWERS, key=bytes(32), element=b"B" + bytes(32), confirmation=bytes(32))


def test_a_server_that_plays_the_other_device_to_both_has_one_guess_in_each_try(new, earlier_key):
    """It shows a code of its own to the earlier device, and enters a guess at the new one."""
    own = PrivateKey.generate()
    for _ in range(TRIES):
        guess = another(new.code)
        at_earlier = EarlierDevice(ALICE, earlier_key, "laptop", new.code)
        played_new = NewDevice(ALICE, own.public, "phone", 0.0)
        with pytest.raises(PairingRefused, match="another code"):
            at_earlier.answered(played_new.entered(at_earlier.enters(), 1.0), 0.0)
        played_earlier = EarlierDevice(ALICE, own, "laptop", guess)
        with pytest.raises(PairingRefused, match="another code"):
            played_earlier.answered(new.entered(played_earlier.enters(), 1.0), 0.0)
    with pytest.raises(PairingRefused) as caught:
        new.entered(EarlierDevice(ALICE, own, "laptop", new.code).enters(), 1.0)
    assert caught.value.reason == "tries"


def test_ten_thousand_guesses_are_three(new):
    own = PrivateKey.generate()
    enters = EarlierDevice(ALICE, own, "laptop", another(new.code)).enters()
    outcomes = []
    for _ in range(10_000):
        try:
            answer = new.entered(enters, 1.0)
            new.confirmed(pb.Pair(step=pb.Pair.CONFIRMS, confirmation=answer.confirmation))
        except PairingRefused as error:
            outcomes.append(error.reason)
    assert outcomes == ["wrong_code"] * TRIES + ["tries"] * (10_000 - TRIES)
    assert new.earlier is None
    assert new.seconds_left(1.0) == 0.0


def test_a_recorded_exchange_is_worth_nothing_in_another(new, earlier_key):
    earlier = EarlierDevice(ALICE, earlier_key, "laptop", new.code)
    enters = earlier.enters()
    step, _ = earlier.answered(new.entered(enters, 1.0), 0.0)
    again = NewDevice(ALICE, PrivateKey.generate().public, "phone", 0.0)
    again._offer.code = new.code  # the same code by chance
    again.entered(enters, 1.0)
    with pytest.raises(PairingRefused):
        again.confirmed(step)


def test_of_another_user_the_same_code_adds_nothing(new, earlier_key):
    earlier = EarlierDevice(User("bob", "alpha"), earlier_key, "laptop", new.code)
    with pytest.raises(PairingRefused):
        earlier.answered(new.entered(earlier.enters(), 1.0), 0.0)


def test_a_code_is_good_for_two_minutes(new, earlier_key):
    with pytest.raises(PairingRefused) as caught:
        new.entered(EarlierDevice(ALICE, earlier_key, "laptop", new.code).enters(), 120.0)
    assert over(caught.value).why == pb.Pair.EXPIRED


def test_a_long_name_is_cut_and_the_longest_user_can_pair(earlier_key):
    user = User("\N{GRINNING FACE}" * 255, "s" * 255)
    new = NewDevice(user, PrivateKey.generate().public, "n" * 300, 0.0)
    earlier = EarlierDevice(user, earlier_key, "e" * 300, new.code)
    step, entry = earlier.answered(new.entered(earlier.enters(), 1.0), 0.0)
    new.confirmed(step)
    assert (entry.name, new.earlier) == ("n" * 64, "e" * 64)


@pytest.mark.parametrize("why", pb.Pair.Why.values())
def test_each_end_has_words_for_people(why):
    assert len(str(refused(why))) > 20


def another(code):
    """A code that is not this one."""
    while (other := make_code()) == code:
        pass
    return other
