"""Who may use a user's name, with real processes: existing programs, keys, devices, passwords, visitors."""

import contextlib
import time

import pytest

from parley.shared.addresses import User
from parley.shared.service.passwords import hash_of
from parley.shared.trust.devices import confirm, encode_device
from parley.shared.trust.keys import PrivateKey
from parley.shared.trust.names import Name
from parley.shared.trust.tokens import issue
from parley.shared.trust_storage.users_file import UsersFile
from parley.shared.wire.messages import decode, encode, pb
from tests.support.commands import run_parley
from tests.support.hostile_server import HostileServer
from tests.support.nodes import COUNTED, Node, wait_linked, wait_until
from tests.support.plain_client import PlainClient
from tests.support.secured import Secured

ALPHA, BETA = "127.0.83.1", "127.0.83.2"
BROADCAST = "127.255.255.255"
PORTS = {"MESSAGES": 6666, "TYPING_INDICATOR": 7777, "LIVE_LOCATION": 8888}
PHONE, LAPTOP, MALLORY = (PrivateKey(bytes([n]) * 32) for n in (11, 12, 13))
Refusal = pb.ConnectResponse
CONNECTED = pb.ConnectResponse.CONNECTED


@pytest.fixture
def alpha(tmp_path):
    with Node("alpha", ALPHA, tmp_path, settings=COUNTED) as node:
        yield node


@pytest.fixture
def enter():
    with contextlib.ExitStack() as stack:
        yield stack.enter_context


@pytest.fixture
def secured(enter):
    """Open a link over TLS, and ask to be let in."""

    def connect(user, key, feature="MESSAGES", address=ALPHA, **fields):
        link = enter(Secured((address, PORTS[feature])))
        return link, link.connect_client(user, key, feature, **fields)

    return connect


@pytest.fixture
def plain(enter):
    """An existing program."""

    def make(user_id, server_id="alpha", address=ALPHA):
        return enter(PlainClient(user_id, server_id, "127.0.83.9", broadcast=address))

    return make


def connect_plain(client, feature="MESSAGES"):
    return client.connect(feature)


def users_of(node):
    return node.directory / "data" / node.server_id / "trust"


def written(node, user_id, holds):
    """Wait until a name on disk is so."""
    with UsersFile(users_of(node)) as file:
        return wait_until(lambda: holds(name := file.name(user_id)) and name, what=f"{user_id} on disk")


def test_a_first_key_owns_a_free_name_and_keeps_it_over_a_restart(alpha, secured, plain):
    link, answer = secured("alice@alpha", PHONE)
    assert answer.result == CONNECTED
    assert [device.key for device in answer.devices.devices] == [PHONE.public]
    assert answer.token.device == PHONE.public
    written(alpha, "alice", lambda name: name.is_owned)
    link.close()
    for _ in range(2):
        assert secured("alice@alpha", MALLORY)[1].refusal == Refusal.NEW_DEVICE
        assert secured("alice@alpha", None)[1].refusal == Refusal.NAME_TAKEN
        with pytest.raises(ConnectionRefusedError):
            connect_plain(plain("alice"))
        assert secured("alice@alpha", PHONE)[1].result == CONNECTED
        alpha.wait_metric("chat", 1, "parley_user_refusals_total", reason="new_device")
        alpha.kill("chat")
        alpha.start("chat")
        alpha.wait_ready("chat")


def test_an_existing_program_keeps_its_name_while_a_key_tries_it(alpha, secured, plain):
    old = plain("bob")
    connect_plain(old)
    written(alpha, "bob", lambda name: name.plain_at is not None)
    link, answer = secured("bob@alpha", MALLORY)
    assert answer.result == CONNECTED
    assert not answer.HasField("devices")
    link.close()
    again = plain("bob")
    connect_plain(again)
    number = old.send_text("bob", "alpha", "to myself")
    old.wait_status(number, "DELIVERED")


