"""Clients of other programs at a real chat service: each gets what its program can take, as it can take it."""

import asyncio
import time

import pytest
from prometheus_client import generate_latest

from parley.services.chat.service import ChatService
from parley.shared.config import ChatConfig, Config, InteropConfig
from parley.shared.wire.framing import FrameReader
from parley.shared.wire.messages import decode, encode, pb

HOST = "127.0.62.1"
Status = pb.ChatMessageResponse.DeliveryStatus
SEGMENT = 1500
"""Bytes that code base 2 reads at a time."""


class Client:
    """A client that says nothing of Parley's fields."""

    first_status = 0

    def __init__(self, service, name):
        self.service = service
        self.user = pb.User(userId=name, serverId="alpha")
        self.texts, self.sizes, self.statuses, self.raws = [], [], {}, []
        self.number = 1 << 50
        self.changed = asyncio.Event()

    async def __aenter__(self):
        port = self.service.listener.port
        self.reader, self.writer = await asyncio.open_connection(HOST, port, local_addr=(HOST, 0))
        self.writer.write(encode("CONNECT_CLIENT", pb.ConnectClient(user=self.user)))
        self.task = asyncio.create_task(self.read())
        await self.until(lambda: self.raws)
        return self

    async def __aexit__(self, *_):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        self.writer.close()
        await self.writer.wait_closed()

    async def until(self, condition, patience=30.0):
        async with asyncio.timeout(patience):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def read(self):
        reader = FrameReader(1 << 22)
        while data := await self.reader.read(1 << 16):
            for frame in reader.feed(data):
                self.take(frame)

    def take(self, frame):
        self.raws.append(frame.raw)
        if frame.name == "MESSAGE":
            message = decode(frame, pb.ChatMessage)
            self.texts.append(message.textContent or message.document.data)
            ack = pb.ChatMessageResponse(messageSnowflake=message.messageSnowflake)
            ack.statuses.add(status=Status.DELIVERED + self.first_status)
            self.writer.write(encode("MESSAGE_ACK", ack))
        elif frame.name == "MESSAGE_ACK":
            ack = decode(frame, pb.ChatMessageResponse)
            told = [each.status - self.first_status for each in ack.statuses]
            self.statuses.setdefault(ack.messageSnowflake, []).extend(told)
        self.changed.set()

    def next_number(self):
        self.number += 1
        return self.number

    def send(self, to, text, server_id="alpha"):
        number = self.next_number()
        message = pb.ChatMessage(messageSnowflake=number, author=self.user, textContent=text)
        message.user.userId, message.user.serverId = to, server_id
        self.writer.write(encode("MESSAGE", message))
        return number

    async def outcome(self, number):
        await self.until(lambda: self.statuses.get(number, [Status.USER_AWAY])[-1] != Status.USER_AWAY)
        return self.statuses[number]


class OneFrameReader(Client):
    """Code base 2: one frame of each recv, the rest is lost; numbers by the second; statuses from 1."""

    first_status = 1

    async def read(self):
        loop = asyncio.get_running_loop()
        sock = self.writer.get_extra_info("socket")
        self.writer.transport.pause_reading()
        sock = sock.dup()
        try:
            while data := await loop.sock_recv(sock, SEGMENT):
                self.sizes.append(len(data))
                frames = FrameReader(1 << 22).feed(data)
                if frames:
                    self.take(frames[0])
        finally:
            sock.close()

    def next_number(self):
        return int(time.time())


class OneFrameServer(OneFrameReader):
    """One link of a server of code base 2 that hears from nobody whether what it passes on arrives."""

    answers = False

    async def __aenter__(self):
        port = self.service.listener.port
        self.reader, self.writer = await asyncio.open_connection(HOST, port, local_addr=(HOST, 0))
        hello = pb.ConnectServer(serverId=self.user.userId, features=["MESSAGES"])
        self.writer.write(encode("CONNECT_SERVER", hello))
        self.task = asyncio.create_task(self.read())
        await self.until(lambda: self.raws)
        return self

    def take(self, frame):
        if self.answers or frame.name != "MESSAGE":
            super().take(frame)
        else:
            self.texts.append(decode(frame, pb.ChatMessage).textContent)
            self.changed.set()


