"""Mail for a server's users moves to where it belongs: the server's queue, or a queue of each user. Pure.

How a server is reached may be learnt after something was kept for it: the mail of an older Parley, a message that
came before the server had dialled, a Parley in place of another program. Then what waits moves, on disk, before
anything goes out. It keeps its numbers, so each queue is in order, whatever it had before; and where this process
dies in the middle, the next one moves the rest. What is new goes to where it belongs meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from parley.services.chat.delivery.dispatcher import Dispatcher
from parley.services.chat.message.life import Envelope
from parley.services.chat.message.model import Destination
from parley.services.chat.message.statuses import Status, Statuses
from parley.services.chat.roster import LocalRoster
from parley.services.chat.storage.mailbox import Mailbox
from parley.shared.addresses import User


class MovedMail:
    """Moves it. `users_of` gives the users of a server for whom something may wait; `found` hears of new ones."""

    def __init__(
        self,
        roster: LocalRoster,
        mailbox: Mailbox,
        dispatcher: Dispatcher,
        statuses: Statuses,
        *,
        users_of: Callable[[str], list[User]],
        found: Callable[[User], None],
    ) -> None:
        self._roster = roster
        self._mailbox = mailbox
        self._dispatcher = dispatcher
        self._statuses = statuses
        self._users_of = users_of
        self._found = found
        self._moving: dict[str, list[Callable[[], None]]] = {}
        """Servers whose mail is being moved → what is called then."""

    def is_moving(self, server_id: str) -> bool:
        """Whether some of what waits for a server's users is not where it belongs."""
        return server_id in self._moving

    def settle(self, server_id: str, then: Callable[[], None]) -> None:
        """Have all that waits for a server's users wait where it belongs now; then call."""
        if server_id in self._moving:
            self._moving[server_id].append(then)
            return
        self._moving[server_id] = [then]
        self._go_on(server_id)

    def _misplaced(self, server_id: str) -> Destination | None:
        """A destination for which something waits, and may not."""
        by_gateway = self._roster.is_reached_by_gateway(server_id)
        wrong: Iterable[Destination] = [server_id] if by_gateway else self._users_of(server_id)
        return next((each for each in wrong if not self._mailbox.is_empty(each)), None)

    def _go_on(self, server_id: str) -> None:
        source = self._misplaced(server_id)
        if source is None:
            for then in self._moving.pop(server_id):
                then()
            return
        self._dispatcher.forget_lanes(source)

        def moved(users: set[User], left: list[Envelope]) -> None:
            for user in users:
                self._found(user)
            for envelope in left:  # what is for a group there: there is none
                self._statuses.report(envelope, Status.USER_NOT_FOUND)
            self._go_on(server_id)

        self._mailbox.when_safe(lambda: self._mailbox.move(source, moved))
