"""The trust of a client's dials: pins, no way back to plain, and what is told when."""

import asyncio

import pytest

from parley.client.trust.dial_trust import FIRST, LONGEST, DialTrust
from parley.client.trust.refusals import NotPinned, ServerKeyChanged, ServerUnproven, TrustError, UserRefused
from parley.client.trust.server_pins import ServerPins
from parley.client.trust.user_directory import UserDirectory
from parley.client.trust.user_trust import UserTrust, read_password
from parley.shared.addresses import Server, User
from parley.shared.config import SecurityConfig
from parley.shared.errors import ConfigError, HandshakeTimeout, PeerRefused, PeerUnproven, PeerUnreachable
from parley.shared.trust.assurance import Assurance, Basis
from parley.shared.trust.keys import PrivateKey, fingerprint
from parley.shared.trust.pins import How
from parley.shared.trust.proofs import Channel
from parley.shared.wire.messages import pb

ALICE = User("alice", "alpha")
KEY, OTHER = (PrivateKey.generate().public for _ in range(2))


def server(key=b"", name="alpha"):
    return Server(name, {}, key=key)


def channel(key, name="alpha"):
    return Channel(b"c" * 32, b"n" * 32, key, name)


@pytest.fixture(autouse=True, params=["disk", "memory"])
def directory(request, tmp_path):
    return UserDirectory(tmp_path / "people") if request.param == "disk" else None


@pytest.fixture
def user(directory):
    trust = UserTrust(ALICE, directory)
    trust.notices = []
    trust.notice = trust.notices.append
    return trust


def in_a_loop(test):
    """Run a test on a loop of its own: the pins have a thread, which tells the loop."""

    async def run(*arguments):
        test(*arguments)

    def wrapped(user):
        asyncio.run(run(user))

    wrapped.__name__, wrapped.__doc__ = test.__name__, test.__doc__
    return wrapped


def dials(user, mode="mixed", feature="MESSAGES"):
    return DialTrust(feature, user, SecurityConfig(mode=mode), lambda: user.notices.append("dial again"))


@in_a_loop
def test_the_first_proven_key_is_pinned_and_no_other_takes_its_place(user):
    one = dials(user)
    one.begin(server(KEY))
    assert one._judge(channel(KEY)) == Assurance(Basis.SEEN, KEY)
    assert one._judge(channel(KEY, "ALPHA")) == Assurance(Basis.SEEN, KEY)
    with pytest.raises(PeerUnproven):
        one._judge(channel(OTHER))
    error = one.explain(PeerUnproven(""))
    assert isinstance(error, ServerKeyChanged)
    assert (error.server_id, error.known, error.shown) == ("alpha", fingerprint(KEY), fingerprint(OTHER))
    assert "parley trust accept --mine alpha" in str(error)
    one.end()


@in_a_loop
def test_another_server_than_the_one_looked_for_is_none(user):
    one = dials(user)
    one.begin(server(KEY))
    with pytest.raises(PeerUnproven, match="beta answers where alpha was looked for"):
        one._judge(channel(KEY, "beta"))
    assert ServerPins.of(user.directory and user.directory.pins).key_of("alpha") == b""
    one.end()


@in_a_loop
def test_a_pinned_server_is_dialled_over_tls_whatever_it_announces(user):
    one = dials(user)
    one.begin(server(KEY))
    one._judge(channel(KEY))
    for announced in (b"", OTHER):
        one.begin(server(announced))
        assert one.credentials(pb.ConnectClient()) is not None
    error = one.explain(PeerUnproven("there was no TLS"))
    assert isinstance(error, ServerUnproven)
    assert "answers without it now" in str(error)
    one.end()


@in_a_loop
def test_a_server_without_a_key_is_dialled_in_plain_and_in_strict_not_at_all(user):
    plain = dials(user)
    plain.begin(server())
    assert plain.credentials(pb.ConnectClient()) is None
    plain.end()
    strict = dials(user, "strict")
    with pytest.raises(ServerUnproven, match=r"security\.mode is strict"):
        strict.begin(server())
    strict.end()


@in_a_loop
def test_in_mode_open_there_are_no_keys(user):
    directory, one = user.directory, dials(user, "open")
    one.begin(server(KEY))
    assert one.credentials(pb.ConnectClient()) is None
    assert one.device is None
    assert directory is None or not directory.path.exists()
    one.end()


