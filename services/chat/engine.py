"""All that there is once the server's name is known: its mailbox, and what routes and remembers with it."""

from __future__ import annotations

from typing import Final

from parley.services.chat.groups.blocks import Blocks
from parley.services.chat.groups.groups import Caps, Groups
from parley.services.chat.groups.paced_changes import PacedChanges
from parley.services.chat.groups.requests import Requests
from parley.services.chat.hooks import Hooks, Timing
from parley.services.chat.message.life import Envelope
from parley.services.chat.message.model import Destination
from parley.services.chat.message.owed_statuses import OwedStatuses
from parley.services.chat.roster import LocalRoster
from parley.services.chat.routing.fair_order import FairOrder
from parley.services.chat.routing.router import Router
from parley.services.chat.search.user_search import UserSearch
from parley.services.chat.state import ChatState
from parley.services.chat.storage.disk_mailbox import DiskMailbox
from parley.services.chat.storage.quotas import Limits
from parley.services.chat.storage.store import Store
from parley.shared.addresses import User
from parley.shared.compiled import core
from parley.shared.config import ChatConfig, LimitsConfig
from parley.shared.runtime.steps import run
from parley.shared.spellings import Spellings
from parley.shared.wire.message_keys import MessageKeys


class ChatEngine:
    """Made from what is on disk: `store` tells what waits, is owed, and who is where."""

    def __init__(
        self,
        server_id: str,
        settings: ChatConfig,
        roster: LocalRoster,
        store: Store,
        hooks: Hooks,
        *,
        fast_path: bool = core is not None,
        fair_order: FairOrder | None = None,
        caps: LimitsConfig | None = None,
        spellings: Spellings | None = None,
    ) -> None:
        """`fair_order` spreads messages to groups and answers to changes over turns; without it all is at once."""
        self.store = store
        self._server_id = server_id
        self._newly_used: set[Destination] = set()
        limits = Limits(
            settings.mailbox_messages,
            settings.mailbox_bytes,
            settings.mailbox_user_messages,
            settings.mailbox_user_bytes,
            settings.mailbox_author_share,
            settings.mailbox_server_share,
        )
        self.state: Final = ChatState(roster.state, store.stored_keys, store.delivered_keys)
        self.mailbox = DiskMailbox(
            store,
            limits,
            state=self.state,
            next_id=store.next_id,
            next_body=store.next_body,
            loaded=hooks.loaded,
            limited=lambda what: hooks.limited(what, "mailbox"),
            gone=self._gone,
            accepted=(lambda _envelope, _has_status: None) if hooks.collect is None else hooks.collect.accepted,
        )
        self.owed = OwedStatuses(
            roster,
            store,
            store.next_receipt,
            age=lambda: store.age,
            limited=lambda: hooks.limited("messages", "statuses"),
        )
        caps = caps or LimitsConfig()
        self.groups = Groups(
            settings.group_members,
            Caps(caps.groups, caps.members, caps.user_groups, caps.share),
            roster.source,
        )
        self.blocks = Blocks(
            most=caps.blocks,
            of_user=caps.user_blocks,
            share=caps.share,
            source=lambda user_id: roster.users.source(User(user_id, server_id)),
        )
        self.router = Router(
            server_id,
            roster,
            self.mailbox,
            self.owed,
            self.groups,
            self.blocks,
            MessageKeys(store.secret),
            Timing(settings.ack_timeout, settings.persist_delay, settings.stuck_ttl),
            hooks,
            store.group_numbers.of,
            fast_path=fast_path,
            fan_out=fair_order.fanouts if fair_order is not None else None,
            in_turns=fair_order.reports.add if fair_order is not None else lambda task: run(task, 0.0),
            spellings=spellings,
        )
        self.requests = Requests(
            server_id,
            roster,
            self.groups,
            self.blocks,
            PacedChanges(store, fair_order.reports) if fair_order is not None else store,
            timeout=settings.ack_timeout,
            hooks=hooks,
        )
        self.search = UserSearch(
            roster,
            roster.connected,
            begin=fair_order.searches.add if fair_order is not None else lambda task: run(task, 0.0),
            limited=hooks.limited,
            wait_until=hooks.search_until,
            ended=hooks.searched,
        )
        self._roster = roster
        self._restore(roster)

    def _restore(self, roster: LocalRoster) -> None:
        """Take over what this server's last process knew."""
        for destination, count, size in self.store.counts():
            self.mailbox.found_at_start(destination, count, size)
        self.router.remote_users.found_at_start()
        for body, copies, size in self.store.shared():
            self.mailbox.shared_at_start(body, copies, size)
        self.store.count_by_author(self.mailbox.counted_at_start)
        for destination, count in self.store.owed_counts():
            self.owed.found_at_start(destination, count)
        for destination, source, at, used in self.store.known_names():
            if isinstance(destination, User):
                roster.users.restore(destination, source, at, used=used)
            else:
                roster.servers.restore(destination, source, at, used=used)
        roster.noted, roster.forgotten = self._newly_used.add, self.store.forget_known
        self._restore_groups()
        for user, other in self.store.blocked():
            self.blocks.add(user, other)
            roster.use(User(user, self._server_id))
        roster.use(*self.state.queues)  # what was noted last may not have been written

    def note_used(self) -> None:
        """Write who is known in earnest by now: now and then, as nothing waits for it."""
        used, self._newly_used = self._newly_used, set()
        for destination in used:
            self.store.use(destination)
        self._roster.noted = self._newly_used.add

    def _restore_groups(self) -> None:
        for group, member, has_left in self.store.members():
            if not has_left:
                self.groups.add(group, member)
                self._roster.use(member)
                if len(self.groups.members(group)) > 1:
                    self.groups.spoke(group)  # perhaps: that is not on disk
                continue
            for each in self.groups.note_former(group, member):
                self.store.forget_member(*each, lambda _is_safe: None)
        for group in self.store.history_off():
            self.groups.set_history(group, is_off=True)

    def persisted(self, envelopes: list[Envelope], _now: float) -> None:
        """The disk has these."""
        self.store.pressure.remove(envelopes)
        self.router.persisted(envelopes)

    def not_persisted(self, envelopes: list[Envelope], now: float) -> None:
        """The disk could not take these."""
        self.store.pressure.remove(envelopes)
        self.router.not_persisted(envelopes, now)

    def _gone(self, envelope: Envelope) -> None:
        """The disk lost a message that waited."""
        self.router.gone(envelope)

    def sizes(self) -> dict[str, int]:
        """How many entries each table has that names may fill."""
        return {
            "users": len(self._roster.users),
            "servers": len(self._roster.servers),
            "groups": len(self.groups),
            "members": self.groups.memberships,
            "former_members": self.groups.former_count,
            "blocks": len(self.blocks),
            "mailboxes": len(self.state.queues),
            "owed_to": self.owed.destinations,
            "remote_users": len(self.router.remote_users),
            **self.router.sizes,
            "searches": len(self.search),
            "asked_elsewhere": len(self.requests.elsewhere),
        }

    def next_timeout(self) -> float | None:
        """When the router or the requests must be woken, or None."""
        each = self.router.next_timeout(), self.requests.elsewhere.next_timeout()
        return min((due for due in each if due is not None), default=None)
