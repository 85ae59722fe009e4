"""Words for people: statuses, messages as lines, times."""

from __future__ import annotations

import time
from typing import Final

from parley.client.authors.status_judgement import StatusAssurance
from parley.client.contacts.continuity import KeyChange
from parley.client.outbox.deliveries import DELIVERED, INTERIM, Delivery
from parley.shared.addresses import Group, Recipient, User
from parley.shared.names import spell
from parley.shared.printable import harmless, one_line
from parley.shared.wire.messages import pb

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
    "USER_BLOCKED": "{to} takes messages of its members only; join it first: "
    "parley group join '{to}', in a chat /join {to}",
}
MARKS: Final = {
    pb.ChatMessage.UNSIGNED: " (unsigned)",
    pb.ChatMessage.UNPROVEN: " (unproven)",
    pb.ChatMessage.MISSING: " (signature missing)",
    pb.ChatMessage.REVOKED: " (by a device that was revoked since)",
}
"""Behind the author's name: that somebody else may have written this. A signed message has no mark."""
KEY_CHANGES: Final = {
    KeyChange.FREED: "! {user} was given away by {server}'s operator: whoever comes first has that name. Ask "
    "{name} by another way before you write",
    KeyChange.GIVEN_AWAY: "! {user} was given away by {server}'s operator: it is another device now. Ask {name} "
    "by another way whether that is them",
    KeyChange.OTHER_KEY: "! {user} has another key than before, and may be somebody else. Ask {name} by another "
    "way whether that is them",
}
GIVEN_UP: Final = (
    "it was kept for {to} and then given up: it waited too long, or the operator of a server dropped it"
)
"""OTHER_ERROR where an interim status came before."""
HISTORY: Final = {
    True: "nothing that is written in {group} is kept by any server: an admin switched its history off",
    False: "what is written in {group} is kept, as the operator of each member's server wants",
}
"""Whether a group's history is off."""
NEW: Final = 60.0
"""Seconds after which a message that comes shows when it was written."""
OLDEST: Final = 92 * 86400.0
"""Seconds for which a message may wait, at most; a server gives it up after 7 days, by default."""
AHEAD: Final = 86400.0
"""Seconds by which another's clock may be ahead of ours."""
BEGINNING: Final = 30
"""Characters of a message by which its author knows it again."""


def explain(status: str, to: Recipient, *, was_kept: bool = False) -> str:
    """The status and what it means; `was_kept`: an interim one came before."""
    template = OF_GROUPS.get(status) if isinstance(to, Group) else None
    if was_kept and status == "OTHER_ERROR":
        template = GIVEN_UP
    return f"{status}: {(template or EXPLAINED[status]).format(to=to, server=spell(to.server_id))}"


def worth_of(delivery: Delivery, whose: Recipient) -> str:
    """Behind a status that whoever gave it was to sign and did not: whose word it is. Else nothing."""
    is_missing = delivery.assurance_of(whose) is StatusAssurance.MISSING
    return f", as {spell(User.of(delivery.message.author).server_id)} says" if is_missing else ""


def describe_key_change(user: User, change: KeyChange) -> str:
    """A line that somebody is another device than before, and what to do."""
    return KEY_CHANGES[change].format(user=user, server=spell(user.server_id), name=spell(user.user_id))


def mark(status: str) -> str:
    """✓ delivered, … kept, ? not confirmed, ✗ failed."""
    if status in INTERIM:
        return "…"
    return {DELIVERED: "✓", "UNKNOWN_STATUS": "?"}.get(status, "✗")


def beginning(message: pb.ChatMessage) -> str:
    """The first words of a message, or its document's name."""
    text = " ".join((message.document.filename or message.textContent).split())
    return one_line(text if len(text) <= BEGINNING else text[: BEGINNING - 1] + "…")


def group_of(message: pb.ChatMessage) -> Group | None:
    """The group that a message was sent to; None: it was sent to a user."""
    which = message.WhichOneof("recipient")
    if which == "userOfGroup":
        return Group.of(message.userOfGroup.group)
    return Group.of(message.group) if which == "group" else None


def written_at(snowflake: int, now: float) -> float | None:
    """When a message was written (Unix seconds), as its number tells; None where that is no plausible time.

    Other programs may number their messages as they like: what would be older than anything that waits is no time.
    """
    at = (snowflake >> 22) / 1000
    return at if now - OLDEST < at < now + AHEAD else None


def clock(at: float, now: float) -> str:
    """A time of today as 14:03, another as 21 Nov 14:03."""
    then, today = time.localtime(at), time.localtime(now)
    return time.strftime("%H:%M" if then[:3] == today[:3] else "%-d %b %H:%M", then)


def assurance_of(message: pb.ChatMessage) -> str:
    """How its author is known, in a word for programs: signed, unproven, unsigned, missing or revoked."""
    return pb.ChatMessage.Assurance.Name(message.assurance).lower()


def describe(message: pb.ChatMessage, saved: str = "", *, always_when: bool = False, is_marked: bool = True) -> str:
    """A message as a line: when it was written, where that is a while ago, who wrote, in which group, and what.

    `saved`: where its document is now. `always_when`: say when in any case. `is_marked`: behind the author's
    name stands a mark where no signature proves it.
    """
    group, now = group_of(message), time.time()
    at = written_at(message.messageSnowflake, now)
    if always_when:
        at = min(at or now, now)
    when = f"{clock(at, now)} " if at is not None and (always_when or now - at > NEW) else ""
    where = f" in {group}" if group is not None else ""
    mark = MARKS.get(message.assurance, "") if is_marked else ""
    return f"{when}{User.of(message.author)}{mark}{where}: {_content(message, saved)}"


def describe_own(message: pb.ChatMessage, to: Recipient) -> str:
    """A message of ours as a line: when we wrote it, to whom, and what."""
    now = time.time()
    where = f"in {to}" if isinstance(to, Group) else f"to {to}"
    return f"{clock(now, now)} {User.of(message.author)} {where}: {_content(message, '')}"


def _content(message: pb.ChatMessage, saved: str) -> str:
    which = message.WhichOneof("content")
    if which == "document":
        kept = f", saved as {one_line(saved)}" if saved else ""
        return f"[document {one_line(message.document.filename)}, {len(message.document.data)} bytes{kept}]"
    if which == "live_location":
        at = message.live_location.location
        return f"[live location {at.latitude:.5f}, {at.longitude:.5f}; follow it with `parley where`]"
    if which == "edit":
        return "[deleted an earlier message]" if message.edit.deletes else f"[edited] {harmless(message.edit.text)}"
    return harmless(message.textContent)
