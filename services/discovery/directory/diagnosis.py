"""Diagnosis: troubles that a discovery process finds around its node, in words for its operator. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from parley.services.discovery.announcing.silences import Silences
from parley.shared.addresses import SocketAddress
from parley.shared.telemetry.troubles import Troubles

SHOWN: Final = 5
"""Names in one line."""


class Diagnosis:
    """Says what is wrong for as long as it is: called once an interval."""

    def __init__(self, troubles: Troubles) -> None:
        self._troubles = troubles
        self.silences = Silences()

    def unanswered(self, is_reached: Callable[[SocketAddress], bool], now: float) -> None:
        """Servers that ask us again and again and do not hear our answers."""
        for host in self.silences.unanswered(is_reached, now):
            detail = (
                f"a server at {host} asks us and does not hear our answers: as a rule a firewall there drops what "
                "comes to 9999/udp (docs/firewall.md)"
            )
            self._troubles.note("unanswered", host, detail, host=host)

    def static_peers(self, hosts: Iterable[str], errors: Mapping[str, str], interval: float, now: float) -> None:
        """Static peers that stand for no address, or from which nothing comes."""
        for name, error in errors.items():
            detail = f"the static peer {name} stands for no address now ({error}): is it spelt right?"
            self._troubles.note("peer_unresolved", name, detail, host=name)
        for host in self.silences.silent(hosts, interval, now):
            detail = (
                f"the static peer {host} does not answer: is a node running there, and does a firewall there or "
                "here let 9999/udp pass?"
            )
            self._troubles.note("peer_silent", host, detail, host=host)

    def namesake(self, server_id: str, host: str) -> None:
        """Two servers of one name never hear of each other, and their users' messages go to either."""
        detail = (
            f"the server at {host} is called {server_id}, too: start one of the two with another PARLEY_SERVER_ID"
        )
        self._troubles.note("name_in_use_elsewhere", host, detail, server_id=server_id, host=host)

    def data_of_others(self, directory: str, names: Iterable[str], server_id: str) -> None:
        """A node that is named after its host has data of another name: the host may have been renamed."""
        found = list(names)
        if not found:
            return
        shown = ", ".join(found[:SHOWN]) + (" …" if len(found) > SHOWN else "")
        detail = (
            f"{directory} has data of {shown}, and this node is called {server_id}, after its host: if that was "
            f"renamed, set PARLEY_SERVER_ID={found[0]}, or what waits there is not delivered"
        )
        self._troubles.note("other_data", directory, detail, names=found[:SHOWN])
