"""GPX as programs write it."""

import pytest

from parley.client.positions import gpx
from parley.client.positions.gpx import GpxDocument, unix_time
from parley.shared.errors import ConfigError

HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
ROOT = '<gpx version="1.1" creator="x" xmlns="http://www.topografix.com/GPX/1/1">'


def point(latitude, longitude, more="", kind="trkpt"):
    return f'<{kind} lat="{latitude}" lon="{longitude}">{more}</{kind}>'


def track(*points):
    return f"<trk><name>é</name><trkseg>{''.join(points)}</trkseg></trk></gpx>"


GOOD = point(10, 20) + point(11, 21)


def read(data, pieces=1 << 16):
    data = data if isinstance(data, bytes) else data.encode()
    document = GpxDocument()
    for start in range(0, len(data), pieces):
        document.feed(data[start : start + pieces])
    return document.close()


def places(data, **how):
    return [(fix.latitude, fix.longitude) for fix in read(data, **how)]


def times(*texts):
    return [fix.at for fix in read(ROOT + track(*(point(1, 2, text) for text in texts)))]


@pytest.mark.parametrize(
    "document",
    [
        HEAD + ROOT + track(GOOD),
        "\ufeff" + HEAD + ROOT + track(GOOD),
        (HEAD.replace("UTF-8", "UTF-16") + ROOT + track(GOOD)).encode("utf-16"),
        (HEAD.replace("UTF-8", "ISO-8859-1") + ROOT + track(GOOD)).encode("latin-1"),
        (HEAD.replace("UTF-8", "windows-1252") + ROOT + track(GOOD)).encode("cp1252"),
        "<gpx>" + track(GOOD),
        (HEAD + ROOT + track(GOOD)).replace('"', "'"),
        HEAD + "<!-- made by hand -->\r\n" + ROOT + track(GOOD),
        ROOT + "<extensions><a xmlns='urn:a'/></extensions>" + track(GOOD),
        ROOT
        + track(
            point(10, 20, "<extensions><x:time>never</x:time><wpt lat='1' lon='2'/></extensions>") + GOOD[-36:]
        ),
        ROOT + "<trk><trkseg></trkseg><trkseg>" + point(10, 20) + "</trkseg></trk><trk/>" + track(point(11, 21)),
        ROOT + track(point("+10.0", " 20.000 ") + point("1.1E1", "21.")),
    ],
)
@pytest.mark.parametrize("pieces", [1 << 16, 1, 7])
def test_its_points_are_found_however_it_is_written(document, pieces):
    assert places(document, pieces=pieces) == [(10, 20), (11, 21)]


def test_names_may_have_a_prefix_declared_or_not():
    names = (
        (ROOT + track(GOOD)).replace("</", "</g:").replace("<g", "<g:g").replace("<t", "<g:t").replace("<n", "<g:n")
    )
    assert places(names.replace("xmlns=", "xmlns:g=")) == places(names) == [(10, 20), (11, 21)]


def test_tracks_count_before_routes_and_routes_before_waypoints():
    waypoint = point(1, 1, kind="wpt")
    route = "<rte>" + point(2, 2, kind="rtept") + "</rte>"
    assert places(ROOT + waypoint + "</gpx>") == [(1, 1)]
    assert places(ROOT + waypoint + route + "</gpx>") == [(2, 2)]
    assert places(ROOT + waypoint + route + track(GOOD)) == [(10, 20), (11, 21)]


@pytest.mark.parametrize(
    "latitude", ["10,5", "NaN", "nan", "INF", "91", "-90.1", "", "1_0", "١٠", "0x10", "10 5", "N10"]
)
def test_a_point_without_a_place_is_left_out_and_counted(latitude):
    document = GpxDocument()
    document.feed((ROOT + track(point(latitude, 20), '<trkpt lon="3"/>', point(11, 21))).encode())
    assert [fix[:2] for fix in document.close()] == [(11, 21)]
    assert document.skipped == 2


@pytest.mark.parametrize(
    "field",
    ["<time>garbage</time>", "<time/>", "<ele>12,5</ele>", "<sat>4.0</sat>", "<fix>gps</fix>", "<hdop></hdop>"],
)
def test_a_field_that_is_none_spoils_nothing(field):
    assert read(ROOT + track(point(10, 20, field), point(11, 21))) == [(10, 20, None), (11, 21, None)]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-01-01T10:00:00Z", 1767261600),
        ("2026-01-01T10:00:00.123456789Z", 1767261600.123456789),
        ("2026-01-01T12:00:00+02:00", 1767261600),
        ("2026-01-01T04:30:00-0530", 1767261600),
        ("2026-01-01T10:00:00", 1767261600),
        (" 2026-01-01 10:00:00z\n", 1767261600),
        ("2025-12-31T24:00:00Z", 1767225600),
        ("2016-12-31T23:59:60Z", 1483228800),
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00", None),
        ("0000-00-00T00:00:00Z", None),
        ("2026-13-01T10:00:00Z", None),
        ("2026-01-01", None),
        ("٢٠٢٦-01-01T10:00:00Z", None),
        ("", None),
    ],
)
def test_a_time_is_read_or_none(text, seconds):
    assert unix_time(text) == (None if seconds is None else pytest.approx(seconds))


def test_each_point_has_its_own_time():
    one, other = "<time>2026-01-01T10:00:00Z</time>", "<time>2026-01-01T10:00:04Z</time>"
    assert times(one, "", other, "<extensions><time>2026-01-01T10:00:04Z</time></extensions>") == [
        1767261600, None, 1767261604, None
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ((HEAD + ROOT + track(GOOD))[:-25], "not all of one"),
        (HEAD + ROOT + track(GOOD) + "<more/>", "no GPX"),
        ("<html><body>404</body></html>", "begins with <html>"),
        ('<kml xmlns="http://www.opengis.net/kml/2.2"><Placemark/></kml>', "begins with <kml>"),
        ("<gpx></gpx>", "no point"),
        (ROOT + "<trk><trkseg/></trk></gpx>", "no point"),
        ("", "no GPX"),
        ("no xml", "no GPX"),
        (HEAD.replace("UTF-8", "x-unconfirmed-of") + ROOT + track(GOOD), "no GPX"),
        ('<!DOCTYPE gpx [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + ROOT + track(GOOD), "entities"),
        ('<!DOCTYPE gpx [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + ROOT + track(GOOD), "entities"),
    ],
)
def test_what_is_no_gpx_or_has_no_point_is_said(document, why):
    with pytest.raises(ConfigError, match=why):
        read(document)


def test_there_is_an_end_to_its_points(monkeypatch):
    monkeypatch.setattr(gpx, "MOST_POINTS", 3)
    with pytest.raises(ConfigError, match="more than 3 points"):
        read(ROOT + track(*[point(1, 2)] * 4))
