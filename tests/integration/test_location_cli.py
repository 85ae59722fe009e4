"""`parley share`, `parley where` and `parley typing` between two real nodes."""

import json
import os
import signal
import subprocess

import pytest

from tests.support.commands import PARLEY, Command, client_environment, run_parley
from tests.support.nodes import TIMEOUT, Node, wait_linked
from tests.support.plain_client import PlainClient
from tests.support.plain_server import TYPING

NORTH, SOUTH = "127.0.64.1", "127.0.64.2"
GPX = """<gpx version="1.1" creator="test" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>
<trkpt lat="48.0" lon="11.0"><time>2026-01-01T10:00:00Z</time></trkpt>
<trkpt lat="48.5" lon="11.5"><time>2026-01-01T10:00:01Z</time></trkpt>
</trkseg></trk></gpx>"""


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    directory = tmp_path_factory.mktemp("nodes")
    services = ("discovery", "typing", "location")
    with (
        Node("north", NORTH, directory, services) as north,
        Node("south", SOUTH, directory, services) as south,
    ):
        wait_linked([north, south], services[1:])
        yield north, south


@pytest.fixture
def alice(nodes, tmp_path):  # noqa: ARG001 - the nodes are what it finds
    return client_environment("127.0.64.10", tmp_path)


@pytest.fixture
def bob(nodes, tmp_path):  # noqa: ARG001 - the nodes are what it finds
    return client_environment("127.0.64.11", tmp_path)


def test_a_shared_track_is_seen_in_json_and_gone_when_it_is_stopped(alice, bob, tmp_path):
    track = tmp_path / "track.gpx"
    track.write_text(GPX)
    with Command("where", "--as", "bob@south", "--json", environment=bob) as where:
        where.wait_error("watching locations as bob@south")
        with Command(
            "share",
            "--as",
            "alice@north",
            "--to",
            "bob@south",
            "--for",
            "5m",
            "--from",
            str(track),
            environment=alice,
        ) as share:
            first = json.loads(where.wait_line('"latitude": 48.0'))
            assert (first["author"], first["to"], first["longitude"]) == ("alice@north", "bob@south", 11.0)
            assert 295 < first["seconds_left"] <= 300
            where.wait_line('"latitude": 48.5')
            share.wait_error("no more positions")
            share.interrupt()
            share.wait_exit()
            assert json.loads(where.wait_line('"gone": true'))["author"] == "alice@north"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_share_that_is_ended_in_any_way_is_gone_at_once(alice, bob, number):
    """Closing the terminal is one: it says so twice, the system to its foreground and the shell to its jobs."""
    sharing = ("share", "--as", "alice@north", "--to", "bob@south", "--from", "1.5,2.5")
    with (
        Command("where", "--as", "bob@south", "--json", environment=bob) as where,
        Command(*sharing, environment=alice) as share,
    ):
        where.wait_line('"latitude": 1.5')
        share.signal(number)
        if number != signal.SIGINT:  # pressed again, Ctrl-C cuts short what it has to say
            share.signal(number)
        where.wait_line('"gone": true', timeout=5.0)
        assert share.wait_exit() == 130
        assert "Traceback" not in "\n".join(share.errors)


