"""What the status page shows of what is known, and that whatever came from the network is text on it."""

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from parley.services.discovery.directory.directory import Directory
from parley.services.discovery.metrics import Report
from parley.services.discovery.status_page import page
from parley.services.discovery.status_page.picture import NARROW, WIDE, picture
from parley.services.discovery.status_page.view import AMONG, DOWN, LINKED, PARTLY, view
from parley.shared.addresses import Endpoint, Mark, Server
from parley.shared.http.event_streams import READERS, Events
from parley.shared.wire.messages import FEATURES, pb

NOW = 100.0
HOSTILE = "<script>alert(1)</script>\"'&]]>"


def server(name, *features, host="10.0.0.2"):
    return Server(name, {feature: (Endpoint(host, 6666),) for feature in features or FEATURES})


def marked(name):
    return Server(name, server(name).features, Mark("1.0", "i", 1))


def directory(*servers, linked=None):
    made = Directory(60.0, 5.0)
    for each in servers:
        made.heard(each, NOW - 1, relayed=False, linked=(linked or {}).get(each.server_id))
    return made


def report(feature, *linked, dialling=(), at=NOW):
    links = [pb.LinkState(serverId=name, linked=True, age=5.0, rtt=0.002) for name in linked]
    links += [pb.LinkState(serverId=name, lastError=error) for name, error in dialling]
    return Report(feature, tuple(links), at)


def seen(known, reports, offered=FEATURES):
    return view("alpha", known, offered, reports, NOW)


def states(shown):
    return {(edge.one, edge.other): edge.state for edge in shown.edges}


def test_two_servers_are_linked_where_every_feature_that_both_offer_is():
    known = directory(server("beta"), server("gamma", "MESSAGES"))
    reports = [
        report("MESSAGES", "beta", "gamma"),
        report("TYPING_INDICATOR", "beta"),
        report("LIVE_LOCATION", "beta"),
    ]
    assert states(seen(known, reports)) == {("alpha", "beta"): LINKED, ("alpha", "gamma"): LINKED}


@pytest.mark.parametrize(
    ("reports", "state"),
    [
        ([report("MESSAGES", "beta"), report("TYPING_INDICATOR", dialling=[("beta", "refused")])], PARTLY),
        ([report("MESSAGES", dialling=[("beta", "refused")])], DOWN),
        ([report("MESSAGES", "beta")], PARTLY),
        ([], DOWN),
    ],
)
def test_what_is_missing_is_told(reports, state):
    (edge,) = seen(directory(server("beta")), reports).edges
    assert edge.state == state
    assert set(edge.missing) == set(FEATURES) - {r.feature for r in reports if r.linked}


def test_a_link_to_a_server_that_is_not_heard_is_shown_too():
    shown = seen(directory(), [report("MESSAGES", "beta")])
    assert [node.server_id for node in shown.nodes] == ["alpha", "beta"]
    assert states(shown) == {("alpha", "beta"): LINKED}


def test_links_between_others_are_what_both_announce():
    def told(*names):
        return {feature: frozenset(names) for feature in FEATURES}

    both = directory(
        server("beta"), server("gamma"), linked={"beta": told("alpha", "gamma"), "gamma": told("alpha", "beta")}
    )
    assert states(seen(both, []))["beta", "gamma"] == LINKED
    denied = directory(
        server("beta"), server("gamma"), linked={"beta": told("alpha", "gamma"), "gamma": told("alpha")}
    )
    assert states(seen(denied, []))["beta", "gamma"] == DOWN
    silent = directory(server("beta"), server("gamma"))
    assert ("beta", "gamma") not in states(seen(silent, []))
    one_tells = directory(server("beta"), server("gamma"), linked={"beta": told("gamma")})
    assert states(seen(one_tells, []))["beta", "gamma"] == LINKED


