"""`make setup`: what is missing is said as a command to paste, and what takes its time says that it works."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
TOOLS = ("sh", "env", "dirname", "cat", "mktemp", "rm", "tail", "tr", "grep", "cut")
PYTHON = """
case "$2" in
*version_info\\ *) exit 0 ;;
*ensurepip*) exit {has_venv} ;;
*-venv*) echo python3.12-venv ;;
*) exit 1 ;;
esac
"""


@pytest.fixture
def machine(tmp_path):
    """A machine with few commands; what is put there does what its text says."""

    class Machine:
        commands = tmp_path / "bin"

        def put(self, name, text="exit 1"):
            file = self.commands / name
            file.write_text(f"#!/bin/sh\n{text}\n")
            file.chmod(0o755)

        def run(self, *words):
            environment = {"PATH": str(self.commands), "LC_ALL": "C"}
            return subprocess.run(
                ["/bin/sh", *map(str, words)],
                env=environment,
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )

    Machine.commands.mkdir()
    for tool in TOOLS:
        (Machine.commands / tool).symlink_to(shutil.which(tool))
    made = Machine()
    made.put("id", "echo 1000")
    return made


def last_command(ended):
    """What is to be pasted."""
    return [line.strip() for line in ended.stderr.splitlines() if line.startswith("    ")]


@pytest.mark.parametrize(
    ("manager", "command"),
    [
        ("apt-get", "sudo apt-get update && sudo apt-get install -y python3 python3-venv"),
        ("dnf", "sudo dnf install -y python3"),
        ("apk", "sudo apk add python3"),
        ("pacman", "sudo pacman -S --needed python"),
    ],
)
def test_without_python_it_says_how_to_install_it(machine, tmp_path, manager, command):
    machine.put(manager)
    ended = machine.run(DEPLOY / "setup.sh", tmp_path / "venv")
    assert ended.returncode == 1
    assert "Python 3.11 or newer is needed." in ended.stderr
    assert last_command(ended) == [command]


@pytest.mark.parametrize(("who", "sudo"), [("1000", "sudo "), ("0", "")])
def test_without_venv_it_says_which_package_has_it(machine, tmp_path, who, sudo):
    machine.put("id", f"echo {who}")
    machine.put("apt-get", "echo 'E: Unable to locate package'; exit 100")
    machine.put("sleep", "exit 0")
    machine.put("python3.12", PYTHON.format(has_venv=1))
    ended = machine.run(DEPLOY / "setup.sh", tmp_path / "venv")
    assert ended.returncode == 1
    assert "python3.12-venv is missing" in ended.stderr
    assert last_command(ended) == [f"{sudo}apt-get update && {sudo}apt-get install -y python3.12-venv"]


def test_what_takes_its_time_says_what_it_does(machine, tmp_path):
    go_on = tmp_path / "go on"
    os.mkfifo(go_on)
    machine.put("sleep", "exit 0")  # time flies
    script = (
        f'. {DEPLOY}/working.sh; working "installing" sh -c \'echo Collecting rich; read _ <"{go_on}"\'; echo done'
    )
    with subprocess.Popen(
        ["/bin/sh", "-c", script], env={"PATH": str(machine.commands)}, stdout=subprocess.PIPE, text=True
    ) as ended:
        lines = iter(ended.stdout.readline, "")
        assert next(line for line in lines if "Collecting" in line).startswith("  … installing: ")
        with go_on.open("w") as writer:
            writer.write("\n")
        assert list(lines)[-1] == "done\n"


def test_what_fails_shows_what_it_said(machine):
    machine.put("sleep", "exit 0")
    script = f". {DEPLOY}/working.sh; working installing sh -c 'echo no room; exit 7'; echo $?"
    ended = machine.run("-c", script)
    assert ended.stdout.splitlines()[-1] == "7"
    assert ended.stderr == "no room\n"
