"""Asks a node's running chat process over its operator's socket; or does it on the file where none runs."""

from __future__ import annotations

import asyncio
import http.client
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from parley.cli.operator.bounded_answers import read_answer
from parley.services.chat.operator.archive_commands import Change, Changed
from parley.services.chat.operator.commands import Drop, Dropped, Retried, Retry
from parley.services.chat.operator.server import NAME, alone, short
from parley.services.chat.operator.user_commands import UserChange, UserChanged
from parley.shared.config import Config
from parley.shared.errors import PeerError, PeerUnreachable

T = TypeVar("T")
TIMEOUT: Final = 60.0
"""Seconds for one request: a disk may be slow."""


class NotRunningError(PeerUnreachable):
    """No chat process has the file."""


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("chat", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT)
        with short(self._path) as name:
            self.sock.connect(name)


class Running:
    """The chat process that has this directory's file."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._connection = _Connection(directory / NAME)

    def drop(self, request: Drop) -> Dropped:
        """Drop messages. PeerError where that cannot be."""
        return self._ask("/drop", request, Dropped)

    def retry(self, request: Retry) -> list[Retried]:
        """Try destinations at once. PeerError where that cannot be."""
        return self._ask("/retry", request, list[Retried])

    def change_user(self, request: UserChange) -> UserChanged:
        """Change who owns a name. PeerError where that cannot be."""
        return self._ask("/user", request, UserChanged)

    def change_archive(self, request: Change) -> Changed:
        """Remove old days of what is kept, or erase a user's part. PeerError where that cannot be."""
        return self._ask("/archive", request, Changed)

    def _ask(self, target: str, request: Drop | Retry | UserChange | Change, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(self._post(target, request), type=kind)
        except msgspec.DecodeError as error:
            raise PeerError(f"the chat process of {self._directory.name} answers something else: {error}") from None

    def _post(self, target: str, request: Drop | Retry | UserChange | Change) -> bytes:
        name = self._directory.name
        try:
            self._connection.request("POST", target, msgspec.json.encode(request))
            response = self._connection.getresponse()
            body = read_answer(response, TIMEOUT)
        except (FileNotFoundError, ConnectionRefusedError):
            raise NotRunningError(f"no chat process of {name} runs here") from None
        except PermissionError:
            raise PeerError(f"{self._directory / NAME} is not yours: be the user whom {name} runs as") from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            self._connection.close()
            raise PeerError(f"the chat process of {name} did not answer: {error or type(error).__name__}") from None
        if response.status != http.client.OK:
            raise PeerError(f"the chat process of {name} refused: {body.decode(errors='replace').strip()}")
        return body


def drop_all(directory: Path, config: Config, requests: Iterable[Drop]) -> Dropped:
    """Drop messages, a request after another: by the process, or on the file itself.

    Raises:
        ConfigError: no process answers, and yet the file is taken.
        PeerError: the process refused, or ended.

    """
    requests = iter(requests)
    first = next(requests, None)
    if first is None:
        return Dropped()
    running = Running(directory)
    try:
        done = running.drop(first)
    except NotRunningError:
        return asyncio.run(_drop_alone(directory, config, first, requests))
    for request in requests:
        done += running.drop(request)
    return done


async def _drop_alone(directory: Path, config: Config, first: Drop, requests: Iterable[Drop]) -> Dropped:
    async with alone(directory, config) as operations:
        done = await operations.drop(first)
        for request in requests:
            done += await operations.drop(request)
    return done
