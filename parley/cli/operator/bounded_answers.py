"""A node's answer to a command, read no further than it can be long, and no longer than it can take.

Whoever listens at that place may be no node of ours.
"""

from __future__ import annotations

import http.client
import time
from typing import Final

LARGEST: Final = 16 * 1024 * 1024
"""Bytes of an answer."""
_PIECE: Final = 1 << 16


def read_answer(response: http.client.HTTPResponse, seconds: float, most: int = LARGEST) -> bytes:
    """The body of an answer.

    Raises:
        ValueError: it is larger than `most` bytes, or not all there after so many seconds.
        OSError, HTTPException: as `response` has them.

    """
    ends = time.monotonic() + seconds
    body = bytearray()
    while piece := response.read1(_PIECE):
        body += piece
        if len(body) > most:
            raise ValueError(f"it answers with more than {most >> 20} MiB")
        if time.monotonic() > ends:
            raise ValueError(f"its answer takes longer than {seconds:.0f} s")
    response.close()  # read1 leaves it open at its end, and the connection would take no further request
    return bytes(body)
