"""Dialects: which program is which, and how frames are written for each."""

import pytest

from parley.shared.addresses import Endpoint, Mark, Server, User
from parley.shared.dialects import dialect as dialects
from parley.shared.dialects.clients import MOST as MOST_USERS
from parley.shared.dialects.clients import ClientDialects
from parley.shared.dialects.recognition import (
    NOBODY,
    PORT_2,
    Operator,
    Signs,
    by_number,
    by_search,
    by_status,
    may_be_dialled,
    of_client,
    of_server,
)
from parley.shared.dialects.rewriting import END, read_status, rewrite
from parley.shared.dialects.servers import MOST, ServerDialects
from parley.shared.wire.framing import FrameReader
from parley.shared.wire.messages import encode, pb

NOW = 1_790_000_000.0
Status = pb.ChatMessageResponse.DeliveryStatus


def read(raw, kind):
    [frame] = FrameReader(1 << 20).feed(raw)
    return kind.FromString(frame.payload)


def message(**fields):
    author = pb.User(userId="ann", serverId="alpha")
    return pb.ChatMessage(messageSnowflake=1 << 40, author=author, **fields)


# Recognition ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signs", "dialect"),
    [
        (Signs(), dialects.OLD_SERVER),
        (Signs(is_marked=True), dialects.PARLEY),
        (Signs(is_named=True), dialects.PARLEY),
        (Signs(fields=True), dialects.PARLEY),
        (Signs(has_dialled=True, dialled_as_parley=True), dialects.PARLEY),
        (Signs(has_dialled=True), dialects.LINKING_SERVER),
        (Signs(linked_before=True), dialects.LINKING_SERVER),
        (Signs(linked_before=True, is_marked=True), dialects.PARLEY),
        (Signs(has_dialled=True, is_marked=True), dialects.PARLEY),  # anybody can dial in its name
        (Signs(is_marked=True, fields=False), dialects.OLD_SERVER),  # this link is not a Parley's
        (Signs(is_named=True, fields=False), dialects.LINKING_SERVER),
        (Signs(ports=frozenset({PORT_2})), dialects.SERVER_2),
        (Signs(ports=frozenset({PORT_2}), is_marked=True), dialects.PARLEY),
        (Signs(ports=frozenset({PORT_2, 6666}), has_dialled=True), dialects.LINKING_SERVER),
    ],
)
def test_a_server_is_known_by_what_it_says(signs, dialect):
    assert of_server(NOBODY, "other", signs).dialect is dialect


@pytest.mark.parametrize("name", dialects.SERVERS)
def test_the_operator_has_the_last_word(name):
    operator = Operator({"Other": name}, ())
    for signs in (Signs(), Signs(is_marked=True), Signs(fields=True), Signs(has_dialled=True)):
        assert of_server(operator, "oTHER", signs).dialect is dialects.SERVERS[name]
        assert of_server(operator, "another", signs) == of_server(NOBODY, "another", signs)


@pytest.mark.parametrize(
    ("signs", "may"),
    [
        (Signs(), False),
        (Signs(ports=frozenset({PORT_2})), False),
        (Signs(is_marked=True), True),
        (Signs(is_named=True), True),
        (Signs(has_dialled=True), True),
        (Signs(linked_before=True), True),
        (Signs(has_dialled=True, ports=frozenset({PORT_2})), True),
    ],
)
def test_who_never_dialled_us_and_is_no_parley_is_not_dialled(signs, may):
    assert may_be_dialled(NOBODY, "other", signs) is may
    assert may_be_dialled(Operator({}, ("OTHER",)), "other", signs)


def test_who_dialled_is_remembered_when_the_directory_forgets_it():
    servers = ServerDialects(NOBODY)
    places = {"MESSAGES": (Endpoint("127.0.0.2", 6666),)}
    servers.announced(Server("other", places, heard=True))
    assert not servers.may_be_dialled("other")
    assert servers.of_dialler("Other", has_our_fields=False).dialect is dialects.LINKING_SERVER
    servers.forget("other")
    assert servers.may_be_dialled("other")
    assert not servers.is_parley("other")
    servers.announced(Server("other", places, Mark("1", "i", 1), heard=True))
    assert servers.is_parley("other")


