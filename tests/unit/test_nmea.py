"""NMEA 0183: which sentences tell a place, and when it was measured."""

import pytest

from parley.client.positions.nmea import Timeline, is_sentence, parse_sentence


def sentence(body):
    checksum = 0
    for character in body:
        checksum ^= ord(character)
    return f"${body}*{checksum:02X}"


RMC = "$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A"


@pytest.mark.parametrize(
    "body",
    [
        "GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W",
        "GNRMC,123519.00,A,4807.038,N,01131.000,E,,,230326,,,A,V",
        "GLGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,",
        "BDGLL,4807.038,N,01131.000,E,123519,A,A",
        "GNGNS,123519.00,4807.038,N,01131.000,E,ANNN,08,0.9,545.4,46.9,,,V",
    ],
)
def test_a_sentence_of_any_satellites_tells_a_place(body):
    found = parse_sentence(sentence(body))
    assert (round(found.latitude, 4), round(found.longitude, 4)) == (48.1173, 11.5167)
    assert found.time == 12 * 3600 + 35 * 60 + 19


def test_south_and_west_are_negative():
    found = parse_sentence(sentence("GPGLL,3352.000,S,07030.000,W,000000,A"))
    assert (round(found.latitude, 4), found.longitude) == (-33.8667, -70.5)


@pytest.mark.parametrize(
    "line",
    [
        RMC[:-1] + "B",
        RMC[:-3],
        RMC.replace("4807.038", "4817.038"),
        RMC[3:],
        RMC + RMC,
        sentence("GPRMC,123519,V,4807.038,N,01131.000,E,,,230394,,"),
        sentence("GPGGA,123519,4807.038,N,01131.000,E,0,00,,,M,,M,,"),
        sentence("GPGGA,123519,4807.038,N,01131.000,E,,00,,,M,,M,,"),
        sentence("GNGNS,123519,4807.038,N,01131.000,E,NN,00,,,,,"),
        sentence("GPGLL,,,,,123519,A"),
        sentence("GPGLL,4807.038,N,01131.000,E"),
        sentence("GPGLL,4807.038,,01131.000,E,123519,A"),
        sentence("GPGLL,4807.038,N,01131.000,N,123519,A"),
        sentence("GPGLL,4875.000,N,01131.000,E,123519,A"),
        sentence("GPGLL,9000.001,N,01131.000,E,123519,A"),
        sentence("GPGLL,4807.038,N,18000.001,E,123519,A"),
        sentence("GPGLL,48.117,N,11.516,E,123519,A"),
        sentence("GPGLL,-807.038,N,01131.000,E,123519,A"),
        sentence("GPGLL,٤٨٠٧.038,N,01131.000,E,123519,A"),
        sentence("GPGSV,1,1,00"),
        "$GPRMC*4B",
        "$",
        "",
    ],
)
def test_what_is_damaged_or_without_a_fix_tells_none(line):
    assert parse_sentence(line) is None


def test_a_sentence_of_another_kind_is_whole_all_the_same():
    assert is_sentence(sentence("GPGSV,1,1,00"))
    assert not is_sentence("$GPGSV,1,1,00*00")


def told(*bodies):
    timeline = Timeline()
    found = [timeline.at(parse_sentence(sentence(body))) for body in bodies]
    return [at - found[0] for at in found]


def rmc(time, date=""):
    return f"GPRMC,{time},A,4807.038,N,01131.000,E,,,{date},,"


def gga(time):
    return f"GPGGA,{time},4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,"


@pytest.mark.parametrize(
    ("bodies", "seconds"),
    [
        ([rmc("120000", "281126"), gga("120000"), gga("120000.5"), rmc("120001", "281126")], [0, 0, 0.5, 1]),
        ([gga("235959"), gga("000001")], [0, 2]),
        ([rmc("235959", "311226"), gga("000000"), gga("000001"), rmc("000002", "010127")], [0, 1, 2, 3]),
        ([gga("235959"), rmc("000001", "010127"), gga("000002"), gga("000001")], [0, 2, 3, 2]),
        ([rmc("120000", "281126"), rmc("110000", "301126")], [0, 2 * 86400 - 3600]),
        ([rmc("120000", "281126"), rmc("", "281126"), rmc("120002", "281126")], [0, 0, 2]),
        (
            [rmc("120000", "281126"), rmc("120001", "991399"), rmc("250000", ""), rmc("120002", "281126")],
            [0, 1, 1, 2],
        ),
        ([rmc("120000", "060180"), rmc("120000", "070180")], [0, 86400]),
        ([rmc("120000", "311299"), rmc("120000", "010100")], [0, 86400]),
    ],
)
def test_time_goes_on_over_midnight_and_whichever_sentences_tell_it(bodies, seconds):
    assert told(*bodies) == pytest.approx(seconds)


def test_without_times_there_is_none():
    assert Timeline().at(parse_sentence(sentence(gga("")))) is None
