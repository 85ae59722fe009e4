"""Figures that tests measure, printed at the end of the run."""

import pytest

FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture
def figure(pytestconfig):
    """Note a line with a measured figure; it is printed after the tests."""
    return pytestconfig.stash.setdefault(FIGURES, []).append


def pytest_terminal_summary(terminalreporter, config):
    """Print the figures."""
    lines = config.stash.get(FIGURES, [])
    if lines:
        terminalreporter.section("measured")
        for line in lines:
            terminalreporter.write_line(line)
