"""A message to a group: who gets it, who tells its author what, and what becomes of it when something dies."""

import sys
import tracemalloc

import pytest

from parley.services.chat.archive.collector import Collector
from parley.services.chat.archive.entries import MESSAGE, entries
from parley.services.chat.archive.lists import message_of
from parley.services.chat.groups.groups import copies
from parley.services.chat.message.life import Envelope
from parley.services.chat.message.mailbox_edits import revised
from parley.services.chat.message.statuses import Status
from parley.shared.addresses import Group, User
from parley.shared.errors import UnexpectedMessage
from parley.shared.trust.authors import content_digest
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.messages import decode, encode, pb
from tests.support.crews import GroupWorld
from tests.support.people import NUMBERS
from tests.support.sinks import Node, message

FIRST = NUMBERS[0]
WHERE = {
    "on three servers": (("ann@alpha", "bob@beta", "cid@beta", "dan@gamma"), "#crew@gamma"),
    "author and group on one": (("ann@alpha", "bob@beta", "cid@beta", "dan@alpha"), "#crew@alpha"),
    "a member at the author's": (("ann@alpha", "bob@alpha", "cid@gamma", "dan@alpha"), "#crew@gamma"),
    "all on one": (("ann@alpha", "bob@alpha", "cid@alpha", "dan@alpha"), "#crew@alpha"),
    "a group where nobody lives": (("ann@alpha", "bob@beta", "cid@beta", "dan@alpha"), "#crew@gamma"),
}
MEMBERS = ("ann", "bob", "cid", "dan")
OTHERS = MEMBERS[1:]


@pytest.fixture(params=[True, False], ids=["shared", "apart"], autouse=True)
def is_shared(request, monkeypatch):
    """Whether servers take one message for several members, or a copy each."""
    monkeypatch.setattr(Node, "takes_shared_copies", request.param)
    return request.param


@pytest.fixture(params=WHERE.values(), ids=WHERE.keys())
def world(request):
    """Everybody is a member."""
    return founded(GroupWorld(*request.param))


@pytest.fixture
def far():
    """Ann at alpha, the others at beta, and the group at gamma."""
    return founded(GroupWorld(("ann@alpha", "bob@beta", "cid@beta", "dan@beta"), "#crew@gamma"))


def founded(world):
    world.found(MEMBERS)
    return world


def answer_all(world):
    for person in world.people:
        for client in person.clients:
            client.acknowledge_all()
    world.carry_all()


def shown(world):
    """Who got the first message, in no order, and how often over all links."""
    return sorted(key[2].user_id for client in world.all_clients for key in client.received if key[1] == FIRST)


def told(world, author="ann"):
    """What an author was told last of each member."""
    return {user.user_id: Status.Status.Name(status) for user, status in world[author].told[FIRST].items()}


def pair(world, *server_ids):
    return next(each for each in world.pairs if {node.server_id for node in each.nodes} == set(server_ids))


DELIVERED = dict.fromkeys(OTHERS, "DELIVERED")


# What is kept of it -------------------------------------------------------------------------------


@pytest.fixture(params=WHERE.values(), ids=WHERE.keys())
def archived(request):
    """The same, each server with an archive; Ann, who was there first, is the group's admin."""
    world = GroupWorld(*request.param)
    for node in world.nodes.values():
        node.collector = Collector(node.server_id, lambda: None)
        node.start()
    world.found(["ann"])
    for name in OTHERS:
        world[name].ask("JOIN_GROUP")
    world.carry_all()
    return world


def kept(world):
    """How many people have a message more in their lists since the last look."""
    return sum(
        each.marks.bit_count()
        for node in world.nodes.values()
        for each in entries(b"".join(node.collector.take().entries))
    )


def switch(world, *, off, who="ann"):
    world[who].ask("CHANGE_GROUP", historyOff=off)
    world.carry_all()
    return world[who].clients[0].answers[-1]


def written(world):
    """Write something, and have all answer."""
    number = world["ann"].write(text="Hello")
    world.carry_all()
    answer_all(world)
    return number


