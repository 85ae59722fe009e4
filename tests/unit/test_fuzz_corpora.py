"""The committed inputs of fuzzing: few and small, and of targets that there are."""

import pytest

from tests.fuzz.corpora import CORPUS, LARGEST, MOST, corpus, reached
from tests.fuzz.targets import TARGETS

WHOLE = 256 * 1024
"""Bytes of all files together, at most."""


def test_there_is_a_corpus_for_each_target_and_no_other():
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS) | {"keys"}


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_corpus_is_few_small_files(name):
    sizes = [path.stat().st_size for path in corpus(name)]
    assert 0 < len(sizes) <= MOST
    assert max(sizes) <= LARGEST


def test_all_corpora_together_are_small():
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) <= WHOLE


def test_what_an_input_reaches_first_is_read_from_a_control_file():
    control = "3\n0\na\nb\nc\nSTARTED 0 9\nFT 0 11 12 13\nCOV 0 7\nSTARTED 1 9\nFT 1\nCOV 1\nSTARTED 2 9\nFT 2 14\n"
    assert reached(control) == {0: 3, 1: 0, 2: 1}
