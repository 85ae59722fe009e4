"""The documents say what is so: examples, commands, configuration keys, statuses, messages, rooms."""

import ast
import json
import re
import typing
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import typer.main
import yaml

from parley.cli.main import app
from parley.shared.config import PREFIX, Config, Seconds
from parley.shared.wire.messages import REGISTRY, pb

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONFIGURATION = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
COMMANDS = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
STATUSES = (ROOT / "docs/statuses.md").read_text(encoding="utf-8")
PROTOCOL = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")


def keys(section: type, prefix: str = "") -> Iterator[tuple[str, object, object]]:
    """Every key of the configuration: its dotted name, its type and its default."""
    types = typing.get_type_hints(section, include_extras=True)
    for field in msgspec.structs.fields(section):
        if isinstance(field.default, msgspec.Struct):
            yield from keys(type(field.default), f"{prefix}{field.name}.")
        else:
            default = {} if field.default is msgspec.NODEFAULT else field.default
            yield prefix + field.name, types[field.name], default


def configuration_table() -> dict[str, tuple[str, object, str]]:
    """The rows of docs/configuration.md: key → environment variable, default, meaning."""
    rows = re.findall(r"^\| `([a-z_.]+)` \| `(PARLEY_\w+)` \| `(.*?)` \| (.*) \|$", CONFIGURATION, re.MULTILINE)
    return {key: (variable, yaml.safe_load(default), meaning) for key, variable, default, meaning in rows}


@pytest.mark.parametrize(
    ("document", "name"),
    [("README.md", "client"), ("README.md", "server"), ("docs/library.md", "echo"), ("docs/library.md", "node")],
)
def test_a_document_shows_the_examples_as_they_are(document, name):
    example = (ROOT / f"docs/examples/{name}.py").read_text(encoding="utf-8")
    assert f"```python\n{example}```" in (ROOT / document).read_text(encoding="utf-8")


def test_the_readme_shows_no_other_python():
    assert README.count("```python") == 2


def test_the_configurations_page_tells_each_key_its_variable_and_its_default():
    told = {key: (variable, default) for key, (variable, default, _) in configuration_table().items()}
    plain = {key: list(d) if isinstance(d, tuple) else d for key, _, d in keys(Config)}
    assert told == {key: (PREFIX + key.upper().replace(".", "__"), d) for key, d in plain.items()}


@pytest.mark.parametrize(("key", "kind"), [(key, kind) for key, kind, _ in keys(Config)])
def test_the_configurations_page_tells_what_a_key_means_and_in_which_unit(key, kind):
    meaning = configuration_table()[key][2]
    assert len(meaning) > 10
    assert kind != Seconds or "seconds" in meaning.lower()
    assert not key.endswith("_limit") or "bytes" in meaning.lower()
    assert not key.endswith("port") or "TCP port" in meaning or "UDP port" in meaning


@pytest.mark.parametrize("name", sorted(typer.main.get_command(app).commands))
def test_the_commands_page_tells_of_each_command(name):
    assert re.search(rf"^\| .*`(parley )?{name}\b", COMMANDS, re.MULTILINE)


def test_the_statuses_page_tells_what_each_status_means():
    statuses = set(pb.ChatMessageResponse.DeliveryStatus.Status.keys())
    assert set(re.findall(r"^\| ([A-Z_]+) \| (?:final|interim) \|", STATUSES, re.MULTILINE)) == statuses


def test_the_protocol_page_has_every_message():
    names = {name for row in re.findall(r"^\| ([A-Z_, ]+) \|", PROTOCOL, re.MULTILINE) for name in row.split(", ")}
    assert names >= set(REGISTRY)


def test_the_protocol_page_has_every_field_of_ours():
    for payload in {kind.DESCRIPTOR for kind in REGISTRY.values()}:
        for field in payload.fields:
            if field.number >= 100:
                assert re.search(
                    rf"^\| {payload.name} \| {field.number} [a-z ]*{field.name} ", PROTOCOL, re.MULTILINE
                )


def test_the_worked_example_is_a_vector():
    section = PROTOCOL.partition("## A worked example")[2].partition("\n## ")[0]
    told = bytes.fromhex("".join(re.findall(r"^\| `([0-9a-f ]+)` \|", section, re.MULTILINE)))
    answer = re.search(r"`((?:[0-9a-f]{2} ){14}[0-9a-f]{2})`", section)
    vectors = json.loads((ROOT / "tests/data/wire_frames.json").read_text(encoding="utf-8"))
    frames = {vector["case"]: bytes.fromhex(vector["frame_hex"]) for vector in vectors}
    assert told == frames["chat client"]
    assert answer is not None
    assert bytes.fromhex(answer[1]) == frames["result 1"]


def test_the_map_of_rooms_is_whole_and_says_what_they_say():
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    tops = ("parley/client", "parley/cli", "services", "shared")
    for path in (path for top in tops for path in (ROOT / top).rglob("__init__.py")):
        says = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))).partition("\n")[0]
        assert f"| `{path.parent.relative_to(ROOT)}/` | {says} |" in text
