"""Visitors here and our users' clients elsewhere: who is told by whom, and within which bounds."""

from types import SimpleNamespace

import pytest

from parley.shared.addresses import User
from parley.shared.link.events import Identity
from parley.shared.soft_state.visitors import elsewhere
from parley.shared.soft_state.visitors.elsewhere import CLIENTS, DATAGRAMS, ClientsElsewhere
from parley.shared.soft_state.visitors.here import IN_A_FRAME, VisitorsHere, takes_visitors
from parley.shared.soft_state.visitors.visits import Visits
from parley.shared.spellings import Spellings
from parley.shared.wire.capabilities import OURS, PIECES, VISITORS
from parley.shared.wire.framing import FrameReader
from parley.shared.wire.messages import REGISTRY, decode, encode, pb

ALICE, ANN = User("alice", "alpha"), User("ann", "alpha")


class Peer:
    """A link with a server."""

    def __init__(self, peer_id, capabilities=OURS, *, is_parley=True):
        self.peer_id = peer_id
        self.is_parley = is_parley
        self.identity = Identity(server_id=peer_id, capabilities=capabilities)
        self.writable = True
        self.sent = []

    def send(self, raw):
        self.sent += FrameReader(1 << 20).feed(raw)

    def taken(self, name):
        """The payloads of that name that were sent since the last time."""
        found = [decode(frame, REGISTRY[name]) for frame in self.sent if frame.name == name]
        self.sent = [frame for frame in self.sent if frame.name != name]
        return found


class Client:
    """A subscriber's link."""

    remote_host = "127.0.0.1"

    def __init__(self, number, user=ALICE, *, is_parley=False):
        self.link_id = number
        self.identity = Identity(user=user)
        self.is_parley = is_parley
        self.logged_faults = frozenset()


def numbers(visitors):
    return [visitor.client for each in visitors for visitor in each.here]


@pytest.mark.parametrize(
    ("capabilities", "is_parley", "takes"),
    [(OURS, True, True), (VISITORS, True, True), (PIECES, True, False), (0, True, False), (OURS, False, False)],
)
def test_the_names_go_to_a_parley_that_announced_that_it_has_them(capabilities, is_parley, takes):
    assert takes_visitors(Peer("alpha", capabilities, is_parley=is_parley)) is takes


# Here ---------------------------------------------------------------------------------------------------


def test_a_home_learns_who_is_here_whoever_came_first():
    here, alpha = VisitorsHere(), Peer("Alpha")
    early, late = Client(1), Client(2, ANN, is_parley=True)
    assert not here.arrived(early)
    assert here.linked(alpha) == [early]
    assert here.arrived(late)
    [first, second] = [visitor for each in alpha.taken("VISITORS") for visitor in each.here]
    assert (User.of(first.user), first.client, first.isParley) == (ALICE, 1, False)
    assert (User.of(second.user), second.client, second.isParley) == (ANN, 2, True)
    assert here.home_of(early) is here.home_of(late) is alpha
    assert len(here) == 2


def test_a_home_learns_who_has_left():
    here, alpha, client = VisitorsHere(), Peer("alpha"), Client(1)
    here.linked(alpha)
    here.arrived(client)
    alpha.sent.clear()
    here.left(client)
    here.left(client)
    assert [list(each.gone) for each in alpha.taken("VISITORS")] == [[1]]
    assert here.home_of(client) is None
    assert here.linked(Peer("alpha")) == []


def test_a_home_learns_who_is_on_a_link_and_who_missed_something():
    here, alpha = VisitorsHere(), Peer("alpha")
    on_link, other = Client(1), Client(2)
    on_link.identity = Identity(user=ALICE, events_on_link=True)
    here.linked(alpha)
    here.arrived(on_link)
    here.arrived(other)
    visitors = [visitor for each in alpha.taken("VISITORS") for visitor in each.here]
    assert [(visitor.client, visitor.onLink) for visitor in visitors] == [(1, True), (2, False)]
    here.named_again(on_link)
    assert numbers(alpha.taken("VISITORS")) == [1]
    here.left(on_link)
    alpha.sent.clear()
    here.named_again(on_link)
    assert alpha.sent == []


def test_who_was_told_over_a_link_is_told_here_when_it_is_over():
    here, before, after = VisitorsHere(), Peer("alpha"), Peer("alpha")
    client = Client(1)
    here.arrived(client)
    here.linked(before)
    assert here.unlinked(after) == []
    assert here.unlinked(before) == [client]
    assert here.unlinked(before) == []
    assert here.home_of(client) is None
    assert here.linked(after) == [client]


