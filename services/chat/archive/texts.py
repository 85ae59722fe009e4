"""The words of a message, and of a query, as SQLite's full-text index takes them. Pure.

An index of words (unicode61, without diacritics) has each message's words, and one of trigrams those of scripts
that have no spaces between words. Both keep no positions: so a query is a set of words or trigrams, and whoever
is found is looked at again. Each message also has the names of its people as words, by a digest: so the index
itself leaves out most messages of others.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final, NamedTuple

from parley.services.chat.archive.lists import Conversation
from parley.shared.errors import ConfigError
from parley.shared.wire.messages import pb

LONGEST: Final = 16_384
"""Characters of a message that are searched."""
LONGEST_QUERY: Final = 256
MOST_TERMS: Final = 16
"""Characters and words of a query."""
GRAM: Final = 3
"""Characters of a trigram."""
_WORD: Final = re.compile(r"[^\W_]+")
_SPACELESS: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003134f]"
)
"""Thai, Lao, Burmese, Khmer, Japanese and Chinese."""


class Query(NamedTuple):
    """A query, ready for both indexes; an empty expression: nothing is asked of that index."""

    terms: str
    grams: str
    parts: tuple[str, ...]
    """The words in a script without spaces: each must stand in the text."""


def text_of(message: pb.ChatMessage) -> str:
    """The text of a message, the one that it gives another, or its document's name."""
    return searched(message.textContent or message.edit.text or message.document.filename)


def searched(text: str) -> str:
    """As much of a text as is searched, in Unicode's composed form."""
    text = text[:LONGEST]
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def is_spaceless(text: str) -> bool:
    """Whether some of it is in a script without spaces."""
    return not text.isascii() and _SPACELESS.search(text) is not None


def token(conversation: Conversation) -> str:
    """A word that all messages of a conversation have: the person's; of a group, the group's."""
    if conversation.is_group:
        return _digest("g", f"{conversation.name}\0{conversation.server_id}")
    return _digest("p", conversation.person)


def tokens(conversations: Iterable[Conversation]) -> str:
    """These words of several conversations."""
    return " ".join(sorted({token(each) for each in conversations}))


def query_of(text: str) -> Query:
    """Read what somebody searches for: all its words must be there; `par*` finds parley, too.

    Raises:
        ConfigError: no word, too many of them, or one of a script without spaces that is shorter than a trigram.

    """
    if len(text) > LONGEST_QUERY:
        raise ConfigError(f"a search has at most {LONGEST_QUERY} characters")
    text = unicodedata.normalize("NFC", text)
    terms: list[str] = []
    grams: list[str] = []
    parts: list[str] = []
    for found in _WORD.finditer(text):
        word = found[0]
        if is_spaceless(word):
            if len(word) < GRAM:
                raise ConfigError(f"{word}: in this script a search needs {GRAM} characters")
            parts.append(word.casefold())
            grams += [word[at : at + GRAM] for at in range(len(word) - GRAM + 1)]
        else:
            terms.append(f'"{word}"' + ("*" if text[found.end() : found.end() + 1] == "*" else ""))
    if not terms and not grams:
        raise ConfigError("a search needs a word")
    if len(terms) + len(parts) > MOST_TERMS:
        raise ConfigError(f"a search has at most {MOST_TERMS} words")
    return Query(" AND ".join(terms), " AND ".join(f'"{gram}"' for gram in grams), tuple(parts))


def _digest(kind: str, text: str) -> str:
    return f"zq{kind}" + blake2b(text.encode(errors="surrogatepass"), digest_size=6).hexdigest()
