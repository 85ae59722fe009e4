"""Edits of one's own messages: which may be changed, by which revision, what is signed, and who is sent none."""

import pytest

from parley.client.authors.judgement import judge, keys_in
from parley.client.inbox.revisions import REMEMBERED, ReceivedRevisions
from parley.client.outbox.edits import MOST, NotEditable, Revisions, edited_in
from parley.services.chat.message.mailbox_edits import revised
from parley.shared.addresses import Group, User
from parley.shared.dialects.dialect import CLIENT_1
from parley.shared.dialects.rewriting import for_stream, is_for_parleys
from parley.shared.trust.authors import DeviceKeys, EditChecks, content_digest, is_message_signed, sign_message
from parley.shared.trust.keys import PrivateKey
from parley.shared.wire.framing import FrameReader, encode_frame
from parley.shared.wire.messages import encode, pb

ALICE, BOB, CREW = User("alice", "alpha"), User("bob", "beta"), Group("crew", "alpha")
WRITTEN = 1_700_000_000


def message(text="hello", to=BOB, author=ALICE):
    found = pb.ChatMessage(messageSnowflake=WRITTEN * 1000 << 22, author=author.to_pb(), textContent=text)
    if isinstance(to, Group):
        found.group.CopyFrom(to.to_pb())
    else:
        found.user.CopyFrom(to.to_pb())
    return found


def edit_of(target, **what):
    edit = pb.Edit(**what)
    to = edited_in(target, edit, ALICE)
    found = message(to=to)
    found.edit.CopyFrom(edit)
    return found


def test_an_edit_names_its_message_by_number_and_content_and_goes_where_it_went():
    for to in (BOB, CREW):
        target, edit = message(to=to), pb.Edit(text="hallo")
        assert edited_in(target, edit, ALICE) == to
        assert (edit.target, edit.content) == (target.messageSnowflake, content_digest(target))


@pytest.mark.parametrize("author", [BOB, User("alice", "beta")], ids=str)
def test_nobody_changes_what_others_wrote(author):
    with pytest.raises(NotEditable, match="only alice@alpha"):
        edited_in(message(), pb.Edit(), author)


def test_an_edit_itself_and_a_place_are_not_changed():
    place = message()
    place.live_location.location.latitude = 1.0
    for target in (edit_of(message(), text="x", revision=1), place):
        with pytest.raises(NotEditable, match="cannot be changed"):
            edited_in(target, pb.Edit(), ALICE)


def test_revisions_go_up_at_one_device_and_between_two_that_know_nothing_of_each_other():
    here, there, target = Revisions(), Revisions(), message()
    assert [here.next(target, WRITTEN + 0.5) for _ in range(3)] == [1, 2, 3]
    assert there.next(target, WRITTEN + 60) == 60
    assert here.next(target, WRITTEN + 90) == 90
    assert here.next(target, WRITTEN - 1e6) == 91
    assert here.next(target, 1e15) == MOST


@pytest.mark.parametrize(
    "change",
    [{"target": 5}, {"content": b"x" * 32}, {"revision": 9}, {"text": "other"}, {"deletes": True}],
    ids=str,
)
def test_all_of_an_edit_is_signed(change):
    device = PrivateKey.generate()
    signed = edit_of(message(), text="hallo", revision=3)
    sign_message(device, signed, 0, WRITTEN * 1000)
    assert is_message_signed(signed)
    for name, value in change.items():
        setattr(signed.edit, name, value)
    assert not is_message_signed(signed)


def changed_while_it_waited(device, other):
    """A message by one device that another one changed, as its recipient is given it."""
    first, edit = message("helo"), edit_of(message("helo"), text="hello", revision=3)
    edit.messageSnowflake += 1
    for sent, key in ((first, device), (edit, other)):
        sign_message(key, sent, 0, WRITTEN * 1000)
    return revised(first, edit), edit


@pytest.mark.parametrize(
    "fault", ["text", "number", "revision", "content", "its own proof", "the edit's", "a document"]
)
def test_a_message_that_was_changed_while_it_waited_is_whole_with_both_proofs_alone(fault):
    device, other = PrivateKey.generate(), PrivateKey.generate()
    found, edit = changed_while_it_waited(device, other)
    assert is_message_signed(found)
    assert found.textContent == "hello"
    if fault == "text":
        found.textContent = "helo"
    elif fault == "number":
        found.messageSnowflake += 1
    elif fault == "revision":
        found.revised.revision += 1
    elif fault == "content":
        found.revised.content = content_digest(found)
    elif fault == "its own proof":
        found.proof.CopyFrom(edit.proof)
    elif fault == "the edit's":
        found.revised.ClearField("proof")
    else:
        found.document.filename = "hello"
    assert not is_message_signed(found)


