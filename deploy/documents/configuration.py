"""The tables of docs/configuration.md, from the model in shared/config.py: keys, types, defaults and docstrings."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator
from typing import Any, NamedTuple, get_type_hints

import msgspec

from parley.shared.config import PREFIX, Config, Section


class Key(NamedTuple):
    """A key of the configuration."""

    name: str
    """Dotted, as in the file: `chat.port`."""
    kind: Any
    """Its type, with its bounds."""
    default: object
    meaning: str
    """Its docstring; empty where it has none."""

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return PREFIX + self.name.upper().replace(".", "__")


def keys(section: type[Section] = Config, prefix: str = "") -> Iterator[Key]:
    """Every key, in the model's order."""
    types, meanings = get_type_hints(section, include_extras=True), _docstrings(section)
    for field in msgspec.structs.fields(section):
        if isinstance(field.default, Section):
            yield from keys(type(field.default), f"{prefix}{field.name}.")
        else:
            yield Key(prefix + field.name, types[field.name], default_of(field), meanings.get(field.name, ""))


def default_of(field: msgspec.structs.FieldInfo) -> object:
    """A key's default; each configuration has a table of its own."""
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def sections() -> dict[str, str]:
    """The sections' names and their docstrings; the keys of none come first."""
    nested = {
        each.name: each.default for each in msgspec.structs.fields(Config) if isinstance(each.default, Section)
    }
    return {"": "The node"} | {name: inspect.getdoc(type(section)) or "" for name, section in nested.items()}


def table() -> str:
    """A table for each section, under its name."""
    return "\n\n".join(_section(name, about) for name, about in sections().items())


def _section(name: str, about: str) -> str:
    rows = [
        f"| `{key.name}` | `{key.variable}` | `{_written(key.default)}` | {key.meaning} |"
        for key in keys()
        if key.name.rpartition(".")[0] == name
    ]
    heading = f"### `{name}`\n\n{about}" if name else "### The node itself"
    return "\n".join(
        [f"{heading}\n", "| key | environment variable | default | meaning |", "|---|---|---|---|", *rows]
    )


def _written(default: object) -> str:
    """A default as YAML has it."""
    if isinstance(default, float):
        return f"{default:.12g}"
    return (
        json.dumps(list(default) if isinstance(default, tuple) else default)
        if default in ("", (), {})
        else str(default)
    )


def _docstrings(section: type[Section]) -> dict[str, str]:
    """The texts that stand under a section's fields."""
    body = ast.parse(textwrap.dedent(inspect.getsource(section))).body[0]
    assert isinstance(body, ast.ClassDef)  # noqa: S101 - for mypy: it is the source of a class
    texts = {}
    for field, below in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            match below:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    texts[field.target.id] = " ".join(text.split())
    return texts
