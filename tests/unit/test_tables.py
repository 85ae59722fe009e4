"""Tables: one line a row where no terminal is, others' words as they are, and nothing cut off."""

import io
import sys

import pytest
from rich.text import Text

from parley.cli.tables import show, table

LONG = "somebody-with-a-very-long-name@" + "a-server-" * 12
MARKUP = "[bold red]:smile:[/] [link=x]"


class Screen(io.StringIO):
    """Standard output that may be a terminal's."""

    def __init__(self, *, is_terminal):
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self):
        return self._is_terminal


@pytest.fixture
def printed(monkeypatch):
    """Print a table of two rows; its lines."""

    def show_on(*, is_terminal):
        screen = Screen(is_terminal=is_terminal)
        monkeypatch.setattr(sys, "stdout", screen)
        monkeypatch.delenv("COLUMNS", raising=False)
        made = table("NAME", "SAYS", "COUNT", right=["COUNT"])
        made.add_row(Text(LONG), Text(MARKUP), "7")
        made.add_row("bob@beta", MARKUP, "1234567")
        show(made)
        return screen.getvalue().splitlines()

    return show_on


def test_in_a_pipe_each_row_is_a_line_and_has_every_word_as_it_was_said(printed):
    head, long, short = printed(is_terminal=False)
    assert head.split() == ["NAME", "SAYS", "COUNT"]
    assert long.split() == [LONG, *MARKUP.split(), "7"]
    assert short.split() == ["bob@beta", *MARKUP.split(), "1234567"]
    assert len(long) == len(short), "numbers end in one column"


def test_a_terminal_has_lines_as_wide_as_it_is_and_all_of_a_name(printed):
    lines = printed(is_terminal=True)
    assert max(map(len, lines)) <= 80
    first = "".join(line.split()[0] for line in lines[1:] if line.strip() and not line.startswith("bob"))
    assert LONG in first
