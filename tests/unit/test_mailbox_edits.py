"""An edit of a message that waits: one message with the newest text, or none; and nobody takes another's away."""

import pytest

from parley.services.chat.archive.collector import Collector
from parley.services.chat.archive.entries import MESSAGE, entries
from parley.services.chat.archive.lists import message_of
from parley.services.chat.message import mailbox_edits
from parley.services.chat.message.statuses import Status
from parley.shared.addresses import Group, User
from parley.shared.trust.authors import DeviceKeys, content_digest, is_message_signed, sign_message
from parley.shared.trust.keys import PrivateKey
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.messages import decode, encode, pb
from tests.support.durable_people import DurableNode
from tests.support.sinks import group_ask, message

ANN, BOB, CID, DEE = User("ann", "alpha"), User("bob", "alpha"), User("cid", "beta"), User("dee", "alpha")
CREW = Group("crew", "alpha")
FIRST, EDIT, LATER = 10, 20, 30
DEVICE, OTHER = PrivateKey.generate(), PrivateKey.generate()


@pytest.fixture
def node():
    made = DurableNode("alpha")
    for user in (BOB, DEE):
        made.disconnect(user, made.connect(user))
    made.connect(ANN)
    made.disk.commit_all()
    return made


@pytest.fixture(params=["in memory", "only on disk"])
def settled(request, node):
    """Has all that waits stay in memory, or restarts the process, which has none of it there."""

    def settle():
        node.disk.commit_all()
        if request.param == "only on disk":
            node.disk.crash()
            node.start()
            node.connect(ANN)
        return node

    return settle


def written(text="frist", to=BOB, number=FIRST, device=DEVICE, author=ANN):
    sent = (
        message(author, number, to, text) if to != CREW else message(author, number, None, text, group=CREW.to_pb())
    )
    return signed(sent, device)


def signed(sent, device):
    if device is not None:
        sign_message(device, sent, 0, 1)
    return sent


def edit_of(target, text="", number=EDIT, revision=1, device=DEVICE, **what):
    edit = pb.Edit(target=target.messageSnowflake, content=content_digest(target), revision=revision, text=text)
    edit.MergeFrom(pb.Edit(**what))
    sent = pb.ChatMessage()
    sent.CopyFrom(target)
    sent.ClearField("proof")
    sent.messageSnowflake = number
    sent.edit.CopyFrom(edit)
    return signed(sent, device)


def send(node, sent, server_id=""):
    frame = read_datagram(encode("MESSAGE", sent))
    if server_id:
        node.from_server(server_id, frame)
    else:
        node.from_client(User.of(sent.author), frame)
    node.disk.commit_all()


def waiting(node):
    """What waits on disk, in order: (destination, message)."""
    rows = sorted(node.disk.messages.items())
    return [(row.destination, decode(read_datagram(row.raw), pb.ChatMessage)) for _number, row in rows]


def texts(node):
    """Of what waits on disk the texts; of edits their numbers."""
    return [each.textContent or each.messageSnowflake for _to, each in waiting(node)]


def come(node, user=BOB):
    """All that a user is given who comes back and acknowledges it."""
    given, sink = [], node.connect(user)
    while True:
        node.disk.commit_all()
        came = sink.take()
        if not came:
            return given
        for each in came:
            given.append(each)
            node.ack(user, each.messageSnowflake)


def test_what_waits_has_the_newest_text_and_both_signatures_hold(settled, node):
    first = written()
    send(node, first)
    node = settled()
    send(node, edit_of(first, "frst"))
    node = settled()
    send(node, edit_of(first, "first", number=LATER, revision=2))
    found, *edits = come(settled())
    assert (found.messageSnowflake, found.textContent) == (FIRST, "first")
    assert is_message_signed(found)
    assert found.proof == first.proof
    assert [each.messageSnowflake for each in edits] == [EDIT, LATER]
    assert all(is_message_signed(each) and each.inEffect for each in edits)


def test_of_what_was_deleted_nothing_waits_nor_of_what_it_was_edited_to(settled, node):
    first = written()
    send(node, first)
    node = settled()
    send(node, edit_of(first, "second"))
    node = settled()
    send(node, edit_of(first, number=LATER, revision=2, deletes=True))
    assert not any(b"frist" in row.raw or b"second" in row.raw for row in node.disk.messages.values())
    [found] = come(settled())
    assert (found.messageSnowflake, found.edit.deletes, found.inEffect) == (LATER, True, True)


def test_an_author_hears_that_what_they_deleted_came_to_nobody(node):
    ann, first = node.connect(ANN), written()
    send(node, first)
    send(node, edit_of(first, deletes=True))
    assert (FIRST, BOB, "OTHER_ERROR") in ann.statuses()
    come(node)
    assert ann.statuses() == [(EDIT, BOB, "DELIVERED")]


