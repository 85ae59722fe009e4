"""`make walk`: one MESSAGE from alice@alpha to bob@beta, followed through the modules of both servers.

`python -m tests.house.walk [REVISION …]`: the working tree's, after those of older revisions. Two whole chat
services run in one process and one thread, without the compiled core, each with an event loop of its own whose
turns are taken one after another: so what runs in alpha's turn is alpha's. Sockets, mailboxes and people's clients
are real. It is followed from alpha's read of the frame until alice's client was told DELIVERED. What counts as a
module, a visit and a return is in following.py; SQLite's thread is not followed.

Of several messages, sent one at a time after one that is not followed, the shortest walk is shown: on a busy
machine a timer may come meanwhile, and is nobody's walk. There are more of them while a timer came in each.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
import tomllib
from collections.abc import Coroutine
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from tests.house.following import CHAT, SHARED, Follower, Leg
from tests.house.sources import ROOT

SERVERS = ("alpha", "beta")
PEOPLE = "people"
MESSAGES, MOST_MESSAGES = 5, 60
SETTLED = 0.15
"""Seconds after which no timer of an answered message is left."""
TIMEOUT = 20.0
LOOPBACK = "127.0.0.1"
WIDTH, INDENT = 116, 30


class Turns:
    """Event loops of one thread, which take turns."""

    def __init__(self) -> None:
        self._loops = {name: asyncio.SelectorEventLoop() for name in (*SERVERS, PEOPLE)}

    def run(self, name: str, doing: Coroutine[Any, Any, Any], follower: Follower | None = None) -> Any:
        """Let all have turns until something is done in the loop of that name; what came of it."""
        task = self._loops[name].create_task(doing)
        until = time.monotonic() + TIMEOUT
        while not task.done():
            self._turn(follower)
            if time.monotonic() > until:
                raise TimeoutError(f"not within {TIMEOUT} s: {doing}")
        return task.result()

    def settle(self) -> None:
        """Let all be done that the last message left to do."""
        until = time.monotonic() + SETTLED
        while time.monotonic() < until:
            self._turn(None)
            time.sleep(0.002)

    def _turn(self, follower: Follower | None) -> None:
        for name, loop in self._loops.items():
            loop.call_soon(loop.stop)
            with follower.follow(name) if follower is not None and name in SERVERS else nullcontext():
                loop.run_forever()

    def close(self) -> None:
        """Close the loops."""
        for loop in self._loops.values():
            loop.close()


def walk(root: Path, directory: Path, *, back: bool = False) -> list[Leg]:
    """The legs of a message through the chat services of the sources in `root`; nothing of them is loaded yet.

    alpha dials beta, and the message goes the same way; `back`: it goes the other way.
    """
    os.environ["PARLEY_PURE"] = "1"
    sys.path.insert(0, str(root))
    prefix = "parley." if (root / "parley" / "__init__.py").exists() else ""
    chat, client, config, addresses = (
        importlib.import_module(prefix + name)
        for name in ("services.chat.service", "client.chat", "shared.config", "shared.addresses")
    )
    turns = Turns()
    servers, services = [], {}
    for name in SERVERS:
        settings = {
            "SERVER_ID": name,
            "ADDRESS": LOOPBACK,
            "DATA_DIR": str(directory / name),
            "CONFIG": os.devnull,
            "HISTORY__KEEP": "0",
        }
        port = free_port()
        environ = {f"PARLEY_{key}": value for key, value in settings.items()} | {"PARLEY_CHAT__PORT": str(port)}
        services[name] = chat.ChatService(name, config.load(environ=environ))
        turns.run(name, services[name].start())
        servers.append(addresses.Server(name, {"MESSAGES": (addresses.Endpoint(LOOPBACK, port),)}))
    turns.run("alpha", services["alpha"].set_server_list_and_connect(servers[1:]))

    here, there = reversed(SERVERS) if back else SERVERS
    people = {"PARLEY_CONFIG": os.devnull, "PARLEY_CLIENT__DATA_DIR": str(directory / "people")}
    alice = client.ChatFeature(f"alice@{here}", config.load(environ=people))
    bob = client.ChatFeature(f"bob@{there}", config.load(environ=people), on_message=lambda _message: None)
    for feature in (alice, bob):
        turns.run(PEOPLE, feature.handle_connection(tuple(servers)))

    async def send() -> str:
        return str(await alice.send(f"bob@{there}", "Hello!").final)

    walks: list[list[Leg]] = []
    while len(walks) <= MESSAGES or (not any(map(_is_without_timer, walks[1:])) and len(walks) <= MOST_MESSAGES):
        follower = Follower(root)
        status = turns.run(PEOPLE, send(), follower)
        if status != "DELIVERED":
            raise RuntimeError(f"the message was not delivered: {status}")
        walks.append([leg for leg in follower.legs if leg.visits and not _is_elses(leg)])
        turns.settle()
    for feature in (alice, bob):
        turns.run(PEOPLE, feature.close())
    for name, service in services.items():
        turns.run(name, service.stop())
    turns.close()
    return min(walks[1:], key=lambda legs: (not _is_without_timer(legs), sum(len(leg.calls) for leg in legs)))


def _is_elses(leg: Leg) -> bool:
    """Whether a timer fired without the message in hand, as some do on a busy machine: that is on no way of it."""
    return not leg.reads and not any(visit.is_in_hand for visit in leg.visits)


def _is_without_timer(legs: list[Leg]) -> bool:
    """Whether all that was done followed from a frame."""
    return all(leg.reads for leg in legs)


def free_port() -> int:
    """A port that nobody has."""
    with socket.create_server((LOOPBACK, 0)) as sock:
        return int(sock.getsockname()[1])


def story(legs: list[Leg]) -> str:
    """Every leg's visits in order, with the functions; returns are marked."""
    lines = []
    for number, leg in enumerate(legs, start=1):
        lines += ["", title(number, leg)]
        for visit in leg.visits:
            sign = "↩" if visit.is_return else " "
            later = "" if visit.is_in_hand else "·"
            lines += _entry(f" {sign}{later:1} {visit.module.removeprefix(CHAT)}", visit.functions)
        lines += ["   shared, in the order of the first entry:"]
        for module, functions in leg.shared.items():
            lines += _entry(f"    {module.removeprefix(SHARED)}", functions)
    return "\n".join(lines)


