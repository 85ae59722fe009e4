"""A server with a key of its own that lies about other servers' users: each is refused, or shown as what it is."""

import json
import time

import pytest

from parley.shared.addresses import Group, User
from parley.shared.trust.authors import sign_message, sign_status
from parley.shared.trust.devices import Device, sign_list
from parley.shared.trust.keys import PrivateKey
from parley.shared.wire.messages import pb
from tests.support.commands import Command, client_environment, run_parley
from tests.support.hostile_server import HostileServer
from tests.support.nodes import COUNTED, Node, wait_linked, wait_until

ALPHA, BETA, CLIENT, EVIL = (f"127.0.91.{n}" for n in (1, 2, 50, 66))
ALICE, CAROL, MALLORY = User("alice", "alpha"), User("carol", "beta"), User("mallory", "evil")
CREW = Group("crew", "evil")
KEY = PrivateKey(b"\x66" * 32)
DEVICE = PrivateKey(b"\x67" * 32)
"""Of the hostile server's own user."""
STATUS = pb.ChatMessageResponse.DeliveryStatus


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    directory = tmp_path_factory.mktemp("nodes")
    with (
        Node("alpha", ALPHA, directory, ("discovery", "chat"), COUNTED) as alpha,
        Node("beta", BETA, directory, ("discovery", "chat"), COUNTED) as beta,
    ):
        wait_linked([alpha, beta], ["chat"])
        yield alpha


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The home of all clients here: carol has a key from the first test on."""
    directory = tmp_path_factory.mktemp("home")
    own = {"XDG_DATA_HOME": str(directory / "share")}
    return client_environment(CLIENT, directory, **own)


@pytest.fixture
def evil(nodes):
    with HostileServer("evil", (ALPHA, 6666), EVIL, KEY) as server:
        nodes.wait_linked("chat", "evil")
        yield server


def rejected(node, reason):
    return node.metrics("chat").value("parley_frames_rejected_total", reason=reason)


def forged(node, kind):
    return node.metrics("chat").value("parley_forged_messages_total", kind=kind)


def reported_remote(node):
    """How many statuses were told of users elsewhere, and here."""
    return node.metrics("chat").value("parley_messages_total")


_numbers = iter(range(int(time.time() * 1000) << 22, 1 << 63, 1 << 22))


def copy_in_the_name_of(author, text, key=KEY, **content):
    """A copy for alice of a message to evil's group, signed by a key of evil's making."""
    message = pb.ChatMessage(messageSnowflake=next(_numbers), author=author.to_pb(), **content)
    if not content:
        message.textContent = text
    message.userOfGroup.CopyFrom(pb.UserOfGroup(user=ALICE.to_pb(), group=CREW.to_pb()))
    sign_message(key, message, 0, int(time.time() * 1000))
    return message


def listen(environment):
    return Command("listen", "--as", "alice@alpha", "--json", environment=environment)


def shown(command):
    """What a listener printed: text and assurance."""
    lines = [json.loads(line) for line in command.lines]
    return [(each.get("document") or each.get("text"), each["assurance"]) for each in lines]


def wait_shown(command, text):
    wait_until(lambda: any(said == text for said, _ in shown(command)), what=f"{text!r} of {shown(command)}")


def greet(environment, text):
    """Carol, who is at another server, writes to alice in earnest."""
    done = run_parley("send", "--as", "carol@beta", "alice@alpha", text, environment=environment)
    assert done.returncode == 0, done.stderr


def test_what_a_server_says_in_the_name_of_other_servers_users_is_refused_or_shown_as_forged(
    nodes, environment, evil
):
    with listen(environment) as alice:
        alice.wait_error("listening as alice@alpha")
        greet(environment, "it is me")
        wait_shown(alice, "it is me")
        before = rejected(nodes, "foreign_user")
        direct = pb.ChatMessage(
            messageSnowflake=next(_numbers), author=CAROL.to_pb(), user=ALICE.to_pb(), textContent="pay"
        )
        sign_message(KEY, direct, 0, 1)
        made_up = sign_list(KEY, CAROL, [Device(KEY.public, "", 1)], number=1 << 40, now=time.time())
        answer = pb.ChatMessageResponse(messageSnowflake=1, author=ALICE.to_pb())
        answer.statuses.add(user=CAROL.to_pb(), status=STATUS.DELIVERED)
        evil.say("MESSAGE", direct)
        evil.say("DEVICE_LIST", made_up)
        evil.say("MESSAGE_ACK", answer)
        wait_until(lambda: rejected(nodes, "foreign_user") == before + 3, what="three refusals")
        wrong = copy_in_the_name_of(CAROL, "pay at once")
        wrong.textContent = "pay mallory"
        copies, in_all = copy_in_the_name_of(CAROL, "pay me"), forged(nodes, "copy")
        evil.say("MESSAGE", wrong, copies)
        wait_until(lambda: forged(nodes, "copy") > in_all, what="a forged copy")
        alice.wait_error("refused: a message in the name of carol@beta in #crew@evil that no device")
        wait_until(
            lambda: (
                {(wrong.messageSnowflake, "OTHER_ERROR"), (copies.messageSnowflake, "OTHER_ERROR")}
                <= set(evil.statuses())
            ),
            what="both refused",
        )
        greet(environment, "still me")
        wait_shown(alice, "still me")
        assert shown(alice) == [("it is me", "signed"), ("still me", "signed")]


def test_a_message_of_its_own_user_that_was_changed_is_refused_and_each_is_counted_once(nodes, environment, evil):
    """They take the fast path, on which nothing is verified: what the recipient's client refuses is, then."""
    sent = [
        pb.ChatMessage(
            messageSnowflake=next(_numbers), author=MALLORY.to_pb(), user=ALICE.to_pb(), textContent=text
        )
        for text in ("as it was", *["to be changed"] * 40)
    ]
    for message in sent:
        sign_message(DEVICE, message, 0, int(time.time() * 1000))
    for message in sent[1:]:
        message.textContent = "changed"
    with listen(environment) as alice:
        alice.wait_error("listening as alice@alpha")
        evil.say("MESSAGE", sent[0])
        wait_shown(alice, "as it was")
        before = forged(nodes, "message")
        for count, message in enumerate(sent[1:], 1):
            evil.say("MESSAGE", message)
            wait_until(lambda n=count: forged(nodes, "message") >= before + n, what=f"forged message {count}")
        wait_until(
            lambda: {(each.messageSnowflake, "OTHER_ERROR") for each in sent[1:]} <= set(evil.statuses()),
            what="all of them refused",
        )
        assert forged(nodes, "message") == before + len(sent) - 1
        assert [text for text, _ in shown(alice)] == ["as it was"]