def test_while_its_history_is_off_no_server_keeps_anything_of_a_group(archived):
    written(archived)
    assert kept(archived) == len(MEMBERS)
    answer = switch(archived, off=True)
    assert (answer.result, answer.historyOff) == (pb.GroupMembers.SUCCESS, True)
    acks = archived["ann"].clients[0].acks
    number = written(archived)
    assert told(archived) == DELIVERED
    assert kept(archived) == 0
    assert all(each.historyOff == (each.messageSnowflake == number) for each in acks)
    switch(archived, off=False)
    written(archived)
    assert kept(archived) == len(MEMBERS)
    assert not acks[-1].historyOff


def test_what_waits_while_it_is_off_is_kept_by_nobody_though_it_is_switched_on_meanwhile(archived):
    switch(archived, off=True)
    for name in OTHERS:
        [client] = archived[name].clients
        archived[name].disconnect(client)
    number = archived["ann"].write(text="Hello")
    archived.carry_all()
    archived.pass_time(30.0)
    archived.carry_all()
    switch(archived, off=False)
    for name in OTHERS:
        archived[name].connect(acknowledges=True)
    archived.carry_all()
    assert number in archived["ann"].complete
    assert told(archived) == DELIVERED
    assert kept(archived) == 0


def test_who_is_alone_in_a_group_that_is_not_kept_has_nothing_kept_either():
    for group in ("#crew@alpha", "#crew@gamma"):
        world = GroupWorld(("ann@alpha",), group)
        for node in world.nodes.values():
            node.collector = Collector(node.server_id, lambda: None)
            node.start()
        world.found(["ann"])
        switch(world, off=True)
        world["ann"].write(text="Hello")
        world.carry_all()
        assert group_status(world) == ["DELIVERED"]
        assert world["ann"].clients[0].acks[-1].historyOff
        assert kept(world) == 0


def changed(world, edit):
    """Have Ann change what she wrote."""
    person = world["ann"]
    number = NUMBERS[len(person.outbox)]
    sent = pb.ChatMessage(messageSnowflake=number, author=person.user.to_pb(), edit=edit)
    sent.group.CopyFrom(world.group.to_pb())
    person.outbox[person.user, number, world.group] = raw = encode("MESSAGE", sent)
    person.clients[0].up.send(raw)
    world.carry_all()


def test_what_waits_and_is_edited_while_it_is_off_is_kept_with_neither_text(archived):
    for name in OTHERS:
        [client] = archived[name].clients
        archived[name].disconnect(client)
    number = archived["ann"].write(text="Hello")
    archived.carry_all()
    archived.pass_time(30.0)
    archived.carry_all()
    assert kept(archived) == 1  # its author's
    switch(archived, off=True)
    content = content_digest(pb.ChatMessage(textContent="Hello"))
    changed(archived, pb.Edit(target=number, content=content, revision=1, text="secret"))
    for name in OTHERS:
        archived[name].connect(acknowledges=True)
    archived.carry_all()
    assert told(archived) == DELIVERED
    assert kept(archived) == 0


def numbers(world):
    """The numbers under which each server has what was written since the last look, in no order."""
    return [number for node in world.nodes.values() for number in numbers_of(node)]


def test_every_server_keeps_a_message_under_the_number_that_the_groups_server_gave_it(archived):
    written(archived)
    first = numbers(archived)
    written(archived)
    second = numbers(archived)
    assert len(set(first)) == len(set(second)) == 1
    assert 0 < first[0] < second[0]


def test_who_is_alone_in_a_group_has_a_number_for_each_message_too():
    world = GroupWorld(("ann@alpha",), "#crew@beta")
    world.nodes["alpha"].collector = Collector("alpha", lambda: None)
    world.nodes["alpha"].start()
    world.found(["ann"])
    written(world)
    written(world)
    first, second = numbers_of(world.nodes["alpha"])
    assert 0 < first < second


def numbers_of(node):
    return [
        message_of(each.data).groupNumber
        for each in entries(b"".join(node.collector.take().entries))
        if each.kind == MESSAGE
    ]


@pytest.mark.parametrize("how", ["asked again", "the group's server died"])
def test_a_message_that_goes_to_the_members_again_has_its_number_and_not_another(archived, how):
    archived["ann"].write(text="Hello")
    for _ in range(6):
        for pipe, _, _ in archived.pipes:
            pipe.carry()
    before = set(numbers(archived))
    if how != "asked again":
        archived.crash(archived.home, 0)
    archived["ann"].drop()
    for each in archived.pairs:
        if not each.is_linked:
            each.link()
    archived["ann"].connect()
    archived.carry_all()
    answer_all(archived)
    assert len({*before, *numbers(archived)}) == 1


