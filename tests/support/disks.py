"""A disk for tests: it writes and reads when told, may fail, and forgets at a crash what was not committed."""

from collections import deque

from services.chat.mailbox import Item


class FakeDisk:
    """What `Store` does, without a file: writes and reads wait, in order, until `commit` or `fail`.

    What is committed outlives the process: `crash` gives the disk to the next one. `kept`, `not_kept` are the
    router's.
    """

    def __init__(self):
        self.kept = self.not_kept = lambda _items: None
        self.messages = {}
        """id → (destination, author, snowflake, recipient, raw)"""
        self.final = {}
        """(author, snowflake, recipient) → status of what was on disk"""
        self.unpaid = []
        """(destination, raw) of statuses, in order."""
        self.seen = {}
        """Users and servers."""
        self._waiting = deque()

    def __len__(self):
        return len(self._waiting)

    # What the mailbox asks for ------------------------------------------------------------------

    def keep(self, destination, item):
        row = destination, item.author, item.snowflake, item.recipient, item.raw
        self._waiting.append(("keep", item, lambda: self.messages.__setitem__(item.id, row)))

    def forget(self, item, status):
        def write():
            self.messages.pop(item.id, None)
            self.final.pop(item.key, None)
            self.final[item.key] = status

        self._waiting.append(("write", None, write))

    def owe(self, destination, raw):
        self._waiting.append(("write", None, lambda: self.unpaid.append((destination, raw))))

    def paid(self, destination):
        def write():
            self.unpaid = [each for each in self.unpaid if each[0] != destination]

        self._waiting.append(("write", None, write))

    def know(self, destination):
        self._waiting.append(("write", None, lambda: self.seen.setdefault(destination)))

    def load(self, destination, after, limit, found):
        self._waiting.append(("read", None, lambda: found(self.read(destination, after, limit))))

    # What a test does -----------------------------------------------------------------------------

    def commit(self, count=None):
        """The first `count` (all) of what waits is done as one batch: written, told, then read."""
        batch = self._take(count)
        for kind, _item, do in batch:
            if kind != "read":
                do()
        self._tell(self.kept, batch)
        self._read(batch)

    def commit_all(self):
        """Until nothing waits, whatever that sets off."""
        while self._waiting:
            self.commit()

    def fail(self, count=None):
        """Messages of the first `count` (all) that wait could not be written; other writes wait on."""
        batch = self._take(count)
        self._waiting.extendleft(reversed([each for each in batch if each[0] == "write"]))
        self._tell(self.not_kept, batch)
        self._read(batch)

    def crash(self, written=0):
        """The first `written` of what waits is committed, and nobody hears of it; the rest is lost."""
        for kind, _item, do in self._take(written):
            if kind != "read":
                do()
        self._waiting.clear()
        self.kept = self.not_kept = lambda _items: None

    def _take(self, count):
        count = len(self._waiting) if count is None else min(count, len(self._waiting))
        return [self._waiting.popleft() for _ in range(count)]

    @staticmethod
    def _tell(whom, batch):
        items = [item for _kind, item, _do in batch if item is not None]
        if items:
            whom(items)

    @staticmethod
    def _read(batch):
        for kind, _item, do in batch:
            if kind == "read":
                do()

    # What the next process reads at its start --------------------------------------------------------

    @property
    def next_id(self):
        return max(self.messages, default=0) + 1

    def counts(self):
        """Per destination: how many messages wait, and their bytes."""
        found = {}
        for destination, *_rest, raw in self.messages.values():
            count, size = found.get(destination, (0, 0))
            found[destination] = count + 1, size + len(raw)
        return [(destination, count, size) for destination, (count, size) in found.items()]

    def settled(self):
        return [(*key, status) for key, status in self.final.items()]

    def waiting(self):
        return [(author, n, to) for _id, (_d, author, n, to, _raw) in sorted(self.messages.items())]

    def read(self, destination, after, limit):
        rows = [(i, row) for i, row in sorted(self.messages.items()) if row[0] == destination and i > after]
        return [_item(number, row) for number, row in rows[:limit]]


def _item(number, row):
    _destination, author, snowflake, recipient, raw = row
    item = Item(author, snowflake, recipient, raw)
    item.id = number
    item.is_saved = item.is_safe = True
    return item