@in_a_loop
def test_pins_that_people_change_are_tried_at_once(user):
    directory, one = user.directory, dials(user)
    one.begin(server(KEY))
    one._judge(channel(KEY))
    one.failed(ServerKeyChanged("alpha", "a", "b"), 100.0, is_reported=True)
    assert one.rest_until == 100.0 + FIRST
    one._pins_changed(frozenset({"beta"}))
    assert one.rest_until > 0
    one._pins_changed(frozenset({"alpha"}))
    assert (one.rest_until, user.notices) == (0.0, ["dial again"])
    if directory is not None:
        one._pins._store.accept("alpha", OTHER)
        one.begin(server())
        assert one._judge(channel(OTHER)) == Assurance(Basis.APPROVED, OTHER)
        assert one._pins._store.trust.pins.of("alpha").how is How.APPROVED
    one.end()


@in_a_loop
def test_later_refusals_are_told_once_and_tried_ever_more_slowly(user):
    one = dials(user)
    error = UserRefused("revoked", "revoked")
    one.failed(error, 0.0, is_reported=True)
    waits = []
    for _ in range(8):
        one.failed(error, 0.0, is_reported=False)
        waits.append(one.rest_until)
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST
    assert user.notices == []
    one.failed(UserRefused("slow_down", "slow down"), 0.0, is_reported=False)
    one.failed(UserRefused("slow_down", "slow down"), 0.0, is_reported=False)
    assert user.notices == ["slow down"]
    one.failed(HandshakeTimeout(""), 0.0, is_reported=False)
    assert user.notices == ["slow down"]


@pytest.mark.parametrize("refusal", [each for each in pb.ConnectResponse.Refusal.values() if each])
def test_each_refusal_has_words_that_say_what_to_do(user, refusal):
    error = dials(user).explain(PeerRefused("refused", refusal))
    assert isinstance(error, UserRefused)
    assert error.refusal == pb.ConnectResponse.Refusal.Name(refusal).lower()
    assert "{" not in str(error)
    assert len(str(error)) > 30
    if error.refusal == "no_account":
        assert f"`parley user add {ALICE.user_id}`" in str(error)


def test_other_errors_stay_as_they_are(user):
    for error in (PeerRefused("refused"), PeerUnreachable("nobody"), PeerRefused("", 9999), PeerUnproven("")):
        assert dials(user).explain(error) is error
    assert isinstance(TrustError(""), TrustError)


@in_a_loop
def test_a_password_is_shown_to_a_server_that_was_known_before_and_takes_the_place_of_a_key(user):
    user.password = "secret"
    one = dials(user)
    one.begin(server(KEY))
    assert one.device is None
    with pytest.raises(PeerUnproven):
        one._judge(channel(KEY))
    assert isinstance(one.explain(PeerUnproven("")), NotPinned)
    one.begin(server(KEY))
    hello = pb.ConnectClient()
    assert one.credentials(hello) is not None
    assert hello.password.text == "secret"
    assert one._judge(channel(KEY)).is_proven
    user.token = pb.SessionToken(number=1)
    typing = dials(user, feature="TYPING_INDICATOR")
    for each, shown in ((one, ("secret", 0)), (typing, ("", 1))):
        each.begin(server(KEY))
        hello = pb.ConnectClient()
        each.credentials(hello)
        assert (hello.password.text, hello.token.number) == shown
        each.end()


@in_a_loop
def test_who_has_a_password_or_is_elsewhere_has_its_chat_begin_a_session(user):
    typing = dials(user, feature="TYPING_INDICATOR")
    typing.begin(server(KEY))
    assert not typing.needs_session
    user.password = "secret"
    assert typing.needs_session
    user.token = pb.SessionToken()
    assert not typing.needs_session
    user.password, user.token = "", None
    typing.begin(server(KEY, "beta"))
    assert typing.needs_session == (user.directory is not None)
    typing.begin(server(b"", "beta"))
    assert not typing.needs_session
    typing.end()


def test_a_session_that_is_over_is_begun_again_at_once(user):
    one = dials(user)
    user.token = pb.SessionToken()
    one.failed(UserRefused("session_over", ""), 5.0, is_reported=False)
    assert (user.token, one.rest_until) == (None, 0.0)
    one.failed(UserRefused("session_over", ""), 5.0, is_reported=False)
    assert one.rest_until > 5.0


def test_a_password_is_the_first_line_of_a_file(tmp_path):
    file = tmp_path / "password"
    file.write_text("correct horse\r\nbattery\n", encoding="utf-8")
    assert read_password(str(file)) == "correct horse"
    for content in (b"", b"\n", b"x" * 1025, b"\xff\xff\n"):
        file.write_bytes(content)
        with pytest.raises(ConfigError, match=r"client\.password_file"):
            read_password(str(file))
    with pytest.raises(ConfigError, match="no such file"):
        read_password(str(tmp_path / "none"))
