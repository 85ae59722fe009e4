"""Two links joined over TLS in memory, whole and byte by byte; and what a hostile side can do to one."""

import asyncio
import random
import socket
import ssl
from time import monotonic

import pytest

from parley.shared.errors import PeerUnproven, PeerUnreachable
from parley.shared.limits.bounds import Bounds
from parley.shared.link.credentials import Credentials, expect_key
from parley.shared.link.secure_io import BARREN, PIECE, QUIET, RECORDS
from parley.shared.link.secure_transport import HANDSHAKE
from parley.shared.link.turn import turn_of
from parley.shared.trust.assurance import PLAIN, Assurance, Basis
from parley.shared.trust.certificates import make_leaf
from parley.shared.trust.keys import PrivateKey
from parley.shared.trust.proofs import Channel, prove
from parley.shared.trust_storage.tls_contexts import client_context, server_context
from parley.shared.wire.framing import FrameReader, encode_frame
from parley.shared.wire.messages import decode, encode, pb
from tests.support.tls_pairs import ACCEPTOR, DIALLER, ME, Pair, trust_of

CONNECT = encode("CONNECT_SERVER", pb.ConnectServer(serverId="beta", features=["MESSAGES"]))
STRANGER = PrivateKey(b"s" * 32)


def run(story):
    with asyncio.Runner() as runner:
        return runner.run(story())


def text(size, letter=b"x"):
    return encode_frame("MESSAGE", letter * size)


def credentials(expects=None, identity=DIALLER, me=ME, **fields):
    connect = pb.ConnectServer(serverId="beta", features=["MESSAGES"], instanceId="b1", **fields)
    return Credentials(connect, me, expects or expect_key(ACCEPTOR.public, Basis.SEEN), identity)


# Two that mean well ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [None, 1, 7, 1400])
def test_two_links_open_over_tls_however_the_bytes_come(tmp_path, size):
    async def story():
        pair = Pair(trust_of(tmp_path))
        await pair.settle(size)
        assert pair.dialler.is_open
        assert pair.acceptor.is_open
        assert pair.dialler.assurance == Assurance(Basis.SEEN, ACCEPTOR.public)
        assert pair.acceptor.assurance == Assurance(Basis.SEEN, DIALLER.public)
        assert pair.dialler.channel == pair.acceptor.channel
        for link in (pair.dialler, pair.acceptor):
            link.send(text(100, b"secret"))
        await pair.settle(size)
        assert pair.theirs.frames == pair.ours.frames == [text(100, b"secret")]
        for end in pair.ends.values():
            assert b"secret" not in end.log
            assert b"beta" not in end.log
            assert b"MESSAGE" not in end.log
        pair.end()

    run(story)


def test_large_documents_pass_in_one_piece_and_in_order(tmp_path):
    async def story():
        pair = Pair(trust_of(tmp_path))
        await pair.settle()
        sizes = [PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 1 << 20, 1, 0]
        for size in sizes:
            pair.dialler.send(text(size))
        await pair.settle(65536)
        assert pair.theirs.frames == [text(size) for size in sizes]
        pair.end()

    run(story)


def test_a_read_of_many_records_is_one_read_of_the_link(tmp_path):
    async def story():
        pair = Pair(trust_of(tmp_path))
        await pair.settle()
        reads = []
        secure = pair.ends[pair.acceptor].protocol
        secure._link = type("Seen", (), {"data_received": lambda _self, data: reads.append(data)})()
        for _ in range(5):
            pair.dialler.send(text(10))
            await asyncio.sleep(0)
        pair.carry(pair.acceptor)
        assert reads == [text(10) * 5]
        secure._link = pair.acceptor
        pair.end()

    run(story)


def test_more_records_than_a_turn_allows_wait_and_nothing_more_is_read_meanwhile(tmp_path):
    async def story():
        pair = Pair(trust_of(tmp_path))
        await pair.settle()
        raw, secure = pair.ends[pair.acceptor], pair.ends[pair.dialler].protocol
        frame = text(3 * RECORDS)
        for at in range(len(frame)):
            secure.write(frame[at : at + 1])
        raw.is_reading = True
        pair.carry(pair.acceptor)
        assert not raw.is_reading
        assert pair.theirs.frames == []
        await pair.settle()
        assert pair.theirs.frames == [frame]
        assert raw.is_reading
        pair.end()

    run(story)


