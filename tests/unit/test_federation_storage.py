"""A federation on disk: each act is there after a crash, a secret is good once, and the authority can be lost."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from parley.services.chat.federation.joins import Joins
from parley.shared.errors import StorageError
from parley.shared.runtime.moments import Moment
from parley.shared.trust.federation import changes
from parley.shared.trust.federation.changes import FederationRefused
from parley.shared.trust.federation.entries import Admitted
from parley.shared.trust.federation.membership import FEATURE, purpose_of
from parley.shared.trust.federation.state import Verdict
from parley.shared.trust.keys import PrivateKey
from parley.shared.trust.pairing import Answer, Entry, Party
from parley.shared.trust.proofs import SERVER, Channel, Dialler, prove
from parley.shared.trust_storage import federation as storage
from parley.shared.trust_storage import federation_acts, invitations
from parley.shared.trust_storage.federation import FederationFiles
from parley.shared.trust_storage.federation_acts import FederationActs
from parley.shared.wire.messages import pb

KEYS = {name: PrivateKey(bytes([n]) * 32) for n, name in enumerate(("alpha", "beta", "gamma", "delta"), 1)}
PASSPHRASE = "correct horse battery"
NOW = 1_796_000_000.0
DAY = 86400.0


@pytest.fixture
def clock(monkeypatch):
    """The machine's clocks: `clock.at = Moment(wall, running, boot)`."""

    class Clock:
        at = Moment(NOW, 1000.0, "first")

        def pass_by(self, seconds):
            self.at = self.at._replace(wall=self.at.wall + seconds, running=self.at.running + seconds)

    found = Clock()
    for module in (storage, federation_acts, invitations):
        monkeypatch.setattr(module, "moment", lambda: found.at)
    return found


@pytest.fixture
def node(tmp_path, clock):  # noqa: ARG001 - the clocks stand
    """A node's acts, by its name; each time as if its process had just been started."""
    return lambda name: FederationActs(FederationFiles(tmp_path / name, name), name, KEYS[name])


def admit(node, name):
    """Have a node join by a token."""
    token = node("alpha").invite()
    shown = node("alpha").redeem(token.federation, token.secret, name, KEYS[name].public)
    return node(name).enter(shown, token.federation, token.number)


def members(acts):
    return {one.server_id for one in acts.files.read().state.all_members()}


def test_a_federation_is_founded_joined_and_read_after_a_restart(node):
    node("alpha").init()
    admit(node, "beta")
    assert members(node("alpha")) == members(node("beta")) == {"alpha", "beta"}
    with pytest.raises(FederationRefused, match="already"):
        node("beta").init()


@pytest.mark.skipif(os.name == "nt", reason="no modes")
def test_only_the_owner_reads_any_file(node):
    node("alpha").init()
    node("alpha").invite()
    directory = node("alpha").files.directory
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {path.name for path in directory.iterdir()} == {"state", "invitations", "authority.key", "lock"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}


def test_no_secret_is_on_disk(node):
    node("alpha").init()
    token = node("alpha").invite()
    content = b"".join(path.read_bytes() for path in node("alpha").files.directory.iterdir())
    assert token.secret not in content
    assert token.text().encode() not in content


# Invitations -------------------------------------------------------------------------------------------------


def refusal(act, *arguments):
    with pytest.raises(FederationRefused) as refused:
        act(*arguments)
    return refused.value.reason


def test_a_token_is_good_once(node):
    node("alpha").init()
    token = node("alpha").invite()
    node("alpha").redeem(token.federation, token.secret, "beta", KEYS["beta"].public)
    arguments = (token.federation, token.secret, "gamma", KEYS["gamma"].public)
    assert refusal(node("alpha").redeem, *arguments) == "used"
    assert members(node("alpha")) == {"alpha", "beta"}


def test_of_many_processes_one_uses_a_token(node):
    node("alpha").init()
    token = node("alpha").invite()
    names = [f"n{number}" for number in range(8)]

    def redeem(name):
        try:
            node("alpha").redeem(token.federation, token.secret, name, PrivateKey.generate().public)
        except FederationRefused as refused:
            return refused.reason
        return ""

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(redeem, names)) == [""] + ["used"] * 7
    assert len(members(node("alpha"))) == 2


@pytest.mark.parametrize(
    ("makes", "reason"),
    [
        (lambda token, other: (other.federation, token.secret), "foreign"),
        (lambda token, other: (token.federation, other.secret), "unknown"),
        (lambda token, _: (token.federation, token.secret[:-1] + b"\0"), "unknown"),
        (lambda token, _: (token.federation, b""), "unknown"),
        (lambda token, _: (token.federation, b"x" * 60_000), "unknown"),
    ],
)
def test_another_secret_or_federation_is_refused(node, makes, reason):
    node("alpha").init()
    node("delta").init()
    token, other = node("alpha").invite(), node("delta").invite()
    assert refusal(node("alpha").redeem, *makes(token, other), "beta", KEYS["beta"].public) == reason
    assert members(node("alpha")) == {"alpha"}


