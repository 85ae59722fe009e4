"""Two IRC servers that are linked: ngIRCd and InspIRCd, their flood protection off."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from pathlib import Path

from bench.hop.generator import DELIMITED, Hop, Records, text
from bench.hop.processes import Program, dial, probe, program, read_until
from bench.hop.system import Place, Running
from bench.isolation import MARK

CLIENTS, SERVERS = 6667, 7000
"""Ports."""
BUFFERS = Path("/proc/sys/net/ipv4/tcp_rmem")
"""Least, first and greatest size of a receive buffer, in this network namespace."""

NGIRCD = """\
[Global]
Name = {name}.hop.test
Info = measured
AdminInfo1 = a
AdminEMail = a@hop.test
Listen = {address}
Ports = 6667, 7000
MotdPhrase = hello
ServerGID = 0
ServerUID = 0
[Limits]
ConnectRetry = 1
MaxConnections = 0
MaxConnectionsIP = 0
MaxPenaltyTime = 0
PingTimeout = 3600
PongTimeout = 3600
[Options]
DNS = no
Ident = no
PAM = no
ChrootDir =
SyslogFacility = daemon
[Server]
Name = {other}.hop.test
{dials}
MyPassword = hop
PeerPassword = hop
"""

INSPIRCD = """\
<server name="{name}.hop.test" description="measured" network="hop" id="{id}">
<admin name="a" nick="a" email="a@hop.test">
<bind address="{address}" port="6667" type="clients">
<bind address="{address}" port="7000" type="servers">
<connect name="all" allow="*" timeout="60" pingfreq="1h" hardsendq="1g" softsendq="1g" recvq="1g"
 threshold="1000000" commandrate="1000000000" fakelag="no" localmax="1000"
 globalmax="1000" resolvehostnames="no" useconnectban="no">
<performance netbuffersize="65534" somaxconn="128" softlimit="1000" quietbursts="yes">
<options prefixquit="" defaultmodes="" syntaxhints="no" pingwarning="1m" serverpingfreq="1h">
<files motd="{directory}/motd">
<path configdir="{directory}" datadir="{directory}" logdir="{directory}" runtimedir="{directory}">
<pid file="{directory}/{name}.pid">
<module name="spanningtree">
<link name="{other}.hop.test" ipaddr="{other_address}" port="7000" allowmask="127.0.0.0/8" timeout="60"
 sendpass="hop" recvpass="hop">
{dials}
"""


def ngircd(stack: ExitStack, directory: Path, place: Place) -> Running:
    """Start two, the second one dialling the first, and connect the clients."""
    pids = []
    for name, address, other, dials in (
        ("one", place.one, "two", "Passive = yes"),
        ("two", place.two, "one", f"Host = {place.one}\nPort = {SERVERS}\nBind = {place.two}"),
    ):
        path = directory / f"{name}.conf"
        path.write_text(NGIRCD.format(name=name, address=address, other=other, dials=dials))
        server = Program(stack, directory, name, [program("ngircd"), "-n", "-f", str(path)])
        server.wait_port(address, CLIENTS)
        pids.append(server.pid)
    return Running(_hop(stack, place), pids)


def inspircd(stack: ExitStack, directory: Path, place: Place) -> Running:
    """Start two, the second one dialling the first, and connect the clients."""
    pids = []
    short_queues(stack)
    (directory / "motd").write_text("hello\n")
    for name, address, other, other_address, number, dials in (
        ("one", place.one, "two", place.two, "001", ""),
        ("two", place.two, "one", place.one, "002", '<autoconnect period="1s" server="one.hop.test">'),
    ):
        path = directory / f"{name}.conf"
        values = {
            "other": other,
            "other_address": other_address,
            "id": number,
            "dials": dials,
            "directory": directory,
        }
        path.write_text(INSPIRCD.format(name=name, address=address, **values))
        command = [program("inspircd"), "--nofork", "--runasroot", "--nolog", "--config", str(path)]
        server = Program(stack, directory, name, command)
        server.wait_port(address, CLIENTS)
        pids.append(server.pid)
    return Running(_hop(stack, place), pids)


def short_queues(stack: ExitStack) -> None:
    """Have the kernel hold no more unread bytes of a link than InspIRCd reads in one go, for this visit.

    It asks epoll for edges, reads 64 KiB at most, and looks again when the next packet comes or the second is over:
    of what has come in one go, it would take 1,000 messages a second. And it leaves Nagle's algorithm on between
    servers, which waits less where the TCP window is small.
    """
    if not os.environ.get(MARK):
        return  # the buffers of the whole machine are not ours to set
    before = BUFFERS.read_text(encoding="ascii")
    try:
        BUFFERS.write_text("4096 65536 65536", encoding="ascii")
    except OSError:
        return  # not allowed: it is measured as it is
    stack.callback(BUFFERS.write_text, before, encoding="ascii")


def _hop(stack: ExitStack, place: Place) -> Hop:
    author, recipient = _connect(stack, place.one, b"ann"), _connect(stack, place.two, b"bob")
    probe(author, recipient, b"NOTICE bob :probe\r\n", b"NOTICE bob :probe")
    comes = Records(DELIMITED, marker=b" PRIVMSG bob :", end=b"\r\n")
    return Hop(author, recipient, lambda number: b"PRIVMSG bob :" + text(number) + b"\r\n", comes)


def _connect(stack: ExitStack, address: str, nick: bytes) -> socket.socket:
    """A client's link."""
    sock = dial(stack, address, CLIENTS)
    sock.sendall(b"NICK %b\r\nUSER %b 0 * :%b\r\n" % (nick, nick, nick))
    greeting = read_until(sock, b" 376 ", b" 422 ", b"\r\nPING :", b"ERROR")
    if b"PING :" in greeting:
        sock.sendall(b"PONG :" + greeting.split(b"PING :")[1].split(b"\r\n")[0] + b"\r\n")
        read_until(sock, b" 376 ", b" 422 ")
    return sock
