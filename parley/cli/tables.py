"""Tables for people, of rich. Others' words stand in them as `Text`: no markup in them is read."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from functools import partial
from typing import Final

from rich.console import Console, RenderableType
from rich.table import Table

WIDEST: Final = 10_000
"""Columns where nobody looks at a terminal: each row is one line, for grep and awk."""
plain_console = partial(Console, highlight=False, soft_wrap=True, markup=False, emoji=False)
"""A console that reads no markup in others' words."""
out = plain_console()


def table(*heads: str, right: Collection[str] = ()) -> Table:
    """A table without lines. `right`: the heads of columns of numbers."""
    made = Table(box=None, pad_edge=False)
    for head in heads:
        # Nothing is cut off: who reads it needs all of an address.
        made.add_column(head, justify="right" if head in right else "left", overflow="fold")
    return made


def show(what: RenderableType) -> None:
    """Print it: at a terminal as wide as that is, elsewhere as wide as it is itself."""
    if sys.stdout.isatty() or "COLUMNS" in os.environ:
        out.print(what)
    else:
        plain_console(width=WIDEST).print(what)
