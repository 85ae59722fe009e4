"""How busy a thread is."""

import sys
import threading
import time

import pytest

from parley.shared.runtime.thread_load import ThreadLoad


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells")
def test_a_thread_that_computes_is_loaded_and_one_that_waits_is_not():
    load = ThreadLoad()
    until = time.monotonic() + 0.2
    while time.monotonic() < until:
        pass
    assert load.part() > 0.5
    threading.Event().wait(0.3)
    assert load.part() < 0.5
