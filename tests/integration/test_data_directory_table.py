"""What a node keeps on its disk is what operations.md says, and the backup that it describes is whole."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from parley.shared.trust_storage.identity import find_identity
from tests.support.commands import PARLEY, client_environment, run_parley
from tests.support.nodes import ROOT, Node, wait_until

ADDRESS = "127.0.94.1"
OPERATIONS = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
LARGE = 70_000
RARE = {"NAME/chat.links", "NAME/typing.links", "NAME/location.links"}
"""Files that are there only where servers that are no Parleys were linked."""


def section(title: str) -> str:
    return OPERATIONS.split(f"\n## {title}\n")[1].split("\n## ")[0]


def table() -> set[str]:
    """The paths in the table: those behind a comma are in the directory of the first."""
    rows = re.findall(r"^\| ([\w./, -]+?) \|", section("The data directory"), re.MULTILINE)
    paths = [path for path in rows if path not in {"path in it", "NAME/"} and not path.startswith("-")]
    return {str(Path(row.split(", ")[0]).with_name(Path(each).name)) for row in paths for each in row.split(", ")}


def found(directory: Path) -> set[str]:
    files = (path.relative_to(directory) for path in directory.rglob("*") if not path.is_dir())
    named = (re.sub("^alpha/", "NAME/", str(path)) for path in files)
    return {re.sub(r"(\.bodies|\.journal)/.*", r"\1", path) for path in named}  # the table has these directories


@pytest.fixture
def alpha(tmp_path):
    """A node that was used: a user came, mail waits, a large one, too, and it founded a federation and invites."""
    with Node("alpha", ADDRESS, tmp_path, ("discovery", "chat"), {"PARLEY_SECURITY__MODE": "strict"}) as node:
        environment = client_environment(ADDRESS, tmp_path)
        for text in ("hello", "x" * LARGE):
            sent = run_parley(
                "send", "--as", "al@alpha", "al@alpha", text, "--wait", "0", environment=environment, timeout=60.0
            )
            assert sent.returncode == 3, sent.stderr
        for arguments in (["init"], ["invite"]):
            done = run_parley("federation", *arguments, environment=node.environment, timeout=60.0)
            assert done.returncode == 0, done.stderr
        yield node


def test_the_table_lists_what_a_used_data_directory_holds(alpha):
    data = alpha.directory / "data"
    wait_until(lambda: table() - RARE <= found(data), what=f"all of {table() - RARE}")
    assert found(data) <= table()


def test_the_backup_of_a_running_node_is_whole(alpha, tmp_path):
    blocks = re.findall(r"(?:^    .*\n)+", section("Backup"), re.MULTILINE)
    (commands,) = [block for block in blocks if "VACUUM" in block]
    shims = tmp_path / "bin"
    shims.mkdir()
    for name, text in SHIMS.items():
        (shims / name).write_text(text)
        (shims / name).chmod(0o755)
    environment = alpha.environment | {"PATH": f"{shims}:/usr/bin:/bin"}
    done = subprocess.run(
        ["bash", "-e", "-c", commands],
        cwd=alpha.directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "al@alpha" in done.stdout
    made_again = {"-wal", "-shm", "lock", "sock", "delivered.keys", "group.numbers", "archive.journal"}
    data, backup = alpha.directory / "data", alpha.directory / "backup"
    wanted = {path for path in found(data) if not any(path.endswith(end) for end in made_again)}
    assert wanted <= found(backup)
    assert find_identity(backup, "alpha").public == find_identity(data, "alpha").public


SHIMS = {
    "sqlite3": f"""#!{sys.executable}
import sqlite3, sys
sqlite3.connect(sys.argv[1]).execute(sys.argv[2])
""",
    "parley": f"""#!/bin/sh
exec {PARLEY} "$@"
""",
}
"""`sqlite3 FILE STATEMENT` for machines that lack it, and the command of this tree."""
