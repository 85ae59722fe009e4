"""The documents can be read, and what they say of files is so: lengths, links, paths, and parts made from code."""

import re

import pytest

from deploy.documents.__main__ import PARTS
from deploy.documents.decisions import read
from deploy.documents.parts import between
from tests.house.sources import ROOT

DOCUMENTS = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(
        part.startswith(".") or part in {"build", "node_modules"} for part in path.relative_to(ROOT).parts[:-1]
    )
)
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)


@pytest.mark.parametrize(("path", "name"), PARTS, ids=lambda part: part)
def test_what_is_made_from_code_is_as_the_code(path, name):
    assert between((ROOT / path).read_text(encoding="utf-8"), name) == PARTS[path, name](), "run `make documents`"


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


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "decisions").glob("2*.md")), ids=lambda path: path.stem)
def test_a_decision_has_a_date_a_status_a_place_and_a_consequence(path):
    assert read(path).path == path
