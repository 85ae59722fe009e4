"""The memory of a chat process for each idle link of a client: with TLS and plain, on uvloop and without it."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench.cost import KIB, memory
from bench.idle.processes import verdict
from parley.shared.addresses import User
from parley.shared.wire.messages import encode, pb
from tests.support.nodes import Node
from tests.support.secured import Secured

ADDRESS: Final = "127.0.206.1"
PORT: Final = 6666
SERVICES: Final = ("discovery", "chat")
WARM: Final = 200
"""Links before the first look: what the first ones need is there then."""
TARGET: Final = 40
"""KiB of a link with TLS."""


def tls(directory: Path, links: int = 600) -> bool:
    """Measure all four; whether the target is kept."""
    absent = directory / "without"
    absent.mkdir()
    (absent / "uvloop.py").write_text("raise ImportError('it is not to be used')\n", encoding="ascii")
    kept = True
    for loop, settings in (("uvloop", {}), ("asyncio", {"PYTHONPATH": str(absent)})):
        with Node("alpha", ADDRESS, directory / loop, SERVICES, settings) as node:
            plain = _each(node, "p", links, is_secure=False)
            secure = _each(node, "s", links, is_secure=True)
        print(f"an idle link, {loop}: plain {plain:.1f} KiB, TLS {secure:.1f} KiB")
        kept &= verdict(f"an idle link with TLS, {loop}", f"{secure:.1f} KiB", kept=secure <= TARGET)
    return kept


def _each(node: Node, prefix: str, links: int, *, is_secure: bool) -> float:
    """KiB of each link."""
    with ExitStack() as stack:
        for number in range(WARM):
            _link(stack, f"{prefix}w{number}", is_secure=is_secure)
        before = memory([node.pid("chat")])
        for number in range(links):
            _link(stack, f"{prefix}{number}", is_secure=is_secure)
        return (memory([node.pid("chat")]) - before) / links / KIB


def _link(stack: ExitStack, user_id: str, *, is_secure: bool) -> None:
    user = User(user_id, "alpha")
    if is_secure:
        stack.enter_context(Secured((ADDRESS, PORT))).connect_client(str(user), None)
        return
    sock = stack.enter_context(socket.create_connection((ADDRESS, PORT)))
    sock.sendall(encode("CONNECT_CLIENT", pb.ConnectClient(user=user.to_pb())))
    sock.recv(4096)
