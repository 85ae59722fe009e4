"""The hot half of TLS below a link: from a read to the link, from what the link writes to one write.

Most reads are records of a connection whose handshake is over, and fit into the buffer: they are decrypted here and
go to the link in one piece. All else is the other half's, secure_transport.py.
"""

from __future__ import annotations

import contextlib
import os
import ssl
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from parley.shared.compiled import core, same_as_compiled

__all__ = ["BARREN", "PIECE", "QUIET", "RECORD", "RECORDS", "PureSecureIO", "SecureIO"]

PIECE: Final = 16 * 1024
"""Bytes that a buffer holds at a time, about: it keeps the memory of the most that it ever had."""
RECORDS: Final = 256
"""Records that are decrypted in one turn of the loop: each may have a single byte."""
RECORD: Final = 22
"""Bytes of a record besides its data (RFC 8446, section 5.2)."""
BARREN: Final = 256 * 1024
"""Bytes without any data (KeyUpdate, padding, empty records) that the other side may send, ever."""
QUIET: Final = 0.0001
"""Seconds without a write, after which the next goes out at once, and not at the end of the loop's turn."""
same_as_compiled(TLS_PIECE=PIECE, TLS_RECORDS=RECORDS, TLS_RECORD=RECORD, TLS_BARREN=BARREN)


class SecureIO:
    """Decrypts and encrypts for a SecureTransport, which is a subclass.

    The compiled core has the same class (shared/core/io/secure_io.c).
    """

    __slots__ = (
        "_decrypt_record", "_descriptor", "_encrypt", "_fed", "_has_part", "_incoming", "_is_broken", "_is_paused",
        "_is_resting", "_is_secured", "_link", "_may_wait", "_outgoing", "_raw", "_written_at",
    )  # fmt: skip

    def __init__(self, link: Any, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, tls: ssl.SSLObject) -> None:
        """`incoming` is what `tls` reads, `outgoing` what it writes."""
        self._link: Any = link
        """None: the connection is gone."""
        self._incoming, self._outgoing = incoming, outgoing
        compiled = getattr(tls, "_sslobj", tls)  # SSLObject's methods call this one's, and do nothing else
        self._decrypt_record, self._encrypt = compiled.read, compiled.write
        self._raw: Any = None
        self._descriptor = -1
        """The connection's; -1: it is not written to past its transport."""
        self._written_at = 0.0
        self._is_secured = self._is_broken = False
        self._is_resting = False
        """Whether the rest of a read waits for the next turn."""
        self._is_paused = False
        """Whether the link wants nothing more for now."""
        self._may_wait = True
        """Whether something may wait in the connection's transport."""
        self._has_part = True
        """Whether OpenSSL may have the beginning of a record."""
        self._fed = 0
        """Bytes of the handshake; after it, those that brought no data."""

    # What the other half does ----------------------------------------------------------------

    def _read_otherwise(self, data: bytes) -> None:
        """Take a read that is not decrypted at once, or not in one piece."""
        raise NotImplementedError

    def _after_read(self) -> None:
        """See to what came besides data, or is left for the next turn."""
        raise NotImplementedError

    def _at_fault(self, error: ssl.SSLError) -> None:
        """Close: the bytes that came cannot be decrypted, or are the end."""
        raise NotImplementedError

    def _write_pieces(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send what is longer than PIECE."""
        raise NotImplementedError

    # Reading --------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Decrypt what came, and hand it on in one piece."""
        if not self._is_secured or self._is_broken or self._is_paused or self._is_resting or len(data) > PIECE:
            self._read_otherwise(data)
            return
        self._fed += self._incoming.write(data)
        found: list[bytes] = []
        error = self._read_records(found)
        self._hand_on(found, error)
        if error is not None:
            self._at_fault(error)
        elif self._incoming.pending or self._outgoing.pending or self._fed > BARREN:
            self._after_read()

    def _read_records(self, found: list[bytes]) -> ssl.SSLError | None:
        """Read records until the buffer is empty, or there are RECORDS; what brings no data is counted.

        Each is read whole: of less nobody would ask for the rest. Its data is shorter than the record, which is of
        what waits unless OpenSSL has its beginning; a buffer of that size is cheaper than one for the longest.
        """
        incoming, read = self._incoming, self._decrypt_record
        while (waits := incoming.pending) and len(found) < RECORDS:
            most, self._has_part = PIECE if self._has_part else min(waits, PIECE), True
            try:
                part = read(most)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLError as error:
                return error
            if not part:
                return ssl.SSLZeroReturnError()
            self._has_part = False
            found.append(part)
            self._fed = max(self._fed - len(part) - RECORD, -PIECE)
        return None

    def _hand_on(self, found: list[bytes], error: ssl.SSLError | None) -> None:
        """Give the link what was found; nothing behind a fault, after which OpenSSL neither tells nor encrypts."""
        is_well = error is None or isinstance(error, ssl.SSLZeroReturnError)
        if found and is_well and self._link is not None and not self._is_broken:
            self._link.data_received(found[0] if len(found) == 1 else b"".join(found))

    # Writing --------------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send. What a link says before the handshake is over nobody could read: it is not sent."""
        if not self._is_secured or self._is_broken or self._raw is None:
            return
        if len(data) > PIECE:
            self._write_pieces(data)
            return
        self._encrypt(data)
        self._pass_on(self._outgoing.read())

    def _pass_on(self, data: bytes) -> None:
        """Write to the connection: after a quiet time at once, as a plain link does (shared/core/io/link.c).

        What follows soon goes by way of the transport, which gathers a turn's writes, and meets every fault.
        """
        now = monotonic()
        before, self._written_at = self._written_at, now
        is_quiet = now - before >= QUIET and self._descriptor >= 0 and not self._raw.is_closing()
        if is_quiet and self._may_wait:
            self._may_wait = bool(self._raw.get_write_buffer_size())
        if is_quiet and not self._may_wait:
            with contextlib.suppress(OSError):
                data = data[os.write(self._descriptor, data) :]
        if data:
            self._may_wait = True
            self._raw.write(data)


PureSecureIO = SecureIO
if not TYPE_CHECKING and core is not None:
    SecureIO = core.SecureIO
