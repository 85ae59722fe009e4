"""Who means harm: raw bytes over many links; and an honest client beside them, who measures what it has to wait.

The attacker does nothing that a program could not do: it has one process, and whatever it sends is made before.
"""

import socket
import statistics
import threading
import time
from contextlib import ExitStack, suppress

import psutil

from parley.shared.wire.messages import encode, pb

CHAT = 6666


def connect_frame(user_id, server_id):
    return encode("CONNECT_CLIENT", pb.ConnectClient(user=pb.User(userId=user_id, serverId=server_id)))


def dialled(address, source, port=CHAT):
    """A connection, from an address of its own."""
    return socket.create_connection((address, port), timeout=10, source_address=(source, 0))


def connected(address, source, user_id, server_id, port=CHAT):
    """A connection of a user's client; its CONNECTED has been read."""
    sock = dialled(address, source, port)
    sock.sendall(connect_frame(user_id, server_id))
    data = b""
    while not data.endswith(b"\n"):
        data += sock.recv(4096)
    assert data.startswith(b"CONNECTED "), data
    return sock


def resident(node, service="chat"):
    """Bytes of memory that a process of a node has."""
    return psutil.Process(node.pid(service)).memory_info().rss


class Honest:
    """A client that asks PING after PING while an attack goes on, and notes how long each answer took."""

    def __init__(self, node, source, user_id="honest", port=CHAT):
        self.sock = connected(node.address, source, user_id, node.server_id, port)
        self.sock.settimeout(60)

    def round_trip(self):
        began = time.monotonic()
        self.sock.sendall(b"PING 0 \n")
        data = b""
        while b"PONG 0 \n" not in data:
            more = self.sock.recv(65536)
            assert more, "the honest one was hung up on"
            data += more
        return time.monotonic() - began

    def round_trips(self, seconds, pause=0.01):
        """Ask for so long; at least once."""
        until, found = time.monotonic() + seconds, []
        while not found or time.monotonic() < until:
            found.append(self.round_trip())
            time.sleep(pause)  # between two questions: this is how often an honest one asks, not a wait
        return found

    def close(self):
        self.sock.close()


class Attack:
    """Sends over many links at once, from threads: to each link its bytes, again and again, and (`reads`) reads."""

    def __init__(self, socks, data, *, reads=False, times=1):
        self._stack = ExitStack()
        self._socks = socks
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._send, args=[sock, data, times], daemon=True) for sock in socks
        ]
        if reads:
            self._threads += [threading.Thread(target=self._read, args=[sock], daemon=True) for sock in socks]

    def _send(self, sock, data, times):
        with suppress(OSError):
            for _ in range(times):
                view = memoryview(data)
                while view and not self._stop.is_set():
                    with suppress(TimeoutError):
                        view = view[sock.send(view) :]

    def _read(self, sock):
        with suppress(OSError):
            while not self._stop.is_set():
                with suppress(TimeoutError):
                    if not sock.recv(1 << 16):
                        return

    def __enter__(self):
        for sock in self._socks:
            sock.settimeout(0.2)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for sock in self._socks:
            sock.close()


def _thread(target, *arguments):
    return threading.Thread(target=target, args=arguments, daemon=True)


def described(round_trips):
    ordered = sorted(round_trips)
    return (
        f"{len(ordered)} answers, median {statistics.median(ordered) * 1e3:.1f} ms, "
        f"p99 {ordered[int(len(ordered) * 0.99)] * 1e3:.1f} ms, longest {ordered[-1] * 1e3:.1f} ms"
    )


__all__ = ["Attack", "Honest", "connected", "described", "dialled", "resident"]
