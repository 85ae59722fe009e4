"""Pairings at the home server: passed on between two devices, bounded, and over in the end."""

import pytest

from parley.services.chat.pairing.pairings import MOST, SECONDS, TRIES, Pairings
from parley.shared.addresses import User
from parley.shared.wire.messages import pb

ALICE = User("alice", "alpha")
KEY, OTHER = b"n" * 32, b"e" * 32
ENTERS = pb.Pair(step=pb.Pair.ENTERS, key=OTHER, name="laptop", element=b"x" * 33)
ANSWERS = pb.Pair(step=pb.Pair.ANSWERS, key=KEY, name="phone", element=b"y" * 33, confirmation=b"c" * 32)
CONFIRMS = pb.Pair(step=pb.Pair.CONFIRMS, confirmation=b"d" * 32)


@pytest.fixture
def limited():
    return []


@pytest.fixture
def pairings(limited):
    return Pairings(limited.append)


def says(steps):
    """What is sent: to whom, which step, and why."""
    return [(link, pb.Pair.Step.Name(pair.step), pb.Pair.Why.Name(pair.why)) for link, pair in steps.send]


def over(link, why):
    return (link, "OVER", why)


def test_what_both_devices_say_is_passed_on_and_the_new_one_hears_that_it_was_added(pairings):
    assert pairings.may_begin(ALICE, "127.0.0.1", 0.0)
    told = pairings.begin(ALICE, "new", KEY, ["old", "older"], 0.0)
    assert told.send == [(each, pb.Pair(step=pb.Pair.WAITS, key=KEY)) for each in ("old", "older")]
    assert pairings.from_earlier(ALICE, "old", ENTERS).send == [("new", ENTERS)]
    assert pairings.from_new(ALICE, "new", ANSWERS).send == [("old", ANSWERS)]
    assert pairings.from_earlier(ALICE, "old", CONFIRMS).send == [("new", CONFIRMS)]
    assert pairings.changed(ALICE, {OTHER}).send == []
    done = pairings.changed(ALICE, {OTHER, KEY})
    assert (done.send, done.close, done.result) == ([("new", pb.Pair(step=pb.Pair.ADDED))], ["new"], "added")
    assert len(pairings) == 0


def test_a_device_that_connects_meanwhile_is_told_too(pairings):
    assert pairings.waits(ALICE, "old").send == []
    pairings.begin(ALICE, "new", KEY, [], 0.0)
    assert pairings.waits(ALICE, "old").send == [("old", pb.Pair(step=pb.Pair.WAITS, key=KEY))]


def test_who_enters_a_code_where_none_is_shown_hears_so(pairings):
    assert says(pairings.from_earlier(ALICE, "old", ENTERS)) == [over("old", "NOBODY_WAITS")]


def test_a_user_has_one_pairing_at_a_time(pairings, limited):
    pairings.begin(ALICE, "new", KEY, [], 0.0)
    assert not pairings.may_begin(ALICE, "127.0.0.2", 0.0)
    assert limited == ["requests"]
    second = pairings.begin(ALICE, "newer", OTHER, [], 0.0)
    assert (says(second), second.close) == ([over("newer", "BUSY")], ["newer"])


def test_an_address_begins_few(pairings):
    users = [User(f"u{number}", "alpha") for number in range(10)]
    assert sum(pairings.may_begin(user, "127.0.0.1", 0.0) for user in users) == 5
    assert pairings.may_begin(ALICE, "127.0.0.2", 0.0)


def test_there_are_so_many_in_all(pairings):
    for number in range(MOST):
        pairings.begin(User(f"u{number}", "alpha"), number, KEY, [], 0.0)
    assert not pairings.may_begin(ALICE, "127.0.0.1", 0.0)


def test_after_three_tries_it_is_over(pairings):
    pairings.begin(ALICE, "new", KEY, [], 0.0)
    for _ in range(TRIES - 1):
        pairings.from_earlier(ALICE, "old", ENTERS)
        wrong = pairings.from_new(ALICE, "new", pb.Pair(step=pb.Pair.OVER, why=pb.Pair.WRONG_CODE))
        assert (says(wrong), wrong.close) == ([over("old", "WRONG_CODE")], [])
    pairings.from_earlier(ALICE, "old", ENTERS)
    wrong = pairings.from_new(ALICE, "new", pb.Pair(step=pb.Pair.OVER, why=pb.Pair.WRONG_CODE))
    assert (wrong.close, wrong.result) == (["new"], "tries")
    assert says(pairings.from_earlier(ALICE, "old", ENTERS)) == [over("old", "NOBODY_WAITS")]


