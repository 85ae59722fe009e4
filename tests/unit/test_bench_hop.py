"""The benchmark of the hop: what it sends at Parley, and what its table says."""

import asyncio
import json

import pytest

from bench.hop import parley
from bench.hop.generator import ACKNOWLEDGED, RECEIVED, LoadError, text
from bench.hop.library import SIGNED, Pair
from bench.hop.measure import Plan, Result
from bench.hop.table import table, write_json
from parley.shared.wire.framing import FrameReader
from parley.shared.wire.messages import pb

FIGURES = {"latency_p50": 100.0, "free_64": 50_000.0, "free_1": 20_000.0, "memory_idle": 1.0, "memory_after": 2.0}


def frames(data):
    return FrameReader(1 << 20).feed(data)


def test_parleys_messages_are_whole_frames_of_one_length_with_numbers_that_go_on():
    hop = parley.hop(None, None)
    sent = frames(b"".join(map(hop.message, (0, 1, 19_999))))
    messages = [pb.ChatMessage.FromString(frame.payload) for frame in sent]
    assert [m.messageSnowflake - messages[0].messageSnowflake for m in messages] == [0, 1, 19_999]
    assert messages[2].textContent == "00019999" + "x" * 92
    assert len({len(hop.message(n)) for n in (0, 9, 65_536, 1 << 20)}) == 1
    assert {(m.author.userId, m.author.serverId, m.user.userId, m.user.serverId) for m in messages} == {
        ("ann", "one", "bob", "two")
    }


def test_the_recipients_answer_acknowledges_the_message_it_is_made_from():
    hop = parley.hop(None, None)
    record, answer = hop.message(7), bytearray(hop.answer.template)
    snowflake = record[hop.answer.start : hop.answer.start + hop.answer.length]
    answer[hop.answer.to : hop.answer.to + hop.answer.length] = snowflake
    acknowledgement = pb.ChatMessageResponse.FromString(frames(bytes(answer))[0].payload)
    assert acknowledgement.messageSnowflake == pb.ChatMessage.FromString(frames(record)[0].payload).messageSnowflake
    assert [s.status for s in acknowledgement.statuses] == [pb.ChatMessageResponse.DeliveryStatus.DELIVERED]


def test_the_mask_leaves_out_what_differs_from_message_to_message():
    hop = parley.hop(None, None)
    one, other, mask = hop.message(0), hop.message(12_345_678), hop.comes.mask
    differing = [at for at, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
    assert differing
    assert all(mask[at] == 0 for at in differing)
    assert mask.count(0) == parley.VARINT + 8


def results():
    ours, limit, gone = Result(), Result(), Result(skipped="nothing is installed")
    for factor in (1.0, 2.0, 4.0):
        ours.add({name: value * factor for name, value in FIGURES.items()})
        limit.add({name: value * 2 for name, value in FIGURES.items()})
    return {"parley": ours, "c-relay": limit, "prosody": gone}


def test_the_table_has_medians_spreads_ratios_and_reasons():
    lines = table(results()).splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("parley "))
    assert lines[at].split()[1:3] == ["200", "–"]
    assert "100k" in lines[at]
    assert lines[-2].split() == ["parley", "1.00", "–", "1.00", "1.00", "1.00", "–", "1.00", "1.00"]
    assert lines[at + 1].split() == ["100…400", "50.0k…200k", "20.0k…80.0k"]
    assert "prosody: skipped: nothing is installed" in lines


def test_a_ratio_is_the_median_of_each_rounds_and_absent_where_one_is_missing():
    found = results()
    found["c-relay"].figures["free_1"] = [20_000.0, 20_000.0, 8_000.0]
    assert found["c-relay"].ratio(found["parley"], "free_1") == pytest.approx(0.5)
    assert found["c-relay"].ratio(found["parley"], "free_1", "free_64") == pytest.approx(0.2)
    assert found["prosody"].ratio(found["parley"], "free_1") is None
    assert found["parley"].ratio(None, "free_1") is None
    found["c-relay"].figures["free_1"].pop()
    assert found["c-relay"].ratio(found["parley"], "free_1") is None


def test_the_json_has_each_round(tmp_path):
    path = tmp_path / "build" / "bench.json"
    write_json(path, results(), Plan(), {"rounds": 3})
    written = json.loads(path.read_text())
    figure = written["systems"]["parley"]["figures"]["free_1"]
    assert figure == {"median": 40_000.0, "rounds": [20_000.0, 40_000.0, 80_000.0]}
    assert written["systems"]["prosody"]["skipped"] == "nothing is installed"
    assert written["about"]["rounds"] == {"rounds": 3}


class Author:
    """Hands each text to the recipient at once, and tells its status; `spoil` changes what comes."""

    def __init__(self, pair, spoil):
        self._pair, self._spoil = pair, spoil

    def send(self, _to, words):
        message = pb.ChatMessage(textContent=words, assurance=pb.ChatMessage.SIGNED)
        self._spoil(message)
        self._pair.received(message)
        self._pair.told(None, None, "DELIVERED")


def run_of(spoil, **how):
    pair = Pair(*SIGNED)
    pair.begin(Author(pair, spoil), is_signed=True)
    task = {"total": 200, "window": 16, "batch": 0, "until": RECEIVED | ACKNOWLEDGED, "timed": True} | how
    return asyncio.run(pair.run(**task))


def test_the_librarys_clients_time_each_message():
    assert len(run_of(lambda _message: None).latencies) == 200
    assert run_of(lambda _message: None, window=0, batch=64, timed=False).latencies == []


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda m: setattr(m, "assurance", pb.ChatMessage.UNPROVEN), "UNPROVEN"),
        (lambda m: setattr(m, "textContent", text(7).decode()), "00000007 in place of 0"),
    ],
    ids=["not signed", "another"],
)
def test_a_message_that_is_not_as_it_was_signed_is_wrong(spoil, words):
    with pytest.raises(LoadError, match=words):
        run_of(spoil)
