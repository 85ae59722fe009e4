"""The command line in tests: `parley …` as a process of its own, its lines as they come, and its end.

    with Command("listen", "--as", "bob@beta", environment=beta.environment) as listener:
        listener.wait_error("listening as bob@beta")

What runs is in a session of its own, so that `interrupt` is a terminal's Ctrl-C: a SIGINT to all of it. But for
`parley serve`, it is forked from a process that has imported what most commands need.
"""

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, Self, cast

import psutil

from tests.support.forking import PARLEY, Forked, start_forked_command
from tests.support.nodes import ROOT, SERVICES, TIMEOUT, Node, wait_until


def client_environment(address: str, directory: Path, **settings: str) -> dict[str, str]:
    """What a client runs with: an address and a home of its own, nothing of this shell's, and no parley.yml.

    Its keys are in the directory that tests/conftest.py gives: whoever comes again to the same nodes is the same
    device.
    """
    config = directory / "client.yml"
    config.touch()
    clean = {
        key: value
        for key, value in os.environ.items()
        if key in ("PARLEY_PURE", "XDG_DATA_HOME") or not key.startswith(("PARLEY_", "XDG_"))
    }
    home = {"HOME": str(directory)}
    return clean | home | {"PARLEY_ADDRESS": address, "PARLEY_CONFIG": str(config), **settings}


