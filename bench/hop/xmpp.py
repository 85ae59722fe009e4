"""Two XMPP servers that are federated without TLS, by dialback: Prosody and ejabberd.

Their domains are their addresses, so that no name must be looked up. Prosody has the garbage collector that takes
half the CPU time of its default.
"""

from __future__ import annotations

import base64
import os
import socket
from contextlib import ExitStack
from pathlib import Path

from bench.hop.generator import DELIMITED, Hop, Records, text
from bench.hop.processes import Program, dial, probe, program, read_until
from bench.hop.system import Place, Running

CLIENTS = 5222
PASSWORD = "hop"

PROSODY = """\
run_as_root = true
daemonize = false
pidfile = "{directory}/{address}.pid"
data_path = "{directory}/{address}"
interfaces = {{ "{address}" }}
modules_enabled = {{ "saslauth"; "dialback"; "roster" }}
modules_disabled = {{ "offline"; "tls" }}
authentication = "internal_plain"
allow_unencrypted_plain_auth = true
c2s_require_encryption = false
s2s_require_encryption = false
s2s_secure_auth = false
use_ipv6 = false
network_settings = {{ tcp_nodelay = true }}
gc = {{ mode = "generational" }}
log = {{ warn = "*console" }}
VirtualHost "{address}"
"""

EJABBERD = """\
hosts: ["{address}"]
loglevel: warning
listen:
  - {{port: 5222, ip: "{address}", module: ejabberd_c2s, starttls: false, max_stanza_size: infinity, shaper: none}}
  - {{port: 5269, ip: "{address}", module: ejabberd_s2s_in, max_stanza_size: infinity, shaper: none}}
s2s_use_starttls: false
outgoing_s2s_families: [ipv4]
auth_method: anonymous
anonymous_protocol: login_anon
allow_multiple_connections: true
max_fsm_queue: 10000000
shaper_rules: {{}}
acl: {{}}
modules:
  mod_s2s_dialback: {{}}
"""


def prosody(stack: ExitStack, directory: Path, place: Place) -> Running:
    """Start two, connect the clients; the first message has the servers connect."""
    pids = []
    for address, user in ((place.one, "ann"), (place.two, "bob")):
        accounts = directory / address / address.replace(".", "%2e") / "accounts"
        accounts.mkdir(parents=True)
        (accounts / f"{user}.dat").write_text(f'return {{ ["password"] = "{PASSWORD}"; }};\n')
        path = directory / f"{address}.cfg.lua"
        path.write_text(PROSODY.format(address=address, directory=directory))
        server = Program(stack, directory, address, [program("prosody"), "-F", "--config", str(path)])
        server.wait_port(address, CLIENTS)
        pids.append(server.pid)
    return Running(_hop(stack, place), pids)


def ejabberd(stack: ExitStack, directory: Path, place: Place) -> Running:
    """Start two as Erlang programs without distribution, connect the clients."""
    command = [program("erl"), "-noinput", "+K", "true", "+P", "250000", "-start_epmd", "false"]
    program("ejabberdctl")
    libraries = {"ERL_LIBS": os.pathsep.join(str(path) for path in Path("/usr/lib").glob("*-linux-gnu"))}
    servers = []
    for address in (place.one, place.two):
        path = directory / f"{address}.yml"
        path.write_text(EJABBERD.format(address=address))
        environment = (
            os.environ
            | libraries
            | {
                "EJABBERD_CONFIG_PATH": str(path),
                "EJABBERD_LOG_PATH": str(directory / f"{address}.ejabberd.log"),
                "HOME": str(directory),
            }
        )
        words = [*command, "-mnesia", "dir", f'"{directory}/{address}"', "-s", "ejabberd"]
        servers.append((Program(stack, directory, address, words, environment), address))
    for server, address in servers:
        server.wait_port(address, CLIENTS)
    return Running(_hop(stack, place), [server.pid for server, _ in servers])


def _hop(stack: ExitStack, place: Place) -> Hop:
    author, recipient = _connect(stack, place.one, "ann"), _connect(stack, place.two, "bob")
    recipient.sendall(b"<presence/>")
    read_until(recipient, b"<presence")

    def message(content: bytes) -> bytes:
        return b"<message to='bob@%b' type='chat'><body>%b</body></message>" % (place.two.encode(), content)

    probe(author, recipient, message(b"probe").replace(b"chat", b"headline"), b"probe")
    comes = Records(DELIMITED, marker=b"<body>", end=b"</body></message>")
    return Hop(author, recipient, lambda number: message(text(number)), comes)


def _connect(stack: ExitStack, address: str, user: str) -> socket.socket:
    """A client's session: a stream, SASL PLAIN, another stream, a resource."""
    sock = dial(stack, address, CLIENTS)
    stream = (
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
        f" version='1.0' to='{address}'>"
    ).encode()
    sock.sendall(stream)
    read_until(sock, b"</stream:features>")
    secret = base64.b64encode(f"\0{user}\0{PASSWORD}".encode())
    sock.sendall(b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%b</auth>" % secret)
    read_until(sock, b"<success")
    sock.sendall(stream)
    read_until(sock, b"</stream:features>")
    sock.sendall(
        b"<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>"
    )
    read_until(sock, b"</iq>")
    sock.sendall(b"<iq type='set' id='s'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>")
    read_until(sock, b"id='s'", b'id="s"')
    return sock
