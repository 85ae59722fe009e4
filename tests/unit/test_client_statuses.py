"""An author's client looks at who gave a status: a forged one is not believed, an unsigned one as before."""

import asyncio

import pytest

from parley.client.authors import off_loop
from parley.client.authors.status_judgement import DELIVERED, Signers, StatusAssurance, judge_status
from parley.shared.addresses import Group, User
from parley.shared.trust.authors import sign_status
from parley.shared.wire.messages import pb
from tests.support.wired import at_home, run
from tests.unit.test_client_authors import ALPHA, BETA, BOB, BOBS, EVE, OTHER, STATUS, TIME, Client, list_of
from tests.unit.test_client_authors import client as new_client

pytestmark = pytest.mark.usefixtures("short_wait")
CREW = Group("crew", "alpha")
SIGNED, SERVER, UNSIGNED = StatusAssurance.SIGNED, StatusAssurance.SERVER, StatusAssurance.UNSIGNED
UNPROVEN, MISSING, FORGED = StatusAssurance.UNPROVEN, StatusAssurance.MISSING, StatusAssurance.FORGED


@pytest.fixture
def short_wait(monkeypatch):
    """Nobody answers for devices here, unless a test does."""
    monkeypatch.setattr("parley.client.authors.author_keys.WAIT", 0.01)


class Heard:
    """The statuses that the application was told, and those that were not believed."""

    def __init__(self):
        self.statuses = []
        self.forged = []
        self._came = asyncio.Event()

    def status(self, delivery, whose, status):
        self.statuses.append((str(whose), status, delivery.assurance_of(whose)))
        self._came.set()

    def forged_status(self, _delivery, whose, status):
        self.forged.append((str(whose), status))
        self._came.set()

    async def wait(self, count):
        """Wait until so many were told, believed or not."""
        async with asyncio.timeout(10):
            while len(self.statuses) + len(self.forged) < count:
                self._came.clear()
                await self._came.wait()


def talk(story, *lists, kind=Client):
    """Tell a story of a home server, what was heard, and a message that went to BOB."""

    async def whole():
        heard = Heard()
        feature = new_client(kind, on_status=heard.status, on_forged_status=heard.forged_status)
        async with at_home(feature, has_abilities=True) as home:
            for each in lists:
                await home.tell("DEVICE_LIST", each)
            await story(home, heard)
        await feature.close()

    run(whole())


def told(message, *entries, **fields):
    """A MESSAGE_ACK; each entry is a user, a status, and the key that signs it, None: nobody's."""
    ack = pb.ChatMessageResponse(messageSnowflake=message.messageSnowflake, **fields)
    for user, status, key in entries:
        ack.statuses.add(user=user.to_pb(), status=status)
        ack.proofs.append(
            sign_status(key, message, user, status, TIME * 1000) if key is not None else pb.StatusProof()
        )
    if all(key is None for *_, key in entries):
        ack.ClearField("proofs")
    return ack


async def ended(delivery, _home):
    """The final status of a delivery."""
    async with asyncio.timeout(10):
        return await asyncio.shield(delivery.final)


def test_a_status_that_the_recipients_device_signed_is_signed():
    async def story(home, heard):
        delivery = home.feature.send("bob@beta", "hi")
        await home.tell("MESSAGE_ACK", told(delivery.message, (BOB, STATUS.DELIVERED, BOBS)))
        assert await ended(delivery, home) == "DELIVERED"
        assert heard.statuses == [("bob@beta", "DELIVERED", SIGNED)]

    talk(story, list_of(BOB, BOBS))


def test_the_recipients_devices_are_asked_for(monkeypatch):
    monkeypatch.setattr("parley.client.authors.author_keys.WAIT", 10.0)

    async def story(home, heard):
        delivery = home.feature.send("bob@beta", "hi")
        await home.tell("MESSAGE_ACK", told(delivery.message, (BOB, STATUS.DELIVERED, BOBS)))
        await home.turns()
        (asked,) = home.taken("DEVICES_OF", pb.DevicesOf)
        assert User.of(asked.user) == BOB
        await home.tell("DEVICE_LIST", list_of(BOB, BOBS))
        assert await ended(delivery, home) == "DELIVERED"
        assert heard.statuses == [("bob@beta", "DELIVERED", SIGNED)]

    talk(story)


@pytest.mark.parametrize("what", ["another status", "another recipient", "another message", "another key"])
def test_a_forged_status_is_not_believed_and_counted_and_a_true_one_later_is(what):
    async def story(home, heard):
        first, delivery = (home.feature.send("bob@beta", said) for said in ("one", "two"))
        ack = told(delivery.message, (BOB, STATUS.DELIVERED, OTHER if what == "another key" else BOBS))
        if what == "another status":
            ack = told(delivery.message, (BOB, STATUS.OTHER_ERROR, BOBS))
            ack.statuses[0].status = STATUS.DELIVERED
        elif what == "another recipient":
            ack = told(delivery.message, (EVE, STATUS.DELIVERED, BOBS))
        elif what == "another message":
            ack = told(first.message, (BOB, STATUS.DELIVERED, BOBS))
            ack.messageSnowflake = delivery.snowflake
        await home.tell("MESSAGE_ACK", ack)
        await home.tell("MESSAGE_ACK", told(first.message, (BOB, STATUS.DELIVERED, BOBS)))
        assert await ended(first, home) == "DELIVERED"
        assert not delivery.final.done()
        assert heard.forged == [("bob@beta", "DELIVERED")]
        assert home.feature.refused.statuses == 1
        await home.tell("MESSAGE_ACK", told(delivery.message, (BOB, STATUS.DELIVERED, BOBS)))
        assert await ended(delivery, home) == "DELIVERED"

    talk(story, list_of(BOB, BOBS))


