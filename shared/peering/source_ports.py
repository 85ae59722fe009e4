"""The ports of ours that links with existing servers have, in a file that outlives this process.

Some servers keep a dead link for minutes, and refuse a new one meanwhile; HANGUP from the port that it had removes
it (dead_links.py). So whoever has such links notes their ports here as soon as they stand, and reads them at its
start. The file has the servers, too, that ever took a CONNECT of ours: another does them no harm.

One file for each process and use. It is written whole beside itself, then renamed; one that is damaged is ignored.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import msgspec

from parley.shared.addresses import MAX_ID, SocketAddress
from parley.shared.runtime.throttle import Throttle
from parley.shared.spellings import ByName
from parley.shared.telemetry.logs import Log

MOST: Final = 256
"""Servers that are remembered; beyond them one without a port is forgotten, and then the oldest."""
MOST_PORTS: Final = 4
"""Ports that are remembered of one server: the oldest is forgotten for a new one."""
LARGEST: Final = 1 << 20
"""Bytes of the file, at most."""
WRITE_EVERY: Final = 0.1
"""Seconds between two writes of it: servers decide how often links come and go."""
_SAFELY: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class Ends(NamedTuple):
    """The two ends of a connection: ours, and the server's."""

    local: SocketAddress
    remote: SocketAddress


_Host = Annotated[str, msgspec.Meta(max_length=15)]
_Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class _Server(msgspec.Struct):
    server_id: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID)]
    ports: Annotated[list[tuple[_Host, _Port, _Host, _Port]], msgspec.Meta(max_length=MOST_PORTS)]


class _File(msgspec.Struct):
    servers: Annotated[list[_Server], msgspec.Meta(max_length=MOST)]


class SourcePorts:
    """Server → the ends of the links with it that stand, or stood until a process of ours was killed.

    `log()` is where a file that cannot be used is told; `limited()` hears of each server that had to make room.
    """

    def __init__(self, log: Callable[[], Log], limited: Callable[[], None] = lambda: None) -> None:
        self._log = log
        self._limited = limited
        self._servers: ByName[tuple[Ends, ...]] = ByName()
        self._path: Path | None = None
        self._writes = Throttle(WRITE_EVERY, self._write)
        self._is_written = True
        self._is_failing = False

    @property
    def path(self) -> Path | None:
        """The file; None: what is noted is forgotten with this process."""
        return self._path

    @property
    def servers(self) -> list[str]:
        """All that took a CONNECT of ours."""
        return list(self._servers)

    def of(self, server_id: str) -> tuple[Ends, ...]:
        """The links with a server."""
        return self._servers.get(server_id, ())

    # What happens ---------------------------------------------------------------------------------------

    def stood(self, server_id: str, ends: Ends | None = None) -> None:
        """A link that we dialled stands; `ends`: those of one that may be kept when it is dead."""
        before = self._servers.pop(server_id, None)
        kept = (*(before or ()), *([ends] if ends is not None else []))
        if before is None and len(self._servers) >= MOST:
            self._limited()
            portless = (name for name, ports in self._servers.items() if not ports)
            del self._servers[next(portless, next(iter(self._servers)))]
        self._servers[server_id] = tuple(dict.fromkeys(kept))[-MOST_PORTS:]
        if before is None or self._servers[server_id] != before:
            self._changed()

    def ended(self, server_id: str, ends: Ends) -> None:
        """The server knows a link no more."""
        ports = self.of(server_id)
        if ends in ports:
            self._servers[server_id] = tuple(each for each in ports if each != ends)
            self._changed()

    # The file -------------------------------------------------------------------------------------------

    def open(self, path: Path) -> None:
        """Know what is in a file, and nothing else; what changes is written to it from now on."""
        self.close()
        self._servers = ByName()
        self._path = path
        try:
            for server in _read(path):
                self._servers[server.server_id] = tuple(Ends((a, b), (c, d)) for a, b, c, d in server.ports)
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            self._log().warning("source_ports_ignored", path=str(path), error=str(error)[:200])

    def close(self, *, write: bool = True) -> None:
        """Write what was not written yet, unless it is another process's to write now; and no more after that."""
        self._writes.cancel()
        if write and not self._is_written:
            self._write()
        self._path, self._is_written = None, True

    def _changed(self) -> None:
        if self._path is not None:
            self._is_written = False
            self._writes.ask()

    def _write(self) -> None:
        if self._path is None:
            return
        self._is_written = True
        try:
            _replace(self._path, msgspec.json.encode(_File([_entry(*each) for each in self._servers.items()])))
        except OSError as error:
            if not self._is_failing:
                self._log().warning("source_ports_not_written", path=str(self._path), error=str(error))
            self._is_failing = True
        else:
            self._is_failing = False


def _entry(server_id: str, ports: tuple[Ends, ...]) -> _Server:
    return _Server(server_id, [(*each.local, *each.remote) for each in ports])


def _read(path: Path) -> list[_Server]:
    """The servers in a file. ValueError where it is none of ours, or damaged; OSError where it cannot be read."""
    with os.fdopen(os.open(path, os.O_RDONLY | _SAFELY), "rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"it has more than {LARGEST} bytes")
    servers = msgspec.json.decode(data, type=_File).servers
    for local, _, remote, _ in (port for server in servers for port in server.ports):
        IPv4Address(local)
        IPv4Address(remote)
    return servers


def _replace(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole, the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _SAFELY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    new.replace(path)
