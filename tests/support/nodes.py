"""Real nodes for tests: processes of Parley on a loopback address of their own, at the default ports.

    with Node("alpha", "127.0.3.1", tmp_path) as alpha, Node("beta", "127.0.3.2", tmp_path) as beta:
        wait_linked([alpha, beta], ["typing"])

Every process ends with the test, however the test ends: each is told to go when its standard input
closes. What it wrote to standard error is in `stderr(service)`, and in the message of what failed.
"""

from __future__ import annotations

import http.client
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple, Self, TypeVar

from prometheus_client.parser import text_string_to_metric_families

from tests.support.forking import ROOT, Forked, start_forked

HTTP_PORTS = {"discovery": 9401, "chat": 9402, "typing": 9403, "location": 9404}
SERVICES = tuple(HTTP_PORTS)
TIMEOUT = 15.0
"""Seconds until a wait counts as failed."""
STOP_TIMEOUT = 5.0
"""Seconds that a process has to end after SIGTERM."""
POLL = 0.02
COUNTED = {"PARLEY_LIMITS__METRICS_INTERVAL": "0.02"}
"""Settings of a node whose counters are looked at often: each look would wait for the next page, up to a second."""
TAIL = 20
"""Lines of standard error that a failure shows."""

T = TypeVar("T")


def wait_until(predicate: Callable[[], T], timeout: float = TIMEOUT, what: str = "", every: float = POLL) -> T:
    """Return the predicate's first true value; an OSError (nobody answers yet) counts as false.

    It is asked every so many seconds.

    Raises:
        TimeoutError: not within `timeout` seconds; says what was waited for and what came last.

    """
    deadline = time.monotonic() + timeout
    while True:
        last: object
        try:
            last = value = predicate()
            if value:
                return value
        except OSError as error:
            last = error
        if time.monotonic() >= deadline:
            raise TimeoutError(f"not within {timeout} s: {what or predicate}; last: {last!r}")
        time.sleep(every)