def test_a_refused_client_is_told_here_until_the_next_link():
    here, alpha, other = VisitorsHere(), Peer("alpha"), Peer("gamma")
    client = Client(1)
    here.linked(alpha)
    here.linked(other)
    here.arrived(client)
    assert here.refused(other, [1]) == []
    assert here.refused(alpha, [1, 1, 7]) == [client]
    assert here.home_of(client) is None
    assert here.served_over(alpha, [1]) == []
    here.left(client)
    assert not any(each.gone for each in alpha.taken("VISITORS"))


def test_a_home_reaches_its_own_visitors_each_once():
    here, alpha, gamma = VisitorsHere(), Peer("alpha"), Peer("gamma")
    here.linked(alpha)
    here.linked(gamma)
    one, other = Client(1), Client(2, User("zoe", "gamma"))
    here.arrived(one)
    here.arrived(other)
    assert here.served_over(alpha, [2, 1, 1, 9]) == [one]
    assert here.served_over(gamma, [2, 1]) == [other]


def test_very_many_visitors_are_announced_in_frames_that_are_not_too_large():
    here, alpha = VisitorsHere(), Peer("alpha")
    name = "\U0001f600" * 255
    for number in range(3 * IN_A_FRAME + 1):
        here.arrived(Client(number, User(f"{name}", "alpha")))
    here.linked(alpha)
    assert max(len(frame.raw) for frame in alpha.sent) < 64 * 1024
    assert numbers(alpha.taken("VISITORS")) == list(range(3 * IN_A_FRAME + 1))


# Elsewhere ------------------------------------------------------------------------------------------------


@pytest.fixture
def flushes():
    return []


@pytest.fixture
def clients(flushes):
    return ClientsElsewhere(lambda: flushes.append(1))


def test_each_client_elsewhere_has_a_number_of_its_own(clients):
    beta, gamma = Peer("beta"), Peer("gamma")
    found = [clients.arrived(link, 1, ALICE, is_parley=True) for link in (beta, gamma)]
    assert len({client.link_id for client in found}) == 2
    assert all(client.link_id < 0 for client in found)
    assert [clients.of(link, 1) for link in (beta, gamma)] == found
    assert clients.of(Peer("beta"), 1) is None
    assert [client.remote_host for client in found] == ["beta", "gamma"]
    assert clients.left(beta, 1) is found[0]
    assert clients.left(beta, 1) is None
    assert clients.unlinked(gamma) == [found[1]]
    assert len(clients) == 0


def test_no_server_has_more_than_its_share_and_all_together_no_more_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(elsewhere, "MOST", 8)
    monkeypatch.setattr(elsewhere, "SHARE", 0.5)
    clients = ClientsElsewhere(lambda: None)
    beta, gamma, delta = Peer("beta"), Peer("gamma"), Peer("delta")
    for link, room in ((beta, 4), (gamma, 4), (delta, 0)):
        came = [clients.arrived(link, number, ALICE, is_parley=False) for number in range(6)]
        assert [client is not None for client in came] == [True] * room + [False] * (6 - room)
    clients.left(beta, 0)
    assert clients.arrived(delta, 1, ALICE, is_parley=False)
    clients.unlinked(gamma)
    assert clients.arrived(delta, 2, ALICE, is_parley=False)
    assert len(clients) == 5


def test_clients_that_get_the_same_share_a_frame(clients, flushes):
    beta, gamma = Peer("beta"), Peer("gamma")
    at_beta = [clients.arrived(beta, number, ALICE, is_parley=False) for number in (5, 6, 7)]
    at_gamma = clients.arrived(gamma, 5, ALICE, is_parley=False)
    for client in [*at_beta[:2], at_gamma]:
        clients.send(client, iter([b"one", b"two"]))
    clients.send(at_beta[2], [b"three"])
    assert flushes == [1]
    clients.flush()
    given = [(list(each.clients), list(each.datagrams)) for each in beta.taken("TO_VISITORS")]
    assert given == [([5, 6], [b"one", b"two"]), ([7], [b"three"])]
    assert [list(each.clients) for each in gamma.taken("TO_VISITORS")] == [[5]]
    clients.send(at_gamma, [b"four"])
    assert flushes == [1, 1]


