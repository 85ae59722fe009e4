"""What can be set, from where, and the one line that says what is wrong with it."""

import msgspec
import pytest

from parley.shared import config as config_module
from parley.shared.config import SERVER_ID, Config, host_name, load, split_host_port
from parley.shared.errors import ConfigError


@pytest.fixture
def load_text(tmp_path):
    """Load a file with that text, and an environment."""

    def load_it(text, environ=None, **overrides):
        path = tmp_path / "parley.yml"
        path.write_text(text, encoding="utf-8")
        return load(str(path), environ or {}, **overrides)

    return load_it


def refusal(text, load_text, environ=None):
    """The sentence of a configuration that is refused; it is one line."""
    with pytest.raises(ConfigError) as caught:
        load_text(text, environ)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


# Precedence ------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A working directory of our own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("elsewhere")
def test_defaults_are_what_the_protocol_fixes():
    config = load(environ={})
    assert config == Config()
    ports = [config.discovery.port, config.discovery.tcp_port, config.chat.port, config.typing.port]
    ports += [config.typing.udp_port, config.location.port, config.location.udp_port]
    assert ports == [9999, 9998, 6666, 7777, 7778, 8888, 8889]
    assert [config.client.typing_udp_port, config.client.location_udp_port] == [7779, 8890]


def test_a_file_comes_before_the_defaults_the_environment_before_the_file_and_arguments_before_all(load_text):
    text = "server_id: file\naddress: 127.0.0.2\nchat: {port: 1, ack_timeout: 7}\nlink: {ping_timeout: 8}"
    environ = {"PARLEY_SERVER_ID": "environment", "PARLEY_CHAT__PORT": "2", "PARLEY_DATA_DIR": "there"}
    config = load_text(text, environ, server_id="argument", address=None)
    assert (config.server_id, config.address, config.data_dir) == ("argument", "127.0.0.2", "there")
    assert (config.chat.port, config.chat.ack_timeout) == (2, 7.0)
    assert (config.link.ping_timeout, config.link.connect_timeout) == (8.0, 10.0)
    assert load_text(text, environ).server_id == "environment"


def test_the_default_file_is_in_the_working_directory(elsewhere):
    assert load(environ={}).server_id == ""
    elsewhere.joinpath("parley.yml").write_text("server_id: here", encoding="utf-8")
    assert load(environ={}).server_id == "here"


def test_another_file_is_named_by_the_environment_or_by_an_argument(elsewhere):
    for name in ("one", "two"):
        elsewhere.joinpath(f"{name}.yml").write_text(f"server_id: {name}", encoding="utf-8")
    assert load(environ={"PARLEY_CONFIG": "one.yml"}).server_id == "one"
    assert load("two.yml", {"PARLEY_CONFIG": "one.yml"}).server_id == "two"


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "null\n"])
def test_an_empty_file_is_the_defaults(load_text, text):
    assert load_text(text) == Config()


def keys():
    """Every key there is, with a value of its type."""
    for field in msgspec.structs.fields(Config):
        default = field.default
        if isinstance(default, msgspec.Struct):
            for inner in msgspec.structs.fields(default):
                yield f"{field.name}.{inner.name}", {} if inner.default is msgspec.NODEFAULT else inner.default
        else:
            yield field.name, default


OTHERS = {
    "server_id": "alpha", "address": "127.0.0.9", "data_dir": "there", "discovery.address": "beta:1",
    "client.user": "alice@alpha", "log.level": "debug", "log.format": "json",
}  # fmt: skip


LISTS = {"limits.metrics_from": ("192.0.2.7", "10.0.0.0/8")}


@pytest.mark.parametrize(("key", "default"), list(keys()))
def test_every_key_can_be_set_by_its_environment_variable(load_text, key, default):
    if default == ():
        value = LISTS.get(key, ("a", "b:1"))
        text = ", ".join(value)
    elif default == {}:
        value = {"old": "old-server", "other": "linking-server"}
        text = ", ".join(f"{name}={dialect}" for name, dialect in value.items())
    else:
        value = OTHERS.get(key) or default
        text = str(value)
    found = load_text("", {"PARLEY_" + key.upper().replace(".", "__"): text})
    for name in key.split("."):
        found = getattr(found, name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["a,b:1", "a b:1", " a , b:1 ,", "a\tb:1"])
def test_a_list_in_the_environment_is_words(load_text, text):
    environ = {"PARLEY_DISCOVERY__STATIC_PEERS": text}
    assert load_text("", environ).discovery.static_peers == ("a", "b:1")
    assert load_text("discovery: {static_peers: [c]}", environ).discovery.static_peers == ("a", "b:1")


