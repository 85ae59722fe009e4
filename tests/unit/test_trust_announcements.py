"""Signed announcements: who has a key is announced by it alone, for one request, and believed at little cost."""

import dataclasses
import json
from pathlib import Path

import pytest

from parley.services.discovery.directory.diagnosis import CLONED, FORGOTTEN, Diagnosis
from parley.services.discovery.directory.directory import Directory, Hearing
from parley.shared.addresses import Endpoint, Server
from parley.shared.discovery import announced_keys
from parley.shared.discovery.announced_keys import AnnouncedKeys
from parley.shared.discovery.announcements import encode_announcement, merge, our_mark, read
from parley.shared.trust.announcements import announcement_bytes, is_signed, sign
from parley.shared.trust.keys import PrivateKey
from parley.shared.trust.pins import How, Pin
from parley.shared.trust.refusals import BAD_SIGNATURE, OTHER_KEY, PLAIN_FOR_KEYED, PLAIN_HELD
from parley.shared.trust.server_trust import REASONS, ServerTrust
from parley.shared.wire.framing import MAX_DATAGRAM, read_datagram
from parley.shared.wire.messages import encode, pb

HERE, THERE = "192.0.2.1", "192.0.2.2"
BETA, MALLORY = PrivateKey(b"b" * 32), PrivateKey(b"m" * 32)
NONCE = b"0123456789abcdef"
VECTORS = json.loads(Path(__file__).parents[1].joinpath("data", "trust_vectors.json").read_text(encoding="utf-8"))
CHAT = [pb.Endpoint(feature="MESSAGES", port=6666)]
ALL = [
    *CHAT,
    pb.Endpoint(feature="TYPING_INDICATOR", port=7777, udpPort=7778),
    pb.Endpoint(feature="LIVE_LOCATION", port=8888, udpPort=8889),
]


def announced(identity=BETA, *, name="beta", endpoints=CHAT, nonce=NONCE, instance="one", source=HERE):
    mark = our_mark("1", instance)
    return read(
        read_datagram(encode_announcement(name, endpoints, mark=mark, nonce=nonce, identity=identity)), source
    )


def forged(heard, **changes):
    """The same announcement, with other fields and the old signature."""
    message = pb.ServerAnnounce()
    message.CopyFrom(heard.message)
    for name, value in changes.items():
        setattr(message, name, value)
    return read(read_datagram(encode("SERVER_ANNOUNCE", message)), HERE)


@pytest.mark.parametrize("vector", VECTORS["announcements"], ids=lambda vector: vector["name"])
def test_announcements_are_those_of_the_vectors(vector):
    message = pb.ServerAnnounce.FromString(bytes.fromhex(vector["message"]))
    assert announcement_bytes(message, message.identity.key).hex() == vector["bytes"]
    assert message.identity.signature.hex() == vector["signature"]
    assert is_signed(message)
    again = pb.ServerAnnounce.FromString(message.SerializeToString())
    again.ClearField("identity")
    sign(again, PrivateKey(bytes.fromhex(vector["private"])))
    assert again == message


class Judge:
    """The rules of a node in mode `mixed`, without its disk."""

    def __init__(self):
        self.trust = ServerTrust()
        self.refused = []

    def judge_server(self, name, key, host=""):
        verdict = self.trust.judge(name, key, 0.0)
        if verdict in REASONS:
            self.refuse(name, key, REASONS[verdict], host)
        elif self.trust.pins.of(name) is None:
            self.trust.pins.put(Pin(name, key, How.SEEN, 0.0))
        return verdict

    def may_be_plain(self, name, host=""):
        if self.trust.pins.may_be_plain(name):
            return True
        self.refuse(name, b"", PLAIN_FOR_KEYED, host)
        return False

    def refuse(self, _name, _key, what, _host):
        self.refused.append(what)


class Asker:
    """Asks, and hears announcements."""

    def __init__(self):
        self.judge = Judge()
        self.limited = 0
        self.verified = 0
        self.keys = AnnouncedKeys(self.judge, self.limit, self.verify)

    def limit(self):
        self.limited += 1

    def verify(self, message):
        self.verified += 1
        return is_signed(message)

    def hear(self, heard, *, source=HERE, answered=True, now=0.0):
        return self.keys.believed(heard, source, now, answered=answered)


@pytest.fixture
def asker():
    return Asker()


# What is signed -------------------------------------------------------------------------------------------


