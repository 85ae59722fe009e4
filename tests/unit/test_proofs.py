"""Two processes of a node know each other by its secret; nobody else is taken for one, whatever they replay."""

import dataclasses

import pytest

from parley.shared.link.events import Identity
from parley.shared.service.proofs import ACCEPTOR, DIALLER, EXPECTED, NONCE, Accepting, Dialling, Side, prove
from parley.shared.wire.framing import FrameReader
from parley.shared.wire.messages import decode, pb

SECRET, OTHER = b"s" * 32, b"t" * 32
ALPHA = ("alpha", "acceptor-1")


def asking(dialling, server_id="alpha", instance_id="dialler-1"):
    """What the acceptor knows of a dialler."""
    return Identity(server_id=server_id, instance_id=instance_id, nonce=dialling.nonce.nonce)


def answering(challenge):
    """What the dialler knows of the acceptor."""
    return Identity(server_id=ALPHA[0], instance_id=ALPHA[1], nonce=challenge.nonce, proof=challenge.proof)


def proof_in(data):
    (frame,) = FrameReader(1 << 16).feed(data)
    assert frame.name == "PROOF"
    return decode(frame, pb.Proof).proof


def accepting(secret=SECRET, given_up=lambda _key: None):
    return Accepting(lambda: secret, given_up)


def test_two_that_know_the_secret_know_each_other():
    here, there = Dialling(SECRET, "alpha", "dialler-1"), accepting()
    challenge = there.challenge("link", asking(here), *ALPHA)
    assert there.is_expected("link")
    assert there.check("link", proof_in(here.answer(answering(challenge))))
    assert not there.is_expected("link")


def test_an_acceptor_with_another_secret_is_told_nothing():
    here, there = Dialling(SECRET, "alpha", "dialler-1"), accepting(OTHER)
    assert here.answer(answering(there.challenge("link", asking(here), *ALPHA))) is None


def test_a_dialler_with_another_secret_is_nobody():
    here, there = Dialling(OTHER, "alpha", "dialler-1"), accepting()
    challenge = there.challenge("link", asking(here), *ALPHA)
    assert here.answer(answering(challenge)) is None
    me, it = Side("alpha", "dialler-1", here.nonce.nonce), Side(*ALPHA, challenge.nonce)
    assert not there.check("link", prove(OTHER, DIALLER, me, it))


def test_the_acceptors_proof_sent_back_proves_nothing():
    here, there = Dialling(SECRET, "alpha", "dialler-1"), accepting()
    challenge = there.challenge("link", asking(here), *ALPHA)
    assert not there.check("link", challenge.proof)


def test_there_is_one_try():
    here, there = Dialling(SECRET, "alpha", "dialler-1"), accepting()
    challenge = there.challenge("link", asking(here), *ALPHA)
    good = proof_in(here.answer(answering(challenge)))
    assert not there.check("link", b"x" * 32)
    assert not there.check("link", good)


def test_a_proof_that_was_heard_is_good_for_no_other_link():
    here, there = Dialling(SECRET, "alpha", "dialler-1"), accepting()
    heard = proof_in(here.answer(answering(there.challenge("first", asking(here), *ALPHA))))
    there.challenge("second", asking(here), *ALPHA)
    assert not there.check("second", heard)


@pytest.mark.parametrize(
    "said",
    [{"server_id": ""}, {"server_id": "beta"}, {"instance_id": "dialler-2"}, {"nonce": bytes(NONCE)}],
    ids=str,
)
def test_a_proof_is_for_what_the_dialler_said_of_itself(said):
    here, there = Dialling(SECRET, "alpha", "dialler-1"), accepting()
    challenge = there.challenge("link", dataclasses.replace(asking(here), **said), *ALPHA)
    assert here.answer(answering(challenge)) is None


@pytest.mark.parametrize(
    "said", [{"server_id": "beta"}, {"instance_id": "other"}, {"nonce": b"n" * NONCE}], ids=str
)
def test_a_proof_is_for_what_the_acceptor_said_of_itself(said):
    here, there = Dialling(SECRET, "alpha", "dialler-1"), accepting()
    answered = answering(there.challenge("link", asking(here), *ALPHA))
    assert here.answer(dataclasses.replace(answered, **said)) is None


def test_where_one_name_ends_and_another_begins_is_part_of_it():
    nonce = bytes(NONCE)
    it = Side(*ALPHA, nonce)
    proofs = {prove(SECRET, DIALLER, Side(a, b, nonce), it) for a, b in (("ab", "c"), ("a", "bc"), ("", "abc"))}
    assert len(proofs) == 3
    assert prove(SECRET, ACCEPTOR, it, it) != prove(SECRET, DIALLER, it, it)


@pytest.mark.parametrize("nonce", [b"", b"x", bytes(NONCE - 1), bytes(NONCE + 1)], ids=len)
def test_who_has_no_nonce_is_not_challenged(nonce):
    assert accepting().challenge("link", Identity(server_id="alpha", nonce=nonce), *ALPHA) is None


def test_without_a_secret_nobody_is_challenged():
    here = Dialling(SECRET, "alpha", "dialler-1")
    assert accepting(None).challenge("link", asking(here), *ALPHA) is None


def test_of_many_that_prove_nothing_the_oldest_is_given_up():
    given_up = []
    there = accepting(given_up=given_up.append)
    for number in range(EXPECTED + 3):
        there.challenge(number, asking(Dialling(OTHER, "alpha", "x")), *ALPHA)
    assert given_up == [0, 1, 2]
    here = Dialling(SECRET, "alpha", "dialler-1")
    challenge = there.challenge("link", asking(here), *ALPHA)
    assert there.check("link", proof_in(here.answer(answering(challenge))))


def test_a_link_that_is_over_is_forgotten():
    there = accepting()
    there.challenge("link", asking(Dialling(SECRET, "alpha", "dialler-1")), *ALPHA)
    assert there.forget("link")
    assert not there.forget("link")
    assert not there.is_expected("link")