def test_an_empty_list_in_the_environment_is_none(load_text):
    environ = {"PARLEY_DISCOVERY__STATIC_PEERS": ""}
    assert load_text("discovery: {static_peers: [c]}", environ).discovery.static_peers == ()


def test_what_is_not_parleys_is_left_alone(load_text):
    environ = {"HOME": "x", "PARLEYX": "y", "parley_chat__port": "z", "PARLEY_SUPERVISED": "1", "PARLEY_PURE": "1"}
    assert load_text("", environ) == Config()


# What is refused -----------------------------------------------------------------------------------

FAULTS = {
    "foo: 1": ("foo", "PARLEY_FOO", "there is no such key"),
    "chat: {prot: 1}": ("chat.prot", "PARLEY_CHAT__PROT", "there is no such key"),
    "Chat: {port: 1}": ("Chat", "PARLEY_CHAT", "there is no such key"),
    "chat: {port: 65536}": ("chat.port", "PARLEY_CHAT__PORT", "expected `int` <= 65535"),
    "chat: {port: -1}": ("chat.port", "PARLEY_CHAT__PORT", "expected `int` >= 0"),
    "chat: {port: a}": ("chat.port", "PARLEY_CHAT__PORT", "expected `int`, got `str`"),
    "chat: {port: 6666.5}": ("chat.port", "PARLEY_CHAT__PORT", "expected `int`, got `float`"),
    "chat: {port: [1]}": ("chat.port", "PARLEY_CHAT__PORT", "expected `int`, got `array`"),
    "chat: {port: null}": ("chat.port", "PARLEY_CHAT__PORT", "expected `int`, got `null`"),
    "chat: 5": ("chat", "PARLEY_CHAT", "expected `object`, got `int`"),
    "chat: [port]": ("chat", "PARLEY_CHAT", "expected `object`, got `array`"),
    "link: {ping_timeout: 0}": ("link.ping_timeout", "PARLEY_LINK__PING_TIMEOUT", "expected `float` > 0.0"),
    "link: {ping_timeout: -1}": ("link.ping_timeout", "PARLEY_LINK__PING_TIMEOUT", "expected `float` > 0.0"),
    "link: {ping_timeout: .nan}": ("link.ping_timeout", "PARLEY_LINK__PING_TIMEOUT", "expected `float` > 0.0"),
    "link: {ping_timeout: 5 s}": ("link.ping_timeout", "PARLEY_LINK__PING_TIMEOUT", "expected `float`, got `str`"),
    "link: {payload_limit: 0}": ("link.payload_limit", "PARLEY_LINK__PAYLOAD_LIMIT", "expected `int` >= 1"),
    "link: {payload_limit: 1073741825}": (
        "link.payload_limit", "PARLEY_LINK__PAYLOAD_LIMIT", "expected `int` <= 1073741824",
    ),
    "limits: {read_bytes: 2101247}": (
        "limits.read_bytes", "PARLEY_LIMITS__READ_BYTES", "less than link.payload_limit",
    ),
    "limits: {send_bytes: 1}": ("limits.send_bytes", "PARLEY_LIMITS__SEND_BYTES", "less than link.payload_limit"),
    "link: {backoff_min: 16}": ("link.backoff_min", "PARLEY_LINK__BACKOFF_MIN", "greater than link.backoff_max"),
    "discovery: {static_peers: beta}": (
        "discovery.static_peers", "PARLEY_DISCOVERY__STATIC_PEERS", "expected `array`, got `str`",
    ),
    "discovery: {static_peers: [a, 1]}": (
        "discovery.static_peers[1]", "PARLEY_DISCOVERY__STATIC_PEERS", "expected `str`, got `int`",
    ),
    "discovery: {static_peers: [a, 'b:0']}": (
        "discovery.static_peers", "PARLEY_DISCOVERY__STATIC_PEERS", "'b:0' names no port from 1 to 65535",
    ),
    "discovery: {static_peers: [a, ship..example]}": (
        "discovery.static_peers", "PARLEY_DISCOVERY__STATIC_PEERS", "'ship..example' can be no name of a host",
    ),
    "discovery: {static_peers: [.example]}": (
        "discovery.static_peers", "PARLEY_DISCOVERY__STATIC_PEERS", "nothing between two dots, or before the first",
    ),
    f"discovery: {{static_peers: ['{'a' * 64}.example:9999']}}": (
        "discovery.static_peers", "PARLEY_DISCOVERY__STATIC_PEERS", "a part between dots has over 63 characters",
    ),
    f"discovery: {{static_peers: [{'.'.join(['a' * 60] * 5)}]}}": (
        "discovery.static_peers", "PARLEY_DISCOVERY__STATIC_PEERS", "it has over 253 characters",
    ),
    "discovery: {static_peers: ['a b']}": (
        "discovery.static_peers", "PARLEY_DISCOVERY__STATIC_PEERS", "it has a space",
    ),
    "discovery: {static_peers: [':9999']}": (
        "discovery.static_peers", "PARLEY_DISCOVERY__STATIC_PEERS", "':9999' names no host before the colon",
    ),
    "discovery: {address: beta..local}": (
        "discovery.address", "PARLEY_DISCOVERY__ADDRESS", "'beta..local' can be no name of a host",
    ),
    "discovery: {address: 'b:x'}": (
        "discovery.address", "PARLEY_DISCOVERY__ADDRESS", "'b:x' names no port from 1 to 65535",
    ),
    "log: {level: loud}": ("log.level", "PARLEY_LOG__LEVEL", "expected `str` matching regex"),
    "log: {format: xml}": ("log.format", "PARLEY_LOG__FORMAT", "expected `str` matching regex"),
    "server_id: -x": ("server_id", "PARLEY_SERVER_ID", "'-x' is not 1 to 63 letters"),
    "server_id: a b": ("server_id", "PARLEY_SERVER_ID", "'a b' is not 1 to 63 letters"),
    "server_id: a@b": ("server_id", "PARLEY_SERVER_ID", "'a@b' is not 1 to 63 letters"),
    "server_id: bücher": ("server_id", "PARLEY_SERVER_ID", "is not 1 to 63 letters"),
    f"server_id: {'a' * 64}": ("server_id", "PARLEY_SERVER_ID", "is not 1 to 63 letters"),
    "address: localhost": ("address", "PARLEY_ADDRESS", "'localhost' is no IPv4 address"),
    "address: '::1'": ("address", "PARLEY_ADDRESS", "'::1' is no IPv4 address"),
    "address: 127.1": ("address", "PARLEY_ADDRESS", "expected `str`, got `float`"),
    "address: 127.0.0": ("address", "PARLEY_ADDRESS", "'127.0.0' is no IPv4 address"),
}  # fmt: skip


