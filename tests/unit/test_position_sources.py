"""Positions as people have them: lines, NMEA, gpsd; where they come from, and in which time they are told."""

import asyncio
import os

import pytest

from parley.cli.people.share import seconds
from parley.client.positions import sources
from parley.client.positions.positions import (
    SAME_MOMENT,
    LineReader,
    Playback,
    Position,
    parse_gpsd,
    parse_position,
)
from parley.client.positions.sources import positions
from parley.shared.errors import ConfigError, PeerUnreachable
from parley.shared.soft_state.lifetimes import MAX_LIFETIME

RMC = "$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A"
GGA = "$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47"
GPX = """<?xml version="1.0"?>
<gpx version="1.1" creator="test" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>
<trkpt lat="48.0" lon="11.0"><time>2026-01-01T10:00:00Z</time></trkpt>
<trkpt lat="48.1" lon="11.1"><time>2026-01-01T10:00:04Z</time></trkpt>
<trkpt lat="48.2" lon="11.2"/>
</trkseg></trk></gpx>"""


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("48.25,11.5", Position(48.25, 11.5)),
        (" -48.25 , -11.5 # the pier", Position(-48.25, -11.5)),
        ("+48.25,+11.5", Position(48.25, 11.5)),
        ("\N{MINUS SIGN}33.86,151.21", Position(-33.86, 151.21)),
        ("1,2", Position(1.0, 2.0)),
        ("90,-180", Position(90.0, -180.0)),
        ("-90,180", Position(-90.0, 180.0)),
        ("0,0", Position(0.0, 0.0)),
        ("48.137,11.575,520", Position(48.137, 11.575)),
        ("48.137, 11.575, -3.5", Position(48.137, 11.575)),
    ],
)
def test_a_place_is_a_latitude_and_a_longitude(text, position):
    assert parse_position(text) == position


@pytest.mark.parametrize(
    "text",
    [
        # out of range, or no number
        "90.1,0", "0,-180.5", "48,181", "11.5,1e3", "nan,0", "nan,nan", "inf,0", "0,-inf", "here,there",
        "48.25", "48.25,", ",", "",
        "# 1,2", "1e1,2e1", "0x10,3", "1_0,2_0", "١٢,٣٤", "１２,３４", "48.,11.", ".5,.5", "--1,2", "+-1,2",
        "1 0,2", "1,2,3,4",
        # decimal commas, and what else stands between two numbers
        "48,137,11,575", "48,137;11,575", "48,137 11,575", "48,137, 11,575", "38,7905625 -9,793281",
        "48,137,11", "48.137;11.575",
        "48.137 11.575", "90 180", "48.137\t11.575", "48.137/11.575", "48.137,11.575;520",
        # something in front, or behind
        "1,48.137,11.575", "2026-11-28 48.1 11.5", "2026-11-28,48.1,11.5", "48.137,11.575 home",
        "48.137,11.575,520,3", "(48.137,11.575)",
        "geo:48.137,11.575;u=35", "[48.137,11.575]", '"48.137","11.575"', "lat=48.137,lon=11.575",
        "48.137,11.575,",
        # degrees, minutes, sides
        "48°08'13\"N 11°34'30\"E", "N48 E11", "48 08.22 N, 11 34.5 E", "N48 08.220 E011 34.500",
        "48.137N,11.575E", "33.86S,151.21E",
        "48.137°,11.575°", "32U 691603 5334760",
        # pieces of sentences
        "038,N,01131.000", "4807.038,01131.000", "08,0.9", "011.5,48.1", "0.9,545.4",
        "1,08,0.9,545.4,M,46.9,M,,*47",
        "GPRMC,123519,A,4807.038,N,01131.000,E", "022.4,084.4,230394",
    ],
)  # fmt: skip
def test_what_may_be_another_place_is_none(text):
    assert parse_position(text) is None


@pytest.mark.parametrize("line", [RMC, GGA])
def test_a_sentence_with_a_fix_is_a_position(line):
    position, fault = LineReader().read(line + "\r\n")
    assert (round(position.latitude, 4), round(position.longitude, 4)) == (48.1173, 11.5167)
    assert fault == ""


def test_what_one_moment_says_in_several_sentences_is_one_position():
    lines = LineReader()
    assert [lines.read(line)[0] is not None for line in (RMC, GGA, RMC)] == [True, False, False]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("", ""),
        ("# 1,2", ""),
        ("!AIVDM,1,1,,A,14eG;o@034o8sd<L9i:a;WF>062D,0*7D", ""),
        ("$GPRMC,123519,V,,,,,,,230394,,*33", ""),
        ("$GPGSV,1,1,00*79", ""),
        (RMC[:-1] + "0", "checksum"),
        (RMC[:30], "checksum"),
        ("here", "'here' is no position: write LAT,LON"),
        ("99.0,1.0", "99.0,1.0 is out of range"),
    ],
)
def test_what_is_wrong_with_a_line_is_said(line, fault):
    position, found = LineReader().read(line)
    assert position is None
    assert fault in found if fault else not found


