"""The lock files fit pyproject.toml, are whole, and name no place where packages come from."""

import re
import tomllib
from itertools import product
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FILES = sorted((ROOT / "deploy" / "locks").glob("*.txt"))
EXTRAS = {"runtime": ("cli", "node"), "development": ("dev",)}
SYSTEMS = [
    {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": system,
        "platform_machine": machine,
        "platform_system": system.capitalize(),
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
        "os_name": "posix",
    }
    for python, (system, machine) in product(
        ("3.11", "3.12", "3.13", "3.14"),
        (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("darwin", "x86_64")),
    )
]


def entries(name):
    """The requirements of a lock, and how many hashes each has."""
    text = (ROOT / "deploy" / "locks" / f"{name}.txt").read_text().replace("\\\n", " ")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            requirement, *hashes = re.split(r"\s+--hash=", line)
            assert all(re.fullmatch(r"sha256:[0-9a-f]{64}\s*", each) for each in hashes), line[:80]
            yield Requirement(requirement), len(hashes)


def holds(requirement, system):
    return requirement.marker is None or requirement.marker.evaluate(default_environment() | system)


def locked(name, system):
    """Package → version, on such a system."""
    found = [each for each, _ in entries(name) if holds(each, system)]
    versions = {canonicalize_name(each.name): str(each.specifier).removeprefix("==") for each in found}
    assert len(versions) == len(found), "one package twice"
    return versions


def wanted(extras, system):
    """The requirements of pyproject.toml, those of its own extras included."""
    names, todo = list(PROJECT["dependencies"]), list(extras)
    while todo:
        for text in PROJECT["optional-dependencies"][todo.pop()]:
            requirement = Requirement(text)
            if requirement.name == PROJECT["name"]:
                todo += requirement.extras
            else:
                names.append(text)
    return [each for each in map(Requirement, names) if holds(each, system)]


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda s: "-".join(list(s.values())[i] for i in (0, 2, 3)))
@pytest.mark.parametrize("name", EXTRAS)
def test_each_range_of_the_project_has_a_locked_version_in_it(name, system):
    versions = locked(name, system)
    for requirement in wanted(EXTRAS[name], system):
        version = versions.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement} is not locked: make lock"
        assert requirement.specifier.contains(version, prereleases=True), f"{requirement}: {version}: make lock"


@pytest.mark.parametrize("system", SYSTEMS[:2], ids=["x86_64", "aarch64"])
@pytest.mark.parametrize("name", ["runtime", "build"])
def test_what_the_image_gets_is_what_is_tested(name, system):
    assert locked(name, system).items() <= locked("development", system).items()


def test_the_image_gets_nothing_that_only_tests_need():
    assert not {"pytest", "ruff", "mypy", "hypothesis", "setuptools"} & locked("runtime", SYSTEMS[0]).keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_each_package_is_pinned_with_the_hashes_of_its_files(path):
    for requirement, hashes in entries(path.stem):
        assert re.fullmatch(r"==[0-9][^,*]*", str(requirement.specifier)), requirement
        assert hashes, f"{requirement} has no hash"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_lock_names_no_place(path):
    assert not re.search(r"://|index|find-links|trusted-host|\bfile:", path.read_text())


@pytest.mark.parametrize("file", ["deploy/setup.sh", "deploy/lock-tools.sh", "Dockerfile"])
def test_what_is_installed_from_a_lock_is_checked_against_its_hashes(file):
    commands = re.split(r"&&|\|\||\n", (ROOT / file).read_text().replace("\\\n", " "))
    installed = [command for command in commands if "--requirement" in command]
    assert installed
    assert [command for command in installed if "--require-hashes" not in command] == []
