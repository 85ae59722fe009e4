"""An old server of code base 1: it can be linked with nobody, and must live as if we were not there."""

from __future__ import annotations

from collections.abc import Callable

from tests.interop import people
from tests.interop.kinds.kind import (
    AMONG_THEM,
    FROM_THEM,
    FROM_US,
    FROM_VISITOR,
    TO_VISITOR,
    Row,
    Rows,
    connected,
)
from tests.interop.kinds.servers import CodeOneServers
from tests.interop.programs.code_one_client import CodeOneClient
from tests.interop.programs.old_server import OldServer
from tests.interop.world import ALPHA, PROGRAM, VISITOR
from tests.support.plain_client import PlainClient

NEVER = 1.0
"""Seconds in which what will not arrive would have."""
WITHIN = 2.0
"""Seconds in which a node of before this was thought of had ended its loops."""
GROUP = {"groupId": "crew", "serverId": "alpha"}


class OldServers(CodeOneServers):
    """Beside our node, which never dials it. The visitor is a user of it whom our node answered first."""

    name = "old server of code base 1"
    patience = NEVER

    def make_server(self) -> OldServer:
        return OldServer(self.server_id, PROGRAM)

    def rows(self) -> Rows:
        """Its own users, everything between them and ours, and a visitor."""
        return {
            Row("discovery", FROM_US): lambda: "found" if self.wait_known(self.server_id) else "not found",
            Row("chat", AMONG_THEM): self.chat_among_them,
            Row("chat", FROM_US): self.chat_from_us,
            Row("chat", FROM_THEM): self.chat_from_them,
            Row("groups", FROM_US): lambda: self.join_elsewhere(self.server_id),
            Row("groups", FROM_THEM): lambda: people.chat(self.eve, GROUP, None, self.death),
            Row("typing", AMONG_THEM): lambda: people.typing(self.eve, self.ann, self.dead("TYPING_INDICATOR")),
            Row("typing", FROM_US): lambda: people.typing(self.bob, self.eve, self.dead("TYPING_INDICATOR"), NEVER),
            Row("typing", FROM_THEM): lambda: people.typing(
                self.eve, self.bob, self.dead("TYPING_INDICATOR"), NEVER
            ),
            Row("typing", TO_VISITOR): lambda: self._visit(lambda zoe: people.typing(self.bob, zoe)),
            Row("typing", FROM_VISITOR): lambda: self._visit(lambda zoe: people.typing(zoe, self.bob)),
            Row("location", AMONG_THEM): lambda: people.location(self.eve, self.ann, self.dead("LIVE_LOCATION")),
            Row("location", FROM_US): lambda: people.location(
                self.bob, self.eve, self.dead("LIVE_LOCATION"), NEVER
            ),
            Row("location", FROM_THEM): lambda: people.location(
                self.eve, self.bob, self.dead("LIVE_LOCATION"), NEVER
            ),
            Row("location", TO_VISITOR): lambda: self._visit(lambda zoe: people.location(self.bob, zoe)),
            Row("location", FROM_VISITOR): lambda: self._visit(lambda zoe: people.location(zoe, self.bob)),
        }

    def settle(self) -> None:
        """Our node has known it for a while."""
        self.wait_known(self.server_id)
        people.wait(lambda: len(self.server.deaths) == len(self.server.listeners), WITHIN)

    def _visit(self, attempt: Callable[[PlainClient], str]) -> str:
        zoe = self.world.enter(CodeOneClient("zoe", self.server_id, VISITOR, broadcast=ALPHA, enough=1), self.name)
        try:
            return attempt(zoe) if connected(zoe, ("TYPING_INDICATOR", "LIVE_LOCATION")) else "not connected"
        finally:
            zoe.close()