def test_a_message_that_comes_with_the_text_of_an_edit_has_the_number_that_it_had(archived):
    node, ann = archived.home, archived["ann"].user
    first = message(ann, FIRST, None, "frist", group=archived.group.to_pb())
    edit = pb.ChatMessage(messageSnowflake=FIRST + 1, author=ann.to_pb(), group=archived.group.to_pb())
    edit.edit.CopyFrom(pb.Edit(target=FIRST, content=content_digest(first), revision=1, text="first"))
    given = []
    for each in (first, revised(first, edit), edit):
        raw = read_datagram(encode("MESSAGE", each))
        if ann.server_id == node.server_id:
            node.from_client(ann, raw, archived["ann"].clients[0].down)
        else:
            node.from_server(ann.server_id, raw)
        archived.carry_all()
        answer_all(archived)
        given.append(set(numbers(archived)))
    assert len(given[0]) == 1
    assert given[1] <= given[0]
    assert not given[2] & given[0]


def test_a_deletion_reaches_the_archives_and_an_author_decides_nothing(archived):
    switch(archived, off=True)
    for edit, is_kept in ((pb.Edit(target=1, deletes=True), True), (pb.Edit(target=1, text="x"), False)):
        changed(archived, edit)
        answer_all(archived)
        assert kept(archived) == (len(MEMBERS) if is_kept else 0)
    switch(archived, off=False)
    number = NUMBERS[len(archived["ann"].outbox)]
    sent = message(archived["ann"].user, number, None, "mine alone", group=archived.group.to_pb())
    sent.historyOff = True
    archived["ann"].clients[0].up.send(encode("MESSAGE", sent))
    archived.carry_all()
    answer_all(archived)
    assert kept(archived) == len(MEMBERS)


# Who gets it -------------------------------------------------------------------------------------


def test_each_member_but_the_author_gets_it_once_and_the_author_hears_so(world):
    world["ann"].write()
    world.carry_all()
    assert shown(world) == list(OTHERS)
    assert FIRST not in world["ann"].complete
    answer_all(world)
    assert told(world) == DELIVERED
    assert FIRST in world["ann"].complete
    world.pass_time(30.0)
    world.carry_all()
    assert shown(world) == list(OTHERS)
    assert all(node.is_at_rest for node in world.nodes.values())


def test_a_copy_says_whose_it_is_for_which_group_and_has_the_content(world):
    world["ann"].write(text="Hello")
    frames = []
    while any(pipe.sent for pipe, _, _ in world.pipes):
        for pipe, _, _ in world.pipes:
            frames += [(pipe, read_datagram(raw)) for raw in pipe.sent]
            pipe.carry()
    for name in OTHERS:
        [client] = world[name].clients
        [copy] = [decode(f, pb.ChatMessage) for pipe, f in frames if pipe is client.down and f.name == "MESSAGE"]
        assert (User.of(copy.author), copy.messageSnowflake, copy.textContent) == (
            world["ann"].user,
            FIRST,
            "Hello",
        )
        assert User.of(copy.userOfGroup.user) == world[name].user
        assert Group.of(copy.userOfGroup.group) == world.group


def test_a_remote_server_gets_one_copy_for_all_its_members_or_for_each(far, is_shared):
    far["ann"].write()
    far["ann"].clients[0].up.carry()
    pipes = {each.nodes[0].server_id + each.nodes[1].server_id: each.pipes for each in far.pairs}
    pipes["alphagamma"][0].carry()
    assert len(pipes["betagamma"][1].sent) == (1 if is_shared else 3)
    assert not pipes["alphabeta"][0].sent
    assert not pipes["alphagamma"][1].sent


def test_whoever_left_gets_no_more(world):
    world["bob"].ask("LEAVE_GROUP")
    world.carry_all()
    world["ann"].write()
    world.carry_all()
    answer_all(world)
    assert shown(world) == ["cid", "dan"]
    assert told(world) == {"cid": "DELIVERED", "dan": "DELIVERED"}
    assert FIRST in world["ann"].complete


