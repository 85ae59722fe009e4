"""The contracts between rooms: pure modules do no I/O, services never import one another, a client no service.

docs/architecture.md draws them.
"""

import ast
import functools
import itertools
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PURE_MAY_IMPORT = {
    "__future__", "argon2", "array", "base64", "binascii", "bisect", "collections", "cryptography", "dataclasses",
    "datetime", "enum",
    "functools", "google", "hashlib", "heapq", "hmac", "html", "ipaddress", "itertools", "json", "math", "msgspec",
    "nacl", "operator", "parley", "random", "re", "secrets", "spake2", "string", "struct", "sys", "types", "typing",
    "unicodedata", "weakref", "xml", "zlib",
}  # fmt: skip
"""What computes and no more: no clock, no file, no socket, no thread, no log."""
READ_ONCE = {
    "shared/compiled": {"os"},
    "shared/version": {"importlib"},
    "shared/trust/mnemonics": {"mnemonic"},
    "services/discovery/status_page/page": {"importlib"},
}
"""Module → what it has besides: to read the environment, or what is installed, which is the same for ever."""
BY_NAME = {
    "parley/__init__.py": 1,
    "parley/cli/main.py": 1,
    "parley/cli/operator/serve.py": 1,
    "services/node/supervisor.py": 3,
}
"""File → how often it loads a module by its name: a public name of `import parley`, the command that is called, and
the processes of a node."""
HIDDEN_IMPORTS = {
    "import_module",
    "__import__",
    "exec",
    "eval",
    "run_module",
    "run_path",
    "spec_from_file_location",
}
SERVICES = ["chat", "discovery", "location", "typing"]

DRIVERS = {
    "services/chat": {
        "service",
        "engine",
        "runner",
        "archive/alone",
        "archive/archive",
        "archive/changing",
        "archive/early_edits",
        "archive/edits",
        "archive/files",
        "archive/journal/segment_files",
        "archive/process/__main__",
        "archive/process/archive_process",
        "archive/process/forker",
        "archive/process/serving",
        "archive/projection",
        "archive/reader",
        "archive/requests",
        "archive/retention",
        "archive/storage",
        "archive/sync",
        "archive/usage",
        "archive/worker",
        "authors/authors",
        "deduplication/delivered_keys",
        "federation/joins",
        "federation/lists",
        "gateways/gateway_link",
        "groups/group_numbers",
        "gateways/gateway_links",
        "operator/archive_commands",
        "operator/inspection",
        "pairing/relay",
        "operator/server",
        "storage/age",
        "storage/body_files",
        "storage/erasure",
        "storage/file_writes",
        "storage/mail_keys",
        "storage/moves",
        "storage/queries",
        "storage/schema",
        "storage/shared_rows",
        "storage/store",
        "users/devices",
    },
    "services/discovery": {
        "service",
        "announcing/announcement_service",
        "announcing/announcer",
        "announcing/discovery_port",
        "announcing/server_discovery",
    },
    "services/location": {"service"},
    "services/typing": {"service"},
}
"""What a service does its I/O in; every other module of a service is a pure core."""
PURE = [
    "shared/addresses",
    "shared/errors",
    "shared/extras",
    "shared/names",
    "shared/printable",
    "shared/audiences",
    "shared/dialects/clients",
    "shared/dialects/dialect",
    "shared/dialects/recognition",
    "shared/dialects/rewriting",
    "shared/discovery/looks",
    "shared/discovery/networks",
    "shared/discovery/server_lists",
    "shared/limits/bounds",
    "shared/limits/buffers",
    "shared/limits/connections",
    "shared/limits/fairness",
    "shared/limits/rates",
    "shared/limits/shares",
    "shared/limits/token_buckets",
    "shared/link/events",
    "shared/link/session",
    "shared/link/transitions",
    "shared/runtime/backoff",
    "shared/peering/refusals",
    "shared/peering/tie_break",
    "shared/sockets/segments",
    "shared/soft_state/block_lists",
    "shared/soft_state/clock_offsets",
    "shared/soft_state/datagram_lists",
    "shared/soft_state/group_members",
    "shared/soft_state/group_fan_out",
    "shared/soft_state/lifetimes",
    "shared/soft_state/linked_clients",
    "shared/soft_state/served_state",
    "shared/soft_state/soft_state",
    "shared/soft_state/subscriber",
    "shared/soft_state/visitors/elsewhere",
    "shared/soft_state/visitors/here",
    "shared/telemetry/log_throttle",
    "shared/trust/admission",
    "shared/trust/ages",
    "shared/trust/announcements",
    "shared/trust/assurance",
    "shared/trust/authors",
    "shared/trust/certificates",
    "shared/trust/claims",
    "shared/trust/devices",
    "shared/trust/guesses",
    *(
        f"shared/trust/federation/{one}"
        for one in (
            "authority",
            "changes",
            "entries",
            "invitations",
            "membership",
            "sealed",
            "signed_list",
            "state",
            "tokens",
        )
    ),
    "shared/trust/keys",
    "shared/trust/names",
    "shared/trust/pairing",
    "shared/trust/pins",
    "shared/trust/plain_names",
    "shared/trust/proofs",
    "shared/trust/refusals",
    "shared/trust/server_trust",
    "shared/trust/replays",
    "shared/trust/signed_bytes",
    "shared/trust/mnemonics",
    "shared/trust/tokens",
    "shared/wire/framing",
    "shared/wire/message_keys",
    "shared/wire/plain_messages",
    "shared/wire/messages",
    "shared/wire/pieces",
    "shared/wire/snowflake",
    "shared/wire/varints",
    "parley/client/authors/judgement",
    "parley/client/authors/signer",
    "parley/client/contacts/continuity",
    "parley/client/positions/positions",
    "parley/client/positions/gpx",
    "parley/client/positions/nmea",
    "parley/client/trust/pairing",
    "parley/client/trust/refusals",
    "parley/client/views/location_view",
    "parley/client/views/typing_view",
]
"""Modules outside of the services that do no I/O."""

