"""The limit: two relays in a row that do nothing but pass frames on, in C and in uvloop; and no hop at all."""

from __future__ import annotations

import socket
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench.hop.generator import compiled
from bench.hop.parley import hop
from bench.hop.processes import READY, Program, UnavailableError, dial
from bench.hop.system import Place, Running
from tests.support.nodes import ROOT, wait_until

PORT = 6600
UVLOOP = (sys.executable, "-m", "bench.hop.uvloop_relay")


def c_relay(stack: ExitStack, directory: Path, place: Place) -> Running:
    """In C, reading only the length."""
    try:
        binary = compiled(directory, "relay.c", "relay")
    except RuntimeError as error:
        raise UnavailableError(str(error)) from error
    return _two_hops(stack, directory, place, [str(binary)])


def uvloop_relay(stack: ExitStack, directory: Path, place: Place) -> Running:
    """In uvloop, reading only the length."""
    return _two_hops(stack, directory, place, [*UVLOOP, "length"])


def uvloop_parse(stack: ExitStack, directory: Path, place: Place) -> Running:
    """In uvloop, parsing each message and making it anew."""
    return _two_hops(stack, directory, place, [*UVLOOP, "parse"])


def direct(stack: ExitStack, directory: Path, place: Place) -> Running:  # noqa: ARG001 - every system is started so
    """No server at all: what the generator itself and one TCP link can do."""
    with _listener(place.end) as listener:
        author = dial(stack, place.end, PORT)
        recipient = stack.enter_context(listener.accept()[0])
    return Running(hop(author, recipient, acknowledges=False), [])


def _two_hops(stack: ExitStack, directory: Path, place: Place, command: list[str]) -> Running:
    """The second relay dials the recipient, the first one dials the second."""
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    pids = []
    with _listener(place.end) as listener:
        for address, to in ((place.two, place.end), (place.one, place.two)):
            words = [*command, address, str(PORT), to, str(PORT)]
            relay = Program(stack, directory, f"relay-{address}", words, environment)
            pids.append(relay.pid)
            if to == place.end:
                recipient = stack.enter_context(listener.accept()[0])
            wait_until(partial(_is_listening, address), READY, "a relay to listen")
    return Running(hop(dial(stack, place.one, PORT), recipient, acknowledges=False), pids)


def _listener(address: str) -> socket.socket:
    listener = socket.create_server((address, PORT))
    listener.settimeout(READY)
    return listener


def _is_listening(address: str) -> bool:
    """Looked up, not dialled: a relay takes one link only."""
    wanted = f"{int.from_bytes(socket.inet_aton(address), sys.byteorder):08X}:{PORT:04X}"
    lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()
    return any(line.split()[1] == wanted and line.split()[3] == "0A" for line in lines[1:])
