"""Incoming messages as lines for people or programs, documents into a folder; and `parley listen`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from parley.cli.people.documents import Folder, SaveFailed
from parley.cli.people.key_changes import KeyChanges
from parley.cli.people.printer import Printer
from parley.cli.people.refusal_notices import RefusalNotices
from parley.cli.people.refused import Refused
from parley.cli.people.wording import assurance_of, describe, group_of, written_at
from parley.cli.terminal import as_json, at_home, finder, note, who_we_are
from parley.client.chat import ChatFeature
from parley.shared.addresses import User
from parley.shared.config import Config
from parley.shared.names import spell
from parley.shared.wire.messages import pb


async def listen(config: Config, name: str, servers: Sequence[str], save: str, *, in_json: bool) -> int:
    """Print each message, acknowledge it, until the output ends or for ever."""
    user = who_we_are(config, name)
    folder = Folder.chosen(save)
    printer = Printer()
    refusals, changes, refused = RefusalNotices(note), KeyChanges(), Refused()
    is_marked = config.security.has_keys
    greeted = False

    def on_message(message: pb.ChatMessage) -> asyncio.Future[None] | None:
        printer.require_room()
        saved = save_document(message, folder)
        author = User.of(message.author)
        fields = _fields(message, saved) | {"key_change": changes.of(author)}
        printed = printer.say(as_json(fields) if in_json else describe(message, saved, is_marked=is_marked))
        changes.was_printed(author)
        return printed

    def on_connection(is_connected: bool) -> None:
        nonlocal greeted
        if is_connected:
            note(f"{spell(user.server_id)} is back" if greeted else f"listening as {user}; Ctrl-C ends it")
            greeted = True
        elif not (chat.is_closing or chat.is_revoked):
            note(f"{spell(user.server_id)} is gone; waiting for it")

    def on_edit(message: pb.ChatMessage) -> None:
        fields = _fields(message, "") | {"key_change": changes.of(User.of(message.author))}
        printer.say(as_json(fields) if in_json else describe(message, is_marked=is_marked))

    def on_read(reader: User, snowflake: int) -> None:
        fields = {"read_by": str(reader), "up_to": snowflake, "received_at": time.time()}
        printer.say(as_json(fields) if in_json else f"{reader} has read up to {snowflake}")

    discovery = await finder(config, servers)
    chat = ChatFeature(
        user,
        config,
        on_message=on_message,
        on_edit=on_edit,
        on_read=on_read,
        on_connection=on_connection,
        on_forged=refusals.forged,
        on_replayed=refusals.replayed,
        on_key_change=changes.changed,
        on_refused=refused.by,
        discovery=discovery,
    )
    async with at_home(chat, servers):
        return await refused.unless(_for_ever())


async def _for_ever() -> int:
    await asyncio.Event().wait()
    return 0


def save_document(message: pb.ChatMessage, folder: Folder | None) -> str:
    """Save the document of a message where there is one; its path, or nothing. Without a folder it is not saved.

    Raises:
        SaveFailed: told on standard error, too, with what to do.

    """
    if folder is None or not message.HasField("document"):
        return ""
    try:
        return folder.save_of(message)
    except SaveFailed as error:
        note(f"parley: {error}")
        raise


def _fields(message: pb.ChatMessage, saved: str) -> dict[str, object]:
    group = group_of(message)
    is_document, is_place = message.HasField("document"), message.HasField("live_location")
    at, now = message.live_location.location, time.time()
    return {
        "snowflake": message.messageSnowflake,
        "author": str(User.of(message.author)),
        "assurance": assurance_of(message),
        "group": str(group) if group is not None else None,
        "written_at": written_at(message.messageSnowflake, now),
        "received_at": now,
        "text": None if is_document or message.edit.deletes else message.edit.text or message.textContent,
        "edits": message.edit.target or None,
        "deleted": message.edit.deletes,
        "latitude": at.latitude if is_place else None,
        "longitude": at.longitude if is_place else None,
        "document": message.document.filename if is_document else None,
        "bytes": len(message.document.data) if is_document else None,
        "saved": saved or None,
    }
