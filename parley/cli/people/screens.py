"""Where `parley chat` reads lines and writes them: a terminal with a line editor, or pipes and files.

prompt_toolkit is imported only for a terminal: no service and no other command pays for it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from typing import Protocol

from parley.cli.people.lines import InputLines
from parley.cli.people.printer import Printer
from parley.cli.terminal import line, note


class Screen(Protocol):
    """The screen that a conversation writes to and reads from."""

    def say(self, text: str) -> Awaitable[None] | None:
        """Show what others wrote; it is shown when this returns, or when what it returns is done."""

    def own(self, text: str) -> None:
        """Show what we wrote ourselves, where it does not stand there as it was typed."""

    def note(self, text: str) -> None:
        """Show what Parley has to say."""

    async def read(self) -> str | None:
        """The next line that was typed; None at the end.

        Raises:
            LineRefused: it can be no message.

        """


class PlainScreen:
    """Messages on standard output, the rest on standard error, lines from standard input."""

    def __init__(self, longest: int) -> None:
        """`longest`: bytes of a line that may be a message; a longer one is read, too, and refused with words."""
        encoding = sys.stdin.encoding if sys.stdin is not None else "utf-8"
        self._lines = InputLines(0, longest, encoding)
        self._printer = Printer()

    def say(self, text: str) -> Awaitable[None] | None:
        """Print it."""
        return self._printer.say(text)

    @property
    def has_unprinted(self) -> bool:
        """Whether something waits to be printed, as where the disk is full."""
        return self._printer.has_unprinted

    def own(self, text: str) -> None:
        """Show nothing: whoever reads the output wrote the lines."""

    def note(self, text: str) -> None:
        """Print it on standard error."""
        note(text)

    async def read(self) -> str | None:
        """The next line of standard input; a closed one is at its end."""
        return await self._lines.next()


class EditorScreen:
    """A terminal: what comes is written above the line that is being edited."""

    def __init__(
        self,
        prompt: Callable[[], str],
        beside: Callable[[], str] = lambda: "",
        edited: Callable[[str], None] = lambda _text: None,
    ) -> None:
        """`prompt` and `beside` are asked for the texts on both sides of the line whenever it is drawn.

        `edited` is called with the line at each change of it, and with nothing when it was sent.
        """
        from prompt_toolkit import PromptSession  # noqa: PLC0415 - 58 ms and 8 MiB, for a terminal alone
        from prompt_toolkit.data_structures import Size  # noqa: PLC0415
        from prompt_toolkit.output.vt100 import Vt100_Output  # noqa: PLC0415

        def size() -> Size:
            columns, rows = os.get_terminal_size(sys.stdout.fileno())
            return Size(rows=rows or 24, columns=columns or 80)

        # Without asking for the cursor's position: not every terminal answers, and nothing here needs it.
        output = Vt100_Output(sys.stdout, size, term=os.environ.get("TERM"), enable_cpr=False)
        self._session: PromptSession[str] = PromptSession(
            message=prompt, rprompt=beside, output=output, erase_when_done=True
        )
        self._edited = edited
        self._prompt = prompt
        self._session.default_buffer.on_text_changed += lambda buffer: edited(buffer.text)

    def refresh(self) -> None:
        """Draw the line again, as the text beside it is another."""
        self._session.app.invalidate()

    def say(self, text: str) -> None:
        """Write it above the line that is being edited; then that line is drawn again."""
        app = self._session.app
        if app.is_running:
            app.renderer.erase()
        line(text)
        app.invalidate()

    note = own = say

    async def read(self) -> str | None:
        """The line, once Enter was pressed; None on Ctrl-D and Ctrl-C."""
        try:
            return await self._session.prompt_async(set_exception_handler=False, handle_sigint=False)
        except (EOFError, KeyboardInterrupt):
            line(self._prompt())
            return None
        finally:
            self._edited("")


def screen(
    prompt: Callable[[], str], beside: Callable[[], str], edited: Callable[[str], None], longest: int
) -> EditorScreen | PlainScreen:
    """An editor where people sit at a terminal that can do more than print lines."""
    is_terminal = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    if is_terminal and os.environ.get("TERM", "dumb") not in ("dumb", "unknown", ""):
        return EditorScreen(prompt, beside, edited)
    return PlainScreen(longest)
