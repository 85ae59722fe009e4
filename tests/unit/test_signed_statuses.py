"""Statuses with proofs on their way to the author, one by one and of a group's members, as the router has them."""

import pytest

from parley.services.chat.authors.status_signer import BURST, LARGEST, RATE, StatusSigner
from parley.services.chat.message.life import Envelope
from parley.services.chat.message.statuses import Status
from parley.shared.addresses import Group, User
from parley.shared.trust.authors import is_status_signed, sign_message, sign_status
from parley.shared.trust.keys import PrivateKey
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.messages import encode, pb
from tests.support.sinks import Node, ack, message

ANN, BOB, CID = User("ann", "alpha"), User("bob", "alpha"), User("cid", "beta")
CREW = Group("crew", "alpha")
DEVICE = PrivateKey(b"d" * 32)
TIME = 1_800_000_000_000
DELIVERED = Status.DELIVERED


def signed(number, to=None, **recipient):
    said = message(ANN, number, to, "hello", **recipient)
    sign_message(DEVICE, said, 0, TIME)
    return said


def answer(said, *users, author=None, group=None, gap=()):
    """A MESSAGE_ACK of these, each signed but those in `gap`."""
    told = ack(said.messageSnowflake, *((user, DELIVERED) for user in users), author=author)
    for user in users:
        told.proofs.append(pb.StatusProof() if user in gap else sign_status(DEVICE, said, user, DELIVERED, TIME))
    if group is not None:
        told.group.CopyFrom(group.to_pb())
    return encode("MESSAGE_ACK", told)


@pytest.fixture(params=[True, False], ids=["compiled", "python"])
def node(request):
    return Node("alpha", fast_path=request.param)


def test_the_author_gets_the_proof_of_a_local_and_of_a_remote_recipient(node):
    ann, bob, beta = node.connect(ANN), node.connect(BOB), node.link("beta")
    for number, to, source, by in ((1, BOB, bob, node.from_client), (2, CID, beta, node.from_server)):
        said = signed(number, to)
        node.from_client(ANN, read_datagram(encode("MESSAGE", said)))
        assert source.take() == [said]
        who = to if to is BOB else "beta"
        by(who, read_datagram(answer(said, to, author=ANN)))
        (told,) = ann.take()
        assert len(told.proofs) == 1
        assert is_status_signed(said, to, DELIVERED, told.proofs[0])


def test_the_author_at_another_server_gets_it_too(node):
    beta, bob = node.link("beta"), node.connect(BOB)
    said = message(CID, 3, BOB, "hello")
    sign_message(DEVICE, said, 0, TIME)
    node.receive("beta", said)
    assert bob.take() == [said]
    node.from_client(BOB, read_datagram(answer(said, BOB, author=CID)))
    (told,) = beta.take()
    assert is_status_signed(said, BOB, DELIVERED, told.proofs[0])


@pytest.mark.parametrize("is_shared", [True, False])
def test_each_member_of_a_group_has_its_own_proof_or_none(node, is_shared):
    """Two members are at beta, one of whom did not sign; one is here."""
    node.takes_shared_copies = is_shared
    dan = User("dan", "beta")
    ann, bob, beta = node.connect(ANN), node.connect(BOB), node.link("beta")
    groups = node.engine.router._groups
    for member in (ANN, BOB, CID, dan):
        groups.add(CREW.group_id, member)
    said = signed(5, group=CREW.to_pb())
    node.from_client(ANN, read_datagram(encode("MESSAGE", said)))
    assert len([*bob.take(), *beta.take()]) == (2 if is_shared else 3)
    node.from_server("beta", read_datagram(answer(said, CID, dan, author=ANN, group=CREW, gap=(CID,))))
    node.from_client(BOB, read_datagram(answer(said, BOB, author=ANN)))
    proven = {}
    for told in ann.take():
        assert len(told.proofs) == len(told.statuses)
        for status, proof in zip(told.statuses, told.proofs, strict=True):
            whose = User.of(status.user)
            proven[whose] = is_status_signed(said, whose, status.status, proof)
    assert proven == {BOB: True, CID: False, dan: True}


def test_proofs_of_another_number_than_statuses_are_left_out(node):
    ann, bob = node.connect(ANN), node.connect(BOB)
    said = signed(1, BOB)
    node.from_client(ANN, read_datagram(encode("MESSAGE", said)))
    bob.take()
    told = ack(1, DELIVERED, author=ANN)
    proof = sign_status(DEVICE, said, BOB, DELIVERED, TIME)
    told.proofs.extend([proof, proof])
    node.from_client(BOB, read_datagram(encode("MESSAGE_ACK", told)))
    (came,) = ann.take()
    assert not came.proofs
    assert [each.status for each in came.statuses] == [DELIVERED]


# Our own -------------------------------------------------------------------------------------------------

OURS = PrivateKey(b"o" * 32)


