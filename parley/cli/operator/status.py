"""`parley status`: what a node says of itself and of whom it is linked with."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from parley.cli.operator.node_pages import Node, Status
from parley.cli.options import ConfigFile, Json
from parley.cli.tables import out, show, table
from parley.cli.terminal import line, run
from parley.shared.config import Config
from parley.shared.printable import harmless
from parley.shared.service.page_token import token_in
from parley.shared.wire.messages import LIVE_LOCATION, MESSAGES, TYPING_INDICATOR

Where = Annotated[
    str, typer.Argument(metavar="[HOST[:PORT]]", help="The node's discovery process; without it, the one here.")
]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Go on, and show each change. Ctrl-C ends it.")]
TokenFile = Annotated[
    str,
    typer.Option(
        "--token-file",
        metavar="FILE",
        help="The token of that node's pages: a copy of its DATA_DIR/NAME/http.token. The node here needs none.",
    ),
]

NAMES = {MESSAGES: "chat", TYPING_INDICATOR: "typing", LIVE_LOCATION: "location"}
COLOURS = {"linked": "green", "partly linked": "yellow", "not linked": "red", "dialling": "red"}
HINT = "other_data"
"""The kind of trouble that is worth a line, and does not make the exit code 1."""
ALONE = Text("No other server has been heard of.")


def command(
    where: Where = "",
    watch: Watch = False,
    as_json: Json = False,
    token_file: TokenFile = "",
    config: ConfigFile = None,
) -> None:
    """Show who is linked with whom, what waits, and what is missing. Exit code 1 where something is.

    Examples:
        parley status

        parley status 192.168.1.20 --watch

        parley status --json | jq .pairs

    """
    sys.exit(run(lambda c: _status(c, where, token_file, watch=watch, as_json=as_json), config))


async def _status(config: Config, where: str, token_file: str, *, watch: bool, as_json: bool) -> int:
    node = Node(config, where, token_in(token_file, "--token-file").decode() if token_file else "", _understood)
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


def _understood(status: Status) -> None:
    """Read a status as it is shown later."""
    _shown(status)
    is_well(status)


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
    others = [_links(links), Text(), _pairs(status["pairs"]), Text(), *_keys(status), _dialects(links)]
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
    made = table("SERVER", "FEATURE", "STATE", "SECURITY", "FOR", "ROUND TRIP", "LAST ERROR")
    rows = [(link["server_id"], feature, link) for feature in NAMES for link in links.get(feature, ())]
    for server_id, feature, link in sorted(rows, key=lambda row: row[0]):
        age, rtt = link["age_seconds"], link["rtt_seconds"]
        made.add_row(
            Text(harmless(server_id)),
            NAMES[feature],
            _state(link["state"]),
            Text(harmless(link.get("assurance") or "")),
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


def _keys(status: Status) -> list[Table | Text]:
    """The key of each server in words, to be compared with what `parley trust show` prints there."""
    keys = status.get("keys", ())
    if not keys:
        return []
    made = table("SERVER", "WORDS", "KEY", "KNOWN", "REFUSED")
    for each in keys:
        cells = (
            each["server_id"],
            each["mnemonic"],
            each["fingerprint"],
            each["known"],
            "; ".join(each["refused"]),
        )
        made.add_row(*(Text(harmless(cell)) for cell in cells))
    return [made, Text()]


def _dialects(links: Mapping[str, Sequence[Status]]) -> Table:
    """How each server speaks; where processes disagree, a line for each opinion."""
    made = table("SERVER", "DIALECT", "BECAUSE")
    every = [link for feature in NAMES for link in links.get(feature, ()) if link.get("dialect")]
    for opinion in sorted({(link["server_id"], link["dialect"], link["why"]) for link in every}):
        made.add_row(*(Text(harmless(each)) for each in opinion))
    return made


def _state(state: str) -> Text:
    return Text(state, COLOURS.get(state, ""))
