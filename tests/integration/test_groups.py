"""A group over three real nodes, one of which dies; and one of a thousand members at ten servers."""

import asyncio
import time

import pytest

from parley.shared.addresses import Group, User
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.messages import decode, pb
from tests.support.nodes import Node, wait_linked
from tests.support.sinks import Joined, Pipe, ack
from tests.support.sinks import Node as Router
from tests.support.talkers import final, talking

ALPHA, BETA, GAMMA, CLIENT = "127.0.50.1", "127.0.50.2", "127.0.50.3", "127.0.50.50"
USERS = ANN, BOB, BEN, CID = "ann@alpha", "bob@beta", "ben@beta", "cid@gamma"
CREW = "#crew@gamma"
SETTINGS = {"PARLEY_LINK__BACKOFF_MAX": "0.5"}
COUNT = 30


@pytest.fixture
def nodes(tmp_path):
    services = ("discovery", "chat")
    with (
        Node("alpha", ALPHA, tmp_path, services, SETTINGS) as alpha,
        Node("beta", BETA, tmp_path, services, SETTINGS) as beta,
        Node("gamma", GAMMA, tmp_path, services, SETTINGS) as gamma,
    ):
        wait_linked([alpha, beta, gamma], ["chat"])
        yield alpha, beta, gamma


@pytest.mark.parametrize("killed", ["gamma", "beta"])
def test_all_members_get_all_messages_once_in_order_though_a_server_is_killed(nodes, killed):
    """The group's, or that of two members who share each copy."""
    [node] = [each for each in nodes if each.server_id == killed]

    def crash():
        node.kill("chat")
        node.start("chat")

    async def story():
        async with talking(CLIENT, *USERS) as talkers:
            ann = talkers[0]
            for talker in talkers:
                await talker.chat.join(CREW)
            assert sorted(map(str, await ann.chat.members(CREW))) == sorted(USERS)
            sent = [ann.chat.send(CREW, str(n)) for n in range(COUNT)]
            await asyncio.to_thread(crash)
            sent += [ann.chat.send(CREW, str(n)) for n in range(COUNT, 2 * COUNT)]
            for delivery in sent:
                assert await final(delivery) == "DELIVERED"
                assert {str(user): status for user, status in delivery.members.items()} == dict.fromkeys(
                    USERS[1:], "DELIVERED"
                )
            for talker in talkers[1:]:
                assert [each.textContent for each in talker.came] == [str(n) for n in range(2 * COUNT)]
                assert {each.userOfGroup.group.groupId for each in talker.came} == {"crew"}
            assert ann.came == []
            await talkers[1].chat.leave(CREW)
            assert await final(talkers[1].chat.send(CREW, "no member")) == "USER_BLOCKED"
            assert sorted(map(str, await ann.chat.members(CREW))) == sorted({*USERS} - {BOB})

    asyncio.run(story())


# A thousand members, in one process -----------------------------------------------------------------

SERVERS, EACH = 10, 100
BIG = Group("big", "s0")


class Counted(Pipe):
    """A link that counts what goes over it."""

    def __init__(self, deliver):
        super().__init__(deliver)
        self.counts = {}

    def send(self, raw):
        name = raw.partition(b" ")[0].decode()
        self.counts[name] = self.counts.get(name, 0) + 1
        super().send(raw)


class Federation:
    """Routers joined by pipes, and people who acknowledge all in one turn."""

    def __init__(self):
        self.routers = [Router(f"s{n}", mailbox=10**6) for n in range(SERVERS)]
        self.clients = {}
        for router in self.routers:
            for n in range(EACH):
                user = User(f"u{n}", router.server_id)
                self.clients[user] = router.connect(user, Counted(lambda _frame: None))
                self.routers[0].engine.groups.add(BIG.group_id, user)
        self.pairs = [Joined(self.routers[0], other) for other in self.routers[1:]]
        for pair in self.pairs:
            pair.link()
            for pipe in pair.pipes:
                pipe.counts = {}
                pipe.__class__ = Counted

    def carry(self):
        while any(pipe.sent for pair in self.pairs for pipe in pair.pipes):
            for pair in self.pairs:
                for pipe in pair.pipes:
                    pipe.carry()

    def answer(self):
        """Each client answers for what came; each server hears all of its clients in one turn."""
        for router in self.routers:
            for user, client in self.clients.items():
                if user.server_id == router.server_id:
                    for raw in client.sent:
                        frame = read_datagram(raw)
                        if frame.name == "MESSAGE":
                            number = decode(frame, pb.ChatMessage).messageSnowflake
                            router.router.ack_from_client(user, ack(number, 1), router.now)
                    client.sent.clear()
            router.end_turn()


def test_a_message_to_a_thousand_members_at_ten_servers_is_a_frame_for_each_server_and_few_acknowledgements(figure):
    federation = Federation()
    author = User("u0", "s1")
    client = federation.clients[author]
    start = time.perf_counter()
    federation.routers[1].send(author, 1, None, "hello", group=BIG.to_pb())
    federation.carry()
    federation.answer()
    heard = [decode(read_datagram(raw), pb.ChatMessageResponse) for raw in client.sent]
    client.sent.clear()
    federation.carry()
    elapsed = time.perf_counter() - start
    heard += [decode(read_datagram(raw), pb.ChatMessageResponse) for raw in client.sent]

    to = {pair.nodes[1].server_id: pair.pipes[0].counts for pair in federation.pairs}
    back = {pair.nodes[1].server_id: pair.pipes[1].counts for pair in federation.pairs}
    assert {server: counts["MESSAGE"] for server, counts in to.items()} == dict.fromkeys(to, 1)
    # that it came, and all statuses
    assert {server: counts.get("MESSAGE_ACK", 0) for server, counts in back.items()} == dict.fromkeys(back, 2)
    assert {user: each.counts.get("MESSAGE", 0) for user, each in federation.clients.items()} == {
        user: int(user != author) for user in federation.clients
    }
    told = [User.of(entry.user) for each in heard for entry in each.statuses]
    assert sorted(told) == sorted(user for user in federation.clients if user != author)
    assert [each.complete for each in heard] == [False] * (len(heard) - 1) + [True]
    assert len(heard) <= SERVERS
    figure(f"group of {SERVERS * EACH} at {SERVERS} servers: {len(heard)} MESSAGE_ACKs, {elapsed * 1e3:.0f} ms")
