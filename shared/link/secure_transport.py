"""TLS below a link: the asyncio Protocol of the connection, and the transport that the link writes to.

    connection ⇄ SecureTransport ⇄ Link

It drives `ssl.SSLObject` with two buffers in memory: asyncio's own TLS takes ten times the memory. A read becomes
one `link.data_received`, and what the link writes at once goes out at once. The link has its timers and limits from
the connection on; what is here besides is bounded by the constants below.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Any, Final, Protocol, cast

from parley.shared.errors import InsecureLink
from parley.shared.link.handshakes import handshakes
from parley.shared.link.secure_io import BARREN, PIECE, RECORDS, SecureIO
from parley.shared.wire.messages import encode, pb

HANDSHAKE: Final = 64 * 1024
"""Bytes from the other side within which the handshake must be over."""


SPEAKS_PLAIN: Final = "it speaks plain here, though its name has a key"
"""The fault of an acceptor that answers TLS with something else."""

_NO_RECORD: Final = ("WRONG_VERSION_NUMBER", "HTTPS_PROXY_REQUEST", "HTTP_REQUEST")
"""OpenSSL's reasons for bytes that are no TLS; CONNECTED begins as a request to an HTTP proxy does."""

_GOODBYES: Final = tuple(
    encode("HANGUP", pb.HangUp(reason=reason)) for reason in (pb.HangUp.EXIT, pb.HangUp.TIMEOUT)
)
"""Said in plain by an acceptor that closes before a first byte told it that we speak TLS."""