def test_it_is_over_when_the_earlier_device_gives_up_the_last_try(pairings):
    pairings.begin(ALICE, "new", KEY, [], 0.0)
    for _ in range(TRIES):
        pairings.from_earlier(ALICE, "old", ENTERS)
        steps = pairings.from_earlier(ALICE, "old", pb.Pair(step=pb.Pair.OVER, why=pb.Pair.WRONG_CODE))
    assert says(steps) == [over("new", "WRONG_CODE"), over("new", "TRIES")]
    assert (steps.close, steps.result, len(pairings)) == (["new"], "tries", 0)


def test_a_device_that_never_answers_has_no_more_than_its_tries(pairings):
    pairings.begin(ALICE, "new", KEY, [], 0.0)
    passed_on = [pairings.from_earlier(ALICE, "old", ENTERS) for _ in range(10_000)]
    assert sum(("new", ENTERS) in steps.send for steps in passed_on) == TRIES
    assert [steps.result for steps in passed_on if steps.result] == ["tries"]


def test_nobody_takes_over_anothers_exchange(pairings):
    pairings.begin(ALICE, "new", KEY, [], 0.0)
    pairings.from_earlier(ALICE, "old", ENTERS)
    assert says(pairings.from_earlier(ALICE, "older", ENTERS)) == [over("older", "BUSY")]
    pairings.from_new(ALICE, "new", ANSWERS)
    assert pairings.from_earlier(ALICE, "older", CONFIRMS).send == []
    assert pairings.from_new(ALICE, "new", ANSWERS).send == []
    assert says(pairings.from_new(ALICE, "another", ANSWERS)) == [over("another", "NO_REASON")]


@pytest.mark.parametrize(
    "pair",
    [
        pb.Pair(step=pb.Pair.ENTERS, key=b"short", element=b"x" * 33),
        pb.Pair(step=pb.Pair.ENTERS, key=KEY),
        pb.Pair(step=pb.Pair.ENTERS, key=KEY, element=b"x" * 65),
        pb.Pair(step=pb.Pair.ENTERS, key=KEY, element=b"x", name="x" * 65),
        pb.Pair(step=pb.Pair.ENTERS, key=KEY, element=b"x", confirmation=b"x" * 1_000_000),
    ],
)
def test_what_is_no_part_of_a_pairing_uses_up_no_try(pairings, pair):
    pairings.begin(ALICE, "new", KEY, [], 0.0)
    assert says(pairings.from_earlier(ALICE, "old", pair)) == [over("old", "WRONG_CODE")]
    assert [each for _ in range(TRIES) for each in pairings.from_earlier(ALICE, "old", ENTERS).send][:1] == [
        ("new", ENTERS)
    ]


def test_it_is_over_after_two_minutes(pairings):
    pairings.begin(ALICE, "new", KEY, [], 10.0)
    pairings.from_earlier(ALICE, "old", ENTERS)
    assert pairings.next_timeout() == 10.0 + SECONDS
    assert pairings.handle_timeout(9.0 + SECONDS) == []
    (steps,) = pairings.handle_timeout(10.0 + SECONDS)
    assert sorted(says(steps)) == [over("new", "EXPIRED"), over("old", "EXPIRED")]
    assert (steps.close, steps.result, pairings.next_timeout()) == (["new"], "expired", None)


def test_it_is_over_when_the_new_device_leaves_and_goes_on_when_the_earlier_one_does(pairings):
    pairings.begin(ALICE, "new", KEY, [], 0.0)
    pairings.from_earlier(ALICE, "old", ENTERS)
    assert says(pairings.lost(ALICE, "old")) == [over("new", "NO_REASON")]
    assert pairings.from_earlier(ALICE, "older", ENTERS).send == [("new", ENTERS)]
    gone = pairings.lost(ALICE, "new")
    assert (says(gone), gone.close, gone.result) == ([over("older", "NOBODY_WAITS")], [], "ended")
    assert pairings.lost(ALICE, "new").send == []
