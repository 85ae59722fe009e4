"""Pairing by a spoken code: each attempt tests one code, and what is confirmed are exactly these keys and names."""

import dataclasses
import itertools

import pytest

from parley.shared.trust import pairing
from parley.shared.trust.pairing import ALPHABET, Answer, Entry, Offer, PairingRefused, Party, make_code, read_code

PHONE, LAPTOP = Party("alice@alpha", b"p" * 32), Party("alice@alpha", b"l" * 32)


def met(offer, entry, *, now=1.0, seen_by_offer=LAPTOP, seen_by_entry=PHONE):
    """One whole exchange: the party and the secret that the offer has, and the secret of the entry."""
    answer = offer.answer(seen_by_offer, entry.element, now)
    confirmation, secret = entry.confirm(seen_by_entry, answer)
    return *offer.confirm(confirmation), secret


def test_who_enters_the_code_is_known_to_both_with_one_secret():
    offer = Offer("device", PHONE, now=0.0)
    party, secret, other = met(offer, Entry("device", LAPTOP, offer.code.lower().replace("-", " ")))
    assert party == LAPTOP
    assert secret == other
    assert len(secret) == 32


def test_a_code_is_used_up_by_a_pairing():
    offer = Offer("device", PHONE, now=0.0)
    met(offer, Entry("device", LAPTOP, offer.code))
    assert offer.seconds_left(1.0) == 0
    with pytest.raises(PairingRefused, match="tries"):
        met(offer, Entry("device", LAPTOP, offer.code))


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("4KX9-7QMT", "4KX97QMT"),
        (" 4kx9 7qmt\n", "4KX97QMT"),
        ("OoIi-LlUu", "001111VV"),
    ],
)
def test_a_code_is_read_as_people_type_it(typed, code):
    assert read_code(typed) == code


@pytest.mark.parametrize("typed", ["", "4KX9-7QM", "4KX9-7QMTT", "4KX9-7QM!", "4KX9-7QMé", "x" * 100_000])
def test_what_is_no_code_is_refused(typed):
    with pytest.raises(PairingRefused) as refused:
        Entry("device", LAPTOP, typed)
    assert refused.value.reason == "malformed"


def test_codes_have_forty_bits_of_characters_that_sound_apart():
    assert len(set(ALPHABET)) == 32
    assert not set("ILOU") & set(ALPHABET)
    assert len({make_code() for _ in range(1000)}) == 1000


def test_10_000_guesses_are_three():
    offer = Offer("device", PHONE, now=0.0, code="0000-0000")
    outcomes = []
    for guess in itertools.islice(itertools.product(ALPHABET[1:], repeat=CHARACTERS), 10_000):
        try:
            # Only an answer tells anything about the code.
            answer = offer.answer(LAPTOP, _ELEMENT, 1.0)
            Entry("device", LAPTOP, "".join(guess)).confirm(PHONE, answer)
        except PairingRefused as refused:
            outcomes.append(refused.reason)
    assert outcomes == ["wrong_code"] * 3 + ["tries"] * 9_997


CHARACTERS = pairing.CHARACTERS
_ELEMENT = Entry("device", LAPTOP, "ZZZZ-ZZZZ").element


def test_a_wrong_code_is_told_at_either_side_and_the_right_one_still_works():
    offer = Offer("device", PHONE, now=0.0, code="0000-0000")
    wrong = Entry("device", LAPTOP, "1111-1111")
    answer = offer.answer(LAPTOP, wrong.element, 1.0)
    with pytest.raises(PairingRefused, match="another code"):
        wrong.confirm(PHONE, answer)
    with pytest.raises(PairingRefused) as refused:
        offer.confirm(b"\0" * 32)
    assert refused.value.reason == "wrong_code"
    assert met(offer, Entry("device", LAPTOP, "0000-0000"))[0] == LAPTOP


def test_a_code_is_good_for_two_minutes_of_running_time():
    offer = Offer("device", PHONE, now=1000.0)
    assert offer.seconds_left(1119.0) == 1.0
    with pytest.raises(PairingRefused) as refused:
        offer.answer(LAPTOP, _ELEMENT, 1120.0)
    assert refused.value.reason == "expired"


@pytest.mark.parametrize("changed", ["name", "key"])
@pytest.mark.parametrize("which", ["seen_by_offer", "seen_by_entry"])
def test_somebody_between_who_changes_a_name_or_a_key_is_told(changed, which):
    offer = Offer("device", PHONE, now=0.0)
    party = LAPTOP if which == "seen_by_offer" else PHONE
    other = dataclasses.replace(party, **{changed: "mallory@alpha" if changed == "name" else b"m" * 32})
    with pytest.raises(PairingRefused) as refused:
        met(offer, Entry("device", LAPTOP, offer.code), **{which: other})
    assert refused.value.reason == "wrong_code"


def test_a_code_is_good_for_one_purpose():
    offer = Offer("device", PHONE, now=0.0)
    with pytest.raises(PairingRefused):
        met(offer, Entry("federation", LAPTOP, offer.code))


def test_a_confirmation_counts_once_and_only_after_an_answer():
    offer = Offer("device", PHONE, now=0.0)
    with pytest.raises(PairingRefused):
        offer.confirm(b"")
    entry = Entry("device", LAPTOP, offer.code)
    confirmation, _ = entry.confirm(PHONE, offer.answer(LAPTOP, entry.element, 1.0))
    offer.confirm(confirmation)
    with pytest.raises(PairingRefused):
        offer.confirm(confirmation)


@pytest.mark.parametrize(
    "element",
    [b"", b"A", b"A" * 34, b"A" + b"\xff" * 32, b"A" + bytes(32), b"A" + b"\x01" + bytes(31), b"B" + _ELEMENT[1:]],
    ids=["empty", "short", "long", "no point", "zero", "of small order", "the other side's"],
)
def test_what_is_no_element_is_malformed_at_both_sides(element):
    offer, entry = Offer("device", PHONE, now=0.0), Entry("device", LAPTOP, "0000-0000")
    with pytest.raises(PairingRefused) as refused:
        offer.answer(LAPTOP, element, 1.0)
    assert refused.value.reason == "malformed"
    flipped = element.replace(b"A", b"C") if element != b"B" + _ELEMENT[1:] else b"A" + _ELEMENT[1:]
    with pytest.raises(PairingRefused) as refused:
        entry.confirm(PHONE, Answer(flipped, b"\0" * 32))
    assert refused.value.reason == "malformed"


@pytest.mark.parametrize("party", [Party("", b"k" * 32), Party("n" * 513, b"k" * 32), Party("n", b"k" * 31)])
def test_names_and_keys_are_bounded(party):
    offer = Offer("device", PHONE, now=0.0)
    with pytest.raises(PairingRefused) as refused:
        offer.answer(party, _ELEMENT, 1.0)
    assert refused.value.reason == "malformed"
    assert offer.seconds_left(1.0)


def test_the_own_element_sent_back_is_refused():
    entry = Entry("device", LAPTOP, "0000-0000")
    with pytest.raises(PairingRefused) as refused:
        entry.confirm(PHONE, Answer(b"B" + entry.element[1:], b"\0" * 32))
    assert refused.value.reason in {"malformed", "wrong_code"}
