"""The TLS of this process: version 1.3 and nothing else, `parley/1` and nothing else (RFC 8446, RFC 7301).

No certificate is verified here: HELLO proves who accepts (shared/trust/proofs.py). There are no session tickets and
no data before the handshake is over, so nothing can be sent a second time.
"""

from __future__ import annotations

import contextlib
import functools
import os
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from parley.shared.trust.certificates import Leaf

PROTOCOL: Final = "parley/1"


def server_context(leaf: Leaf) -> ssl.SSLContext:
    """A context that accepts, with this certificate."""
    context = _only_1_3(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    context.num_tickets = 0
    with _file(leaf.certificate + leaf.private) as path:
        context.load_cert_chain(path)
    return context


@functools.cache
def client_context() -> ssl.SSLContext:
    """The context that dials: one for all."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return _only_1_3(context)


def _only_1_3(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols([PROTOCOL])
    return context


@contextlib.contextmanager
def _file(content: bytes) -> Iterator[str]:
    """A path with that content, for as long as ssl reads it: in memory where there are such files, else 0600."""
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        descriptor = os.memfd_create("leaf")
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            yield f"/proc/self/fd/{descriptor}"
        return
    descriptor, name = tempfile.mkstemp()
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        yield name
    finally:
        Path(name).unlink(missing_ok=True)