class SigningNode(Node):
    """A server that signs its own statuses."""

    def sign(self, envelope, status):
        return self.signer.proof(envelope, status, self.now, TIME)

    def __init__(self, *arguments, **how):
        self.unsigned = []
        self.signer = StatusSigner(lambda: OURS, lambda: self.unsigned.append("limited"), 0.0)
        super().__init__(*arguments, **how)


def their_message(number, to, said="hello", *, is_signed=True):
    message_ = message(CID, number, to, said)
    if is_signed:
        sign_message(DEVICE, message_, 0, TIME)
    return message_


@pytest.mark.parametrize("case", ["away", "not found", "blocked"])
def test_a_status_of_our_own_to_another_servers_user_is_signed_by_us(case):
    node = SigningNode("alpha")
    beta = node.link("beta")
    if case != "not found":
        node.disconnect(BOB, node.connect(BOB))
    if case == "blocked":
        node.engine.blocks.add(BOB.user_id, CID)
    said = their_message(1, BOB)
    node.receive("beta", said)
    (told,) = beta.take()
    status = {"away": Status.USER_AWAY, "not found": Status.USER_NOT_FOUND, "blocked": Status.USER_BLOCKED}[case]
    assert [each.status for each in told.statuses] == [status]
    assert told.proofs[0].key == OURS.public
    assert is_status_signed(said, BOB, status, told.proofs[0])


def test_what_is_not_signed_and_our_own_users_statuses_have_no_proof_of_ours():
    node = SigningNode("alpha")
    beta, ann = node.link("beta"), node.connect(ANN)
    node.receive("beta", their_message(1, BOB, is_signed=False))
    (told,) = beta.take()
    assert not told.proofs
    node.from_client(ANN, read_datagram(encode("MESSAGE", signed(2, BOB))))
    (told,) = ann.take()
    assert [each.status for each in told.statuses] == [Status.USER_NOT_FOUND]
    assert not told.proofs


def test_an_interim_status_of_another_server_keeps_its_proof_until_it_is_told():
    node = SigningNode("alpha")
    ann, beta = node.connect(ANN), node.link("beta")
    said = signed(1, CID)
    node.from_client(ANN, read_datagram(encode("MESSAGE", said)))
    assert beta.take() == [said]
    theirs = ack(1, (CID, Status.USER_AWAY), author=ANN)
    theirs.proofs.append(sign_status(DEVICE, said, CID, Status.USER_AWAY, TIME))
    node.from_server("beta", read_datagram(encode("MESSAGE_ACK", theirs)))
    (told,) = ann.take()
    assert [each.status for each in told.statuses] == [Status.USER_AWAY]
    assert is_status_signed(said, CID, Status.USER_AWAY, told.proofs[0])


def envelope_of(said, origin="beta"):
    return Envelope(CID, said.messageSnowflake, BOB, encode("MESSAGE", said), origin=origin)


def test_no_more_is_signed_than_the_rate_allows_and_the_rest_is_counted():
    limited = []
    signer = StatusSigner(lambda: OURS, lambda: limited.append(1), 0.0)
    envelope = envelope_of(their_message(1, BOB))
    proofs = [signer.proof(envelope, Status.USER_AWAY, 0.0, TIME) for _ in range(int(BURST) + 10)]
    assert (sum(map(bool, proofs)), len(limited)) == (BURST, 10)
    assert signer.proof(envelope, Status.USER_AWAY, 1 / RATE, TIME)


@pytest.mark.parametrize("why", ["delivered", "ours", "no key", "large", "no bytes"])
def test_what_is_not_ours_to_sign_goes_without(why):
    signer = StatusSigner(lambda: None if why == "no key" else OURS, lambda: None, 0.0)
    said = their_message(1, BOB, "x" * LARGEST if why == "large" else "hello")
    envelope = envelope_of(said, "" if why == "ours" else "beta")
    if why == "no bytes":
        envelope.raw = b""
    status = Status.DELIVERED if why == "delivered" else Status.USER_AWAY
    assert signer.proof(envelope, status, 0.0, TIME) == b""
    assert signer.proof(envelope_of(their_message(2, BOB)), Status.USER_AWAY, 0.0, TIME) or why == "no key"


def test_a_copy_for_a_member_is_signed_over_the_message_to_the_group():
    node = SigningNode("alpha")
    beta = node.link("beta")
    for user in (BOB, ANN):
        node.disconnect(user, node.connect(user))
    for user in (BOB, CID):
        node.engine.groups.add(CREW.group_id, user)
    said = message(CID, 5, None, "hello", group=CREW.to_pb())
    sign_message(DEVICE, said, 0, TIME)
    node.receive("beta", said)
    (told,) = beta.take()
    assert [each.status for each in told.statuses] == [Status.USER_AWAY]
    assert is_status_signed(said, BOB, Status.USER_AWAY, told.proofs[0])