@pytest.fixture
def config(tmp_path):
    return Config(
        server_id="alpha",
        address=HOST,
        data_dir=str(tmp_path),
        chat=ChatConfig(port=0, ack_timeout=5.0),
        interop=InteropConfig(peers={"beta": "code2-server"}),
    )


def run(config, story):
    async def whole():
        service = ChatService(config=config)
        await service.start()
        try:
            await story(service)
        finally:
            await service.stop()

    asyncio.run(whole())


def test_what_waits_for_a_one_frame_reader_comes_one_by_one(config):
    """Twenty texts that came while it was away; and the author, of the first code base, hears the truth."""

    async def story(service):
        async with OneFrameReader(service, "bob"):
            pass
        async with Client(service, "ann") as ann:
            texts = [f"line {number}\n" for number in range(20)]
            numbers = [ann.send("bob", text) for text in texts]
            await ann.until(lambda: len(ann.statuses) == len(texts))
            async with OneFrameReader(service, "bob") as bob:
                await bob.until(lambda: len(bob.texts) >= len(texts))
                assert bob.texts == texts
                for number in numbers:
                    assert await ann.outcome(number) == [Status.USER_AWAY, Status.DELIVERED]

    run(config, story)


def test_a_one_frame_reader_writes_and_hears_each_status_as_it_counts(config):
    """Its messages may share a number, and many statuses come at once."""

    async def story(service):
        async with OneFrameReader(service, "bob") as bob, Client(service, "ann") as ann:
            for number in range(12):
                bob.send("ann", f"text {number}")
            bob.send("nobody", "to nobody")
            await ann.until(lambda: len(ann.texts) == 12)
            await bob.until(lambda: sum(map(len, bob.statuses.values())) == 13)
            told = [status for statuses in bob.statuses.values() for status in statuses]
            assert sorted(told) == [Status.DELIVERED] * 12 + [Status.USER_NOT_FOUND]
            assert ann.texts == [f"text {number}" for number in range(12)]

    run(config, story)


def test_a_one_frame_reader_that_comes_back_hears_what_it_is_owed_as_it_counts(config):
    """It has not done anything by then."""

    async def story(service):
        async with OneFrameReader(service, "bob") as bob, Client(service, "ann") as ann:
            await bob.outcome(bob.send("ann", "hello"))
        async with OneFrameReader(service, "bob") as bob:
            number = bob.send("ann", "you are away")
            await bob.until(lambda: bob.statuses.get(number, [0])[-1] == Status.USER_AWAY)
        async with Client(service, "ann") as ann:
            await ann.until(lambda: "you are away" in ann.texts)
        async with OneFrameReader(service, "bob") as bob:
            await bob.until(lambda: bob.statuses.get(number))
            told = {status for statuses in bob.statuses.values() for status in statuses}
            assert told == {Status.DELIVERED}  # of what it was told last on a broken link it is told again

    run(config, story)


def test_a_one_frame_server_that_dials_again_and_again_gets_all_that_waited_for_its_turn(config):
    """A new link takes the old one's place. What was written twice is given up, and nothing else."""
    texts = [f"text {number}" for number in range(6)]

    async def story(service):
        async with Client(service, "ann") as ann, OneFrameServer(service, "beta") as one:
            numbers = [ann.send("bob", text, "beta") for text in texts]
            await one.until(lambda: one.texts)
            async with OneFrameServer(service, "beta") as two:
                await two.until(lambda: two.texts)
                async with OneFrameServer(service, "beta") as three:
                    three.answers = True
                    await three.until(lambda: len(three.texts) == len(texts) - 1)
                    await ann.until(lambda: len(ann.statuses) == len(texts))
                    assert three.texts == texts[1:]
            assert one.texts == two.texts == texts[:1]
            told = [ann.statuses[number] for number in numbers]
            assert told == [[Status.UNKNOWN_STATUS], *[[Status.DELIVERED]] * 5]

    run(config, story)