def test_a_token_expires_by_running_time_whatever_the_clock_says(node, clock):
    clock.at = Moment(100.0, 50.0, "first")
    node("alpha").init()
    token = node("alpha").invite(3600.0)
    clock.at = Moment(100.0, 50.0 + 3600.0, "first")
    assert refusal(node("alpha").redeem, token.federation, token.secret, "beta", KEYS["beta"].public) == "expired"
    assert refusal(node("alpha").redeem, token.federation, token.secret, "beta", KEYS["beta"].public) == "unknown"


@pytest.mark.parametrize("wall", [100.0, NOW, NOW + 3000.0, 4_294_967_295.0 - DAY])
def test_a_clock_that_is_set_after_1970_leaves_a_token_good(node, clock, wall):
    clock.at = Moment(50.0, 50.0, "first")
    node("alpha").init()
    token = node("alpha").invite(3600.0)
    clock.at = Moment(wall, 60.0, "first")
    node("alpha").redeem(token.federation, token.secret, "beta", KEYS["beta"].public)


def test_a_token_expires_while_the_machine_is_off(node, clock):
    node("alpha").init()
    token = node("alpha").invite(3600.0)
    clock.at = Moment(NOW + 30 * DAY, 5.0, "second")
    assert refusal(node("alpha").redeem, token.federation, token.secret, "beta", KEYS["beta"].public) == "expired"


def test_open_invitations_are_bounded_and_make_room_when_they_expire(node, clock):
    node("alpha").init()
    for _ in range(100):
        node("alpha").invite(3600.0)
    assert refusal(node("alpha").invite) == "full"
    clock.pass_by(3600.0)
    node("alpha").invite()
    assert node("alpha").invitations.count(1) == 1


def test_a_spoken_code_has_three_tries_across_restarts_and_two_minutes(node, clock):
    node("alpha").init()
    node("alpha").invitations.speak("4KX9-7QMT")
    assert [node("alpha").invitations.try_code().tries for _ in range(3)] == [3, 2, 1]
    assert {refusal(node("alpha").invitations.try_code) for _ in range(10_000)} == {"tries"}
    node("alpha").invitations.speak("4KX9-7QMT")
    clock.pass_by(120.0)
    assert refusal(node("alpha").invitations.try_code) == "expired"
    node("alpha").invitations.speak("4KX9-7QMT")
    clock.at = Moment(NOW, 5.0, "second")
    assert node("alpha").invitations.code() is None, "the machine was started again"
    node("alpha").invitations.end_code("4KX9-7QMT")
    assert refusal(node("alpha").invitations.try_code) == "unknown"


def test_who_is_no_signer_invites_nobody(node):
    node("alpha").init()
    admit(node, "beta")
    assert refusal(node("beta").invite) == "no_signer"
    assert refusal(node("gamma").invite) == "none"


# Numbers and revoked keys ------------------------------------------------------------------------------------


def test_an_old_list_is_refused_after_a_restart_and_after_leaving(node):
    node("alpha").init()
    admit(node, "beta")
    old = node("alpha").files.read().state.newest
    admit(node, "gamma")
    federation = old.federation
    node("beta").take(node("alpha").files.read().state.newest)
    assert node("beta").take(old) is Verdict.OLDER
    node("beta").leave()
    assert refusal(node("beta").enter, old, federation, 1) == "older"
    assert node("beta").enter(node("alpha").files.read().state.newest, federation, 1).number == 3


def test_a_revoked_member_is_out_for_ever(node):
    node("alpha").init()
    for name in ("beta", "gamma"):
        admit(node, name)
    with_gamma = node("gamma").files.read().state.newest
    assert node("alpha").revoke("GAMMA").server_id == "gamma"
    node("beta").take(node("alpha").files.read().state.newest)
    for name in ("alpha", "beta"):
        assert node(name).take(with_gamma) is Verdict.OLDER
        assert members(node(name)) == {"alpha", "beta"}
        assert node(name).files.read().state.is_revoked(KEYS["gamma"].public)
    token = node("alpha").invite()
    arguments = (token.federation, token.secret, "gamma", KEYS["gamma"].public)
    assert refusal(node("alpha").redeem, *arguments) == "revoked"


def test_the_list_is_signed_again_after_a_day_of_running_time(node, clock):
    node("alpha").init()
    assert not node("alpha").sign_if_due()
    clock.at = clock.at._replace(running=clock.at.running + changes.RESIGNED_AFTER)
    assert node("alpha").sign_if_due()
    assert not node("alpha").sign_if_due()
    assert node("alpha").files.read().state.number == 2


@pytest.mark.parametrize("wall", [0.0, 1.0, NOW, 4_294_967_295.0, 1e12])
def test_any_clock_signs_lists_that_count(node, clock, wall):
    clock.at = Moment(wall, 10.0, "first")
    node("alpha").init()
    admit(node, "beta")
    clock.at = Moment(NOW, 20.0, "first")
    node("alpha").revoke("beta")
    assert members(node("alpha")) == {"alpha"}


# Signers and the authority -----------------------------------------------------------------------------------


