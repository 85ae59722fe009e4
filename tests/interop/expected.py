"""What is right: for each kind of existing program, what comes of each row, in each column.

docs/interop.md is made from it (`make documents`), and `make interop` compares what happens with it.
"""

from __future__ import annotations

from typing import Final

from tests.interop.kinds.catalogue import KINDS
from tests.interop.kinds.code_one_client import CodeOneClients
from tests.interop.kinds.code_two import CodeTwoClients, CodeTwoServers
from tests.interop.kinds.kind import ASKS_ONCE
from tests.interop.kinds.linking_server import LinkingServers
from tests.interop.kinds.old_server import OldServers
from tests.interop.shows.catalogue import SHOWS

NODE_FIRST, PROGRAM_FIRST = "node first", "program first"
PROGRAM_BACK, NODE_BACK = "program back", "node back"
ORDERS: Final = (NODE_FIRST, PROGRAM_FIRST)
STAGES: Final = (PROGRAM_BACK, NODE_BACK)

Column = tuple[str, str]
"""Who started first, and who was killed and started again last; empty: nobody yet."""
COLUMNS: Final[tuple[Column, ...]] = tuple((order, stage) for order in ORDERS for stage in ("", *STAGES))
Outcomes = dict[Column, str]


def always(outcome: str) -> Outcomes:
    """The same in every column."""
    return dict.fromkeys(COLUMNS, outcome)


def once_linked(outcome: str, before: str) -> Outcomes:
    """The same wherever a linking server has ever dialled us: it dials when it starts, those that it finds."""
    return once_there(outcome, before)


def once_there(outcome: str, too_early: str = "not connected") -> Outcomes:
    """The same wherever the program started while our node was there: it asks once."""
    return always(outcome) | {(PROGRAM_FIRST, ""): too_early}


EXPECTED: Final[dict[str, dict[str, Outcomes]]] = {
    CodeOneClients.name: {
        "discovery from them": once_there("found", ASKS_ONCE),
        "chat from us": once_there("DELIVERED"),
        "chat from them": once_there("DELIVERED"),
        "groups from us": once_there("DELIVERED"),
        "groups from them": once_there("DELIVERED"),
        "typing from us": once_there("seen"),
        "typing from them": once_there("seen"),
        "typing to a visitor": once_there("seen"),
        "typing from a visitor": once_there("seen"),
        "location from us": once_there("seen"),
        "location from them": once_there("seen"),
        "location to a visitor": once_there("seen"),
        "location from a visitor": once_there("seen"),
    },
    OldServers.name: {
        "discovery from us": always("found"),
        "chat among them": always("DELIVERED"),
        "chat from us": always("waits, OTHER_SERVER_TIMEOUT"),
        "chat from them": always("lost, OTHER_SERVER_NOT_FOUND"),
        "groups from us": always("refused"),
        "groups from them": always("OTHER_SERVER_NOT_FOUND"),
        "typing among them": always("seen"),
        "typing from us": always("not seen"),
        "typing from them": always("not seen"),
        "typing to a visitor": always("seen"),
        "typing from a visitor": always("seen"),
        "location among them": always("seen"),
        "location from us": always("not seen"),
        "location from them": always("not seen"),
        "location to a visitor": always("seen"),
        "location from a visitor": always("seen"),
    },
    LinkingServers.name: {
        "discovery from us": always("found"),
        "discovery from them": once_there("found", ASKS_ONCE),
        "links from us": once_linked("linked", "not linked"),
        "chat from us": once_linked("DELIVERED", "waits, OTHER_SERVER_TIMEOUT"),
        "chat from them": once_linked("DELIVERED", "lost, OTHER_SERVER_NOT_FOUND"),
        "chat among them": always("DELIVERED"),
        "groups from us": always("refused"),
        "groups from them": once_linked("USER_BLOCKED", "OTHER_SERVER_NOT_FOUND"),
        "typing from us": once_linked("seen", "not seen"),
        "typing from them": once_linked("seen", "not seen"),
        "location from us": once_linked("seen", "not seen"),
        "location from them": once_linked("seen", "not seen"),
    },
    CodeTwoClients.name: {
        "discovery from them": once_there("found", ASKS_ONCE),
        "people from them": once_there("found"),
        "chat from us": once_there("DELIVERED"),
        "chat from them": once_there("DELIVERED"),
    },
    CodeTwoServers.name: {
        "discovery from us": always("found"),
        "links from us": always("linked"),
        "people from them": always("found"),
        "chat from us": always("DELIVERED"),
        "chat from them": always("DELIVERED"),
        "chat among them": always("DELIVERED"),
        "groups from us": always("refused"),
    },
}


def tables() -> str:
    """A table in Markdown for each kind."""
    return "\n\n".join(
        f"### {name.capitalize()}\n\n{_summary(name)}\n\n{_table(rows)}" for name, rows in EXPECTED.items()
    )


def _summary(name: str) -> str:
    return " ".join((KINDS[name].__doc__ or "").split())


def _table(rows: dict[str, Outcomes]) -> str:
    head = [f"{order}, {stage}" if stage else order for order, stage in COLUMNS]
    lines = [["", *head], ["---"] * (len(COLUMNS) + 1)]
    lines += [[row, *(outcomes[column] for column in COLUMNS)] for row, outcomes in rows.items()]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def shows() -> str:
    """What else is shown, as a table in Markdown."""
    rows = [f"| {name} | {' '.join((show.__doc__ or '').split())} |" for name, show in SHOWS.items()]
    return "\n".join(["| with | what happens |", "|---|---|", *rows])
