"""Who belongs to a node proves its data directory: a stranger registers nothing and is no sibling, in any mode."""

import hashlib
import hmac
import shutil
import socket
from contextlib import closing, suppress
from pathlib import Path

import pytest

from parley.shared.service.data_directory import DataDirectory
from parley.shared.service.proofs import DIALLER, NONCE, Side, prove
from parley.shared.trust.keys import PrivateKey
from parley.shared.trust.proofs import SERVER, Dialler
from parley.shared.trust_storage.identity import find_identity
from parley.shared.wire.capabilities import terms
from parley.shared.wire.framing import FrameReader
from parley.shared.wire.messages import decode, encode, pb
from tests.support.nodes import COUNTED, Node, wait_until
from tests.support.secured import PATIENCE, Secured

SECRET = b"a guess at the secret of a node."
INSTANCE = "0" * 16
REGISTRATION, CHAT = ("discovery", 9998), ("chat", 6666)
PLACES = pytest.mark.parametrize("place", [REGISTRATION, CHAT], ids=["registers", "is a sibling"])


@pytest.fixture(scope="module", params=["mixed", "strict"])
def node(request, tmp_path_factory):
    """A node without location and typing: their places are free."""
    number = 1 + ["mixed", "strict"].index(request.param)
    settings = {"PARLEY_SECURITY__MODE": request.param, **COUNTED}
    directory = tmp_path_factory.mktemp(request.param)
    with Node("alpha", f"127.0.137.{number}", directory, ("discovery", "chat"), settings) as found:
        found.mode = request.param
        yield found


class Plain:
    """A connection without TLS; frame by frame as `Secured`."""

    channel = None

    def __init__(self, place):
        self.sock = socket.create_connection(place, PATIENCE)
        self._reader, self._frames = FrameReader(1 << 20), []

    send = Secured.send
    frame = Secured.frame
    close = Secured.close


def claim(server_id="alpha", nonce=b"n" * NONCE):
    """CONNECT_SERVER of a process of that node that serves typing."""
    said = pb.ConnectServer(serverId=server_id, features=["TYPING_INDICATOR"], instanceId=INSTANCE, terms=terms())
    said.endpoints.add(feature="TYPING_INDICATOR", port=7777, udpPort=7778)
    if nonce:
        said.proof.nonce = nonce
    return said


def connected(node, place, said, key=None, *, tls=True):
    """The connection and what was answered to that CONNECT_SERVER; None: nothing but the end."""
    link = (Secured if tls else Plain)((node.address, place[1]))
    if key is not None:
        feature = "DISCOVERY" if place == REGISTRATION else "MESSAGES"
        said.identity.CopyFrom(link.proof(key, Dialler(SERVER, feature, said.serverId, INSTANCE)))
    with suppress(ConnectionError):
        link.send(encode("CONNECT_SERVER", said))
    while (frame := link.frame()) is not None and frame.name != "CONNECTED":
        pass
    return link, decode(frame, pb.ConnectResponse) if frame is not None else None


def offers(node):
    return {each["feature"] for each in node.status("discovery")["offers"]}


def rejected(node, place):
    metrics = node.metrics(place[0])
    return metrics.value("parley_frames_rejected_total") + metrics.value(
        "parley_link_closes_total", reason="insecure"
    )


@pytest.fixture
def counted(node):
    """Whatever a test does is refused, counted, and has changed nothing."""
    before = {place: rejected(node, place) for place in (REGISTRATION, CHAT)}
    places = []
    yield places.append
    for place in places:
        wait_until(lambda place=place: rejected(node, place) > before[place], what=f"{place} counts it")
    assert offers(node) == {"MESSAGES"}
    assert node.linked("chat") == set()