def run_parley(
    *arguments: str, environment: Mapping[str, str], text: str = "", timeout: float = TIMEOUT
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, `text` on its standard input; TimeoutExpired where it does not end."""
    return _run_forked(arguments, environment, text, timeout) or subprocess.run(
        [PARLEY, *arguments],
        cwd=ROOT,
        env=dict(environment),
        input=text,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def _run_forked(
    arguments: Sequence[str], environment: Mapping[str, str], text: str, timeout: float
) -> subprocess.CompletedProcess[str] | None:
    """The same in a forked process; None where there is nothing to fork it from."""
    with ThreadPoolExecutor(3) as readers:
        (out, to_out), (err, to_err) = os.pipe(), os.pipe()
        said = [readers.submit(_read_all, each) for each in (out, err)]
        try:
            process = _forked(arguments, environment, to_out, to_err)
        finally:
            os.close(to_out)
            os.close(to_err)
        if process is None:
            return None
        readers.submit(_write_all, process, text)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        return subprocess.CompletedProcess([PARLEY, *arguments], code, *(each.result(timeout) for each in said))


def _forked(arguments: Sequence[str], environment: Mapping[str, str], out: int, err: int) -> Forked | None:
    """The process, unless that is a supervisor: its own start is part of what is tried."""
    return start_forked_command(arguments, environment, out, err) if arguments[:1] != ("serve",) else None


def _read_all(descriptor: int) -> str:
    with os.fdopen(descriptor, encoding="utf-8") as file:
        return file.read()


def _write_all(process: Forked, text: str) -> None:
    with contextlib.suppress(BrokenPipeError), cast("IO[bytes]", process.stdin) as stdin:  # it may not want it
        stdin.write(text.encode())


class Command:
    """A command that goes on until it is told to stop; a context manager that leaves nothing behind."""

    def __init__(self, *arguments: str, environment: Mapping[str, str]) -> None:
        self._arguments = arguments
        self._environment = dict(environment)
        self._out = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._err = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._family: dict[int, psutil.Process] = {}

    def __enter__(self) -> Self:
        descriptors = self._out.fileno(), self._err.fileno()
        self.popen = _forked(self._arguments, self._environment, *descriptors) or subprocess.Popen(
            [PARLEY, *self._arguments],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=self._out,
            stderr=self._err,
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.family()
        self.popen.kill()
        self.popen.wait()
        for process in self.survivors():
            with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
                process.kill()
        if self.popen.stdin is not None:
            self.popen.stdin.close()
        self._out.close()
        self._err.close()

    # Signals and the end ------------------------------------------------------------------------

    def interrupt(self) -> None:
        """Ctrl-C at its terminal: every process of it gets SIGINT."""
        os.killpg(self.popen.pid, signal.SIGINT)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the command alone."""
        self.popen.send_signal(number)

    def wait_exit(self, timeout: float = TIMEOUT) -> int:
        """Wait for its end; return the exit code."""
        return self.popen.wait(timeout)

    def family(self) -> list[psutil.Process]:
        """Its child processes now; all that are ever seen here are remembered."""
        try:
            children = psutil.Process(self.popen.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            children = []
        self._family |= {child.pid: child for child in children}
        return children

    def survivors(self) -> list[psutil.Process]:
        """Those of its child processes that were seen and still run."""
        return [process for process in self._family.values() if _runs(process)]

    # What it writes ---------------------------------------------------------------------------------

    def write(self, line: str) -> None:
        """Type a line."""
        assert self.popen.stdin is not None
        self.popen.stdin.write(line.encode() + b"\n")
        self.popen.stdin.flush()

    @property
    def lines(self) -> list[str]:
        """What it printed so far."""
        return _read(self._out)

    @property
    def errors(self) -> list[str]:
        """What it wrote to standard error so far."""
        return _read(self._err)

    def wait_line(self, part: str, timeout: float = TIMEOUT) -> str:
        """Wait for a printed line that holds `part`; return it."""
        return self._wait("lines", part, timeout)

    def wait_error(self, part: str, timeout: float = TIMEOUT) -> str:
        """Wait for a line on standard error that holds `part`; return it."""
        return self._wait("errors", part, timeout)

    def _wait(self, where: str, part: str, timeout: float) -> str:
        def found() -> str | None:
            line = next((line for line in getattr(self, where) if part in line), None)
            if line is None and self.popen.poll() is not None:
                raise RuntimeError(f"ended with {self.popen.returncode}: {self.lines} {self.errors}")
            return line

        return str(
            wait_until(found, timeout, f"{part!r} in {where} of {self._arguments}: {self.lines} {self.errors}")
        )


def _read(file: Any) -> list[str]:
    return os.pread(file.fileno(), 1 << 20, 0).decode(errors="replace").splitlines()


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class ServedNode(Node):
    """A whole node under its own supervisor, `parley serve`."""

    def __init__(
        self, server_id: str, address: str, directory: Path, settings: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(server_id, address, directory, SERVICES, settings)
        self.command = Command("serve", environment=self.environment)

    def __enter__(self) -> Self:
        self.command.__enter__()
        try:
            self.wait_ready()
            self.command.family()
        except BaseException as error:
            error.add_note("\n".join(self.command.errors))
            self.command.__exit__()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if error is not None:
            error.add_note("\n".join(self.command.errors))
        self.command.__exit__()

    def wait_ready(self, *services: str, timeout: float = TIMEOUT) -> None:
        """Wait until these services, or all, are ready."""
        for service in services or SERVICES:
            wait_until(lambda service=service: self.is_ready(service), timeout, f"{service} of {self} ready")  # type: ignore[misc]

    def is_running(self, service: str) -> bool:
        """Whether a process serves this feature now."""
        return service in self._pids()

    def is_ready(self, service: str) -> bool:
        """Whether /readyz says so. RuntimeError where the supervisor has died."""
        if self.command.popen.poll() is not None:
            raise RuntimeError(
                f"supervisor of {self} ended with {self.command.popen.returncode}: {self.command.errors}"
            )
        return self.get(service, "/readyz")[0] == 200

    def pid(self, service: str) -> int:
        """The process id. KeyError while there is none."""
        return self._pids()[service]

    def kill(self, service: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a process; the supervisor sees to the rest."""
        os.kill(self.pid(service), number)

    def _pids(self) -> dict[str, int]:
        found = {}
        for process in self.command.family():
            try:
                module = " ".join(process.cmdline()).split()[-1:]  # a forked one's is one string, then NULs
            except psutil.NoSuchProcess:
                continue
            if module and module[0].startswith("services."):
                found[module[0].removeprefix("services.")] = process.pid
        return found