def test_a_changed_message_is_known_as_well_as_the_worse_known_of_its_devices():
    device, other = PrivateKey.generate(), PrivateKey.generate()
    found, _edit = changed_while_it_waited(device, other)
    keys = [device.public, other.public]
    assert keys_in(found) == keys
    judged = [
        judge(found, is_valid=True, keys=known, revoked=revoked)
        for known, revoked in [(keys, ()), (keys[:1], ()), (keys[1:], ()), (keys[:1], keys[1:]), (None, ())]
    ]
    names = [pb.ChatMessage.Assurance.Name(each) for each in judged]
    assert names == ["SIGNED", "FORGED", "FORGED", "REVOKED", "UNPROVEN"]


def test_edits_of_what_came_changed_are_known_up_to_that_revision():
    known, device = ReceivedRevisions(), PrivateKey.generate()
    found, edit = changed_while_it_waited(device, device)
    assert not known.knows(edit)
    known.came(found)
    assert known.knows(edit)
    edit.edit.revision += 1
    assert not known.knows(edit)
    edit.edit.revision, edit.edit.deletes = 1, True
    assert not known.knows(edit)
    for number in range(REMEMBERED):
        other = pb.ChatMessage()
        other.CopyFrom(found)
        other.messageSnowflake = number
        known.came(other)
    edit.edit.deletes = False
    assert not known.knows(edit)


def test_an_existing_program_is_sent_no_edit_and_all_that_stands_beside_it():
    frames = [encode("MESSAGE", message(text)) for text in ("one", "two")]
    edit = encode("MESSAGE", edit_of(message(), text="hallo", revision=1))
    [frame] = FrameReader(1 << 20).feed(edit)
    assert is_for_parleys(frame)
    left = []
    translate = for_stream(CLIENT_1, left.append)
    assert translate(frames[0] + edit + frames[1]) == b"".join(frames)
    assert [each.raw for each in left] == [edit]
    assert translate(frames[0]) == frames[0]
    assert len(left) == 1


@pytest.mark.parametrize("how", ["zeros above", "beside a group"])
def test_an_edit_is_known_for_one_however_it_is_encoded(how):
    whole = edit_of(message())
    inner = b"\xa0\x8a\x00\x07\x9a\x8a\x00\x05hallo"  # target and text, their tags a byte too long
    whole.ClearField("edit")
    payload = whole.SerializeToString() + b"\xd2\x8a\x00" + bytes([len(inner)]) + inner
    if how == "beside a group":
        payload += b"\xa3\x06\xa0\x06\x01\xa4\x06"  # field 100: a group in which there is a number
    assert pb.ChatMessage.FromString(payload).edit.text == "hallo"
    left = []
    assert for_stream(CLIENT_1, left.append)(encode_frame("MESSAGE", payload)) == b""
    assert len(left) == 1


def test_what_is_ours_goes_out_beside_a_group_too():
    theirs = message().SerializeToString() + b"\x7b\x08\x01\x7c"
    raw = encode_frame("MESSAGE", theirs + b"\xa8\x09\x01")  # field 149
    assert for_stream(CLIENT_1, lambda _frame: None)(raw) == encode_frame("MESSAGE", theirs)


# Who may change what --------------------------------------------------------------------------------


def signed_pair(key, edit_key):
    """A message, and an edit of it, signed by these; None: not at all."""
    target, edit = message(), edit_of(message(), text="hallo", revision=3)
    for sent, device in ((target, key), (edit, edit_key)):
        if device is not None:
            sign_message(device, sent, 0, WRITTEN * 1000)
    return target, edit


DEVICE, LAPTOP, LOST, STRANGER = (PrivateKey(bytes([number]) * 32) for number in range(1, 5))


@pytest.mark.parametrize(
    ("key", "edit_key", "is_allowed"),
    [
        (None, None, True),
        (None, STRANGER, True),
        (DEVICE, None, False),
        (DEVICE, DEVICE, True),
        (DEVICE, LAPTOP, True),
        (DEVICE, STRANGER, False),
        (DEVICE, LOST, False),
        (LOST, LOST, False),
        (LOST, LAPTOP, True),
    ],
)
def test_an_edit_is_as_certainly_its_authors_as_what_it_changes(key, edit_key, is_allowed):
    known = {ALICE: DeviceKeys([DEVICE.public, LAPTOP.public], [LOST.public])}
    target, edit = signed_pair(key, edit_key)
    assert EditChecks(known.get).allows(edit, target) is is_allowed


def test_where_no_device_is_known_the_same_one_changes_what_it_signed_and_no_other():
    checks = EditChecks({}.get)
    for key, edit_key, is_allowed in ((DEVICE, DEVICE, True), (DEVICE, LAPTOP, False)):
        target, edit = signed_pair(key, edit_key)
        assert checks.allows(edit, target) is is_allowed


@pytest.mark.parametrize("change", ["text", "deletes", "revised"])
def test_a_signature_that_held_is_none_of_another_edit(change):
    checks, (target, edit) = EditChecks({}.get), signed_pair(DEVICE, DEVICE)
    assert checks.allows(edit, target)
    forged = pb.ChatMessage()
    forged.CopyFrom(edit)
    if change == "deletes":
        forged.edit.deletes = True
    else:
        forged.edit.text = "forged"
    if change == "revised":
        forged.revised.content = content_digest(edit)
    assert not checks.allows(forged, target)
    assert checks.allows(edit, target)