@pytest.mark.parametrize("text", FAULTS)
def test_a_fault_is_one_line_with_the_key_its_variable_and_what_is_wrong(load_text, text):
    key, variable, what = FAULTS[text]
    sentence = refusal(text, load_text)
    assert sentence.startswith(f"configuration key {key} ({variable}): ")
    assert what in sentence


def test_what_may_be_a_name_of_a_host_is_taken(load_text):
    names = ["ship.example.", "SHIP", "bücher.example", "a" * 63, "192.0.2.1:9999", "a_b"]
    assert load_text(f"discovery: {{static_peers: {names}}}").discovery.static_peers == tuple(names)


TRAPS = {
    "server_id: yes": "server_id",  # YAML reads True
    "server_id: no": "server_id",  # Norway
    "server_id: off": "server_id",
    "server_id: 123": "server_id",
    "server_id: 1e3": None,  # text in YAML 1.1, and a fine name
    "server_id: null": "server_id",
    "server_id: 2026-01-01": "server_id",  # a date
    "chat: {port: yes}": "chat.port",  # True is 1 to Python
    "link: {ping_timeout: yes}": "link.ping_timeout",
    "link: {ping_timeout: on}": "link.ping_timeout",
    "discovery: {address: 1:20}": "discovery.address",  # 80, in base 60
    "discovery: {static_peers: [no]}": "discovery.static_peers[0]",
    "data_dir: null": "data_dir",
    "chat:": "chat",  # a section with nothing in it
    "1: 2": "1",
    "yes: 2": "True",
    "chat: {1: 2}": "chat.1",
    "link: {on: 2}": "link.True",
}


@pytest.mark.parametrize("text", TRAPS)
def test_what_yaml_reads_as_something_else_is_told_and_never_guessed(load_text, text):
    if TRAPS[text] is None:
        load_text(text)
    else:
        assert refusal(text, load_text).startswith(f"configuration key {TRAPS[text]} ")


@pytest.mark.parametrize("text", ["true", "no", "12", "null", "1e3"])
def test_the_environment_knows_only_text_so_a_name_is_a_name(load_text, text):
    assert load_text("", {"PARLEY_SERVER_ID": text}).server_id == text


@pytest.mark.parametrize("text", ['chat: {port: "6667"}', "chat: {port: 6667}", "chat: {port: 6667.0}"])
def test_a_number_in_quotes_is_a_number(load_text, text):
    assert load_text(text).chat.port == 6667


