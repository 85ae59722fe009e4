"""SERVER_ANNOUNCE: what is written, what is read, and how several become one server."""

import pytest

from parley.shared.addresses import MAX_ID, Endpoint, Server, User
from parley.shared.discovery.announcements import encode_announcement, merge, our_mark, read_announcement
from parley.shared.discovery.nonces import Nonces, encode_request
from parley.shared.discovery.server_lists import read_server_list, write_server_list
from parley.shared.errors import ConfigError, MalformedMessage
from parley.shared.wire.framing import MAX_DATAGRAM, Frame, encode_frame, read_datagram
from parley.shared.wire.messages import encode, pb

HERE = "192.0.2.1"
THERE = "192.0.2.2"
ALL = [
    pb.Endpoint(feature="MESSAGES", port=6666),
    pb.Endpoint(feature="TYPING_INDICATOR", port=7777, udpPort=7778),
    pb.Endpoint(feature="LIVE_LOCATION", port=8888, udpPort=8889),
]


def announcement(server_id="alpha", *features):
    """A frame, from (featureName, port, udpPort)."""
    message = pb.ServerAnnounce(serverId=server_id)
    for name, port, udp_port in features:
        message.feature.add(featureName=name, port=port, udpPort=udp_port)
    return read_datagram(encode("SERVER_ANNOUNCE", message))


def test_a_request_has_a_nonce_and_is_as_long_as_a_datagram_where_it_leaves_our_networks():
    near = read_datagram(encode_request(b"abc"))
    far = encode_request(b"0123456789abcdef", is_padded=True)
    assert pb.DiscoverServer.FromString(near.payload) == pb.DiscoverServer(nonce=b"abc")
    assert pb.DiscoverServer.FromString(read_datagram(far).payload).nonce == b"0123456789abcdef"
    assert MAX_DATAGRAM - 2 <= len(far) <= MAX_DATAGRAM


def test_no_request_ends_in_a_line_feed_that_existing_programs_strip():
    for datagram in (encode_request(Nonces().issue(("", 0), 0.0)), encode_request(b"0", is_padded=True)):
        assert read_datagram(datagram).payload[-1:] != b"\n"


def test_what_is_announced_is_read_with_the_datagrams_source_as_its_address():
    server = read_announcement(read_datagram(encode_announcement("alpha", ALL)), HERE)
    assert server == Server(
        "alpha",
        {
            "MESSAGES": (Endpoint(HERE, 6666),),
            "TYPING_INDICATOR": (Endpoint(HERE, 7777, 7778),),
            "LIVE_LOCATION": (Endpoint(HERE, 8888, 8889),),
        },
    )


def test_an_announcement_is_to_the_byte_what_an_existing_server_sends():
    recorded = "5345525645525f414e4e4f554e4345203231200a0462657461120d0a084d455353414745531094340a"
    assert encode_announcement("beta", [pb.Endpoint(feature="MESSAGES", port=6676)]).hex() == recorded


def test_an_existing_program_is_told_nothing_of_ours():
    """It asks without a nonce."""
    ours = encode_announcement(
        "beta", ALL, {"MESSAGES": ["alpha"]}, mark=our_mark("1.0", "i"), nonce=b"", ask=b"asked in turn"
    )
    assert ours == encode_announcement("beta", ALL)
    read_back = pb.ServerAnnounce.FromString(read_datagram(ours).payload)
    assert (read_back.HasField("mark"), read_back.ask, [list(f.linked) for f in read_back.feature]) == (
        False,
        b"",
        [[]] * len(ALL),
    )
    answer = encode_announcement("beta", ALL, {"MESSAGES": ["alpha"]}, mark=our_mark("1.0", "i"), nonce=b"n")
    read_back = pb.ServerAnnounce.FromString(read_datagram(answer).payload)
    assert (read_back.HasField("mark"), list(read_back.feature[0].linked)) == (True, ["alpha"])


def test_no_announcement_for_an_existing_program_ends_in_a_line_feed_that_it_strips():
    for port in range(1, 65536):
        endpoints = [pb.Endpoint(feature="MESSAGES", port=6666), pb.Endpoint(feature="X", port=1, udpPort=port)]
        announced = pb.ServerAnnounce(serverId="beta")
        announced.feature.add(featureName="MESSAGES", port=6666)
        announced.feature.add(featureName="X", port=1, udpPort=port)
        payload = read_datagram(encode_announcement("beta", endpoints)).payload
        assert not payload.endswith(b"\n")
        if port % 128 == 0:
            assert pb.ServerAnnounce.FromString(payload) == announced


def test_an_announcement_never_says_which_address_it_is_from():
    ours = encode_announcement("alpha", [pb.Endpoint(feature="MESSAGES", host=HERE, port=6666)])
    assert ours == encode_announcement("alpha", [pb.Endpoint(feature="MESSAGES", port=6666)])


def test_an_announcement_of_all_features_fits_a_datagram():
    assert len(encode_announcement("a" * 63, ALL)) <= MAX_DATAGRAM


def test_a_server_without_features_is_one():
    assert read_announcement(announcement("alpha"), HERE) == Server("alpha", {})


def test_features_that_parley_does_not_have_are_kept():
    server = read_announcement(announcement("alpha", ("TRANSLATION", 5555, 0), ("documents", 5556, 0)), HERE)
    assert server.endpoints("documents") == (Endpoint(HERE, 5556),)
    assert server.endpoints("MESSAGES") == ()