class Samples:
    """What a process counts, as /metrics tells it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
        said = re.search(r"^# As of ([\d.]+)\.$", text, re.MULTILINE)
        self.as_of = float(said[1]) if said else math.inf
        """When it was so (time.time()); what does not say it was made for us."""

    def value(self, name: str, /, **labels: str) -> float:
        """Add up the samples of that name that have these labels; 0.0 where there is none."""
        return sum(
            s.value
            for s in self.samples
            if s.name == name and all(s.labels.get(key) == value for key, value in labels.items())
        )


def command_of(service: str) -> list[str]:
    """What runs a service alone."""
    return [sys.executable, "-m", f"services.{service}"]


class Process(NamedTuple):
    """One process of a node."""

    popen: subprocess.Popen[bytes] | Forked
    stderr: Path


class Node:
    """Chosen services of one node, each a process; a context manager that leaves none behind.

    `directory` takes the node's data and its processes' standard error, under the node's name; `settings` are more
    variables of their environment (PARLEY_LINK__BACKOFF_MAX="1"). The tests' own PARLEY_… variables, but for
    PARLEY_PURE, and a parley.yml in the working directory do not reach the processes. `root`: the
    checkout that runs.
    """

    def __init__(
        self,
        server_id: str,
        address: str,
        directory: Path,
        services: Sequence[str] = SERVICES,
        settings: Mapping[str, str] | None = None,
        root: Path = ROOT,
    ) -> None:
        if not address.startswith("127."):
            raise ValueError(f"{address} is no loopback address: a test broadcasts on no other network")
        self.server_id = server_id
        self.address = address
        self.services = tuple(services)
        self.directory = directory / server_id
        self.root = root
        self._settings = dict(settings or {})
        self.headers: dict[str, str] = {}
        """What its pages are asked with."""
        self._processes: dict[str, Process] = {}
        self._read: dict[str, Samples] = {}

    def __repr__(self) -> str:
        return f"<Node {self.server_id} at {self.address}>"

    def __enter__(self) -> Self:
        try:
            for service in self.services:
                self.start(service)
            self.wait_ready()
        except BaseException:
            self._kill_all()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if error is None:
            self.stop()
            return
        for service in self._processes:
            error.add_note(self._describe(service))
        self._kill_all()

    # Processes ---------------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        """What the processes run with: for a client of this node or a process that a test starts itself."""
        clean = {
            key: value for key, value in os.environ.items() if key == "PARLEY_PURE" or not key.startswith("PARLEY_")
        }
        config = self.directory / "parley.yml"
        if not config.exists():
            self.directory.mkdir(parents=True, exist_ok=True)
            config.touch()
        return clean | {
            "PARLEY_ADDRESS": self.address,
            "PARLEY_CLIENT__DATA_DIR": str(self.directory / "people"),
            "PARLEY_CONFIG": str(config),
            "PARLEY_DATA_DIR": str(self.directory / "data"),
            "PARLEY_SERVER_ID": self.server_id,
            **self._settings,
        }

    def start(self, service: str) -> None:
        """Start a process, without waiting for it; `wait_ready` does. RuntimeError where it runs already."""
        if service in self._processes:
            if self._processes[service].popen.poll() is None:
                raise RuntimeError(f"{service} of {self} is running")
            self._forget(service)
        environment = self.environment | {"PARLEY_SUPERVISED": "1"}
        stderr = self.directory / f"{service}.stderr"
        with stderr.open("ab") as file:
            popen = self._forked(service, environment, file) or subprocess.Popen(
                self.command_of(service),
                cwd=self.root,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=file,
            )
        self._processes[service] = Process(popen, stderr)

    def command_of(self, service: str) -> list[str]:
        """What runs a service."""
        return command_of(service)

    def _forked(self, service: str, environment: Mapping[str, str], file: IO[bytes]) -> Forked | None:
        """The process, if it is one of this checkout that nothing stands before."""
        is_usual = self.root == ROOT and self.command_of(service) == command_of(service)
        return start_forked(service, environment, file) if is_usual else None

    def pid(self, service: str) -> int:
        """The process id."""
        return self._processes[service].popen.pid

    def is_running(self, service: str) -> bool:
        """Whether the process was started and has not ended."""
        process = self._processes.get(service)
        return process is not None and process.popen.poll() is None

    def kill(self, service: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a process; after SIGKILL wait for its end, so that `start` may follow."""
        self._processes[service].popen.send_signal(number)
        if number is signal.SIGKILL:
            self.wait_exit(service)

    def wait_exit(self, service: str, timeout: float = TIMEOUT) -> int:
        """Wait for a process to end, and forget it; return its exit code (-N: ended by signal N)."""
        code = self._processes[service].popen.wait(timeout)
        self._forget(service)
        return code

    def stop(self) -> None:
        """Ask all processes to end (SIGTERM) and wait for them.

        Raises:
            AssertionError: one had died before, ended with an error, or had to be killed.

        """
        faults = []
        running = [service for service in self._processes if self.is_running(service)]
        faults += [f"had ended before: {self._describe(s)}" for s in self._processes if s not in running]
        for service in running:
            self.kill(service, signal.SIGTERM)
            self.kill(service, signal.SIGCONT)
        deadline = time.monotonic() + STOP_TIMEOUT
        for service in running:
            try:
                code = self._processes[service].popen.wait(max(deadline - time.monotonic(), 0.0))
            except subprocess.TimeoutExpired:
                faults.append(f"did not end within {STOP_TIMEOUT} s of SIGTERM: {self._describe(service)}")
            else:
                if code != 0:
                    faults.append(f"ended with {code}: {self._describe(service)}")
        self._kill_all()
        assert not faults, "\n".join(faults)

    def _kill_all(self) -> None:
        for service in list(self._processes):
            if self.is_running(service):
                self.kill(service)
            else:
                self._forget(service)

    def _forget(self, service: str) -> None:
        popen = self._processes.pop(service).popen
        popen.wait()
        if popen.stdin is not None:
            popen.stdin.close()

    # What it tells --------------------------------------------------------------------------------

    def get(self, service: str, path: str, timeout: float = 2.0) -> tuple[int, bytes]:
        """GET a page of a process: HTTP status and body. OSError where it does not answer."""
        connection = http.client.HTTPConnection(self.address, HTTP_PORTS[service], timeout=timeout)
        try:
            connection.request("GET", path, headers={"Connection": "close", **self.headers})
            response = connection.getresponse()
            return response.status, response.read()
        except http.client.HTTPException as error:
            raise ConnectionError(f"{service} of {self}: {error!r}") from error
        finally:
            connection.close()

    def status(self, service: str) -> dict[str, Any]:
        """What /status tells."""
        status: dict[str, Any] = json.loads(self.get(service, "/status")[1])
        return status

    def metrics(self, service: str) -> Samples:
        """What a process counts now: /metrics is rendered once a second at most, and says when that was."""
        asked = time.time()
        wait_until(lambda: self._read_metrics(service).as_of >= asked, what=f"metrics of {service} of {self}")
        return self._read[service]

    def _read_metrics(self, service: str) -> Samples:
        """What /metrics tells: a second old at most. The same page again is not read again."""
        text = self.get(service, "/metrics")[1].decode()
        read = self._read.get(service)
        if read is None or read.text != text:
            read = self._read[service] = Samples(text)
        return read

    def is_ready(self, service: str) -> bool:
        """Whether /readyz says so. RuntimeError where the process has died."""
        if not self.is_running(service):
            raise RuntimeError(f"died: {self._describe(service)}")
        return self.get(service, "/readyz")[0] == http.client.OK

    def linked(self, service: str) -> set[str]:
        """The servers that a process is linked with."""
        return {peer["server_id"] for peer in self.status(service)["peers"] if peer["state"] == "linked"}

    def stderr(self, service: str) -> str:
        """What a service's processes have written to standard error, all of them since the node began."""
        return (self.directory / f"{service}.stderr").read_text(encoding="utf-8", errors="replace")

    def logged(self, service: str, event: str) -> list[dict[str, Any]]:
        """The log lines of that event."""
        lines = [json.loads(line) for line in self.stderr(service).splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("event") == event]

    # Waiting -----------------------------------------------------------------------------------------

    def wait_ready(self, *services: str, timeout: float = TIMEOUT) -> None:
        """Wait until these services, or all that were started, are ready."""
        for service in services or tuple(self._processes):
            try:
                wait_until(partial(self.is_ready, service), timeout, f"{service} of {self} ready")
            except TimeoutError as error:
                raise TimeoutError(f"{error}\n{self._why_not_ready(service)}\n{self._describe(service)}") from None

    def wait_linked(self, service: str, *server_ids: str, timeout: float = TIMEOUT) -> None:
        """Wait until a process is linked with these servers."""
        wanted = set(server_ids)
        wait_until(lambda: wanted <= self.linked(service), timeout, f"{service} of {self} linked with {wanted}")

    def wait_metric(
        self, service: str, at_least: float, name: str, timeout: float = TIMEOUT, **labels: str
    ) -> None:
        """Wait until a sum of samples (see `Samples.value`) is so large."""
        what = f"{name} {labels} of {service} of {self} ≥ {at_least}"
        wait_until(lambda: self._read_metrics(service).value(name, **labels) >= at_least, timeout, what)

    def _why_not_ready(self, service: str) -> str:
        try:
            return self.get(service, "/readyz")[1].decode()
        except OSError as error:
            return repr(error)

    def _describe(self, service: str) -> str:
        process = self._processes[service]
        lines = process.stderr.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL:]
        code = process.popen.poll()
        state = "running" if code is None else f"exit code {code}"
        return "\n    ".join([f"{service} of {self}, {state}, last words:", *lines])


def wait_linked(nodes: Iterable[Node], services: Sequence[str] = SERVICES[1:], timeout: float = TIMEOUT) -> None:
    """Wait until each of these nodes is linked with each other one, for each of the services."""
    nodes = list(nodes)
    for node in nodes:
        others = [other.server_id for other in nodes if other is not node]
        for service in services:
            node.wait_linked(service, *others, timeout=timeout)
