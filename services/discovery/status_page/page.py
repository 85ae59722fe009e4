"""The status page: HTML that needs no JavaScript to be read. Pure.

Whatever came from the network is escaped here; the style sheet and the script are files of ours beside this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from html import escape
from importlib import resources
from string import Template
from typing import Final

from parley.services.discovery.status_page.picture import CLASSES, NARROW, picture
from parley.services.discovery.status_page.view import NAMES, Edge, Node, OwnLink, View

ROWS: Final = 500
"""Rows of a table, at most."""
FILES: Final = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""The files that the page loads, all of them from where it came."""


@cache
def file(name: str) -> bytes:
    """A file that comes with the page."""
    return resources.files("parley.services.discovery.status_page").joinpath("static", name).read_bytes()


def page(view: View, version: str) -> bytes:
    """The whole page, as it is now."""
    template = Template(file("page.html").decode())
    return template.substitute(server_id=escape(view.server_id), version=escape(version), live=live(view)).encode()


def live(view: View) -> str:
    """The part that changes: it is in the page, and sent again as an event whenever it is another."""
    pictures = picture(view), picture(view, NARROW)
    return "\n".join(
        [
            _summary(view),
            *pictures,
            _servers(view),
            _own_links(view),
            _edges(view.edges),
            _keys(view),
            _dialects(view),
        ]
    )


def _summary(view: View) -> str:
    others, states = len(view.nodes) - 1, [edge.state for edge in view.edges]
    counts = ", ".join(f"{states.count(state)} {state}" for state in CLASSES if state in states)
    servers = f"{others} other {'server' if others == 1 else 'servers'}"
    parts = [servers, f"pairs: {counts}" if counts else "no links"]
    missing = ", ".join(NAMES[feature] for feature in view.missing)
    warning = f'<p class="warning">This node has no process for {escape(missing)}.</p>' if missing else ""
    return f'<p id="summary">{escape("; ".join(parts))}</p>{warning}'


def _servers(view: View) -> str:
    rows = [_server(node) for node in view.nodes[:ROWS]]
    return _table("servers", "Servers", ("Server", "Features", "Address", "Last heard"), rows, len(view.nodes))


def _server(node: Node) -> list[str]:
    heard = "this node" if node.is_own else "never" if node.heard is None else f"{ago(node.heard)} ago"
    heard += " (silent)" if node.is_silent else ""
    return [node.server_id, ", ".join(map(_name, node.features)), ", ".join(node.addresses), heard]


def _own_links(view: View) -> str:
    rows = [_own_link(link) for link in view.links[:ROWS]]
    heads = ("Server", "Feature", "State", "Security", "For", "Round trip", "Last error")
    return _table("links", f"Links of {view.server_id}", heads, rows, len(view.links))


def _own_link(link: OwnLink) -> list[str]:
    age = ago(link.age) if link.age is not None else ""
    error = f"{ago(link.error_age)} ago: {link.error}" if link.error else ""
    return [link.peer, _name(link.feature), link.state, link.assurance, age, milliseconds(link.rtt), error]


def _edges(edges: Sequence[Edge]) -> str:
    rows = [[e.one, e.other, e.state, ", ".join(map(_name, e.missing))] for e in edges[:ROWS]]
    heads = ("Server", "And", "State", "Not linked for")
    return _table("pairs", "Who is linked with whom", heads, rows, len(edges))


def _keys(view: View) -> str:
    """Compare the words with what `parley trust show` prints at each server."""
    rows = [[e.server_id, e.mnemonic, e.fingerprint, e.known, "; ".join(e.refused)] for e in view.keys[:ROWS]]
    if not rows:
        return ""
    return _table("keys", "Keys", ("Server", "Words", "Key", "Known", "Refused"), rows, len(view.keys))


def _dialects(view: View) -> str:
    rows = [[e.server_id, e.dialect, e.why, ", ".join(map(_name, e.features))] for e in view.dialects[:ROWS]]
    heads = ("Server", "Dialect", "Because", "Says")
    return _table("dialects", "How they speak", heads, rows, len(view.dialects))


def _table(name: str, title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], count: int) -> str:
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "".join(
        f"<tr>{''.join(_cell(name, text) for name, text in zip(heads, row, strict=True))}</tr>" for row in rows
    )
    more = f"<p>… and {count - len(rows)} more.</p>" if count > len(rows) else ""
    return (
        f'<section><h2>{escape(title)}</h2><div class="wide"><table id="{name}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>{more}</section>"
    )


def _cell(head: str, text: str) -> str:
    """On a narrow screen each cell is a line of its own, and names its column."""
    state = CLASSES.get(text) or {"dialling": "down"}.get(text)
    kind = f' class="{state}"' if state else ""
    return f'<td data-head="{escape(head)}"{kind}>{escape(text)}</td>'


def _name(feature: str) -> str:
    return NAMES.get(feature, feature)


def ago(seconds: float) -> str:
    """A duration, roughly."""
    whole = int(seconds)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if whole >= 2 * size:
            return f"{whole // size} {unit}"
    return f"{whole} s"


def milliseconds(seconds: float | None) -> str:
    """A round trip."""
    return "" if seconds is None else f"{seconds * 1000:.1f} ms"
