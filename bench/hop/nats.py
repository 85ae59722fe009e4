"""Two NATS servers that are routed: core, and JetStream with a stream of one replica at the recipient's server."""

from __future__ import annotations

import json
import socket
import time
from contextlib import ExitStack
from pathlib import Path

from bench.hop.generator import NATS, Answer, Hop, Records, text
from bench.hop.processes import READY, Program, UnavailableError, dial, probe, program, quiet, read_until
from bench.hop.system import Place, Running

CLIENTS, ROUTES = 4222, 6222
"""Ports."""
STREAM = "HOP"

CONFIGURATION = """\
server_name: {name}
listen: "{address}:4222"
server_tags: ["{name}"]
max_pending: 1GB
write_deadline: "60s"
ping_interval: "1h"
cluster {{ name: hop, listen: "{address}:6222", routes: ["nats://{other}:6222"] }}
{jetstream}
"""
OPTIONS = {"verbose": False, "pedantic": False, "lang": "c", "version": "1", "protocol": 1, "headers": True}


def core(stack: ExitStack, directory: Path, place: Place) -> Running:
    """Start two, connect the clients, subscribe."""
    pids = _start(stack, directory, place, is_durable=False)
    author, recipient = _connect(stack, place.one), _connect(stack, place.two)
    recipient.sendall(b"SUB bob 1\r\nPING\r\n")
    read_until(recipient, b"PONG\r\n")
    probe(author, recipient, b"PUB bob 5\r\nprobe\r\n", b"probe")
    comes = Records(NATS)
    return Running(Hop(author, recipient, lambda n: b"PUB bob 100\r\n" + text(n) + b"\r\n", comes), pids)


def jetstream(stack: ExitStack, directory: Path, place: Place) -> Running:
    """The same with a stream on disk, whose messages are pushed to the recipient, who acknowledges each."""
    pids = _start(stack, directory, place, is_durable=True)
    author, recipient = _connect(stack, place.one), _connect(stack, place.two)
    author.sendall(b"SUB ann 1\r\n")
    recipient.sendall(b"SUB bob 1\r\nPING\r\n")
    read_until(recipient, b"PONG\r\n")
    stream = {
        "name": STREAM,
        "subjects": ["hop"],
        "storage": "file",
        "num_replicas": 1,
        "retention": "limits",
        "discard": "old",
        "placement": {"tags": ["two"]},
    }
    _request(author, f"STREAM.CREATE.{STREAM}", stream)
    consumer = {
        "durable_name": "bob",
        "deliver_subject": "bob",
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "max_ack_pending": -1,
        "ack_wait": 60_000_000_000,
    }
    _request(author, f"CONSUMER.DURABLE.CREATE.{STREAM}.bob", {"stream_name": STREAM, "config": consumer})
    quiet(author)
    quiet(recipient)
    told = Records(NATS, is_numbered=False, marker=b'{"stream":"%b"' % STREAM.encode())
    answer = Answer(is_reply=True)
    return Running(
        Hop(
            author,
            recipient,
            lambda n: b"PUB hop ann 100\r\n" + text(n) + b"\r\n",
            Records(NATS),
            told,
            answer,
            True,
        ),
        pids,
    )


def _start(stack: ExitStack, directory: Path, place: Place, *, is_durable: bool) -> list[int]:
    servers = []
    for name, address, other in (("one", place.one, place.two), ("two", place.two, place.one)):
        jetstream = f'jetstream {{ store_dir: "{directory}/{name}" }}' if is_durable else ""
        path = directory / f"{name}.conf"
        path.write_text(CONFIGURATION.format(name=name, address=address, other=other, jetstream=jetstream))
        servers.append((Program(stack, directory, name, [program("nats-server"), "-c", str(path)]), address))
    for server, address in servers:
        server.wait_port(address, CLIENTS)
    return [server.pid for server, _ in servers]


def _connect(stack: ExitStack, address: str) -> socket.socket:
    """A client's link."""
    sock = dial(stack, address, CLIENTS)
    sock.sendall(b"CONNECT %b\r\nPING\r\n" % json.dumps(OPTIONS).encode())
    read_until(sock, b"PONG\r\n")
    return sock


def _request(sock: socket.socket, what: str, body: object) -> None:
    """Ask JetStream until it agrees: the servers must have found one another and a leader."""
    data = json.dumps(body).encode()
    deadline = time.monotonic() + READY
    answer = b""
    while time.monotonic() < deadline:
        sock.sendall(b"PUB $JS.API.%b ann %d\r\n%b\r\n" % (what.encode(), len(data), data))
        try:
            answer = read_until(sock, b'"type":', b'"error":', b"503", timeout=2.0) + quiet(sock)
        except UnavailableError as error:
            answer = str(error).encode()
        else:
            if b'"error":' not in answer and b"503" not in answer.split(b"{")[0]:
                return
    raise UnavailableError(f"JetStream does not do {what}: {answer[-300:]!r}")