def test_a_forged_status_of_a_member_of_its_group_is_not_believed(environment, evil):
    with Command("chat", "--as", "alice@alpha", environment=environment) as alice:
        alice.wait_error("you are alice@alpha")
        greet(environment, "the first word")
        wait_until(lambda: "the first word" in "".join(alice.lines))
        alice.write("#crew@evil: hello all")
        message = evil.wait_message("hello all")
        told = pb.ChatMessageResponse(
            messageSnowflake=message.messageSnowflake, author=ALICE.to_pb(), group=CREW.to_pb(), complete=True
        )
        told.statuses.add(user=CAROL.to_pb(), status=STATUS.DELIVERED)
        told.proofs.append(sign_status(KEY, message, CAROL, STATUS.DELIVERED, 1))
        evil.say("MESSAGE_ACK", told)
        alice.wait_error("not believed: DELIVERED of carol@beta")
        assert not any("DELIVERED: carol@beta" in line for line in alice.errors)


@pytest.mark.parametrize(
    ("group", "names", "reason"),
    [
        (pb.Group(groupId="crew", serverId="beta"), ["alice"], "foreign_user"),
        (pb.Group(groupId="crew", serverId="alpha"), ["alice"], "foreign_user"),
        (CREW.to_pb(), [str(n) for n in range(100_000)], "too_large"),
        (CREW.to_pb(), ["alice", ""], "no_recipient"),
        (CREW.to_pb(), [], "no_recipient"),
    ],
)
def test_a_message_for_members_who_are_not_its_to_name_is_refused_and_counted(nodes, evil, group, names, reason):
    before, reported = rejected(nodes, reason), reported_remote(nodes)
    author = pb.User(userId="eve", serverId="evil")
    members = pb.MembersOfGroup(group=group, userIds=names)
    evil.say("MESSAGE", pb.ChatMessage(messageSnowflake=next(_numbers), author=author, members=members))
    wait_until(lambda: rejected(nodes, reason) == before + 1)
    assert reported_remote(nodes) == reported