def test_an_author_is_not_told_that_what_waited_at_a_restart_came_to_nobody(node):
    first = written()
    send(node, first)
    node.disk.crash()
    node.start()
    ann = node.connect(ANN)
    send(node, edit_of(first, deletes=True))
    assert (FIRST, BOB, "UNKNOWN_STATUS") in ann.statuses()  # the last process may have sent it


@pytest.mark.parametrize("number", [FIRST, EDIT])
def test_what_comes_again_after_its_edit_is_answered_and_not_kept_again(settled, node, number):
    first = written()
    edit = edit_of(first, "first")
    for each in (first, edit):
        send(node, each)
    node = settled()
    send(node, first if number == FIRST else edit)
    assert texts(node) == ["first", EDIT]


@pytest.mark.parametrize(
    "how",
    ["by another device", "unsigned", "another content", "forged", "an older revision"],
)
def test_nothing_waiting_is_changed_by_what_may_not_change_it(settled, node, how):
    first = written()
    send(node, first)
    if how == "an older revision":
        send(node, edit_of(first, "newest", number=15, revision=7))
    expected = "newest" if how == "an older revision" else "frist"
    node = settled()
    device = {"by another device": OTHER, "unsigned": None}.get(how, DEVICE)
    edit = edit_of(first, "changed", device=device, **({"content": b"x" * 32} if how == "another content" else {}))
    if how == "forged":
        edit.edit.text = "forged"
    send(node, edit)
    assert texts(node)[0] == expected
    assert texts(node)[-1] == EDIT


def test_a_device_that_was_revoked_changes_nothing_that_waits(node):
    first, refused = written(), []
    send(node, first)
    node.router._mailbox_edits._checks._keys = {ANN: DeviceKeys({OTHER.public}, {DEVICE.public})}.get
    node.router._mailbox_edits._refused = lambda: refused.append(1)
    send(node, edit_of(first, "first"))
    assert (texts(node), refused) == (["frist", EDIT], [1])


def test_another_device_of_the_authors_changes_it_where_it_is_known(node):
    first = written()
    send(node, first)
    node.router._mailbox_edits._checks._keys = {ANN: DeviceKeys({OTHER.public})}.get
    send(node, edit_of(first, "first", device=OTHER))
    assert texts(node) == ["first", EDIT]


def test_what_is_not_signed_is_changed_by_what_is_not(node):
    first = written(device=None)
    send(node, first)
    send(node, edit_of(first, "first", device=None))
    assert texts(node) == ["first", EDIT]


def test_nobody_changes_what_somebody_else_wrote_under_that_number(node):
    send(node, written(device=None))
    send(node, edit_of(written(device=None, author=DEE), "not mine", device=None))
    assert texts(node) == ["frist", EDIT]


def test_what_waits_for_a_server_is_changed_before_it_goes_there(node):
    node.unlink("beta", node.link("beta"))
    first = written(to=CID)
    send(node, first)
    send(node, edit_of(first, "first"))
    beta = node.link("beta")
    found, edit = beta.take()
    assert (found.textContent, found.messageSnowflake, edit.messageSnowflake) == ("first", FIRST, EDIT)


def test_copies_for_a_group_that_wait_share_the_newest_text_and_who_had_it_gets_an_edit(settled, node):
    ann = node.connect(ANN)
    for user in (ANN, BOB, DEE):
        sink = node.connect(user)
        node.from_client(user, read_datagram(group_ask("JOIN_GROUP", CREW, user=user)), sink)
        node.disk.commit_all()
        if user != ANN:
            node.disconnect(user, sink)
    ann.take()
    first = written(to=CREW)
    send(node, first)
    node = settled()
    send(node, edit_of(first, "first"))
    assert sorted(map(str, texts(node))) == sorted(["first", "first", str(EDIT), str(EDIT)])
    bodies = [row.body for row in node.disk.messages.values()]
    assert len({id(each) for each in bodies}) == 2
    found, edit = come(settled(), DEE)
    assert found.textContent == "first"
    assert User.of(found.userOfGroup.user) == DEE
    assert is_message_signed(found)
    assert edit.inEffect


def test_a_copy_that_was_changed_at_the_groups_server_is_known_by_the_edit_that_its_author_sent(node):
    far, bob = Group("crew", "gamma"), node.connect(BOB)
    node.link("gamma")
    first = signed(message(ANN, FIRST, None, "frist", group=far.to_pb()), DEVICE)
    edit = edit_of(first, "first")
    changed = mailbox_edits.revised(first, edit)
    changed.userOfGroup.CopyFrom(pb.UserOfGroup(user=BOB.to_pb(), group=far.to_pb()))
    send(node, first)
    send(node, changed, "gamma")
    assert bob.take() == []  # the group's server may have made it up
    send(node, edit)
    assert [each.textContent for each in bob.take()] == ["first"]