@pytest.mark.usefixtures("alpha")
def test_mail_from_before_a_claim_is_for_an_approved_key_alone(secured, plain):
    carol, dora = plain("carol"), plain("dora")
    connect_plain(carol)
    carol.close()
    connect_plain(dora)
    number = dora.send_text("carol", "alpha", "for carol")
    dora.wait_status(number, "USER_AWAY")
    link, answer = secured("carol@alpha", PHONE)
    assert answer.result == CONNECTED
    link.send(encode("PING"))
    names = []
    while (frame := link.frame()) is not None and frame.name != "PONG":
        names.append(frame.name)
    assert "MESSAGE" not in names
    connect_plain(carol := plain("carol"))
    carol.wait_text("for carol")
    dora.wait_status(number, "DELIVERED")
    dora.send_text("carol", "alpha", "new")
    assert decode(link.expect("MESSAGE"), pb.ChatMessage).textContent == "new"


@pytest.mark.usefixtures("alpha")
def test_a_revoked_device_is_cut_within_a_second_in_chat_typing_and_location(secured):
    phone, answer = secured("alice@alpha", PHONE)
    entry = confirm(PHONE, User("alice", "alpha"), LAPTOP.public, "laptop", int(time.time()))
    phone.send(encode("CHANGE_DEVICES", pb.ChangeDevices(request=1, add=encode_device(entry))))
    told = decode(phone.expect("DEVICES"), pb.Devices)
    assert told.ok
    assert len(told.list.devices) == 2
    assert told.list.number > answer.devices.number
    chat, answer = secured("alice@alpha", LAPTOP)
    links = [chat, *(secured("alice@alpha", LAPTOP, feature, token=answer.token)[0] for feature in list(PORTS)[1:])]
    began = time.monotonic()
    phone.send(encode("CHANGE_DEVICES", pb.ChangeDevices(request=2, revoke=LAPTOP.public)))
    for link in links:
        link.expect("HANGUP")
    assert time.monotonic() - began < 1.0
    for feature in PORTS:
        assert secured("alice@alpha", LAPTOP, feature, token=answer.token)[1].refusal == Refusal.REVOKED
        assert secured("alice@alpha", PHONE, feature)[1].result == CONNECTED


def test_a_key_that_owns_no_name_adds_and_revokes_nothing(alpha, secured, plain):
    connect_plain(plain("bob"))
    written(alpha, "bob", lambda name: name.plain_at is not None)
    shared, _ = secured("bob@alpha", MALLORY)
    shared.send(encode("CHANGE_DEVICES", pb.ChangeDevices(request=1)))
    shared.expect("UNSUPPORTED_MESSAGE")
    phone, _ = secured("alice@alpha", PHONE)
    forged = confirm(MALLORY, User("alice", "alpha"), MALLORY.public, "", 1)
    phone.send(encode("CHANGE_DEVICES", pb.ChangeDevices(request=2, add=encode_device(forged))))
    assert not decode(phone.expect("DEVICES"), pb.Devices).ok


@pytest.mark.usefixtures("alpha")
def test_typing_and_location_refuse_an_owned_name_to_plain_programs_and_other_keys(secured, plain):
    _, answer = secured("alice@alpha", PHONE)
    for feature in ("TYPING_INDICATOR", "LIVE_LOCATION"):
        assert secured("alice@alpha", PHONE, feature, token=answer.token)[1].result == CONNECTED
        wait_until(lambda f=feature: secured("alice@alpha", MALLORY, f)[1].refusal == Refusal.NEW_DEVICE)
        assert secured("alice@alpha", MALLORY, feature, token=answer.token)[1].refusal == Refusal.NEW_DEVICE
        with pytest.raises(ConnectionRefusedError):
            connect_plain(plain("alice"), feature)


@pytest.fixture
def with_password(tmp_path):
    """A node with a user who has a password and no key."""
    with UsersFile(tmp_path / "alpha" / "data" / "alpha" / "trust") as file:
        file.put([Name("erin", password=hash_of("correct horse"), number=1)])
    with Node("alpha", ALPHA, tmp_path, settings=COUNTED) as node:
        yield node


def test_guessed_passwords_get_nowhere(with_password, secured):
    wrong = pb.Password(text="wrong horse")
    assert secured("erin@alpha", None)[1].refusal == Refusal.NAME_TAKEN
    answers = [secured("erin@alpha", None, password=wrong)[1].refusal for _ in range(20)]
    assert answers[0] == Refusal.PASSWORD_WRONG
    assert answers.count(Refusal.SLOW_DOWN) >= 15
    with_password.wait_metric("chat", 15, "parley_limited_total", what="passwords", where="users")
    with_password.wait_metric("chat", 15, "parley_user_refusals_total", reason="slow_down")


