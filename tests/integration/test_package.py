"""The distribution: what is in it, and a base installation at work beside the packages that it must not disturb.

No network is needed: setuptools and the base dependencies are those of the tests' own environment.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from grpc_tools import protoc
from packaging.requirements import Requirement

from tests.support.commands import client_environment
from tests.support.nodes import ROOT, TIMEOUT, Node
from tests.support.plain_client import PlainClient

ALPHA, CLIENT, BOB = "127.0.59.1", "127.0.59.11", "127.0.59.12"
SOURCES = ("LICENSE", "README.md", "parley", "proto", "pyproject.toml", "services", "shared")
BUILD = "import sys, setuptools.build_meta as build; print(getattr(build, 'build_' + sys.argv[1])(sys.argv[2]))"
ANOTHER_SCHEMA = """
syntax = "proto3";
message User { string name = 1; }
message ChatMessage { uint64 number = 7; User author = 8; string text = 9; }
"""
"""Another program's: a file and messages of names that ours had, too."""
BESIDE = """
import asyncio
import proto
import messenger
from parley import ChatFeature, DiscoveryService

class Note(proto.Message):
    text = proto.Field(proto.STRING, number=1)

async def main():
    servers = await DiscoveryService().discover_servers(until=lambda found: bool(found))
    async with ChatFeature("alice@alpha") as chat:
        await chat.handle_connection(servers)
        print(await chat.send("bob@alpha", "Hello!").final)

asyncio.run(main())
assert Note.deserialize(Note.serialize(Note(text="both"))).text == "both"
theirs = messenger.ChatMessage(number=7, author=messenger.User(name="eve"), text="theirs")
assert messenger.ChatMessage.FromString(theirs.SerializeToString()) == theirs
from parley.shared.wire.messages import pb
assert pb.DESCRIPTOR.name == "parley/wire/messenger.proto" != messenger.DESCRIPTOR.name == "proto/messenger.proto"
assert pb.ChatMessage(messageSnowflake=7, textContent="ours").SerializeToString() == b"\\x08\\x07Z\\x04ours"
"""


def build(kind, sources, into):
    """An `sdist` or a `wheel` of a directory of sources: its path."""
    ended = subprocess.run(
        [sys.executable, "-c", BUILD, kind, str(into)],
        cwd=sources,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return into / ended.stdout.split()[-1]


def copied_sources(into):
    """The checkout, as far as the distribution is made of it: without what was built in it."""
    leave = shutil.ignore_patterns("__pycache__", "*.so", "*.egg-info")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, into / name, symlinks=True, ignore=leave)
        else:
            shutil.copyfile(source, into / name)
    return into


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel of the sources, the source distribution, and the wheel of that."""
    directory = tmp_path_factory.mktemp("distribution")
    sources = copied_sources(directory)
    wheel = build("wheel", sources, directory / "built")
    archive = build("sdist", sources, directory / "built")
    with tarfile.open(archive) as tar:
        tar.extractall(directory / "unpacked", filter="data")
    (unpacked,) = (directory / "unpacked").iterdir()
    return wheel, unpacked, build("wheel", unpacked, directory / "rebuilt")


def contents(wheel):
    """Each file in a wheel; compiled ones have the place of their build in them, and the record their sums."""
    with zipfile.ZipFile(wheel) as files:
        return {
            name: None if name.endswith((".so", "RECORD")) else files.read(name)
            for name in files.namelist()
            if not name.endswith("/")
        }


def test_the_wheel_holds_parley_and_nothing_else_at_the_top(built):
    names = contents(built[0])
    version = metadata.version("parley-lan")
    assert {name.partition("/")[0] for name in names} == {"parley", f"parley_lan-{version}.dist-info"}
    for needed in ("py.typed", "__init__.py", "client/chat.py", "services/chat/service.py", "shared/_core.pyi"):
        assert f"parley/{needed}" in names
    assert "parley/services/discovery/status_page/static/page.html" in names
    assert any(name.startswith("parley/shared/_core.") and name.endswith(".so") for name in names) or not has_core()


def has_core():
    """Whether this machine can build it."""
    return next(ROOT.glob("shared/**/_core.*.so"), None) is not None


def test_the_source_distribution_makes_the_same_wheel(built):
    wheel, unpacked, rebuilt = built
    assert not {"client", "proto", "services", "tests"} & {path.name for path in unpacked.iterdir()}
    assert {path.suffix for path in (unpacked / "shared").rglob("*") if path.is_file()} == {".c", ".h"}
    assert contents(rebuilt) == contents(wheel)


def test_the_documents_name_the_distribution_by_its_own_name():
    for document in (ROOT / "README.md", *ROOT.glob("docs/**/*.md")):
        assert "pip install parley " not in document.read_text().replace("\n", " "), document


# A base installation --------------------------------------------------------------------------------------


def needed_by(requirements):
    """The distributions that requirements without extras need, with what those need."""
    found, left = {}, [Requirement(text) for text in requirements]
    while left:
        requirement = left.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        if requirement.name not in found:
            found[requirement.name] = metadata.distribution(requirement.name)
            left += [Requirement(text) for text in found[requirement.name].requires or ()]
    return found


def install(distribution, into):
    """Copy an installed distribution's files into another environment; its commands excepted."""
    for file in distribution.files:
        if not file.is_absolute() and ".." not in file.parts and "__pycache__" not in file.parts:
            target = into / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.locate(), target)


