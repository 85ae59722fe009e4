"""Positions as people have them: lines, NMEA, GPX, gpsd; and in which time a track is told."""

import asyncio
import os

import pytest

from client.cli.locating import seconds
from client.fixes import Fix, paces, parse_gpsd, parse_gpx, parse_line
from client.sources import positions
from shared.errors import ConfigError, PeerUnreachable

RMC = "$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A"
GGA = "$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47"
GPX = """<?xml version="1.0"?>
<gpx version="1.1" creator="test" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>
<trkpt lat="48.0" lon="11.0"><time>2026-01-01T10:00:00Z</time></trkpt>
<trkpt lat="48.1" lon="11.1"><time>2026-01-01T10:00:04Z</time></trkpt>
<trkpt lat="48.2" lon="11.2"/>
</trkseg></trk></gpx>"""


@pytest.mark.parametrize(
    ("line", "fix"),
    [
        ("48.25,11.5", Fix(48.25, 11.5)),
        (" -48.25 ; -11.5 # the pier", Fix(-48.25, -11.5)),
        ("90 180", Fix(90.0, 180.0)),
        ("90.1,0", None),
        ("0,-180.5", None),
        ("nan,0", None),
        ("inf,0", None),
        ("here,there", None),
        ("48.25", None),
        ("", None),
        ("# 1,2", None),
    ],
)
def test_a_line_is_two_numbers_on_earth_or_nothing(line, fix):
    assert parse_line(line) == fix


@pytest.mark.parametrize("line", [RMC, GGA])
def test_an_nmea_sentence_with_a_fix_is_a_position(line):
    fix = parse_line(line + "\r\n")
    assert (round(fix.latitude, 4), round(fix.longitude, 4)) == (48.1173, 11.5167)


@pytest.mark.parametrize(
    "line",
    [
        "$GPRMC,123519,V,,,,,,,230394,,*33",
        "$GPGGA,123519,,,,,0,00,,,M,,M,,*6B",
        RMC[:-1] + "0",
        "$GPGSV,1,1,00*79",
        "$",
        "$nonsense",
    ],
)
def test_a_sentence_without_a_fix_or_damaged_is_nothing(line):
    assert parse_line(line) is None


def test_a_gpx_track_has_points_and_times():
    fixes = parse_gpx(GPX)
    assert [(f.latitude, f.longitude) for f in fixes] == [(48.0, 11.0), (48.1, 11.1), (48.2, 11.2)]
    assert fixes[1].at - fixes[0].at == 4.0
    assert fixes[2].at is None


@pytest.mark.parametrize("text", ["<html>", "<gpx></gpx>", "no xml"])
def test_what_is_no_gpx_or_has_no_point_is_said(text):
    with pytest.raises(ConfigError, match="GPX"):
        parse_gpx(text)


def test_a_track_is_told_in_its_own_time_or_one_position_at_a_time():
    told = list(paces(parse_gpx(GPX), every=3.0, speed=2.0))
    assert [delay for delay, _ in told] == [0.0, 2.0, 1.5]


@pytest.mark.parametrize(
    ("line", "fix"),
    [
        ('{"class":"TPV","mode":3,"lat":48.25,"lon":11.5}', Fix(48.25, 11.5)),
        ('{"class":"TPV","mode":1,"lat":48.25,"lon":11.5}', None),
        ('{"class":"TPV","mode":2}', None),
        ('{"class":"SKY"}', None),
        ('{"class":"TPV","mode":3,"lat":"x","lon":11.5}', None),
        ("[]", None),
        ("garbage", None),
    ],
)
def test_gpsd_reports_with_a_position_have_one(line, fix):
    assert parse_gpsd(line) == fix


async def gather(name, **how):
    return [fix async for fix in positions(name, **how)]


@pytest.mark.parametrize("text", ["1,2\n# pause\n3,4\n", "3,4", GPX, RMC])
def test_a_file_is_read_whatever_it_holds(tmp_path, text):
    file = tmp_path / "track"
    file.write_text(text)
    assert asyncio.run(gather(str(file), every=0.001, speed=1e6))


@pytest.mark.parametrize("text", ["1,2\n3,4\n", GPX])
def test_a_pipe_is_read_as_it_comes(tmp_path, text):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    async def check():
        reading = asyncio.create_task(gather(str(pipe), speed=1e6))
        writer = await asyncio.to_thread(pipe.open, "w")
        with writer:
            writer.write(text)
        return await reading

    assert len(asyncio.run(check())) == (3 if "<" in text else 2)


@pytest.mark.parametrize(
    ("name", "error"), [("/nowhere/track.gpx", ConfigError), ("gpsd://127.0.0.99:1", PeerUnreachable)]
)
def test_a_source_that_is_not_there_is_said(name, error):
    with pytest.raises(error):
        asyncio.run(gather(name))


def test_a_file_without_a_position_is_said(tmp_path):
    file = tmp_path / "track"
    file.write_text("nothing here\n")
    with pytest.raises(ConfigError, match="holds no position"):
        asyncio.run(gather(str(file)))


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

    assert asyncio.run(check()) == [Fix(1.0, 2.0)]


@pytest.mark.parametrize(
    ("text", "value"), [("90", 90.0), ("90s", 90.0), ("30m", 1800.0), ("1.5h", 5400.0), ("8h", 28800.0)]
)
def test_how_long_is_read(text, value):
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "0", "9h", "soon", "-5", "5d"])
def test_how_long_is_refused(text):
    with pytest.raises(ConfigError, match="--for"):
        seconds(text)