def test_members_whom_nobody_knows_are_reported_and_cost_no_place(nodes, evil):
    known = nodes.metrics("chat").value("parley_names", table="users")
    names = [f"nobody-{n}" for n in range(1000)]
    members = pb.MembersOfGroup(group=CREW.to_pb(), userIds=names)
    author = pb.User(userId="eve", serverId="evil")
    number = next(_numbers)
    evil.say("MESSAGE", pb.ChatMessage(messageSnowflake=number, author=author, members=members))

    def refused():
        answers = [each for each in evil.payloads("MESSAGE_ACK", 1) if each.messageSnowflake == number]
        told = [status for answer in answers for status in answer.statuses]
        return len(told) == len(names) and told

    assert {each.status for each in wait_until(refused)} == {STATUS.USER_NOT_FOUND}
    assert nodes.metrics("chat").value("parley_names", table="users") == known


def test_a_server_that_announced_nothing_gets_a_copy_for_each_member(evil):
    """Its users are in a group of ours, and one of them writes there."""
    group = pb.Group(groupId="mixed", serverId="alpha")
    people = [pb.User(userId=name, serverId="evil") for name in ("eve", "mal", "zed")]
    evil.say("JOIN_GROUP", *(pb.JoinGroup(handle=n, group=group, user=each) for n, each in enumerate(people, 1)))
    evil.payloads("GROUP_MEMBERS", len(people))
    number = next(_numbers)
    sent = pb.ChatMessage(messageSnowflake=number, author=people[0], group=group, textContent="to each")
    evil.say("MESSAGE", sent)

    def copies():
        came = [each for each in evil.payloads("MESSAGE", 2) if each.messageSnowflake == number]
        return len(came) == len(people) - 1 and came

    came = wait_until(copies)
    assert sorted(each.userOfGroup.user.userId for each in came) == ["mal", "zed"]
    assert not any(each.HasField("members") for each in came)


def test_an_old_message_that_it_sends_again_is_not_shown_again_even_after_a_restart(environment, evil):
    """The member's copy is another message to the servers: its documentId, which nobody signs, is another."""

    def copy(number):
        again = pb.ChatMessage()
        again.CopyFrom(said)
        again.document.documentId = f"no {number}"
        return again

    document = pb.Document(documentId="no 0", filename="order.txt", data=b"sell")
    said = copy_in_the_name_of(MALLORY, "", DEVICE, document=document)
    for number in range(2):
        with listen(environment) as alice:
            alice.wait_error("listening as alice@alpha")
            evil.say("MESSAGE", copy(2 * number))
            evil.say("MESSAGE", copy(2 * number + 1))
            evil.say("MESSAGE", copy_in_the_name_of(MALLORY, f"round {number}", DEVICE))
            wait_shown(alice, f"round {number}")
            expected = ["order.txt", "round 0"] if number == 0 else ["round 1"]
            assert [text for text, _ in shown(alice)] == expected
            alice.interrupt()
            assert alice.wait_exit() in (0, 130)
