"""One typed model of everything that can be set: defaults < parley.yml < PARLEY_… environment.

Checked whole before anything is bound. An unknown key, a wrong type or a value out of range raises
ConfigError with one line that names the key.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from parley.shared.errors import ConfigError
from parley.shared.names import why_odd

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
"""A port; 0 lets the system choose one."""
Seconds = Annotated[float, msgspec.Meta(gt=0)]
Bytes = Annotated[int, msgspec.Meta(gt=0)]
Payload = Annotated[int, msgspec.Meta(gt=0, le=2**30)]
"""Bytes of one payload: it is in memory whole."""
Days = Annotated[float, msgspec.Meta(ge=0, le=36500)]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]
"""A part of something; 1 is all of it."""

SERVER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
PREFIX = "PARLEY_"
MAX_HOST = 253
"""Characters of a host's name in all."""


class Section(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """A part of the configuration; its field names are the keys."""


class DiscoveryConfig(Section, frozen=True):
    """Finding servers, and the registration of this node's processes."""

    port: Port = 9999
    """UDP port of discovery; the same at all servers and clients of a network."""
    tcp_port: Port = 9998
    """TCP port where this node's processes register."""
    http_port: Port = 9401
    """TCP port of the discovery process's HTTP pages."""
    address: str = ""
    """HOST[:PORT] where this node's processes register; empty: at `address`, or 127.0.0.1."""
    static_peers: tuple[str, ...] = ()
    """HOST[:PORT] that get each request by unicast too, each one that can be a host's name; in the environment,
    words between commas or spaces.
    """
    discovery_interval: Seconds = 5.0
    """Seconds between two requests of a server, jittered by ±20 %; beyond ten servers half a second for each,
    at most a third of `server_expiry`.
    """
    discovery_timeout: Seconds = 2.0
    """Seconds for which a client listens for replies."""
    server_expiry: Seconds = 60.0
    """Seconds after which a server neither heard nor linked is forgotten."""


class ChatConfig(Section, frozen=True):
    """The feature MESSAGES."""

    port: Port = 6666
    """TCP port of chat."""
    http_port: Port = 9402
    """TCP port of the chat process's HTTP pages."""
    ack_timeout: Seconds = 10.0
    """Seconds after which a message written to a link and unanswered is answered for."""
    persist_delay: Seconds = 0.05
    """Seconds after which a message on its way and unanswered is written to disk; ten times as long while its
    recipient, or the server that it is for, goes on answering.
    """
    mailbox_messages: Bytes = 2_000_000
    """Messages that may wait in all; one more gets OTHER_ERROR."""
    mailbox_bytes: Bytes = 4 * 1024 * 1024 * 1024
    """Bytes of messages that may wait in all."""
    mailbox_user_messages: Bytes = 1_000_000
    """Messages that may wait for one user; one more gets OTHER_ERROR."""
    mailbox_user_bytes: Bytes = 1024 * 1024 * 1024
    """Bytes of messages that may wait for one user."""
    mailbox_author_share: Share = 0.2
    """Part of each of these four that one author may fill alone; the less others leave, the less it is; beyond
    it OTHER_ERROR.
    """
    mailbox_server_share: Share = 0.65
    """The same for the users of one other server together, and for all that waits for one server."""
    mailbox_ttl: Seconds = 7 * 86400.0
    """Seconds after which a message that waits is given up, and gets OTHER_ERROR."""
    stuck_ttl: Seconds = 86400.0
    """Seconds after which something large that never passes, though its destination is linked, is given up."""
    group_members: Bytes = 10_000
    """Members that a group may have."""


class HistoryConfig(Section, frozen=True):
    """The part of conversations that chat keeps for its users: docs/privacy.md."""

    keep: Days = 30.0
    """Days for which messages are kept, for those who sent or received them; 0: nothing is kept once it is
    delivered. Whole days are removed: a message stays for up to a day longer.
    """
    bytes: Bytes = 16 * 1024 * 1024 * 1024
    """Bytes of the file of them. Where there is more, or less than a twentieth of the disk is free (1 GiB of a
    large one), the oldest days go first, and then nothing more is kept. Of an author, or another server, of whom
    more is kept than of others, more is kept only while enough is free: docs/operations.md#limits.
    """


class TypingConfig(Section, frozen=True):
    """The feature TYPING_INDICATOR."""

    port: Port = 7777
    """TCP port of typing."""
    udp_port: Port = 7778
    """UDP port of typing."""
    http_port: Port = 9403
    """TCP port of the typing process's HTTP pages."""
    typing_expiry: Seconds = 6.0
    """Seconds for which somebody counts as typing."""
    fanout_interval: Seconds = 0.05
    """Seconds for which changes are gathered and then sent together."""


class LocationConfig(Section, frozen=True):
    """The feature LIVE_LOCATION."""

    port: Port = 8888
    """TCP port of location."""
    udp_port: Port = 8889
    """UDP port of location."""
    http_port: Port = 9404
    """TCP port of the location process's HTTP pages."""
    fanout_interval: Seconds = 0.05
    """Seconds for which changes are gathered and then sent together."""


class LinkConfig(Section, frozen=True):
    """Every TCP link."""

    connect_timeout: Seconds = 10.0
    """Seconds from a connection to its CONNECT or CONNECTED."""
    dial_timeout: Seconds = 3.0
    """Seconds for one address to accept a connection."""
    ping_timeout: Seconds = 300.0
    """Seconds of silence on a client's link before PING; after twice that, HANGUP(TIMEOUT)."""
    peer_ping_timeout: Seconds = 5.0
    """Seconds, the same on a link between servers."""
    payload_limit: Payload = 2 * 1024 * 1024 + 4096
    """Bytes; a larger payload is refused from its header (2 MiB, and 4096 for the fields around a document); at
    most 1 GiB.
    """
    backoff_min: Seconds = 0.2
    """Seconds, at most, before the second dial; doubled with each failure, and drawn at random below that."""
    backoff_max: Seconds = 15.0
    """Seconds, at most, between two dials."""


class LimitsConfig(Section, frozen=True):
    """Limits that hold for everybody: docs/operations.md, "Limits"."""

    metrics_from: tuple[str, ...] = ()
    """Addresses or networks (`10.0.0.0/8`) that may see `/metrics`, besides this machine and, in a container,
    its network.
    """
    metrics_interval: Seconds = 1.0
    """Seconds between two renderings of `/metrics`, however many ask: in between all get the same page."""
    read_bytes: Bytes = 64 * 1024 * 1024
    """Bytes; what all links of a process together may have read and not handled: beyond it who holds most loses
    their links; at least `link.payload_limit`, and so is the next.
    """
    send_bytes: Bytes = 96 * 1024 * 1024
    """Bytes; what all of them together may have to write that the other sides do not take: the same."""
    odd_names: Annotated[str, msgspec.Meta(pattern="^(admit|refuse)$")] = "admit"
    """`admit` or `refuse`: clients of other programs whose userId Parley would give nobody (not printable, over
    64 characters, …).
    """
    servers: Bytes = 1000
    """Other servers that a node knows at once; of one address it takes at most 32, of a gateway 256."""
    users: Bytes = 100_000
    """Users of this server; who is new beyond it is not connected. Of each of these tables: who was never there
    in earnest makes room first, all others stay.
    """
    groups: Bytes = 50_000
    """Groups that live here; who would make one more hears FAILED."""
    members: Bytes = 1_000_000
    """Members of all these groups."""
    user_groups: Bytes = 2_000
    """Groups that one user may be in."""
    blocks: Bytes = 500_000
    """How many are blocked, by all users."""
    user_blocks: Bytes = 10_000
    """How many one user may block."""
    share: Share = 0.5
    """Part of each of these tables (and of 20 times `limits.servers` names that are remembered) that one
    address, or the users of one other server, may fill.
    """
    unused_ttl: Seconds = 30 * 86400.0
    """Seconds after which a user or server is forgotten who was here, or was announced, and neither wrote nor
    was written to.
    """


DialectName = Annotated[str, msgspec.Meta(pattern="^(parley|old-server|linking-server|code2-server)$")]


class HttpConfig(Section, frozen=True):
    """The pages of all processes: docs/operations.md, "The token of the pages"."""

    token_file: str = ""
    """File with a token in its first line, 16 to 256 characters without spaces, that who is not on loopback must
    show to see a page; empty: with `security.mode: strict` one that is made, `DATA_DIR/NAME/http.token`, else none.
    """
    hosts: tuple[str, ...] = ()
    """Names in the public DNS by which browsers and Prometheus ask this node for its pages (`alpha.example.org`),
    besides its addresses, its host's name, and names that nobody can register (`alpha`, `alpha.local`).
    """


class InteropConfig(Section, frozen=True):
    """Servers of other programs."""

    dial: tuple[str, ...] = ()
    """The serverIds of servers that are no Parleys and may be dialled although they never dialled this one: that
    ends the loops of one that knows no links.
    """
    peers: dict[str, DialectName] = {}
    """serverId → the dialect that it speaks, where it is not recognised: `parley`, `old-server`,
    `linking-server` or `code2-server`.
    """


class SecurityConfig(Section, frozen=True):
    """Keys and encryption."""

    mode: Annotated[str, msgspec.Meta(pattern="^(open|mixed|strict)$")] = "mixed"
    """`open`: everything in plain, no keys. `mixed`: keys and encryption with whoever has them, plain only for
    names without a key. `strict`: nobody is spoken to without a key.
    """

    users: Annotated[str, msgspec.Meta(pattern="^(claim|approve|account|open)$")] = "claim"
    """A name of this server that nobody has: with `claim` it is the first key's that uses it, with `approve` it is
    noted and let in by `parley user approve`, with `account` by `parley user add`, with `open` it is nobody's.
    """

    @property
    def has_keys(self) -> bool:
        """Whether there are keys and encryption at all."""
        return self.mode != "open"

    @property
    def allows_plain(self) -> bool:
        """Whether programs without keys are spoken to."""
        return self.mode != "strict"


class ClientConfig(Section, frozen=True):
    """The command line and the client library."""

    user: str = ""
    """The command line's own user, USER@SERVER, where `--as` names no other."""
    data_dir: str = ""
    """Directory for this device's keys and the servers' that it knows; empty: `parley` in $XDG_DATA_HOME, or in
    `~/.local/share`.
    """
    read_receipts: bool = False
    """Whether people who write to this user are told what was read, and the user what they read: of messages
    between two, and where both switched it on.
    """
    cache: bool = True
    """Whether `parley chat` and `parley history` keep a copy of the user's conversations on this machine, for when
    the server is away, and for as long as the server keeps them; `false` removes it.
    """
    password_file: str = ""
    """File with the user's password in its first line, for machines that keep no key; the command line asks for it
    where this is `-`.
    """
    typing_udp_port: Port = 7779
    """UDP port where a client hears of typing from a server that is no Parley; another one where it is taken."""
    location_udp_port: Port = 8890
    """UDP port where a client hears locations from such a server; another one where it is taken."""


class LogConfig(Section, frozen=True):
    """The log that the processes write to standard error."""

    level: Annotated[str, msgspec.Meta(pattern="^(debug|info|warning|error)$")] = "info"
    """`debug`, `info`, `warning` or `error`; a whole `parley serve` shows warnings only, unless this variable
    or `-v` says more.
    """
    format: Annotated[str, msgspec.Meta(pattern="^(auto|json|console)$")] = "auto"
    """`json`, `console`, or `auto`: console on a terminal, JSON elsewhere."""


class Config(Section, frozen=True):
    """All of it. `load` makes one; `Config()` is the defaults."""

    server_id: str = ""
    """This node's name; empty: discovery takes the host's, the other processes adopt it."""
    address: str = ""
    """The one IPv4 address that the listeners bind to; empty: all."""
    data_dir: str = "data"
    """Directory for what is kept: messages that wait, statuses to be told, groups; a subdirectory for each
    serverId. All processes of a node have the same: by its `node.secret` they know each other (on several
    machines, copy that file).
    """
    discovery: DiscoveryConfig = DiscoveryConfig()
    chat: ChatConfig = ChatConfig()
    history: HistoryConfig = HistoryConfig()
    typing: TypingConfig = TypingConfig()
    location: LocationConfig = LocationConfig()
    link: LinkConfig = LinkConfig()
    limits: LimitsConfig = LimitsConfig()
    http: HttpConfig = HttpConfig()
    interop: InteropConfig = InteropConfig()
    security: SecurityConfig = SecurityConfig()
    client: ClientConfig = ClientConfig()
    log: LogConfig = LogConfig()

    @property
    def bind_host(self) -> str:
        """The address that a listener binds to."""
        return self.address or "0.0.0.0"  # noqa: S104 - a server on all addresses is the default, by design

    def registration_address(self) -> tuple[str, int]:
        """Where this node's processes find their discovery: host, TCP port."""
        host, port = split_host_port(self.discovery.address, self.discovery.tcp_port)
        return host or self.address or "127.0.0.1", port


def _why_no_host(host: str) -> str:
    """Why no name server will ever know this name (RFC 1035, 2.3.4); empty where one may."""
    labels = host.removesuffix(".").split(".")
    if host and not all(labels):
        return "there is nothing between two dots, or before the first"
    if any(c.isspace() or not c.isprintable() for c in host):
        return "it has a space, or a character that is not seen"
    try:
        ascii_name = host.encode("idna") if host else b""
    except UnicodeError:
        return "a part between dots has over 63 characters, or one that may not be there"
    return f"it has over {MAX_HOST} characters" if len(ascii_name.rstrip(b".")) > MAX_HOST else ""


def split_host_port(text: str, default_port: int) -> tuple[str, int]:
    """Split HOST[:PORT]; ConfigError where the port is no port, or the host can be none."""
    host, colon, port = text.strip().partition(":")
    if why := _why_no_host(host):
        raise ConfigError(f"{text[:80]!r} can be no name of a host: {why}")
    if not colon:
        return host, default_port
    if not port.isdecimal() or not 0 < int(port) <= 65535:  # noqa: PLR2004 - the range of ports
        raise ConfigError(f"{text!r} names no port from 1 to 65535 behind the colon")
    return host, int(port)


def host_name() -> str:
    """The host's name as a serverId."""
    name = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname().split(".")[0]).strip("-._")
    return name[:63] or "parley"


