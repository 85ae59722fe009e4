"""The common part of the commands: connecting, with words for people; errors in one line; running a coroutine.

All that is printed passes `line`, `mention`, `note`, `fail` or a table: others' words are harmless on their way
(printable.py), and a stream that takes nothing more ends the command with words and an exit code (output.py).
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from getpass import getpass
from typing import Any, Final, NoReturn, TypeVar

import typer

from parley.cli.output import Output, OutputError, fault
from parley.cli.people.names import ourselves
from parley.client.feature_base import FeatureBase
from parley.client.outbox.questions import RequestFailed
from parley.client.trust.refusals import TrustError
from parley.client.trust.user_trust import ASKED
from parley.shared.addresses import Server, ServerList, User
from parley.shared.config import Config, load, split_host_port
from parley.shared.discovery.discovery import DiscoveryService
from parley.shared.errors import EXIT_CONFIG, ConfigError, ParleyError, PeerError, PeerUnreachable
from parley.shared.names import fold, spell
from parley.shared.peering.connector import resolve
from parley.shared.printable import one_line, printable, to_json
from parley.shared.runtime.event_loop import run_loop
from parley.shared.telemetry import logs
from parley.shared.wire.messages import MESSAGES

T = TypeVar("T")
EXIT_KEPT: Final = 3
"""The exit code where another server is away: a message is kept and not delivered yet, a request unanswered."""
EXIT_REFUSED: Final = 4
"""The exit code where keys speak against it: this device is not let in, or a server shows another key."""
_stop: list[Callable[[], object]] = []
"""The functions that end the command that runs now."""


def line(text: str) -> None:
    """Print a line, now.

    Raises:
        OutputError: it could not be printed; the command ends.

    """
    try:
        sys.stdout.write(printable(text) + "\n")
        sys.stdout.flush()
    except OutputError:
        stop()
        raise


def mention(text: str) -> None:
    """Print a line that the command goes on without, to its end; that it could not be printed is told there."""
    with suppress(OutputError):
        sys.stdout.write(printable(text) + "\n")
        sys.stdout.flush()


def as_json(fields: Mapping[str, Any]) -> str:
    """One JSON object as a line, for the encoding of standard output; what is None is left out."""
    given = {key: value for key, value in fields.items() if value is not None}
    return to_json(given, only_ascii=not _takes_unicode())


def as_html(markup: str) -> str:
    """Markup for the encoding of standard output: what that may lack is written as a number."""
    return markup if _takes_unicode() else markup.encode("ascii", "xmlcharrefreplace").decode()


def _takes_unicode() -> bool:
    return not isinstance(sys.stdout, Output) or sys.stdout.is_unicode


def note(text: str) -> None:
    """Say something beside what was asked for: on standard error, where that takes it."""
    with suppress(OutputError, OSError, ValueError):
        sys.stderr.write(printable(text) + "\n")
        sys.stderr.flush()


def fail(message: str, code: int = 1) -> NoReturn:
    """Say in one line what is wrong and what to do, and exit."""
    note(one_line(f"parley: {message}"))
    sys.exit(code)


def confirm(question: str, *, yes: bool, unasked: str = "", refused: str = "nothing was changed") -> None:
    """Ask before something that nothing brings back; a command that is not to do it ends with `refused`.

    `yes`: it was answered on the command line. `unasked`: what nobody can be asked where there is no terminal.

    Raises:
        ConfigError: nobody can be asked.

    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError(f"nobody can be asked here{unasked}: say --yes")
    if not typer.confirm(question, err=True):
        fail(refused)


def stop() -> None:
    """End the command that runs, since nobody can be told what it does."""
    for each in _stop:
        each()


def run(make: Callable[[Config], Coroutine[Any, Any, T]], config_file: str | None = None) -> T:
    """Run a command's coroutine; Ctrl-C ends it cleanly, Parley's errors end in one line."""
    logs.tell_critical_alone()
    result: list[T] = []
    try:
        config = load(config_file)
        run_loop(_until_interrupted(make(config), result))
    except ConfigError as error:
        fail(str(error), EXIT_CONFIG)
    except OutputError:
        raise
    except ParleyError as error:
        fail(str(error), _exit_code(error))
    if (found := fault()) is not None and not (found.is_gone and result):
        raise found
    if not result:
        sys.exit(130)
    return result[0]


def _exit_code(error: ParleyError) -> int:
    if isinstance(error, TrustError):
        return EXIT_REFUSED
    return EXIT_KEPT if isinstance(error, RequestFailed) and error.is_away else 1


async def _until_interrupted(work: Coroutine[Any, Any, T], result: list[T]) -> None:
    """Run until it ends, or somebody wants it to; what it has to say at its end, it says.

    A terminal that is closed says so more than once: only Ctrl-C, pressed again, cuts that short, too.
    """
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)

    def end() -> None:
        if not task.cancelling():
            task.cancel()

    loop.add_signal_handler(signal.SIGINT, task.cancel)
    ends = [n for n in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT) if signal.getsignal(n) != signal.SIG_IGN]
    for number in ends:  # not what is ignored, as under nohup
        loop.add_signal_handler(number, end)
    loop.set_exception_handler(_handle_exception)
    cancel = task.cancel
    _stop.append(cancel)
    try:
        result.append(await task)
    except asyncio.CancelledError:
        for number in ends:  # the loop's end would have the next one kill what is left to do
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)
        return
    finally:
        _stop.remove(cancel)


def _handle_exception(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Pass by an error of printing: where nobody could catch it, it has ended the command already."""
    if not isinstance(context.get("exception"), OutputError):
        loop.default_exception_handler(context)


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


_F = TypeVar("_F", bound=FeatureBase)


def prepare(feature: _F) -> _F:
    """Have a feature say to people what it has to say about keys, and ask them for a password."""
    feature.trust.notice = note
    if feature.config.client.password_file == ASKED and not feature.trust.password:
        feature.trust.password = getpass(f"Password of {feature.user}: ")
    return feature


@asynccontextmanager
async def at_home(feature: FeatureBase, servers: Sequence[str] = ()) -> AsyncIterator[None]:
    """A feature, connected to its user's server; exits with one line where it cannot be.

    `servers`: those that were named with --server.
    """
    found = await discover_home(feature.discovery, feature.user, servers)
    async with prepare(feature):
        try:
            await feature.handle_connection(found)
        except TrustError as error:
            fail(str(error), EXIT_REFUSED)
        except PeerError as error:
            fail(f"{spell(feature.user.server_id)} was found, but {error}; see that its chat process runs")
        yield


async def discover_home(discovery: DiscoveryService, user: User, servers: Sequence[str]) -> ServerList:
    """Find the servers, no longer than until the user's own answers; exits where it does not."""

    def home(found: ServerList) -> Server | None:
        return next((server for server in found if fold(server.server_id) == fold(user.server_id)), None)

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
        offers = ", ".join(map(spell, server.features)) or "nothing"
        name = spell(server.server_id)
        fail(f"{name} answered, but offers no chat now (it offers {offers}); start its chat process")
    name, names = spell(user.server_id), names_of(found)
    fail(f"{name} did not answer{silent}; found: {names}. Check the name behind the @. {WHERE}")


def names_of(servers: Sequence[Server]) -> str:
    """Servers' names in one line, as others spelt them."""
    return ", ".join(sorted(spell(server.server_id) for server in servers))


WHERE = "Start one with `make run`, or name its address with --server HOST[:PORT] where broadcast does not reach."
