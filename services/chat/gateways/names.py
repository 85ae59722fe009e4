"""The names of our gateway's user at an existing server. Pure."""

from __future__ import annotations

from typing import Final

from parley.shared.names import GATEWAY, MAX_NAME

MOST: Final = 8
"""Names that are tried in turn: one may be taken by a link of ours that is dead, and is not known to be there."""


def gateway_name(server_id: str, number: int) -> str:
    """The name that is tried at that place in turn (0, 1, …), of MAX_NAME characters at most."""
    tried = number % MOST
    suffix = f"-{tried + 1}" if tried else ""
    return (GATEWAY + server_id)[: MAX_NAME - len(suffix)] + suffix
