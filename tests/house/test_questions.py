"""What newcomers ask (questions.toml) is answered by places that exist, say so, and are all that there are."""

import re
import tomllib

import pytest

from parley.shared.wire.messages import REGISTRY
from tests.house.places import Place, Search
from tests.house.retired import keys
from tests.house.sources import ROOT
from tests.support import plain_wire as wire

FROM_A_VARIABLE = {
    "BLOCK_USER", "UNBLOCK_USER", "JOIN_GROUP", "LEAVE_GROUP", "CHANGE_GROUP",
    "CONVERSATIONS", "HISTORY", "HISTORY_RESP",
    "SEARCH_HISTORY", "SEARCH_HISTORY_RESP", "CLEAR_HISTORY", "CLEAR_HISTORY_RESP", "SYNC",
}  # fmt: skip
"""Names that no call of `encode` has written out: the search for `encode` with `name` finds where they go out."""
QUESTIONS = tomllib.loads((ROOT / "tests" / "house" / "questions.toml").read_text(encoding="utf-8"))["question"]
each_question = pytest.mark.parametrize("question", QUESTIONS, ids=[each["asks"] for each in QUESTIONS])


def answers_of(question):
    return {Place.parse(text): mentions for text, mentions in question["answers"].items()}


def found_by(question):
    return [place for search in question.get("found", ()) for place in Search(**search).places()]


def test_there_are_thirteen_questions():
    assert len({each["asks"] for each in QUESTIONS}) == len(QUESTIONS) == 13


@each_question
def test_every_answer_exists_and_mentions_what_makes_it_the_answer(question):
    for place, mentions in answers_of(question).items():
        assert place.exists, f"{place} is not there any more"
        missing = [word for word in mentions if not place.mentions(word)]
        assert not missing, f"{place} does not mention {missing}"


@each_question
def test_all_that_is_found_is_among_the_answers(question):
    answers = answers_of(question)
    more = dict.fromkeys(place for place in found_by(question) if place not in answers)
    assert not more, "\n".join([question["asks"], *(f'"{place}" = []' for place in more)])


@each_question
def test_every_search_finds_something(question):
    for search in question.get("found", ()):
        assert Search(**search).places(), search


@each_question
def test_configuration_that_is_spoken_of_exists(question):
    spoken_of = set(re.findall(r"`(\w+\.\w+)`", question["says"]))
    assert spoken_of <= {key.text for key in keys()}


@each_question
def test_no_answer_is_vacuous(question):
    found = found_by(question)
    idle = [str(place) for place, mentions in answers_of(question).items() if not mentions and place not in found]
    assert not idle, f"no search finds these, and nothing is asked of them: {idle}"
    assert question["says"].strip()


def test_each_name_of_ours_is_asked_for():
    """A new one would go out from a place that nobody looked at."""
    (question,) = (each for each in QUESTIONS if each["asks"].startswith("Where do names of Parley's own go out"))
    asked = {name for search in question["found"] for name in search["all"]}
    assert REGISTRY.keys() - wire.NAMES.keys() - asked == FROM_A_VARIABLE
