"""`parley chat`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

from parley.cli.people.conversation import Conversation
from parley.cli.people.documents import Folder
from parley.cli.people.refusal_notices import RefusalNotices
from parley.cli.people.refused import Refused
from parley.cli.people.screens import EditorScreen, screen
from parley.cli.people.typing_notices import TypingNotices
from parley.cli.terminal import at_home, finder, who_we_are
from parley.client.chat import ChatFeature
from parley.shared.config import Config
from parley.shared.sockets.descriptors import is_file


async def chat(config: Config, name: str, servers: Sequence[str], save: str) -> int:
    """Lines in, lines out, until the input ends; the exit code."""
    user = who_we_are(config, name)
    discovery = await finder(config, servers)
    conversation = Conversation(
        user, Folder.chosen(save), answers_for_all=is_file(0), is_marked=config.security.has_keys
    )
    conversation.screen = editor = screen(
        conversation.prompt, conversation.typing_notice, conversation.edited, config.link.payload_limit
    )
    refusals, refused = RefusalNotices(editor.note), Refused()
    conversation.chat = ChatFeature(
        user,
        config,
        on_message=conversation.message_received,
        on_edit=conversation.edit_received,
        on_status=conversation.status_received,
        on_connection=conversation.connection_changed,
        on_new_device=conversation.new_device_waits,
        on_forged=refusals.forged,
        on_replayed=refusals.replayed,
        on_key_change=conversation.key_changed,
        on_forged_status=refusals.forged_status,
        on_refused=refused.by,
        on_read=conversation.was_read,
        on_line=conversation.past.line_came if isinstance(editor, EditorScreen) else None,
        discovery=discovery,
    )
    conversation.past.chat, conversation.past.screen = conversation.chat, editor
    conversation.is_at_terminal = isinstance(editor, EditorScreen)
    async with at_home(conversation.chat, servers):
        conversation.chat.trust.notice = editor.note
        if not isinstance(editor, EditorScreen):
            code = await refused.unless(conversation.run())
            return code or int(editor.has_unprinted)  # what was not printed is not acknowledged
        conversation.typing_notices = TypingNotices(user, config, discovery, editor.refresh)
        async with beside(conversation.typing_notices.run()):
            return await refused.unless(conversation.run())


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do something else meanwhile, which ends with it."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
