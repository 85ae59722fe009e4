"""ChatFeature at a home server in memory: what goes out, what comes back, what is acknowledged."""

import asyncio
import time
from types import SimpleNamespace

import pytest

from parley import ChatFeature, DiscoveryService
from parley.client.outbox.deliveries import Status
from parley.shared.addresses import Group, User
from parley.shared.config import Config, LinkConfig
from parley.shared.errors import ConfigError, FrameTooLarge, PeerUnreachable
from parley.shared.link.link import BUFFER_LIMIT, Link
from parley.shared.wire.messages import decode, pb
from tests.support.wired import at_home, run

ALICE, BOB = User("alice", "alpha"), User("bob", "beta")
CREW = Group("crew", "alpha")
MIB = 1024 * 1024


def alice(**how):
    return ChatFeature(ALICE, Config(), **how)


def status(snowflake, *names, author=ALICE):
    ack = pb.ChatMessageResponse(messageSnowflake=snowflake, author=author.to_pb())
    for name in names:
        ack.statuses.add(user=BOB.to_pb(), status=name)
    return ack


def text_from(author, snowflake, text="hi"):
    return pb.ChatMessage(messageSnowflake=snowflake, author=author.to_pb(), user=ALICE.to_pb(), textContent=text)


# What goes out ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipient", "which", "to"),
    [
        ("bob@beta", "user", BOB),
        ("#crew@alpha", "group", CREW),
        (BOB, "user", BOB),
        (CREW, "group", CREW),
    ],
    ids=str,
)
def test_a_message_goes_to_a_user_or_a_group_however_it_is_named(recipient, which, to):
    async def story():
        async with at_home(alice()) as home:
            delivery = home.feature.send(recipient, "hello")
            await home.turns()
            [sent] = home.taken("MESSAGE", pb.ChatMessage)
            assert (sent.WhichOneof("recipient"), getattr(sent, which)) == (which, to.to_pb())
            assert (User.of(sent.author), sent.textContent) == (ALICE, "hello")
            assert type(delivery.recipient) is type(to)
            assert delivery.recipient == to

    run(story())


def test_what_is_no_address_is_refused_and_nothing_is_sent():
    async def story():
        async with at_home(alice()) as home:
            with pytest.raises(ConfigError, match="'bob' is no address"):
                home.feature.send("bob", "hello")
            assert home.feature.outbox == []

    run(story())


def test_a_document_carries_its_name_its_type_its_bytes_and_an_id_of_its_own():
    async def story():
        async with at_home(alice()) as home:
            home.feature.send_document("bob@beta", "map.png", b"\x00\n")
            home.feature.send_document("bob@beta", "notes", b"", mime_type="text/x-notes")
            home.feature.send_document("bob@beta", "what.is-it", b"x")
            await home.turns()
            documents = [sent.document for sent in home.taken("MESSAGE", pb.ChatMessage)]
            assert [(d.filename, d.mimeType, d.data) for d in documents] == [
                ("map.png", "image/png", b"\x00\n"),
                ("notes", "text/x-notes", b""),
                ("what.is-it", "application/octet-stream", b"x"),
            ]
            assert len({d.documentId for d in documents} - {""}) == 3

    run(story())


def test_a_document_of_2_mib_goes_and_one_over_the_limit_is_refused_with_the_numbers():
    async def story():
        async with at_home(alice()) as home:
            home.feature.send_document("bob@beta", "big.bin", bytes(2 * MIB))
            await home.turns()
            [sent] = home.taken("MESSAGE", pb.ChatMessage)
            assert len(sent.document.data) == 2 * MIB
            with pytest.raises(FrameTooLarge, match=r"^a payload of \d+ bytes is over the limit of 2101248$"):
                home.feature.send_document("bob@beta", "bigger.bin", bytes(2 * MIB + 4096))
            await home.turns()
            assert len(home.feature.outbox) == 1
            assert home.frames == []

    run(story())