def test_beside_sentences_other_lines_are_pieces_of_them():
    lines = LineReader()
    assert lines.read("1,2") == (Position(1.0, 2.0), "")
    lines.read(RMC)
    position, fault = lines.read("1,2")
    assert position is None
    assert "piece of a sentence" in fault


def test_a_track_is_told_in_its_own_time_or_one_position_at_a_time():
    playback = Playback(every=3.0, speed=2.0)
    assert [playback.delay(Position(0, 0, at)) for at in (100, 104, None, 200, 190, 191)] == [
        0.0,
        2.0,
        1.5,
        1.5,
        1.5,
        0.5,
    ]


def test_a_pause_in_a_track_is_as_long_as_it_was_within_reason():
    playback = Playback(every=3.0, speed=1.0)
    assert [playback.delay(Position(0, 0, at)) for at in (-6e10, 0, 3600)] == [0.0, MAX_LIFETIME, 3600]


def test_times_that_stand_still_are_none():
    playback = Playback(every=3.0, speed=1.0)
    delays = [playback.delay(Position(n, n, 7.0)) for n in range(SAME_MOMENT + 3)]
    assert delays == [0.0] * SAME_MOMENT + [3.0] * 3


@pytest.mark.parametrize(
    ("line", "position"),
    [
        ('{"class":"TPV","mode":3,"lat":48.25,"lon":11.5}', Position(48.25, 11.5)),
        ('{"class":"TPV","mode":1,"lat":48.25,"lon":11.5}', None),
        ('{"class":"TPV","mode":2}', None),
        ('{"class":"SKY"}', None),
        ('{"class":"TPV","mode":3,"lat":"x","lon":11.5}', None),
        ('{"class":"TPV","mode":3,"lat":NaN,"lon":11.5}', None),
        ('{"class":"TPV","mode":3,"lat":true,"lon":false}', None),
        ('{"class":"TPV","mode":3,"lat":"48.25","lon":"11.5"}', None),
        ('{"class":"TPV","mode":3,"lat":1e999,"lon":0}', None),
        ('{"class":"TPV","mode":3,"lat":48.25,"lon":180.5}', None),
        pytest.param("[" * 100_000, None, id="deep"),
        ("[]", None),
        ("garbage", None),
    ],
)
def test_gpsd_reports_with_a_position_have_one(line, position):
    assert parse_gpsd(line) == position


async def gather(name, **how):
    return [position async for position in positions(name, **how)]


async def gather_fifo(tmp_path, *pieces, **how):
    """What is read of a pipe into which these pieces are written."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = asyncio.create_task(gather(str(pipe), **how))
    with await asyncio.to_thread(pipe.open, "wb", 0) as writer:
        for piece in pieces:
            await asyncio.to_thread(writer.write, piece)
    return await reading


CONTENTS = [
    (b"1,2\n# pause\n3,4\n", 2),
    (b"3,4", 1),
    (b"1,2\r3,4\r", 2),
    ("\ufeff1,2\r\n3,4".encode(), 2),
    ("1,2\n3,4\n".encode("utf-16"), 2),
    ("# Größe\n1,2\n".encode("latin-1"), 1),
    (GPX.encode(), 3),
    (b"\n \n" + GPX.encode(), 3),
    (("\ufeff" + GPX).encode(), 3),
    (GPX.encode("utf-16"), 3),
    (GPX.encode("utf-16-le"), 3),
    (GPX.replace("\n", "\r").encode(), 3),
    (GPX.replace("\n", " " * 100_000).encode(), 3),
    (RMC.encode(), 1),
]


@pytest.mark.parametrize(("data", "count"), CONTENTS)
def test_a_file_is_read_whatever_it_holds(tmp_path, data, count):
    file = tmp_path / "track"
    file.write_bytes(data)
    assert len(asyncio.run(gather(str(file), every=0.001, speed=1e6))) == count


@pytest.mark.parametrize(("data", "count"), CONTENTS)
def test_a_pipe_is_read_as_a_file_is(tmp_path, data, count):
    assert len(asyncio.run(gather_fifo(tmp_path, data, speed=1e6))) == count
    (tmp_path / "pipe").unlink()
    pieces = [data[:1], data[1:2], data[2:3], data[3:40], data[40:]]
    assert len(asyncio.run(gather_fifo(tmp_path, *pieces, speed=1e6))) == count


def test_what_comes_by_a_pipe_is_told_as_it_comes(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    async def check():
        found = positions(str(pipe), every=1000.0)
        reading = asyncio.ensure_future(anext(found))
        with await asyncio.to_thread(pipe.open, "wb", 0) as writer:
            for line in (b"1,2\n", b"3,4\n", b"5,6\n"):
                writer.write(line)
                yield await asyncio.wait_for(reading, 10)
                reading = asyncio.ensure_future(anext(found, None))
        assert await reading is None

    async def collect():
        return [position async for position in check()]

    assert asyncio.run(collect()) == [Position(1, 2), Position(3, 4), Position(5, 6)]


def test_a_pipe_is_given_back_as_it_was():
    """A shell shares its terminal with us, and must not find it another."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as file, os.fdopen(writing, "wb") as writer:

        async def check():
            chunks = sources._pipe(file)
            writer.write(b"1,2\n")
            writer.flush()
            assert await anext(chunks) == b"1,2\n"
            assert not os.get_blocking(reading)
            await chunks.aclose()

        asyncio.run(check())
        assert os.get_blocking(reading)


