"""A client that signs, and judges who wrote what comes: at a home server in memory."""

import asyncio
from types import SimpleNamespace
from typing import ClassVar

import pytest

from parley import ChatFeature, KeyChange
from parley.client.authors import off_loop
from parley.client.authors.judgement import (
    FORGED,
    MISSING,
    REVOKED,
    SIGNED,
    UNPROVEN,
    UNSIGNED,
    judge,
)
from parley.shared.addresses import Group, User
from parley.shared.config import ClientConfig, Config
from parley.shared.trust.authors import is_message_signed, is_status_signed, sign_message
from parley.shared.trust.devices import Device, sign_list
from parley.shared.trust.keys import PrivateKey
from parley.shared.wire.messages import encode, pb
from tests.support.wired import at_home, run

ALICE, BOB, EVE = User("alice", "alpha"), User("bob", "beta"), User("eve", "beta")
ALPHA, BETA, OURS, BOBS, OTHER, EVES = (PrivateKey(bytes([n]) * 32) for n in range(1, 7))
STATUS = pb.ChatMessageResponse.DeliveryStatus
TIME = 1_800_000_000


class Homes:
    """Keys of servers; what can be learnt on a link is in `there`."""

    def __init__(self, known):
        self.known = known
        self.there = {}
        self.learnt = []

    def of(self, server_id):
        return self.known.get(server_id)

    async def learn(self, server_id):
        self.learnt.append(server_id)
        await asyncio.sleep(0)
        if server_id in self.there:
            self.known[server_id] = self.there[server_id]


class Client(ChatFeature):
    """Alice's, who knows the keys of these servers."""

    device = OURS
    homes: ClassVar = {"alpha": ALPHA.public, "beta": BETA.public}

    def __init__(self, *arguments, **how):
        super().__init__(*arguments, **how)
        self._author_keys._homes = Homes(dict(self.homes))


class KeylessClient(Client):
    device = None


class NewClient(Client):
    """One that never had a link to beta."""

    homes: ClassVar = {"alpha": ALPHA.public}


def client(kind=Client, config=None, **how):
    return kind(ALICE, config or Config(), **how)


def text(number, said="hi", author=BOB, to=ALICE, key=BOBS):
    recipient = {"user": to.to_pb()}
    if isinstance(to, Group):
        recipient = {"userOfGroup": pb.UserOfGroup(user=ALICE.to_pb(), group=to.to_pb())}
    message = pb.ChatMessage(messageSnowflake=number, author=author.to_pb(), textContent=said, **recipient)
    if key is not None:
        sign_message(key, message, 0, TIME * 1000)
    return message


def list_of(user=BOB, *keys, home=BETA, number=1, revoked=()):
    devices, gone = [Device(key.public, "", TIME) for key in keys], [key.public for key in revoked]
    return sign_list(home, user, devices, number=number, now=TIME, revoked=gone)


class Told:
    """What the application was given, in order."""

    def __init__(self):
        self.all = []
        self.old = []
        self.fails = False
        self._came = asyncio.Event()

    def message(self, message):
        self._note(message)
        if self.fails:
            self.fails = False
            raise RuntimeError("not now")

    def replayed(self, message):
        self.old.append(message.textContent)

    def forged(self, message):
        assert message.assurance == FORGED
        self._note(message)

    def _note(self, message):
        self.all.append((message.textContent, message.assurance))
        self._came.set()

    async def wait(self, count):
        async with asyncio.timeout(10):
            while len(self.all) < count:
                self._came.clear()
                await self._came.wait()
        return self.all


def talk(story, kind=Client, **how):
    """Tell a story of a home server and what the application was given."""

    async def whole():
        told = Told()
        feature = client(kind, on_message=told.message, on_forged=told.forged, on_replayed=told.replayed, **how)
        async with at_home(feature, has_abilities=True) as home:
            await story(home, told)
        await feature.close()

    run(whole())


async def answered(home, *lists):
    """The home server answers what it was asked."""
    asked = [User.of(each.user) for each in home.taken("DEVICES_OF", pb.DevicesOf)]
    for each in lists:
        await home.tell("DEVICE_LIST", each)
    return asked


# What goes out ------------------------------------------------------------------------------------------


def test_a_message_is_signed_once_and_a_retry_has_the_same_bytes():
    async def story(home, _told):
        home.feature.send("bob@beta", "hello")
        await home.turns()
        (first,) = (frame.raw for frame in home.frames if frame.name == "MESSAGE")
        (message,) = home.taken("MESSAGE", pb.ChatMessage)
        assert is_message_signed(message)
        assert message.proof.key == OURS.public
        await home.cut()
        await home.connect()
        await home.turns()
        assert [frame.raw for frame in home.frames if frame.name == "MESSAGE"] == [first]

    talk(story)


