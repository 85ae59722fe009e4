"""Where and how long a curve is measured."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.load import Loader
from tests.support.nodes import Node, wait_linked

ALPHA, BETA = "127.0.205.1", "127.0.205.2"
CHAT = ("discovery", "chat")


@dataclass
class Setting:
    """What each curve is given."""

    directory: Path
    loader: Loader
    rounds: int = 3
    is_short: bool = False

    @property
    def seconds(self) -> float:
        """How long a round of a load should take."""
        return 0.1 if self.is_short else 1.0

    def sizes(self, *sizes: int, short: int = 2) -> Sequence[int]:
        """All of these, or the first `short`."""
        return sizes[:short] if self.is_short else sizes

    def pair(self, stack: ExitStack, name: str) -> tuple[Node, Node]:
        """Start alpha and beta, discovery and chat, and wait until they are linked."""
        alpha, beta = (
            stack.enter_context(Node(server_id, address, self.directory / name, CHAT))
            for server_id, address in (("alpha", ALPHA), ("beta", BETA))
        )
        wait_linked([alpha, beta], ["chat"])
        return alpha, beta

    def star(self, stack: ExitStack, name: str, others: int) -> list[Node]:
        """Start alpha and so many others, discovery and chat, and wait until all are linked."""
        nodes = [
            stack.enter_context(Node(server_id, f"127.0.205.{i + 1}", self.directory / name, CHAT))
            for i, server_id in enumerate(["alpha", *(f"far{i:02}" for i in range(others))])
        ]
        wait_linked(nodes, ["chat"])
        return nodes
