"""The output of `parley federation`: members, the state, a QR code; in words or as JSON."""

from __future__ import annotations

import datetime as dt
from typing import Final

import segno
from rich.text import Text

from parley.cli.tables import show, table
from parley.cli.terminal import as_json as to_line
from parley.cli.terminal import line
from parley.shared.names import spell
from parley.shared.trust.federation.authority import short
from parley.shared.trust.federation.changes import STALE
from parley.shared.trust.federation.entries import Member
from parley.shared.trust.federation.state import Federation
from parley.shared.trust.keys import fingerprint
from parley.shared.trust_storage.federation import Kept

LAST_DAY: Final = 2_900_000
"""The last day that can be written as a date."""


def print_members(state: Federation, *, as_json: bool, only_signers: bool = False) -> None:
    """Members, by name."""
    members = sorted(state.all_members(), key=lambda one: one.server_id)
    if only_signers:
        members = [one for one in members if state.is_signer(one.key)]
    if as_json:
        for member in members:
            line(to_line(_fields(state, member)))
        return
    made = table("SERVER", "KEY", "SINCE", "HOW", "ADMITTED BY", "SIGNS")
    for member in members:
        fields = _fields(state, member)
        cells = [spell(member.server_id), *(str(fields[one]) for one in ("key", "since", "how", "by"))]
        made.add_row(*map(Text, [*cells, "yes" if fields["signs"] else ""]))
    show(made)


def _fields(state: Federation, member: Member) -> dict[str, object]:
    by = state.signers.get(member.by)
    return {
        "server_id": member.server_id,
        "key": fingerprint(member.key),
        "since": _date(member.day),
        "how": member.how,
        "by": spell(by.server_id) if by is not None else fingerprint(member.by),
        "signs": state.is_signer(member.key),
    }


def print_status(kept: Kept, own: bytes, *, has_authority: bool, invitations: int, as_json: bool) -> None:
    """The state of this node's federation."""
    state = kept.state
    if state is None:
        line(to_line({"federation": None}) if as_json else "in no federation")
        return
    fields: dict[str, object] = {
        "federation": short(state.federation),
        "number": state.number,
        "signed": _date(state.day),
        "age_seconds": round(kept.ran),
        "members": len(state.all_members()),
        "signers": len(state.current_signers()),
        "revoked": sum(map(state.is_revoked, state.revocations)),
        "role": _role(state, own),
        "has_authority": has_authority,
        "open_invitations": invitations,
        "is_stale": kept.ran >= STALE,
    }
    if as_json:
        line(to_line(fields))
        return
    for key, value in fields.items():
        shown = {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
        line(f"{key.replace('_', ' ')}: {shown}")
    if kept.ran >= STALE:
        line("no signer's list came for a week: is a signer running, and reached?")


def _role(state: Federation, own: bytes) -> str:
    if state.is_revoked(own):
        return "revoked"
    return "signer" if state.is_signer(own) else "member" if state.member_of_key(own) else "stranger"


def _date(day: int) -> str:
    if day > LAST_DAY:
        return "?"
    return (dt.date(1970, 1, 1) + dt.timedelta(days=day)).isoformat()


def print_qr(text: str) -> None:
    """A QR code for a terminal; in capitals it is smaller."""
    code = segno.make_qr(text.upper(), error="l")
    for row in _halves([bytearray(row) for row in code.matrix_iter(border=2)]):
        line(row)


def _halves(rows: list[bytearray]) -> list[str]:
    """Two rows of modules in a line of characters, light on dark as most terminals are."""
    blank = bytearray(len(rows[0]))
    pairs = zip(rows[::2], [*rows[1::2], blank][: len(rows[::2])], strict=True)
    signs = {(0, 0): "█", (0, 1): "▀", (1, 0): "▄", (1, 1): " "}
    return ["".join(signs[bool(a), bool(b)] for a, b in zip(upper, lower, strict=True)) for upper, lower in pairs]
