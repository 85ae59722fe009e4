"""The programs of code base 2: a client on our node, and a server beside it."""

from __future__ import annotations

from contextlib import suppress

from tests.interop import people
from tests.interop.kinds.kind import AMONG_THEM, ASKS_ONCE, FOUND, FROM_THEM, FROM_US, Kind, Row, Rows
from tests.interop.programs.code_two_client import CodeTwoClient
from tests.interop.programs.code_two_server import CodeTwoServer
from tests.interop.world import ALPHA, ANN, EVE, PROGRAM


def came(client: CodeTwoClient) -> CodeTwoClient:
    """Connect it, if it finds a server."""
    with suppress(LookupError, OSError):
        client.connect()
    return client


def search(client: CodeTwoClient, user: dict[str, str]) -> str:
    """Look for a user by their name."""
    if not client.is_connected:
        return "not connected"
    try:
        return "found" if client.finds(user, people.SOON) else "not found"
    except TimeoutError:
        return "no answer"


class CodeTwoClients(Kind):
    """On our node. Typing, places and groups are not of its kind."""

    name = "client of code base 2"
    nodes = (ALPHA,)
    eve: CodeTwoClient

    def rows(self) -> Rows:
        """It knows chat, and finds people."""
        return {
            Row("discovery", FROM_THEM): self._discovery,
            Row("people", FROM_THEM): lambda: search(self.eve, self.bob.user),
            Row("chat", FROM_US): lambda: people.chat(self.bob, self.eve.user, self.eve),
            Row("chat", FROM_THEM): lambda: people.chat(self.eve, self.bob.user, self.bob),
        }

    def start(self) -> None:
        """She comes."""
        self.eve = came(self.world.enter(CodeTwoClient("eve", "alpha", EVE), self.name))

    def kill(self) -> None:
        """She goes."""
        self.eve.close(hangup=False)

    def node_is_back(self) -> None:
        """She starts it again."""
        self.kill()
        self.start()

    def _discovery(self) -> str:
        if not self.eve.is_connected:
            return ASKS_ONCE
        with CodeTwoClient("new", "alpha", ANN) as client:
            try:
                found = client.discover_first()
            except LookupError:
                return "not found"
        return "found" if (found.server_id, found.address) == ("alpha", ALPHA) else f"found {found}"


class CodeTwoServers(Kind):
    """Beside our node. Typing, places and groups are not of its kind."""

    name = "server of code base 2"
    nodes = (ALPHA,)
    server: CodeTwoServer
    eve: CodeTwoClient
    ann: CodeTwoClient

    def rows(self) -> Rows:
        """Links, people, chat; it knows neither our groups nor typing, nor places."""
        return {
            Row("discovery", FROM_US): lambda: "found" if self.wait_known("two") else "not found",
            Row("links", FROM_US): lambda: "linked" if self._is_linked() else "not linked",
            Row("people", FROM_THEM): lambda: search(self.eve, self.bob.user),
            Row("chat", FROM_US): lambda: people.chat(self.bob, self.eve.user, self.eve),
            Row("chat", FROM_THEM): lambda: people.chat(self.eve, self.bob.user, self.bob),
            Row("chat", AMONG_THEM): lambda: people.chat(self.eve, self.ann.user, self.ann),
            Row("groups", FROM_US): lambda: self.join_elsewhere("two"),
        }

    def start(self) -> None:
        """The server, and its people."""
        self.server = self.world.enter(CodeTwoServer("two", PROGRAM), self.name)
        for user_id, address in (("eve", EVE), ("ann", ANN)):
            client = CodeTwoClient(user_id, "two", address, broadcast=PROGRAM)
            setattr(self, user_id, came(self.world.enter(client, f"{self.name}'s client")))

    def kill(self) -> None:
        """All of them end without a word."""
        for program in (self.eve, self.ann, self.server):
            program.close(hangup=False)

    def settle(self) -> None:
        """Chat is linked, or will not be."""
        people.wait(self._is_linked, FOUND)

    def _is_linked(self) -> bool:
        return "two" in self.node.linked("chat") and self.server.link_to("alpha") is not None
