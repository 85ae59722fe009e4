"""Every system that is measured, by name, in the order of the table."""

from __future__ import annotations

from bench.hop.parley import parley
from bench.hop.relays import c_relay, direct, uvloop_parse, uvloop_relay
from bench.hop.system import Start

SYSTEMS: dict[str, Start] = {
    "parley": parley,
    "c-relay": c_relay,
    "uvloop-relay": uvloop_relay,
    "uvloop-parse": uvloop_parse,
    "direct": direct,
}