def test_a_whole_nodes_signed_announcement_fits_into_a_datagram_with_the_longest_name_of_ours():
    linked = {endpoint.feature: ["s" * 63] * 3 for endpoint in ALL}
    datagram = encode_announcement(
        "s" * 63, ALL, linked, mark=our_mark("1.2.3", "0" * 16), nonce=b"n" * 32, ask=b"a" * 16, identity=BETA
    )
    assert len(datagram) <= MAX_DATAGRAM
    assert is_signed(read(read_datagram(datagram), HERE).message)


def test_an_existing_program_is_told_no_key():
    assert encode_announcement("beta", CHAT, identity=BETA) == encode_announcement("beta", CHAT)


def test_what_does_not_fit_is_signed_without_it():
    linked = {"MESSAGES": ["s" * 30] * 10}
    small = encode_announcement("beta", CHAT, linked, nonce=NONCE, limit=330, identity=BETA)
    assert len(small) <= 330
    assert is_signed(read(read_datagram(small), HERE).message)


def test_the_order_of_features_is_no_part_of_it():
    mixed = announced(endpoints=ALL[::-1])
    message = pb.ServerAnnounce()
    message.CopyFrom(announced(endpoints=ALL).message)
    message.identity.CopyFrom(mixed.message.identity)
    assert is_signed(message)