def test_the_limit_is_of_the_payload_to_the_byte():
    async def story():
        feature = ChatFeature(ALICE, Config(link=LinkConfig(payload_limit=340)))
        async with at_home(feature) as home:
            size = feature.send("bob@beta", "").message.ByteSize()
            fits = "x" * (340 - size - 1)  # the length of the text takes one byte more than none
            assert feature.send("bob@beta", fits).message.ByteSize() == 340
            with pytest.raises(FrameTooLarge) as refused:
                feature.send("bob@beta", fits + "x")
            assert (refused.value.size, refused.value.limit) == (341, 340)
            await home.turns()
            assert len(home.taken("MESSAGE", pb.ChatMessage)) == 2

    run(story())


def test_a_location_is_a_message_that_names_author_recipient_and_time():
    async def story():
        async with at_home(alice()) as home:
            home.feature.send_location("#crew@alpha", 54.1, 7.9, expiry_at=2e9)
            await home.turns()
            [sent] = home.taken("MESSAGE", pb.ChatMessage)
            place = sent.live_location
            assert (User.of(place.author), Group.of(place.group), Group.of(sent.group)) == (ALICE, CREW, CREW)
            assert (place.location.latitude, place.location.longitude, place.expiry_at) == (54.1, 7.9, 2e9)
            assert abs(place.timestamp - time.time()) < 60

    run(story())


def test_numbers_are_unique_and_rise_when_the_clock_steps_back(monkeypatch):
    times = iter([1000.0, 1000.0, 999.0, 2000.0, 1.0])
    clock = SimpleNamespace(time=lambda: next(times), monotonic=time.monotonic)  # chat's alone: others ask, too
    monkeypatch.setattr("parley.client.chat.time", clock)

    async def story():
        async with at_home(alice()) as home:
            numbers = [home.feature.send("bob@beta", "x").snowflake for _ in range(5)]
            assert numbers == sorted(set(numbers))

    run(story())


def test_text_that_is_no_unicode_is_sent_with_its_place_marked():
    async def story():
        async with at_home(alice()) as home:
            home.feature.send("bob@beta", "caf\udce9")
            await home.turns()
            [sent] = home.taken("MESSAGE", pb.ChatMessage)
            assert sent.textContent == "caf?"

    run(story())


# The outbox -----------------------------------------------------------------------------------------------


def test_what_has_no_final_status_goes_out_again_in_order_over_the_next_link():
    async def story():
        async with at_home(alice()) as home:
            first, second, third = [home.feature.send("bob@beta", text) for text in ("1", "2", "3")]
            await home.turns()
            await home.tell("MESSAGE_ACK", status(second.snowflake, "DELIVERED"))
            await home.tell("MESSAGE_ACK", status(third.snowflake, "USER_AWAY"))
            home.frames.clear()
            await home.cut()
            fourth = home.feature.send("bob@beta", "4")
            await home.connect()
            again = [sent.messageSnowflake for sent in home.taken("MESSAGE", pb.ChatMessage)]
            assert again == [each.snowflake for each in (first, third, fourth)]
            assert [each.snowflake for each in home.feature.outbox] == again

    run(story())


def test_a_refusal_is_certain_unless_a_link_was_lost_before_there_was_any_status():
    """Whoever had it on that link may have passed it on; who was started since does not know."""

    async def story():
        async with at_home(alice()) as home:
            nothing, waits = [home.feature.send("bob@beta", text) for text in ("1", "2")]
            await home.turns()
            await home.tell("MESSAGE_ACK", status(waits.snowflake, "USER_AWAY"))
            await home.cut()
            new = home.feature.send("bob@beta", "3")
            await home.connect()
            for each in (nothing, waits, new):
                await home.tell("MESSAGE_ACK", status(each.snowflake, "OTHER_ERROR"))
            assert [each.final.result() for each in (nothing, waits, new)] == [
                "UNKNOWN_STATUS",
                "OTHER_ERROR",
                "OTHER_ERROR",
            ]

    run(story())