def test_between_another_and_a_server_that_is_no_parley_no_link_is_missed():
    told = {"beta": {"MESSAGES": frozenset({"delta"}), "TYPING_INDICATOR": frozenset({"alpha"})}}
    known = directory(server("beta"), server("old"), server("delta"), marked("fresh"), linked=told)
    between = states(seen(known, []))
    assert ("beta", "old") not in between
    assert between["beta", "delta"] == LINKED
    assert between["beta", "fresh"] == DOWN, "a Parley without a link yet"


def test_ages_go_on_after_the_report():
    (link,) = seen(directory(server("beta")), [report("MESSAGES", "beta", at=NOW - 3)]).links
    assert link.age == 8.0


def test_a_feature_without_a_process_is_told():
    shown = seen(directory(), [], offered=("MESSAGES",))
    assert shown.missing == ("TYPING_INDICATOR", "LIVE_LOCATION")
    assert "no process for typing, location" in page.live(shown)


def existing(name, why="it never dialled us", **more):
    return pb.LinkState(serverId=name, dialect="old-server", why=why, **more)


def test_a_server_that_is_only_known_is_no_missing_link():
    told = [Report(feature, (existing("beta", notDialled=True),), NOW) for feature in FEATURES]
    shown = seen(directory(server("beta")), told)
    assert states(shown) == {}
    assert [link.state for link in shown.links] == ["known"] * 3
    assert [each["state"] for each in told[0].as_json(NOW)] == ["known"]


def test_one_that_is_known_for_a_feature_is_linked_where_all_others_are():
    told = [report("MESSAGES", "beta"), Report("TYPING_INDICATOR", (existing("beta", notDialled=True),), NOW)]
    shown = seen(directory(server("beta", "MESSAGES", "TYPING_INDICATOR")), told)
    assert states(shown) == {("alpha", "beta"): LINKED}


def test_each_dialect_is_told_with_its_reason_once_for_all_processes_that_say_so():
    told = [
        Report("MESSAGES", (existing("beta", linked=True),), NOW),
        Report("TYPING_INDICATOR", (existing("beta", HOSTILE),), NOW),
        Report("LIVE_LOCATION", (existing("beta"), pb.LinkState(serverId="older")), NOW),
    ]
    shown = seen(directory(), told)
    assert [(each.server_id, each.dialect, each.why, each.features) for each in shown.dialects] == [
        ("beta", "old-server", HOSTILE, ("TYPING_INDICATOR",)),
        ("beta", "old-server", "it never dialled us", ("MESSAGES", "LIVE_LOCATION")),
    ]
    text = Reader(page.live(shown)).text
    assert "it never dialled us" in text
    assert HOSTILE in text
    assert told[0].as_json(NOW)[0]["dialect"] == "old-server"
    assert told[0].as_json(NOW)[0]["why"] == "it never dialled us"


# On the page --------------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """Which elements there are, and the text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text = set(), set(), ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def hostile():
    known = directory(server(HOSTILE, "MESSAGES", HOSTILE, host=HOSTILE), server("beta"))
    reports = [report("MESSAGES", HOSTILE, dialling=[("beta", HOSTILE)])]
    return view("alpha", known, FEATURES, reports, NOW)


def test_names_addresses_features_and_errors_of_others_are_text(hostile):
    harmless = Reader(page.live(seen(directory(server("beta", "MESSAGES", "x")), [report("MESSAGES", "beta")])))
    shown = Reader(page.live(hostile))
    assert shown.tags == harmless.tags
    assert shown.attributes == harmless.attributes
    assert shown.text.count(HOSTILE) >= 4


def test_the_picture_is_well_formed_whatever_the_names_are(hostile):
    ET.fromstring(picture(hostile, NARROW))
    svg = ET.fromstring(picture(hostile))
    names = {element.get("data-node") for element in svg.iter("g")}
    assert names == {"alpha", "beta", HOSTILE}


def test_the_whole_page_has_no_script_nor_style_in_it(hostile):
    text = page.page(hostile, "1.0").decode()
    assert re.findall(r"<script[^>]*>", text) == ['<script src="/page.js" defer>']
    assert "<style" not in text
    assert ' style="' not in text
    assert "http://" not in text.replace("http://www.w3.org", "")