def test_hangup_arrives_over_tls_and_then_the_connection_is_closed(tmp_path):
    async def story():
        pair = Pair(trust_of(tmp_path))
        await pair.settle()
        pair.dialler.hang_up()
        await pair.settle()
        assert (pair.theirs.closed.reason, pair.theirs.closed.by_us) == ("exit", False)
        assert pair.ends[pair.dialler].is_closed
        assert pair.ends[pair.acceptor].is_closed
        pair.end()

    run(story)


def test_a_close_notify_without_hangup_closes(tmp_path):
    async def story():
        pair = Pair(trust_of(tmp_path))
        await pair.settle()
        pair.dialler.send(text(5))
        await asyncio.sleep(0)
        pair.ends[pair.dialler].protocol.close()
        pair.carry(pair.acceptor)
        assert pair.theirs.frames == [text(5)]
        assert pair.ends[pair.acceptor].is_closed
        pair.end()
        assert pair.theirs.closed.reason == "lost"

    run(story)


def test_back_pressure_reaches_the_link(tmp_path):
    async def story():
        pair = Pair(trust_of(tmp_path))
        await pair.settle()
        secure, raw = pair.ends[pair.dialler].protocol, pair.ends[pair.dialler]
        assert raw.high > 0
        secure.pause_writing()
        assert not pair.dialler.writable
        pair.dialler.send(text(1000))
        await asyncio.sleep(0)
        assert pair.dialler.unsent > 1000
        secure.resume_writing()
        assert pair.dialler.writable
        assert pair.ours.writable_again == 1
        pair.dialler.hold()
        assert not raw.is_reading
        pair.dialler.release()
        assert raw.is_reading
        pair.end()

    run(story)


def test_a_link_that_rests_from_its_start_shakes_no_hands_meanwhile(tmp_path):
    """As one of an address whose connections failed too often: uvloop reads once, whatever was paused."""

    async def story():
        pair = Pair(trust_of(tmp_path))
        raw = pair.ends[pair.acceptor]
        pair.acceptor.hold()
        pair.carry(pair.acceptor)
        assert not raw.log
        assert not raw.is_reading
        pair.acceptor.release()
        await pair.settle()
        assert pair.dialler.is_open
        assert raw.is_reading
        pair.end()

    run(story)


def test_handshakes_that_come_together_take_a_slice_each_behind_who_is_linked(tmp_path):
    async def story():
        trust = trust_of(tmp_path)
        turn_of(asyncio.get_running_loop(), Bounds(round=0.0, pause=1e9))  # every round is used up
        linked = Pair(trust)
        await linked.settle()
        assert linked.dialler.is_open
        newcomers = [Pair(trust) for _ in range(10)]
        answered = [pair.ends[pair.acceptor].log for pair in newcomers]
        for pair in newcomers:
            pair.carry(pair.acceptor)
        assert not any(answered)
        assert not any(pair.ends[pair.acceptor].is_reading for pair in newcomers)
        linked.dialler.send(text(100))
        while not linked.theirs.frames:
            await asyncio.sleep(0)
            linked.carry(linked.acceptor)
            assert sum(map(bool, answered)) <= 4
        newcomers[-1].end()  # it waits no longer
        for pair in newcomers[:-1]:
            await pair.settle()
            while not pair.dialler.is_open:
                await pair.settle()
            pair.end()
        assert not answered[-1]
        linked.end()

    run(story)


