"""A linking server of code base 1."""

from __future__ import annotations

import time

from tests.interop import people
from tests.interop.kinds.kind import AMONG_THEM, ASKS_ONCE, FOUND, FROM_THEM, FROM_US, Row, Rows
from tests.interop.kinds.servers import CodeOneServers
from tests.interop.programs.linking_server import LinkingServer
from tests.interop.world import FEATURES, PROGRAM

SERVICES = ("chat", "typing", "location")
MOST_REFUSED = 2
"""Dials that it may refuse until we are linked again."""
GROUP = {"groupId": "crew", "serverId": "alpha"}


class LinkingServers(CodeOneServers):
    """Beside our node. Only links that we dial carry anything, and we dial it once it has dialled us, ever."""

    name = "linking server of code base 1"
    server_id = "one"
    server: LinkingServer
    linked_after = -1.0
    """Seconds; -1.0 where they were not within `FOUND`."""

    def make_server(self) -> LinkingServer:
        return LinkingServer(self.server_id, PROGRAM, listen=1.0, enough=1)

    def rows(self) -> Rows:
        """Links, its own users, and everything between them and ours."""
        return {
            Row("discovery", FROM_US): lambda: "found" if self.wait_known(self.server_id) else "not found",
            Row("discovery", FROM_THEM): self._found_us,
            Row("links", FROM_US): self._links,
            Row("chat", FROM_US): self.chat_from_us,
            Row("chat", FROM_THEM): self.chat_from_them,
            Row("chat", AMONG_THEM): self.chat_among_them,
            Row("groups", FROM_US): lambda: self.join_elsewhere(self.server_id),
            Row("groups", FROM_THEM): self._group_from_them,
            Row("typing", FROM_US): lambda: people.typing(self.bob, self.eve, self.dead("TYPING_INDICATOR")),
            Row("typing", FROM_THEM): lambda: people.typing(self.eve, self.bob, self.dead("TYPING_INDICATOR")),
            Row("location", FROM_US): lambda: people.location(self.bob, self.eve, self.dead("LIVE_LOCATION")),
            Row("location", FROM_THEM): lambda: people.location(self.eve, self.bob, self.dead("LIVE_LOCATION")),
        }

    def settle(self) -> None:
        """Our processes are linked with it, or will not be."""
        began = time.monotonic()
        linked = people.wait(self.is_linked, FOUND, self.death)
        self.linked_after = time.monotonic() - began if linked else -1.0

    def is_linked(self) -> bool:
        """Whether it has a live link of ours for each feature, and our processes know."""
        links = [self.server.working_link("alpha", feature) for feature in FEATURES]
        return all(link is not None and self.server.lives(link) for link in links) and all(
            self.server_id in self.node.linked(service) for service in SERVICES
        )

    def refused_since(self, began: float) -> int:
        """How many dials it refused since then (time.monotonic())."""
        return sum(each.at >= began and each.name == "CONNECT_SERVER" for each in self.server.refused)

    def _found_us(self) -> str:
        """It asks once, when it starts."""
        found = any(each.server_id == "alpha" for each in self.server.found)
        return "found" if found else ASKS_ONCE

    def _links(self) -> str:
        refused = self.refused_since(self.changed)
        if self.linked_after < 0:
            return "not linked"
        return "linked" if refused <= MOST_REFUSED else "linked, after many refused dials"

    def _group_from_them(self) -> str:
        self.make_group("bob@alpha")
        return people.chat(self.eve, GROUP, None, self.death)
