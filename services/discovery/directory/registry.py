"""The registry of this node's own processes: who serves which feature, and where. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from parley.shared.wire.messages import pb


@dataclass(frozen=True, slots=True)
class Registrant:
    """A process of this node, as its CONNECT_SERVER and its link tell."""

    instance_id: str
    host: str
    """The process's address; empty where it is the discovery process's own."""
    endpoints: tuple[pb.Endpoint, ...]

    @property
    def features(self) -> frozenset[str]:
        """The features that it serves; none when it only watches."""
        return frozenset(e.feature for e in self.endpoints)

    @property
    def addresses(self) -> frozenset[tuple[str, int]]:
        """Host and port of each: no two living processes have one in common."""
        return frozenset((self.host, e.port) for e in self.endpoints)


class Registry:
    """Registered processes by the key (a link) under which each is known."""

    def __init__(self) -> None:
        self._by_key: dict[object, Registrant] = {}

    @property
    def hosts(self) -> frozenset[str]:
        """Where this node's processes are, those at the discovery process's own address excepted."""
        return frozenset(registrant.host for registrant in self._by_key.values())

    def blockers(self, newcomer: Registrant) -> list[object]:
        """The keys of those that serve a feature that it wants."""
        return [key for key, r in self._by_key.items() if r.features & newcomer.features]

    def admits(self, newcomer: Registrant) -> bool:
        """Whether it may register: its features are free, or held by one that must be dead.

        The same instance on a new link has lost the old one; another at the very same host and port has
        taken a dead one's place.
        """
        return all(self._is_dead(self._by_key[key], newcomer) for key in self.blockers(newcomer))

    @staticmethod
    def _is_dead(standing: Registrant, newcomer: Registrant) -> bool:
        same = standing.instance_id == newcomer.instance_id
        return same or bool(standing.addresses & newcomer.addresses)

    def add(self, key: object, newcomer: Registrant) -> list[object]:
        """Register; the keys of the dead ones that it replaced."""
        replaced = self.blockers(newcomer)
        for old in replaced:
            del self._by_key[old]
        self._by_key[key] = newcomer
        return replaced

    def remove(self, key: object) -> bool:
        """Forget a process whose link is gone; whether it was registered."""
        return self._by_key.pop(key, None) is not None

    @property
    def features(self) -> frozenset[str]:
        """All that is served."""
        return frozenset().union(*(r.features for r in self._by_key.values()))

    @property
    def keys(self) -> list[object]:
        """All that are registered, watchers too."""
        return list(self._by_key)

    def local(self) -> list[pb.Endpoint]:
        """The endpoints at the discovery process's own address."""
        return [e for r in self._by_key.values() if not r.host for e in r.endpoints]

    def remote(self) -> list[object]:
        """The keys of processes at other addresses: each announces itself."""
        return [key for key, r in self._by_key.items() if r.host and r.endpoints]

    def all(self) -> list[pb.Endpoint]:
        """All that this node serves, with the host where it is not discovery's own."""
        return [
            pb.Endpoint(feature=e.feature, host=r.host, port=e.port, udpPort=e.udpPort)
            for r in self._by_key.values()
            for e in r.endpoints
        ]


@dataclass(frozen=True, slots=True)
class Reply:
    """How a discovery request is answered."""

    announce: Sequence[pb.Endpoint]
    """The endpoints that discovery itself announces, from its own address."""
    pass_on: Sequence[object]
    """The registrants that announce themselves, from theirs."""


def reply_to(registry: Registry, asker: str, gateways: frozenset[str]) -> Reply:
    """Decide which processes answer an asker.

    An announcement must come from where its ports are reached. An asker behind the container network's
    gateway reaches the host's published ports, whoever of us has them: discovery answers for all.
    """
    if asker in gateways:
        return Reply(registry.all(), ())
    return Reply(registry.local(), registry.remote())