def test_an_outbox_larger_than_a_link_can_hold_goes_out_as_the_server_reads():
    """More at once would be given up by the link itself, again and again."""

    async def story():
        async with at_home(alice()) as home:
            await home.cut()
            wanted = [home.feature.send_document("bob@beta", "d", bytes(2 * MIB)).snowflake for _ in range(12)]
            assert len(wanted) * 2 * MIB > BUFFER_LIMIT
            await home.connect(slow=True)
            while home.wire.held:
                assert home.wire.get_write_buffer_size() < 4 * MIB
                home.wire.read_on(still_slow=True)
                await home.turns()
            assert [sent.messageSnowflake for sent in home.taken("MESSAGE", pb.ChatMessage)] == wanted
            assert home.feature.is_connected

    run(story())


def test_what_is_new_does_not_overtake_what_waits_for_room():
    async def story():
        async with at_home(alice()) as home:
            await home.cut()
            wanted = [home.feature.send_document("bob@beta", "d", bytes(2 * MIB)).snowflake for _ in range(3)]
            await home.connect(slow=True)
            wanted.append(home.feature.send("bob@beta", "small").snowflake)
            while home.wire.held:
                home.wire.read_on(still_slow=True)
                await home.turns()
            assert [sent.messageSnowflake for sent in home.taken("MESSAGE", pb.ChatMessage)] == wanted

    run(story())


@pytest.mark.parametrize(
    ("heard", "final"),
    [
        (["DELIVERED"], "DELIVERED"),
        (["USER_AWAY", "DELIVERED"], "DELIVERED"),
        (["OTHER_SERVER_TIMEOUT", "USER_AWAY", "USER_NOT_FOUND"], "USER_NOT_FOUND"),
        (["USER_BLOCKED"], "USER_BLOCKED"),
        (["UNKNOWN_STATUS"], "UNKNOWN_STATUS"),
        (["USER_AWAY"], None),
    ],
    ids=str,
)
def test_a_final_status_ends_a_delivery_and_an_interim_one_does_not(heard, final):
    async def story():
        told = []
        feature = alice(on_status=lambda delivery, whose, name: told.append((delivery.snowflake, whose, name)))
        async with at_home(feature) as home:
            delivery = feature.send("bob@beta", "x")
            for name in heard:
                await home.tell("MESSAGE_ACK", status(delivery.snowflake, name))
            assert delivery.statuses == heard
            assert told == [(delivery.snowflake, BOB, name) for name in heard]
            assert (delivery.final.result() if delivery.final.done() else None) == final
            assert feature.outbox == ([] if final else [delivery])

    run(story())


def test_a_status_of_what_is_not_in_the_outbox_any_more_does_no_harm():
    async def story():
        told = []
        feature = alice(on_status=lambda *what: told.append(what))
        async with at_home(feature) as home:
            delivery = feature.send("bob@beta", "x")
            await home.tell("MESSAGE_ACK", status(delivery.snowflake, "UNKNOWN_STATUS"))
            await home.tell("MESSAGE_ACK", status(delivery.snowflake, "DELIVERED"))
            await home.tell("MESSAGE_ACK", status(4711, "DELIVERED"))
            assert delivery.final.result() == "UNKNOWN_STATUS"
            assert len(told) == 1
            assert feature.is_connected

    run(story())


def test_a_status_of_another_authors_message_with_the_same_number_is_not_ours():
    async def story():
        async with at_home(alice()) as home:
            delivery = home.feature.send("bob@beta", "x")
            await home.tell("MESSAGE_ACK", status(delivery.snowflake, "DELIVERED", author=BOB))
            assert not delivery.final.done()
            ack = status(delivery.snowflake, "DELIVERED")
            ack.ClearField("author")  # a server that is no Parley names none
            await home.tell("MESSAGE_ACK", ack)
            assert delivery.final.result() == "DELIVERED"

    run(story())