@pytest.fixture(scope="module")
def base(built, tmp_path_factory):
    """A new environment with the wheel, its base dependencies, proto-plus, and another program's messages."""
    directory = tmp_path_factory.mktemp("base")
    environment = directory / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True, timeout=60)
    python = environment / "bin" / "python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(subprocess.check_output([python, "-c", where], text=True, timeout=60).strip())
    with zipfile.ZipFile(built[0]) as wheel:
        wheel.extractall(packages)
        described = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    requires = metadata.PathDistribution(packages / Path(described).parent).requires
    for distribution in needed_by([*requires, "proto-plus"]).values():
        install(distribution, packages)
    install_another_messenger(directory, packages)
    return python


def install_another_messenger(directory, packages):
    schema = directory / "another" / "proto" / "messenger.proto"
    schema.parent.mkdir(parents=True)
    schema.write_text(ANOTHER_SCHEMA)
    root = schema.parent.parent
    assert protoc.main(["protoc", f"-I{root}", f"--python_out={root}", "proto/messenger.proto"]) == 0
    shutil.copyfile(root / "proto" / "messenger_pb2.py", packages / "messenger.py")


def run(python, *words, environment=None):
    """A program of the new environment, in a directory where nothing of ours is found by chance."""
    ours = ("PARLEY", "PYTHON")
    clean = environment or {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    return subprocess.run(
        [python, "-W", "error", *words],
        cwd=python.parent,
        env=clean,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


def test_a_base_installation_needs_few_packages(base):
    names = "from importlib import metadata; print(*(each.name.lower() for each in metadata.distributions()))"
    found = set(run(base, "-c", names).stdout.replace("_", "-").split()) - {"typing-extensions"}
    assert found == {"parley-lan", "msgspec", "protobuf", "psutil", "pyyaml", "structlog", "proto-plus"} | {
        "cffi", "cryptography", "pycparser", "pynacl", "spake2",  # keys, and pairing of devices
    }  # fmt: skip


def test_a_message_is_sent_from_a_base_installation_beside_proto_plus_and_another_messenger(base, tmp_path):
    with (
        Node("alpha", ALPHA, tmp_path, ("discovery", "chat")),
        PlainClient("bob", "alpha", BOB, broadcast=ALPHA, enough=1) as bob,
    ):
        bob.connect()
        ended = run(base, "-c", BESIDE, environment=client_environment(CLIENT, tmp_path))
        assert bob.wait_text("Hello!").fields["author"] == {"userId": "alice", "serverId": "alpha"}
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "DELIVERED\n", "")


def test_a_type_checker_accepts_the_examples_with_the_types_of_the_installed_package(base, tmp_path):
    examples = sorted((ROOT / "docs" / "examples").glob("*.py"))
    wrong = tmp_path / "wrong.py"
    wrong.write_text('from parley import ChatFeature\nChatFeature("a@b").send("c@d", 1)\n')
    options = (
        "--strict",
        "--python-executable",
        str(base),
        "--cache-dir",
        str(tmp_path),
        "--config-file",
        os.devnull,
    )
    ended = subprocess.run(
        [sys.executable, "-m", "mypy", *options, *map(str, examples), str(wrong)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    (mistake, found) = ended.stdout.splitlines()
    assert 'Argument 2 to "send" of "ChatFeature" has incompatible type "int"; expected "str"' in mistake
    assert found.startswith("Found 1 error in 1 file (checked 5 source files)")


def test_the_command_of_a_base_installation_says_what_it_needs(base):
    ended = run(base, "-m", "parley", "servers")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.endswith("pip install 'parley-lan[cli]' brings it\n")
