"""Three nodes in containers, with a disk and a clock each that the run can spoil, and where their discovery is."""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import subprocess
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from docker.errors import APIError
from docker.models.containers import Container
from docker.models.networks import Network

from parley.shared.discovery.discovery import DiscoveryService
from tests.chaos.schedule import NODES, SERVICES, Target
from tests.support.container_nodes import SERVICE, Node, nodes, run_in
from tests.support.containers import PROJECT, Engine, Project
from tests.support.nodes import ROOT, wait_linked

HERE = Path(__file__).parent
OVERLAY = "tests/chaos/docker-compose.chaos.yml"
SOURCES = ("parley", "proto", "services", "shared")
KEEPER = "keeper"
DISK = "256m"
"""Each node's disk: some 100 bytes for each message of a run that was on it, and its log."""
COMPILER = "cc"
COMPILE = (COMPILER, "-O2", "-Wall", "-Werror", "-shared", "-fPIC")
LOOK = 0.25
PARALLEL = 32
"""Containers that something is done to at the same time."""


class Cluster:
    """The nodes of a run. `directory` takes the sources that they run, and their clocks.

    `kept`: days for which they keep history; 0: they do not.
    """

    def __init__(self, engine: Engine, directory: Path, kept: int = 0) -> None:
        self.engine = engine
        self._kept = kept
        self.directory = directory
        self.threads = ThreadPoolExecutor(PARALLEL, "chaos")
        self.projects = {name: self._project(name) for name in NODES}
        self.containers: dict[Target, Container] = {}
        self.keepers: dict[str, Container] = {}
        self.clocks: dict[str, threading.Lock] = {name: threading.Lock() for name in NODES}
        """Held by whoever sets a node's clock, for as long as nobody else may."""
        self.locks: dict[Target, threading.Lock] = {(n, s): threading.Lock() for n in NODES for s in SERVICES}
        self._discoveries: dict[str, str] = {}

    def _project(self, name: str) -> Project:
        clock = self.directory / f"clock-{name}"
        project = self.engine.project(
            f"chaos-{name}",
            network="chaos",
            SERVER_ID=name,
            STATIC_PEERS=",".join(f"discovery-{each}" for each in NODES if each != name),
            HEALTH_INTERVAL="600s",  # a check costs more than the process that it checks
            CHAOS_SOURCES=str(self.directory / "sources"),
            CHAOS_INSIDE=str(HERE / "inside"),
            CHAOS_CLOCK=str(clock),
            CHAOS_DISK=DISK,
            CHAOS_KEPT=str(self._kept),
        )
        project.files.append(OVERLAY)
        return project

    # Start and end ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Start all, and wait until they are ready and linked."""
        self._copy_sources()
        self._make_clocks()
        self.projects[NODES[0]].compose("up", "-d", "--no-build")  # makes the network
        self.each(lambda name: self.projects[name].compose("up", "-d", "--no-build"), NODES[1:])
        for name, project in self.projects.items():
            for container in project.containers():
                service = container.labels[SERVICE]
                if service == KEEPER:
                    self.keepers[name] = container
                else:
                    self.containers[name, service] = container
        self.wait_well()
        self.refresh()

    def _copy_sources(self) -> None:
        """Take the sources as they are now: what is edited during the run has no part in it."""
        for name in SOURCES:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, self.directory / "sources" / name, symlinks=True, ignore=ignored)
        for path in (self.directory, *self.directory.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)  # for the containers' user

    def _make_clocks(self) -> None:
        """A clock for each node: what its processes read, and where it stands."""
        for name in NODES:
            clock = self.directory / f"clock-{name}"
            clock.mkdir(mode=0o755)
            command = [*COMPILE, "-o", str(clock / "clock.so"), str(HERE / "inside" / "clock.c")]
            subprocess.run(command, check=True)
            self.set_clock(name, 0.0)

    def wait_well(self, timeout: float = 60.0) -> list[Node]:
        """Wait until every process is ready and linked with its peers; the nodes. TimeoutError, AssertionError."""
        found = nodes(list(self.containers.values()), timeout)
        wait_linked(found, timeout=timeout)
        return found

    def close(self) -> None:
        """Stop refreshing, and remove the containers."""
        self.threads.shutdown()
        for project in self.projects.values():
            project.remove()

    def save(self, directory: Path) -> None:
        """Keep every process's log and every node's files for whoever looks for the fault."""
        for (name, service), container in self.containers.items():
            (directory / f"{name}-{service}.log").write_bytes(container.logs(timestamps=True))
        for name, keeper in self.keepers.items():
            chunks, _ = keeper.get_archive("/data")
            with (directory / f"{name}-data.tar").open("wb") as file:
                file.writelines(chunks)

    # Things that may be done to them ------------------------------------------------------------------

    def each(self, action: Any, those: Iterable[Any]) -> list[Any]:
        """Do something to several at the same time; what came of each."""
        return list(self.threads.map(action, list(those)))

    def set_clock(self, name: str, offset: float) -> None:
        """Make a node's time.time() wrong by so many seconds."""
        descriptor = os.open(self.directory / f"clock-{name}" / "offset", os.O_WRONLY | os.O_CREAT, 0o644)
        os.pwrite(descriptor, struct.pack("<d", offset), 0)
        os.close(descriptor)

    def tells(self, target: Target) -> float:
        """What time it is in a process's container, in Unix seconds."""
        return float(run_in(self.containers[target], "python", "-c", "import time; print(time.time())"))

    def run_beside(self, target: Target, arguments: list[str], until: threading.Event) -> str:
        """Run `inside/network.py` in a process's network, as one who may change that; what it prints.

        It is told to end when `until` is set.
        """
        container = self.engine.client.containers.create(
            self.engine.run,
            ["python", "-S", "-m", "tests.chaos.inside.network", *arguments],
            labels={PROJECT: f"{self.engine.run}-beside"},
            network_mode=f"container:{self.containers[target].id}",
            working_dir="/chaos",
            user="root",
            cap_drop=["ALL"],
            cap_add=["NET_ADMIN"],
            volumes={str(HERE / "inside"): {"bind": "/chaos/tests/chaos/inside", "mode": "ro"}},
        )
        try:
            container.start()
            while container.status != "exited" and not until.wait(LOOK):
                container.reload()
            with contextlib.suppress(APIError):  # it has ended by itself
                container.kill("SIGTERM")
            code = container.wait()["StatusCode"]
            output = container.logs().decode(errors="replace").strip()
        finally:
            container.remove(force=True, v=True)
        if code != 0:
            raise RuntimeError(output.splitlines()[-1:])
        return output

    @property
    def network(self) -> Network:
        """The network that all are on."""
        found: Network = self.engine.client.networks.get(self.projects[NODES[0]].network)
        return found

    def aliases(self, target: Target) -> list[str]:
        """The names that compose gave a container on the network."""
        name, service = target
        return [service, f"discovery-{name}"] if service == "discovery" else [service]

    # Where they are -------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Look up where each node's discovery is now."""
        network = self.projects[NODES[0]].network
        listed = self.engine.client.api.containers(filters={"network": network, "status": "running"})
        found = {}
        for each in listed:
            if each["Labels"].get(SERVICE) == "discovery":
                address = each["NetworkSettings"]["Networks"][network]["IPAddress"]
                found[each["Labels"][PROJECT]] = address
        self._discoveries = found

    @property
    def discoveries(self) -> list[str]:
        """The addresses of the discovery processes, as far as they are up."""
        return [address for address in self._discoveries.values() if address]


class Asking(DiscoveryService):
    """Finds servers by asking the containers' discovery processes by unicast, and nobody else."""

    def __init__(self, config: Any, cluster: Cluster) -> None:
        super().__init__(config)
        self._cluster = cluster

    def targets(self, asked_before: int = 0) -> list[tuple[str, int]]:  # noqa: ARG002 - always all of them
        """Where they are now: an address may change with every start."""
        return [(address, self.config.discovery.port) for address in self._cluster.discoveries]


def own_address(engine: Engine, name: str) -> str:
    """An address of this machine's for some people, on an empty network of the run: few may come from one address.

    A client must not ask from the address that the containers have for a gateway: such a request counts as one
    that came through a published port, and is answered with the published ports' addresses. What comes from
    another of the engine's networks is given the gateway's address on its way, unless that one does not masquerade.
    """
    options = {"com.docker.network.bridge.enable_ip_masquerade": "false"}
    network = engine.client.networks.create(f"{engine.run}-{name}", driver="bridge", options=options)
    network.reload()
    return str(network.attrs["IPAM"]["Config"][0]["Gateway"])