def load(path: str | None = None, environ: Mapping[str, str] | None = None, **overrides: object) -> Config:
    """Read the configuration: defaults, then the file, then the environment, then `overrides`.

    The file is `path`, or PARLEY_CONFIG, or `parley.yml` in the working directory where there is one.
    Overrides are top-level keys; None leaves a key as it is.

    Raises:
        ConfigError: one line that names the key and what is wrong with it.

    """
    environ = os.environ if environ is None else environ
    values = _read_file(path or environ.get("PARLEY_CONFIG"))
    _merge_environment(values, environ)
    values.update({key: value for key, value in overrides.items() if value is not None})
    try:
        config = msgspec.convert(values, Config, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(_explain(error)) from None
    _check(config)
    return config


def _read_file(path: str | None) -> dict[str, Any]:
    """The file's mapping; none where the default file does not exist."""
    file = Path(path or "parley.yml")
    if path is None and not file.exists():
        return {}
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _cannot_read(file, error) from None
    values = _values_in(file, text) if text.strip() else None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{file} holds no mapping of keys to values")
    _check_names(file, values)
    return values


def _values_in(file: Path, text: str) -> Any:
    import yaml  # noqa: PLC0415 - 13 ms, for a file alone

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _cannot_read(file, error) from None


def _cannot_read(file: Path, error: Exception) -> ConfigError:
    return ConfigError(f"cannot read {file}: {' '.join(str(error).split())}")


def _check_names(file: Path, values: dict[Any, Any], section: str = "") -> None:
    """YAML reads a key that is written 1, yes or null as no text; msgspec would not say which it is."""
    for key, value in values.items():
        if not isinstance(key, str):
            raise ConfigError(f"configuration key {section}{key} in {file}: there is no such key")
        if isinstance(value, dict):
            _check_names(file, value, f"{section}{key}.")


def _merge_environment(values: dict[str, Any], environ: Mapping[str, str]) -> None:
    """Lay PARLEY_KEY and PARLEY_SECTION__KEY over the file's values."""
    for name, text in environ.items():
        if not name.startswith(PREFIX) or name in NOT_KEYS:
            continue
        *sections, key = name.removeprefix(PREFIX).lower().split("__")
        place = values
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise ConfigError(f"{name}: {section} is no section")
        place[key] = _split(key, text)


def _split(key: str, text: str) -> object:
    """A value in an environment variable; lists are words between commas or spaces, tables such words with `=`."""
    if key not in LISTS and key not in TABLES:
        return text
    named = text.replace(",", " ").split()
    return named if key in LISTS else {name: value for name, _, value in (each.partition("=") for each in named)}


def _explain(error: msgspec.ValidationError) -> str:
    """One line with the key first, as the file spells it and as the environment does."""
    text, _, path = str(error).partition(" - at `")
    key = path.removesuffix("`").removeprefix("$").lstrip(".")
    unknown = re.search(r"unknown field `([^`]*)`", text)
    if unknown:
        key, text = ".".join(filter(None, [key, unknown[1]])), "there is no such key"
    return f"configuration key {key} ({_variable(key)}): {text[:1].lower()}{text[1:]}"


def _variable(key: str) -> str:
    """The environment variable that sets a key, or the list that `key[0]` is in."""
    return PREFIX + key.partition("[")[0].upper().replace(".", "__")


def check_server_id(name: str) -> str:
    """A name that a program gives its server; ConfigError where nobody could be called so."""
    if why := why_odd(name):
        raise ConfigError(f"server_id: {name[:80]!a} can be no name: it {why}")
    return name


def _check(config: Config) -> None:
    """Check what the types cannot say."""
    if config.server_id and not SERVER_ID.fullmatch(config.server_id):
        raise ConfigError(
            f"configuration key server_id (PARLEY_SERVER_ID): {config.server_id!r} is not 1 to 63 letters, "
            "digits, dots, hyphens or underscores, beginning with a letter or digit"
        )
    if config.address:
        try:
            socket.inet_pton(socket.AF_INET, config.address)
        except OSError:
            raise ConfigError(
                f"configuration key address (PARLEY_ADDRESS): {config.address!r} is no IPv4 address"
            ) from None
    if config.link.backoff_min > config.link.backoff_max:
        raise ConfigError(
            "configuration key link.backoff_min (PARLEY_LINK__BACKOFF_MIN): greater than link.backoff_max"
        )
    for key in ("read_bytes", "send_bytes"):
        if getattr(config.limits, key) < config.link.payload_limit:
            raise ConfigError(
                f"configuration key limits.{key} ({_variable(f'limits.{key}')}): less than link.payload_limit, so "
                "one message could be more than all links may hold"
            )
    _check_addresses("discovery.address", [config.discovery.address])
    _check_addresses("discovery.static_peers", config.discovery.static_peers)
    for text in config.limits.metrics_from:
        try:
            ipaddress.IPv4Network(text, strict=False)
        except ValueError:
            raise ConfigError(
                f"configuration key limits.metrics_from (PARLEY_LIMITS__METRICS_FROM): {text!r} is no IPv4 address "
                "or network"
            ) from None


def _check_addresses(key: str, texts: Iterable[str]) -> None:
    for place in texts:
        try:
            _check_address(place)
        except ConfigError as error:
            raise ConfigError(f"configuration key {key} ({_variable(key)}): {error}") from None


def _check_address(place: str) -> None:
    host, _ = split_host_port(place, 0)
    if place and not host:
        raise ConfigError(f"{place!r} names no host before the colon")


LISTS = frozenset({"dial", "hosts", "metrics_from", "static_peers"})
TABLES = frozenset({"peers"})
NOT_KEYS = frozenset({"PARLEY_CONFIG", "PARLEY_PURE", "PARLEY_SUPERVISED"})
