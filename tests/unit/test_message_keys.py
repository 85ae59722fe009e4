"""By what a message is recognised: message_keys.py, compiled and not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.addresses import Group, User
from shared.compiled import core
from shared.message_keys import LONG, SECRET, MessageKeys, key_of_pure, poly1305
from shared.messages import pb

ANN, BOB = User("ann", "alpha"), User("bob", "beta")
CREW = Group("bob", "beta")
SECRET_ONE, SECRET_OTHER = bytes(SECRET), bytes([1]) * SECRET


def written(number=7, text="hello", **content):
    return pb.ChatMessage(messageSnowflake=number, textContent=text, **content)


def test_poly1305_is_that_of_rfc_8439():
    key = bytes.fromhex("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b")
    tag = poly1305(key, b"Cryptographic Forum Research Group")
    assert tag.hex() == "a8061dc1305136c6c22b8baf0c0127a9"


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
    assert made.hex() == "6cf29a4f7b5cc88fcee928155d8da313"
    assert MessageKeys(SECRET_ONE).of_each(ANN, [BOB, CREW], None, written())[0] == made


def test_nothing_is_recognised_by_number_0():
    assert MessageKeys(SECRET_ONE).of(ANN, BOB, None, written(0)) == b""


@pytest.mark.skipif(core is None, reason="there is no compiled core to compare with")
@given(
    pair=st.binary(min_size=32, max_size=32) | st.just(b"\xff" * 32),
    number=st.integers(0, 2**64 - 1),
    kind=st.integers(0, 127),
    content=st.binary(max_size=80) | st.integers(0, 80).map(lambda n: b"\xff" * n) | st.just(bytes(LONG + 1)),
)
def test_the_compiled_core_makes_the_same_keys(pair, number, kind, content):
    assert core.key_of(pair, number, kind, content) == key_of_pure(pair, number, kind, content)
