"""An operator's changes to the archive: remove old days, erase a person."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from parley.services.chat.archive import changes


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Remove all but the latest days (`prune`), or all that is kept for one user (`erase`)."""

    action: Literal["prune", "erase"]
    days: Annotated[float, msgspec.Meta(ge=0, le=36500)] = 0.0
    """Days that stay before the latest one."""
    user_id: str = ""


class Changed(msgspec.Struct, frozen=True):
    """The outcome: how many days were removed, or messages erased."""

    count: int


def change_of(request: Change) -> changes.Change:
    """The change that an operator asks for."""
    return changes.Erase(request.user_id) if request.action == "erase" else changes.Prune(request.days)