@pytest.mark.parametrize("ports", [(1, 0), (65535, 65535)])
def test_ports_at_their_limits_are_read(ports):
    (endpoint,) = read_announcement(announcement("alpha", ("MESSAGES", *ports)), HERE).endpoints("MESSAGES")
    assert (endpoint.port, endpoint.udp_port) == ports


NOT_ANNOUNCING = {
    "no name": announcement(""),
    "no name but a feature": announcement("", ("MESSAGES", 6666, 0)),
    "port 0": announcement("alpha", ("MESSAGES", 0, 0)),
    "port 65536": announcement("alpha", ("MESSAGES", 65536, 0)),
    "udp port 65536": announcement("alpha", ("TYPING_INDICATOR", 7777, 65536)),
    "no port for the second": announcement("alpha", ("MESSAGES", 6666, 0), ("TYPING_INDICATOR", 0, 7778)),
    "empty": read_datagram(encode_frame("SERVER_ANNOUNCE")),
    "no protobuf": read_datagram(encode_frame("SERVER_ANNOUNCE", b"\xff")),
    "no text": read_datagram(encode_frame("SERVER_ANNOUNCE", b"\x0a\x01\xff")),
}


@pytest.mark.parametrize("frame", NOT_ANNOUNCING.values(), ids=NOT_ANNOUNCING.keys())
def test_an_announcement_of_nobody_or_of_no_port_is_malformed(frame):
    with pytest.raises(MalformedMessage):
        read_announcement(frame, HERE)


def test_an_announcement_cut_short_never_becomes_another():
    whole = announcement("alpha", ("MESSAGES", 6666, 0), ("TYPING_INDICATOR", 7777, 7778)).payload
    for size in range(len(whole)):
        frame = Frame("SERVER_ANNOUNCE", encode_frame("SERVER_ANNOUNCE", whole[:size]), len("SERVER_ANNOUNCE n "))
        try:
            assert read_announcement(frame, HERE).server_id == "alpha"
        except MalformedMessage:
            continue


# Merging --------------------------------------------------------------------------------------------------


def server(server_id="alpha", **features):
    return Server(server_id, features)


def test_a_server_heard_first_is_as_it_was_heard():
    servers = {}
    merge(servers, server(MESSAGES=(Endpoint(HERE, 1),)))
    assert servers == {"alpha": server(MESSAGES=(Endpoint(HERE, 1),))}


def test_a_server_heard_at_two_addresses_is_one_with_the_first_address_first():
    servers = {}
    merge(servers, server(MESSAGES=(Endpoint(HERE, 1),)))
    merge(servers, server(MESSAGES=(Endpoint(THERE, 1),)))
    merge(servers, server(MESSAGES=(Endpoint(HERE, 1),)))
    assert servers == {"alpha": server(MESSAGES=(Endpoint(HERE, 1), Endpoint(THERE, 1)))}


def test_features_announced_by_several_processes_come_together():
    servers = {}
    merge(servers, server(MESSAGES=(Endpoint(HERE, 1),)))
    merge(servers, server(TYPING_INDICATOR=(Endpoint(THERE, 2, 3),)))
    merge(servers, server())
    assert servers["alpha"].features == {
        "MESSAGES": (Endpoint(HERE, 1),),
        "TYPING_INDICATOR": (Endpoint(THERE, 2, 3),),
    }


def test_servers_stay_in_the_order_in_which_they_were_first_heard():
    servers = {}
    for name in ("gamma", "alpha", "beta", "gamma", "alpha"):
        merge(servers, server(name, MESSAGES=(Endpoint(HERE, 1),)))
    assert list(servers) == ["gamma", "alpha", "beta"]


def test_merging_changes_no_server_that_somebody_holds():
    servers = {}
    merge(servers, server(MESSAGES=(Endpoint(HERE, 1),)))
    held = servers["alpha"]
    merge(servers, server(MESSAGES=(Endpoint(THERE, 1),)))
    assert held.endpoints("MESSAGES") == (Endpoint(HERE, 1),)


# SERVER_LIST and addresses -----------------------------------------------------------------------------------


def test_a_server_list_is_read_as_it_was_written():
    servers = (
        server("beta", MESSAGES=(Endpoint(THERE, 1), Endpoint(HERE, 2)), LIVE_LOCATION=(Endpoint(THERE, 3, 4),)),
        server("alpha"),
    )
    message = write_server_list(servers, ALL)
    assert read_server_list(pb.ServerList.FromString(message.SerializeToString())) == servers
    assert list(message.own) == ALL


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ("alice@alpha", User("alice", "alpha")),
        (" alice@alpha\n", User("alice", "alpha")),
        ("a@b@alpha", User("a@b", "alpha")),
        ("élise b@alpha", User("élise b", "alpha")),
    ],
)
def test_an_address_is_user_and_server(text, user):
    assert User.parse(text) == user
    assert User.parse(str(user)) == user
    assert User.of(user.to_pb()) == user


@pytest.mark.parametrize("text", ["", "alice", "@alpha", "alice@", "@", " @ "])
def test_what_is_no_address_is_told(text):
    with pytest.raises(ConfigError, match="write USER@SERVER"):
        User.parse(text)


@pytest.mark.parametrize(
    ("user", "is_complete"),
    [
        (User("a", "b"), True),
        (User("", "b"), False),
        (User("a", ""), False),
        (User("a" * MAX_ID, "b" * MAX_ID), True),
        (User("a" * (MAX_ID + 1), "b"), False),
        (User("a", "b" * (MAX_ID + 1)), False),
    ],
)
def test_who_may_connect_has_both_names_and_no_absurd_one(user, is_complete):
    assert user.is_complete is is_complete