def test_a_file_is_one_by_its_kind_and_whatever_epoll_takes_it_for(tmp_path, monkeypatch):
    class Polls:
        """epoll, as it is for files on FUSE and overlayfs."""

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def register(self, *_):
            pass

    monkeypatch.setattr("select.epoll", Polls)
    reading, writing = os.pipe()
    file = tmp_path / "track"
    file.write_bytes(b"1,2\n")
    with file.open("rb") as regular, os.fdopen(reading, "rb") as pipe, os.fdopen(writing, "wb"):
        assert not sources.is_awaitable(regular)
        assert sources.is_awaitable(pipe)


@pytest.mark.parametrize(
    ("name", "error", "why"),
    [
        ("/nowhere/track.gpx", ConfigError, "cannot read"),
        ("gpsd://127.0.0.99:1", PeerUnreachable, "no gpsd answers"),
        ("48,137;11,575", ConfigError, "is no position: write LAT,LON"),
        ("N48 08.220 E011 34.500", ConfigError, "is no position: write LAT,LON"),
        ("91.0,0.0", ConfigError, "is out of range"),
    ],
)
def test_a_source_that_is_not_there_is_said(name, error, why):
    with pytest.raises(error, match=why):
        asyncio.run(gather(name))


@pytest.mark.parametrize("text", ["nothing here\n", "", "\n\n", "\ufeff", "5"])
def test_a_file_without_a_position_is_said(tmp_path, text):
    file = tmp_path / "track"
    file.write_text(text)
    with pytest.raises(ConfigError, match="holds no position"):
        asyncio.run(gather(str(file)))


def test_a_line_has_an_end(tmp_path):
    file = tmp_path / "track"
    file.write_bytes(bytes(1 << 20))
    with pytest.raises(ConfigError, match="is no position"):
        asyncio.run(gather(str(file)))


def test_the_first_line_that_is_no_position_is_said(tmp_path):
    file, said = tmp_path / "track", []
    file.write_text("# a walk\n\nhere\n1,2\n48,137;11,575\n3,4\n")
    assert asyncio.run(gather(str(file), speed=1e6, complain=said.append)) == [Position(1, 2), Position(3, 4)]
    [fault] = said
    assert fault.startswith("line 3: 'here' is no position")


def test_points_without_a_place_are_said(tmp_path):
    file, said = tmp_path / "track.gpx", []
    file.write_text(GPX.replace('lat="48.1"', 'lat="48,1"'))
    assert len(asyncio.run(gather(str(file), speed=1e6, complain=said.append))) == 2
    [fault] = said
    assert fault.startswith("1 of its points")


def test_gpsd_is_asked_and_its_positions_taken():
    async def check():
        async def serve(reader, writer):
            asked = await reader.readline()
            assert asked == b'?WATCH={"enable":true,"json":true};\n'
            writer.write(b'{"class":"VERSION"}\n{"class":"TPV","mode":3,"lat":1.0,"lon":2.0}\n')
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        found = await gather(f"gpsd://127.0.0.1:{port}")
        server.close()
        return found

    assert asyncio.run(check()) == [Position(1.0, 2.0)]


@pytest.mark.parametrize(
    ("text", "value"), [("90", 90.0), ("90s", 90.0), ("30m", 1800.0), ("1.5h", 5400.0), ("8h", 28800.0)]
)
def test_how_long_is_read(text, value):
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "0", "9h", "soon", "-5", "5d"])
def test_how_long_is_refused(text):
    with pytest.raises(ConfigError, match="--for"):
        seconds(text)