def group_status(world, author="ann"):
    person = world[author]
    heard = person.heard[person.user, FIRST, User(*world.group)]
    return [Status.Status.Name(status) for status in heard]


def test_only_members_send(world):
    world["ann"].ask("LEAVE_GROUP")
    world.carry_all()
    world["ann"].write()
    world.carry_all()
    assert shown(world) == []
    assert group_status(world) == ["USER_BLOCKED"]


def test_a_group_that_does_not_exist_is_not_found(world):
    ann, group = world["ann"], Group("choir", world.group.server_id)
    ann.write(group)
    world.carry_all()
    assert ann.heard[ann.user, FIRST, User(*group)] == [Status.USER_NOT_FOUND]


def test_who_is_alone_in_a_group_has_delivered_to_all(world):
    for name in OTHERS:
        world[name].ask("LEAVE_GROUP")
    world.carry_all()
    world["ann"].write()
    world.carry_all()
    assert group_status(world) == ["DELIVERED"]


def test_a_server_sends_no_copies_for_a_group_of_another():
    alpha = Node("alpha")
    amy = alpha.connect(User("amy", "alpha"))
    alpha.link("beta")
    copy = pb.UserOfGroup(user=User("amy", "alpha").to_pb(), group=Group("crew", "gamma").to_pb())
    with pytest.raises(UnexpectedMessage) as refused:
        alpha.receive("beta", message(User("cid", "gamma"), 1, None, userOfGroup=copy))
    assert refused.value.reason == "foreign_user"
    assert not amy.sent


# Statuses ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [("ann@alpha", "bob@beta", "cid@beta", "dan@beta"), ("ann@gamma", "bob@gamma", "cid@gamma", "dan@gamma")],
)
def test_what_is_known_of_several_members_in_one_turn_is_one_acknowledgement(names):
    world = founded(GroupWorld(names, "#crew@gamma"))
    for name in OTHERS:
        world[name].disconnect(world[name].clients[0])
    world.carry_all()
    world["ann"].write()
    world.carry_all()
    [ack] = world["ann"].clients[0].acks
    heard = {each.user.userId: Status.Status.Name(each.status) for each in ack.statuses}
    assert heard == dict.fromkeys(OTHERS, "USER_AWAY")
    assert (Group.of(ack.group), ack.complete, ack.HasField("author")) == (world.group, True, False)


def test_an_author_hears_of_several_messages_of_one_turn_in_the_order_sent():
    world = founded(GroupWorld(WHERE["all on one"][0], "#crew@alpha"))
    ann, bob = (world[name] for name in ("ann", "bob"))
    for number in (3, 1, 2):
        envelope = Envelope(ann.user, number, bob.user, b"", bytes([number]) * 16, group=world.group)
        ann.home.router._statuses.report(envelope, Status.USER_AWAY)
    ann.home.router.flush()
    world.carry_all()
    assert [ack.messageSnowflake for ack in ann.clients[0].acks] == [3, 1, 2]


def test_it_is_complete_with_the_last_members_status_and_once(world):
    world["ann"].write()
    world.carry_all()
    for number, name in enumerate(OTHERS, 1):
        world[name].clients[0].acknowledge_all()
        world.carry_all()
        acks = world["ann"].clients[0].acks
        assert [ack.complete for ack in acks] == [False] * (number - 1) + [number == len(OTHERS)]


def test_members_who_are_away_are_told_so_and_then_delivered(world):
    bob = world["bob"]
    bob.disconnect(bob.clients[0])
    world["ann"].write()
    world.carry_all()
    answer_all(world)
    assert told(world) == DELIVERED | {"bob": "USER_AWAY"}
    assert FIRST in world["ann"].complete
    bob.connect(acknowledges=True)
    world.carry_all()
    assert told(world) == DELIVERED
    assert shown(world) == list(OTHERS)


# Again ----------------------------------------------------------------------------------------------


def test_an_author_who_comes_back_hears_each_members_status_again_and_nobody_is_shown_it_twice(world):
    ann = world["ann"]
    ann.write()
    world.carry_all()
    answer_all(world)
    ann.disconnect(ann.clients[0])
    ann.told.clear()
    ann.complete.clear()
    ann.heard.clear()
    ann.connect()
    world.carry_all()
    assert told(world) == DELIVERED
    assert FIRST in ann.complete
    assert shown(world) == list(OTHERS)


