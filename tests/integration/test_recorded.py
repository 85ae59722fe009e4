"""A recorder between clients, nodes and a node's own processes sees who is where, and nothing that anybody says."""

import asyncio
import contextlib

import pytest

from parley import ChatFeature, DiscoveryService
from parley.shared.config import Config, DiscoveryConfig, SecurityConfig
from tests.support.nodes import TIMEOUT, Node, wait_linked
from tests.support.plain_client import PlainClient
from tests.support.recorder import TCP, Recorder

ALPHA, BETA = "127.0.58.1", "127.0.58.2"
TEXT = "the harbour is mined"
PORTS = {6666, 7777, 8888, 9998}


@pytest.fixture
def recorder():
    with contextlib.ExitStack() as stack:
        try:
            made = Recorder()
        except (PermissionError, AttributeError):
            pytest.skip("recording needs the right to have raw sockets")
        yield stack.enter_context(made)


def config(address, mode="mixed"):
    return Config(
        address=address,
        discovery=DiscoveryConfig(discovery_timeout=1.0),
        security=SecurityConfig(mode=mode),
    )


async def connected(user, address, mode="mixed", **how):
    settings = config(address, mode)
    feature = ChatFeature(user, settings, **how)
    await feature.handle_connection(await DiscoveryService(settings).discover_servers())
    return feature


async def converse(mode="mixed"):
    came = []
    alice = await connected("alice@alpha", "127.0.58.11", mode)
    bob = await connected(
        "robert@beta", "127.0.58.12", mode, on_message=lambda message: came.append(message.textContent)
    )
    async with alice, bob:
        assert await asyncio.wait_for(alice.send("robert@beta", TEXT).final, TIMEOUT) == "DELIVERED"
    assert came == [TEXT]


@contextlib.contextmanager
def nodes(directory, mode="mixed"):
    settings = {"PARLEY_SECURITY__MODE": mode}
    with (
        Node("alpha", ALPHA, directory, settings=settings) as alpha,
        Node("beta", BETA, directory, settings=settings) as beta,
    ):
        wait_linked([alpha, beta])
        yield alpha, beta


def spoken(recorder, *words):
    """The packets with any of these words in them, but for announcements."""
    found = [packet for packet in recorder.packets if any(word in packet.data for word in words)]
    return [packet for packet in found if not packet.data.startswith(b"SERVER_ANNOUNCE")]


def test_a_recorder_sees_no_text_and_no_name(tmp_path, recorder):
    with nodes(tmp_path):
        asyncio.run(converse())
    recorder.stop()
    assert spoken(recorder, TEXT.encode(), b"alice", b"robert") == []
    assert spoken(recorder, b"CONNECT_", b"SERVER_LIST ", b"PROOF ", b"MESSAGE ", b"MESSAGE_ACK ") == []
    streams = {(packet.source, packet.to) for packet in recorder.packets if packet.protocol == TCP}
    assert {port for ends in streams for _, port in ends} >= PORTS  # it was all there to be recorded
    for source, to in streams:
        if {source[1], to[1]} & PORTS:
            said = [p.data for p in recorder.packets if (p.source, p.to) == (source, to) and p.data]
            assert not said or said[0][:2] == b"\x16\x03"


def test_in_mode_open_it_sees_everything(tmp_path, recorder):
    with nodes(tmp_path, "open") as (alpha, _):
        asyncio.run(converse("open"))
        assert not (alpha.directory / "data" / "alpha" / "identity").exists()
    recorder.stop()
    assert spoken(recorder, TEXT.encode())
    assert not [packet for packet in recorder.packets if packet.protocol == TCP and packet.data[:2] == b"\x16\x03"]


def test_an_existing_program_talks_with_a_parley_of_the_default_mode(tmp_path):
    with (
        nodes(tmp_path),
        PlainClient("eve", "alpha", "127.0.58.13", enough=2, broadcast=ALPHA) as eve,
    ):
        eve.connect()

        async def story():
            came = asyncio.get_running_loop().create_future()
            bob = await connected(
                "robert@beta", "127.0.58.12", on_message=lambda message: came.set_result(message.textContent)
            )
            async with bob:
                snowflake = await asyncio.to_thread(eve.send_text, "robert", "beta", "hello")
                assert await asyncio.wait_for(came, TIMEOUT) == "hello"
                await asyncio.to_thread(eve.wait_status, snowflake, "DELIVERED")

        asyncio.run(story())


def test_strict_says_hangup_to_an_existing_program_and_logs_one_line(tmp_path):
    with (
        nodes(tmp_path, "strict") as (alpha, _),
        PlainClient("eve", "alpha", "127.0.58.13", enough=2, broadcast=ALPHA) as eve,
    ):
        with pytest.raises(Exception, match=r"."):
            eve.connect()
        asyncio.run(converse("strict"))
        assert alpha.metrics("chat").value("parley_frames_rejected_total", reason="plain_refused") >= 1
        assert "security.mode is strict" in alpha.stderr("chat")
