"""Invitations: tokens as text, what ends them, and the authority's key in a safe place."""

import dataclasses

import pytest

from parley.shared.trust.federation import invitations
from parley.shared.trust.federation.changes import FederationRefused
from parley.shared.trust.federation.invitations import Invitation
from parley.shared.trust.federation.sealed import Export, seal, unseal
from parley.shared.trust.federation.signed_list import SignedList
from parley.shared.trust.federation.tokens import MOST, digest_of, make_token, read_token
from parley.shared.trust.keys import PrivateKey

ID = bytes(range(32))
NOW = 1_796_000_000.0
"""In November 2026."""
DAY = 86400.0


@pytest.mark.parametrize(
    "addresses",
    [(), ("192.168.1.5:6666",), ("[fe80::1]:6666", "bär.example:6666", "a:1", "b:2")],
)
@pytest.mark.parametrize("number", [1, 2**63 - 1])
def test_a_token_is_read_back_as_it_was_in_any_case_and_with_gaps(addresses, number):
    token = make_token(ID, number, NOW, addresses)
    for text in (token.text(), token.text().upper(), "\n ".join(token.text())):
        if len(text) <= MOST:
            assert read_token(text) == token


def test_a_token_is_short_and_keeps_its_secret_to_itself():
    token = make_token(ID, 7, NOW)
    assert len(token.text()) <= 125
    assert token.secret.hex() not in repr(token)
    assert token.text().isalnum()
    assert make_token(ID, 7, NOW).secret != token.secret


def test_each_slip_of_the_pen_is_told():
    text = make_token(ID, 7, NOW, ("192.168.1.5:6666",)).text()
    for at in range(len(text)):
        for other in set("abcdefghijklmnopqrstuvwxyz234567") - {text[at]}:
            with pytest.raises(FederationRefused):
                read_token(text[:at] + other + text[at + 1 :])
        with pytest.raises(FederationRefused):
            read_token(text[:at])


@pytest.mark.parametrize(
    "text", ["", "parley1", "parley1aaaa", "hello", "parley1" + "a" * 10_000, "parley1é", "parley1="]
)
def test_what_is_no_token_is_refused(text):
    with pytest.raises(FederationRefused) as refused:
        read_token(text)
    assert refused.value.reason == "malformed"


def test_addresses_are_bounded():
    for addresses in (("a:1",) * 5, ("a" * 129,), ("",)):
        with pytest.raises(FederationRefused):
            make_token(ID, 1, NOW, addresses)


def test_the_hash_of_a_secret_is_one_federations():
    assert digest_of(ID, b"s" * 20) != digest_of(ID[::-1], b"s" * 20)


ONE_DAY = Invitation(b"d" * 32, made=NOW, lifetime=DAY, number=10)


@pytest.mark.parametrize(
    ("invitation", "now", "number", "is_expired"),
    [
        (ONE_DAY, NOW, 10, False),
        (ONE_DAY, NOW + DAY, 10, False),
        (ONE_DAY, NOW + 2 * DAY - 1, 10, False),
        (ONE_DAY, NOW + 2 * DAY, 10, True),
        (ONE_DAY, NOW - 2 * DAY, 10, True),
        (dataclasses.replace(ONE_DAY, ran=DAY), NOW, 10, True),
        (dataclasses.replace(ONE_DAY, ran=DAY - 1), NOW, 10, False),
        (ONE_DAY, NOW, 1010, False),
        (ONE_DAY, NOW, 1011, True),
        # A machine without a clock: it was made in 1970, and the network told the time since.
        (dataclasses.replace(ONE_DAY, made=100.0), NOW, 10, False),
        (dataclasses.replace(ONE_DAY, made=100.0), 100.0 + 9 * DAY, 10, False),
        (dataclasses.replace(ONE_DAY, made=100.0, ran=DAY), 100.0, 10, True),
        # A clock that went back to 1970, and one that went to 2106.
        (ONE_DAY, 100.0, 10, False),
        (dataclasses.replace(ONE_DAY, ran=DAY), 100.0, 10, True),
        (ONE_DAY, 4_294_967_295.0, 10, True),
        (dataclasses.replace(ONE_DAY, made=4_294_967_295.0), 4_294_967_295.0 + DAY, 10, False),
    ],
)
def test_an_invitation_ends_by_running_time_by_number_or_by_a_clock_that_was_set(
    invitation, now, number, is_expired
):
    assert invitation.is_expired(now, number) is is_expired


def test_a_life_is_bounded():
    assert invitations.LIFETIME < invitations.LONGEST


# The authority in a safe place -------------------------------------------------------------------------------

EXPORT = Export(PrivateKey(b"a" * 32), SignedList(ID, 3, b"content", b"k" * 32, b"s" * 64))
PASSPHRASE = "correct horse battery"
SEALED = seal(EXPORT, PASSPHRASE)


def test_an_export_is_opened_by_its_passphrase_alone():
    again = unseal(SEALED, PASSPHRASE)
    assert again.authority.private_bytes() == EXPORT.authority.private_bytes()
    assert again.newest == EXPORT.newest
    with pytest.raises(FederationRefused) as refused:
        unseal(SEALED, PASSPHRASE + "x")
    assert refused.value.reason == "passphrase"


def test_a_changed_export_is_refused():
    lines = SEALED.splitlines()
    body = lines[2]
    changed = [
        *(
            SEALED.replace(body, body[:at] + ("A" if body[at] != "A" else "B") + body[at + 1 :])
            for at in (0, 20, 60)
        ),
        SEALED.replace('"memory": 65536', '"memory": 1048576'),
        SEALED.replace('"version": 1', '"version": 2'),
        "\n".join([*lines[:2], lines[-1]]),
        "\n".join(lines[1:]),
        SEALED.replace(lines[1], "[" * 100_000),
        "",
        "x" * 3_000_000,
    ]
    for text in changed:
        with pytest.raises(FederationRefused):
            unseal(text, PASSPHRASE)


def test_a_passphrase_has_eight_characters():
    with pytest.raises(FederationRefused):
        seal(EXPORT, "short")


def test_an_export_shows_no_key():
    assert EXPORT.authority.private_bytes().hex() not in repr(EXPORT) + SEALED
