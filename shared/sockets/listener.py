"""Sockets that a process binds: at once, so that a taken port is told before anything else happens."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable

from parley.shared.errors import ConfigError

BACKLOG = 1024


def bind(kind: socket.SocketKind, host: str, port: int, what: str, *, shared: bool = False) -> socket.socket:
    """Bind a TCP (SOCK_STREAM) or UDP (SOCK_DGRAM) socket; `what` names it for people.

    `shared`: a UDP port that others on this machine may bind too; each gets every broadcast.

    Raises:
        ConfigError: the port is taken, or the address is not this machine's.

    """
    sock = socket.socket(socket.AF_INET, kind)
    try:
        sock.setblocking(False)
        if kind is socket.SOCK_STREAM or shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise _explain(error, host, port, kind, what) from None
    return sock


def is_taken(host: str, port: int) -> bool:
    """Whether a program of this machine accepts TCP connections there."""
    try:
        bind(socket.SOCK_STREAM, host, port, "a look").close()
    except ConfigError:
        return True
    return False


def _explain(error: OSError, host: str, port: int, kind: socket.SocketKind, what: str) -> ConfigError:
    transport = "tcp" if kind is socket.SOCK_STREAM else "udp"
    if error.errno == errno.EADDRINUSE:
        return ConfigError(
            f"port {port}/{transport} for {what} is taken on {host}: stop the program that has it, "
            "or give this node an address of its own with PARLEY_ADDRESS"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return ConfigError(f"{host} is no address of this machine (PARLEY_ADDRESS)")
    if error.errno == errno.EACCES:
        return ConfigError(f"port {port}/{transport} for {what} needs rights that this user does not have")
    return ConfigError(f"cannot bind port {port}/{transport} for {what} on {host}: {error.strerror}")


class Listener:
    """A TCP listener that is bound at once, and accepts when it is told to."""

    def __init__(self, host: str, port: int, what: str) -> None:
        self._host = host
        self._what = what
        self._sock: socket.socket | None = bind(socket.SOCK_STREAM, host, port, what)
        self.port: int = self._sock.getsockname()[1]
        self._server: asyncio.Server | None = None

    @property
    def is_accepting(self) -> bool:
        """Whether connections are accepted."""
        return self._server is not None

    async def accept(self, make_protocol: Callable[[], asyncio.Protocol]) -> None:
        """Accept from now on; ConfigError where another program listens there meanwhile."""
        if self._server is not None:
            return
        sock = self._sock or bind(socket.SOCK_STREAM, self._host, self.port, self._what)
        self._sock = None
        loop = asyncio.get_running_loop()
        # Who is cancelled meanwhile has to find the server: one that nobody knows would hold the port for ever.
        server = self._server = await loop.create_server(
            make_protocol, sock=sock, backlog=BACKLOG, start_serving=False
        )
        try:
            await server.start_serving()
        except OSError as error:
            self._server = None
            server.close()
            raise _explain(error, self._host, self.port, socket.SOCK_STREAM, self._what) from None

    def pause(self) -> asyncio.Server | None:
        """Accept no more; the connections that there are stay. What to wait for once they are closed."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        if self._sock is not None:
            self._sock.close()
            self._sock = None
        return server
