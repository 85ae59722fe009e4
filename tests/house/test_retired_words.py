"""No name has a retired word, and the list of them means what it says."""

from pathlib import Path

import msgspec
import pytest

from tests.house.retired import LIST, Name, by_word, identifiers, keys, names, read, words_of

WORDS = read(LIST.read_text(encoding="utf-8"))
RETIRED = [word for word in WORDS if not word.is_to_come]


@pytest.fixture(scope="module")
def everything():
    return names()


@pytest.fixture(scope="module")
def index(everything):
    return by_word(everything)


def test_no_name_has_a_retired_word(index):
    found = [f"{name} → {word.became}" for word in RETIRED for name in word.found_in(index)]
    assert not found, "\n".join(["retired words (tests/house/retired.txt):", *found])


def test_every_exception_is_still_one(index):
    for word in WORDS:
        word.found_in(index)
    idle = {f"{word.text}: {each.reason}" for word in WORDS for each in word.exemptions if not each.is_used}
    used = {f"{word.text}: {each.reason}" for word in WORDS for each in word.exemptions if each.is_used}
    assert not idle - used


def test_no_word_is_listed_twice():
    listed = [(word.text, word.kind, *word.places) for word in WORDS]
    assert len(listed) == len(set(listed))


def test_the_search_sees_every_kind_of_name(everything):
    """The test of the test."""
    kinds = {(name.kind, Path(name.path).suffix) for name in everything}
    assert kinds >= {("identifier", suffix) for suffix in (".py", ".pyi", ".c", ".h", ".proto", ".js")}
    assert kinds >= {("metric", suffix) for suffix in (".py", ".yml", ".json")}
    assert {("key", ".py"), ("file", ".py"), ("file", ".c"), ("file", ".yml")} <= kinds
    assert "parley_messages" in {name.text for name in everything if name.kind == "metric"}
    assert {"messageSnowflake", "AnnounceTo"} <= {
        name.text for name in everything if name.path.startswith("proto/")
    }
    assert [name for name in everything if name.path.startswith("docs/examples/")]
    assert not [name for name in everything if name.path.endswith("_pb2.py")]
    assert not [name for name in everything if name.path.startswith(("parley/services", "parley/shared"))]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("next_receipt", ("next", "receipt")),
        ("_NextReceipt", ("next", "receipt")),
        ("messageSnowflake2", ("message", "snowflake", "2")),
        ("HTTPServer", ("http", "server")),
        ("MOST_OF_ALL", ("most", "of", "all")),
        ("link.peer_ping_timeout", ("link", "peer", "ping", "timeout")),
        ("tests/unit/test_debts.py", ("tests", "unit", "test", "debts", "py")),
    ],
)
def test_a_name_is_its_words(text, words):
    assert words_of(text) == words


def hits(text, *found):
    return [name.text for word in read(text) for name in word.found_in(by_word(found))]


def test_a_word_is_found_in_every_spelling_and_not_in_others():
    found = [
        Name("identifier", text, "shared/a.py") for text in ("is_quick", "QuickWay", "QUICK", "quickly", "quicken")
    ]
    assert hits("quick → fast path", *found) == ["is_quick", "QuickWay", "QUICK"]


def test_a_phrase_is_found_where_its_words_follow_each_other():
    found = [Name("identifier", text, "shared/a.py") for text in ("is_ours", "isOurs", "ours_is", "is_not_ours")]
    assert hits("is_ours → is_parley", *found) == ["is_ours", "isOurs"]


def test_a_word_may_be_retired_in_some_places_alone():
    here, there = Name("identifier", "memory", "services/chat/a.py"), Name("identifier", "memory", "shared/b.py")
    assert hits("memory in services/chat/* → recent", here, there) == ["memory"]
    assert hits("memory in bench/*, shared/* → recent", here, there) == ["memory"]
    assert hits("memory → recent", here, there) == ["memory"] * 2


def test_a_word_may_be_retired_as_a_name_of_one_kind_alone():
    found = [
        Name("file", "shared/waiting.py", "shared/waiting.py"),
        Name("identifier", "waiting", "shared/waiting.py"),
    ]
    assert hits("waiting as file → who waits", *found) == ["shared/waiting.py"]
    assert hits("waiting as key in shared/* → who waits", *found) == []


def test_an_exception_holds_for_what_it_names_where_it_says():
    found = [Name("identifier", text, "shared/a.py") for text in ("memory_limit", "memory_of")]
    assert hits("memory → recent\n  except memory_l*: the machine's", *found) == ["memory_of"]
    assert hits("memory → recent\n  except memory_l* in bench/*: the machine's", *found) == [
        "memory_limit",
        "memory_of",
    ]


def test_an_exception_holds_for_all_words_of_its_line():
    found = [Name("identifier", text, "shared/a.py") for text in ("debts_of", "owed_of")]
    assert hits("debts, owed → statuses\n  except *_of: a reason", *found) == []


@pytest.mark.parametrize(
    "text", ["quick", "  except quick: a reason", "quick → fast path\n  except quick:", "→ fast"]
)
def test_a_line_that_means_nothing_is_an_error(text):
    with pytest.raises(ValueError, match="line"):
        read(text)


def test_words_to_come_and_comments_are_not_retired():
    (word,) = read("# a comment → no word\n\n~ quick → fast path  # soon\n")
    assert (word.text, word.became, word.is_to_come) == ("quick", "fast path", True)


def identified(source, place="shared/a.py"):
    return [(name.text, name.line) for name in identifiers(source, place)]


def test_identifiers_of_python_are_neither_its_texts_nor_comments():
    source = """
'A word.'
from a import b  # word
c.d = f'word' + rb"a \\" word"
def e(f: int = 1) -> "word":
    '''A "word"
    of it.'''
    g(h='', i="it's a word")
"""
    assert identified(source) == [
        ("a", 3),
        ("b", 3),
        ("c", 4),
        ("d", 4),
        ("e", 5),
        ("f", 5),
        ("int", 5),
        ("g", 8),
        ("h", 8),
        ("i", 8),
    ]


def test_what_a_test_is_called_is_no_name():
    assert identified("def test_they_are_told(): told()\n", "tests/unit/test_a.py") == [("told", 1)]


def test_identifiers_of_c_are_neither_its_texts_nor_comments():
    source = '/* word\n*/ int a = f("word"); // b\n'
    assert identified(source, "shared/core/a.c") == [("int", 2), ("a", 2), ("f", 2)]


def test_keys_are_those_of_all_sections():
    class Part(msgspec.Struct):
        inner: int = 0

    class Whole(msgspec.Struct):
        outer: str = ""
        part: Part = msgspec.field(default_factory=Part)

    assert [name.text for name in keys(Whole)] == ["outer", "part", "part.inner"]
    assert "link.peer_ping_timeout" in [name.text for name in keys()]