MAY_IMPORT = {
    "shared": {"parley.shared"},
    "parley/client": {"parley.client", "parley.shared"},
    "parley/cli/people": {"parley", "parley.cli", "parley.client", "parley.shared"},
    "parley/cli/operator": {"parley", "parley.cli", "parley.client", "parley.shared", "parley.services"},
    "services/node": {"parley", "parley.client", "parley.shared", "parley.services.node"},
    **{f"services/{one}": {"parley.shared", f"parley.services.{one}"} for one in SERVICES},
}
"""Folder → what of this project its modules may import."""
FORBIDDEN_TO = {"parley/cli/people": {"parley.cli.operator"}}
"""Folder → exceptions to that."""
ROOMS_OF_SHARED = [
    {
        "addresses",
        "compiled",
        "config",
        "directories",
        "write_ahead",
        "errors",
        "extras",
        "names",
        "printable",
        "audiences",
        "spellings",
        "version",
        "wire",
    },
    {"runtime", "sockets", "telemetry", "limits", "dialects", "trust", "trust_storage"},
    {"discovery", "http", "link"},
    {"peering"},
    {"service"},
    {"soft_state"},
]
"""The rooms of shared from the ground up: each imports from its own storey and those below, never from above."""


def files(*folders):
    return sorted(path for folder in folders for path in ROOT.joinpath(folder).rglob("*.py"))


def relative(path):
    return str(path.relative_to(ROOT))


def cores_of(service):
    """The pure modules of a service, as `services/chat/routing/router`."""
    drivers = DRIVERS[f"services/{service}"] | {"__main__"}
    found = [path.relative_to(ROOT).with_suffix("") for path in files(f"services/{service}")]
    return [
        str(path)
        for path in found
        if path.name != "__init__" and str(path.relative_to(f"services/{service}")) not in drivers
    ]


ALL_PURE = PURE + [core for service in SERVICES for core in cores_of(service)]


@functools.cache
def path_of(module):
    """The file of a module of this project; a package's is its __init__."""
    path = ROOT.joinpath(*module.split("."))
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).resolve()


def module_of(stem):
    """`shared/link/session` → `parley.shared.link.session`."""
    dotted = stem.replace("/", ".")
    return dotted if dotted.startswith("parley.") else f"parley.{dotted}"


def is_one_of(module, packages):
    """Whether a module is one of these packages or in one; `parley` means its public names alone."""
    return any(module == one or (one != "parley" and module.startswith(f"{one}.")) for one in packages)


@functools.cache
def imports_of(path):
    """Every module that a file imports, wherever in it: `from a import b` may mean a.b, so both are named."""
    return imports_in(path.read_text(encoding="utf-8"))


@functools.cache
def loads_of(path):
    """Those of them that it has at run time: what is for a type checker alone does nothing."""
    return imports_in(path.read_text(encoding="utf-8"), for_types=False)


def imports_in(source, *, for_types=True):
    found = set()
    for node in walk(ast.parse(source), for_types=for_types):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno} is a relative import"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def walk(node, *, for_types):
    """A tree's nodes; without `for_types` those under `if TYPE_CHECKING:` are left out."""
    is_for_types = isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}
    yield node
    for each in node.orelse if is_for_types and not for_types else ast.iter_child_nodes(node):
        yield from walk(each, for_types=for_types)


@functools.cache
def names_in(source):
    """The names that a file uses or imports, each as often as it does."""
    found = Counter()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Name, ast.Attribute)):
            found[node.id if isinstance(node, ast.Name) else node.attr] += 1
        elif isinstance(node, ast.ImportFrom):
            found.update(alias.name for alias in node.names)
    return found


