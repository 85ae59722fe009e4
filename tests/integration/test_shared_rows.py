"""What was in flight in a shared copy when a process died waits for each member when its file is opened again."""

import sqlite3
from weakref import WeakValueDictionary

import pytest

from parley.services.chat.message.life import Envelope
from parley.services.chat.shared_copies.in_flight import SharedCopy
from parley.services.chat.storage import queries, rows, schema, shared_rows
from parley.services.chat.storage.bodies import Body
from parley.services.chat.storage.body_files import BodyFiles
from parley.shared.addresses import Group, User
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.message_keys import MessageKeys
from parley.shared.wire.messages import decode, pb

ANN, CREW = User("ann", "alpha"), Group("crew", "alpha")
MEMBERS = [User(name, "beta") for name in ("bob", "cid", "dan")]
FIRST = 5
"""The number of the first copy."""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "chat.db"


def shared_copy(db):
    sent = pb.ChatMessage(messageSnowflake=7, author=ANN.to_pb(), textContent="Hello")
    keys = MessageKeys(queries.secret(db)).of_each(ANN, MEMBERS, CREW, sent)
    body = Body(sent.SerializeToString(), number=3)
    shared = SharedCopy(Envelope(ANN, 7, CREW, b""), CREW, "beta", body, dict(zip(MEMBERS, keys, strict=True)))
    shared.first_id, shared.row_id = FIRST, FIRST + len(MEMBERS)
    return shared


def write(db, row):
    db.execute(rows.statement(rows.INSERT, len(row), 1), row)


def waiting(path):
    """Those that wait, as the next process reads them."""
    db = schema.open_file(path)
    found = queries.load(db, "beta", 0, 100, queries.Reading(db, WeakValueDictionary(), BodyFiles(path.parent)))
    assert not db.execute("SELECT 1 FROM message WHERE destination GLOB 'shared:*'").fetchone()
    bodies = db.execute("SELECT COUNT(*) FROM body").fetchone()[0]
    db.close()
    return found, bodies


def test_each_member_has_a_row_and_all_have_one_body(path):
    db = schema.open_file(path)
    shared = shared_copy(db)
    db.execute(rows.SHARE, rows.shared(shared.body))
    write(db, shared_rows.values(shared, 1.5))
    db.close()
    found, bodies = waiting(path)
    assert [(each.id, each.recipient, each.key) for each in found] == [
        (FIRST + n, member, shared.missing[member]) for n, member in enumerate(MEMBERS)
    ]
    assert bodies == 1
    for each in found:
        message = decode(read_datagram(each.raw), pb.ChatMessage)
        assert (User.of(message.userOfGroup.user), message.textContent) == (each.recipient, "Hello")
    assert [each.id for each in waiting(path)[0]] == [each.id for each in found]


def test_a_copy_that_had_a_row_of_its_own_keeps_it(path):
    db = schema.open_file(path)
    shared = shared_copy(db)
    db.execute(rows.SHARE, rows.shared(shared.body))
    write(db, shared_rows.values(shared, 1.5))
    copy = shared.copy_for(MEMBERS[1])  # the first number is its own now
    write(db, rows.values("beta", copy, 1.5))
    db.close()
    found, _bodies = waiting(path)
    assert [each.recipient for each in found] == [MEMBERS[1], MEMBERS[0], MEMBERS[2]]
    assert [each.id for each in found] == [FIRST, FIRST + 1, FIRST + 2]


def test_one_that_is_over_leaves_nothing(path):
    db = schema.open_file(path)
    shared = shared_copy(db)
    db.execute(rows.SHARE, rows.shared(shared.body))
    write(db, shared_rows.values(shared, 1.5))
    db.execute(rows.statement(rows.DELETE, 1, 1), (shared.row_id,))
    db.close()
    assert waiting(path) == ([], 0)


def test_all_or_nothing_is_done(path, monkeypatch):
    db = schema.open_file(path)
    shared = shared_copy(db)
    db.execute(rows.SHARE, rows.shared(shared.body))
    write(db, shared_rows.values(shared, 1.5))
    db.close()
    with monkeypatch.context() as patched:
        patched.setattr(rows, "DELETE", "DELETE FROM nowhere WHERE id IN ")
        with pytest.raises(Exception, match="nowhere"):
            schema.open_file(path)
    db = sqlite3.connect(path)
    assert db.execute("SELECT COUNT(*) FROM message").fetchone() == (1,)
    db.close()
    assert len(waiting(path)[0]) == len(MEMBERS)
