"""A conversation as one page for a browser: no script, nothing from elsewhere, and others' words as text alone.

Names and texts come from strangers. Each is made harmless as for a terminal, so that it reaches into no other line,
and then escaped; and the page forbids its reader's browser all but its own style, should that ever be wrong.
"""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import Final
from urllib.parse import quote

from parley.cli.people.history import author_of, document_of, unfinished
from parley.client.outbox.history import HistoryLine
from parley.shared.addresses import Recipient, User
from parley.shared.printable import lines, one_line

LINKED: Final = (
    *(".avif", ".bmp", ".csv", ".flac", ".gif", ".gz", ".jpeg", ".jpg", ".m4a", ".md", ".mp3", ".mp4", ".ogg"),
    *(".opus", ".pdf", ".png", ".tar", ".txt", ".wav", ".webm", ".webp", ".zip"),
)
"""How names of documents end that are linked: a browser runs none of these. Others are named, to be looked for."""
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE: Final = """
:root { color-scheme: light dark; --back: #fff; --ink: #1b1b1f; --soft: #5f6068; --own: #e3eefc; --other: #f0f0f3; }
@media (prefers-color-scheme: dark) {
  :root { --back: #16171a; --ink: #e7e7ea; --soft: #a2a3ab; --own: #1f3450; --other: #26272c; }
}
body { margin: 0 auto; max-width: 46rem; padding: 1rem; background: var(--back); color: var(--ink);
  font: 16px/1.45 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.3rem; }
h2 { font-size: .9rem; color: var(--soft); text-align: center; margin: 1.5rem 0 .5rem; }
article { margin: .4rem 4rem .4rem 0; padding: .4rem .7rem; border-radius: .6rem; background: var(--other);
  overflow: hidden; }
article.own { margin: .4rem 0 .4rem 4rem; background: var(--own); }
p { margin: 0; }
.who, .gone, footer { color: var(--soft); font-size: .85rem; }
.who bdi { font-weight: 600; color: var(--ink); }
.text { white-space: pre-wrap; }
a { color: inherit; }
""".strip()


class ExportPage:
    """One page: its beginning, a line for each message, its end."""

    def __init__(self, me: User, other: Recipient) -> None:
        self._me = me
        self._other = other
        self._day = ""

    def begin(self) -> str:
        """All before the first message."""
        me, other = _name(self._me), _name(self._other)
        return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{other} · {me}</title>
<style>
{_STYLE}
</style>
</head>
<body>
<h1><bdi>{other}</bdi>, as kept for <bdi>{me}</bdi></h1>"""

    def line(self, each: HistoryLine, saved: str = "") -> str:
        """One message, below its day where that begins; `saved`: where its document is."""
        at = datetime.fromtimestamp(each.at, UTC).astimezone()
        day = at.strftime("%Y-%m-%d")
        heading = f"<h2>{day}</h2>\n" if day != self._day else ""
        self._day = day
        marks = "".join(f" · {mark}" for mark in _marks(each))
        who, when = _name(author_of(each, self._me)), at.isoformat(timespec="seconds")
        kind = "" if each.received else ' class="own"'
        return (
            f'{heading}<article{kind}>\n<p class="who"><bdi>{who}</bdi> '
            f'<time datetime="{when}">{at:%H:%M}</time>{marks}</p>\n{_body(each, saved)}\n</article>'
        )

    def end(self) -> str:
        """All behind the last message."""
        return "<footer>Times are those of the machine on which this page was made.</footer>\n</body>\n</html>"


def _marks(each: HistoryLine) -> list[str]:
    edited = ["edited"] if each.edit is not None and not each.is_deleted else []
    return [*edited, *([escape(unfinished(each))] if unfinished(each) else [])]


def _body(each: HistoryLine, saved: str) -> str:
    if each.is_deleted:
        return '<p class="gone">deleted by its author</p>'
    document, text = document_of(each), "<br>".join(map(escape, lines(each.text)))
    parts = [f'<p class="text" dir="auto">{text}</p>'] if text else []
    if document is not None:
        name, size = f"<bdi>{escape(one_line(document.filename))}</bdi>", len(document.data)
        parts.insert(0, f'<p class="document">document {_linked(name, saved)}, {size} bytes</p>')
    return "\n".join(parts) or '<p class="gone">not kept: too large, or gone</p>'


def _linked(name: str, saved: str) -> str:
    """A document's name, and the way to it from where the command ran."""
    if not saved:
        return name
    where = escape(one_line(saved))
    if not saved.lower().endswith(LINKED):
        return f"{name}, saved as <bdi>{where}</bdi>"
    way = saved if saved.startswith("/") else f"./{saved}"  # so no name is read as a scheme
    return f'<a href="{escape(quote(way, errors="surrogateescape"))}" rel="noreferrer">{name}</a>'


def _name(who: Recipient) -> str:
    return escape(one_line(str(who)))
