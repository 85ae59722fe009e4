"""Others' words on a terminal, and their names in quotes: printable.py, names.py, addresses.py."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.shared.addresses import Group, User, parse_recipient, split
from parley.shared.errors import ConfigError
from parley.shared.names import spell, unspell, why_odd
from parley.shared.printable import harmless, one_line, printable, to_json

LEGITIMATE = {
    "a joined emoji": "👨\u200d👩\u200d👧",
    "a flag of tags": "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "a variation": "🏳\ufe0f\u200d🌈",
    "Persian": "می\u200cخواهم",
    "no-break spaces": "Prêt\u00a0! 10\u202f000",
    "an ideographic space": "你好\u3000世界",
    "a tab": "name\tvalue",
    "a soft hyphen": "Donau\u00addampf",
    "an emoji newer than the tables": "\U0001faff\U0001fa89",
    "an icon of a private font": "\uf8ff",
    "composed late": "e\u0301",
    "a Thai break": "ก\u200bข",
}


@pytest.mark.parametrize("text", LEGITIMATE.values(), ids=LEGITIMATE)
def test_what_is_legitimate_stays_as_it_was_written(text):
    assert harmless(text) == one_line(text) == printable(text) == text


@pytest.mark.parametrize("code", [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, 0x202D, 0x202E, 0xD800, 0xFFFE])
def test_nothing_that_steers_a_terminal_is_left(code):
    character = chr(code)
    if character not in "\n\t":
        assert printable(f"a{character}b") == "a\ufffdb"
    assert character not in one_line(f"a{character}b") or character == "\t"
    assert harmless(f"a{character}b").count("\n") == one_line(f"a{character}b").count(" ")
    escaped = to_json({"text": f"a{character}b"})
    assert all(c.isprintable() for c in escaped)
    assert json.loads(escaped) == {"text": f"a{character}b"}


def test_a_further_line_does_not_look_like_a_line_of_its_own():
    for between in ("\n", "\r\n", "\u2028", "\x85", "\v"):
        assert harmless(f"hi{between}bob@beta: no") == "hi\n    bob@beta: no"
        assert one_line(f"a{between}b") == "a b"


def test_marks_of_direction_reach_no_further_than_their_own_line():
    assert harmless("שלום\u200f!") == "\u2068שלום\u200f!\u2069"
    assert one_line("a\u2069b") == "\u2068a\ufffdb\u2069"  # nobody ends our isolate
    assert one_line("\u2067a") == "\u2068\u2067a\u2069\u2069"  # nor leaves one of theirs open
    assert one_line("\u2066a\u2069") == "\u2068\u2066a\u2069\u2069"
    assert one_line("\u2067" * 1000).count("\u2069") == 9


def test_json_for_a_stream_that_is_not_utf8_is_ascii():
    assert to_json({"text": "ü🎉"}) == '{"text": "ü🎉"}'
    assert to_json({"text": "ü🎉"}, only_ascii=True).isascii()


# Names --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "written"),
    [
        (User("alice", "alpha"), "alice@alpha"),
        (User("bob smith", "alpha"), "bob smith@alpha"),
        (User("Ünï", "alpha"), "Ünï@alpha"),
        (User('o"k', "alpha"), 'o"k@alpha'),
        (User('"ok', "alpha"), '"\\"ok"@alpha'),
        (User("\x1b[31mevil", "alpha"), '"\\x1b[31mevil"@alpha'),
        (User("a\nb\\", "alpha"), '"a\\nb\\\\"@alpha'),
        (User("#bob", "alpha"), '"#bob"@alpha'),
        (User("bob@work", "alpha"), '"bob@work"@alpha'),
        (User(" bob ", "alpha"), '" bob "@alpha'),
        (User("bob\u00a0s", "alpha"), '"bob\\xa0s"@alpha'),
        (User("bob\u200d", "alpha"), '"bob\\u200d"@alpha'),
        (User("bob\ufe0f", "alpha"), '"bob\\ufe0f"@alpha'),
        (User("\u202egpj", "alpha"), '"\\u202egpj"@alpha'),
        (User("\U000e0041", "alpha"), '"\\U000e0041"@alpha'),
        (User("", "alpha"), '""@alpha'),
        (User("Jose\u0301", "alpha"), '"Jose\\u0301"@alpha'),
        (User("alice", "a\nb"), 'alice@"a\\nb"'),
        (User("a@b", 'c"@d'), '"a@b"@"c\\"@d"'),
    ],
)
def test_an_odd_name_is_written_in_quotes_and_read_back(user, written):
    assert str(user) == written
    assert User(*split(written)) == user
    if user.user_id:
        assert User.parse(f" {written} ") == user
        assert parse_recipient(f"#{written}") == Group(*user)
        assert str(Group(*user)) == f"#{written}"


@given(st.text(max_size=70), st.text(min_size=1, max_size=70))
def test_every_name_is_read_back_as_it_was(name, server_id):
    assert unspell(spell(name)) == name
    assert split(str(User(name, server_id))) == (name, server_id)
    assert printable(spell(name)) == spell(name)
    assert "\n" not in spell(name)


def test_what_is_typed_without_quotes_is_composed():
    decomposed = unicodedata.normalize("NFD", "José@alpha")
    assert User.parse(decomposed) == User("José", "alpha")
    assert User.parse(" José @ alpha ") == User("José", "alpha")


@pytest.mark.parametrize(
    "text", ['"bob"beta', '"bob"@', '"bo\\qb"@beta', '"\\ud800"@beta', '"\\U00110000"@beta', '""@beta']
)
def test_quotes_around_no_name_are_told(text):
    with pytest.raises(ConfigError):
        User.parse(text)


@pytest.mark.parametrize("name", ["bob\u200d", "bob\ufe0f", "\u3164", "a\u2800", "\uffff", "\ufdd0", "a\u034f"])
def test_what_looks_like_another_name_is_odd(name):
    assert why_odd(name)