@pytest.mark.parametrize("kind", [Client, OneFrameReader], ids=["stream", "one frame"])
def test_an_existing_program_gets_no_edit_and_its_author_is_told(config, kind):
    async def story(service):
        async with kind(service, "bob") as bob, Client(service, "ann") as ann:
            assert await ann.outcome(ann.send("bob", "before")) == [Status.DELIVERED]
            edit = pb.ChatMessage(messageSnowflake=ann.next_number(), author=ann.user, edit=pb.Edit(text="edited"))
            edit.user.CopyFrom(bob.user)
            ann.writer.write(encode("MESSAGE", edit))
            assert await ann.outcome(edit.messageSnowflake) == [Status.OTHER_ERROR]
            assert await ann.outcome(ann.send("bob", "behind")) == [Status.DELIVERED]
            assert bob.texts == ["before", "behind"]
            assert not any(b"edited" in raw for raw in bob.raws)
            counted = 'parley_limited_total{feature="MESSAGES",what="edits",where="dialects"} 1.0'
            assert counted in generate_latest(service.metrics.registry).decode()

    run(config, story)


def test_what_a_one_frame_reader_cannot_take_is_refused_and_holds_up_nothing(config):
    async def story(service):
        async with OneFrameReader(service, "bob") as bob, Client(service, "ann") as ann:
            first = ann.send("bob", "short")
            assert await ann.outcome(first) == [Status.DELIVERED]
            longest = ann.send("bob", "x" * 1200)
            long = ann.send("bob", "y" * 1600)
            behind = ann.send("bob", "behind")
            assert await ann.outcome(long) == [Status.OTHER_ERROR]
            assert await ann.outcome(behind) == [Status.DELIVERED]
            assert await ann.outcome(longest) == [Status.DELIVERED]
            assert bob.texts == ["short", "x" * 1200, "behind"]
            counted = 'parley_limited_total{feature="MESSAGES",what="bytes",where="dialects"} 1.0'
            assert counted in generate_latest(service.metrics.registry).decode()

    run(config, story)


def test_a_client_of_code_base_1_gets_a_burst_at_once_and_no_line_feed_at_an_end(config):
    """What was not known of it at its connecting is known from its first acknowledgement on."""

    async def story(service):
        async with Client(service, "bob") as bob, Client(service, "ann") as ann:
            texts = [f"{number}\n" for number in range(500)]
            numbers = [ann.send("bob", text) for text in texts]
            for number in numbers:
                assert await ann.outcome(number) == [Status.DELIVERED]
            assert bob.texts == texts
            for client in (ann, bob):
                assert not [raw for raw in client.raws if raw.endswith(b"\n\n")]
                fields = [each for raw in client.raws for each in numbers_of(raw)]
                assert max(fields) < 100

    run(config, story)


def test_a_large_document_reaches_a_client_of_code_base_1(config):
    async def story(service):
        data = bytes(range(250)) * 4000 + b"\n"
        async with Client(service, "bob") as bob, Client(service, "ann") as ann:
            number = ann.next_number()
            message = pb.ChatMessage(messageSnowflake=number, author=ann.user, user=bob.user)
            message.document.data = data
            ann.writer.write(encode("MESSAGE", message))
            assert await ann.outcome(number) == [Status.DELIVERED]
            assert bob.texts == [data]

    run(config, story)


def numbers_of(raw):
    """The numbers of a payload's fields."""
    [frame] = FrameReader(1 << 22).feed(raw)
    payload, at = frame.payload, 0
    while at < len(payload):
        tag, at = varint(payload, at)
        yield tag >> 3
        if tag & 7 == 2:
            size, at = varint(payload, at)
            at += size
        else:
            _, at = varint(payload, at)


def varint(payload, at):
    value = shift = 0
    while True:
        byte = payload[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
