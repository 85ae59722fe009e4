"""The dialects of the servers that a process deals with, from their announcements and from who dialled us. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from parley.shared.addresses import Server
from parley.shared.dialects import recognition
from parley.shared.dialects.dialect import PARLEY, Recognized
from parley.shared.dialects.recognition import Operator, Signs
from parley.shared.spellings import ByName

MOST: Final = 1000
"""Servers that dialled us and are remembered; of more the oldest are forgotten."""


class ServerDialects:
    """Each server's signs so far."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self._announced: ByName[Server] = ByName()
        self._diallers: ByName[bool] = ByName()
        """The servers that sent CONNECT_SERVER → whether it had fields of ours."""
        self._linked_before: ByName[None] = ByName()

    def linked_before(self, server_ids: Iterable[str]) -> None:
        """These servers, no Parleys, took our CONNECT_SERVER before this process began."""
        self._linked_before = ByName()
        self._linked_before.update(dict.fromkeys(server_ids))

    def announced(self, server: Server) -> None:
        """A server is in the directory, or has changed."""
        self._announced[server.server_id] = server

    def forget(self, server_id: str) -> None:
        """A server is in the directory no longer: who dialled us is remembered."""
        self._announced.pop(server_id, None)

    def of_dialler(self, server_id: str, *, has_our_fields: bool) -> Recognized:
        """The dialect of a server that asks to be connected."""
        self._diallers.pop(server_id, None)
        self._diallers[server_id] = has_our_fields
        if len(self._diallers) > MOST:
            del self._diallers[next(iter(self._diallers))]
        return self.of(server_id, fields=has_our_fields)

    def forget_proven(self, server_id: str) -> None:
        """The key of that name is another: a dialler with fields of ours may have been somebody else."""
        if self._diallers.get(server_id):
            del self._diallers[server_id]

    def of(self, server_id: str, *, fields: bool | None = None) -> Recognized:
        """The dialect of a server; `fields`: whether its CONNECTED has fields of ours."""
        return recognition.of_server(self._operator, server_id, self._signs(server_id, fields))

    def may_be_dialled(self, server_id: str) -> bool:
        """Whether our CONNECT_SERVER does it no harm."""
        return recognition.may_be_dialled(self._operator, server_id, self._signs(server_id, None))

    def is_parley(self, server_id: str) -> bool:
        """Whether names and fields of ours may go to a server."""
        return self.of(server_id).dialect is PARLEY

    def _signs(self, server_id: str, fields: bool | None) -> Signs:
        server = self._announced.get(server_id)
        return Signs(
            is_marked=server is not None and server.mark is not None,
            is_named=server is not None and not server.heard,
            fields=fields,
            has_dialled=server_id in self._diallers,
            linked_before=server_id in self._linked_before,
            dialled_as_parley=self._diallers.get(server_id, False),
            ports=recognition.ports_of(server) if server is not None else frozenset(),
        )
