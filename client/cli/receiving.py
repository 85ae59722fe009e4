"""What comes: messages as lines for people or programs, documents into a folder; and `parley listen`."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence

from client.chat import ChatFeature
from client.cli.documents import Folder, SaveFailed
from client.cli.terminal import at_home, finder, line, note, who_we_are
from client.cli.words import describe, group_of, written_at
from shared.addresses import User
from shared.config import Config
from shared.messages import pb


async def listen(config: Config, name: str, servers: Sequence[str], save: str, *, as_json: bool) -> int:
    """Print each message, acknowledge it, until the output ends or for ever."""
    user = who_we_are(config, name)
    folder = Folder(save) if save else None
    ended = asyncio.Event()
    greeted = False

    def on_message(message: pb.ChatMessage) -> None:
        saved = save_document(message, folder)
        try:
            line(_as_json(message, saved) if as_json else describe(message, saved))
        except BrokenPipeError:  # as in `parley listen | head -1`: what nobody reads is not acknowledged
            ended.set()
            raise

    def on_connection(is_connected: bool) -> None:
        nonlocal greeted
        if is_connected:
            note(f"{user.server_id} is back" if greeted else f"listening as {user}; Ctrl-C ends it")
            greeted = True
        elif not is_connected and not ended.is_set():
            note(f"{user.server_id} is gone; waiting for it")

    discovery = await finder(config, servers)
    chat = ChatFeature(user, config, on_message=on_message, on_connection=on_connection, discovery=discovery)
    async with at_home(chat, servers):
        try:
            await ended.wait()
        finally:
            ended.set()
    return 0


def save_document(message: pb.ChatMessage, folder: Folder | None) -> str:
    """Save the document of a message where there is one and a folder; its path, or nothing.

    Raises:
        SaveFailed: told on standard error, too, with what to do.

    """
    if folder is None or not message.HasField("document"):
        return ""
    try:
        return folder.save(message.document)
    except SaveFailed as error:
        note(f"parley: {error}")
        raise


def _as_json(message: pb.ChatMessage, saved: str) -> str:
    group = group_of(message)
    is_document = message.HasField("document")
    now = time.time()
    fields = {
        "snowflake": message.messageSnowflake,
        "author": str(User.of(message.author)),
        "group": str(group) if group is not None else None,
        "written_at": written_at(message.messageSnowflake, now),
        "received_at": now,
        "text": message.textContent if message.HasField("textContent") else None,
        "document": message.document.filename if is_document else None,
        "bytes": len(message.document.data) if is_document else None,
        "saved": saved or None,
    }
    return json.dumps({key: value for key, value in fields.items() if value is not None}, ensure_ascii=False)
