"""While somebody has a real node do much, everybody else is answered as ever.

Each attack is the program of one client, or of a few, that writes as fast as it can. Beside it an honest client
asks PING after PING; HARM is what it may have to wait at the most. (`make attack` measures what is the case.)
"""

import asyncio
from contextlib import ExitStack

import pytest

from parley.services.chat.storage.store import Store
from parley.shared.addresses import User
from parley.shared.wire.messages import encode, pb
from tests.support.attackers import Attack, Honest, connected, described
from tests.support.nodes import Node, wait_until

ADDRESS, ATTACKER, HONEST = "127.0.42.1", "127.0.42.66", "127.0.42.2"
HARM = 0.5
"""Seconds; without bounds it was 1 to 31."""
SECONDS = 3.0
MEMBERS = 2000
CROWD = 10_000
EVE = pb.User(userId="eve", serverId="alpha")
CREW = pb.Group(groupId="crew", serverId="alpha")


def fill(directory):
    """A node at which eve blocks many, and is in a group with many who are away."""

    async def write():
        store = Store(directory, persisted=lambda _items: None, not_persisted=lambda _items: None)
        store.join("crew", User("eve", "alpha"), lambda _is_safe: None)
        for number in range(MEMBERS):
            member = User(f"member{number}", "alpha")
            store.know(member)
            store.join("crew", member, lambda _is_safe: None)
            store.block("eve", User(f"somebody{number}", "alpha"), lambda _is_safe: None)
        store.join("crowd", User("eve", "alpha"), lambda _is_safe: None)
        for number in range(CROWD - 1):
            store.know(User(f"one{number}", "alpha"))
            store.join("crowd", User(f"one{number}", "alpha"), lambda _is_safe: None)
        store.close()

    directory.mkdir(parents=True)
    asyncio.run(write())


@pytest.fixture(scope="module")
def alpha(tmp_path_factory):
    node = Node("alpha", ADDRESS, tmp_path_factory.mktemp("fair"), ("discovery", "chat"))
    fill(node.directory / "data" / "alpha")
    with node:
        yield node


@pytest.fixture
def honest(alpha):
    client = Honest(alpha, HONEST)
    yield client
    client.close()


@pytest.fixture
def eves(honest):  # noqa: ARG001 - the node is there
    """So many links of eve's."""
    with ExitStack() as stack:

        def make(count):
            socks = [connected(ADDRESS, ATTACKER, "eve", "alpha") for _ in range(count)]
            for sock in socks:
                stack.callback(sock.close)
            return socks

        yield make


def assert_harmless(honest, attack, what, seconds=SECONDS):
    with attack:
        waits = honest.round_trips(seconds)
    assert max(waits) < HARM, f"{what}: {described(waits)}"


def ask_blocked():
    return encode("ASK_BLOCKED_USERS", pb.ChangeBlock(request=1))


def ask_members():
    return encode("QUERY_GROUP_MEMBERS", pb.QueryGroupMembers(group=CREW, user=EVE, request=1))


def to_group(number, size=10):
    text = "x" * size
    return encode("MESSAGE", pb.ChatMessage(messageSnowflake=number, author=EVE, group=CREW, textContent=text))


@pytest.mark.parametrize("reads", [True, False], ids=["who reads", "who never reads"])
@pytest.mark.parametrize("ask", [ask_blocked, ask_members], ids=["whom they block", "who is in a group"])
def test_requests_with_long_answers_hold_up_nobody(honest, eves, ask, reads):
    assert_harmless(honest, Attack(eves(1), ask() * 3000, reads=reads), f"3,000 × {ask.__name__}, reads: {reads}")


def test_unknown_names_on_many_links_hold_up_nobody(honest, eves):
    assert_harmless(honest, Attack(eves(20), b"A 0 \n" * 13_000, reads=True), "13,000 unknown names × 20")


def test_pings_on_many_links_hold_up_nobody(honest, eves):
    assert_harmless(honest, Attack(eves(20), encode("PING") * 100_000, reads=True), "100,000 PINGs × 20")


def test_messages_on_many_links_hold_up_nobody(honest, eves):
    message = pb.ChatMessage(author=EVE, user=pb.User(userId="nobody", serverId="alpha"), textContent="x")
    data = b"".join(
        encode("MESSAGE", pb.ChatMessage(messageSnowflake=number, author=message.author, user=message.user))
        for number in range(1, 5001)
    )
    assert_harmless(honest, Attack(eves(20), data, reads=True), "5,000 messages to nobody × 20")


def test_one_text_to_the_largest_group_holds_up_nobody(alpha, honest, eves):
    before = alpha.status("chat")["waiting_messages"]
    crowd = pb.Group(groupId="crowd", serverId="alpha")
    data = encode("MESSAGE", pb.ChatMessage(messageSnowflake=1000, author=EVE, group=crowd, textContent="x"))
    assert_harmless(honest, Attack(eves(1), data, reads=True), "1 text to 10,000", seconds=5.0)
    wait_until(lambda: alpha.status("chat")["waiting_messages"] == before + CROWD - 1, timeout=60)


def test_messages_to_somebody_who_never_acknowledges_hold_up_nobody(honest, eves):
    deaf = connected(ADDRESS, ATTACKER, "deaf", "alpha")
    to = pb.User(userId="deaf", serverId="alpha")
    data = b"".join(
        encode("MESSAGE", pb.ChatMessage(messageSnowflake=number, author=EVE, user=to, textContent="x"))
        for number in range(1, 100_001)
    )
    with Attack([deaf], b"", reads=True):
        assert_harmless(honest, Attack(eves(1), data, reads=True), "100,000 messages to one who is deaf", seconds=5)


def test_texts_to_a_large_group_of_people_who_are_away_hold_up_nobody(honest, eves):
    data = b"".join(map(to_group, range(1, 101)))
    assert_harmless(honest, Attack(eves(1), data, reads=True), "100 texts to 2,000", seconds=10.0)
