"""`parley status`: what a node says of itself and of whom it is linked with."""

from __future__ import annotations

import asyncio
import http.client
import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from parley.cli.operator.bounded_answers import read_answer
from parley.cli.options import ConfigFile, Json
from parley.cli.tables import out, show, table
from parley.cli.terminal import line, run
from parley.shared.config import Config, split_host_port
from parley.shared.errors import PeerUnreachable
from parley.shared.printable import harmless
from parley.shared.wire.messages import LIVE_LOCATION, MESSAGES, TYPING_INDICATOR

Where = Annotated[
    str, typer.Argument(metavar="[HOST[:PORT]]", help="The node's discovery process; without it, the one here.")
]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Go on, and show each change. Ctrl-C ends it.")]

TIMEOUT = 3.0
"""Seconds for one answer."""
ANSWER = 10.0
"""Seconds until it has to be there whole."""
PIECE = 1 << 16
SETTLED = 0.2
"""Seconds for which further changes are waited for."""
NAMES = {MESSAGES: "chat", TYPING_INDICATOR: "typing", LIVE_LOCATION: "location"}
COLOURS = {"linked": "green", "partly linked": "yellow", "not linked": "red", "dialling": "red"}
HINT = "other_data"
"""The kind of trouble that is worth a line, and does not make the exit code 1."""
ALONE = Text("No other server has been heard of.")

Status = dict[str, Any]


def command(where: Where = "", watch: Watch = False, as_json: Json = False, config: ConfigFile = None) -> None:
    """Show who is linked with whom, what waits, and what is missing. Exit code 1 where something is.

    Examples:
        parley status

        parley status 192.168.1.20 --watch

        parley status --json | jq .pairs

    """
    sys.exit(run(lambda c: _status(c, where, watch=watch, as_json=as_json), config))


async def _status(config: Config, where: str, *, watch: bool, as_json: bool) -> int:
    node = Node(config, where)
    if not watch:
        status = await node.status()
        if as_json:
            line(json.dumps(status))
        else:
            show(_shown(status))
        return 0 if is_well(status) else 1
    if as_json or not sys.stdout.isatty():
        async for status in node.changes():
            if as_json:
                line(json.dumps(status))
            else:
                show(_shown(status))
        return 0
    with Live(console=out, auto_refresh=False, screen=False) as live:
        async for status in node.changes():
            live.update(_shown(status), refresh=True)
    return 0


class Node:
    """A node, as its HTTP ports tell of it."""

    def __init__(self, config: Config, where: str) -> None:
        default = config.address or "127.0.0.1"
        self._host, self._port = split_host_port(where or default, config.discovery.http_port)
        self._ports = {
            MESSAGES: config.chat.http_port,
            TYPING_INDICATOR: config.typing.http_port,
            LIVE_LOCATION: config.location.http_port,
        }

    async def status(self) -> Status:
        """The discovery process's status, and each other process's under `processes`: None, if it does not answer.

        Raises:
            PeerUnreachable: the discovery process does not answer.

        """
        try:
            status = await self._status()
            _shown(status)
            is_well(status)
        except (AttributeError, KeyError, TypeError, ValueError):  # it says something else than ours do
            raise _no_node(self._host, self._port) from None
        return status

    async def _status(self) -> Status:
        status = await asyncio.to_thread(_get, self._host, self._port)
        hosts = {offer["feature"]: offer["host"] or self._host for offer in status.get("offers", ())}
        asked = [self._process(hosts.get(feature, self._host), port) for feature, port in self._ports.items()]
        status["processes"] = dict(zip(self._ports, await asyncio.gather(*asked), strict=True))
        return status

    @staticmethod
    async def _process(host: str, port: int) -> Status | None:
        try:
            return await asyncio.to_thread(_get, host, port)
        except PeerUnreachable:
            return None

    async def changes(self) -> AsyncIterator[Status]:
        """The status now, and again whenever the node says that it is another."""
        reader, writer = await self._connect()
        try:
            writer.write(b"GET /events HTTP/1.1\r\nHost: %b\r\n\r\n" % self._host.encode())
            if b" 200 " not in await reader.readline():
                raise PeerUnreachable(f"too many watch the node at {self._host}:{self._port}")
            before = b""
            while piece := await reader.read(PIECE):  # what is new is asked for: of it only that there is something
                if b"\ndata:" in before + piece:
                    yield await self.status()
                    await asyncio.sleep(SETTLED)
                before = piece[-len(b"\ndata") :]
        except (OSError, ValueError) as error:
            raise _nobody(self._host, self._port, error) from None
        finally:
            writer.close()
        raise PeerUnreachable(f"the discovery process at {self._host}:{self._port} ended")

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            return await asyncio.open_connection(self._host, self._port, limit=PIECE)
        except OSError as error:
            raise _nobody(self._host, self._port, error) from None


def _get(host: str, port: int) -> Status:
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    try:
        connection.request("GET", "/status", headers={"Connection": "close"})
        status = json.loads(read_answer(connection.getresponse(), ANSWER))
    except (OSError, ValueError, RecursionError, http.client.HTTPException) as error:
        raise _nobody(host, port, error) from None
    finally:
        connection.close()
    if not isinstance(status, dict):
        raise _no_node(host, port)
    return status


