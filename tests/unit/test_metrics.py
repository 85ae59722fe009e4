"""What is counted in plain numbers, and how Prometheus gets it."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from parley.services.discovery.directory.link_times import LinkingTimes
from parley.shared.compiled import core
from parley.shared.telemetry.metrics import CLOSES, PEERS, Metrics
from parley.shared.telemetry.tallies import Buckets, Frames, Names
from parley.shared.wire.framing import Frame, count_frames, count_sent, encode_frame, read_datagram
from tests.support.nodes import Samples


def frame(name):
    return Frame(name, encode_frame(name), len(name) + 3)


def test_frames_are_counted_by_name_and_direction():
    frames = Frames()
    count_frames([frame("MESSAGE"), frame("PING"), frame("MESSAGE")], frames.received)
    count_sent([encode_frame("MESSAGE", b" x PING"), encode_frame("PONG")], frames.sent)
    assert dict(frames.samples()) == {
        ("received", "MESSAGE"): 2,
        ("received", "PING"): 1,
        ("sent", "MESSAGE"): 1,
        ("sent", "PONG"): 1,
    }


def test_names_that_nobody_knows_make_no_labels():
    frames = Frames()
    known = len(frames.received)
    count_frames([read_datagram(b"X%d 0 \n" % n) for n in range(1000)], frames.received)
    count_sent([b"Y 0 \n"], frames.sent)
    assert dict(frames.samples()) == {("received", "other"): 1000, ("sent", "other"): 1}
    assert len(frames.received) == known


@pytest.mark.parametrize(
    ("value", "bucket"), [(0.0, "0.1"), (0.1, "0.1"), (0.11, "1.0"), (1.0, "1.0"), (7.0, "+Inf")]
)
def test_a_value_is_in_the_first_bucket_that_holds_it(value, bucket):
    buckets = Buckets([0.1, 1.0])
    buckets.observe(value)
    first = next(bound for bound, count in buckets.cumulated() if count)
    assert first == bucket
    assert buckets.cumulated()[-1] == ("+Inf", 1.0)
    assert buckets.total == value


def test_of_many_peers_some_have_names_and_the_rest_share_one():
    names = Names(2)
    assert names.labels(["a", "b", "c"]) == {"a": "a", "b": "b", "c": "other"}
    assert names.labels(["c", "b", "a"]) == {"c": "other", "b": "b", "a": "a"}, "who has a label keeps it"
    assert names.labels(["c", "b"]) == {"c": "c", "b": "b"}, "a label that is free is given again"


def test_everything_is_exported_in_prometheus_form():
    metrics = Metrics(CollectorRegistry(), "MESSAGES", "alpha")
    metrics.watch("parley_peers", "Peers", lambda: [(("MESSAGES",), 3)], ["feature"])
    metrics.watch_counter("parley_things", "Things", lambda: [((), 4)])
    histogram = metrics.histogram("parley_wait_seconds", "Waits", (0.1, 1.0))
    for value in (0.05, 0.5, 5.0):
        histogram.observe(value)
    count_frames([frame("PING")], metrics.frames.received)
    samples = Samples(generate_latest(metrics.registry).decode())
    assert samples.value("parley_peers", feature="MESSAGES") == 3
    assert samples.value("parley_things_total") == 4
    assert samples.value("parley_wait_seconds_bucket", le="1.0") == 2
    assert samples.value("parley_wait_seconds_count") == 3
    assert samples.value("parley_wait_seconds_sum") == pytest.approx(5.55)
    assert samples.value("parley_frames_total", feature="MESSAGES", direction="received") == 1
    assert samples.value("parley_build_info", server_id="alpha") == 1
    assert samples.value("parley_build_info", core="python" if core is None else "compiled") == 1
    assert not [sample for sample in samples.samples if sample.name.endswith("_created")]


def test_a_reason_that_is_none_of_ours_makes_no_label():
    metrics = Metrics(CollectorRegistry(), "MESSAGES")
    metrics.rejected("whatever a peer says")
    samples = Samples(generate_latest(metrics.registry).decode())
    assert samples.value("parley_frames_rejected_total", reason="unexpected") == 1


def test_links_and_handshakes_are_counted_from_zero_on_so_that_the_first_of_them_has_a_rate():
    metrics = Metrics(CollectorRegistry(), "MESSAGES")

    def counted(name, **labels):
        samples = Samples(generate_latest(metrics.registry).decode()).samples
        return [each.value for each in samples if each.name == name and labels.items() <= each.labels.items()]

    for role in ("dialler", "listener"):
        assert counted("parley_link_closes_total", role=role, reason="timeout") == [0]
        assert counted("parley_connects_total", role=role, result="connected") == [0]
    there = len(counted("parley_link_closes_total") + counted("parley_connects_total"))
    for word in (*CLOSES, "whatever a peer says"):
        metrics.closed("listener", word)
        metrics.connected("dialler", word)
        metrics.connected("listener", word)
    assert len(counted("parley_link_closes_total") + counted("parley_connects_total")) == there
    assert counted("parley_link_closes_total", role="listener", reason="unknown") == [2]


def test_a_hundred_peers_have_labels():
    assert PEERS == 100


# From first heard to linked ---------------------------------------------------------------------------


@pytest.fixture
def measured():
    return []


@pytest.fixture
def times(measured):
    return LinkingTimes(lambda feature, seconds: measured.append((feature, seconds)))


def test_a_server_is_measured_from_its_first_announcement_to_the_link_once(times, measured):
    times.heard("beta", ["MESSAGES"], 1.0)
    times.heard("beta", ["MESSAGES"], 3.0)
    times.linked("MESSAGES", ["beta"], 4.5)
    times.linked("MESSAGES", [], 5.0)
    times.linked("MESSAGES", ["beta"], 9.0)
    assert measured == [("MESSAGES", 3.5)]


def test_a_link_that_comes_before_the_announcement_took_no_time(times, measured):
    times.linked("MESSAGES", ["beta"], 1.0)
    times.heard("beta", ["MESSAGES", "TYPING_INDICATOR"], 2.0)
    assert measured == [("MESSAGES", 0.0)]


def test_a_server_that_was_forgotten_is_measured_again(times, measured):
    times.heard("beta", ["MESSAGES"], 1.0)
    times.linked("MESSAGES", ["beta"], 2.0)
    times.linked("MESSAGES", [], 3.0)
    times.keep([])
    times.heard("beta", ["MESSAGES"], 100.0)
    times.linked("MESSAGES", ["beta"], 104.0)
    assert measured == [("MESSAGES", 1.0), ("MESSAGES", 4.0)]