class SecuredLink(Protocol):
    """The part of a link that its transport calls."""

    @property
    def remote_host(self) -> str:
        """The address at its other end."""

    def data_received(self, data: bytes) -> None:
        """Take what was decrypted."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """There is a connection; nothing is encrypted yet."""

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""

    def pause_writing(self) -> None:
        """The buffer is full."""

    def resume_writing(self) -> None:
        """It has room again."""

    def secured(self, transport: SecureTransport) -> None:
        """The handshake is over: what is written is encrypted."""

    def insecure(self, error: InsecureLink) -> None:
        """The handshake failed, or the encryption is broken: close."""


class SecureTransport(SecureIO, asyncio.Protocol):
    """The TLS of one link: to the link it is an asyncio.Transport, with all of it that a link uses."""

    __slots__ = ("_context", "_rest", "_ssl", "certificate")

    def __init__(self, link: SecuredLink, context: ssl.SSLContext, certificate: bytes = b"") -> None:
        """`certificate`: SHA-256 of our own, where we accept; empty where we dial."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl = context.wrap_bio(incoming, outgoing, server_side=bool(certificate))
        super().__init__(link, incoming, outgoing, self._ssl)
        self._context = context
        self.certificate = certificate
        """Our own; empty: we dialled."""
        self._rest = b""
        """Bytes that were read and wait for the next turn."""

    @property
    def _address(self) -> str:
        return self._link.remote_host if self._link is not None else ""

    # The connection's protocol ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The link is told at once: its timer runs."""
        self.attach(transport)
        if self._link is not None:
            self._link.connection_made(cast("asyncio.Transport", self))
        self._shake_hands()

    def attach(self, transport: asyncio.BaseTransport, *, is_paused: bool = False) -> None:
        """Take a connection that the link knows already, and may want nothing of yet."""
        self._raw = transport
        self._is_paused = is_paused
        sock = transport.get_extra_info("socket")
        self._descriptor = sock.fileno() if sock is not None else -1

    def _read_otherwise(self, data: bytes) -> None:
        """Take a read that is not of one piece, or not of data; nothing is done while the link wants nothing."""
        if self._is_resting or self._is_paused:
            self._rest += data
            self._raw.pause_reading()  # uvloop reads once more behind a pause in connection_made
        elif not self._is_broken:
            self._take(data)

    def _take(self, data: bytes, *, is_slice: bool = False) -> None:
        self._rest = b""
        if self._is_secured:
            self._decrypt(data)
            return
        shared = handshakes()
        if is_slice or shared.may_go_on():
            self._handshake(data)
            shared.went_on()
        else:
            self._rest_with(data)
            shared.wait(self, self._address)

    def eof_received(self) -> bool:
        """The other side ended: so do we."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the link, and hold nothing that holds us."""
        if not self._is_secured:
            handshakes().discard(self, self._address)
        link, self._link = self._link, None
        self._is_broken = True
        self._descriptor = -1
        if link is not None:
            link.connection_lost(exc)
        self._raw = None
        self._rest = b""

    def pause_writing(self) -> None:
        """The connection's buffer is full."""
        if self._link is not None:
            self._link.pause_writing()

    def resume_writing(self) -> None:
        """It has room again."""
        if self._link is not None:
            self._link.resume_writing()

    # The handshake ---------------------------------------------------------------------------------------

    def _handshake(self, data: bytes) -> None:
        if data in _GOODBYES and not (self._fed or self.certificate):
            self._hung_up(data)
            return
        self._fed += len(data)
        if self._fed > HANDSHAKE:
            self._break("tls_flood", f"no handshake within {HANDSHAKE} bytes")
            return
        self._incoming.write(data)
        self._shake_hands()
        if self._is_secured and self._incoming.pending:
            self._decrypt(b"")

    def _hung_up(self, data: bytes) -> None:
        """Pass the acceptor's HANGUP on: no other frame is believed in plain."""
        self._is_broken = True
        if self._link is not None:
            self._link.data_received(data)

    def _shake_hands(self) -> None:
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            self._send()
            return
        except ssl.SSLError as error:
            self._send()
            self._break(_reason(error, is_secured=False), self._explained(error))
            return
        self._send()
        if self._ssl.selected_alpn_protocol() is None:
            self._break("tls_protocol", "the other side does not speak parley/1 over TLS")
            return
        self._is_secured, self._fed = True, 0
        if self._link is not None:
            self._link.secured(self)

    def _explained(self, error: ssl.SSLError) -> str:
        """Words for a handshake that failed."""
        if error.reason in _NO_RECORD and not self.certificate:  # we dialled
            return SPEAKS_PLAIN
        return str(error.reason or error)

    def peer_certificate(self) -> bytes:
        """The acceptor's certificate (DER), where we dialled."""
        return self._ssl.getpeercert(binary_form=True) or b""

    # Reading ---------------------------------------------------------------------------------------------

    def _decrypt(self, data: bytes) -> None:
        """Decrypt as much as one turn allows, and hand it on in one piece; the rest waits."""
        found: list[bytes] = []
        view, at, error = memoryview(data), 0, None
        while error is None and len(found) < RECORDS:
            if not self._incoming.pending:
                if at >= len(data):
                    break
                self._fed += self._incoming.write(view[at : at + PIECE])
                at += PIECE
            error = self._read_records(found)
        self._hand_on(found, error)
        if error is not None:
            self._at_fault(error)
        else:
            self._after_read(data[at:])

    def _after_read(self, rest: bytes = b"") -> None:
        if self._outgoing.pending:  # an answer to KeyUpdate
            self._send()
        if self._incoming.pending or rest:
            self._go_on_later(rest)
        if self._fed > BARREN:
            self._break("tls_flood", f"over {BARREN} bytes of records without data")

    def _go_on_later(self, rest: bytes) -> None:
        """Others have their turn first, and all whom a handshake does not concern."""
        self._rest_with(rest)
        if self._is_secured:
            asyncio.get_running_loop().call_soon(self.go_on)
        else:
            handshakes().wait(self, self._address)

    def _rest_with(self, data: bytes) -> None:
        """Keep these bytes until `go_on`; meanwhile nothing more is read."""
        self._rest, self._is_resting = data, True
        self._raw.pause_reading()

    def go_on(self) -> None:
        """Take what was kept."""
        self._is_resting = False
        if self._raw is None or self._is_broken or self._is_paused:
            return
        self._raw.resume_reading()
        self._take(self._rest, is_slice=True)

    # Faults ----------------------------------------------------------------------------------------------

    def _at_fault(self, error: ssl.SSLError) -> None:
        if isinstance(error, ssl.SSLZeroReturnError):
            self._close_raw()
        else:
            self._break(_reason(error, is_secured=True), str(error.reason or error))

    def _break(self, reason: str, detail: str) -> None:
        if self._is_broken:
            return
        self._is_broken = True
        if self._link is not None:
            text = detail if detail == SPEAKS_PLAIN else f"TLS: {detail[:80].lower()}"
            self._link.insecure(InsecureLink(text, reason))

    # The link's transport --------------------------------------------------------------------------------

    def _write_pieces(self, data: bytes | bytearray | memoryview) -> None:
        view, parts, at = memoryview(data), [], 0
        while at < len(view):
            at += self._encrypt(view[at : at + PIECE])
            parts.append(self._outgoing.read())
        self._may_wait = True
        self._raw.write(b"".join(parts))

    def _send(self) -> None:
        if self._outgoing.pending and self._raw is not None and not self._raw.is_closing():
            self._may_wait = True
            self._raw.write(self._outgoing.read())

    def close(self) -> None:
        """Say that we are done, and close once all is written."""
        if self._is_secured and not self._is_broken:
            self._is_broken = True
            with contextlib.suppress(ssl.SSLError):  # it wants to read the other side's, which we do not wait for
                self._ssl.unwrap()
        self._send()
        self._close_raw()

    def _close_raw(self) -> None:
        self._descriptor = -1
        if self._raw is not None:
            self._raw.close()

    def abort(self) -> None:
        """Cut the connection."""
        self._is_broken = True
        self._descriptor = -1
        if self._raw is not None:
            self._raw.abort()

    def is_closing(self) -> bool:
        """Whether nothing more goes out."""
        return self._raw is None or bool(self._raw.is_closing())

    def pause_reading(self) -> None:
        """Read no more: TCP makes the other side wait."""
        self._is_paused = True
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self._is_paused = False
        if self._rest and not self._is_resting:
            self._go_on_later(self._rest)
        elif not self._is_resting:
            self._raw.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """The same as the connection's: what is encrypted is hardly larger."""
        self._raw.set_write_buffer_limits(high=high, low=low)

    def get_write_buffer_size(self) -> int:
        """Bytes that the other side did not take."""
        return int(self._raw.get_write_buffer_size()) if self._raw is not None else 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Of the connection, and of TLS."""
        if name == "sslcontext":
            return self._context
        if name == "ssl_object":
            return self._ssl
        return self._raw.get_extra_info(name, default) if self._raw is not None else default


def _reason(error: ssl.SSLError, *, is_secured: bool) -> str:
    """One of the words of the metric."""
    text = error.reason or ""
    if "ALERT" in text:
        return "tls_alert"
    if "VERSION" in text or "PROTOCOL" in text:
        return "tls_protocol"
    return "tls_broken" if is_secured else "tls_malformed"
