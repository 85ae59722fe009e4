"""A process in a container can do little but its work: no capability, no root, nothing to write but its data."""

import json

import pytest

from tests.support.container_nodes import run_in

LOOK = """
import json, os, pathlib
status = dict(line.split(":", 1) for line in pathlib.Path("/proc/1/status").read_text().splitlines())
def written(path):
    try:
        pathlib.Path(path).write_text("x")
    except OSError as error:
        return error.strerror
    pathlib.Path(path).unlink()
    return "written"
print(json.dumps({
    "user": os.getuid(),
    "of the process": status["Uid"].split()[0],
    "capabilities": {name: int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")},
    "no new privileges": status["NoNewPrivs"].strip(),
    "seccomp": status["Seccomp"].strip(),
    "wrote": {path: written(path) for path in ("/x", "/app/x", "/opt/venv/x", "/tmp/x", "/data/x")},
}))
"""
READ_ONLY = "Read-only file system"


@pytest.mark.parametrize("service", ["discovery", "chat", "typing", "location"])
def test_a_process_has_no_capability_no_root_and_nothing_to_write_but_its_data(pair, service):
    """`/proc/1` is the container's first process, which docker's init holds: ours has what it has."""
    for node in pair:
        seen = json_in(node.containers[service])
        assert seen["user"] == 10001
        assert seen["of the process"] == "10001"
        assert set(seen["capabilities"].values()) == {0}
        assert seen["no new privileges"] == "1"
        assert seen["seccomp"] == "2", "the engine's own filter"
        assert seen["wrote"] == {
            "/x": READ_ONLY,
            "/app/x": READ_ONLY,
            "/opt/venv/x": READ_ONLY,
            "/tmp/x": "written",
            "/data/x": "written",
        }


def json_in(container):
    """What a look around inside of it tells."""
    return json.loads(run_in(container, "python", "-c", LOOK))
