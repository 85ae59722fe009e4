"""Diagnosis: troubles that a discovery process finds around its node, in words for its operator. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from parley.services.discovery.announcing.silences import Silences
from parley.shared.addresses import SocketAddress
from parley.shared.telemetry.troubles import OF_A_CLONE, Troubles

SHOWN: Final = 5
"""Names in one line."""
CLONED: Final = 8.0
"""Seconds for which another instance with our key is heard, while we run, until it counts as a clone of ours."""
FORGOTTEN: Final = 60.0
"""Seconds unheard after which it is heard for the first time."""
MOST_CLONES: Final = 16


class Diagnosis:
    """Says what is wrong for as long as it is: called once an interval."""

    def __init__(self, troubles: Troubles) -> None:
        self._troubles = troubles
        self.silences = Silences()
        self._clones: dict[str, tuple[float, float]] = {}
        """Instance with our name and key → when it was heard first and last."""
        self._cloned_at: dict[str, float] = {}
        """Address of a clone → when it was last said to be one."""

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

    def namesake(self, server_id: str, host: str, now: float) -> None:
        """Two servers of one name never hear of each other, and their users' messages go to either.

        Of a clone that says less, and advises otherwise: nothing is said where one was found lately.
        """
        found = self._cloned_at.get(host)
        if found is not None and now - found < FORGOTTEN:
            return
        detail = (
            f"the server at {host} is called {server_id}, too: start one of the two with another PARLEY_SERVER_ID"
        )
        self._troubles.note("name_in_use_elsewhere", host, detail, server_id=server_id, host=host)

    def clone(self, server_id: str, instance: str, host: str, now: float) -> None:
        """Another instance proved to have our name and our key: a copy of this node, if it goes on being heard.

        After a restart or a move there is but one.
        """
        first, last = self._clones.pop(instance, (now, now))
        self._clones[instance] = (now if now - last > FORGOTTEN else first, now)
        if len(self._clones) > MOST_CLONES:
            del self._clones[next(iter(self._clones))]
        if now - self._clones[instance][0] < CLONED:
            return
        self._cloned_at.pop(host, None)
        self._cloned_at[host] = now
        if len(self._cloned_at) > MOST_CLONES:
            del self._cloned_at[next(iter(self._cloned_at))]
        self._troubles.over("name_in_use_elsewhere", host)
        detail = f"the server at {host} is called {server_id}, too: {OF_A_CLONE}"
        self._troubles.note("node_cloned", host, detail, server_id=server_id, host=host)

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
