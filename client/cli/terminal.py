"""What the commands share: being connected with words for people, errors in one line, running a coroutine."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, NoReturn, TypeVar

import structlog
from rich.console import Console

from client.cli.names import ourselves
from client.feature_base import FeatureBase
from shared.addresses import Server, ServerList, User
from shared.config import Config, load, split_host_port
from shared.connector import resolve
from shared.discovery import DiscoveryService
from shared.errors import ConfigError, ParleyError, PeerError, PeerUnreachable
from shared.messages import MESSAGES
from shared.process import EXIT_CONFIG, run_loop

T = TypeVar("T")
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def line(text: str) -> None:
    """Print a line, now."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """Say something beside what was asked for: on standard error."""
    err.print(text, markup=False)


def fail(message: str, code: int = 1) -> NoReturn:
    """Say in one line what is wrong and what to do, and exit."""
    note(f"parley: {message}")
    sys.exit(code)


def run(make: Callable[[Config], Coroutine[Any, Any, T]], config_file: str | None = None) -> T:
    """Run a command's coroutine; Ctrl-C ends it cleanly, Parley's errors end in one line."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50), cache_logger_on_first_use=True)
    result: list[T] = []
    try:
        config = load(config_file)
        run_loop(_until_interrupted(make(config), result))
    except ConfigError as error:
        fail(str(error), EXIT_CONFIG)
    except ParleyError as error:
        fail(str(error))
    if not result:
        sys.exit(130)
    return result[0]


async def _until_interrupted(work: Coroutine[Any, Any, T], result: list[T]) -> None:
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        result.append(await task)
    except asyncio.CancelledError:
        return


def who_we_are(config: Config, name: str) -> User:
    """The user named on the command line, or the configured one; ConfigError where there is neither."""
    if not (name or config.client.user):
        raise ConfigError("who are you? Name yourself with --as USER@SERVER, or as client.user in parley.yml")
    return ourselves(name or config.client.user)


async def finder(config: Config, servers: Sequence[str]) -> DiscoveryService:
    """A discovery that also asks these HOST[:PORT].

    Raises:
        ConfigError: one of them has a port that is none.
        PeerUnreachable: one of them is a name that stands for nothing now.

    """
    for text in servers:
        host, port = split_host_port(text, config.discovery.port)
        try:
            await resolve(host, port)
        except PeerUnreachable:
            raise PeerUnreachable(
                f"--server {text}: the name {host!r} cannot be resolved; check it, or give an IPv4 address"
            ) from None
    return DiscoveryService(config, servers=servers)


async def unanswered(config: Config, servers: Sequence[str], found: Sequence[Server]) -> str:
    """Words for those HOST[:PORT] at whose address nobody was found; empty where there are none."""
    hosts = {e.host for server in found for endpoints in server.features.values() for e in endpoints}
    silent = []
    for text in servers:
        host, port = split_host_port(text, config.discovery.port)
        with suppress(PeerUnreachable):
            if hosts.isdisjoint(e.host for e in await resolve(host, port)):
                silent.append(text)
    return f", and nobody at --server {' or '.join(silent)}" if silent else ""


@asynccontextmanager
async def at_home(feature: FeatureBase, servers: Sequence[str] = ()) -> AsyncIterator[None]:
    """A feature, connected to its user's server; exits with one line where it cannot be.

    `servers`: those that were named with --server.
    """
    found = await _discover_home(feature.discovery, feature.user, servers)
    async with feature:
        try:
            await feature.handle_connection(found)
        except PeerError as error:
            fail(f"{feature.user.server_id} was found, but {error}; see that its chat process runs")
        yield


async def _discover_home(discovery: DiscoveryService, user: User, servers: Sequence[str]) -> ServerList:
    """Find the servers, no longer than until the user's own answers."""

    def home(found: ServerList) -> Server | None:
        return next((server for server in found if server.server_id == user.server_id), None)

    def is_enough(found: ServerList) -> bool:
        server = home(found)
        return server is not None and bool(server.endpoints(MESSAGES))

    found = await discovery.discover_servers(until=is_enough)
    if is_enough(found):
        return found
    silent = await unanswered(discovery.config, servers, found)
    if not found:
        fail(f"no server answered{silent}. {WHERE}")
    if server := home(found):
        offers = ", ".join(server.features) or "nothing"
        fail(f"{server.server_id} answered, but offers no chat now (it offers {offers}); start its chat process")
    names = ", ".join(sorted(server.server_id for server in found))
    fail(f"{user.server_id} did not answer{silent}; found: {names}. Check the name behind the @. {WHERE}")


WHERE = "Start one with `make run`, or name its address with --server HOST[:PORT] where broadcast does not reach."