def _entry(head: str, functions: list[str]) -> list[str]:
    text, indent = ", ".join(functions), " " * INDENT
    return textwrap.wrap(text, WIDTH, initial_indent=f"{head:<{INDENT}}", subsequent_indent=indent)


def title(number: int, leg: Leg) -> str:
    """A leg's name."""
    return f"{number}. {leg.server} {f'reads {leg.reads}' if leg.reads else 'does what is due'}"


def summary(legs: list[Leg]) -> str:
    """The counts of each leg, of each server and of all."""
    head = f"{'':<28}{'modules':>10}{'visits':>10}{'returns':>10}{'in hand':>10}"
    lines = [head, *(_counts(title(number, leg), [leg]) for number, leg in enumerate(legs, start=1))]
    lines += [_counts(name, [leg for leg in legs if leg.server == name]) for name in SERVERS]
    return "\n".join([*lines, _counts("both", legs)])


def _counts(name: str, legs: list[Leg]) -> str:
    modules = set().union(*(leg.modules for leg in legs))
    numbers = [
        len(modules),
        sum(len(leg.visits) for leg in legs),
        sum(leg.returns for leg in legs),
        sum(leg.returns_in_hand for leg in legs),
    ]
    return f"{name:<28}" + "".join(f"{number:>10}" for number in numbers)


def walk_at(revision: str, *, short: bool) -> None:
    """Walk through an older revision, with this script."""
    with tempfile.TemporaryDirectory(prefix="parley-walk-") as place:
        archive = subprocess.run(["git", "archive", revision], cwd=ROOT, capture_output=True, check=True)
        subprocess.run(["tar", "-x", "-C", place], input=archive.stdout, check=True)
        note_installed(Path(place))
        command = [sys.executable, "-m", "tests.house.walk", "--root", place, *(["--short"] if short else [])]
        subprocess.run(command, cwd=ROOT, check=True)


def note_installed(root: Path) -> None:
    """Have the sources in `root` find the version that they ask for: they are nowhere installed by that name."""
    name = tomllib.loads((root / "pyproject.toml").read_text())["project"]["name"]
    directory = root / f"{name.replace('-', '_')}-0.dist-info"
    directory.mkdir()
    (directory / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0\n")


def main() -> int:
    """Print the walks."""
    parser = argparse.ArgumentParser(prog="python -m tests.house.walk", description="One message's way")
    parser.add_argument("revisions", nargs="*", metavar="REVISION", help="walked through before")
    parser.add_argument("--root", type=Path, default=ROOT, help="the sources that are walked through")
    parser.add_argument("--short", action="store_true", help="the counts alone")
    parser.add_argument("--back", action="store_true", help="a message to the server that dialled the other")
    arguments = parser.parse_args()
    for revision in arguments.revisions:
        print(f"At {revision}:", flush=True)
        walk_at(revision, short=arguments.short)
        print()
    if arguments.revisions:
        print("Here:")
    with tempfile.TemporaryDirectory(prefix="parley-walk-") as directory:
        legs = walk(arguments.root.resolve(), Path(directory), back=arguments.back)
    if not arguments.short:
        print("↩: a return to a module that was left; ·: done once a read, without the message in hand.")
        print(story(legs) + "\n")
    print(summary(legs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
