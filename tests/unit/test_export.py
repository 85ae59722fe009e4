"""`parley export --format html`: a page in which others' words are text, whatever they write."""

from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

from parley.cli.output import Output
from parley.cli.people.documents import Folder
from parley.cli.people.export_page import ExportPage
from parley.cli.people.history import fields, written
from parley.cli.terminal import as_html
from parley.client.outbox.history import HistoryLine
from parley.shared.addresses import User
from parley.shared.wire.messages import pb

ALICE, BOB = User("alice", "alpha"), User("bob", "beta")
DAY = 1_700_000_000.0
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</article></body><script src=//evil.test/x.js></script>",
    "</title></style><script>1</script>",
    "&lt;script&gt; &#60;b&#62; &amp;",
    "<!-- -->]]><svg/onload=alert(1)>",
    "javascript:alert(1)",
    "\u202egnp.exe\u202c \u2067\u2067\u2067 \x1b[2J\x00 \ufeff",
    "<\nscript\u2028>\r\nalert(1)",
    "{{7*7}} ${7*7} <% 7 %>",
    "\N{GRINNING FACE} e\u0301" + "\u0301" * 99,
]
TAGS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "h1",
    "h2",
    "article",
    "p",
    "bdi",
    "time",
    "br",
    "a",
    "footer",
}
ATTRIBUTES = {"lang", "charset", "http-equiv", "content", "name", "class", "datetime", "dir", "href", "rel"}


class Read(HTMLParser):
    """Reads a page as a browser does: its elements, with their attributes, and its text."""

    def __init__(self, page):
        super().__init__()
        self.open, self.found, self.text, self.said = [], [], "", []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs)
        if tag in ("meta", "br"):
            self.text += "\n" if tag == "br" else ""
        else:
            self.open.append(tag)
        if tag == "p":
            self.text = ""

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "p":
            self.said.append(self.text)

    def handle_data(self, data):
        self.text += data

    def handle_comment(self, data):
        raise AssertionError(data)


def message(text="", author=BOB, *, document=None, edit=None, received=True, status="", at=DAY):
    said = pb.ChatMessage(author=author.to_pb(), user=ALICE.to_pb(), textContent=text)
    if document is not None:
        said.document.CopyFrom(pb.Document(filename=document, data=b"12345"))
    return HistoryLine(BOB, 1, at, received, said, status, edit)


def page(*lines, saved="", me=ALICE, other=BOB):
    made = ExportPage(me, other)
    return "\n".join([made.begin(), *(made.line(each, saved) for each in lines), made.end()])


@pytest.mark.parametrize("words", HOSTILE)
def test_whatever_somebody_writes_or_is_called_is_text(words):
    whose = User(words, words)
    lines = [
        message(words, whose),
        message("x", whose, edit=pb.Edit(text=words)),
        message(document=words),
        HistoryLine(whose, 2, DAY, received=True, message=None, status=""),
    ]
    made = page(*lines, saved=words, other=whose, me=whose)
    read = Read(made)
    assert {tag for tag, _ in read.found} <= TAGS
    assert {name for _, attributes in read.found for name in attributes} <= ATTRIBUTES
    assert not set(made) & set("\x00\x1b\r\u202e\u2028")
    assert sum(tag == "article" for tag, _ in read.found) == len(lines)


def test_what_is_harmless_stands_as_it_was_written():
    text = "one <b>\n\n  two & \"three\" 'four'"
    assert text in Read(page(message(text))).said


def test_it_has_no_script_and_nothing_from_elsewhere_and_forbids_both():
    made = page(message("hello"), message(document="map.png"), saved="files/map.png")
    read = Read(made)
    assert "<script" not in made
    assert "http:" not in made
    assert "https:" not in made
    policy = next(a["content"] for tag, a in read.found if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "prefers-color-scheme: dark" in made


def test_a_stream_without_unicode_gets_the_same_page(monkeypatch):
    words = "caf\u00e9 \N{GRINNING FACE} &#233;"
    monkeypatch.setattr("sys.stdout", Output(1, "ascii"))
    markup = as_html(page(message(words)))
    assert markup.isascii()
    assert words in Read(markup).said


def test_marks_days_and_sides_are_shown():
    made = page(
        message("at first"),
        message("ours", ALICE, received=False, status="USER_AWAY"),
        message("ours and there", ALICE, received=False, status="DELIVERED"),
        message("old", edit=pb.Edit(text="new words")),
        message("gone words", edit=pb.Edit(deletes=True)),
        message("a week later", at=DAY + 7 * 86400),
    )
    read = Read(made)
    assert made.count("<h2>") == 2
    assert sum(a.get("class") == "own" for _, a in read.found) == 2
    assert "USER_AWAY" in made
    assert "DELIVERED" not in made
    assert "new words" in read.said
    assert made.count("edited") == 1
    assert "deleted by its author" in read.said
    assert "gone words" not in made


@pytest.mark.parametrize("name", ["map.png", "javascript:alert(1).png", "a b#?%2f&'\".txt", "..", "x.PNG"])
def test_a_document_beside_the_page_is_linked_by_a_way_that_leads_to_it(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    saved = Folder.named("bob").save(pb.Document(filename=name, data=b"1"))
    read = Read(page(message(document=name), saved=saved))
    hrefs = [attributes["href"] for tag, attributes in read.found if tag == "a"]
    assert [unquote(href) for href in hrefs] == ([f"./{saved}"] if "." in name.strip(".") else [])
    for href in hrefs:
        assert (tmp_path / unquote(href)).read_bytes() == b"1"


@pytest.mark.parametrize("name", ["page.html", "picture.svg", "x.xhtml", "run.desktop", "x"])
def test_what_a_browser_might_run_is_named_and_not_linked(name):
    made = page(message(document=name), saved=f"bob/{name}")
    assert "<a " not in made
    assert f"saved as <bdi>bob/{name}</bdi>" in made


def test_the_other_formats_tell_where_a_document_is_too():
    line = message(document="map.png")
    assert fields(line, ALICE, "bob/map.png")["saved"] == "bob/map.png"
    assert "[document map.png, saved as bob/map.png]" in written(line, ALICE, saved="bob/map.png")
    deleted = message(document="map.png", edit=pb.Edit(deletes=True))
    assert fields(deleted, ALICE)["document"] is None
