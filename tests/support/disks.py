"""A disk for tests: it writes and reads when told, may fail, and forgets at a crash what was not committed."""

from collections import deque
from typing import NamedTuple

from parley.services.chat.deduplication.delivered_keys import DeliveredKeys
from parley.services.chat.deduplication.stored_keys import StoredKeys, fingerprint
from parley.services.chat.groups.group_numbers import SIZE, GroupNumbers
from parley.services.chat.message.life import Envelope
from parley.services.chat.message.model import HandedOver, name_of
from parley.services.chat.message.statuses import Status
from parley.services.chat.storage.bodies import Copy
from parley.services.chat.storage.mailbox import Moved, Moves
from parley.services.chat.storage.quotas import count, new_tally
from parley.services.chat.storage.rows import edit_mark
from parley.shared.addresses import Group, User

AT_A_TIME = 3
"""Messages that are moved at once."""
AGAIN = ("write", "safe", "hand_over")
"""What is tried again where it could not be written."""


class Row(NamedTuple):
    """A message on disk."""

    destination: object
    author: object
    snowflake: int
    recipient: object
    raw: bytes
    origin: str
    group: object
    key: bytes
    body: object = None


class FakeDisk:
    """What `Store` does, without a file: writes and reads wait, in order, until `commit` or `fail`.

    What is committed outlives the process: `crash` gives the disk to the next one. `kept`, `not_persisted` are the
    router's.
    """

    def __init__(self):
        self.kept = self.not_persisted = self.handed_over = lambda _items: None
        self.messages = {}
        """id → Row"""
        self.in_shared = {}
        """id of a shared copy → the rows of its members' copies, if nobody says before that it is over."""
        self.final = {}
        """key → status of what was on disk"""
        self.elsewhere = {}
        """Name → HandedOver, of what other servers have"""
        self.secret = b"a secret of thirty-two bytes ..."
        self.stored_keys = StoredKeys()
        """Of what is on disk or on its way there."""
        self.delivered_keys = DeliveredKeys(bytearray(64 * 1024))
        """Of what was delivered at once, which is written at once, too."""
        self._numbers = bytearray(SIZE)
        self.unpaid = {}
        """number → (destination, payload) of statuses."""
        self.seen = {}
        """Users and servers."""
        self.memberships = {}
        self.histories_off = set()
        self.blockings = {}
        self.held = {}
        """id → (destination, Envelope) of what could not be written, and is tried again."""
        self._places = {}
        self._waiting = deque()

    def __len__(self):
        return len(self._waiting)

    @property
    def group_numbers(self):
        """As a process has them that starts now."""
        return GroupNumbers(self._numbers)

    # What the mailbox asks for ------------------------------------------------------------------

    def find(self, key):
        """What is committed; else what is put here and not committed, as the set of snowflakes has it."""
        if key in self.final:
            return self.final[key]
        if key in self.delivered_keys:
            return Status.DELIVERED
        for handed_over in self.elsewhere.values():
            if handed_over.key == key:
                return handed_over.status
        for row in self.messages.values():
            if row.key == key:
                return Status.USER_AWAY if isinstance(row.destination, User) else Status.OTHER_SERVER_TIMEOUT
        return None

    def find_handed_over(self, name):
        return self.elsewhere.get(name)

    def delivered(self, item):
        if item.key:
            self.delivered_keys.add(item.key)

    def keep(self, destination, item):
        self.stored_keys.add(fingerprint(item.key))
        parts = item.author, item.snowflake, item.recipient, item.raw, item.origin, item.group, item.key, item.body
        row = Row(destination, *parts)

        def write():
            self.messages[item.id] = row
            self.held.pop(item.id, None)

        self._waiting.append(("keep", item, write))
        if item.is_retried_by_origin:
            self._places[item.id] = destination

    def keep_shared(self, shared):
        first_id, shared.first_id = shared.first_id, 0
        made = list(shared.copies())
        shared.first_id = first_id
        copies = [
            Row(shared.server_id, c.author, c.snowflake, c.recipient, c.raw, c.origin, c.group, c.key, c.body)
            for c in made
        ]

        def write():
            if shared.missing:
                self.in_shared[shared.row_id] = copies

        self._put(write)

    def forget_shared(self, shared):
        self._put(lambda: self.in_shared.pop(shared.row_id, None))

    def rewrite(self, item, _before):
        number, raw, body = item.id, item.raw, item.body

        def write():
            if number in self.messages:
                self.messages[number] = self.messages[number]._replace(raw=raw, body=body)

        self._put(write)

    def look_through(self, destination, pair, target, found):
        def read():
            mark = edit_mark(target)
            waiting = self.read(destination, 0, 1 << 30, pair)
            found([each for each in waiting if each.snowflake == target or mark in each.raw])

        self._waiting.append(("read", None, read))

    def forget(self, item, status, *, erases=False):  # noqa: ARG002 - all is gone at once
        self.stored_keys.add(fingerprint(item.key))

        def write():
            self.messages.pop(item.id, None)
            self.final.pop(item.key, None)
            self.final[item.key] = status

        self._put(write)

    def hand_over(self, item, status):
        self.stored_keys.add(fingerprint(item.key))

        def write():
            self.messages.pop(item.id, None)
            self.elsewhere[name_of(item)] = HandedOver(item.key, status)

        self._waiting.append(("hand_over", item, write))

    def answered_late(self, item, status):
        def write():
            if self.elsewhere.get(name_of(item), HandedOver(b"", 0)).key == item.key:
                del self.elsewhere[name_of(item)]
            self.final[item.key] = status

        self._put(write)

    def owe(self, destination, number, payload):
        self._put(lambda: self.unpaid.__setitem__(number, (destination, payload)))

    def paid(self, destination, number):
        def write():
            self.unpaid = {
                n: (to, payload) for n, (to, payload) in self.unpaid.items() if to != destination or n > number
            }

        self._put(write)

    def know(self, destination, source="", *, used=False):
        self._put(lambda: self.seen.setdefault(destination, [source, used]))

    def use(self, destination):
        def write():
            if destination in self.seen:
                self.seen[destination][1] = True

        self._put(write)

    def forget_known(self, destination):
        def write():
            if destination in self.seen and not self.seen[destination][1]:
                del self.seen[destination]

        self._put(write)

    def join(self, group, user, done):
        self._change(lambda: self._note_member(group, user, has_left=False), done)

    def leave(self, group, user, done):
        self._change(lambda: self._note_member(group, user, has_left=True), done)

    def _note_member(self, group, user, *, has_left):
        self.memberships.pop((group, user), None)
        self.memberships[group, user] = has_left

    def forget_member(self, group, user, done):
        self._change(lambda: self.memberships.pop((group, user), None), done)

    def set_history(self, group, is_off, done):
        change = self.histories_off.add if is_off else self.histories_off.discard
        self._change(lambda: change(group), done)

    def history_off(self):
        return sorted(self.histories_off)

    def block(self, user, other, done):
        self._change(lambda: self.blockings.setdefault((user, other)), done)

    def unblock(self, user, other, done):
        self._change(lambda: self.blockings.pop((user, other), None), done)

    def when_safe(self, then):
        self._waiting.append(("safe", None, then))

    def load(self, destination, after, limit, found, pair=None):
        self._waiting.append(("read", None, lambda: found(self.read(destination, after, limit, pair))))

    def move(self, source, found):
        def write(*, tells=True):
            moves = self._move(source)
            if tells:
                found(moves)

        self._waiting.append(("move", None, write))

    def _move(self, source):
        mine = [(number, row) for number, row in sorted(self.messages.items()) if row.destination == source]
        some, moved, left = mine[:AT_A_TIME], [], []
        for number, row in some:
            if isinstance(row.recipient, Group) and not isinstance(source, User):
                left.append(_item(number, row))
                continue
            destination = source.server_id if isinstance(source, User) else row.recipient
            self.messages[number] = row._replace(destination=destination)
            own = len(row.raw) - (row.body.size if row.body else 0)
            moved.append(Moved(destination, row.author, row.origin, 1, len(row.raw), own))
        return Moves(moved, left, len(some) < AT_A_TIME)

    def load_owed(self, destination, after, limit, found):
        def read():
            owed = [(n, each[1]) for n, each in sorted(self.unpaid.items()) if each[0] == destination and n > after]
            found(owed[:limit])

        self._waiting.append(("read", None, read))

    def _put(self, write):
        self._waiting.append(("write", None, write))

    def _change(self, write, done):
        def change(is_safe):
            if is_safe:
                write()
            done(is_safe)

        self._waiting.append(("change", None, change))

    # What a test does -----------------------------------------------------------------------------

    def commit(self, count=None):
        """The first `count` (all) of what waits is done as one batch: written, told, then read."""
        batch = self._take(count)
        for kind, _item, do in batch:
            if kind in ("keep", "write", "hand_over"):
                do()
        self._tell(self.kept, batch, "keep")
        self._tell(self.handed_over, batch, "hand_over")
        for kind, _item, do in batch:
            if kind == "change":
                do(True)
            elif kind == "safe":
                do()
        self._read(batch)

    def commit_all(self):
        """Until nothing waits, whatever that sets off."""
        while self._waiting:
            self.commit()

    def fail(self, count=None):
        """Messages of the first `count` (all) that wait, and changes, could not be written; the rest waits on.

        What another server offers again is tried again (unwritten.py).
        """
        batch, again = [], []
        for kind, item, do in self._take(count):
            if kind == "keep" and item.is_retried_by_origin and not item.is_over:
                again.append((kind, item, do))
                self.held[item.id] = self._places[item.id], item
                continue
            if kind in AGAIN:
                again.append(("write" if kind == "hand_over" else kind, None, do))
            batch.append((kind, item, do))
        self._waiting.extendleft(reversed(again))
        self._tell(self.not_persisted, batch, "keep")
        self._tell(self.handed_over, batch, "hand_over")
        for kind, _item, do in batch:
            if kind == "change":
                do(False)
        self._read(batch)

    def crash(self, written=0):
        """The first `written` of what waits is committed, and nobody hears of it; the rest is lost."""
        for kind, _item, do in self._take(written):
            if kind in ("keep", "write", "hand_over"):
                do()
            elif kind == "move":
                do(tells=False)
        self._waiting.clear()
        self._expand()
        self.kept = self.not_persisted = self.handed_over = lambda _items: None

    def _expand(self):
        """What was in flight in shared copies waits by itself for the next process."""
        for number, rows in self.in_shared.items():
            places = range(number - len(rows), number)
            known = {self.messages[place].key for place in places if place in self.messages}
            free = (place for place in places if place not in self.messages)
            self.messages |= {next(free): row for row in rows if row.key not in known}
        self.messages = dict(sorted(self.messages.items()))
        self.in_shared.clear()

    def _take(self, count):
        count = len(self._waiting) if count is None else min(count, len(self._waiting))
        return [self._waiting.popleft() for _ in range(count)]

    @staticmethod
    def _tell(whom, batch, what):
        items = [item for kind, item, _do in batch if kind == what]
        if items:
            whom(items)

    @staticmethod
    def _read(batch):
        for kind, _item, do in batch:
            if kind in ("read", "move"):
                do()

    # What the next process reads at its start --------------------------------------------------------

    @property
    def next_id(self):
        return max(self.messages, default=0) + 1

    @property
    def next_body(self):
        return max((row.body.number for row in self.messages.values() if row.body), default=0) + 1

    def shared(self):
        """(body, how many copies share it, its bytes)."""
        bodies = [row.body for row in self.messages.values() if row.body]
        return [
            (
                number,
                sum(each.number == number for each in bodies),
                next(b.size for b in bodies if b.number == number),
            )
            for number in {each.number for each in bodies}
        ]

    def count_by_author(self, found):
        tally = new_tally()
        bodies = {}
        for row in self.messages.values():
            own = len(row.raw) - (row.body.size if row.body else 0)
            count(tally, row.destination, row.author, row.origin, 1, len(row.raw), own)
            if row.body:
                bodies[row.body.number] = row
        for row in bodies.values():
            count(tally, row.destination, row.author, row.origin, 0, 0, row.body.size)
        found(tally)

    @property
    def next_receipt(self):
        return max(self.unpaid, default=0) + 1

    def counts(self):
        """Per destination: how many messages wait, and their bytes."""
        found = {}
        for row in self.messages.values():
            count, size = found.get(row.destination, (0, 0))
            found[row.destination] = count + 1, size + len(row.raw)
        return [(destination, count, size) for destination, (count, size) in found.items()]

    def owed_counts(self):
        owed = [destination for destination, _payload in self.unpaid.values()]
        return [(destination, owed.count(destination)) for destination in dict.fromkeys(owed)]

    def known(self):
        return list(self.seen)

    age = 0.0

    def known_names(self):
        return [(destination, source, 0.0, used) for destination, (source, used) in self.seen.items()]

    def members(self):
        return [(*key, has_left) for key, has_left in self.memberships.items()]

    def blocked(self):
        return list(self.blockings)

    def read(self, destination, after, limit, pair=None):
        found = [
            (number, row)
            for number, row in sorted(self.messages.items())
            if row.destination == destination and number > after and pair in (None, (row.author, row.recipient))
        ]
        items = {number: _item(number, row) for number, row in found}
        for number, (where, item) in self.held.items():
            if where == destination and number > after and pair in (None, item.pair) and not item.is_over:
                items[number] = item
        return [items[number] for number in sorted(items)[:limit]]


def _item(number, row):
    parts = {"key": row.key, "origin": row.origin, "group": row.group}
    if row.body is None:
        item = Envelope(row.author, row.snowflake, row.recipient, row.raw, **parts)
    else:
        head = row.raw[: -1 - row.body.size]
        item = Copy(row.author, row.snowflake, row.recipient, head=head, body=row.body, **parts)
    item.found(number, item.size)
    return item
