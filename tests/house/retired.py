"""Words that no name has any more (retired.txt), and the names of the product that they are looked for in.

`python -m tests.house.retired [WORD …]`: where they occur; without a word how often each of the list does, those
that are still to come (~) among them.

Names are identifiers of Python (its stubs, too), C, the protocol's schema and the status page's script, the
configuration's keys, metrics and files. A name is its words: `next_receipt`, `NextReceipt` and `nextReceipt` are
next, receipt. What tests are called is a sentence and no name.
"""

from __future__ import annotations

import argparse
import functools
import keyword
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import msgspec

from parley.shared.config import Config
from tests.house.sources import PRODUCT, REST, files, relative, without_comments

LIST = Path(__file__).with_name("retired.txt")
FOLDERS = (*PRODUCT, *REST, "proto", "docs/examples")
IDENTIFIER = re.compile(r"\b[A-Za-z_]\w*")
LIKE_C = (".c", ".h", ".proto", ".js")
WITH_IDENTIFIERS = {".py", ".pyi", *LIKE_C}
WITH_METRICS = {".py", ".yml", ".json"}
METRIC = re.compile(r"\bparley_[a-z0-9_]+")
WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
LINE = re.compile(
    r"(?P<state>~?)\s*(?P<words>[\w, ]+?)(?: as (?P<kind>identifier|key|metric|file))?(?: in (?P<places>[^→]+?))?"
    r"\s*→\s*(?P<became>.+)"
)
EXCEPTION = re.compile(r"except (?P<names>[\w*?./, ]+?)(?: in (?P<places>[^:]+?))?\s*:\s*(?P<reason>\S.*)")
CONFIGURATION = "shared/config.py"

_TEXT = re.compile(
    r"""[rRbBuUfF]{0,2}(?:\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}"""
    r"""|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|\#[^\n]*""",
    re.DOTALL,
)
"""Texts and comments of Python."""


class Name(NamedTuple):
    """Something that is called something."""

    kind: str
    text: str
    path: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.path}{f':{self.line}' if self.line else ''}: {self.kind} {self.text}"


@dataclass
class Exemption:
    """Names with a retired word that stay, and why."""

    names: list[str]
    places: list[str]
    reason: str
    is_used: bool = False

    def holds(self, name: Name) -> bool:
        """Whether it is for that name."""
        return _any(name.text, self.names) and _any(name.path, self.places)


@dataclass
class Word:
    """A word, or several that follow each other."""

    text: str
    places: list[str] = field(default_factory=list)
    became: str = ""
    kind: str = ""
    """What alone may not be called so; empty: nothing may."""
    is_to_come: bool = False
    exemptions: list[Exemption] = field(default_factory=list)

    def is_in(self, name: Name) -> bool:
        """Whether a name has it, be it exempt or not."""
        words, own = words_of(name.text), words_of(self.text)
        if self.kind not in ("", name.kind) or not _any(name.path, self.places):
            return False
        return any(words[at : at + len(own)] == own for at in range(len(words)))

    def found_in(self, names: Mapping[str, Sequence[Name]]) -> list[Name]:
        """The names, by their words, that have it and are not exempt; which exemptions are used is noted."""
        found = []
        for name in names.get(words_of(self.text)[0], ()):
            if self.is_in(name):
                exempt = [each for each in self.exemptions if each.holds(name)]
                for each in exempt:
                    each.is_used = True
                if not exempt:
                    found.append(name)
        return found


def by_word(found: Sequence[Name]) -> dict[str, list[Name]]:
    """Names by each of their words, so that a retired one is looked for in few of them."""
    index: dict[str, list[Name]] = {}
    for name in found:
        for word in set(words_of(name.text)):
            index.setdefault(word, []).append(name)
    return index


def _any(text: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatch(text, pattern) for pattern in patterns)


@functools.cache
def words_of(text: str) -> tuple[str, ...]:
    """A name's words, in small letters."""
    return tuple(word.lower() for word in WORDS.findall(text))


def read(text: str) -> list[Word]:
    """The words of a list (its head says how it is written). ValueError where a line means nothing."""
    words: list[Word] = []
    last: list[Word] = []
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.partition("#")[0].strip()
        if not content:
            continue
        if found := EXCEPTION.fullmatch(content):
            if not last:
                raise ValueError(f"line {number}: an exception to nothing")
            exemption = Exemption(_split(found["names"]), _split(found["places"]), found["reason"])
            for word in last:
                word.exemptions.append(exemption)
        elif found := LINE.fullmatch(content):
            last = [
                Word(
                    each,
                    _split(found["places"]),
                    found["became"],
                    found["kind"] or "",
                    is_to_come=bool(found["state"]),
                )
                for each in _split(found["words"])
            ]
            words += last
        else:
            raise ValueError(f"line {number} is neither a word nor an exception with a reason: {content}")
    return words


def _split(text: str | None) -> list[str]:
    return [each.strip() for each in (text or "").split(",") if each.strip()]


def names() -> list[Name]:
    """All names of the repository, each once a file."""
    found = [*keys()]
    for path in files(FOLDERS, ("",)):
        place = relative(path)
        found.append(Name("file", place, place))
        if path.suffix in WITH_METRICS:
            source = path.read_text(encoding="utf-8")
            found += [Name("metric", each, place) for each in dict.fromkeys(METRIC.findall(source))]
        if path.suffix in WITH_IDENTIFIERS:
            found += identifiers(path.read_text(encoding="utf-8"), place)
    return found


def identifiers(source: str, place: str) -> list[Name]:
    """The identifiers of a file of Python, or of what has comments like C, each where it is first."""
    is_c = place.endswith(LIKE_C)
    code = without_comments(source) if is_c else _TEXT.sub(_lines, source)
    lines: dict[str, int] = {}
    for number, line in enumerate(code.splitlines(), start=1):
        for text in IDENTIFIER.findall(line):
            lines.setdefault(text, number)
    return [
        Name("identifier", text, place, number)
        for text, number in lines.items()
        if is_c or not (keyword.iskeyword(text) or (place.startswith("tests/") and text.startswith("test_")))
    ]


def _lines(found: re.Match[str]) -> str:
    """The ends of lines in something, so that what follows stays where it is."""
    return " " + "\n" * found[0].count("\n")


def keys(model: type[msgspec.Struct] = Config, section: str = "") -> Iterator[Name]:
    """The configuration's keys, with their sections."""
    for each in msgspec.structs.fields(model):
        yield Name("key", section + each.encode_name, CONFIGURATION)
        if isinstance(each.type, type) and issubclass(each.type, msgspec.Struct):
            yield from keys(each.type, f"{section}{each.encode_name}.")


def main() -> int:
    """Print where words occur."""
    parser = argparse.ArgumentParser(prog="python -m tests.house.retired", description="Retired words")
    parser.add_argument("words", nargs="*", metavar="WORD", help="as in the list; else all of it, counted")
    wanted = parser.parse_args().words
    words, everything = read(LIST.read_text(encoding="utf-8")), by_word(names())
    for text in wanted:
        known = [word for word in words if word.text == text]
        for word in known or [Word(text)]:
            for name in word.found_in(everything):
                print(name)
    for word in words if not wanted else ():
        found = word.found_in(everything)
        state = "to come" if word.is_to_come else "retired"
        print(
            f"{word.text:<16}{state:>8}{len(found):>6} names in {len({name.path for name in found}):>4} files"
            f"   → {word.became}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