def test_handshakes_of_links_that_rested_take_a_slice_each_when_all_are_listened_to_again(tmp_path):
    """As those of an address that connects too often: who came together is listened to again together."""

    async def story():
        trust = trust_of(tmp_path)
        turn_of(asyncio.get_running_loop(), Bounds(round=0.0, pause=1e9))  # every round is used up
        newcomers = [Pair(trust) for _ in range(10)]
        answered = [pair.ends[pair.acceptor].log for pair in newcomers]
        for pair in newcomers:
            pair.acceptor.hold()
            pair.carry(pair.acceptor)
        for pair in newcomers:
            pair.acceptor.release()
        for turn in range(5):
            assert sum(map(bool, answered)) <= turn
            await asyncio.sleep(0)
        newcomers[-1].acceptor.hold()  # it waits for longer than its slice
        for _ in range(2 * len(newcomers)):
            await asyncio.sleep(0)
        assert all(answered[:-1])
        assert not answered[-1]
        newcomers[-1].acceptor.release()
        for pair in newcomers:
            while not pair.dialler.is_open:
                await pair.settle()
            pair.end()

    run(story)


def test_the_compiled_link_never_writes_past_the_encryption(tmp_path):
    async def story():
        pair = Pair(trust_of(tmp_path))
        assert not pair.dialler._is_plain_tcp
        await pair.settle()
        assert not pair.acceptor._is_plain_tcp
        assert pair.ends[pair.acceptor].protocol.get_extra_info("sslcontext") is not None
        pair.end()

    run(story)


def test_what_waits_in_the_transport_goes_before_what_is_written_past_it(tmp_path):
    async def story():
        pair = Pair(trust_of(tmp_path))
        await pair.settle()
        raw, secure = pair.ends[pair.dialler], pair.ends[pair.dialler].protocol
        ours, theirs = socket.socketpair()
        with ours, theirs:
            secure._descriptor = ours.fileno()
            sizes = {b"a": 10, b"b": PIECE + 1, b"c": 10, b"d": 10}  # more than a piece goes to the transport
            for letter, size in sizes.items():
                quiet_since = monotonic()
                while monotonic() - quiet_since < 2 * QUIET:
                    pass
                if letter == b"d":
                    pair.carry(pair.acceptor)
                waited = len(raw.written)
                secure.write(text(size, letter))
                assert (len(raw.written) > waited) is (letter in (b"b", b"c"))
                if not raw.written:
                    pair.ends[pair.acceptor].protocol.data_received(theirs.recv(PIECE))
            assert pair.theirs.frames == [text(size, letter) for letter, size in sizes.items()]
            secure._descriptor = -1
        pair.end()

    run(story)


def test_records_of_every_length_arrive_however_they_are_cut(tmp_path):
    async def story():
        pair, chance = Pair(trust_of(tmp_path)), random.Random(17)
        await pair.settle()
        sizes = [*range(1, 40), *(chance.choice((60, 500, 2000, PIECE - 30, PIECE, 40_000)) for _ in range(60))]
        for size in sizes:
            pair.dialler.send(text(size))
            await asyncio.sleep(0)
        raw, came = pair.ends[pair.dialler], pair.ends[pair.acceptor].protocol
        stream, raw.written = bytes(raw.written), bytearray()
        while stream:
            at = chance.choice((1, 3, 21, 22, 23, 300, 5000, PIECE, 3 * PIECE))
            came.data_received(stream[:at])
            stream = stream[at:]
            if came._is_resting:
                await asyncio.sleep(0)  # in which it goes on
        assert pair.theirs.frames == [text(size) for size in sizes]
        pair.end()

    run(story)


def test_a_certificate_is_renewed_and_links_stand(tmp_path):
    async def story():
        clock = [1e9]
        trust = trust_of(tmp_path, now=lambda: clock[0])
        first = Pair(trust)
        await first.settle()
        clock[0] += 57 * 86400
        assert trust.certified.certificate == first.dialler.channel.certificate
        clock[0] += 2 * 86400
        second = Pair(trust)
        await second.settle()
        assert second.dialler.is_open
        assert second.dialler.channel.certificate != first.dialler.channel.certificate
        first.dialler.send(text(1))
        await first.settle()
        assert first.theirs.frames == [text(1)]
        first.end()
        second.end()

    run(story)


