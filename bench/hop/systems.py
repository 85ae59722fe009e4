"""Every system that is measured, by name, in the order of the table."""

from __future__ import annotations

from functools import partial

from bench.hop.irc import inspircd, ngircd
from bench.hop.library import library
from bench.hop.mqtt import mosquitto
from bench.hop.nats import core, jetstream
from bench.hop.parley import parley
from bench.hop.relays import c_relay, direct, uvloop_parse, uvloop_relay
from bench.hop.system import Start
from bench.hop.xmpp import ejabberd, prosody

SYSTEMS: dict[str, Start] = {
    "parley": parley,
    "parley-tls": partial(parley, is_secure=True),
    "parley-history": partial(parley, keep=30),
    "parley-library": library,
    "parley-signed": partial(library, is_signed=True),
    "c-relay": c_relay,
    "uvloop-relay": uvloop_relay,
    "uvloop-parse": uvloop_parse,
    "ngircd": ngircd,
    "inspircd": inspircd,
    "nats": core,
    "jetstream": jetstream,
    "mosquitto-qos0": partial(mosquitto, 0),
    "mosquitto-qos1": partial(mosquitto, 1),
    "prosody": prosody,
    "ejabberd": ejabberd,
    "direct": direct,
}