def test_each_conversation_has_its_own_previous_number():
    async def story(home, _told):
        for to in ("bob@beta", "#bob@beta", "bob@beta", "#bob@beta", "eve@beta"):
            home.feature.send(to, "hello")
        await home.turns()
        sent = home.taken("MESSAGE", pb.ChatMessage)
        numbers = [each.messageSnowflake for each in sent]
        assert [each.proof.previous for each in sent] == [0, 0, numbers[0], numbers[1], 0]

    talk(story)


def test_without_a_key_nothing_is_signed():
    async def story(home, told):
        home.feature.send("bob@beta", "hello")
        await home.tell("MESSAGE", text(1))
        await told.wait(1)
        await home.turns()
        (message,), (ack,) = (
            home.taken("MESSAGE", pb.ChatMessage),
            home.taken("MESSAGE_ACK", pb.ChatMessageResponse),
        )
        assert not message.HasField("proof")
        assert not ack.proofs

    talk(story, KeylessClient)


# What comes -----------------------------------------------------------------------------------------------


def test_a_message_of_a_known_device_is_signed_and_so_is_its_acknowledgement():
    async def story(home, told):
        message = text(1)
        await home.tell("MESSAGE", message)
        assert await answered(home, list_of(BOB, BOBS)) == [BOB]
        assert await told.wait(1) == [("hi", SIGNED)]
        await home.turns()
        (ack,) = home.taken("MESSAGE_ACK", pb.ChatMessageResponse)
        assert is_status_signed(message, ALICE, STATUS.DELIVERED, ack.proofs[0])
        assert ack.proofs[0].key == OURS.public
        await home.tell("MESSAGE", text(2, "ho"))
        assert (await told.wait(2))[1] == ("ho", SIGNED)
        assert await answered(home) == []

    talk(story)


