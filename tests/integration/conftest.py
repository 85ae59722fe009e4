"""Figures that tests measure, printed at the end of the run; and a network for each of several workers."""

import pytest

from tests.support.namespaces import leave

FIGURE = "figure"
LONGEST = "test_monitoring_alerts.py"


def pytest_configure(config):
    """Separate workers (pytest -n): nodes ask by broadcast, and would hear those of another worker's tests."""
    if hasattr(config, "workerinput"):
        leave()


def pytest_collection_modifyitems(items):
    """Begin with the file that takes longest, so that no worker is left with it in the end."""
    items.sort(key=lambda item: item.path.name != LONGEST)


@pytest.fixture
def figure(record_property):
    """Note a line with a measured figure; it is printed after the tests."""
    return lambda line: record_property(FIGURE, line)


def pytest_terminal_summary(terminalreporter):
    """Print the figures, whichever worker measured them."""
    reports = [report for key in ("passed", "failed") for report in terminalreporter.stats.get(key, [])]
    lines = [line for report in reports for name, line in report.user_properties if name == FIGURE]
    if lines:
        terminalreporter.section("measured")
        for line in lines:
            terminalreporter.write_line(line)