def test_who_dialled_with_a_key_that_is_not_the_names_has_said_nothing_of_it():
    servers = ServerDialects(NOBODY)
    servers.announced(Server("other", {"MESSAGES": (Endpoint("127.0.0.2", 6666),)}, heard=True))
    servers.of_dialler("other", has_our_fields=True)
    assert servers.may_be_dialled("other")
    servers.forget_proven("OTHER")
    assert not servers.may_be_dialled("other")
    servers.of_dialler("other", has_our_fields=False)
    servers.forget_proven("other")
    assert servers.may_be_dialled("other")


def test_names_of_diallers_are_bounded():
    servers = ServerDialects(NOBODY)
    for number in range(MOST + 10):
        servers.of_dialler(f"s{number}", has_our_fields=False)
    assert not servers.may_be_dialled("s9")
    assert servers.may_be_dialled("s10")
    assert servers.may_be_dialled(f"s{MOST + 9}")


def test_a_client_is_known_by_its_connect_then_by_its_numbers():
    assert of_client(has_our_fields=True).dialect is dialects.PARLEY_CLIENT
    plain = of_client(has_our_fields=False)
    assert plain.dialect is dialects.PLAIN_CLIENT
    assert by_number(plain, int(NOW) - 3600, NOW).dialect is dialects.CLIENT_2
    for number in (1, 7, 1 << 40, 7532588668595208202, 0, 1 << 32):
        assert by_number(plain, number, NOW).dialect is dialects.CLIENT_1
    assert by_status(plain, Status.DELIVERED).dialect is dialects.CLIENT_1
    assert by_status(plain, 2).dialect is dialects.CLIENT_2
    assert by_search(plain).dialect is dialects.CLIENT_2


def test_a_client_that_has_done_nothing_is_taken_for_what_its_users_last_was():
    clients, user = ClientDialects(), User("bob", "alpha")
    assert clients.of(user, has_our_fields=False).dialect is dialects.PLAIN_CLIENT
    for status, dialect in ((2, dialects.CLIENT_2), (1, dialects.CLIENT_1), (2, dialects.CLIENT_2)):
        known = by_status(clients.of(user, has_our_fields=False), status)  # it may be another than the last
        assert known.dialect is dialect
        clients.recognized(user, known)
        again = clients.of(user, has_our_fields=False)
        assert again.dialect is dialect
        assert by_search(again).dialect is by_number(again, int(NOW), NOW).dialect is dialects.CLIENT_2
    assert clients.of(user, has_our_fields=True).dialect is dialects.PARLEY_CLIENT
    assert clients.of(User("eve", "alpha"), has_our_fields=False).dialect is dialects.PLAIN_CLIENT


def test_users_last_clients_are_bounded():
    clients, known = ClientDialects(), by_status(of_client(has_our_fields=False), 2)
    for number in range(MOST_USERS + 5):
        clients.recognized(User(f"u{number}", "alpha"), known)
    found = [clients.of(User(f"u{n}", "alpha"), has_our_fields=False).dialect for n in (4, 5, MOST_USERS + 4)]
    assert found == [dialects.PLAIN_CLIENT, dialects.CLIENT_2, dialects.CLIENT_2]


def test_what_is_certain_stays():
    plain = of_client(has_our_fields=False)
    first, second = by_status(plain, 1), by_status(plain, 2)
    for known in (first, second, of_client(has_our_fields=True)):
        assert by_status(known, 1) is by_status(known, 2) is known
        assert by_number(known, int(NOW), NOW) is by_search(known) is known
    numbered = by_number(plain, 1 << 40, NOW)
    assert by_status(numbered, 2).dialect is dialects.CLIENT_2
    assert by_status(numbered, 1).dialect is dialects.CLIENT_1


# Statuses ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", [dialects.PLAIN_CLIENT, dialects.CLIENT_1, dialects.CLIENT_2])
def test_an_existing_clients_1_and_2_are_delivered(dialect):
    assert read_status(dialect, 1) == read_status(dialect, 2) == Status.DELIVERED


def test_other_statuses_are_read_as_their_writer_counts():
    assert [read_status(dialects.PARLEY_CLIENT, each) for each in range(8)] == list(range(8))
    assert [read_status(dialects.CLIENT_2, each) for each in range(3, 9)] == list(range(2, 8))
    assert [read_status(dialects.SERVER_2, each) for each in range(1, 9)] == list(range(8))
    assert [read_status(dialects.LINKING_SERVER, each) for each in range(8)] == list(range(8))