@pytest.mark.parametrize(
    ("variable", "value", "key"),
    [
        ("PARLEY_FOO", "1", "foo"),
        ("PARLEY_CHAT__FOO", "1", "chat.foo"),
        ("PARLEY_FOO__BAR", "1", "foo"),
        ("PARLEY_CHAT__PORT", "", "chat.port"),
        ("PARLEY_CHAT__PORT", "true", "chat.port"),
        ("PARLEY_CHAT__PORT", "6_666", "chat.port"),
        ("PARLEY_CHAT__PORT", "99999999999999999999", "chat.port"),
        ("PARLEY_CHAT", "6666", "chat"),
        ("PARLEY_CHAT__PORT__X", "1", "chat.port"),
        ("PARLEY_LINK__PING_TIMEOUT", "nan", "link.ping_timeout"),
        ("PARLEY_LINK__PING_TIMEOUT", "5s", "link.ping_timeout"),
        ("PARLEY_LOG__LEVEL", "INFO", "log.level"),
    ],
)
def test_a_fault_in_the_environment_names_its_key_too(load_text, variable, value, key):
    assert refusal("", load_text, {variable: value}).startswith(f"configuration key {key} (PARLEY_")


@pytest.mark.parametrize("text", ["chat: 5", "chat:", "chat: [1]"])
def test_a_variable_below_what_the_file_has_as_no_section_is_told(load_text, text):
    sentence = refusal(text, load_text, {"PARLEY_CHAT__PORT": "1"})
    assert sentence == "PARLEY_CHAT__PORT: chat is no section"


@pytest.mark.parametrize(
    "text", ["[1]", "text", "5", "a: [", "\tchat: 1", "a: b: c", "!!python/name:os.system x", "? [1]"]
)
def test_a_file_that_is_no_mapping_is_one_line_that_names_it(load_text, text, tmp_path):
    assert str(tmp_path / "parley.yml") in refusal(text, load_text)


def test_a_file_that_is_no_text_or_absent_is_one_line_that_names_it(tmp_path):
    path = tmp_path / "parley.yml"
    for there in (False, True):
        if there:
            path.write_bytes(b"\xff\xfe\x00")
        with pytest.raises(ConfigError, match="cannot read") as caught:
            load(str(path), {})
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


# What is made of it --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("beta", "beta", 9998), ("beta:1", "beta", 1), (" beta:65535 ", "beta", 65535), ("", "", 9998), (":7", "", 7)],
)
def test_a_host_with_or_without_a_port(text, host, port):
    assert split_host_port(text, 9998) == (host, port)


@pytest.mark.parametrize("text", ["a:", "a:0", "a:65536", "a:-1", "a:x", "a:1:2", "a:²", "a: 1", "a:1.0"])
def test_a_port_that_is_none(text):
    with pytest.raises(ConfigError, match="names no port from 1 to 65535"):
        split_host_port(text, 9998)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ("127.0.0.1", 9998)),
        ("address: 127.0.0.2", ("127.0.0.2", 9998)),
        ("address: 127.0.0.2\ndiscovery: {address: discovery}", ("discovery", 9998)),
        ("discovery: {address: 'discovery:5', tcp_port: 7}", ("discovery", 5)),
        ("discovery: {tcp_port: 7}", ("127.0.0.1", 7)),
    ],
)
def test_where_a_process_registers(load_text, text, expected):
    assert load_text(text).registration_address() == expected


def test_listeners_bind_to_all_addresses_or_to_one(load_text):
    assert load_text("").bind_host == "0.0.0.0"
    assert load_text("address: 127.0.0.2").bind_host == "127.0.0.2"


@pytest.mark.parametrize(
    ("host", "server_id"),
    [
        ("alpha", "alpha"),
        ("alpha.example.org", "alpha"),
        ("Büro 3", "B-ro-3"),
        ("-x-", "x"),
        ("_", "parley"),
        ("", "parley"),
        ("a" * 80, "a" * 63),
        ("7c8bd1", "7c8bd1"),
    ],
)
def test_a_hosts_name_becomes_a_server_id(monkeypatch, host, server_id):
    monkeypatch.setattr(config_module.socket, "gethostname", lambda: host)
    assert host_name() == server_id
    assert SERVER_ID.fullmatch(server_id)


def test_a_configuration_is_not_changed_by_accident():
    with pytest.raises(AttributeError):
        Config().server_id = "x"


def test_loading_reads_the_given_environment_and_no_other(load_text, monkeypatch):
    monkeypatch.setenv("PARLEY_SERVER_ID", "real")
    assert load_text("", {"X": "y"}).server_id == ""


@pytest.mark.parametrize("text", ["10.0.0.0/33", "alpha", "::1"])
def test_who_may_see_the_metrics_is_an_address_or_a_network(load_text, text):
    with pytest.raises(ConfigError, match=r"limits\.metrics_from"):
        load_text("", {"PARLEY_LIMITS__METRICS_FROM": text})