def test_an_unsigned_status_ends_a_message_as_before_and_says_whose_word_it_is():
    async def story(home, heard):
        for to in ("bob@beta", "eve@beta"):
            delivery = home.feature.send(to, "hi")
            await home.tell("MESSAGE_ACK", told(delivery.message, (User.parse(to), STATUS.DELIVERED, None)))
            assert delivery.final.result() == "DELIVERED"
        assert [worth for *_, worth in heard.statuses] == [MISSING, UNSIGNED]
        assert home.taken("DEVICES_OF", pb.DevicesOf) == []

    talk(story, list_of(BOB, BOBS))


def test_a_server_gives_statuses_of_its_own_and_a_strangers_are_forged():
    async def story(home, heard):
        for count, key in enumerate((BETA, ALPHA, OTHER), 1):
            delivery = home.feature.send("bob@beta", "hi")
            await home.tell("MESSAGE_ACK", told(delivery.message, (BOB, STATUS.USER_AWAY, key)))
            await heard.wait(count)
        assert [worth for *_, worth in heard.statuses] == [SERVER, SERVER]
        assert heard.forged == [("bob@beta", "USER_AWAY")]

    talk(story, list_of(BOB, BOBS))


def test_a_member_whose_status_is_forged_is_not_told_to_have_the_message():
    async def story(home, heard):
        delivery = home.feature.send("#crew@alpha", "hi")
        entries = ((BOB, STATUS.DELIVERED, BOBS), (EVE, STATUS.DELIVERED, BOBS))
        await home.tell("MESSAGE_ACK", told(delivery.message, *entries, group=CREW.to_pb(), complete=True))
        assert await ended(delivery, home) == "UNKNOWN_STATUS"
        assert heard.forged == [("eve@beta", "DELIVERED")]
        assert delivery.members == {BOB: "DELIVERED", EVE: "UNKNOWN_STATUS"}

    talk(story, list_of(BOB, BOBS), list_of(EVE, OTHER))


def test_where_too_much_waits_a_status_counts_as_one_that_nobody_signed(monkeypatch):
    monkeypatch.setattr(off_loop, "MOST", 0)
    monkeypatch.setattr(off_loop, "REST", 3600.0)

    async def story(home, heard):
        first, second = home.feature.send("bob@beta", "hi"), home.feature.send("bob@beta", "ho")
        for delivery in (first, second):
            await home.tell("MESSAGE_ACK", told(delivery.message, (BOB, STATUS.DELIVERED, BOBS)))
        assert heard.statuses == [
            ("bob@beta", "DELIVERED", SIGNED),  # it came alone
            ("bob@beta", "DELIVERED", MISSING),
        ]

    talk(story, list_of(BOB, BOBS))


def test_statuses_of_one_message_stay_in_order():
    async def story(home, heard):
        delivery = home.feature.send("bob@beta", "hi")
        await home.tell("MESSAGE_ACK", told(delivery.message, (BOB, STATUS.USER_AWAY, BETA)))
        await home.tell("MESSAGE_ACK", told(delivery.message, (BOB, STATUS.DELIVERED, None)))
        assert await ended(delivery, home) == "DELIVERED"
        assert [status for _, status, _ in heard.statuses] == ["USER_AWAY", "DELIVERED"]

    talk(story, list_of(BOB, BOBS))


@pytest.mark.parametrize(
    ("status", "key", "devices", "is_valid", "expected"),
    [
        (DELIVERED, b"", (), False, UNSIGNED),
        (DELIVERED, b"", (b"d",), False, MISSING),
        (STATUS.USER_AWAY, b"", (b"d",), False, UNSIGNED),
        (DELIVERED, b"d", (b"d",), True, SIGNED),
        (DELIVERED, b"r", (b"d",), True, SIGNED),
        (DELIVERED, b"d", (b"d",), False, FORGED),
        (DELIVERED, b"d", (), False, FORGED),
        (DELIVERED, b"x", (b"d",), True, FORGED),
        (DELIVERED, b"x", (), True, UNPROVEN),
        (DELIVERED, b"s", (b"d",), True, MISSING),
        (DELIVERED, b"s", (), True, SERVER),
        (STATUS.USER_BLOCKED, b"s", (b"d",), True, SERVER),
    ],
)
def test_the_judgement_of_a_status(status, key, devices, is_valid, expected):
    signers = Signers(devices, (b"r",), (b"s",))
    assert judge_status(status, key, signers, is_valid=is_valid) is expected


def test_a_key_that_may_be_of_a_server_that_is_not_known_here_is_not_called_forged():
    signers = Signers((b"d",), (), (b"s",), are_servers_known=False)
    found = [judge_status(STATUS.USER_AWAY, key, signers, is_valid=True) for key in (b"x", b"s", b"d")]
    assert found == [UNPROVEN, SERVER, SIGNED]
    assert judge_status(STATUS.USER_AWAY, b"x", signers, is_valid=False) is FORGED
    assert judge_status(STATUS.DELIVERED, b"x", signers, is_valid=True) is FORGED