def test_a_status_with_a_number_that_nobody_knows_is_an_unknown_one():
    async def story():
        async with at_home(alice()) as home:
            delivery = home.feature.send("bob@beta", "x")
            await home.tell("MESSAGE_ACK", status(delivery.snowflake, 99))
            assert delivery.final.result() == "UNKNOWN_STATUS"
            assert home.feature.is_connected

    run(story())


# What comes in ----------------------------------------------------------------------------------------------


def test_a_message_is_shown_once_and_acknowledged_each_time_with_its_author():
    async def story():
        shown = []
        async with at_home(alice(on_message=shown.append)) as home:
            for _ in range(2):
                await home.tell("MESSAGE", text_from(BOB, 7))
            await home.tell("MESSAGE", text_from(User("bob", "gamma"), 7))
            assert [User.of(each.author) for each in shown] == [BOB, User("bob", "gamma")]
            acks = home.taken("MESSAGE_ACK", pb.ChatMessageResponse)
            assert [(ack.messageSnowflake, User.of(ack.author)) for ack in acks] == [
                (7, BOB),
                (7, BOB),
                (7, User("bob", "gamma")),
            ]
            assert {(User.of(s.user), s.status) for ack in acks for s in ack.statuses} == {
                (ALICE, Status.DELIVERED)
            }

    run(story())


def test_it_is_acknowledged_only_after_it_was_shown(monkeypatch):
    async def story():
        order = []
        async with at_home(alice(on_message=lambda _message: order.append("shown"))) as home:
            client = home.feature.link
            send = Link.send

            def sent(link, raw):
                if link is client:
                    order.append(raw.split()[0].decode())
                send(link, raw)

            monkeypatch.setattr(Link, "send", sent)
            await home.tell("MESSAGE", text_from(BOB, 7))
        assert order[:2] == ["shown", "MESSAGE_ACK"]

    run(story())


def test_a_message_that_could_not_be_shown_is_not_acknowledged_and_the_link_goes_on():
    async def story():
        shown = []

        def on_message(message):
            if message.textContent == "fault" and len(shown) < 2:
                shown.append("raised")
                raise OSError("no room for it")
            shown.append(message.textContent)

        async with at_home(alice(on_message=on_message)) as home:
            await home.tell("MESSAGE", text_from(BOB, 7, "fault"))
            await home.tell("MESSAGE", text_from(BOB, 8, "good"))
            acks = home.taken("MESSAGE_ACK", pb.ChatMessageResponse)
            assert [ack.messageSnowflake for ack in acks] == [8]
            await home.tell("MESSAGE", text_from(BOB, 7, "fault"))  # it comes again, and is taken now
            assert shown == ["raised", "good", "fault"]
            assert [a.messageSnowflake for a in home.taken("MESSAGE_ACK", pb.ChatMessageResponse)] == [7]

    run(story())


def test_who_shows_no_messages_acknowledges_none():
    """`parley send` is connected as alice for a moment: what waits for her is not for it."""

    async def story():
        async with at_home(alice()) as home:
            await home.tell("MESSAGE", text_from(BOB, 7))
            assert home.feature.is_connected
            assert home.frames == []

    run(story())


def test_a_fault_in_on_status_does_not_end_the_link():
    async def story():
        def on_status(*_):
            raise ValueError("not my day")

        async with at_home(alice(on_status=on_status)) as home:
            delivery = home.feature.send("bob@beta", "x")
            await home.tell("MESSAGE_ACK", status(delivery.snowflake, "DELIVERED"))
            assert delivery.final.result() == "DELIVERED"
            assert home.feature.is_connected

    run(story())


def test_the_application_hears_that_the_link_went_and_came_back():
    async def story():
        heard = []
        async with at_home(alice(on_connection=heard.append)) as home:
            await home.cut()
            await home.connect()
        assert heard == [True, False, True, False]

    run(story())


