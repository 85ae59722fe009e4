"""What the commands share: discovery with words for people, errors in one line, running a coroutine."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NoReturn, TypeVar

import structlog
from rich.console import Console

from shared.addresses import ServerList, User
from shared.config import Config, load
from shared.discovery import DiscoveryService
from shared.errors import ConfigError, ParleyError
from shared.messages import MESSAGES
from shared.process import EXIT_CONFIG, run_loop

T = TypeVar("T")
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def fail(message: str, code: int = 1) -> NoReturn:
    """Say in one line what is wrong and what to do, and exit."""
    err.print(f"parley: {message}", markup=False)
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


async def discover_home(config: Config, user: User, servers: Sequence[str]) -> tuple[DiscoveryService, ServerList]:
    """Find the servers, no longer than until the user's own answers; exits where it does not."""
    discovery = DiscoveryService(config, servers=servers)

    def home_found(found: ServerList) -> bool:
        return any(s.server_id == user.server_id and s.endpoints(MESSAGES) for s in found)

    found = await discovery.discover_servers(until=home_found)
    if not home_found(found):
        if not found:
            fail(f"no server answered. {WHERE}")
        names = ", ".join(s.server_id for s in found)
        fail(f"{user.server_id} did not answer; found: {names}. Check the name behind the @. {WHERE}")
    return discovery, found


WHERE = "Start one with `make run`, or name its address with --server HOST[:PORT] where broadcast does not reach."