@pytest.mark.usefixtures("with_password")
def test_a_session_that_began_with_a_password_goes_on_with_its_token(secured):
    right = pb.Password(text="correct horse")
    _, answer = secured("erin@alpha", None, password=right)
    assert answer.result == CONNECTED
    assert answer.token.device == b""
    for feature in ("TYPING_INDICATOR", "LIVE_LOCATION"):
        assert secured("erin@alpha", None, feature, token=answer.token)[1].result == CONNECTED
    # Another server's typing and location see that token: it opens no mailbox.
    assert secured("erin@alpha", None, token=answer.token)[1].refusal == Refusal.SESSION_OVER
    forged = issue(MALLORY, User("erin", "alpha"), b"", 9, time.time())
    assert secured("erin@alpha", None, token=forged)[1].refusal == Refusal.SESSION_OVER
    _, answer = secured("erin@alpha", PHONE, password=right)
    assert [device.key for device in answer.devices.devices] == [PHONE.public]
    assert secured("erin@alpha", PHONE)[1].result == CONNECTED


def test_a_visitor_needs_its_home_servers_token_for_an_owned_name(alpha, tmp_path, secured):
    with Node("beta", BETA, tmp_path, settings=COUNTED) as beta:
        wait_linked([alpha, beta])
        _, answer = secured("alice@alpha", PHONE)
        visitor, let_in = secured("alice@alpha", PHONE, "TYPING_INDICATOR", BETA, token=answer.token, udpPort=4444)
        assert let_in.result == CONNECTED
        forged = issue(MALLORY, User("alice", "alpha"), MALLORY.public, 9, time.time())
        refused = secured("alice@alpha", MALLORY, "TYPING_INDICATOR", BETA, token=forged)[1]
        assert refused.refusal == Refusal.SESSION_OVER
        written(alpha, "alice", lambda name: name.is_owned)
        link, _ = secured("alice@alpha", MALLORY, "TYPING_INDICATOR", BETA, udpPort=4445)
        with contextlib.suppress(AssertionError):  # refused at once, where beta knows her devices already
            link.expect("HANGUP")
        visitor.send(encode("PING"))
        visitor.expect("PONG")
        beta.wait_metric("typing", 2, "parley_user_refusals_total")


def taken(server):
    """The numbers of all visitors that it was told have to go."""
    return [number for each in server.payloads("VISITORS", 1) for number in each.taken]


def test_a_server_that_says_an_owned_user_visits_it_hears_and_says_nothing_as_that_user(alpha, secured):
    """Nor does it with a token that its user's client showed there, once that device is revoked."""
    phone, answer = secured("alice@alpha", PHONE)
    written(alpha, "alice", lambda name: name.is_owned)
    place = ALPHA, PORTS["TYPING_INDICATOR"]
    with HostileServer("mallory", place, "127.0.83.7", MALLORY, "TYPING_INDICATOR") as mallory:
        here = [
            pb.Visitor(user=pb.User(userId="alice", serverId="alpha"), client=number, token=token)
            for number, token in ((1, None), (2, issue(MALLORY, User("alice", "alpha"), b"", 9, time.time())))
        ]
        mallory.say("VISITORS", pb.Visitors(here=here))
        # At once, or as soon as typing has read that a device owns the name.
        wait_until(lambda: taken(mallory) == [1, 2], what="both refused")
        assert alpha.status("typing")["visitors"]["elsewhere"] == 0
        here = [pb.Visitor(user=pb.User(userId="alice", serverId="alpha"), client=3, token=answer.token)]
        mallory.say("VISITORS", pb.Visitors(here=here))
        wait_until(lambda: alpha.status("typing")["visitors"]["elsewhere"] == 1, what="her client there")
        phone.send(encode("CHANGE_DEVICES", pb.ChangeDevices(request=1, revoke=PHONE.public)))
        wait_until(lambda: taken(mallory) == [1, 2, 3], what="and the third")
        wait_until(lambda: alpha.status("typing")["visitors"]["elsewhere"] == 0, what="no client there")


