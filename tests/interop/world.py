"""A network with our nodes, existing programs and people, all of it on loopback, and the recorder between."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from tests.interop.programs.our_client import OurClient
from tests.interop.recorder import Recorder, Tap
from tests.support.nodes import ROOT, Node
from tests.support.plain_program import PlainProgram

ALPHA: Final = "127.0.40.1"
"""Our node, the home of our users."""
BETA: Final = "127.0.40.2"
"""Another one, where there are two."""
PROGRAM: Final = "127.0.40.3"
"""The existing server."""
BOB: Final = "127.0.41.1"
EVE: Final = "127.0.41.2"
ANN: Final = "127.0.41.3"
VISITOR: Final = "127.0.41.4"
"""People's addresses: bob is ours, the others are of an existing program."""
NAMES: Final = {ALPHA: "alpha", BETA: "beta"}
FEATURES: Final = ("MESSAGES", "TYPING_INDICATOR", "LIVE_LOCATION")
START: Final = 60.0
"""Seconds for a node to come."""
COMMAND: Final = 40.0
"""Seconds for a command of people."""

P = TypeVar("P", bound=PlainProgram)


class World:
    """All of one run; a context manager that leaves nothing behind."""

    def __init__(
        self, directory: Path, root: Path = ROOT, settings: dict[str, str] | None = None, mode: str = "mixed"
    ) -> None:
        self.root = root
        self.has_keys = mode == "mixed" and (root / "shared" / "trust").exists()
        self.recorder = Recorder(NAMES)
        self.taps: list[Tap] = []
        self._directory = directory
        self._settings = dict(settings or {})
        if (root / "shared" / "trust").exists():  # a revision before it knows no such key
            self._settings["PARLEY_SECURITY__MODE"] = mode
        self.nodes: dict[str, Node] = {}
        self.existing: list[PlainProgram] = []
        self._programs = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.nodes.values():
            node._kill_all()
        self._programs.close()

    # Nodes ----------------------------------------------------------------------------------------

    def start_node(self, address: str = ALPHA, **settings: str) -> Node:
        """Start a node, or start it again after `kill_node`, with more settings than before."""
        if address not in self.nodes:
            self.nodes[address] = Node(
                NAMES[address], address, self._directory, settings=self._settings, root=self.root
            )
        node = self.nodes[address]
        if (self.root / "shared" / "dialects").exists():  # a revision before them knows no such key
            node._settings |= settings
        for service in node.services:
            node.start(service)
        node.wait_ready(timeout=START)
        return node

    def kill_node(self, address: str = ALPHA) -> None:
        """End all its processes, without a word."""
        node = self.nodes[address]
        for service in node.services:
            node.kill(service)

    def parley(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of a person of alpha, of the revision that is tried."""
        module = "parley.cli.main" if (self.root / "parley").exists() else "client.cli.main"
        return subprocess.run(
            [sys.executable, "-c", f"from {module} import main; main()", *arguments, "--server", ALPHA],
            cwd=self.root,
            env=self.nodes[ALPHA].environment | {"PARLEY_SECURITY__MODE": "open"},  # of users without a key
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND,
            check=False,
        )

    # Programs ---------------------------------------------------------------------------------------

    def enter(self, program: P, what: str = "") -> P:
        """Start a program, with the recorder at its wires where it is an existing one; it ends with the run."""
        if what:
            tap = self.recorder.tap(what, program.names, program.address)
            self.taps.append(tap)
            self.existing.append(program)
            program.tap = tap
        return self._programs.enter_context(program)

    def our_client(
        self, user_id: str = "bob", address: str = BOB, features: tuple[str, ...] = FEATURES, **settings: Any
    ) -> OurClient:
        """A user of alpha, connected."""
        client = self.enter(OurClient(user_id, "alpha", address, broadcast=ALPHA, enough=1, **settings))
        for feature in features:
            client.connect(feature)
        return client

    def faults(self) -> list[str]:
        """What of ours went to existing programs that may not, each with the first frame of it."""
        return [f"{what}   {frame}" for tap in self.taps for what, frame in tap.faults.items()]
