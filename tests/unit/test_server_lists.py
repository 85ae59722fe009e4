"""SERVER_LIST: the whole directory in several messages, and what is different from before."""

import pytest

from parley.shared.addresses import Endpoint, Mark, Server
from parley.shared.discovery.server_lists import PER_MESSAGE, ServerListChange, encode_change, read_change
from parley.shared.wire.framing import FrameReader
from parley.shared.wire.messages import decode, pb

OWN = [pb.Endpoint(feature="MESSAGES", port=6666)]
LIMIT = 2 * 1024 * 1024


def server(number, mark=None):
    return Server(f"s{number}", {"MESSAGES": (Endpoint("10.0.0.2", 6666, 0, answered=True),)}, mark)


def sent(change):
    frames = [frame for raw in encode_change(change, OWN) for frame in FrameReader(LIMIT).feed(raw)]
    return [read_change(decode(frame, pb.ServerList)) for frame in frames]


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_change_arrives_as_it_was_sent(is_whole):
    change = ServerListChange((server(1, Mark("1.0", "abc", 3)), server(2)), ("gone",), is_whole)
    (came,) = sent(change)
    assert came == change
    assert [s.mark for s in came.servers] == [Mark("1.0", "abc", 3), None]
    assert all(e.answered for s in came.servers for e in s.endpoints("MESSAGES"))


def test_a_whole_directory_comes_in_several_messages_of_which_the_first_is_the_beginning():
    servers = tuple(server(n) for n in range(2 * PER_MESSAGE + 1))
    came = sent(ServerListChange(servers))
    assert [c.is_whole for c in came] == [True, False, False]
    assert tuple(s for c in came for s in c.servers) == servers


def test_an_empty_directory_is_told_too():
    (came,) = sent(ServerListChange(()))
    assert came == ServerListChange(())


def test_the_largest_directory_fits_into_frames():
    places = {
        f"{'F' * 60}{n}": tuple(Endpoint(f"203.0.113.{host}", 65535, 65535) for host in range(8)) for n in range(16)
    }
    servers = tuple(Server(f"{'n' * 250}{n}", places) for n in range(PER_MESSAGE))
    assert all(len(raw) < LIMIT for raw in encode_change(ServerListChange(servers), OWN))


def test_an_older_discoverys_list_is_whole():
    assert read_change(pb.ServerList()) == ServerListChange((), ())
