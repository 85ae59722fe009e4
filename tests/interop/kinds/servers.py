"""An existing server of code base 1 beside our node, with clients of its own: eve and ann."""

from __future__ import annotations

from collections.abc import Callable

from tests.interop import people
from tests.interop.kinds.kind import Kind, connected
from tests.interop.programs.code_one_client import CodeOneClient
from tests.interop.programs.fragile_server import FragileServer
from tests.interop.world import ALPHA, ANN, EVE, PROGRAM


class CodeOneServers(Kind):
    """The old ones and the linking ones."""

    server_id = "old"
    nodes = (ALPHA,)
    patience = people.PATIENCE
    server: FragileServer
    eve: CodeOneClient
    ann: CodeOneClient

    def make_server(self) -> FragileServer:
        """The server, not started."""
        raise NotImplementedError

    def start(self) -> None:
        """The server, and its people."""
        self.server = self.world.enter(self.make_server(), self.name)
        self.eve, self.ann = self.person("eve", EVE), self.person("ann", ANN)

    def person(self, user_id: str, address: str) -> CodeOneClient:
        client = CodeOneClient(user_id, self.server_id, address, broadcast=PROGRAM, enough=1)
        self.world.enter(client, f"{self.name}'s client")
        connected(client)
        return client

    def kill(self) -> None:
        """All of them end without a word."""
        for program in (self.eve, self.ann, self.server):
            program.close(hangup=False)

    def death(self, feature: str = "MESSAGES") -> str:
        """What ended the loop of a feature, or closed a client."""
        return str(self.server.deaths.get(feature, "")) or self.eve.death or self.ann.death

    def dead(self, feature: str) -> Callable[[], str]:
        """For who waits for it."""
        return lambda: self.death(feature)

    def chat_from_us(self) -> str:
        """Bob writes to eve."""
        return people.chat(self.bob, self.eve.user, self.eve, self.death, self.patience)

    def chat_from_them(self) -> str:
        """Eve writes to bob."""
        return people.chat(self.eve, self.bob.user, self.bob, self.death)

    def chat_among_them(self) -> str:
        """Eve writes to ann."""
        return people.chat(self.eve, self.ann.user, self.ann, self.death)
