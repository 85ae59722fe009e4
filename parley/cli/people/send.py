"""`parley send`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from parley.cli.people.documents import read_file, too_large
from parley.cli.people.key_changes import KeyChanges
from parley.cli.people.names import recipient_named
from parley.cli.people.refusal_notices import RefusalNotices
from parley.cli.people.wording import explain, worth_of
from parley.cli.terminal import EXIT_KEPT, as_json, at_home, fail, finder, mention, note, who_we_are
from parley.client.chat import ChatFeature
from parley.client.outbox.deliveries import DELIVERED, INTERIM, Delivery
from parley.shared.addresses import Group, Recipient, User
from parley.shared.config import Config
from parley.shared.errors import EXIT_CONFIG, FrameTooLarge
from parley.shared.names import spell
from parley.shared.sockets.descriptors import read_all

FIRST_STATUS: Final = 15.0
"""Seconds for the first status: a server that waits for another one's takes 10."""


def text_of(argument: str) -> str:
    """The text to send; that of standard input for -. Exits where it is none."""
    text = argument
    if argument == "-":
        try:
            text = read_all(0).decode().removesuffix("\n")
        except OSError as error:
            fail(f"standard input cannot be read: {(error.strerror or str(error)).lower()}", EXIT_CONFIG)
        except UnicodeDecodeError:
            fail("standard input holds bytes that are no UTF-8 text; send them as a file, with --file", EXIT_CONFIG)
    if not text.strip():
        fail("the text is empty, and nothing was sent", EXIT_CONFIG)
    return text


async def send(
    config: Config,
    sender: str,
    recipient: str,
    text: str,
    file: Path | None,
    servers: Sequence[str],
    wait: float,
    *,
    in_json: bool,
) -> int:
    """Send one text or file, print each status as it comes; 0 only where all have it, EXIT_KEPT where they will."""
    user = who_we_are(config, sender)
    to = recipient_named(recipient, user.server_id)
    data = read_file(file, config) if file is not None else b""

    kept: set[Recipient] = set()
    changes = KeyChanges()

    def on_status(delivery: Delivery, whose: Recipient, status: str) -> None:
        fields = _fields(delivery, whose, status) | {"key_change": changes.of(User(*whose))}
        changes.was_printed(User(*whose))
        text = explain(status, whose, was_kept=whose in kept) + worth_of(delivery, whose)
        mention(as_json(fields) if in_json else text)
        if status in INTERIM:
            kept.add(whose)

    chat = ChatFeature(
        user,
        config,
        on_status=on_status,
        on_forged_status=RefusalNotices(note).forged_status,
        on_key_change=changes.changed,
        discovery=await finder(config, servers),
    )
    try:
        delivery = chat.send(to, text) if file is None else chat.send_document(to, file.name, data)
    except FrameTooLarge as error:
        fail(too_large(str(file) if file is not None else "the text", error.size, error.limit))
    async with at_home(chat, servers):
        patience = max(FIRST_STATUS, wait)
        await asyncio.wait([delivery.first_status], timeout=patience)
        if wait and delivery.is_kept:
            note(f"waiting up to {wait:g} s for the delivery; it is kept without that, too (--wait 0)")
        await asyncio.wait([delivery.final], timeout=wait if delivery.statuses else 0)
    if not delivery.statuses:
        fail(
            f"{spell(user.server_id)} gave no status within {patience:g} s; "
            "the message may not have been taken, send it again"
        )
    if delivery.is_kept:
        return EXIT_KEPT
    return 0 if delivery.final.done() and delivery.final.result() == DELIVERED else 1


def _fields(delivery: Delivery, whose: Recipient, status: str) -> dict[str, object]:
    fields: dict[str, object] = {"snowflake": delivery.snowflake, "to": str(delivery.recipient), "status": status}
    fields["assurance"] = delivery.assurance_of(whose).value
    if isinstance(delivery.recipient, Group) and whose is not delivery.recipient:
        fields["member"] = str(whose)
    return fields
