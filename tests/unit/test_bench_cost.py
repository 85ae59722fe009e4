"""What processes have used, as the benches count it."""

import subprocess
import sys

from bench.cost import cpu

USES = """
import threading, time

def work():
    while time.thread_time() < 0.05:
        pass

thread = threading.Thread(target=work)
thread.start()
thread.join()
print(time.process_time(), flush=True)
input()
"""


def test_the_time_of_threads_that_have_ended_counts():
    with subprocess.Popen([sys.executable, "-c", USES], stdin=-1, stdout=-1, text=True) as process:
        said = float(process.stdout.readline())
        assert said >= 0.05
        assert cpu([process.pid]) >= said
        process.communicate("\n")


def test_a_process_that_has_ended_has_used_nothing():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert cpu([process.pid]) == 0.0
