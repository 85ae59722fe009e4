"""Writes the parts of the documents that are drawn from code: `make documents`.

A part stands between two comments that name it; nobody edits it by hand. tests/house/test_documents.py compares the
parts with their sources.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from deploy.documents import configuration, decisions, diagrams
from deploy.documents.parts import ROOT, replaced
from parley.services.chat.gateways.presence import PRESENCE
from parley.services.chat.gateways.presence import State as Presence
from parley.services.chat.message.life import DURABILITY, LIFE, State
from parley.shared.link.transitions import TRANSITIONS as LINK
from parley.shared.link.transitions import State as LinkState
from tests.interop import expected

PARTS: Final[dict[tuple[str, str], Callable[[], str]]] = {
    ("docs/decisions/README.md", "index"): lambda: decisions.index(decisions.all_decisions()),
    ("docs/configuration.md", "keys"): configuration.table,
    ("docs/architecture.md", "message states"): lambda: diagrams.state_diagram(
        LIFE, first=[State.ACCEPTED, State.WAITING], last=[State.ANSWERED, State.EXPIRED]
    ),
    ("docs/architecture.md", "message transitions"): lambda: diagrams.transition_rows(
        LIFE, last=[State.ANSWERED, State.EXPIRED]
    ),
    ("docs/architecture.md", "message durability"): lambda: diagrams.transition_rows(DURABILITY, last=[]),
    ("docs/architecture.md", "presence states"): lambda: diagrams.state_diagram(
        PRESENCE, first=[Presence.THERE], last=[]
    ),
    ("docs/architecture.md", "presence transitions"): lambda: diagrams.transition_rows(PRESENCE, last=[]),
    ("docs/architecture.md", "link states"): lambda: diagrams.state_diagram(
        LINK, first=[LinkState.ACCEPTED, LinkState.DIALLED], last=[LinkState.CLOSED]
    ),
    ("docs/architecture.md", "link transitions"): lambda: diagrams.transition_rows(LINK, last=[LinkState.CLOSED]),
    ("docs/interop.md", "interop tables"): expected.tables,
    ("docs/interop.md", "interop shows"): expected.shows,
}
"""(document, name of the part) → its text."""


def text(document: Path) -> str:
    """A document with all its generated parts renewed. ValueError where it has no place for one."""
    text = document.read_text(encoding="utf-8")
    for (path, name), made in PARTS.items():
        if ROOT / path == document:
            text = replaced(text, name, made())
    return text


def main() -> None:
    """Renew all of them."""
    for path in sorted({path for path, _ in PARTS}):
        document = ROOT / path
        renewed = text(document)
        if renewed != document.read_text(encoding="utf-8"):
            document.write_text(renewed, encoding="utf-8")
            sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
