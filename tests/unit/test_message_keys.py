"""By what a message is recognised: message_keys.py, compiled and not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.shared.addresses import Group, User
from parley.shared.compiled import core
from parley.shared.wire.message_keys import LONG, SECRET, MessageKeys, key_of_pure
from parley.shared.wire.messages import pb

ANN, BOB = User("ann", "alpha"), User("bob", "beta")
CREW = Group("bob", "beta")
SECRET_ONE, SECRET_OTHER = bytes(SECRET), bytes([1]) * SECRET
MULTIPLIERS = MessageKeys(SECRET_ONE).multipliers


def written(number=7, text="hello", **content):
    return pb.ChatMessage(messageSnowflake=number, textContent=text, **content)


PRIME = 2**128 - 159


def key_by_the_book(multipliers, pair, number, kind, content):
    """The sum as the module's head has it, word by word."""
    numbers = [int.from_bytes(multipliers[at : at + 15], "little") for at in range(0, len(multipliers), 16)]
    words = [number, kind + 256 * len(content)]
    words += [int.from_bytes(content[at : at + 8], "little") for at in range(0, len(content), 8)]
    total = int.from_bytes(pair, "little") + sum(word * by for word, by in zip(words, numbers, strict=False))
    return (total % PRIME).to_bytes(16, "little")


@given(pair=st.binary(min_size=16, max_size=16), number=st.integers(0, 2**64 - 1), content=st.binary(max_size=LONG))
def test_a_key_is_the_sum_of_each_word_times_the_secret_number_of_its_place(pair, number, content):
    key = key_of_pure(MULTIPLIERS, pair, number, 3, content)
    assert key == key_by_the_book(MULTIPLIERS, pair, number, 3, content)


def test_whatever_differs_makes_another_message():
    keys, others = MessageKeys(SECRET_ONE), MessageKeys(SECRET_OTHER)
    document = pb.Document(filename="hello")
    location = pb.LiveLocation(timestamp=1.0)
    made = [
        keys.of(ANN, BOB, None, written()),
        others.of(ANN, BOB, None, written()),
        keys.of(BOB, ANN, None, written()),
        keys.of(User("annalpha", ""), BOB, None, written()),
        keys.of(User("anna", "lpha"), BOB, None, written()),
        keys.of(ANN, CREW, None, written()),  # a group that is called like the user
        keys.of(ANN, BOB, CREW, written()),
        keys.of(ANN, BOB, Group("bobb", "eta"), written()),
        keys.of(ANN, BOB, None, written(8)),
        keys.of(ANN, BOB, None, written(2**64 - 1)),
        keys.of(ANN, BOB, None, written(text="hellp")),
        keys.of(ANN, BOB, None, written(text="")),
        keys.of(ANN, BOB, None, written(text="hello\0")),
        keys.of(ANN, BOB, None, written(text="x" * LONG)),
        keys.of(ANN, BOB, None, written(text="x" * (LONG + 1))),
        keys.of(ANN, BOB, None, pb.ChatMessage(messageSnowflake=7)),
        keys.of(ANN, BOB, None, pb.ChatMessage(messageSnowflake=7, document=document)),
        keys.of(ANN, BOB, None, pb.ChatMessage(messageSnowflake=7, live_location=location)),
    ]
    assert len(set(made)) == len(made)
    assert all(len(key) == 16 for key in made)


def test_what_is_the_same_is_the_same_in_every_process():
    made = MessageKeys(SECRET_ONE).of(ANN, BOB, None, written())
    assert made.hex() == "c652746eb05527a3775ad0c0f8ea3d5b"
    assert MessageKeys(SECRET_ONE).of_each(ANN, [BOB, CREW], None, written())[0] == made


def test_nothing_is_recognised_by_number_0():
    assert MessageKeys(SECRET_ONE).of(ANN, BOB, None, written(0)) == b""


@pytest.mark.skipif(core is None, reason="there is no compiled core to compare with")
@given(
    multipliers=st.sampled_from([MULTIPLIERS, b"\xff" * len(MULTIPLIERS)]),
    pair=st.binary(min_size=16, max_size=16) | st.just(b"\xff" * 16),
    number=st.integers(0, 2**64 - 1) | st.just(2**64 - 1),
    kind=st.integers(0, 127),
    content=st.binary(max_size=80)
    | st.integers(0, 80).map(lambda n: b"\xff" * n)
    | st.sampled_from([b"\xff" * LONG, bytes(LONG + 1)]),
)
def test_the_compiled_core_makes_the_same_keys(multipliers, pair, number, kind, content):
    arguments = multipliers, pair, number, kind, content
    assert core.key_of(*arguments) == key_of_pure(*arguments)


@pytest.mark.skipif(core is None, reason="there is no compiled core to compare with")
@pytest.mark.parametrize("below", [0, 1, 159, 160])
def test_both_reduce_a_sum_about_the_prime_alike(below):
    """A start of so much below 2^128, and nothing else."""
    arguments = bytes(len(MULTIPLIERS)), (2**128 - 1 - below).to_bytes(16, "little"), 1, 0, b""
    assert core.key_of(*arguments) == key_of_pure(*arguments)
