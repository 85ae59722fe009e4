"""Networks of their own: a LAN with this machine at one end and nobody at the other, and loopback for one process.

Linux and root only. Sockets that are opened inside stay inside, on whatever thread they are used later.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

CLONE_NEWNET = 0x40000000
RANGE = "198.18"
"""Reserved for measurements between networks (RFC 2544): no machine's own."""


class Lan:
    """A network namespace and a cable to it; a context manager that removes both."""

    def __init__(self) -> None:
        name = secrets.token_hex(4)
        number = secrets.randbelow(256)
        self.name = f"parley-test-{name}"
        self.cable = (f"pt{name}a", f"pt{name}b")
        self.host = f"{RANGE}.{number}.1"
        """This machine."""
        self.client = f"{RANGE}.{number}.2"

    def __enter__(self) -> Self:
        here, there = self.cable
        ip("netns", "add", self.name)
        try:
            ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", self.name)
            ip("address", "add", f"{self.host}/30", "dev", here)
            ip("link", "set", here, "up")
            ip("-n", self.name, "address", "add", f"{self.client}/30", "dev", there)
            ip("-n", self.name, "link", "set", "lo", "up")
            ip("-n", self.name, "link", "set", there, "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        ip("netns", "delete", self.name)  # and with its end of the cable the other

    @contextmanager
    def inside(self) -> Iterator[None]:
        """This thread, and those that it starts, are on the network's other end."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        away = os.open(Path("/run/netns") / self.name, os.O_RDONLY)
        try:
            enter(away)
            try:
                yield
            finally:
                enter(home)
        finally:
            os.close(away)
            os.close(home)


def why_not() -> str:
    """Why there can be no such network here; empty where there can."""
    if os.geteuid() != 0:
        return "a network namespace needs root"
    try:
        ip("netns", "list")
    except OSError as error:
        return f"a network namespace needs iproute2: {error}"
    done = subprocess.run(["unshare", "--net", "true"], capture_output=True, text=True, check=False)
    return f"a network namespace may not be made here: {done.stderr.strip()}" if done.returncode else ""


def leave() -> None:
    """Move this thread, and what it starts from now on, into a new network that has nothing but loopback."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    ip("link", "set", "lo", "up")


def leave_as_anybody() -> None:
    """Do the same; who is not root is so first in a user namespace, where this program begins again."""
    if os.geteuid() != 0:
        os.execvp("unshare", ["unshare", "--user", "--map-root-user", sys.executable, *sys.orig_argv[1:]])
    leave()


def ip(*arguments: str) -> None:
    """Run iproute2's `ip`. AssertionError where it fails."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"


def enter(descriptor: int) -> None:
    """Move this thread into a network namespace (os.setns is there from Python 3.12 on)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
