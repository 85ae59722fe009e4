"""`parley send`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

from client.chat import ChatFeature
from client.cli.documents import read_file, too_large
from client.cli.names import recipient_named
from client.cli.terminal import at_home, fail, finder, line, who_we_are
from client.cli.words import explain
from client.deliveries import DELIVERED, Delivery
from shared.addresses import Group, Recipient
from shared.config import Config
from shared.errors import FrameTooLarge


async def send(
    config: Config,
    sender: str,
    recipient: str,
    text: str,
    file: Path | None,
    servers: Sequence[str],
    wait: float,
    *,
    as_json: bool,
) -> int:
    """Send one text or file, print each status as it comes; 0 only where all of them are DELIVERED."""
    user = who_we_are(config, sender)
    to = recipient_named(recipient, user.server_id)
    data = read_file(file, config) if file is not None else b""

    def on_status(delivery: Delivery, whose: Recipient, status: str) -> None:
        line(_as_json(delivery, whose, status) if as_json else explain(status, whose))

    chat = ChatFeature(user, config, on_status=on_status, discovery=await finder(config, servers))
    try:
        delivery = chat.send(to, text) if file is None else chat.send_document(to, file.name, data)
    except FrameTooLarge as error:
        fail(too_large(str(file) if file is not None else "the text", error.size, error.limit))
    async with at_home(chat):
        await asyncio.wait([delivery.final], timeout=wait)
    if not delivery.statuses:
        fail(
            f"{user.server_id} gave no status within {wait:g} s; the message may not have been taken, send it again"
        )
    return 0 if delivery.final.done() and delivery.final.result() == DELIVERED else 1


def _as_json(delivery: Delivery, whose: Recipient, status: str) -> str:
    fields = {"snowflake": delivery.snowflake, "to": str(delivery.recipient), "status": status}
    if isinstance(delivery.recipient, Group) and whose is not delivery.recipient:
        fields["member"] = str(whose)
    return json.dumps(fields, ensure_ascii=False)
