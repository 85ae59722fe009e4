"""A node as its HTTP ports tell of it: its processes' status, now and at each change."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from parley.cli.operator.bounded_answers import read_answer
from parley.cli.operator.page_tokens import own_token
from parley.shared.config import Config, split_host_port
from parley.shared.errors import PeerUnreachable
from parley.shared.wire.messages import LIVE_LOCATION, MESSAGES, TYPING_INDICATOR

TIMEOUT: Final = 3.0
"""Seconds for one answer."""
ANSWER: Final = 10.0
"""Seconds until it has to be there whole."""
PIECE: Final = 1 << 16
SETTLED: Final = 0.2
"""Seconds for which further changes are waited for."""
UNAUTHORIZED: Final = 401

Status = dict[str, Any]


class Node:
    """A node, as its HTTP ports tell of it. `token`: of its pages; empty: the node here has it in its data."""

    def __init__(self, config: Config, where: str, token: str, understood: Callable[[Status], object]) -> None:
        """`understood` reads a status; KeyError and the like where it is none of ours."""
        self._config = config
        self._understood = understood
        self._token = token
        default = config.address or "127.0.0.1"
        self._host, self._port = split_host_port(where or default, config.discovery.http_port)
        self._ports = {
            MESSAGES: config.chat.http_port,
            TYPING_INDICATOR: config.typing.http_port,
            LIVE_LOCATION: config.location.http_port,
        }

    async def status(self) -> Status:
        """The discovery process's status, and each other process's under `processes`: None, if it does not answer.

        Raises:
            PeerUnreachable: the discovery process does not answer.

        """
        try:
            status = await self._status()
            self._understood(status)
        except (AttributeError, KeyError, TypeError, ValueError):  # it says something else than ours do
            raise _no_node(self._host, self._port) from None
        return status

    async def _status(self) -> Status:
        status = await self._first()
        hosts = {offer["feature"]: offer["host"] or self._host for offer in status.get("offers", ())}
        asked = [self._process(hosts.get(feature, self._host), port) for feature, port in self._ports.items()]
        status["processes"] = dict(zip(self._ports, await asyncio.gather(*asked), strict=True))
        return status

    async def _first(self) -> Status:
        """The discovery process's; it may say that it wants the token."""
        try:
            return await asyncio.to_thread(_get, self._host, self._port, self._token)
        except _TokenWanted:
            if self._token or not (own := await asyncio.to_thread(own_token, self._config, self._host)):
                raise
            self._token = own
        return await asyncio.to_thread(_get, self._host, self._port, self._token)

    async def _process(self, host: str, port: int) -> Status | None:
        try:
            return await asyncio.to_thread(_get, host, port, self._token)
        except PeerUnreachable:
            return None

    async def changes(self) -> AsyncIterator[Status]:
        """The status now, and again whenever the node says that it is another."""
        await self._first()  # it may want the token
        reader, writer = await self._connect()
        try:
            shown = b"".join(b"%b: %b\r\n" % (n.encode(), v.encode()) for n, v in _headers(self._token).items())
            writer.write(b"GET /events HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (self._host.encode(), shown))
            if b" 200 " not in await reader.readline():
                raise PeerUnreachable(f"too many watch the node at {self._host}:{self._port}")
            before = b""
            while piece := await reader.read(PIECE):  # what is new is asked for: of it only that there is something
                if b"\ndata:" in before + piece:
                    yield await self.status()
                    await asyncio.sleep(SETTLED)
                before = piece[-len(b"\ndata") :]
        except (OSError, ValueError) as error:
            raise _nobody(self._host, self._port, error) from None
        finally:
            writer.close()
        raise PeerUnreachable(f"the discovery process at {self._host}:{self._port} ended")

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            return await asyncio.open_connection(self._host, self._port, limit=PIECE)
        except OSError as error:
            raise _nobody(self._host, self._port, error) from None


class _TokenWanted(PeerUnreachable):
    """The node does not show its pages to who does not show the token."""


def _headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def _get(host: str, port: int, token: str) -> Status:
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    try:
        connection.request("GET", "/status", headers={"Connection": "close", **_headers(token)})
        response = connection.getresponse()
        if response.status == UNAUTHORIZED:
            raise _TokenWanted(
                f"the node at {host}:{port} shows its pages to who has its token: give --token-file a copy of "
                "DATA_DIR/NAME/http.token there"
            )
        status = json.loads(read_answer(response, ANSWER))
    except (OSError, ValueError, RecursionError, http.client.HTTPException) as error:
        raise _nobody(host, port, error) from None
    finally:
        connection.close()
    if not isinstance(status, dict):
        raise _no_node(host, port)
    return status


def _no_node(host: str, port: int) -> PeerUnreachable:
    return PeerUnreachable(f"what answers at {host}:{port} is no node of Parley")


def _nobody(host: str, port: int, error: Exception) -> PeerUnreachable:
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
    return PeerUnreachable(f"no node answers at {host}:{port} ({why.lower()}): is it running, is that its host?")
