"""Nodes in containers, on a real engine, for tests: the image, compose projects, and what they show.

    with Engine.find() as engine:
        engine.build()
        alpha = engine.project("alpha", network="one", SERVER_ID="alpha").up()

Whatever a run makes has its name in it (`Engine.run`) and goes when the run ends, however it ends. The base
image stays, and so does what the engine caches of the dependencies: neither depends on the sources.
"""

from __future__ import annotations

import gc
import ipaddress
import os
import secrets
import signal
import socket
import subprocess
import warnings
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from typing import Any, Self

import docker
import psutil
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.models.containers import Container

from tests.support.container_nodes import SERVICE, TIMEOUT, Node, nodes
from tests.support.nodes import ROOT

BUILD_TIMEOUT = 540.0
"""Seconds."""
PROJECT = "com.docker.compose.project"
SLIM = "python:3.13-slim"
BASE = "parley-base"
TAIL = 15
"""Lines of a log that a failure shows."""


class Unavailable(Exception):
    """There is no engine, or none that these tests can use; says which is missing."""


class BuildFailed(Exception):
    """The base image or the image was not made; carries the last words of what failed."""


class Engine:
    """The engine, a compose command, and this run's image; a context manager that leaves nothing behind."""

    def __init__(self, client: docker.DockerClient, compose: tuple[str, ...]) -> None:
        self.client = client
        self.compose = compose
        self.run = f"parley-test-{secrets.token_hex(4)}"
        self.base = os.environ.get("BASE_IMAGE", "")

    @classmethod
    def find(cls) -> Self:
        """Connect to the engine that the environment names. Raises Unavailable."""
        client = connect()
        with ExitStack() as stack:
            stack.callback(client.close)
            check_bridge(client)
            engine = cls(client, find_compose())
            stack.pop_all()
            return engine

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # The image ---------------------------------------------------------------------------------

    def build(self) -> None:
        """Make the image of this checkout, and the base image where there is none. Raises BuildFailed."""
        self.base = self.base or self._find_base()
        self.project("build", network="build").compose(
            "build", "--force-rm", failure=BuildFailed, timeout=BUILD_TIMEOUT
        )

    def _find_base(self) -> str:
        with suppress(ImageNotFound):
            self.client.images.get(SLIM)
            return SLIM
        run([str(ROOT / "deploy" / "base-image.sh"), BASE], failure=BuildFailed, timeout=BUILD_TIMEOUT)
        return BASE

    # Projects -------------------------------------------------------------------------------------

    def project(self, name: str, *, network: str, **variables: str) -> Project:
        """A compose project of this run on a network of this run; nothing is started yet."""
        return Project(self, f"{self.run}-{name}", f"{self.run}-{network}", variables)

    def containers(self, project: str = "", **how: Any) -> list[Container]:
        """The containers of a project, or of the whole run."""
        found = self.client.containers.list(filters={"label": PROJECT}, ignore_removed=True, **how)
        return [
            c for c in found if c.labels[PROJECT] == project or (not project and self._is_of_this_run(c.labels))
        ]

    def _is_of_this_run(self, labels: dict[str, str]) -> bool:
        return labels.get(PROJECT, "").startswith(f"{self.run}-")

    def last_words(self) -> str:
        """The ends of the logs of all containers of the run."""
        words = []
        for container in self.containers(all=True):
            log = container.logs(tail=TAIL).decode(errors="replace")
            words.append(f"--- {container.name}, {container.status}\n{log}")
        return "\n".join(sorted(words))

    # The end --------------------------------------------------------------------------------------

    def close(self) -> None:
        """Remove all that this run made."""
        while found := self.containers(all=True):  # an interrupted compose may still have been starting some
            self.remove(found)
        self.remove(())
        self._remove_image()
        self.client.close()

    def remove(self, containers: Iterable[Container]) -> None:
        """Remove containers, then the run's volumes and networks that nothing uses any more."""
        for container in containers:
            with suppress(NotFound):
                container.remove(force=True, v=True)
        for volume in self.client.volumes.list(filters={"label": PROJECT}):
            if self._is_of_this_run(volume.attrs["Labels"]):
                with suppress(APIError):
                    volume.remove()
        for network in self.client.networks.list(names=[self.run]):
            with suppress(APIError):
                network.remove()

    def _remove_image(self) -> None:
        """Remove the image down to the copy of the sources; the layers below it are the next run's cache."""
        try:
            image = self.client.images.get(self.run)
        except ImageNotFound:
            return
        layers = image.history()
        copy = next((at for at, layer in enumerate(layers) if "COPY" in layer["CreatedBy"]), 0)
        for name in [self.run, *(layer["Id"] for layer in layers[1 : copy + 1])]:
            with suppress(APIError):  # another image has it too, or this builder keeps its cache elsewhere
                self.client.images.remove(name, noprune=True)