def test_pairs_between_others_do_not_grow_with_the_square_of_the_servers():
    """Each of a thousand says that it is linked with a hundred others."""
    told = {feature: frozenset(f"s{n:03}" for n in range(100)) for feature in FEATURES}
    servers = [server(f"s{n:03}", host=f"10.0.{n // 250}.{n % 250}") for n in range(1000)]
    known = directory(*servers, linked={each.server_id: told for each in servers})
    known.set_linked("chat", ["s900", "s901"])
    shown = states(seen(known, []))
    assert len(shown) == 1000 + AMONG * (AMONG - 1) // 2
    assert ("s900", "s901") in shown, "first those that are linked with us"


def test_many_servers_are_a_table_and_not_all_of_them_in_the_picture():
    known = directory(*(server(f"s{n:03}", host=f"10.0.{n // 250}.{n % 250}") for n in range(1000)))
    shown = page.live(seen(known, []))
    assert shown.count("data-node=") == WIDE.most + NARROW.most
    assert "… and 501 more." in shown


def test_an_error_is_dated_and_of_a_link_that_stands_it_is_over():
    links = [
        pb.LinkState(serverId="beta", linked=True, age=5.0, lastError="closed: lost", errorAge=600.0),
        pb.LinkState(serverId="gamma", lastError="no answer to CONNECT", errorAge=3.0),
        pb.LinkState(serverId="delta", linked=True, age=5.0),
    ]
    told = Report("MESSAGES", tuple(links), NOW - 2.0)
    assert [
        (each["server_id"], each["last_error"], each["last_error_seconds_ago"]) for each in told.as_json(NOW)
    ] == [
        ("beta", "closed: lost", 602.0),
        ("gamma", "no answer to CONNECT", 5.0),
        ("delta", "", None),
    ]
    shown = page.live(seen(directory(), [told]))
    assert '<td data-head="Last error">10 min ago: closed: lost</td>' in shown
    assert '<td data-head="Last error">5 s ago: no answer to CONNECT</td>' in shown
    assert '<td data-head="Last error"></td>' in shown


def test_on_a_narrow_screen_each_server_has_room_for_its_words():
    """A circle of eight boxes, none over another's edge or out of the picture."""
    known = directory(*(server(f"{'s' * 30}{n}") for n in range(7)))
    for frame in (NARROW, WIDE):
        svg = ET.fromstring(picture(seen(known, []), frame))
        boxes = [each for each in svg.iter() if each.tag.endswith("rect")]
        assert len(boxes) == 8
        for box in boxes:
            x, y, width, height = (float(box.get(key)) for key in ("x", "y", "width", "height"))
            assert 0 <= x <= frame.width - width
            assert 0 <= y <= frame.height - height
        names = [each.text for each in svg.iter() if each.get("class") == "name"]
        assert max(map(len, names)) == frame.longest


def test_a_server_that_is_alone_is_in_the_middle():
    assert 'x="380.0"' in picture(seen(directory(), []))


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (2e5, "2 d")]
)
def test_durations_are_rough(seconds, words):
    assert page.ago(seconds) == words


# Events ---------------------------------------------------------------------------------------------------


def test_each_reader_is_told_the_present_at_once_and_each_change_until_they_go():
    events, told = Events(lambda: "now"), []
    leave = events.stream().join(told.append)
    events.send("line one\nline two")
    leave()
    events.send("later")
    lines = [line for line in b"".join(told).decode().splitlines() if line.startswith("data: ")]
    assert [json.loads(line.removeprefix("data: ")) for line in lines] == ["now", "line one\nline two"]


def test_there_is_an_end_to_readers():
    events = Events(lambda: "")
    leaves = []
    for n in range(READERS):
        assert not events.is_full
        leaves.append(events.stream().join(lambda _data, _n=n: None))
    assert events.is_full
    leaves[0]()
    assert not events.is_full


def test_a_server_that_offers_less_than_the_others_says_so():
    shown = picture(seen(directory(server("beta", "MESSAGES")), [report("MESSAGES", "beta")]))
    assert "no typing, location" in shown
    assert shown.count("lacking") == 1