@pytest.mark.parametrize(
    "change",
    [
        {"serverId": "gamma"},
        {"nonce": b"another"},
        {"mark": pb.Mark(version="1", instanceId="two", capabilities=7)},
        {"feature": pb.ServerAnnounce.Feature(featureName="MESSAGES", port=6667)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_nothing_signed_can_be_changed(change):
    message = pb.ServerAnnounce()
    message.CopyFrom(announced().message)
    for name, value in change.items():
        if name in {"mark", "feature"}:
            message.ClearField(name)
            message.MergeFrom(pb.ServerAnnounce(**{name: [value] if name == "feature" else value}))
        else:
            setattr(message, name, value)
    assert not is_signed(message)


# What is believed -----------------------------------------------------------------------------------------


def test_the_first_key_of_a_name_is_its_key(asker):
    assert asker.hear(announced()).key == BETA.public
    assert asker.judge.trust.key_of("BETA") == BETA.public
    assert not asker.judge.refused


def test_another_key_for_a_name_is_refused(asker):
    asker.hear(announced())
    assert asker.hear(announced(MALLORY), source=THERE) is None
    assert asker.judge.refused == [OTHER_KEY]


def test_no_key_for_a_name_that_has_one_is_refused_whatever_it_announces(asker):
    asker.hear(announced())
    assert asker.hear(announced(None), source=HERE) is None
    assert asker.hear(announced(None), source=THERE, answered=False) is None
    assert asker.judge.refused == [PLAIN_FOR_KEYED] * 2


def test_a_key_of_another_that_somebody_shows_proves_nothing(asker):
    stolen = forged(announced(), serverId="gamma")
    assert asker.hear(stolen) is None
    assert asker.judge.refused == [BAD_SIGNATURE]
    assert asker.judge.trust.key_of("gamma") == b""


def test_an_old_announcement_is_not_believed_again(asker):
    asker.hear(announced())
    moved = announced(endpoints=[pb.Endpoint(feature="MESSAGES", port=6667)], nonce=b"old")
    assert asker.hear(moved, answered=False) is None
    assert asker.hear(forged(moved, nonce=NONCE)) is None
    assert asker.judge.refused == [BAD_SIGNATURE]


def test_a_name_held_in_plain_stays_plain_though_a_key_is_announced(asker):
    asker.judge.trust.plain.note("beta", 0.0)
    assert asker.hear(announced()).key == b""
    assert asker.judge.refused == [PLAIN_HELD]
    asker.judge.trust.accept(Pin("beta", BETA.public, How.APPROVED, 0.0))
    assert asker.hear(announced()).key == BETA.public


def test_names_without_keys_are_as_they_were(asker):
    plain = announced(None)
    assert asker.hear(plain) == plain.server
    assert asker.hear(plain, answered=False) == plain.server
    assert not asker.verified


# What it costs --------------------------------------------------------------------------------------------


def test_what_was_verified_is_not_verified_again_until_it_is_another(asker):
    for number in range(100):
        assert asker.hear(announced(nonce=b"%d" % number)) is not None
    assert asker.verified == 1
    asker.hear(announced(instance="two"))
    asker.hear(announced(), source=THERE)
    assert asker.verified == 3
    asker.keys.forget()
    asker.hear(announced())
    assert asker.verified == 4


def test_a_flood_of_signatures_is_bounded_by_source_and_in_all(asker):
    bad = dataclasses.replace(announced(), message=pb.ServerAnnounce())
    for _ in range(1000):
        asker.hear(bad)
    assert asker.verified == announced_keys.EACH_BURST
    assert asker.hear(announced(MALLORY, name="gamma"), source=THERE) is not None
    for number in range(1000):
        asker.hear(bad, source=f"10.0.{number // 250}.{number % 250}")
    assert asker.verified <= announced_keys.ALL_BURST
    assert asker.limited


# The directory, and a client's look -------------------------------------------------------------------------


def at(host, key=b""):
    return Server("beta", {"MESSAGES": (Endpoint(host, 6666),)}, heard=True, key=key)


def test_the_directory_has_a_server_with_a_key_only_where_it_was_heard_with_it():
    directory = Directory(60.0, 5.0)
    assert directory.heard(at(THERE), 0.0, relayed=False) is Hearing.NEW
    assert directory.heard(at(HERE, BETA.public), 1.0, relayed=False) is Hearing.CHANGED
    (server,) = directory.servers
    assert server.key == BETA.public
    assert server.endpoints("MESSAGES") == (Endpoint(HERE, 6666),)
    assert directory.heard(at(THERE), 2.0, relayed=False) is Hearing.REFUSED
    assert directory.servers[0].endpoints("MESSAGES") == (Endpoint(HERE, 6666),)


def test_the_directory_drops_a_server_with_a_key_that_is_its_own_no_longer():
    directory = Directory(60.0, 5.0)
    directory.heard(at(HERE, BETA.public), 0.0, relayed=False)
    directory.take_difference()
    assert not directory.distrust(lambda _name, key: key == MALLORY.public)
    assert directory.distrust(lambda _name, key: key == BETA.public)
    assert directory.take_difference().gone == ["beta"]


@pytest.mark.parametrize("first", [at(THERE), at(HERE, BETA.public)])
def test_a_look_finds_a_server_with_a_key_only_where_it_was_heard_with_it(first):
    servers = {}
    merge(servers, first)
    merge(servers, at(THERE))
    merge(servers, at(HERE, BETA.public))
    assert servers["beta"].endpoints("MESSAGES") == (Endpoint(HERE, 6666),)
    assert servers["beta"].key == BETA.public


# Clones ---------------------------------------------------------------------------------------------------


class Noted:
    def __init__(self):
        self.kinds = []
        self.details = []

    def note(self, kind, _subject, detail, **__):
        self.kinds.append(kind)
        self.details.append(detail)

    def over(self, kind, _subject):
        if kind in self.kinds:
            self.kinds.remove(kind)


def test_a_copy_of_our_node_is_told_when_it_goes_on_being_heard():
    noted = Noted()
    diagnosis = Diagnosis(noted)
    diagnosis.clone("beta", "copy", THERE, 0.0)
    diagnosis.clone("beta", "copy", THERE, CLONED - 1)
    assert noted.kinds == []
    diagnosis.clone("beta", "copy", THERE, CLONED)
    assert noted.kinds == ["node_cloned"]


def test_of_a_copy_there_is_one_line_and_one_advice():
    noted = Noted()
    diagnosis = Diagnosis(noted)
    diagnosis.namesake("beta", THERE, 0.0)
    diagnosis.clone("beta", "copy", THERE, 0.0)
    diagnosis.clone("beta", "copy", THERE, CLONED)
    diagnosis.namesake("beta", THERE, CLONED + 1)
    assert noted.kinds == ["node_cloned"]
    assert noted.details[-1].endswith("stop the copy, remove the copy's data directory")
    diagnosis.namesake("beta", THERE, CLONED + FORGOTTEN)
    assert noted.kinds == ["node_cloned", "name_in_use_elsewhere"]


def test_restarts_and_a_move_are_no_copies():
    noted = Noted()
    diagnosis = Diagnosis(noted)
    for number in range(50):
        diagnosis.clone("beta", f"instance{number}", THERE, number * CLONED)
    diagnosis.clone("beta", "before", THERE, 1000.0)
    diagnosis.clone("beta", "before", THERE, 1000.0 + FORGOTTEN + 1)
    assert noted.kinds == []
