"""A client of code base 1 on our node, with another node of ours beside."""

from __future__ import annotations

from tests.interop import people
from tests.interop.kinds.kind import (
    ASKS_ONCE,
    FROM_THEM,
    FROM_US,
    FROM_VISITOR,
    TO_VISITOR,
    Kind,
    Row,
    Rows,
    connected,
)
from tests.interop.programs.code_one_client import CodeOneClient
from tests.interop.world import ALPHA, ANN, BETA, EVE, NAMES, VISITOR
from tests.support.nodes import wait_linked
from tests.support.plain_client import PlainClient

GROUP = {"groupId": "crew", "serverId": "alpha"}
OFFER = {"MESSAGES": (6666, 0), "TYPING_INDICATOR": (7777, 7778), "LIVE_LOCATION": (8888, 8889)}


class CodeOneClients(Kind):
    """On our node, with another of ours beside. The visitor is at home here; the other answered her first."""

    name = "client of code base 1"
    nodes = (ALPHA, BETA)
    eve: CodeOneClient
    zoe: CodeOneClient

    def rows(self) -> Rows:
        """Chat, groups, and both soft states, at home and elsewhere."""
        return {
            Row("discovery", FROM_THEM): self._discovery,
            Row("chat", FROM_US): lambda: people.chat(self.bob, self.eve.user, self.eve, self.death),
            Row("chat", FROM_THEM): lambda: people.chat(self.eve, self.bob.user, self.bob, self.death),
            Row("groups", FROM_US): lambda: self._group(self.bob, self.eve),
            Row("groups", FROM_THEM): lambda: self._group(self.eve, self.bob),
            Row("typing", FROM_US): lambda: people.typing(self.bob, self.eve, self.death),
            Row("typing", FROM_THEM): lambda: people.typing(self.eve, self.bob, self.death),
            Row("typing", TO_VISITOR): lambda: people.typing(self.bob, self.zoe, self.death),
            Row("typing", FROM_VISITOR): lambda: people.typing(self.zoe, self.bob, self.death),
            Row("location", FROM_US): lambda: people.location(self.bob, self.eve, self.death),
            Row("location", FROM_THEM): lambda: people.location(self.eve, self.bob, self.death),
            Row("location", TO_VISITOR): lambda: people.location(self.bob, self.zoe, self.death),
            Row("location", FROM_VISITOR): lambda: people.location(self.zoe, self.bob, self.death),
        }

    def start(self) -> None:
        """Both come."""
        self.eve = self.world.enter(CodeOneClient("eve", "alpha", EVE, broadcast=ALPHA, enough=1), self.name)
        connected(self.eve)
        self.zoe = self.world.enter(CodeOneClient("zoe", "alpha", VISITOR, broadcast=BETA, enough=1), self.name)
        connected(self.zoe, ("TYPING_INDICATOR", "LIVE_LOCATION"))

    def kill(self) -> None:
        """Both go."""
        self.eve.close(hangup=False)
        self.zoe.close(hangup=False)

    def node_is_back(self) -> None:
        """They are started again: each discovers once only."""
        self.kill()
        self.start()

    def settle(self) -> None:
        """Our nodes are linked."""
        wait_linked([self.world.nodes[address] for address in self.nodes])

    def death(self, _feature: str = "MESSAGES") -> str:
        """What closed one of them."""
        return self.eve.death or self.zoe.death

    def _discovery(self) -> str:
        """If they found anybody: a client that starts now hears each of our nodes once, where its ports are."""
        if not self.eve.servers:
            return ASKS_ONCE
        with CodeOneClient("new", "alpha", ANN, listen=people.SOON) as client:
            found = [(each.server_id, each.address, each.features) for each in client.discover_once()]
        wanted = [(name, address, OFFER) for address, name in NAMES.items()]
        return "found" if sorted(found) == sorted(wanted) else f"found {[name for name, *_ in found]}"

    def _group(self, author: PlainClient, recipient: PlainClient) -> str:
        self.make_group("bob@alpha", "eve@alpha")
        return people.chat(author, GROUP, recipient, self.death)
