"""One process of a node, from its start to its exit: what each `__main__` calls.

Exit codes: 0 stopped; with one line on standard error 1, a disk that cannot be written now, or 2, a configuration
or port that cannot be used.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

from parley.shared.compiled import core, why_absent
from parley.shared.config import load
from parley.shared.errors import EXIT_CONFIG, ConfigError, StorageError
from parley.shared.http.access import Access
from parley.shared.http.pages import Pages
from parley.shared.http.server import HttpServer
from parley.shared.runtime import garbage
from parley.shared.runtime.event_loop import run_loop
from parley.shared.runtime.supervised import catch_strays, forever
from parley.shared.runtime.timer import clock
from parley.shared.service.health import Pulse
from parley.shared.service.service_base import ServiceBase
from parley.shared.sockets.descriptors import fill_standard_streams
from parley.shared.sockets.listener import bind
from parley.shared.telemetry import logs
from parley.shared.wire.messages import protobuf_is_fast

SUPERVISED = "PARLEY_SUPERVISED"
"""Set by the node's supervisor: this process ends when its standard input does."""


def main(service_type: type[ServiceBase]) -> None:
    """Run one service until it is told to stop."""
    fill_standard_streams()
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the end
    sys.stderr = sys.stderr or sys.stdout
    try:
        config = load()
        logs.configure(config.log)
        if not protobuf_is_fast():
            logs.get().warning("protobuf_is_slow", detail="its compiled implementation (upb) is not in use")
        if core is None:
            # A node's supervisor has its watcher say so, once for all its processes.
            write = logs.get().info if os.environ.get(SUPERVISED) else logs.get().warning
            write("core_is_absent", detail=why_absent())
        garbage.spare()
        _allow_links()
        service = service_type(config=config)
        service.before_loop()
        run_loop(_serve(service))
    except ConfigError as error:
        sys.stderr.write(f"parley: {error}\n")
        sys.exit(EXIT_CONFIG)
    except StorageError as error:
        sys.stderr.write(f"parley: {error}\n")
        sys.exit(1)


def _allow_links() -> None:
    """Have as many connections as this process may: most systems begin with 1,024, and allow many more."""
    if resource is None:
        return
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(ValueError, OSError):  # macOS names more than it grants
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, allowed))


async def _serve(service: ServiceBase) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    catch_strays(loop, service.faults)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if os.environ.get(SUPERVISED):
        stop_with_parent(loop, stop)
    limits, metrics = service.config.limits, service.metrics
    pages = Pages(
        metrics.registry,
        service.status,
        service.reasons_not_ready,
        service.pages(),
        Access(limits.metrics_from, service.page_token.check(clock(loop)), hosts=service.config.http.hosts).judge,
        metrics.http_refused,
        limits.metrics_interval,
    )
    service.metrics.ready.set_function(lambda: not service.reasons_not_ready())
    http = HttpServer(pages, lambda what: metrics.limited(what, "http"))
    pulse: Pulse | None = None
    port: int = getattr(service.config, service.section).http_port
    try:
        await http.start(bind(socket.SOCK_STREAM, service.config.bind_host, port, "HTTP"))
        await service.register()
        service.spawn(forever("collecting garbage", garbage.collect_now_and_then, service.faults))
        pulse = Pulse(service.metrics.loop_lag, service.measure_links, service.faults)
        await _first(loop, stop, service.fatal_found)
        if service.fatal is not None:
            raise service.fatal
    finally:
        if pulse is not None:
            pulse.stop()
        await service.stop()
        await http.stop()


async def _first(loop: asyncio.AbstractEventLoop, *events: asyncio.Event) -> None:
    """Wait for the first of several events."""
    waits = [loop.create_task(event.wait()) for event in events]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()


def stop_with_parent(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """End when the supervisor's end of our standard input closes, however it died."""
    descriptor = 0
    os.set_blocking(descriptor, False)

    def readable() -> None:
        with contextlib.suppress(BlockingIOError):
            if not os.read(descriptor, 4096):
                loop.remove_reader(descriptor)
                stop.set()

    loop.add_reader(descriptor, readable)
