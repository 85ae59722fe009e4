"""The documents can be read, and what they say of files is so: lengths, links, paths, and parts made from code."""

import re
from itertools import pairwise

import pytest

from deploy.documents.__main__ import PARTS
from deploy.documents.decisions import read
from deploy.documents.parts import between
from tests.house.sources import ROOT
from tests.house.sources import files as walk

DOCUMENTS = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(
        part.startswith(".") or part in {"build", "node_modules"} for part in path.relative_to(ROOT).parts[:-1]
    )
)
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)

README_LINES = 160
COLUMNS = 120
PARAGRAPH = 5
"""Lines."""

SUFFIXES = (
    "py",
    "pyi",
    "c",
    "h",
    "md",
    "yml",
    "yaml",
    "toml",
    "proto",
    "sh",
    "json",
    "txt",
    "svg",
    "png",
    "html",
    "css",
    "js",
)
FILE = re.compile(rf"(?!.*[A-Z]{{4,}}/)(?:[\w.*-]+(?:/[\w.*-]+)*\.(?:{'|'.join(SUFFIXES)})|(?:[\w.-]+/)+)")
"""A file or folder of this repository, as it stands between backticks; in capitals it stands for any."""
OTHERS = frozenset({"parley.yml", "data/", "wrong.txt"})
"""Files that people make, or programs."""


def prose(text):
    """The lines that are neither table nor code nor generated, in paragraphs."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    for block in re.split(r"\n\s*\n", text):
        lines = [
            line for line in block.strip("\n").split("\n") if not line.startswith(("|", "    ", "#", "<!--", "!["))
        ]
        if lines and lines[0]:
            yield lines


def paragraphs(text):
    """The paragraphs; each point of a list is one."""
    for lines in prose(text):
        starts = [0, *(n for n, line in enumerate(lines) if n and re.match(r"\s*([-*]|\d+\.) ", line)), len(lines)]
        for start, end in pairwise(starts):
            yield lines[start:end]


@pytest.mark.parametrize(("path", "name"), PARTS, ids=lambda part: part)
def test_what_is_made_from_code_is_as_the_code(path, name):
    assert between((ROOT / path).read_text(encoding="utf-8"), name) == PARTS[path, name](), "run `make documents`"


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= README_LINES


@every_document
def test_no_line_is_long(document):
    for number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), 1):
        assert len(line) <= COLUMNS or line.startswith(("|", "![")), (
            f"{document.name}:{number} has {len(line)} characters"
        )


@every_document
def test_no_paragraph_is_long(document):
    for lines in paragraphs(document.read_text(encoding="utf-8")):
        assert len(lines) <= PARAGRAPH, f"{document.name}: {len(lines)} lines: {lines[0]}"


def anchors(document):
    """The headings of a document as its links name them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_document
def test_every_link_between_the_documents_leads_somewhere(document):
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def exists(path, document):
    """Whether a file is there: from the root, beside the document, or, without a folder before it, anywhere."""
    if "*" in path:
        return any(ROOT.glob(path))
    if (ROOT / path).exists() or (document.parent / path).exists():
        return True
    return "/" not in path and any(
        next((ROOT / top).rglob(path), None)
        for top in ("parley", "services", "shared", "proto", "deploy", "docs", "tests", "bench")
    )


@every_document
def test_every_file_that_is_named_exists(document):
    if document.name == "CHANGELOG.md":
        pytest.skip("it names files of the past")
    for name in re.findall(r"`([^`\s]+)`", document.read_text(encoding="utf-8")):
        if FILE.fullmatch(name) and name not in OTHERS and not name.startswith("build/"):
            assert exists(name, document), name


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "decisions").glob("2*.md")), ids=lambda path: path.stem)
def test_a_decision_has_a_date_a_status_a_place_and_a_consequence(path):
    assert read(path).path == path


MENTIONS = ("architecture.md", "glossary.md", "statuses.md", "mailbox.md", "reliability.md", "performance.md")
"""Documents that explain what there is: an addition may be worth a sentence there."""
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
RECIPES = re.findall(
    r"^## How to add (.+?)\n\nExample: (.+?)\n\n(\|.+?)\n\n", CONTRIBUTING, re.MULTILINE | re.DOTALL
)


def sources():
    """What a recipe speaks of: no tests but those that it names, no examples of its use, no history."""
    folders = ("services", "shared", "proto", "deploy", "docs")
    found = walk(folders, (".py", ".pyi", ".proto", ".md", ".json", ".yml"))
    return [path for path in found if "decisions" not in path.parts]


@pytest.mark.parametrize(("what", "example", "table"), RECIPES, ids=[what for what, *_ in RECIPES])
def test_the_files_that_an_addition_touches_are_those_that_have_the_example(what, example, table):
    """Each file or folder of the table has the example, and of the product and its documents no other has."""
    names = re.compile("|".join(rf"\b{name}\b" for name in re.findall(r"`(\w+)`", example)))
    listed = [ROOT / path for path in re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)]
    assert len(listed) > 3, what
    for path in listed:
        inside = path.rglob("*.py") if path.is_dir() else [path]
        assert any(names.search(each.read_text(encoding="utf-8")) for each in inside), path
    having = [path for path in sources() if names.search(path.read_text(encoding="utf-8"))]
    prose = {ROOT / "docs" / name for name in MENTIONS}
    assert [
        path for path in having if path not in prose and not any(path.is_relative_to(each) for each in listed)
    ] == []
