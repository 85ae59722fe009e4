"""A client of code base 1, as fragile as protocol.md says: what it cannot read closes it."""

from __future__ import annotations

from tests.support import plain_wire as wire
from tests.support.plain_client import PlainClient
from tests.support.plain_link import Link
from tests.support.plain_wire import Fields


class CodeOneClient(PlainClient):
    """It discovers once and keeps the first server that offers a feature; `death` says what closed it."""

    death = ""

    def read_payload(self, name: str, payload: bytes) -> Fields:
        """A payload, without the line feeds at its end."""
        try:
            return super().read_payload(name, payload.rstrip(b"\n"))
        except wire.MalformedError as error:
            ends = "a payload that ends in 0x0A" if payload.endswith(b"\n") else "a payload that does not parse"
            raise wire.MalformedError(f"{name}, {ends}") from error

    def on_malformed(self, link: Link, error: wire.MalformedError) -> None:
        """The whole client closes."""
        del link
        self.death = f"DIED at {error}"
        for each in list(self.links):
            self.drop(each)

    def on_unsupported(self, link: Link, name: str) -> None:
        """A name that it does not know closes the link."""
        if name in self.names:
            super().on_unsupported(link, name)
            return
        self.death = f"DIED at {name}"
        self.drop(link)

    def readable(self, locations: list[Fields]) -> list[Fields]:
        """Those before the first that has no place."""
        without = next((n for n, each in enumerate(locations) if "location" not in each), len(locations))
        return locations[:without]
