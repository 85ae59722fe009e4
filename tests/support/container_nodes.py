"""A node in containers, as a test sees it: its pages, its logs, and the connections that its systems have."""

from __future__ import annotations

import datetime as dt
import http.client
import io
import ipaddress
import json
import sys
import tarfile
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from docker.models.containers import Container

from tests.support.nodes import HTTP_PORTS, ROOT, SERVICES, wait_until

SERVICE = "com.docker.compose.service"
TIMEOUT = 60.0
"""Seconds until a wait counts as failed: containers share few processors with whatever else runs."""
ESTABLISHED = "01"


def nodes(containers: Collection[Container], timeout: float = TIMEOUT) -> list[Node]:
    """Sort containers by the serverId that each has, once all are ready; in the order of the serverIds.

    Raises:
        TimeoutError: one is not ready.
        AssertionError: they are no whole nodes.

    """
    found: dict[str, dict[str, Container]] = {}
    for container in containers:
        status = wait_until(partial(_ready_status, container), timeout, f"{container.name} ready")
        found.setdefault(status["server_id"], {})[container.labels[SERVICE]] = container
    told = {server_id: sorted(each) for server_id, each in found.items()}
    assert all(set(each) == set(SERVICES) for each in found.values()), f"no whole nodes: {told}"
    assert len(found) * len(SERVICES) == len(containers), f"two of a kind: {told}"
    return [Node(server_id, each) for server_id, each in sorted(found.items())]


def _ready_status(container: Container) -> dict[str, Any]:
    """What /status tells, once it is ready; before, nothing."""
    status = get_status(container)
    return status if status["ready"] else {}


class Connection(NamedTuple):
    """An established TCP connection as one side's system sees it."""

    local: tuple[str, int]
    remote: tuple[str, int]


class Node:
    """One server: its four containers. Their addresses may change with every start."""

    def __init__(self, server_id: str, containers: dict[str, Container]) -> None:
        self.server_id = server_id
        self.containers = containers

    def __repr__(self) -> str:
        return f"<Node {self.server_id}>"

    def host(self, service: str) -> str:
        """The present address of a process. ConnectionError where it has none."""
        return address(self.containers[service])

    def status(self, service: str) -> dict[str, Any]:
        """What /status tells."""
        return get_status(self.containers[service])

    def is_ready(self, service: str) -> bool:
        """Whether /readyz says so."""
        return get(self.containers[service], "/readyz")[0] == http.client.OK

    def instances(self) -> dict[str, str]:
        """The instanceId of each process: another one after each start."""
        return {service: self.status(service)["instance_id"] for service in self.containers}

    def linked(self, service: str) -> set[str]:
        """The servers that a process is linked with."""
        return {peer["server_id"] for peer in self.status(service)["peers"] if peer["state"] == "linked"}

    def wait_ready(self, *services: str, timeout: float = TIMEOUT) -> None:
        """Wait until these services, or all, are ready."""
        for service in services or tuple(self.containers):
            wait_until(partial(self.is_ready, service), timeout, f"{service} of {self} ready")

    def wait_linked(self, service: str, *server_ids: str, timeout: float = TIMEOUT) -> None:
        """Wait until a process is linked with these servers."""
        wanted = set(server_ids)
        what = f"{service} of {self} linked with {wanted}"
        wait_until(lambda: wanted <= self.linked(service), timeout, what)

    def wait_unlinked(self, service: str, server_id: str, timeout: float = TIMEOUT) -> None:
        """Wait until a process has noticed that a server is gone."""
        what = f"{service} of {self} without {server_id}"
        wait_until(lambda: server_id not in self.linked(service), timeout, what)

    def logged(self, service: str, event: str, since: float = 0.0) -> list[dict[str, Any]]:
        """The log lines of that event; `since` and their `timestamp` are Unix seconds."""
        return log_lines(self.containers[service], event, since)

    def connections(self, service: str) -> list[Connection]:
        """The established TCP connections of a process, read in its container."""
        return established(run_in(self.containers[service], "cat", "/proc/net/tcp"))


def address(container: Container) -> str:
    """Its present address. ConnectionError where it has none."""
    container.reload()
    for network in container.attrs["NetworkSettings"]["Networks"].values():
        if network["IPAddress"]:
            return str(network["IPAddress"])
    raise ConnectionError(f"{container.name} has no address: {container.status}")


def get(container: Container, path: str, timeout: float = 3.0) -> tuple[int, bytes]:
    """GET a page of the process in a container: HTTP status and body. OSError where it does not answer."""
    port = HTTP_PORTS[container.labels[SERVICE]]
    connection = http.client.HTTPConnection(address(container), port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        response = connection.getresponse()
        return response.status, response.read()
    except http.client.HTTPException as error:
        raise ConnectionError(f"{container.name}: {error!r}") from error
    finally:
        connection.close()


def get_status(container: Container) -> dict[str, Any]:
    """What /status tells."""
    status: dict[str, Any] = json.loads(get(container, "/status")[1])
    return status


def run_in(container: Container, *command: str) -> str:
    """Run a command in a container; its output. AssertionError where it fails."""
    code, output = container.exec_run(list(command))
    text = str(output.decode(errors="replace"))
    assert code == 0, f"{command} in {container.name}: exit code {code}: {text}"
    return text


def copy_into(container: Container, place: str, *paths: Path) -> None:
    """Copy files of the checkout into a container, to the same paths below `place`."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path in paths:
            tar.add(path, str(path.relative_to(ROOT)))
    container.put_archive(place, archive.getvalue())


def log_lines(container: Container, event: str, since: float) -> list[dict[str, Any]]:
    """A process's log lines of an event that came after a time; their `timestamp` in Unix seconds."""
    text = container.logs(since=since or None).decode(errors="replace")
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    found = [line | {"timestamp": _unix(line["timestamp"])} for line in lines if line.get("event") == event]
    return [line for line in found if line["timestamp"] >= since]


def _unix(timestamp: str) -> float:
    return dt.datetime.fromisoformat(timestamp).timestamp()


def established(table: str) -> list[Connection]:
    """The established connections in the text of /proc/net/tcp."""
    rows = [line.split() for line in table.splitlines()[1:]]
    return [Connection(_endpoint(row[1]), _endpoint(row[2])) for row in rows if row[3] == ESTABLISHED]


def _endpoint(text: str) -> tuple[str, int]:
    host, _, port = text.partition(":")
    return str(ipaddress.IPv4Address(int(host, 16).to_bytes(4, sys.byteorder))), int(port, 16)