def test_statuses_are_written_as_their_reader_counts():
    ack = pb.ChatMessageResponse(messageSnowflake=5)
    for status in range(8):
        ack.statuses.add(status=status)
    raw = encode("MESSAGE_ACK", ack)
    [second] = rewrite(dialects.CLIENT_2, raw)
    assert [each.status for each in read(second, pb.ChatMessageResponse).statuses] == list(range(1, 9))
    assert rewrite(dialects.CLIENT_1, raw) == [raw]


# Frames ------------------------------------------------------------------------------------------------


BOB = pb.User(userId="bob", serverId="beta")


@pytest.mark.parametrize(
    "payload",
    [
        message(user=BOB, textContent="ends\n"),
        message(user=BOB, textContent="\n"),
        message(
            user=pb.User(userId="bob", serverId="beta\n"), document=pb.Document(filename="a.txt", data=b"text\n")
        ),
        message(group=pb.Group(groupId="g", serverId="beta"), textContent="a\n\nb\n"),
        message(),
        pb.ChatMessage(messageSnowflake=10),
        pb.ChatMessage(author=pb.User(userId="ann\n", serverId="a\n"), textContent="\n"),
    ],
)
def test_no_payload_ends_in_a_line_feed(payload):
    raw = encode("MESSAGE", payload)
    [frame] = FrameReader(1 << 20).feed(rewrite(dialects.CLIENT_1, raw)[0])
    assert not frame.payload.endswith(b"\n")
    known = pb.ChatMessage.FromString(frame.payload)
    known.DiscardUnknownFields()
    assert known == payload
    assert rewrite(dialects.PARLEY_CLIENT, raw) == [raw]


def test_a_field_is_added_only_where_no_order_helps():
    [text] = rewrite(dialects.CLIENT_1, encode("MESSAGE", message(user=BOB, textContent="ends\n")))
    assert END not in text
    [alone] = rewrite(dialects.CLIENT_1, encode("MESSAGE", pb.ChatMessage(messageSnowflake=10)))
    assert alone.endswith(END + b"\n")


def test_of_a_list_no_entry_changes_its_place():
    ack = pb.ChatMessageResponse(messageSnowflake=10)
    for name in ("a", "b", "c"):
        ack.statuses.add(user=pb.User(userId=name, serverId="x\n"))
    [raw] = rewrite(dialects.CLIENT_1, encode("MESSAGE_ACK", ack))
    assert [each.user.userId for each in read(raw, pb.ChatMessageResponse).statuses] == ["a", "b", "c"]


def test_fields_of_ours_are_left_out_and_others_stay():
    ack = pb.ChatMessageResponse(
        messageSnowflake=5, author=BOB, group=pb.Group(groupId="g", serverId="s"), complete=True, receipt=9
    )
    ack.statuses.add(user=BOB, status=Status.USER_AWAY)
    [raw] = rewrite(dialects.LINKING_SERVER, encode("MESSAGE_ACK", ack))
    plain = pb.ChatMessageResponse(messageSnowflake=5, statuses=ack.statuses)
    assert raw == encode("MESSAGE_ACK", plain)
    theirs = message(user=BOB, textContent="hi").SerializeToString() + b"\xba\x01\x02xy"  # field 23, a translation
    [frame] = FrameReader(1 << 20).feed(b"MESSAGE %d %b\n" % (len(theirs), theirs))
    assert rewrite(dialects.CLIENT_1, frame.raw) == [frame.raw]


def test_a_payload_that_is_no_message_is_left_alone():
    for payload in (b"\xff", b"\x0a\x05ab", b"\x0b", b"\x08"):
        raw = b"MESSAGE %d %b\n" % (len(payload), payload)
        assert rewrite(dialects.CLIENT_1, raw) == [raw]


def test_several_frames_are_written_one_by_one():
    raws = [encode("MESSAGE", message(user=BOB, textContent=text)) for text in ("a", "b\n")]
    first, second = rewrite(dialects.CLIENT_2, b"".join(raws))
    assert first == raws[0]
    assert read(second, pb.ChatMessage).textContent == "b\n"
