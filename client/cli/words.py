"""What people read: statuses in words, messages as lines, sizes, and others' words made harmless."""

from __future__ import annotations

from typing import Final

from client.deliveries import DELIVERED, INTERIM
from shared.addresses import Group, Recipient, User
from shared.messages import pb

EXPLAINED: Final = {
    DELIVERED: "{to} has it",
    "USER_AWAY": "{to} is away; kept at {server}, it will be delivered",
    "USER_NOT_FOUND": "{server} knows no {to}; check the name, they must have been connected once",
    "OTHER_SERVER_NOT_FOUND": "no server {server} is known here; check the name behind the @",
    "OTHER_SERVER_TIMEOUT": "{server} does not answer; kept here, it will be delivered",
    "USER_BLOCKED": "{to} does not take messages from you",
    "OTHER_ERROR": "it was not taken; try again later",
    "UNKNOWN_STATUS": "handed over to {server}, which does not confirm",
}
OF_GROUPS: Final = {
    DELIVERED: "nobody else is in {to}",
    "USER_NOT_FOUND": "there is no {to}; who joins it makes it",
    "USER_BLOCKED": "{to} takes messages of its members only; join it first",
}
GIVEN_UP: Final = (
    "it was kept for {to} and then given up: it waited too long, or the operator of a server dropped it"
)
"""OTHER_ERROR where an interim status came before."""
BEGINNING: Final = 30
"""Characters of a message by which its author knows it again."""


def explain(status: str, to: Recipient, *, was_kept: bool = False) -> str:
    """The status and what it means; `was_kept`: an interim one came before."""
    words = OF_GROUPS.get(status) if isinstance(to, Group) else None
    if was_kept and status == "OTHER_ERROR":
        words = GIVEN_UP
    return f"{status}: {(words or EXPLAINED[status]).format(to=to, server=to.server_id)}"


def mark(status: str) -> str:
    """✓ delivered, … kept, ? not confirmed, ✗ failed."""
    if status in INTERIM:
        return "…"
    return {DELIVERED: "✓", "UNKNOWN_STATUS": "?"}.get(status, "✗")


def beginning(message: pb.ChatMessage) -> str:
    """The first words of a message, or its document's name."""
    text = " ".join((message.document.filename or message.textContent).split())
    return text if len(text) <= BEGINNING else text[: BEGINNING - 1] + "…"


def harmless(text: str) -> str:
    """Another's words for a terminal: no control characters, and no line that looks like somebody else's."""
    shown = "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)
    return shown.replace("\n", "\n    ")


def group_of(message: pb.ChatMessage) -> Group | None:
    """The group that a message was sent to; None: it was sent to a user."""
    which = message.WhichOneof("recipient")
    if which == "userOfGroup":
        return Group.of(message.userOfGroup.group)
    return Group.of(message.group) if which == "group" else None


def describe(message: pb.ChatMessage, saved: str = "") -> str:
    """A message as a line: who wrote, in which group, and what; `saved`: where its document is now."""
    group = group_of(message)
    where = f" in {group}" if group is not None else ""
    return harmless(f"{User.of(message.author)}{where}: {_content(message, saved)}")


def _content(message: pb.ChatMessage, saved: str) -> str:
    which = message.WhichOneof("content")
    if which == "document":
        kept = f", saved as {saved}" if saved else ""
        return f"[document {message.document.filename}, {len(message.document.data)} bytes{kept}]"
    if which == "live_location":
        at = message.live_location.location
        return f"[location {at.latitude:.5f}, {at.longitude:.5f}]"
    return message.textContent
