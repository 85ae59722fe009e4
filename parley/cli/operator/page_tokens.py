"""The token of the pages of the node that runs here: it is shown to this machine's addresses, and to no other."""

from __future__ import annotations

import ipaddress
import socket
from contextlib import suppress
from pathlib import Path

from parley.shared.config import Config
from parley.shared.discovery.interfaces import interfaces
from parley.shared.service.page_token import FILE, KEY, read_token, token_in, token_path


def own_token(config: Config, host: str) -> str:
    """The token, if that host is this machine; empty: it is not, or there is none that can be read."""
    if not _is_here(host):
        return ""
    if config.http.token_file:
        return token_in(config.http.token_file, KEY).decode()
    with suppress(OSError):
        return (read_token(path) or b"").decode() if (path := _path(config)) is not None else ""
    return ""


def _path(config: Config) -> Path | None:
    """The token's file; None: no name is configured, and there are several in the data directory, or none."""
    data_dir = Path(config.data_dir)
    if config.server_id:
        return token_path(data_dir, config.server_id)
    found = list(data_dir.glob(f"*/{FILE}"))
    return found[0] if len(found) == 1 else None


def _is_here(host: str) -> bool:
    try:
        address = socket.gethostbyname(host)
    except OSError:
        return False
    return ipaddress.IPv4Address(address).is_loopback or address in {each.address for each in interfaces()}
