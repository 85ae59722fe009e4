"""The curves can be measured: in small, at real processes."""

import json
import subprocess
import sys

import pytest

from tests.support.nodes import ROOT


@pytest.mark.parametrize(("name", "sizes"), [("connects", 2), ("groups", 6), ("payloads", 4)])
def test_a_curve_is_measured_and_written(tmp_path, name, sizes):
    file = tmp_path / "curves.json"
    command = [sys.executable, "-m", "bench.curves", name, "--short", "--json", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    curve = json.loads(file.read_text())["curves"][name]
    assert len(curve["rows"]) == sizes
    assert all(
        value["median"] > 0 for row in curve["rows"] for key, value in row["values"].items() if key != "written"
    )