# The link ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("configured", "asked_after"), [(300.0, 15.0), (2.0, 2.0)])
def test_a_server_that_vanished_is_asked_for_a_sign_of_life_soon(configured, asked_after):
    """A link of 300 s of silence would keep what is sent in the dark for ten minutes."""

    async def story():
        async with at_home(ChatFeature(ALICE, Config(link=LinkConfig(ping_timeout=configured)))) as home:
            assert home.feature.link.session.timeouts.ping == asked_after

    run(story())


def test_a_network_that_is_away_ends_no_reconnect():
    """Without our address no socket can be bound: that is one more failure to reach the server, and tried again."""

    class Unplugged(DiscoveryService):
        async def discover_servers(self, *_, **_how):
            raise ConfigError("cannot bind UDP 192.168.1.5:0 for discovery")

    async def story():
        feature = alice(discovery=Unplugged(Config()))
        with pytest.raises(PeerUnreachable, match="cannot bind"):
            await feature.find_endpoints()

    run(story())


def test_a_message_to_a_group_whose_server_is_away_is_kept_and_told_at_once():
    async def story():
        async with at_home(alice()) as home:
            delivery = home.feature.send("#crew@beta", "hello?")
            await home.turns()
            [sent] = home.taken("MESSAGE", pb.ChatMessage)
            ack = pb.ChatMessageResponse(messageSnowflake=sent.messageSnowflake)
            ack.statuses.add(user=pb.User(userId="crew", serverId="beta"), status="OTHER_SERVER_TIMEOUT")
            await home.tell("MESSAGE_ACK", ack)
            assert delivery.first_status.done()
            assert delivery.is_kept

    run(story())


def test_a_message_is_acknowledged_when_the_application_is_done_with_it():
    async def story():
        printed, shown = [asyncio.get_running_loop().create_future() for _ in range(2)], []

        def on_message(message):
            shown.append(message.textContent)
            return printed[len(shown) - 1]

        async with at_home(ChatFeature(ALICE, Config(), on_message=on_message)) as home:
            message = pb.ChatMessage(messageSnowflake=7, author=User("bob", "beta").to_pb(), textContent="hi")
            message.user.CopyFrom(ALICE.to_pb())
            await home.tell("MESSAGE", message)
            await home.tell("MESSAGE", message)  # its server is impatient
            assert (shown, home.taken("MESSAGE_ACK", pb.ChatMessageResponse)) == (["hi"], [])
            printed[0].set_result(None)
            await home.turns()
            assert len(home.taken("MESSAGE_ACK", pb.ChatMessageResponse)) == 1
            await home.tell("MESSAGE", message)
            assert len(home.taken("MESSAGE_ACK", pb.ChatMessageResponse)) == 1
            message.messageSnowflake = 8
            await home.tell("MESSAGE", message)
            printed[1].set_exception(OSError("nobody reads it"))
            await home.turns()
            assert home.taken("MESSAGE_ACK", pb.ChatMessageResponse) == []

    run(story())


@pytest.mark.parametrize("is_parley", [True, False])
def test_an_existing_home_server_is_sent_no_field_of_ours_and_no_payload_that_ends_in_a_line_feed(is_parley):
    async def story():
        async with at_home(alice(on_message=lambda _message: None), is_parley=is_parley) as home:
            home.feature.send("bob@beta", "a line\n")
            message = pb.ChatMessage(messageSnowflake=7, author=User("bob", "beta").to_pb(), textContent="hi")
            await home.tell("MESSAGE", message)
            sent, acknowledged = home.frames
            assert not sent.payload.endswith(b"\n")
            assert decode(sent, pb.ChatMessage).HasField("proof") == is_parley
            assert decode(sent, pb.ChatMessage).textContent == "a line\n"
            assert decode(acknowledged, pb.ChatMessageResponse).HasField("author") == is_parley

    run(story())