@PLACES
@pytest.mark.parametrize("server_id", ["alpha", ""], ids=["as alpha", "to adopt a name"])
def test_in_plain_a_stranger_gets_no_further_than_the_question(node, place, server_id, counted):
    """With `mixed` it is asked for a proof; with `strict` it is not even listened to."""
    counted(place)
    link, answer = connected(node, place, claim(server_id), tls=False)
    with closing(link):
        if node.mode == "strict" or (place == CHAT and not server_id):
            assert answer is None or answer.result != pb.ConnectResponse.CONNECTED
            return
        assert answer.result == pb.ConnectResponse.CONNECTED
        it, me = Side(server_id, INSTANCE, b"n" * NONCE), Side("alpha", answer.instanceId, answer.proof.nonce)
        assert answer.proof.proof != prove(SECRET, b"acceptor", it, me)
        link.send(encode("PROOF", pb.Proof(proof=prove(SECRET, DIALLER, it, me))))
        link.send(encode("LINKED_SERVERS", pb.LinkedServers(serverIds=["omega"])))
        said = [frame.name for frame in iter(link.frame, None)]
        assert said == ["HANGUP"], "and was told nothing of the node"


@PLACES
def test_with_a_key_of_its_own_a_stranger_is_not_the_node(node, place, counted):
    counted(place)
    for key in (PrivateKey.generate(), None):
        link, answer = connected(node, place, claim(), key)
        with closing(link):
            if answer is not None and answer.result == pb.ConnectResponse.CONNECTED:
                assert key is None
                link.send(encode("PROOF", pb.Proof(proof=b"x" * 32)))
                assert [frame.name for frame in iter(link.frame, None)] == ["HANGUP"]


@PLACES
def test_the_nodes_key_without_its_secret_is_not_enough(node, place, counted):
    """A copy of `identity` alone, as out of a backup of DATA_DIR/NAME."""
    counted(place)
    key = find_identity(node.directory / "data", "alpha")
    link, answer = connected(node, place, claim(), key)
    with closing(link):
        assert answer.result == pb.ConnectResponse.CONNECTED
        link.send(encode("PROOF", pb.Proof(proof=hmac.digest(SECRET, b"", hashlib.sha256))))
        assert [frame.name for frame in iter(link.frame, None)] == ["HANGUP"]


@PLACES
def test_who_has_the_data_directory_is_let_in(node, place):
    """That the others were refused is for want of it, and of nothing else."""
    secret = DataDirectory(node.directory / "data").secret()
    link, answer = connected(node, place, claim(), find_identity(node.directory / "data", "alpha"))
    with closing(link):
        it, me = Side("alpha", INSTANCE, b"n" * NONCE), Side("alpha", answer.instanceId, answer.proof.nonce)
        link.send(encode("PROOF", pb.Proof(proof=prove(secret, DIALLER, it, me))))
        if place == REGISTRATION:
            wait_until(lambda: offers(node) == {"MESSAGES", "TYPING_INDICATOR"})
        else:
            link.send(encode("ASK_BLOCKED_USERS", pb.ChangeBlock()))
            link.send(encode("PING"))
            names = []
            while not names or names[-1] != "PONG":
                names.append(link.frame().name)
            assert "HANGUP" not in names
            assert "UNSUPPORTED_MESSAGE" not in names
    wait_until(lambda: offers(node) == {"MESSAGES"})


@pytest.mark.parametrize(("mode", "number"), [("mixed", 11), ("strict", 12)])
@pytest.mark.parametrize("has", ["nothing", "alpha/identity", "node.secret"])
def test_a_stranger_who_answers_for_discovery_gets_no_process_of_the_node(tmp_path, mode, number, has):
    """Another node's discovery is where they register, with one of the two files that make processes one node."""
    settings = {"PARLEY_SECURITY__MODE": mode, **COUNTED}
    with Node("alpha", f"127.0.137.{number}", tmp_path / "stranger", ("discovery",), settings) as stranger:
        victim = Node("alpha", stranger.address, tmp_path / "mine", ("chat",), settings)
        ours = Path(victim.environment["PARLEY_DATA_DIR"])
        if has != "nothing":
            ours.joinpath(has).parent.mkdir(parents=True)
            shutil.copy(stranger.directory / "data" / has, ours / has)
        DataDirectory(ours).make_secret()
        victim.start("chat")
        try:
            [line] = wait_until(lambda: victim.logged("chat", "registration_refused"))
            assert "another data directory" in line["detail"]
            assert offers(stranger) == set()
        finally:
            victim.stop()
