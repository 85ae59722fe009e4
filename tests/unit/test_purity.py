"""What keeps the layers apart: pure modules do no I/O, services never import one another, a client no service."""

import ast
import functools
import itertools
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("client", "proto", "services", "shared")
FORBIDDEN = {"asyncio", "socket", "time", "structlog", "prometheus_client"}

PURE_SHARED = [
    "addresses",
    "backoff",
    "bounds",
    "buffers",
    "clocks",
    "complaints",
    "datagram_lists",
    "errors",
    "events",
    "fairness",
    "framing",
    "lifetimes",
    "limits",
    "members",
    "messages",
]
PURE_SHARED += ["block_lists", "names", "peers", "pieces", "printable", "rates", "recipients"]
PURE_SHARED += ["segments", "session", "snowflake", "transitions"]
SERVICES = ["chat", "discovery", "location", "typing"]
SHELLS = {
    "__init__",
    "__main__",
    "service",
    "store",
    "schema",
    "queries",
    "opened",
    "delivered",
    "announcer",
    "discovery",
}
SHELLS |= {"clock", "inspection", "operator_socket"}
"""What a service does its I/O in; every other module of a service is a pure core."""
CORES = {
    "chat": {
        "answers",
        "blocks",
        "changes",
        "debts",
        "disk_mailbox",
        "dispatcher",
        "fanouts",
        "fingerprints",
        "groups",
        "in_turn",
        "lanes",
        "mailbox",
        "operator",
        "outbound",
        "paths",
        "requests",
        "roster",
        "router",
        "rows",
        "statuses",
    },
    "discovery": {"directory", "registry"},
    "location": {"devices", "positions"},
    "typing": {"indicators"},
}
"""The cores that there are at least."""


def cores_of(service):
    return {path.stem for path in ROOT.joinpath("services", service).glob("*.py")} - SHELLS


PURE_CLIENT = ["fixes", "gpx", "nmea", "places", "typists"]
PURE = [f"shared.{name}" for name in PURE_SHARED] + [f"client.{name}" for name in PURE_CLIENT]
PURE += [f"services.{service}.{core}" for service in SERVICES for core in sorted(cores_of(service))]


def path_of(module):
    """The file of a module of this project; a package's is its __init__."""
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@functools.cache
def imports_of(path):
    """Every module that a file imports, wherever in it: `from a import b` may mean a.b, so both are named."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def reachable_from(module):
    """A module and what it imports of this project, directly or not; packages' own heads are not followed."""
    seen, waiting = set(), [module]
    while waiting:
        module = waiting.pop()
        path = path_of(module)
        if module not in seen and module.split(".")[0] in PACKAGES and path.is_file():
            seen.add(module)
            waiting += imports_of(path)
    return {module for module in seen if path_of(module).name != "__init__.py"}


def files(*folders):
    return sorted(path for folder in folders for path in ROOT.joinpath(folder).rglob("*.py"))


def relative(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_does_no_io(module):
    """Neither itself nor through another module of the project."""
    assert path_of(module).is_file()
    for reached in reachable_from(module):
        top_level = {name.split(".")[0] for name in imports_of(path_of(reached))}
        assert not top_level & FORBIDDEN, f"{module} reaches {reached}, which does"


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_its_cores(service):
    assert cores_of(service) >= CORES[service]


@pytest.mark.parametrize("path", files(*(f"services/{service}" for service in SERVICES)), ids=relative)
def test_services_never_import_one_another(path):
    own = path.parent.name
    others = {f"services.{service}" for service in SERVICES if service != own}
    for name in imports_of(path):
        assert ".".join(name.split(".")[:2]) not in others


@pytest.mark.parametrize("path", [p for p in files("client") if "cli" not in p.parts], ids=relative)
def test_the_client_library_imports_no_service_and_no_command_line(path):
    for name in imports_of(path):
        assert not name.startswith(("services", "client.cli"))


@pytest.mark.parametrize("path", files("shared"), ids=relative)
def test_the_shared_library_knows_nobody_who_uses_it(path):
    for name in imports_of(path):
        assert name.split(".")[0] not in {"client", "services", "tests"}


@pytest.mark.parametrize("path", files("client", "services", "shared"), ids=relative)
def test_nothing_imports_the_tests(path):
    assert not {name for name in imports_of(path) if name.split(".")[0] in {"tests", "bench"}}


def test_the_search_finds_what_is_imported_indirectly():
    """The test of the test: link does I/O, and service_base reaches it."""
    assert "shared.link" in reachable_from("shared.service_base")
    assert "asyncio" in imports_of(path_of("shared.link"))
    assert {"shared.framing", "shared.errors", "proto.messenger_pb2"} <= reachable_from("shared.session")


@pytest.mark.parametrize(("one", "other"), [*itertools.permutations(SERVICES, 2)])
def test_no_service_reaches_another_through_shared(one, other):
    reached = set().union(*(reachable_from(f"services.{one}.{path.stem}") for path in files(f"services/{one}")))
    assert not {module for module in reached if module.startswith(f"services.{other}.")}