def test_an_author_who_comes_back_before_all_have_answered_hears_who_has(far):
    ann = far["ann"]
    ann.write()
    far.carry_all()
    far["bob"].clients[0].acknowledge_all()
    far.carry_all()
    ann.disconnect(ann.clients[0])
    ann.told.clear()
    ann.connect()
    far.carry_all()
    assert told(far) == {"bob": "DELIVERED"}
    answer_all(far)
    assert told(far) == DELIVERED
    assert FIRST in ann.complete
    assert shown(far) == list(OTHERS)


def test_statuses_that_are_lost_between_servers_come_again(far):
    far["ann"].write()
    far.carry_all()
    for person in far.people:
        for client in person.clients:
            client.acknowledge_all()
            client.up.carry()
    far.cut(pair(far, "beta", "gamma"))
    pair(far, "beta", "gamma").link()
    far.carry_all()
    assert told(far) == DELIVERED
    assert FIRST in far["ann"].complete
    assert shown(far) == list(OTHERS)


@pytest.mark.parametrize("is_up", [True, False])
def test_a_message_that_is_lost_on_the_way_to_the_groups_server_is_sent_again(far, is_up):
    far["ann"].write()
    far["ann"].clients[0].up.carry()
    far.cut(pair(far, "alpha", "gamma"))
    if not is_up:
        far.crash(far.home, 0)
    for each in far.pairs:
        if not each.is_linked:
            each.link()
    far.carry_all()
    answer_all(far)
    assert shown(far) == list(OTHERS)
    assert told(far) == DELIVERED
    assert FIRST in far["ann"].complete


@pytest.mark.parametrize("committed", [True, False])
@pytest.mark.parametrize("answered", [(), ("bob",), OTHERS])
def test_the_groups_server_may_die_in_the_middle(far, answered, committed):
    far["ann"].write()
    for _ in range(6):  # in flight, and no disk has written
        for pipe, _, _ in far.pipes:
            pipe.carry()
    assert shown(far) == list(OTHERS)
    for name in answered:
        far[name].clients[0].acknowledge_all()
        far[name].clients[0].up.carry()
    far.pass_time(0.06)  # what has no answer is written
    far.crash(far.home, 100 if committed else 0)
    for each in far.pairs:
        if not each.is_linked:
            each.link()
    far.carry_all()
    answer_all(far)
    assert shown(far) == list(OTHERS)
    assert told(far) == DELIVERED
    assert FIRST in far["ann"].complete


def test_who_came_later_does_not_get_what_comes_again(far):
    dan, ann = far["dan"], far["ann"]
    dan.ask("LEAVE_GROUP")
    far.carry_all()
    ann.write()
    far.carry_all()
    dan.ask("JOIN_GROUP")
    far.carry_all()
    ann.disconnect(ann.clients[0])
    ann.connect()
    far.carry_all()
    answer_all(far)
    assert shown(far) == ["bob", "cid"]
    assert told(far) == {"bob": "DELIVERED", "cid": "DELIVERED"}


# A large one ---------------------------------------------------------------------------------------


def test_a_document_is_in_memory_once_whatever_the_number_of_members():
    document = pb.Document(documentId="1", filename="map.png", data=bytes(2**20))
    group = Group("crew", "alpha")
    sent = pb.ChatMessage(messageSnowflake=1, author=User("ann", "alpha").to_pb(), document=document)
    sent.group.CopyFrom(group.to_pb())
    members = [User(f"user{n}", "beta") for n in range(1000)]
    tracemalloc.start()
    try:
        made = list(
            copies(sent, group, members, [bytes(16)] * len(members), Envelope(User.of(sent.author), 1, group, b""))
        )
        used, _peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 3 * 2**20
    assert sys.getsizeof(made[0].raw) >= made[0].size > 2**20
    assert len(made[-1].raw) == made[-1].size
    read = decode(read_datagram(made[-1].raw), pb.ChatMessage)
    assert read.document == document
    assert User.of(read.userOfGroup.user) == members[-1]
    assert not read.HasField("group")
