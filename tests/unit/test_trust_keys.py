"""Signatures are those of RFC 8032, as they always were, and keys that nobody holds prove nothing."""

import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from parley.shared.trust.certificates import is_endorsed, make_leaf
from parley.shared.trust.keys import KEY, SIGNATURE, PrivateKey, is_signed_by

VECTORS = json.loads(Path(__file__).parents[1].joinpath("data", "ed25519_vectors.json").read_text(encoding="utf-8"))
"""`is_valid`: Parley's verdict; `openssl_says`: that of a Parley from before 2026-11-30."""
seeds = st.binary(min_size=KEY, max_size=KEY)


def openssl_says(key, signature, data):
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["why"])
def test_the_verdict_is_that_of_the_vectors(vector):
    key, signature, data = (bytes.fromhex(vector[name]) for name in ("key", "signature", "data"))
    assert is_signed_by(key, signature, data) == vector["is_valid"]
    assert openssl_says(key, signature, data) == vector["openssl_says"]
    assert vector["openssl_says"] or not vector["is_valid"], "an older Parley would refuse what this one takes"
    if "private" in vector:
        private = PrivateKey(bytes.fromhex(vector["private"]))
        assert (private.public, private.sign(data)) == (key, signature)


@given(seeds, st.binary(max_size=300))
def test_a_key_of_before_is_the_same_and_signs_the_same(seed, data):
    before, now = Ed25519PrivateKey.from_private_bytes(seed), PrivateKey(seed)
    assert now.public == before.public_key().public_bytes_raw()
    assert now.private_bytes() == before.private_bytes_raw() == seed
    assert now.sign(data) == before.sign(data)
    assert is_signed_by(now.public, before.sign(data), data)
    assert openssl_says(now.public, now.sign(data), data)


@given(seeds, st.binary(max_size=80), st.integers(0, 511), st.integers(0, 255))
def test_one_wrong_bit_of_a_signature_or_a_key_is_refused_by_both(seed, data, bit, key_bit):
    private = PrivateKey(seed)
    signature, key = bytearray(private.sign(data)), bytearray(private.public)
    signature[bit // 8] ^= 1 << bit % 8
    key[key_bit // 8] ^= 1 << key_bit % 8
    for pair in ((private.public, bytes(signature)), (bytes(key), private.sign(data))):
        assert not is_signed_by(*pair, data)
        assert not openssl_says(*pair, data)


@pytest.mark.parametrize("size", [0, KEY - 1, KEY + 1, 2 * KEY])
def test_a_private_key_of_another_length_is_none(size):
    with pytest.raises(ValueError, match=str(KEY)):
        PrivateKey(bytes(size))


def test_new_keys_differ_and_are_told_by_their_public_bytes():
    one, other = PrivateKey.generate(), PrivateKey.generate()
    assert one.public != other.public
    assert PrivateKey(one.private_bytes()).public == one.public
    assert one.private_bytes().hex() not in repr(one)


def test_a_certificate_is_judged_as_all_else_is():
    """The key of order 1 endorses what anybody makes: R = [S]B, whatever is signed."""
    vector = next(each for each in VECTORS if "the key is a point of order 1:" in each["why"])
    nobody, signature = bytes.fromhex(vector["key"]), bytes.fromhex(vector["signature"])
    assert openssl_says(nobody, signature, b"anything")
    assert not is_signed_by(nobody, signature, b"anything")

    leaf = make_leaf(PrivateKey(bytes(KEY)), "alpha", 0.0)
    der = x509.load_pem_x509_certificate(leaf.certificate).public_bytes(Encoding.DER)
    assert is_endorsed(der, PrivateKey(bytes(KEY)).public)
    assert not is_endorsed(der[:-SIGNATURE] + signature, nobody)