# Plain, and modes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [None, 1])
def test_a_plain_program_is_spoken_to_as_before(tmp_path, size):
    async def story():
        pair = Pair(trust_of(tmp_path), hello=CONNECT)
        await pair.settle(size)
        assert pair.acceptor.is_open
        assert pair.acceptor.assurance is PLAIN
        answer = FrameReader(1000).feed(bytes(pair.ends[pair.acceptor].log))
        assert [frame.name for frame in answer] == ["CONNECTED"]
        assert pair.ends[pair.acceptor].protocol is pair.acceptor
        pair.end()

    run(story)


def test_open_knows_no_tls(tmp_path):
    async def story():
        trust = trust_of(tmp_path, mode="open")
        pair = Pair(trust)
        assert trust.key == b""
        assert pair.ends[pair.acceptor].protocol is pair.acceptor
        pair.carry(pair.acceptor)
        assert pair.theirs.closed.reason == "malformed"
        await pair.settle()
        assert pair.ours.closed.reason == "insecure"
        assert pair.ours.closed.detail == "it speaks plain here, though its name has a key"
        pair.end()

    run(story)


@pytest.mark.parametrize(("reason", "word"), [(pb.HangUp.EXIT, "exit"), (pb.HangUp.TIMEOUT, "timeout")])
def test_an_acceptor_that_closes_before_it_read_a_byte_is_not_one_that_speaks_plain(tmp_path, reason, word):
    """It cannot know yet that we speak TLS, so its HANGUP is plain."""

    async def story():
        pair = Pair(trust_of(tmp_path))
        waiting = asyncio.ensure_future(pair.dialler.wait_open())
        await asyncio.sleep(0)
        pair.acceptor.hang_up(reason)
        await pair.settle()
        assert (pair.ours.closed.reason, pair.ours.closed.by_us, pair.ours.rejected) == (word, False, [])
        assert pair.ends[pair.dialler].is_closed
        with pytest.raises(PeerUnreachable, match=word):
            await waiting
        pair.end()

    run(story)


@pytest.mark.parametrize(
    "said",
    [
        encode("HANGUP", pb.HangUp(reason=pb.HangUp.MESSAGE_MALFORMED)),
        encode("CONNECTED", pb.ConnectResponse(result=pb.ConnectResponse.CONNECTED)),
        encode("HANGUP", pb.HangUp(reason=pb.HangUp.EXIT)) + encode("PING"),
    ],
)
def test_nothing_else_is_believed_in_plain_of_who_should_speak_tls(tmp_path, said):
    async def story():
        pair = Pair(trust_of(tmp_path))
        await asyncio.sleep(0)
        pair.ends[pair.dialler].protocol.data_received(said)
        assert (pair.ours.closed.reason, pair.ours.closed.by_us) == ("insecure", True)
        assert pair.ours.closed.detail == "it speaks plain here, though its name has a key"
        pair.end()

    run(story)


def test_strict_hangs_up_on_a_plain_program_at_its_first_byte(tmp_path):
    async def story():
        pair = Pair(trust_of(tmp_path, mode="strict"), hello=CONNECT)
        await asyncio.sleep(0)
        pair.carry(pair.acceptor, 1)
        assert pair.theirs.rejected == ["plain_refused"]
        assert pair.theirs.closed.reason == "insecure"
        assert [frame.name for frame in FrameReader(1000).feed(bytes(pair.ends[pair.acceptor].log))] == ["HANGUP"]
        pair.end()

    run(story)


# Proofs ------------------------------------------------------------------------------------------------------


def test_another_key_than_the_expected_one_gets_no_connect(tmp_path):
    async def story():
        pair = Pair(trust_of(tmp_path), credentials=credentials(expect_key(STRANGER.public, Basis.SEEN)))
        waiting = asyncio.ensure_future(pair.dialler.wait_open())
        await pair.settle()
        assert pair.ours.rejected == ["unproven"]
        assert pair.ours.closed.reason == "unproven"
        assert pair.theirs.closed.reason == "exit"
        with pytest.raises(PeerUnproven, match=r"it has the key .* and not"):
            await waiting
        pair.end()

    run(story)


