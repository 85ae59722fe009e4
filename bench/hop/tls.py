"""The TLS of the generator's two clients: OpenSSL's, on the generator's own thread."""

from __future__ import annotations

import ctypes
import socket
from pathlib import Path

from bench.hop.generator import library
from bench.hop.processes import UnavailableError

READ = 65536


class Tls:
    """TLS that was begun on a socket, which blocks until then. UnavailableError where it cannot be."""

    def __init__(self, directory: Path, sock: socket.socket) -> None:
        try:
            found = library(directory, is_secure=True)
        except RuntimeError as error:
            raise UnavailableError(f"{error} (libssl-dev has the headers)") from None
        found.tls_connect.restype = ctypes.c_void_p
        found.say.restype = found.hear.restype = ctypes.c_ssize_t
        arguments = [ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
        found.say.argtypes = found.hear.argtypes = arguments
        self._library, self._sock = found, sock
        sock.settimeout(None)
        self.handle: int = found.tls_connect(sock.fileno()) or 0
        if not self.handle:
            raise UnavailableError("the node shakes no hands")

    def send(self, data: bytes) -> None:
        """Say something short."""
        self._library.say(self._sock.fileno(), self.handle, data, len(data))

    def read_until(self, wanted: bytes) -> bytes:
        """Read until that has come."""
        data, part = b"", ctypes.create_string_buffer(READ)
        while wanted not in data:
            size = self._library.hear(self._sock.fileno(), self.handle, part, READ)
            if size <= 0:
                raise UnavailableError(f"{wanted!r} did not come, but {data[-300:]!r}")
            data += part.raw[:size]
        return data
