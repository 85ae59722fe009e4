"""Proofs of keys: each is good for what it was made for and for nothing else."""

import dataclasses
import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from parley.shared.trust.certificates import digest_of, is_endorsed, make_leaf
from parley.shared.trust.keys import PrivateKey, fingerprint, is_signed_by
from parley.shared.trust.pins import How, Pin, Pins, Verdict
from parley.shared.trust.proofs import CLIENT, SERVER, Dialler, is_proven, make_hello, prove, read_hello
from parley.shared.trust.signed_bytes import signed_bytes

VECTORS = json.loads(Path(__file__).parents[1].joinpath("data", "trust_vectors.json").read_text(encoding="utf-8"))
ALPHA, MALLORY, DEVICE = (PrivateKey(bytes([n]) * 32) for n in (1, 2, 3))
CERTIFICATE = b"c" * 32
DIALLER = Dialler(CLIENT, "MESSAGES", "alice@alpha", "")


@pytest.mark.parametrize("vector", VECTORS["signed_bytes"], ids=lambda v: v["tag"])
def test_signed_bytes_and_signatures_are_those_of_the_vectors(vector):
    fields = [bytes.fromhex(f["hex"]) if isinstance(f, dict) else f for f in vector["fields"]]
    data = signed_bytes(vector["tag"], *fields)
    key = PrivateKey(bytes.fromhex(vector["private"]))
    assert data.hex() == vector["bytes"]
    assert key.public.hex() == vector["public"]
    assert key.sign(data).hex() == vector["signature"]


def test_a_field_never_passes_for_a_part_of_another():
    assert len({signed_bytes("t", "ab", "c"), signed_bytes("t", "a", "bc"), signed_bytes("ta", "b", "c")}) == 3


def test_what_is_no_key_or_no_signature_proves_nothing():
    data = signed_bytes("t", 1)
    good = ALPHA.sign(data)
    assert is_signed_by(ALPHA.public, good, data)
    for key, signature in ((b"", good), (ALPHA.public, b""), (b"\xff" * 32, good), (ALPHA.public[:-1], good)):
        assert not is_signed_by(key, signature, data)
    assert not is_signed_by(MALLORY.public, good, data)


def test_hello_holds_for_its_own_certificate_name_and_nonce_alone():
    hello, channel = make_hello(ALPHA, CERTIFICATE, "alpha")
    assert read_hello(hello, CERTIFICATE) == channel
    assert read_hello(hello, b"d" * 32) is None
    for change in ({"serverId": "beta"}, {"nonce": b"n" * 32}, {"nonce": b""}, {"key": MALLORY.public}):
        other = type(hello)()
        other.CopyFrom(hello)
        for name, value in change.items():
            setattr(other, name, value)
        assert read_hello(other, CERTIFICATE) is None, change


def test_a_proof_is_good_for_one_connection_role_feature_name_instance_and_acceptor():
    _, channel = make_hello(ALPHA, CERTIFICATE, "alpha")
    proof = prove(DEVICE, channel, DIALLER)
    assert is_proven(proof, channel, DIALLER)
    for change in ({"role": SERVER}, {"feature": "TYPING_INDICATOR"}, {"name": "bob@alpha"}, {"instance": "i"}):
        assert not is_proven(proof, channel, dataclasses.replace(DIALLER, **change)), change
    for change in (
        {"certificate": b"d" * 32},
        {"nonce": b"n" * 32},
        {"key": MALLORY.public},
        {"server_id": "beta"},
    ):
        assert not is_proven(proof, dataclasses.replace(channel, **change), DIALLER), change
    proof.key = MALLORY.public
    assert not is_proven(proof, channel, DIALLER)


def test_a_leaf_is_endorsed_by_the_identity_that_made_it_and_no_other():
    leaf = make_leaf(ALPHA, "alpha", 1_800_000_000.0)
    der = x509.load_pem_x509_certificate(leaf.certificate).public_bytes(Encoding.DER)
    assert digest_of(der) == leaf.digest
    assert is_endorsed(der, ALPHA.public)
    assert not is_endorsed(der, MALLORY.public)
    assert not is_endorsed(b"no certificate", ALPHA.public)
    assert not is_endorsed(der, b"no key")


def test_a_name_keeps_its_first_key_and_is_never_plain_again():
    pins = Pins()
    assert pins.may_be_plain("alpha")
    assert pins.judge("alpha", ALPHA.public) is Verdict.NEW
    assert pins.judge("alpha", ALPHA.public, is_plain_held=True) is Verdict.PLAIN_HELD
    pins.put(Pin("alpha", ALPHA.public, How.SEEN, 0.0))
    assert pins.judge("ALPHA", ALPHA.public) is Verdict.SAME
    assert pins.judge("Alpha", MALLORY.public) is Verdict.OTHER
    assert not pins.may_be_plain("aLPHA")
    pins.revoked.add(ALPHA.public)
    assert pins.judge("alpha", ALPHA.public) is Verdict.REVOKED


def test_a_key_is_shown_in_short_and_never_whole():
    text = repr(ALPHA)
    assert fingerprint(ALPHA.public) in text
    assert ALPHA.private_bytes().hex() not in text
    assert fingerprint(ALPHA.public) != fingerprint(MALLORY.public)