@functools.cache
def of_ours(path, imports=imports_of):
    """The modules of this project that a file imports, as their files have it: names in modules are left away."""
    return {name for name in imports(path) if name.startswith("parley") and path_of(name).is_file()}


@functools.cache
def reachable_from(module, imports=imports_of):
    """A module and what it imports of this project, directly or not; packages' own heads are not followed."""
    seen, waiting = {module}, [module]
    while waiting:
        new = of_ours(path_of(waiting.pop()), imports) - seen
        seen |= new
        waiting += new
    return {module for module in seen if path_of(module).name != "__init__.py"}


@pytest.mark.parametrize("stem", ALL_PURE)
def test_a_pure_module_does_no_io(stem):
    """Neither itself nor through another module of the project."""
    assert path_of(module_of(stem)).is_file()
    for reached in reachable_from(module_of(stem), loads_of):
        path = path_of(reached)
        top_level = {name.split(".")[0] for name in loads_of(path)}
        more = top_level - PURE_MAY_IMPORT - READ_ONCE.get(relative(path).removesuffix(".py"), set())
        assert not more, f"{stem} reaches {reached}, which imports {more}"
        assert not {"open", "input", "print"} & set(names_in(path.read_text(encoding="utf-8"))), reached


@pytest.mark.parametrize("path", files("services", "shared", "parley"), ids=relative)
def test_what_is_imported_is_imported_by_statements(path):
    """These contracts see no other."""
    names = names_in(path.read_text(encoding="utf-8"))
    assert sum(names[name] for name in HIDDEN_IMPORTS) == BY_NAME.get(relative(path), 0)


@pytest.mark.parametrize(
    "source",
    [
        "import importlib\nimportlib.import_module('socket')",
        "__import__('socket')",
        "exec('import socket')",
        "from importlib import import_module as load",
    ],
)
def test_an_import_by_name_is_found(source):
    assert set(names_in(source)) & HIDDEN_IMPORTS


def test_what_is_imported_for_types_alone_is_told_apart():
    source = "if TYPE_CHECKING:\n    import socket\nelse:\n    import time\ndef f():\n    import select\n"
    assert imports_in(source) == {"socket", "time", "select"}
    assert imports_in(source, for_types=False) == {"time", "select"}
    with pytest.raises(AssertionError, match="relative"):
        imports_in("from . import x")


@pytest.mark.parametrize("folder", DRIVERS)
def test_each_driver_exists(folder):
    assert all(ROOT.joinpath(folder, f"{driver}.py").is_file() for driver in DRIVERS[folder])


@pytest.mark.parametrize("path", files("services", "shared", "parley/client", "parley/cli"), ids=relative)
def test_every_import_is_by_the_one_importable_name(path):
    """`shared.x` and `parley.shared.x` would be two modules, with two of each class."""
    assert not {
        name for name in imports_of(path) if name.split(".")[0] in {"client", "proto", "services", "shared"}
    }


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_each_room_imports_what_it_may(folder):
    for path in files(folder):
        if path.name == "__main__.py" or path.parent == ROOT / "services":
            continue
        for name in of_ours(path):
            assert is_one_of(name, MAY_IMPORT[folder]), f"{relative(path)} imports {name}"
            assert not is_one_of(name, FORBIDDEN_TO.get(folder, ())), f"{relative(path)} imports {name}"


def test_the_rooms_of_shared_rest_on_those_below():
    storey_of = {room: storey for storey, rooms in enumerate(ROOMS_OF_SHARED) for room in rooms}
    for path in files("shared"):
        own = path.relative_to(ROOT / "shared").parts[0].removesuffix(".py")
        if own == "__init__":
            continue
        for name in of_ours(path):
            parts = name.split(".")
            if parts[:2] == ["parley", "shared"] and len(parts) > 2:
                assert storey_of[parts[2]] <= storey_of[own], f"{relative(path)} imports {name}"


@pytest.mark.parametrize("path", files("parley", "services", "shared"), ids=relative)
def test_nothing_imports_the_tests(path):
    assert not {name for name in imports_of(path) if name.split(".")[0] in {"tests", "bench"}}


def test_the_search_finds_what_is_imported_indirectly():
    """The test of the test: link does I/O, and service_base reaches it."""
    assert "parley.shared.link.link" in reachable_from("parley.shared.service.service_base")
    assert "asyncio" in imports_of(path_of("parley.shared.link.link"))
    found = reachable_from("parley.shared.link.session")
    assert {"parley.shared.wire.framing", "parley.shared.errors", "parley.shared.wire.messenger_pb2"} <= found


@pytest.mark.parametrize(("one", "other"), [*itertools.permutations(SERVICES, 2)])
def test_no_service_reaches_another_through_shared(one, other):
    stems = [relative(path.with_suffix("")) for path in files(f"services/{one}") if path.name != "__main__.py"]
    reached = set().union(*(reachable_from(module_of(stem)) for stem in stems))
    assert not {module for module in reached if module.startswith(f"parley.services.{other}.")}