class Project:
    """A compose project; `containers` are started by `up`."""

    def __init__(self, engine: Engine, name: str, network: str, variables: dict[str, str]) -> None:
        self.engine = engine
        self.name = name
        self.network = network
        self.variables = variables
        self.files = ["docker-compose.yml"]

    def compose(self, *arguments: str, failure: type[Exception] = AssertionError, timeout: float = TIMEOUT) -> None:
        """Run compose on this project, with no variable of the caller's but ours."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PARLEY_", "COMPOSE_"))}
        # All are set, so that a file .env in the checkout says nothing.
        ours = {
            "SERVER_ID": "",
            "STATIC_PEERS": "",
            "LOG_LEVEL": "info",
            "SECURITY_MODE": "mixed",
            "HEALTH_INTERVAL": "5s",
            "IMAGE": self.engine.run,
            "BASE_IMAGE": self.engine.base,
            "NETWORK": self.network,
        }
        files = [word for file in self.files for word in ("-f", str(ROOT / file))]
        command = [*self.engine.compose, "-p", self.name, *files, *arguments]
        run(command, env=clean | ours | self.variables, failure=failure, timeout=timeout)

    def up(self, *arguments: str) -> list[Node]:
        """Start it; the nodes that are in it, once all their processes are ready."""
        self.compose("up", "-d", "--no-build", *arguments)
        return nodes(self.containers())

    def containers(self, service: str = "") -> list[Container]:
        """Its containers, running or not."""
        found = self.engine.containers(self.name, all=True)
        return [c for c in found if service in ("", c.labels[SERVICE])]

    def remove(self) -> None:
        """End it at once and leave nothing."""
        self.engine.remove(self.containers())


def connect() -> docker.DockerClient:
    """Return a client of the engine that the environment names. Raises Unavailable."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # docker forgets the socket that it could not connect
        try:
            return docker.from_env(timeout=60)
        except DockerException as error:
            reason = f"no Docker engine answers: {error}"
        gc.collect()
    raise Unavailable(reason)


def check_bridge(client: docker.DockerClient) -> None:
    """See that this machine is on the engine's bridges, where containers have addresses. Raises Unavailable."""
    subnet = client.networks.get("bridge").attrs["IPAM"]["Config"][0]["Subnet"]
    network = ipaddress.ip_network(subnet)
    own = [a.address for found in psutil.net_if_addrs().values() for a in found if a.family is socket.AF_INET]
    if not any(ipaddress.ip_address(each) in network for each in own):
        raise Unavailable(f"this machine is not on the engine's bridge {subnet} (an engine in a virtual machine?)")


def find_compose() -> tuple[str, ...]:
    """The compose command that this machine has. Raises Unavailable."""
    for command in (("docker", "compose"), ("docker-compose",)):
        with suppress(OSError):
            if subprocess.run([*command, "version"], capture_output=True, check=False).returncode == 0:
                return command
    raise Unavailable("neither `docker compose` nor `docker-compose` is there")


def run(
    command: Sequence[str],
    *,
    failure: type[Exception],
    timeout: float,
    env: dict[str, str] | None = None,
) -> None:
    """Run a command in the checkout; where it fails, `failure` with its last words."""
    try:
        # A session of its own, so that all that it started can be told to end, and may clean up.
        with subprocess.Popen(
            command,
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:
            try:
                output, _ = process.communicate(timeout=timeout)
            except BaseException:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
                process.wait()
                raise
    except (OSError, subprocess.TimeoutExpired) as error:
        raise failure(f"{' '.join(command)}: {error}") from None
    if process.returncode != 0:
        words = "\n".join(output.decode(errors="replace").splitlines()[-TAIL:])
        raise failure(f"{' '.join(command)}: exit code {process.returncode}\n{words}")


def prepare() -> None:
    """Make the base image and the layers that `Engine.build` takes from the engine's cache, while others wait.

    Says nothing where there is no engine: the tests say so, and are skipped.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(Unavailable), Engine.find() as engine:
        engine.build()


if __name__ == "__main__":
    prepare()