class Relayed:
    """A greeter that says another's HELLO, as a relay in the middle would."""

    def __init__(self, trust, hello):
        self._trust, self._hello = trust, hello

    @property
    def certified(self):
        return self._trust.certified

    def greet(self, certificate):
        return self._hello, Channel(certificate, self._hello.nonce, self._hello.key, self._hello.serverId)


def test_a_hello_of_another_connection_proves_nothing(tmp_path):
    async def story():
        honest, relay = trust_of(tmp_path / "a"), trust_of(tmp_path / "r", identity=STRANGER)
        hello, _channel = honest.greet(honest.certified.certificate)
        relay.acceptor._greeter = Relayed(relay, hello)
        pair = Pair(relay)
        await pair.settle()
        assert pair.ours.closed.detail == "its HELLO does not hold for this connection: somebody is in between"
        pair.end()

    run(story)


WRONG = {
    "another role": ME.__class__("client", ME.feature, ME.name, ME.instance),
    "another feature": ME.__class__(ME.role, "TYPING_INDICATOR", ME.name, ME.instance),
    "another name": ME.__class__(ME.role, ME.feature, "gamma", ME.instance),
    "another instance": ME.__class__(ME.role, ME.feature, ME.name, "b2"),
}


@pytest.mark.parametrize("me", WRONG.values(), ids=WRONG)
def test_a_proof_for_something_else_is_refused(tmp_path, me):
    async def story():
        pair = Pair(trust_of(tmp_path), credentials=credentials(me=me))
        await pair.settle()
        assert pair.theirs.refused == "bad_proof"
        assert not pair.acceptor.is_open
        pair.end()

    run(story)


def test_a_proof_of_another_connection_is_refused(tmp_path):
    async def story():
        trust = trust_of(tmp_path)
        first = Pair(trust)
        await first.settle()
        replayed = prove(DIALLER, first.dialler.channel, ME)
        second = Pair(trust, credentials=Replaying(replayed))
        await second.settle()
        assert second.theirs.refused == "bad_proof"
        first.end()
        second.end()

    run(story)


class Replaying(Credentials):
    """Shows a proof that it has from elsewhere."""

    def __init__(self, proof):
        connect = pb.ConnectServer(serverId="beta", features=["MESSAGES"], instanceId="b1", identity=proof)
        super().__init__(connect, ME, expect_key(ACCEPTOR.public, Basis.SEEN))


def test_a_nonce_is_good_for_one_proof(tmp_path):
    async def story():
        pair = Pair(trust_of(tmp_path), credentials=credentials(me=WRONG["another name"]))
        await pair.settle()
        connect = pb.ConnectServer(serverId="beta", features=["MESSAGES"], instanceId="b1")
        connect.identity.CopyFrom(prove(DIALLER, pair.acceptor.channel, ME))
        pair.acceptor.is_proven = True
        pair.acceptor.data_received(encode("CONNECT_SERVER", connect))
        assert pair.theirs.refused == "bad_proof"
        pair.end()

    run(story)


def test_a_name_with_a_key_is_nobody_elses(tmp_path):
    async def story():
        trust = trust_of(tmp_path)
        assert trust.judge_server("beta", STRANGER.public, "").value == "new"
        other = Pair(trust)
        await other.settle()
        assert other.theirs.refused == "other_key"
        plain = Pair(trust, hello=CONNECT)
        await plain.settle()
        assert plain.theirs.refused == "plain_name"
        keyless = Pair(trust, credentials=credentials(identity=None))
        await keyless.settle()
        assert keyless.theirs.refused == "plain_name"
        for pair in (other, plain, keyless):
            pair.end()

    run(story)


def test_whom_the_dialler_does_not_want_any_more_hears_no_connect(tmp_path):
    async def story():
        wanted = [True]
        pair = Pair(trust_of(tmp_path), is_wanted=lambda: wanted[0])
        wanted[0] = False
        await pair.settle()
        assert pair.ours.closed.reason == "exit"
        assert not pair.acceptor.was_open
        pair.end()

    run(story)


