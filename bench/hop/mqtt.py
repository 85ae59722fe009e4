"""Two Mosquitto brokers with a bridge from the first to the second, at QoS 0 and QoS 1."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

from bench.hop.generator import FIXED, Answer, Hop, Records, text
from bench.hop.processes import Program, dial, probe, program, read_until
from bench.hop.system import Place, Running

PORT = 1883
TOPIC = b"bob"
IDS = 65_535

CONFIGURATION = """\
listener {port} {address}
allow_anonymous true
persistence false
user root
set_tcp_nodelay true
max_inflight_messages 0
max_inflight_bytes 0
max_queued_messages 0
max_queued_bytes 0
log_dest stderr
log_type error
"""
BRIDGE = """\
connection hop
address {other}:{port}
topic # out {qos}
cleansession true
try_private true
notifications false
keepalive_interval 3600
restart_timeout 1
"""


def mosquitto(qos: int, stack: ExitStack, directory: Path, place: Place) -> Running:
    """Start the second, then the first which dials it, and connect the clients."""
    pids = []
    for name, address in (("two", place.two), ("one", place.one)):
        path = directory / f"{name}.conf"
        bridge = BRIDGE.format(other=place.two, port=PORT, qos=qos) if name == "one" else ""
        path.write_text(CONFIGURATION.format(port=PORT, address=address) + bridge)
        server = Program(stack, directory, name, [program("mosquitto"), "-c", str(path)])
        server.wait_port(address, PORT)
        pids.append(server.pid)
    author, recipient = _connect(stack, place.one, b"ann"), _connect(stack, place.two, b"bob")
    recipient.sendall(_packet(0x82, b"\x00\x01" + _string(TOPIC) + bytes([qos])))
    read_until(recipient, b"\x90\x03\x00\x01" + bytes([qos]))
    probe(author, recipient, _packet(0x30, _string(TOPIC) + b"probe"), b"probe")
    return Running(_hop(author, recipient, qos), pids)


def _hop(author: socket.socket, recipient: socket.socket, qos: int) -> Hop:
    def message(number: int) -> bytes:
        identifier = (1 + number % IDS).to_bytes(2, "big") if qos else b""
        return _packet(0x30 | qos << 1, _string(TOPIC) + identifier + text(number))

    pattern = message(0)
    at, identifier = pattern.index(text(0)), 4 + len(TOPIC)
    holes = [(identifier, at + 8)]
    comes = Records(FIXED, pattern=pattern, holes=holes, offset=at)
    if not qos:
        return Hop(author, recipient, message, comes)
    puback = b"\x40\x02\x00\x00"
    told = Records(FIXED, is_numbered=False, pattern=puback, holes=[(2, 4)])
    return Hop(author, recipient, message, comes, told, Answer(puback, identifier, 2, 2), is_told=True)


def _connect(stack: ExitStack, address: str, name: bytes) -> socket.socket:
    """A client's link (MQTT 3.1.1, clean session)."""
    sock = dial(stack, address, PORT)
    sock.sendall(_packet(0x10, _string(b"MQTT") + b"\x04\x02\x0e\x10" + _string(name)))
    read_until(sock, b"\x20\x02\x00\x00")
    return sock


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def _packet(kind: int, body: bytes) -> bytes:
    """A packet of fewer than 128 bytes."""
    return bytes([kind, len(body)]) + body
