"""Draws docs/images/conversation.svg: two people at two servers, as their terminals showed it: `make picture`.

Two whole nodes run on loopback addresses, and two `parley chat` at terminals of their own. The keys are pressed
here; all else in the picture is what the two commands printed.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import Final

from rich.console import Console, Group
from rich.panel import Panel
from rich.text import Text

from deploy.documents.parts import ROOT
from tests.support.commands import client_environment
from tests.support.nodes import Node, wait_linked, wait_until
from tests.support.terminals import COLUMNS, Terminal

PICTURE: Final = ROOT / "docs" / "images" / "conversation.svg"
WIDTH: Final = COLUMNS + 6
MESSAGES_OF_ALICE: Final = 2
FONT_FROM_ELSEWHERE: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""A picture asks no other machine for anything; the viewer's own monospaced font does."""
ALPHA, BETA, ALICE, BOB = "127.0.91.1", "127.0.91.2", "127.0.91.3", "127.0.91.4"


def converse(directory: Path) -> dict[str, list[str]]:
    """Have alice and bob talk; by name, the lines that their terminals showed at the end."""
    with (
        Node("alpha", ALPHA, directory) as alpha,
        Node("beta", BETA, directory) as beta,
    ):
        wait_linked([alpha, beta])
        with (
            Terminal("chat", "--as", "alice@alpha", environment=client_environment(ALICE, directory)) as alice,
            Terminal("chat", "--as", "bob@beta", environment=client_environment(BOB, directory)) as bob,
        ):
            for terminal in (alice, bob):
                terminal.wait("^you are ")
            alice.type("bob@beta: The ferry is back at six.\r")
            bob.wait("ferry")
            alice.wait("DELIVERED")
            bob.type("Then we eat at seven. Who cooks?\r")
            alice.wait("seven")
            bob.wait("DELIVERED")
            alice.type("/join #crew\r")
            alice.wait("^#crew@alpha>")
            bob.type("/join #crew@alpha\r")
            bob.wait("^#crew@alpha>")
            alice.type("Dinner at seven, at bob's place.\r")
            bob.wait("at bob's place")
            wait_until(lambda: _delivered(alice) == MESSAGES_OF_ALICE, what="the second status")
            bob.type("Bring bread")
            alice.wait("typing$")
            return {"alice@alpha": alice.lines, "bob@beta": bob.lines}


def _delivered(terminal: Terminal) -> int:
    return sum("DELIVERED" in line for line in terminal.lines)


def drawn(screens: dict[str, list[str]]) -> Group:
    """The terminals, one above the other."""
    return Group(*(_terminal(name, lines) for name, lines in screens.items()))


def _terminal(name: str, lines: list[str]) -> Panel:
    text = Text("\n").join([_line(f"$ parley chat --as {name}"), *map(_line, lines)])
    return Panel(text, title=f"{name}'s terminal", title_align="left", border_style="bright_black")


def _line(line: str) -> Text:
    text = Text(line)
    for pattern, style in {
        r"^\$ .*": "bold white",
        r"✓ .*": "green",
        r"^\S+>": "bold cyan",
        r"^\d\d:\d\d": "bright_black",
        r"\S+( in \S+)? … typing$": "italic yellow",
        r"^(you are|your lines).*": "bright_black",
    }.items():
        text.highlight_regex(re.compile(pattern), style)
    return text


def main() -> None:
    """Draw it."""
    with tempfile.TemporaryDirectory() as directory, Path("/dev/null").open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere, force_terminal=True, color_system="truecolor")
        screens = converse(Path(directory))
        console.print(drawn(screens))
    picture = console.export_svg(title="two people, two servers", unique_id="parley")
    PICTURE.write_text(FONT_FROM_ELSEWHERE.sub("", picture), encoding="utf-8")
    for name, lines in screens.items():
        sys.stdout.write("\n".join([f"{name}:", *lines, ""]))


if __name__ == "__main__":
    main()
