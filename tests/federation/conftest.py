"""One engine, one image for all tests here; skipped with the reason where there is none.

With REQUIRE_DOCKER=1 nothing is skipped; with CI=true a missing engine is, a failed build is not.
"""

import os
import signal

import pytest

from tests.support.container_nodes import TIMEOUT
from tests.support.containers import BuildFailed, Engine, Unavailable
from tests.support.nodes import wait_linked

REQUIRED = os.environ.get("REQUIRE_DOCKER") == "1"
IN_CI = os.environ.get("CI", "").lower() in ("true", "1")


def give_up(reason, *, failed):
    if failed:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def engine(request):
    """The engine, with this run's image built; at the end all is removed that this run made."""
    try:
        found = Engine.find()
    except Unavailable as reason:
        give_up(str(reason), failed=REQUIRED)
    # Being told to end, by whoever runs the tests, is like Ctrl-C: what was made is removed.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    with found:
        request.config.stash[ENGINE] = found
        try:
            found.build()
        except BuildFailed as error:
            give_up(f"the image could not be made: {error}", failed=REQUIRED or IN_CI)
        yield found
        del request.config.stash[ENGINE]
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def projects(engine):
    """Two compose projects, alpha and beta, on one network."""
    found = {name: engine.project(name, network="pair", SERVER_ID=name) for name in ("alpha", "beta")}
    yield found
    for project in found.values():
        project.remove()


@pytest.fixture(scope="session")
def started(projects):
    """Their two nodes, all processes ready."""
    return [node for project in projects.values() for node in project.up()]


@pytest.fixture
def pair(started):
    """The two nodes, ready and linked whatever a test did to them before."""
    for node in started:
        node.wait_ready()
    wait_linked(started, timeout=TIMEOUT)
    return started


@pytest.fixture
def measured(request):
    """Takes a line for the summary."""
    return request.config.stash.setdefault(MEASURED, []).append


def pytest_terminal_summary(terminalreporter, config):
    """Print what was measured."""
    lines = config.stash.get(MEASURED, [])
    if lines:
        terminalreporter.section("measured in containers")
        terminalreporter.write_line("\n".join(lines))


MEASURED = pytest.StashKey[list[str]]()
ENGINE = pytest.StashKey[Engine]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """A failure shows what the containers said last."""
    report = yield
    if report.failed and (engine := item.config.stash.get(ENGINE, None)) is not None:
        report.sections.append(("Containers", engine.last_words()))
    return report