def test_what_goes_to_very_many_is_split(clients):
    beta = Peer("beta")
    count = CLIENTS // 10
    found = [clients.arrived(beta, number, ALICE, is_parley=False) for number in range(count)]
    for client in found:
        clients.send(client, [b"x" * 1024] * (DATAGRAMS + 1))
    clients.flush()
    assert max(len(frame.raw) for frame in beta.sent) < 64 * 1024
    given = beta.taken("TO_VISITORS")
    assert [len(each.datagrams) for each in given] == [DATAGRAMS, 1]
    assert all(list(each.clients) == list(range(count)) for each in given)


def test_a_server_that_does_not_read_is_given_nothing_and_all_again_later(clients):
    beta = Peer("beta")
    client = clients.arrived(beta, 1, ALICE, is_parley=False)
    beta.writable = False
    clients.send(client, [b"one"])
    clients.flush()
    assert beta.sent == []
    beta.writable = True
    assert clients.caught_up(beta) == [client]
    assert clients.caught_up(beta) == []
    clients.send(client, [b"two"])
    clients.flush()
    assert [list(each.datagrams) for each in beta.taken("TO_VISITORS")] == [[b"two"]]


def test_what_is_for_a_link_that_is_over_goes_nowhere(clients):
    beta = Peer("beta")
    client = clients.arrived(beta, 1, ALICE, is_parley=False)
    clients.send(client, [b"one"])
    clients.unlinked(beta)
    clients.send(client, [b"two"])
    beta.writable = False
    clients.flush()
    assert beta.sent == []
    assert clients.caught_up(beta) == []


# Owned names --------------------------------------------------------------------------------------------


@pytest.fixture
def home():
    """A home of alice, whose name is owned, and the visits of its process. Its `tokens` are good."""
    owner = SimpleNamespace(
        server_id="alpha",
        spellings=Spellings(),
        guard=SimpleNamespace(counts=lambda *_: None),
        tokens={b"good"},
        clients={},
        may_subscribe=lambda _user: True,
        greet_in_turn=lambda _clients: None,
        handle_in_turn=lambda _link, entries: list(entries),
    )
    owner.refuses_visitor = lambda user, token: user == ALICE and token.signature not in owner.tokens
    owner.add_client = lambda client: owner.clients.setdefault(client.identity.user, []).append(client)
    owner.remove_client = lambda client: owner.clients[client.identity.user].remove(client)
    return owner, Visits(owner, lambda call: call())


def says(visits, link, user, number, signature=b""):
    visitor = pb.Visitor(user=user.to_pb(), client=number, token=pb.SessionToken(signature=signature))
    [frame] = FrameReader(1 << 20).feed(encode("VISITORS", pb.Visitors(here=[visitor])))
    assert visits.handle(link, frame)
    return [number for each in link.taken("VISITORS") for number in each.taken]


def test_a_server_that_only_says_that_an_owned_user_visits_it_is_told_nothing_for_that_user(home):
    owner, visits = home
    beta = Peer("beta")
    assert says(visits, beta, ALICE, 1) == [1]
    assert says(visits, beta, ALICE, 2, b"forged") == [2]
    assert visits.counts()["elsewhere"] == 0
    assert says(visits, beta, ALICE, 3, b"good") == says(visits, beta, ANN, 4) == []
    assert visits.counts()["elsewhere"] == 2
    assert [client.number for client in owner.clients[ALICE]] == [3]


def test_a_client_elsewhere_whose_device_is_revoked_has_to_go(home):
    owner, visits = home
    beta = Peer("beta")
    says(visits, beta, ALICE, 3, b"good")
    says(visits, beta, ANN, 4)
    visits.judge_again(owner.clients[ALICE] + owner.clients[ANN])
    assert visits.counts()["elsewhere"] == 2
    owner.tokens.clear()
    visits.judge_again(owner.clients[ALICE] + owner.clients[ANN])
    assert [list(each.taken) for each in beta.taken("VISITORS")] == [[3]]
    assert (visits.counts()["elsewhere"], owner.clients[ALICE]) == (1, [])
    assert says(visits, beta, ANN, 4) == []


def test_the_payloads_have_only_fields_of_ours():
    for kind in (pb.Visitor, pb.Visitors, pb.VisitorDatagrams):
        assert all(field.number >= 120 for field in kind.DESCRIPTOR.fields)