def _no_node(host: str, port: int) -> PeerUnreachable:
    return PeerUnreachable(f"what answers at {host}:{port} is no node of Parley")


def _nobody(host: str, port: int, error: Exception) -> PeerUnreachable:
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
    return PeerUnreachable(f"no node answers at {host}:{port} ({why.lower()}): is it running, is that its host?")


def is_well(status: Status) -> bool:
    """Whether all processes are ready, all links that may be are there, and nothing else is wrong."""
    processes = status["processes"].values()
    ready = all(process is not None and process["ready"] for process in processes)
    return (
        ready
        and not any(trouble["kind"] != HINT for trouble in _troubles(status))
        and all(pair["state"] == "linked" for pair in status["pairs"])
    )


# Shown ---------------------------------------------------------------------------------------------


def _shown(status: Status) -> Group:
    links = status["links"]
    others = [_links(links), Text(), _pairs(status["pairs"]), Text(), _dialects(links)]
    return Group(
        Text.assemble((harmless(status["server_id"]), "bold"), f"  Parley {harmless(status['version'])}"),
        Text(),
        _processes(status["processes"]),
        *_wrong(status),
        Text(),
        *(others if _knows_others(status) else [ALONE]),
    )


def _troubles(status: Status) -> list[Status]:
    """The troubles that any of the processes has, each once: several may see the same."""
    processes = [status, *(process for process in status["processes"].values() if process is not None)]
    every = [trouble for process in processes for trouble in process.get("troubles", ())]
    return list({(each["kind"], each["subject"]): each for each in every}.values())


def _wrong(status: Status) -> list[Text]:
    """A line for each thing that is wrong."""
    lines = [Text(f"! {harmless(each['detail'])}", "yellow") for each in _troubles(status)]
    return [Text(), *lines] if lines else []


def _knows_others(status: Status) -> bool:
    return bool(status["pairs"]) or any(status["links"].values())


def _processes(processes: Mapping[str, Status | None]) -> Table:
    made = table("PROCESS", "STATE", "CLIENTS", "")
    for feature, process in processes.items():
        if process is None:
            made.add_row(NAMES[feature], Text("does not answer", "red"), "", "")
            continue
        reasons = "; ".join(process["reasons_not_ready"])
        state = Text("ready", "green") if process["ready"] else Text(reasons, "red")
        made.add_row(NAMES[feature], state, str(process["subscribers"]), _besides(process))
    return made


def _besides(process: Status) -> str:
    if count := process.get("waiting_messages"):
        wait = "message waits" if count == 1 else "messages wait"
        return f"{count} {wait}, the oldest for {process['oldest_waiting_seconds']:.0f} s"
    for key, what in (("typing", "type"), ("streams", "locations are shared")):
        if process.get(key):
            return f"{process[key]} {what}"
    return ""


def _links(links: Mapping[str, Sequence[Status]]) -> Table:
    made = table("SERVER", "FEATURE", "STATE", "FOR", "ROUND TRIP", "LAST ERROR")
    rows = [(link["server_id"], feature, link) for feature in NAMES for link in links.get(feature, ())]
    for server_id, feature, link in sorted(rows, key=lambda row: row[0]):
        age, rtt = link["age_seconds"], link["rtt_seconds"]
        made.add_row(
            Text(harmless(server_id)),
            NAMES[feature],
            _state(link["state"]),
            "" if age is None else f"{age:.0f} s",
            "" if rtt is None else f"{rtt * 1000:.1f} ms",
            _error(link),
        )
    return made


def _error(link: Status) -> Text:
    """The last error of a link, and when it was: of a link that stands it is over, and no news."""
    text, ago = harmless(link["last_error"]), link.get("last_error_seconds_ago")
    dated = f"{ago:.0f} s ago: {text}" if text and ago is not None else text
    return Text(dated, "dim" if link["state"] == "linked" else "")


def _pairs(pairs: Sequence[Status]) -> Table:
    made = table("SERVER", "AND", "STATE", "NOT LINKED FOR")
    for pair in pairs:
        missing = ", ".join(NAMES.get(feature, feature) for feature in pair["missing"])
        one, other = Text(harmless(pair["one"])), Text(harmless(pair["other"]))
        made.add_row(one, other, _state(pair["state"]), Text(harmless(missing)))
    return made


def _dialects(links: Mapping[str, Sequence[Status]]) -> Table:
    """How each server speaks; where processes disagree, a line for each opinion."""
    made = table("SERVER", "DIALECT", "BECAUSE")
    every = [link for feature in NAMES for link in links.get(feature, ()) if link.get("dialect")]
    for opinion in sorted({(link["server_id"], link["dialect"], link["why"]) for link in every}):
        made.add_row(*(Text(harmless(each)) for each in opinion))
    return made


def _state(state: str) -> Text:
    return Text(state, COLOURS.get(state, ""))
