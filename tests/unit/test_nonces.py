"""Which announcements answer a request of ours."""

import itertools

from parley.shared.discovery.nonces import ANSWERED_WITHIN, LENT, Nonces

ASKED = ("203.0.113.1", 9999)


def make(most=100):
    numbers = itertools.count()
    return Nonces(lambda: b"n%d" % next(numbers), most)


def is_answer(nonces, nonce, source=ASKED[0], now=0.0, *, is_near=False):
    return nonces.is_answer(nonce, source, now, is_near=is_near)


def test_who_returns_a_nonce_in_time_answers_us():
    nonces = make()
    nonce = nonces.issue(ASKED, 0.0)
    assert is_answer(nonces, nonce, now=ANSWERED_WITHIN)
    assert not is_answer(nonces, nonce, now=ANSWERED_WITHIN + 0.1)


def test_no_nonce_and_one_that_nobody_was_given_are_not_ours():
    nonces = make()
    nonces.issue(ASKED, 0.0)
    assert not is_answer(nonces, b"")
    assert not is_answer(nonces, b"other")


def test_it_may_come_from_another_address_but_not_from_as_many_as_somebody_likes():
    """A server's processes may be elsewhere; who replays a nonce may claim to be anywhere."""
    nonces = make()
    nonce = nonces.issue(ASKED, 0.0)
    sources = [f"198.51.100.{n}" for n in range(200)]
    assert [is_answer(nonces, nonce, source) for source in sources] == [True] * LENT + [False] * (200 - LENT)
    assert is_answer(nonces, nonce, sources[0])
    assert is_answer(nonces, nonce)
    assert all(is_answer(nonces, nonce, f"10.0.0.{n}", is_near=True) for n in range(200))


def test_to_whom_it_went_is_known():
    nonces = make()
    assert nonces.issued_to(nonces.issue(ASKED, 0.0)) == ASKED


def test_no_more_are_remembered_than_may_be():
    nonces = make(most=10)
    issued = [nonces.issue(ASKED, 0.0) for _ in range(30)]
    assert len(nonces) == 10
    assert [is_answer(nonces, nonce) for nonce in issued] == [False] * 20 + [True] * 10
    nonces.issue(ASKED, 2 * ANSWERED_WITHIN)
    assert len(nonces) == 1


def test_each_is_another():
    nonces = Nonces()
    assert len({nonces.issue(ASKED, 0.0) for _ in range(100)}) == 100
