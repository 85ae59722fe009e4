"""An archive's file, written and projected as its thread does, a step at a time; and messages for it."""

from parley.services.chat.archive import storage
from parley.services.chat.archive.early_edits import DAYS
from parley.services.chat.archive.entries import MESSAGE, RECEIVED, SENT, entries, entry_bytes
from parley.services.chat.archive.lists import conversation, message_of
from parley.services.chat.archive.projection import Projection
from parley.services.chat.archive.sync import SyncReader
from parley.services.chat.archive.texts import query_of
from parley.services.chat.message.statuses import Status
from parley.shared.addresses import Group, User
from parley.shared.trust.authors import content_digest, sign_message
from parley.shared.wire.messages import encode, pb

ALICE, BOB, EVE, BEA = User("alice", "alpha"), User("bob", "alpha"), User("eve", "alpha"), User("bea", "beta")
CREW = Group("crew", "alpha")
BOTH = SENT | RECEIVED


def message(author, to, text, snowflake=1):
    payload = pb.ChatMessage(messageSnowflake=snowflake, author=author.to_pb(), textContent=text)
    if isinstance(to, Group):
        payload.group.CopyFrom(to.to_pb())
    else:
        payload.user.CopyFrom(to.to_pb())
    return encode("MESSAGE", payload)


class Kept:
    """An archive's file, written as its thread does."""

    def __init__(self, directory):
        self.path = directory / storage.NAME
        self.day = 1
        self.snowflake = 0
        self.keys = {}
        """Authors' device keys."""
        self.open()

    def open(self):
        self.db = storage.open_file(self.path)
        self.projection = Projection(self.db, self.keys.get)
        self.projection.remember()

    def entry(self, author, to, text, marks=BOTH, status=Status.DELIVERED):
        self.snowflake += 1
        key = self.snowflake.to_bytes(16, "little")
        return entry_bytes(MESSAGE, marks, status, 5.0, key, message(author, to, text, self.snowflake))

    def write(self, *parts):
        number = max(storage.last_record(self.db), storage.projected(self.db)) + 1
        storage.write_chunks(self.db, [b"".join(parts)], number, self.day, 1000.0, 1005.0)

    def project(self):
        while chunk := storage.read_chunks(self.db, storage.projected(self.db)):
            self.projection.project(chunk)

    def say(self, *texts, author=ALICE, to=BOB, **how):
        self.write(*(self.entry(author, to, text, **how) for text in texts))
        self.project()

    def give_up_edits(self):
        """So much later that the messages of no edits come any more."""
        self.day += DAYS + 1
        self.projection.forget()
        self.say("much later", author=EVE, to=EVE)

    def again(self):
        """The process ends, and another one goes on."""
        self.db.close()
        self.open()

    def reader(self):
        return SyncReader(self.path)

    def texts(self, person, other, **how):
        lines = self.reader().history(conversation(person, other), limit=200, **how).lines
        return [pb.ChatMessage.FromString(line.message).textContent for line in lines]

    def found(self, person, words, **how):
        lines = self.reader().search(person, query_of(words), **how).lines
        return [pb.ChatMessage.FromString(line.message).textContent for line in lines]

    def bytes_on_disk(self):
        beside = self.path.with_name(self.path.name + "-wal")
        return self.path.read_bytes() + (beside.read_bytes() if beside.exists() else b"")


def edit_entry(kept, author, to, target, text="", *, revision=1, deletes=False, marks=BOTH, content=None):
    """An edit of the message with that snowflake, whose text was `content`."""
    kept.snowflake += 1
    digest = content_digest(pb.ChatMessage(textContent=content or f"number {target}"))
    payload = pb.ChatMessage(messageSnowflake=kept.snowflake, author=author.to_pb())
    payload.edit.CopyFrom(pb.Edit(target=target, content=digest, revision=revision, text=text, deletes=deletes))
    if isinstance(to, Group):
        payload.group.CopyFrom(to.to_pb())
    else:
        payload.user.CopyFrom(to.to_pb())
    key = kept.snowflake.to_bytes(16, "little")
    return entry_bytes(MESSAGE, marks, Status.DELIVERED, 9.0, key, encode("MESSAGE", payload))


def with_marks(entry, marks):
    """The same entry, told of others."""
    (found,) = entries(entry)
    return entry_bytes(found.kind, marks, found.status, found.when, found.key, found.data)


def edited(kept, person, other):
    """The texts of somebody's lines as they are now, None for a deleted one; the oldest first."""
    found = []
    for line in kept.reader().history(conversation(person, other), after=0, limit=200).lines:
        edit = pb.ChatMessage.FromString(line.edit).edit if line.edit else None
        if edit is not None:
            assert not (edit.deletes and line.message)
            found.append(None if edit.deletes else edit.text)
        else:
            found.append(pb.ChatMessage.FromString(line.message).textContent)
    return found


def signed_entry(entry, device):
    """The same entry of an edit or a message, signed by that device."""
    (found,) = entries(entry)
    payload = message_of(found.data)
    sign_message(device, payload, 0, 1)
    return entry_bytes(MESSAGE, found.marks, found.status, found.when, found.key, encode("MESSAGE", payload))