def test_hello_outside_of_a_handshake_is_not_supported(tmp_path):
    async def story():
        pair = Pair(trust_of(tmp_path))
        await pair.settle()
        hello = encode("HELLO", pb.Hello(nonce=b"n" * 32))
        pair.dialler.send(hello)
        await pair.settle()
        assert pair.theirs.rejected == ["unexpected"]
        assert pair.acceptor.is_open
        pair.end()

    run(story)


# Hostile bytes -------------------------------------------------------------------------------------------------


class Stranger:
    """The other side of an acceptor's connection, which says what a test wants."""

    def __init__(self, trust, context=None):
        self.pair = Pair(trust, hello=b"")
        self.raw = self.pair.ends[self.pair.acceptor]
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.ssl = (context or client_context()).wrap_bio(self.incoming, self.outgoing)

    def say(self, data):
        if not self.raw.is_closed:
            self.raw.protocol.data_received(data)

    def shake_hands(self):
        while True:
            try:
                self.ssl.do_handshake()
            except ssl.SSLWantReadError:
                self.swap()
            else:
                self.swap()
                return

    def swap(self):
        if self.outgoing.pending:
            self.say(self.outgoing.read())
        self.incoming.write(bytes(self.raw.written))
        self.raw.written.clear()


GARBAGE = {
    "a byte": b"\x16",
    "zeros": b"\x16" + bytes(1000),
    "a record of SSL 3": b"\x16\x03\x00\x00\x05hello",
    "a record that is no handshake": b"\x16\x03\x01\x00\x05\x01\x00\x00\x01x",
    "noise": b"\x16" + random.Random(5).randbytes(5000),
    "a large record": b"\x16\x03\x01\xff\xff" + bytes(70000),
}


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE)
def test_garbage_closes_or_waits_for_more_and_never_raises(tmp_path, data):
    async def story():
        stranger = Stranger(trust_of(tmp_path))
        stranger.say(data)
        closed = stranger.pair.theirs.closed
        assert closed is None or closed.reason == "insecure"
        assert closed is not None or data == b"\x16"
        assert len(stranger.pair.theirs.rejected) == (closed is not None)
        stranger.pair.end()
        assert stranger.pair.theirs.closed is not None

    run(story)


def test_an_older_tls_is_refused(tmp_path):
    async def story():
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        stranger = Stranger(trust_of(tmp_path), old)
        with pytest.raises(ssl.SSLError):
            stranger.shake_hands()
        assert stranger.pair.theirs.rejected == ["tls_protocol"]
        stranger.pair.end()

    run(story)


def test_another_protocol_over_tls_is_refused(tmp_path):
    async def story():
        other = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        other.check_hostname, other.verify_mode = False, ssl.CERT_NONE
        other.set_alpn_protocols(["h2"])
        stranger = Stranger(trust_of(tmp_path), other)
        stranger.shake_hands()
        assert stranger.pair.theirs.rejected == ["tls_protocol"]
        assert stranger.raw.is_closed
        stranger.pair.end()

    run(story)


def test_a_handshake_that_never_ends_is_given_up_within_its_bytes(tmp_path):
    async def story():
        stranger = Stranger(trust_of(tmp_path))
        record = b"\x16\x03\x01\x40\x00\x01\x00\xff\xff" + bytes(
            16380
        )  # a ClientHello of 64 KiB, and never its end
        said = 0
        while not stranger.raw.is_closed:
            stranger.say(record[:1000] if said else record)
            said += 1000 if said else len(record)
            assert said <= HANDSHAKE + 2000
        assert stranger.pair.theirs.closed.reason == "insecure"
        stranger.pair.end()

    run(story)


def test_garbage_after_the_handshake_closes(tmp_path):
    async def story():
        stranger = Stranger(trust_of(tmp_path))
        stranger.shake_hands()
        stranger.say(b"\x17\x03\x03\x00\x20" + bytes(32))
        assert stranger.pair.theirs.rejected == ["tls_broken"]
        assert stranger.raw.is_closed
        stranger.pair.end()

    run(story)