@pytest.mark.usefixtures("alpha")
def test_a_proof_that_does_not_hold_ends_the_connection_and_a_second_is_not_looked_at(enter):
    link = enter(Secured((ALPHA, PORTS["MESSAGES"])))
    message = pb.ConnectClient(user=pb.User(userId="alice", serverId="alpha"))
    message.identity.CopyFrom(pb.KeyProof(key=PHONE.public, signature=b"s" * 64))
    link.send(2 * encode("CONNECT_CLIENT", message))
    assert [frame.name for frame in iter(link.frame, None)] == ["CONNECTED", "HANGUP"]


def test_policies_for_new_names(tmp_path, secured, plain):
    settings = COUNTED | {"PARLEY_SECURITY__USERS": "approve"}
    with Node("alpha", ALPHA, tmp_path, ["discovery", "chat"], settings) as alpha:
        assert secured("alice@alpha", PHONE)[1].refusal == Refusal.APPROVAL_NEEDED
        with pytest.raises(ConnectionRefusedError):
            connect_plain(plain("alice"))
        assert written(alpha, "alice", lambda name: name.claims).claims[0].key == PHONE.public


def test_in_mode_open_nothing_belongs_to_anybody(tmp_path, plain):
    with Node("alpha", ALPHA, tmp_path, ["discovery", "chat"], {"PARLEY_SECURITY__MODE": "open"}) as alpha:
        connect_plain(plain("alice"))
        assert not users_of(alpha).exists()


def user(node, *arguments, text=""):
    """`parley user …` on a node, and its one line."""
    done = run_parley("user", *arguments, environment=node.environment, text=text)
    return done.returncode, (done.stdout + done.stderr).strip()


def test_the_operator_approves_revokes_and_resets_names_of_a_running_node(alpha, secured, plain):
    old = plain("bob")
    connect_plain(old)
    written(alpha, "bob", lambda name: name.plain_at is not None)
    shared, _ = secured("bob@alpha", PHONE)
    written(alpha, "bob", lambda name: name.claims)
    assert "shared" in user(alpha, "list")[1]
    code, said = user(alpha, "approve", "bob")
    assert (code, said.startswith("bob belongs to the key ")) == (0, True)
    assert decode(shared.expect("DEVICE_LIST"), pb.DeviceList).devices[0].key == PHONE.public
    old.wait_for(lambda: not old.connected)  # a key owns its name now
    assert secured("bob@alpha", MALLORY)[1].refusal == Refusal.NEW_DEVICE
    assert user(alpha, "reset", "bob")[0] == 0
    shared.expect("HANGUP")
    connect_plain(plain("bob"))
    assert secured("bob@alpha", PHONE)[1].refusal == Refusal.RESET
    assert user(alpha, "revoke", "nobody", "abcd")[0] != 0


def test_the_operator_gives_a_password_while_no_process_runs(tmp_path, secured):
    with Node("alpha", ALPHA, tmp_path, ["discovery", "chat"], COUNTED) as alpha:
        alpha.stop()
        assert user(alpha, "add", "erin@alpha", text="correct horse\n") == (0, "erin has that password from now on")
    with Node("alpha", ALPHA, tmp_path, ["discovery", "chat"], COUNTED):
        answer = secured("erin@alpha", None, password=pb.Password(text="correct horse"))[1]
        assert answer.result == CONNECTED


@pytest.mark.usefixtures("alpha")
def test_a_key_beyond_the_limit_of_claims_uses_a_free_name_and_gets_what_comes_later(secured, plain):
    for number in range(5):
        assert secured(f"crowd{number}@alpha", PrivateKey(bytes([100 + number]) * 32))[1].HasField("devices")
    link, answer = secured("late@alpha", LAPTOP)
    assert answer.result == CONNECTED
    assert not answer.HasField("devices")
    link.close()
    dora = plain("dora")
    connect_plain(dora)
    number = dora.send_text("late", "alpha", "for later")
    dora.wait_status(number, "USER_AWAY")
    other, _ = secured("late@alpha", MALLORY)
    again, _ = secured("late@alpha", LAPTOP)
    assert decode(again.expect("MESSAGE"), pb.ChatMessage).textContent == "for later"
    other.send(encode("PING"))
    assert other.frame().name == "PONG"
