"""Settings for all tests, and a home of their own for the keys of the clients that they run."""

import gc
import os
import signal

import pytest
from hypothesis import settings

# Hypothesis gives each example 200 ms by default, of a clock that runs on while others have the processors: a busy
# machine is no fault of Parley's. Tests that say how quick something is are marked `timed`.
settings.register_profile("parley", deadline=None)
settings.load_profile("parley")


def pytest_configure():
    """Take signals as usual: what `nohup` or `&` ignores, each child would ignore, too."""
    for each in (signal.SIGHUP, signal.SIGQUIT):
        signal.signal(each, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish():
    """Set aside what stays until the end: the collector would look through thousands of tests again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def users_of_the_module(tmp_path_factory):
    """The users' directory of a module's own nodes: a client that comes again is the same device."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.getbasetemp() / f"people-{os.urandom(4).hex()}"))
        yield


@pytest.fixture(autouse=True)
def users_of_the_test(request, tmp_path_factory, monkeypatch):
    """The users' directory of one test's nodes: another test's have the same names, and other keys."""
    if not _has_nodes_of_its_module(request):
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.getbasetemp() / f"people-{os.urandom(4).hex()}"))


def _has_nodes_of_its_module(request):
    """Whether a test uses what others of its file use, too."""
    definitions = request.node._fixtureinfo.name2fixturedefs
    own = request.node.nodeid.partition("::")[0]
    return any(
        definition.scope == "module" and definition.baseid == own
        for found in definitions.values()
        for definition in found
    )