def test_two_signers_at_once_end_with_one_list(node):
    node("alpha").init()
    admit(node, "beta")
    node("alpha").add_signer("beta")
    node("beta").take(node("alpha").files.read().state.newest)
    node("alpha").admit("gamma", KEYS["gamma"].public, Admitted.TOKEN)
    node("beta").admit("delta", KEYS["delta"].public, Admitted.TOKEN)
    for _ in range(3):
        newest = {name: node(name).files.read().state.newest for name in ("alpha", "beta")}
        node("alpha").take(newest["beta"])
        node("beta").take(newest["alpha"])
    assert members(node("alpha")) == members(node("beta")) == {"alpha", "beta", "gamma", "delta"}
    contents = {node(name).files.read().state.newest.content for name in ("alpha", "beta")}
    assert len(contents) == 1


def test_the_authority_lost_with_its_machine_is_restored_on_another(node):
    node("alpha").init()
    sealed = node("alpha").export(PASSPHRASE)
    for name in ("beta", "gamma"):
        admit(node, name)
    node("beta").take(node("gamma").files.read().state.newest)
    # Alpha and its disk are gone. Delta is a new machine, which knows the federation of the export alone.
    assert refusal(node("delta").restore, sealed, "another one") == "passphrase"
    node("delta").restore(sealed, PASSPHRASE)
    # The members have newer lists than delta's, and tell it; it adds itself again.
    assert node("beta").take(node("delta").files.read().state.newest) is Verdict.OLDER
    assert node("delta").take(node("gamma").files.read().state.newest) is Verdict.NEW
    newest = node("delta").files.read().state.newest
    assert node("beta").take(newest) is Verdict.NEW
    assert members(node("beta")) == {"alpha", "beta", "gamma", "delta"}
    node("delta").revoke("alpha")
    assert node("gamma").take(node("delta").files.read().state.newest) is Verdict.NEW
    assert node("gamma").files.read().state.is_revoked(KEYS["alpha"].public)


def test_a_member_becomes_a_signer_by_the_restored_authority(node):
    node("alpha").init()
    sealed = node("alpha").export(PASSPHRASE)
    admit(node, "beta")
    node("beta").restore(sealed, PASSPHRASE)
    token = node("beta").invite()
    node("beta").redeem(token.federation, token.secret, "gamma", KEYS["gamma"].public)
    assert members(node("beta")) == {"alpha", "beta", "gamma"}


def test_without_the_authority_nobody_names_a_signer_and_all_else_goes_on(node):
    node("alpha").init()
    admit(node, "beta")
    node("alpha").files.drop_authority()
    assert refusal(node("alpha").add_signer, "beta") == "no_authority"
    assert refusal(node("alpha").export, PASSPHRASE) == "no_authority"
    admit(node, "gamma")
    node("alpha").revoke("beta")
    assert members(node("alpha")) == {"alpha", "gamma"}


# Damage ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"federation": "AAAA"}', b"\xff" * 100])
def test_a_damaged_file_is_told_and_not_overwritten(node, content):
    node("alpha").init()
    state = node("alpha").files.directory / "state"
    state.write_bytes(content)
    with pytest.raises(StorageError, match="damaged"):
        node("alpha").invite()
    with pytest.raises(StorageError, match="damaged"):
        node("alpha").init()
    assert state.read_bytes() == content


def test_what_is_not_changed_is_not_written(node):
    node("alpha").init()
    mark = node("alpha").files.mark
    node("alpha").take(node("alpha").files.read().state.newest)
    assert node("alpha").files.mark == mark


def test_a_full_disk_is_told_and_leaves_the_old_file(node, monkeypatch):
    node("alpha").init()
    before = (node("alpha").files.directory / "state").read_bytes()

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage.os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        node("alpha").invite()
    monkeypatch.undo()
    assert (node("alpha").files.directory / "state").read_bytes() == before
    assert not list(node("alpha").files.directory.glob(".*"))


def test_a_spoken_code_lets_one_in_though_two_begin_with_it(node):
    acts, joins = node("alpha"), Joins(None, None)
    federation, alpha = acts.init().federation, Party("alpha", KEYS["alpha"].public)
    acts.invitations.speak("7K3M9QXA")

    def begin(link_id, name):
        channel = Channel(b"c" * 32, bytes([link_id]) * 32, alpha.key, "alpha")
        entry = Entry(purpose_of(federation), Party(name, KEYS[name].public), "7K3M9QXA")
        proof = prove(KEYS[name], channel, Dialler(SERVER, FEATURE, name, ""))
        asks = pb.JoinFederation(federation=federation, serverId=name, identity=proof, element=entry.element)
        answer = joins._decide(link_id, channel, asks, acts)
        confirmation, _ = entry.confirm(alpha, Answer(answer.element, answer.confirmation))
        return lambda: joins._decide(link_id, channel, pb.JoinFederation(confirmation=confirmation), acts)

    first, second = begin(1, "beta"), begin(2, "gamma")
    first()
    with pytest.raises(FederationRefused, match="used already"):
        second()
    assert members(acts) == {"alpha", "beta"}
