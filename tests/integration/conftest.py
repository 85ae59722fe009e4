"""Figures that tests measure, printed at the end of the run; and a network for each of several workers."""

import contextlib
import signal

import pytest

from tests.support.namespaces import leave

FIGURE = "figure"
LONGEST = (
    "test_monitoring_alerts.py",
    "test_handling.py",
    "test_cli_streams.py",
    "test_federation.py",
    "test_broken_lines.py",
    "test_bench_hop.py",
    "test_user_names.py",
    "test_refusals.py",
    "test_package.py",
    "test_server_keys.py",
    "test_device_pairing.py",
    "test_store.py",
    "test_same_name.py",
    "test_data_directory_table.py",
    "test_bounded_answers.py",
    "test_bad_input.py",
    "test_mailbox_cli.py",
    "test_cli.py",
    "test_wall_clocks.py",
    "test_power_cut.py",
    "test_dialects.py",
    "test_history.py",
)


def pytest_configure(config):
    """Separate workers (pytest -n): nodes ask by broadcast, and would hear those of another worker's tests.

    A shell starts what goes on in the background with two signals ignored, and what we start would inherit that.
    """
    with contextlib.suppress(ValueError):  # not the main thread
        for number in (signal.SIGINT, signal.SIGQUIT):
            if signal.getsignal(number) is signal.SIG_IGN:
                signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    if hasattr(config, "workerinput"):
        leave()


def pytest_collection_modifyitems(items):
    """Begin with the files that take longest, so that no worker is left with one of them in the end."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


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