def test_an_abandoned_handshake_ends_with_the_connection(tmp_path):
    async def story():
        pair = Pair(trust_of(tmp_path))
        pair.carry(pair.acceptor, 50)
        pair.ends[pair.acceptor].protocol.connection_lost(None)
        assert pair.theirs.closed.reason == "lost"
        pair.ends[pair.dialler].protocol.connection_lost(None)
        assert pair.ours.closed.reason == "lost"

    run(story)


def test_records_without_data_are_given_up(tmp_path):
    """One that began and is not over stands for all of them: what comes and brings no data counts."""

    async def story():
        pair = Pair(trust_of(tmp_path))
        await pair.settle()
        secure, other = pair.ends[pair.dialler].protocol, pair.ends[pair.acceptor].protocol
        other._fed = BARREN - 100  # so much has come without any data
        secure.write(b"p" * 200)
        pair.carry(pair.acceptor, 100)
        assert pair.theirs.rejected == []
        pair.carry(pair.acceptor, 50)
        assert pair.theirs.rejected == ["tls_flood"]
        assert pair.theirs.closed.reason == "insecure"
        pair.end()

    run(story)


def test_data_makes_up_for_what_brought_none(tmp_path):
    async def story():
        pair = Pair(trust_of(tmp_path))
        await pair.settle()
        other = pair.ends[pair.acceptor].protocol
        other._fed = BARREN - 100
        for _ in range(3):
            pair.dialler.send(text(1))
            await pair.settle(20)
        assert pair.theirs.rejected == []
        assert len(pair.theirs.frames) == 3
        pair.end()

    run(story)


def test_a_certificate_of_a_megabyte_is_refused(tmp_path):
    async def story():
        leaf = make_leaf(ACCEPTOR, "alpha", 1e9, tuple(f"{'x' * 60}.{number}.example" for number in range(12_000)))
        assert len(leaf.certificate) > 1 << 20
        pair = Pair(trust_of(tmp_path))
        secure = pair.ends[pair.dialler].protocol
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = server_context(leaf).wrap_bio(incoming, outgoing, server_side=True)
        incoming.write(bytes(pair.ends[pair.dialler].written))
        with pytest.raises(ssl.SSLWantReadError):
            server.do_handshake()
        while outgoing.pending and not pair.ends[pair.dialler].is_closed:
            secure.data_received(outgoing.read(4096))
        assert pair.ours.closed.reason == "insecure"
        pair.end()

    run(story)


def test_what_a_link_says_before_the_handshake_is_over_is_not_sent(tmp_path):
    async def story():
        pair = Pair(trust_of(tmp_path))
        before = len(pair.ends[pair.dialler].log)
        pair.dialler.hang_up()
        assert len(pair.ends[pair.dialler].log) == before
        assert pair.ends[pair.dialler].is_closed
        pair.end()

    run(story)


def test_hello_tells_the_key_and_signs_the_certificate(tmp_path):
    async def story():
        stranger = Stranger(trust_of(tmp_path))
        stranger.shake_hands()
        await asyncio.sleep(0)
        stranger.swap()
        frames = FrameReader(10_000).feed(stranger.ssl.read(10_000))
        assert [frame.name for frame in frames] == ["HELLO"]
        hello = decode(frames[0], pb.Hello)
        assert (hello.key, hello.serverId, len(hello.nonce)) == (ACCEPTOR.public, "alpha", 32)
        stranger.pair.end()

    run(story)


def test_a_hello_with_garbage_in_the_same_read_closes_and_raises_nothing(tmp_path):
    """OpenSSL tells nothing of the handshake any more once a record is broken, and the HELLO is handed on then."""

    async def story():
        pair = Pair(trust_of(tmp_path))
        for link in (pair.acceptor, pair.dialler, pair.acceptor):
            pair.carry(link)
        await asyncio.sleep(0)
        pair.ends[pair.acceptor].written += b"\x17\x03\x03\x00\x20" + bytes(32)
        pair.carry(pair.dialler)
        assert pair.ours.closed.reason == "insecure"
        assert pair.ends[pair.dialler].is_closed
        pair.end()

    run(story)