@pytest.mark.parametrize(
    ("tampers", "why"),
    [
        (lambda m: setattr(m, "textContent", "pay eve"), "the text"),
        (lambda m: setattr(m.author, "userId", "eve"), "the author"),
        (lambda m: m.userOfGroup.CopyFrom(pb.UserOfGroup(user=ALICE.to_pb(), group=BOB_CREW.to_pb())), "moved"),
        (lambda m: setattr(m.proof, "time", 1), "the time"),
        (lambda m: setattr(m.proof, "key", OTHER.public), "the key"),
        (lambda m: sign_message(OTHER, m, 0, TIME), "signed by another"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_forged_message_is_nobodys_and_comes_once(tampers, why):
    async def story(home, told):
        message = text(1)
        tampers(message)
        for _ in range(2):
            await home.tell("MESSAGE", message)
            await answered(home, list_of(BOB, BOBS), list_of(EVE))
            await told.wait(1)
        await home.turns()
        assert [assurance for _, assurance in told.all] == [FORGED], why
        first, *_ = home.taken("MESSAGE_ACK", pb.ChatMessageResponse)
        assert [each.status for each in first.statuses] == [STATUS.OTHER_ERROR]
        assert not first.proofs

    talk(story)


BOB_CREW = Group("crew", "beta")


def test_a_copy_of_a_message_to_a_group_is_judged_as_the_message_was():
    async def story(home, told):
        said = pb.ChatMessage(messageSnowflake=1, author=BOB.to_pb(), textContent="hi", group=BOB_CREW.to_pb())
        sign_message(BOBS, said, 0, TIME)
        said.userOfGroup.CopyFrom(pb.UserOfGroup(user=ALICE.to_pb(), group=BOB_CREW.to_pb()))
        await home.tell("MESSAGE", said)
        await answered(home, list_of(BOB, BOBS))
        assert await told.wait(1) == [("hi", SIGNED)]

    talk(story)


def test_of_a_server_that_nobody_had_a_link_to_nothing_is_proven():
    async def story(home, told):
        await home.tell("MESSAGE", text(1))
        await home.tell("DEVICE_LIST", list_of(BOB, OTHER, home=OTHER))
        assert await told.wait(1) == [("hi", UNPROVEN)]
        assert await answered(home) == []

    talk(story, NewClient)


def test_the_key_of_an_authors_server_is_learnt_on_a_link_to_it():
    async def story(home, told):
        homes = home.feature._author_keys._homes
        homes.there["beta"] = BETA.public
        await home.tell("MESSAGE", text(1, key=None))
        assert homes.learnt == []
        await home.tell("MESSAGE", text(2))
        assert await answered(home, list_of(BOB, BOBS)) == [BOB]
        assert [each for _, each in await told.wait(2)] == [UNSIGNED, SIGNED]
        assert homes.learnt == ["beta"]

    talk(story, NewClient)


def test_a_list_of_somebody_elses_making_says_nothing():
    async def story(home, told):
        await home.tell("MESSAGE", text(1, key=OTHER))
        assert await answered(home, list_of(BOB, OTHER, home=ALPHA)) == [BOB]
        assert await told.wait(1) == [("hi", UNPROVEN)]

    talk(story)


def test_an_older_list_never_replaces_a_newer_one():
    async def story(home, told):
        await home.tell("DEVICE_LIST", list_of(BOB, BOBS, number=2))
        await home.tell("DEVICE_LIST", list_of(BOB, BOBS, OTHER, number=1))
        await home.tell("MESSAGE", text(1, key=OTHER))
        await answered(home, list_of(BOB, BOBS, OTHER, number=1))
        assert await told.wait(1) == [("hi", FORGED)]

    talk(story)


def test_a_signature_taken_away_is_missed():
    async def story(home, told):
        await home.tell("MESSAGE", text(1, key=None))
        assert await told.wait(1) == [("hi", UNSIGNED)]
        await answered(home, list_of(BOB, BOBS))
        await home.tell("MESSAGE", text(2, key=None))
        assert (await told.wait(2))[1] == ("hi", MISSING)
        await home.tell("MESSAGE", text(3, author=EVE, key=None))
        await answered(home, pb.DeviceList(user=EVE.to_pb()))
        await home.tell("MESSAGE", text(4, author=EVE, key=None))
        assert [each for _, each in await told.wait(4)][2:] == [UNSIGNED, UNSIGNED]

    talk(story)


def test_nobody_waits_for_a_list_for_ever(monkeypatch):
    monkeypatch.setattr("parley.client.authors.author_keys.WAIT", 0.01)

    async def story(home, told):
        for number in (1, 2):
            await home.tell("MESSAGE", text(number))
        assert [each for _, each in await told.wait(2)] == [UNPROVEN, UNPROVEN]
        assert await answered(home) == [BOB]

    talk(story)


def test_messages_stay_in_order_signed_or_not():
    async def story(home, told):
        await home.tell("DEVICE_LIST", list_of(BOB, BOBS))
        for number in range(1, 200):
            home.link.send(encode("MESSAGE", text(number, str(number), key=BOBS if number % 3 else None)))
        assert [int(said) for said, _ in await told.wait(199)] == [*range(1, 200)]

    talk(story)


def test_an_old_message_that_a_server_sends_again_is_not_shown_again():
    """As after a restart of the list of what was received: its number is known all the same."""

    async def story(home, told):
        await home.tell("DEVICE_LIST", list_of(BOB, BOBS))
        for number in range(1, 100):
            home.link.send(encode("MESSAGE", text(number, str(number))))
        await told.wait(99)
        await home.turns()
        home.taken("MESSAGE_ACK", pb.ChatMessageResponse)
        home.feature._inbox._received_before = type(home.feature._inbox._received_before)()
        for number in (99, 5, 40, 100):
            home.link.send(encode("MESSAGE", text(number, str(number))))
        assert [int(said) for said, _ in (await told.wait(100))[99:]] == [100]
        await home.turns()
        acks = home.taken("MESSAGE_ACK", pb.ChatMessageResponse)
        assert [each.messageSnowflake for each in acks] == [99, 5, 40, 100]

    talk(story)


def test_what_its_device_passed_long_ago_is_refused_and_its_author_told():
    async def story(home, told):
        await home.tell("DEVICE_LIST", list_of(BOB, BOBS))
        for number in range(2, 303):
            home.link.send(encode("MESSAGE", text(number, str(number))))
        await told.wait(301)
        await home.turns()
        home.taken("MESSAGE_ACK", pb.ChatMessageResponse)
        for number in (1, 303):
            home.link.send(encode("MESSAGE", text(number, str(number))))
        assert [said for said, _ in (await told.wait(302))[301:]] == ["303"]
        await home.turns()
        assert (told.old, home.feature.refused.replayed, home.feature.refused.forged) == (["1"], 1, 0)
        acks = home.taken("MESSAGE_ACK", pb.ChatMessageResponse)
        assert [each.statuses[0].status for each in acks] == [STATUS.OTHER_ERROR, STATUS.DELIVERED]

    talk(story)


def test_a_message_that_is_sent_again_after_a_restart_is_acknowledged_and_neither_shown_nor_forged(tmp_path):
    """Its acknowledgement was lost with the program that showed it; another waited meanwhile, and is shown."""
    settings = Config(client=ClientConfig(data_dir=str(tmp_path)))

    async def first(home, told):
        await home.tell("DEVICE_LIST", list_of(BOB, BOBS))
        await home.tell("MESSAGE", text(1, "1"))
        await told.wait(1)

    async def again(home, told):
        await home.tell("DEVICE_LIST", list_of(BOB, BOBS))
        for number in (1, 2):
            home.link.send(encode("MESSAGE", text(number, str(number))))
        assert await told.wait(1) == [("2", SIGNED)]
        await home.turns()
        acks = home.taken("MESSAGE_ACK", pb.ChatMessageResponse)
        assert [(each.messageSnowflake, each.statuses[0].status) for each in acks] == [
            (1, STATUS.DELIVERED),
            (2, STATUS.DELIVERED),
        ]
        assert (told.old, home.feature.refused.replayed) == ([], 0)

    talk(first, config=settings)
    talk(again, config=settings)


@pytest.mark.parametrize("left", [(), (OTHER,)], ids=["no device left", "another device"])
def test_what_was_signed_before_its_device_was_revoked_is_not_forged(left):
    async def story(home, told):
        await home.tell("MESSAGE", text(1))
        await answered(home, list_of(BOB, *left, number=3, revoked=[BOBS]))
        assert await told.wait(1) == [("hi", REVOKED)]
        await home.tell("MESSAGE", text(2, key=EVES))
        await answered(home, list_of(BOB, *left, number=3, revoked=[BOBS]))
        assert (await told.wait(2))[1][1] == (FORGED if left else UNPROVEN)

    talk(story)


def test_nobody_but_the_home_server_says_who_was_revoked():
    async def story(home, told):
        made_up = list_of(BOB, OTHER, number=3)
        made_up.revoked.append(BOBS.public)
        await home.tell("MESSAGE", text(1))
        await answered(home, made_up)
        assert await told.wait(1) == [("hi", UNPROVEN)]

    talk(story)


def test_more_than_can_be_verified_is_dropped_unacknowledged(monkeypatch):
    monkeypatch.setattr(off_loop, "MOST", 3)

    async def story(home, told):
        raws = [encode("MESSAGE", text(number)) for number in range(1, 10)]
        await home.tell("DEVICE_LIST", list_of(BOB, BOBS))
        home.link.send(b"".join(raws))
        shown = await told.wait(3)
        await home.turns(100)
        assert 3 <= len(shown) < 9
        await home.turns()
        assert len(home.taken("MESSAGE_ACK", pb.ChatMessageResponse)) == len(shown)
        for raw in raws:  # the server offers them again
            home.link.send(raw)
            await told.wait(1)
        await home.turns()

    talk(story)


def test_an_application_that_raised_gets_the_message_again():
    async def story(home, told):
        told.fails = True
        await home.tell("DEVICE_LIST", list_of(BOB, BOBS))
        for count in (1, 2):
            await home.tell("MESSAGE", text(1))
            await told.wait(count)
        assert told.all == [("hi", SIGNED), ("hi", SIGNED)]
        await home.turns()
        assert len(home.taken("MESSAGE_ACK", pb.ChatMessageResponse)) == 1

    talk(story)


@pytest.mark.parametrize(
    ("key", "is_valid", "keys", "expected"),
    [
        (None, False, None, UNSIGNED),
        (None, False, frozenset(), UNSIGNED),
        (None, False, {BOBS.public}, MISSING),
        (BOBS, False, None, FORGED),
        (BOBS, False, {BOBS.public}, FORGED),
        (BOBS, True, None, UNPROVEN),
        (BOBS, True, {BOBS.public}, SIGNED),
        (BOBS, True, {OTHER.public}, FORGED),
        (BOBS, True, frozenset(), UNPROVEN),
    ],
)
def test_the_judgement(key, is_valid, keys, expected):
    assert judge(text(1, key=key), is_valid=is_valid, keys=keys) == expected


def test_what_waited_to_be_verified_at_the_end_is_shown_when_it_comes_again():
    """A client may hang up and connect again, as bots do: what it never judged is no message that it has."""

    async def story(home, told):
        await home.tell("MESSAGE", text(1))  # its author's devices are asked for
        home.feature._inbox.close()
        await home.cut()
        assert told.all == []
        await home.connect()
        await home.tell("MESSAGE", text(1))
        await home.tell("DEVICE_LIST", list_of(BOB, BOBS))
        assert await told.wait(1) == [("hi", SIGNED)]

    talk(story)


def test_a_message_that_comes_alone_is_verified_at_once_and_of_several_but_one():
    """The rest goes to the thread: the event loop is not kept for more than a fourteenth of its time."""

    async def story(home, told):
        await home.tell("MESSAGE", text(1, "first"))
        await home.tell("DEVICE_LIST", list_of(BOB, BOBS))
        await told.wait(1)  # bob's devices are known from here
        clock, queue = [1.0], home.feature._inbox._verification._queue
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(off_loop, "time", SimpleNamespace(monotonic=lambda: clock[0]))
            home.feature._inbox.received(text(2, "alone"))
            assert told.all[1:] == [("alone", SIGNED)]
            home.feature._inbox.received(text(3, "behind it"))
            assert len(told.all) == 2
            assert not queue.is_idle
            await told.wait(3)
            while not queue.is_idle:
                await home.turns()
            home.feature._inbox.received(text(4, "too soon"))
            assert len(told.all) == 3
            await told.wait(4)
            while not queue.is_idle:
                await home.turns()
            clock[0] += off_loop.REST
            home.feature._inbox.received(text(5, "after a rest"))
            assert told.all[4:] == [("after a rest", SIGNED)]

    talk(story)


# Another device than before ---------------------------------------------------------------------------------


def given_away(*keys):
    devices = [Device(key.public, "", TIME) for key in keys]
    return sign_list(BETA, BOB, devices, number=3, now=TIME, reset=True, sessions_from=2, revoked=[BOBS.public])


def test_a_name_that_was_given_away_is_told_once_and_before_the_new_device_is_shown(tmp_path):
    order = []

    async def story(home, told):
        await home.tell("MESSAGE", text(1))
        await answered(home, list_of(BOB, BOBS))
        await told.wait(1)
        assert order == []
        for number in (2, 3):
            await home.tell("DEVICE_LIST", given_away(OTHER))
            await home.tell("MESSAGE", text(number, "new", key=OTHER))
            await told.wait(number)
            assert order == [(BOB, KeyChange.GIVEN_AWAY, 1)]

    async def whole():
        told = Told()
        config = Config(client=ClientConfig(data_dir=str(tmp_path)))
        feature = client(
            config=config,
            on_message=told.message,
            on_key_change=lambda user, change: order.append((user, change, len(told.all))),
        )
        async with at_home(feature, has_abilities=True) as home:
            await story(home, told)
        await feature.close()

    run(whole())


def test_a_list_from_before_a_revocation_does_not_count_after_a_restart_either(tmp_path):
    async def session(message, devices):
        told = Told()
        config = Config(client=ClientConfig(data_dir=str(tmp_path)))
        feature = client(config=config, on_message=told.message, on_forged=told.forged)
        async with at_home(feature, has_abilities=True) as home:
            await home.tell("MESSAGE", message)
            await answered(home, devices)
            found = await told.wait(1)
        await feature.close()
        return found

    async def whole():
        newest = list_of(BOB, BOBS, number=2, revoked=[OTHER])
        assert await session(text(1), newest) == [("hi", SIGNED)]
        assert await session(text(2, key=OTHER), list_of(BOB, BOBS, OTHER, number=1)) == [("hi", UNPROVEN)]
        assert await session(text(3), newest) == [("hi", SIGNED)]

    run(whole())


def test_a_client_that_was_away_is_told_of_another_device(tmp_path):
    changes = []

    async def session(message, devices):
        told = Told()
        config = Config(client=ClientConfig(data_dir=str(tmp_path)))
        feature = client(
            config=config, on_message=told.message, on_key_change=lambda _user, change: changes.append(change)
        )
        async with at_home(feature, has_abilities=True) as home:
            await home.tell("MESSAGE", message)
            await answered(home, devices)
            await told.wait(1)
        await feature.close()

    run(session(text(1), list_of(BOB, BOBS)))
    assert changes == []
    run(session(text(2, key=OTHER), given_away(OTHER)))
    assert changes == [KeyChange.GIVEN_AWAY]
    run(session(text(3, key=OTHER), given_away(OTHER)))
    assert changes == [KeyChange.GIVEN_AWAY]
