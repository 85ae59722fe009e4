"""`parley servers`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from parley.cli.tables import show, table
from parley.cli.terminal import WHERE, as_json, fail, finder, line, names_of, note, unanswered
from parley.shared.addresses import Endpoint, Server
from parley.shared.config import Config
from parley.shared.names import spell
from parley.shared.printable import one_line
from parley.shared.wire.messages import LIVE_LOCATION, MESSAGES, TYPING_INDICATOR


async def servers(config: Config, unicast: Sequence[str], timeout: float, *, in_json: bool) -> int:
    """Discover, and print a table; 1 when nobody answered."""
    discovery = await finder(config, unicast)
    found = sorted(await discovery.discover_servers(timeout), key=lambda server: server.server_id)
    if in_json:
        for server in found:
            line(as_json(_fields_of(server)))
    elif found:
        show(_table(found))
    silent = await unanswered(config, unicast, found)
    if not found:
        fail(f"no server answered within {timeout:g} s{silent}. {WHERE}")
    if silent:
        note(one_line(f"parley: {names_of(found)} answered{silent}"))
    return 0


def _in_order(server: Server) -> list[tuple[str, tuple[Endpoint, ...]]]:
    """A server's features, ours first and always in the same order."""
    known = (MESSAGES, TYPING_INDICATOR, LIVE_LOCATION)
    return sorted(
        server.features.items(),
        key=lambda pair: (known.index(pair[0]) if pair[0] in known else len(known), pair[0]),
    )


def _fields_of(server: Server) -> dict[str, object]:
    return {
        "server_id": server.server_id,
        "features": {
            feature: [{"host": e.host, "port": e.port, "udp_port": e.udp_port} for e in endpoints]
            for feature, endpoints in _in_order(server)
        },
    }


def _table(found: Sequence[Server]) -> Table:
    made = table("SERVER", "FEATURE", "TCP", "UDP")
    for server in found:
        name = spell(server.server_id)
        for feature, endpoints in _in_order(server):
            for e in endpoints:
                made.add_row(Text(name), Text(spell(feature)), str(e), str(e.udp_port or ""))
                name = ""
    return made