def test_what_comes_again_after_a_restart_is_kept_before_what_comes_then(node):
    first, edit = written(), edit_of(written(), "first")
    send(node, first)
    node.disk.crash()
    node.collector = Collector("alpha", lambda: None)
    node.start()
    node.connect(ANN)
    for each in (first, first, edit):
        send(node, each)
    chunk = entries(b"".join(node.collector.take().entries))
    kept = [message_of(each.data) for each in chunk if each.kind == MESSAGE]
    assert [each.messageSnowflake for each in kept] == [FIRST, EDIT]


def test_the_statuses_of_a_copy_that_waited_at_a_restart_tell_the_number_of_the_message(node):
    bob = node.connect(BOB)
    node.link("beta")
    node.from_server("beta", read_datagram(group_ask("JOIN_GROUP", CREW, user=CID)))
    node.from_client(BOB, read_datagram(group_ask("JOIN_GROUP", CREW, user=BOB)), bob)
    node.disk.commit_all()
    node.disconnect(BOB, bob)
    send(node, written(to=CREW, author=CID), "beta")
    node.disk.crash()
    node.start()
    beta = node.link("beta")
    (copy,) = come(node)
    assert copy.groupNumber
    assert {each.groupNumber for each in beta.take()} == {copy.groupNumber}


def test_the_mailbox_counts_what_was_changed_as_it_is_now(settled, node):
    first = written("x" * 500)
    send(node, first)
    send(settled(), edit_of(first, "y"))
    node = settled()
    assert node.mailbox._bytes == sum(len(row.raw) for row in node.disk.messages.values())
    come(node)
    assert (len(node.mailbox), node.mailbox._bytes) == (0, 0)


def test_edits_that_come_in_one_turn_leave_the_newest_and_nothing_of_the_others(settled, node):
    for user in (ANN, BOB, DEE):
        sink = node.connect(user)
        node.from_client(user, read_datagram(group_ask("JOIN_GROUP", CREW, user=user)), sink)
        node.disk.commit_all()
        if user != ANN:
            node.disconnect(user, sink)
    first = written("x" * 100, to=CREW)
    send(node, first)
    node = settled()
    for revision in (2, 3, 1):
        edit = edit_of(first, f"text {revision}", number=20 + revision, revision=revision)
        node.from_client(ANN, read_datagram(encode("MESSAGE", edit)))
    node.disk.commit_all()
    assert [each for each in texts(node) if isinstance(each, str)] == ["text 3"] * 2
    bodies = {id(row.body): row.body.size for row in node.disk.messages.values()}
    heads = sum(len(row.raw) - row.body.size for row in node.disk.messages.values())
    assert node.mailbox._bytes == heads + sum(bodies.values())
    assert set(node.mailbox._copies.values()) == {2}


def test_targets_are_looked_for_a_few_at_a_time_and_not_at_all_beyond_a_limit(node, monkeypatch):
    monkeypatch.setattr(mailbox_edits, "MOST", 3)
    firsts = [written(number=number) for number in range(1, 15)]
    for each in firsts:
        send(node, each)
    node.disk.crash()
    node.start()
    node.connect(ANN)
    for each in firsts:
        frame = read_datagram(encode("MESSAGE", edit_of(each, "new", number=100 + each.messageSnowflake)))
        node.from_client(ANN, frame)
    asked = [kind for kind, _item, _do in node.disk._waiting if kind == "read"]
    assert len(asked) == mailbox_edits.LOOKED_FOR
    node.disk.commit_all()
    assert [text for text in texts(node) if text == "new"] == ["new"] * (mailbox_edits.LOOKED_FOR + 3)
    assert node.limited.count(("edits", "mailbox")) == 3


def test_an_edit_that_a_program_cannot_be_sent_is_delivered_where_it_is_in_effect(node):
    ann, first = node.connect(ANN), written()
    send(node, first)
    send(node, edit_of(first, "first"))
    bob = node.connect(BOB)
    ann.take()
    found, edit = bob.take()
    node.ack(BOB, FIRST)
    node.router.not_taken(BOB, bob, edit, node.now)
    node.end_turn()
    assert sorted(ann.statuses()) == [(FIRST, BOB, "DELIVERED"), (EDIT, BOB, "DELIVERED")]
    assert found.textContent == "first"


def test_of_a_pair_the_first_stands_first_where_another_server_answers_for_the_second_first(node):
    node.link("beta")
    node.collector = Collector("alpha", lambda: None)
    node.start()
    node.link("beta")
    node.connect(ANN)
    for number in (FIRST, LATER):
        node.from_client(ANN, read_datagram(encode("MESSAGE", written(f"number {number}", CID, number))))
    for number in (LATER, FIRST):
        node.answer("beta", number, (CID, Status.USER_AWAY), author=ANN)
    node.disk.commit_all()
    kept = [each for each in entries(b"".join(node.collector.take().entries)) if each.kind == MESSAGE]
    assert [message_of(each.data).messageSnowflake for each in kept] == [FIRST, LATER]
