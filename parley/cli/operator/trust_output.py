"""The output of `parley trust`: keys with their words, as a table, as JSON, as QR codes."""

from __future__ import annotations

import base64
import json
import time
from typing import Final

from rich.text import Text

from parley.cli.operator.federation_output import print_qr
from parley.cli.tables import show, table
from parley.cli.terminal import line
from parley.shared.names import spell
from parley.shared.printable import harmless
from parley.shared.trust import refusals
from parley.shared.trust.keys import fingerprint
from parley.shared.trust.mnemonics import mnemonic
from parley.shared.trust.server_trust import ServerTrust

WHY: Final = {
    refusals.OTHER_KEY: "another key than its own",
    refusals.REVOKED: "a revoked key",
    refusals.PLAIN_HELD: "a key, for a name that a program without one used",
    refusals.PLAIN_FOR_KEYED: "no key, and it has one",
    refusals.BAD_SIGNATURE: "a signature that does not hold",
    refusals.NO_KEY: "no key, in security.mode: strict",
}


def shown_key(key: bytes) -> str:
    """A key for people: words, and fingerprint."""
    return f"{mnemonic(key)}  ({fingerprint(key)})"


def qr_of(server_id: str, key: bytes) -> str:
    """The text of a key's QR code; in capitals it is smaller."""
    return f"PARLEY-KEY:1:{base64.b32encode(key).decode().rstrip('=')}:{server_id}"


def print_pins(known: ServerTrust, *, as_json: bool, with_qr: bool) -> None:
    """Each name's key, in the order of the names."""
    pins = [pin for _, pin in sorted(known.pins.by_name.items())]
    if as_json:
        for pin in pins:
            key = {"name": pin.name, "key": pin.key.hex(), "fingerprint": fingerprint(pin.key)}
            facts = {"words": mnemonic(pin.key), "since": _date(pin.since), "how": pin.how.value}
            line(json.dumps(key | facts | {"revoked": pin.key in known.pins.revoked}))
        return
    if not pins:
        line("no server's key is known here")
        return
    made = table("SERVER", "WORDS", "KEY", "SINCE", "HOW")
    for pin in pins:
        how = "revoked" if pin.key in known.pins.revoked else pin.how.value
        made.add_row(
            Text(harmless(spell(pin.name))), mnemonic(pin.key), fingerprint(pin.key), _date(pin.since)[:10], how
        )
    show(made)
    for pin in pins if with_qr else ():
        line("")
        line(harmless(spell(pin.name)))
        print_qr(qr_of(pin.name, pin.key))


def print_refused(known: ServerTrust, *, as_json: bool) -> None:
    """The refusals, in the order in which it was first."""
    refused = list(known.refusals.by_key.values())
    if as_json:
        for each in refused:
            what = {"name": each.name, "refused": each.what, "host": each.host, "since": _date(each.since)}
            key = {"key": each.key.hex(), "fingerprint": fingerprint(each.key), "words": mnemonic(each.key)}
            line(json.dumps(what | key if each.key else what))
        return
    if not refused:
        return
    line("")
    made = table("REFUSED", "FROM", "SINCE", "BECAUSE OF", "WORDS", "KEY")
    for each in refused:
        shown = (mnemonic(each.key), fingerprint(each.key)) if each.key else ("", "")
        made.add_row(
            Text(harmless(spell(each.name))), Text(each.host), _date(each.since)[:10], WHY[each.what], *shown
        )
    show(made)


def _date(seconds: float) -> str:
    """A moment for people, in UTC; empty where this machine's clock had none that is one."""
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return ""
