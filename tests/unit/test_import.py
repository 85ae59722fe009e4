"""`import parley`: what it loads, how long it takes, and what an installation without the extras says."""

import statistics
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import parley
from parley.shared.errors import EXIT_CONFIG
from parley.shared.extras import EXTRAS, needed_extra

ROOT = Path(__file__).parents[2]
NEVER_LOADED = {
    "parley.cli",
    "parley.services",
    "prometheus_client",
    "h11",
    "prompt_toolkit",
    "rich",
    "typer",
    "uvloop",
}
"""What a program that uses the library never loads, not even when it uses it."""
CLIENT = [
    "ChatFeature",
    "Delivery",
    "DiscoveryService",
    "FeatureBase",
    "LocationFeature",
    "RequestFailed",
    "TypingFeature",
]
RUNS = 7
LONGEST = 0.15
"""Seconds of a processor for `import parley`, the median of RUNS; an interpreter's own start is not counted."""
TIMED = "import time; began = time.process_time(); import parley; print(time.process_time() - began)"
HIDDEN = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hidden())
"""


def run(code, *arguments):
    """A program of its own; its exit code, and what it printed."""
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    return ended.returncode, ended.stdout, ended.stderr


def loaded(code):
    """The modules that a program has loaded at its end."""
    exit_code, printed, errors = run(f"{code}\nimport sys\nprint(*sys.modules)")
    assert (exit_code, errors) == (0, "")
    return set(printed.split())


def named(modules, wanted):
    """Those modules that are one of the wanted, or in one."""
    return {name for name in modules for one in wanted if name == one or name.startswith(f"{one}.")}


def without(extra, code, *arguments):
    """A program where an extra is not installed."""
    return run(HIDDEN.format(hidden=set(EXTRAS[extra])) + code, *arguments)


def test_the_name_alone_loads_nothing_of_parley():
    assert {name for name in loaded("import parley") if name.startswith("parley")} == {"parley"}
    assert not named(loaded("import parley"), {"psutil", "google", "asyncio", "structlog"})


def test_the_client_s_names_load_no_service_and_nothing_of_the_extras():
    modules = loaded("import parley\n" + "\n".join(f"parley.{name}" for name in CLIENT))
    assert "parley.client.chat" in modules
    assert not named(modules, NEVER_LOADED)
    assert "psutil" not in modules, "it is for the first look at the networks"


def test_importing_takes_no_time():
    took = [float(run(TIMED)[1]) for _ in range(RUNS)]
    assert statistics.median(took) <= LONGEST, took


def test_each_public_name_is_there_and_listed():
    assert set(parley.PUBLIC) <= set(dir(parley))
    for name in parley.PUBLIC:
        assert getattr(parley, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Chat'"):
        _ = parley.Chat  # type: ignore[attr-defined]


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_modules_of_an_extra_are_of_packages_that_it_brings(extra):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    brought = {text.partition(">")[0].lower() for text in project["optional-dependencies"][extra]}
    packages = metadata.packages_distributions()
    for module in EXTRAS[extra]:
        assert {name.lower().replace("_", "-") for name in packages[module]} <= brought


def test_a_module_that_no_extra_brings_is_none_of_ours():
    assert needed_extra(ModuleNotFoundError("no", name="json.decoder")) == ""
    assert needed_extra(ModuleNotFoundError("no", name="typer.main")).endswith(
        "pip install 'parley-lan[cli]' brings it"
    )


def test_without_the_command_line_its_command_says_which_extra_it_is():
    exit_code, printed, errors = without("cli", "from parley.__main__ import main; main()", "servers")
    assert (exit_code, printed) == (EXIT_CONFIG, "")
    assert errors.startswith("parley: the command line is an extra: ")
    assert errors.endswith(" is not installed; pip install 'parley-lan[cli]' brings it\n")


@pytest.mark.parametrize("words", [["serve"], ["serve", "chat"], ["mailbox", "list"], ["mailbox", "drop", "--all"]])
def test_without_a_node_s_packages_its_commands_say_which_extra_they_need(words):
    exit_code, printed, errors = without("node", "from parley.__main__ import main; main()", *words)
    assert (exit_code, printed) == (EXIT_CONFIG, "")
    assert errors.startswith("parley: this command is for who runs a node: ")
    assert errors.endswith(" is not installed; pip install 'parley-lan[node]' brings it\n")


def test_without_a_node_s_packages_the_commands_for_people_are_there():
    exit_code, printed, errors = without("node", "from parley.__main__ import main; main()", "send", "--help")
    assert (exit_code, errors) == (0, "")
    assert "--file" in printed


@pytest.mark.parametrize(
    "module", ["parley.cli.main", "parley.cli.people.commands", "parley.shared.service.process"]
)
def test_what_few_need_is_loaded_by_those_alone(module):
    """Tables, colours and YAML: a third of the time that `parley send` took to begin."""
    assert not named(loaded(f"import {module}"), {"rich", "pygments", "yaml", "parley.cli.tables"})


@pytest.mark.parametrize("module", ["parley.services.chat.archive.process.__main__", "parley.cli.operator.mailbox"])
def test_who_needs_a_part_of_chat_loads_no_whole_service(module):
    """An interpreter that is started for the archive's process would take twice as long."""
    assert "parley.services.chat.service" not in loaded(f"import {module}")