def test_a_share_that_is_not_to_end_with_its_terminal_does_not(alice, bob):
    sharing = ("share", "--as", "alice@north", "--to", "bob@south", "--from", "-")
    command = ["nohup", PARLEY, *sharing]
    with Command("where", "--as", "bob@south", "--json", environment=bob) as where:
        where.wait_error("watching")
        share = subprocess.Popen(
            command, env=alice, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        share.stdin.write(b"1.5,2.5\n")
        share.stdin.flush()
        where.wait_line('"latitude": 1.5')
        share.send_signal(signal.SIGHUP)
        share.stdin.write(b"3.5,4.5\n")
        share.stdin.close()
        where.wait_line('"latitude": 3.5')
        share.send_signal(signal.SIGINT)
        where.wait_line('"gone": true')
        assert share.wait(TIMEOUT) == 130


@pytest.mark.parametrize(
    "options", [("--every", "nan"), ("--every", "inf"), ("--speed", "nan"), ("--speed", "inf")]
)
def test_what_is_no_number_of_seconds_is_refused(alice, options):
    ended = run_parley(
        "share", "--as", "al@north", "--to", "bob@south", "--from", "1,2", *options, environment=alice
    )
    assert ended.returncode == 2
    assert f"Invalid value for '{options[0]}'" in ended.stderr


def test_a_share_ends_when_its_time_is_over(alice, bob):
    with Command("where", "--as", "bob@south", "--geojson", environment=bob) as where:
        where.wait_error("watching")
        ended = run_parley(
            "share", "--as", "al@north", "--to", "bob@south", "--for", "1s", "--from", "1.5,2.5", environment=alice
        )
        assert ended.returncode == 0
        assert "the time is over" in ended.stderr
        shown = json.loads(where.wait_line('"coordinates": [2.5, 1.5]'))
        assert shown["type"] == "FeatureCollection"
        where.wait_line('"features": []')


def test_where_once_prints_what_there_is_and_ends(alice, bob):
    once = ("where", "--as", "bob@south", "--once")
    nothing = run_parley(*once, "--geojson", environment=bob)
    assert json.loads(nothing.stdout) == {"type": "FeatureCollection", "features": []}
    assert nothing.stderr == "nobody shares a place with bob@south now\n"
    sharing = ("share", "--as", "ann@north", "--to", "bob@south", "--from", "1.5,2.5")
    with (
        Command("where", "--as", "bob@south", environment=bob) as where,
        Command(*sharing, environment=alice) as share,
    ):
        where.wait_line("ann@north for bob@south")
        found = run_parley(*once, "--geojson", environment=bob)
        [feature] = json.loads(found.stdout)["features"]
        assert feature["geometry"]["coordinates"] == [2.5, 1.5]
        assert (found.returncode, found.stderr) == (0, "")
        assert json.loads(run_parley(*once, "--json", environment=bob).stdout)["latitude"] == 1.5
        assert run_parley(*once, environment=bob).stdout == "ann@north for bob@south: 1.50000, 2.50000\n"
        share.interrupt()
        share.wait_exit()


def test_lines_of_standard_input_are_shared_as_they_come(alice, bob):
    with (
        Command("where", "--as", "bob@south", environment=bob) as where,
        Command("share", "--as", "ann@north", "--to", "bob@south", "--from", "-", environment=alice) as share,
    ):
        where.wait_error("watching")
        share.wait_error("sending positions towards bob@south until")
        for nonsense in ("# a comment", "here", "99.0,1.0"):
            share.write(nonsense)
        share.wait_error("line 2: 'here' is no position: write LAT,LON")
        for place in ("10.5,20.5", "11.5,21.5"):
            share.write(place)
            where.wait_line("ann@north for bob@south: {:.5f}, {:.5f}".format(*map(float, place.split(","))))
        share.interrupt()
        where.wait_line("ann@north for bob@south: gone")
        assert [line for line in share.errors if line.startswith("line ")] == share.errors[1:2]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--to", "bob@south", "--from", "1,2", "--for", "9h"], "at most 8h"),
        (["--to", "bob@south@north", "--from", "1,2"], "write USER@SERVER"),
        (["--to", "bob@south", "--from", "/nowhere.gpx"], "cannot read /nowhere.gpx"),
        (["--to", "bob@south", "--from", "99,11"], "99,11 is out of range: latitudes go from -90 to 90"),
        (["--to", "bob@south", "--from", "-"], "standard input holds no position"),
        (["--to", "bob@south", "--from", "/dev/null"], "/dev/null holds no position"),
    ],
)
def test_what_cannot_be_shared_is_one_line_and_exit_code_2(alice, arguments, part):
    ended = run_parley("share", "--as", "alice@north", *arguments, environment=alice)
    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()[-1:]
    assert part in line
    if "-" not in arguments:  # of a pipe nobody knows before its end that nothing comes
        assert ended.stderr == line + "\n"


def test_standard_input_that_is_no_pipe_ends_a_share_as_an_empty_pipe_does(alice):
    arguments = ("share", "--as", "alice@north", "--to", "bob@south", "--from", "-")
    piped = run_parley(*arguments, environment=alice)
    with open(os.devnull) as nothing:  # noqa: PTH123 - it is no file of ours
        ended = subprocess.run(
            [PARLEY, *arguments],
            env=alice,
            stdin=nothing,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    assert (ended.returncode, ended.stderr.splitlines()[-1]) == (2, piped.stderr.splitlines()[-1])


def test_somebody_at_a_server_that_nobody_knows_is_warned_of_and_our_own_must_be_there(alice):
    for_a_moment = ("--for", "0.1s", "--from", "1,2")
    ended = run_parley("share", "--as", "al@north", "--to", "x@nowhere", *for_a_moment, environment=alice)
    warning, begun, _ = ended.stderr.splitlines()
    assert warning.startswith("parley: no server nowhere answered (found: north, south)")
    assert begun.startswith("sending positions towards x@nowhere until ")
    assert ended.returncode == 0
    ended = run_parley("share", "--as", "al@nowhere", "--to", "bob@south", *for_a_moment, environment=alice)
    assert ended.stderr.startswith("parley: nowhere did not answer; found: north, south. ")
    assert ended.returncode == 1


def test_who_types_is_printed_as_it_changes(nodes, bob):
    north, _ = nodes
    with (
        Command("typing", "--as", "bob@south", "--json", environment=bob) as watch,
        PlainClient("ann", "north", "127.0.64.12", broadcast=north.address, enough=1) as ann,
    ):
        watch.wait_error("watching who types as bob@south")
        ann.connect(TYPING)
        ann.send_typing()
        assert json.loads(watch.wait_line('"typing": true')) == {"user": "ann@north", "typing": True}
        assert json.loads(watch.wait_line('"typing": false')) == {"user": "ann@north", "typing": False}
