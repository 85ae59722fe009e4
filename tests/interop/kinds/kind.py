"""One kind of existing program beside our node: started, killed, started again; and what is tried with it.

A row is a feature and a direction; what tries it once returns the outcome.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar, NamedTuple

from tests.interop.people import wait
from tests.interop.programs.our_client import OurClient
from tests.interop.world import FEATURES, World
from tests.support.nodes import Node
from tests.support.plain_client import PlainClient

FROM_US, FROM_THEM, AMONG_THEM = "from us", "from them", "among them"
TO_VISITOR, FROM_VISITOR = "to a visitor", "from a visitor"
FEATURE_OF = {"typing": "TYPING_INDICATOR", "location": "LIVE_LOCATION"}
ASKS_ONCE = "asked too early"
FOUND = 10.0
"""Seconds for our node to hear of a server, and to link with it."""


class Row(NamedTuple):
    """What is tried."""

    feature: str
    direction: str

    def __str__(self) -> str:
        return f"{self.feature} {self.direction}"


Rows = dict[Row, Callable[[], str]]


class Kind:
    """One kind of program; a subclass says which rows it has, and how each is tried."""

    name: ClassVar[str]
    nodes: ClassVar[tuple[str, ...]]
    """The addresses of our nodes."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.node: Node
        self.bob: OurClient
        self.changed = time.monotonic()
        """When something was last started or killed."""
        self._has_group = False

    def rows(self) -> Rows:
        """What is tried, in this order, and how."""
        raise NotImplementedError

    def start(self) -> None:
        """Start the program, and the people who use it."""
        raise NotImplementedError

    def kill(self) -> None:
        """End it without a word."""
        raise NotImplementedError

    def node_is_back(self) -> None:
        """What people do when our node was started again; who has an existing client starts that again."""

    def settle(self) -> None:
        """Wait until all is there that will be."""

    def death(self, _feature: str = "MESSAGES") -> str:
        """What the program, or this feature of it, died of; empty where it lives."""
        return ""

    # Ours ---------------------------------------------------------------------------------------------

    def start_nodes(self) -> None:
        """Start our nodes."""
        for address in reversed(self.nodes):
            self.node = self.world.start_node(address)

    def connect_ours(self) -> None:
        """Our user comes."""
        with suppress(AttributeError):
            self.bob.close()
        self.bob = self.world.our_client()

    def make_group(self, *members: str) -> None:
        """A group of alpha, #crew, that these users are in."""
        if not self._has_group:
            for member in members:
                done = self.world.parley("group", "join", "#crew", "--as", member)
                if done.returncode != 0:
                    raise RuntimeError(f"{member} is in no group: {done.stdout}{done.stderr}")
            self._has_group = True

    def join_elsewhere(self, server_id: str) -> str:
        """Our user asks to join a group of an existing server."""
        done = self.world.parley("group", "join", f"#crew@{server_id}", "--as", "bob@alpha")
        return "refused" if done.returncode else "joined"

    def in_directory(self, server_id: str) -> dict[str, Any] | None:
        """Our node's entry of a server."""
        entries = self.node.status("discovery")["directory"]
        return next((entry for entry in entries if entry["server_id"] == server_id), None)

    def wait_known(self, server_id: str) -> bool:
        """Wait until our node has heard of a server, or the program has died."""
        return wait(lambda: self.in_directory(server_id), FOUND, self.death)

    def attempt(self, row: Row, attempt: Callable[[], str]) -> str:
        """Try a row: what came of it, or what the program died of."""
        if row.feature == "discovery" or row.direction in (TO_VISITOR, FROM_VISITOR):
            return attempt()
        feature = FEATURE_OF.get(row.feature, "MESSAGES")
        if death := self.death(feature):
            return death
        outcome = attempt()
        return self.death(feature) or outcome


def connected(client: PlainClient, features: tuple[str, ...] = FEATURES) -> bool:
    """Connect a client, if it finds a server; whether it did."""
    try:
        for feature in features:
            client.connect(feature)
    except (LookupError, OSError):
        return False
    return True
