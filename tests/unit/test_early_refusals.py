"""Which refusals over young links wait, for how long, and what becomes of them."""

import pytest

from parley.services.chat.message.early_refusals import MOST, OF_LINK, YOUNG, EarlyRefusals
from parley.services.chat.message.life import Envelope
from parley.shared.addresses import User


class Links:
    """Those with other servers: whose link would not yield, who asks to be linked, and who has yielded."""

    def __init__(self):
        self.stubborn, self.rivals, self.yielded = set(), set(), []

    def may_yield(self, server_id):
        return server_id not in self.stubborn

    def is_contested(self, server_id):
        return server_id in self.rivals

    def yield_to_rival(self, server_id):
        if server_id not in self.rivals or server_id in self.stubborn:
            return False
        self.stubborn.add(server_id)
        self.yielded.append(server_id)
        return True


class Desk:
    """Refusals that come in, and what is told of them; the link to beta was opened at 0."""

    def __init__(self):
        self.links = Links()
        self.told, self.soon = [], []
        self.searches = 0
        self.early = EarlyRefusals(
            self.links,
            report=lambda server_id, envelope: self.told.append((server_id, envelope.snowflake)),
            look_for=self._look_for,
            decide_soon=self.soon.append,
        )
        self.due = self.early.connected("beta", 0.0)

    def _look_for(self):
        self.searches += 1

    def refuse(self, number=1, server_id="beta"):
        """Whether it waits."""
        return self.early.waits(server_id, message(number, server_id))


def message(number, server_id="beta"):
    return Envelope(User("alice", "alpha"), number, User("bob", server_id), b"", key=b"")


@pytest.fixture
def desk():
    return Desk()


def test_a_user_who_is_not_found_over_a_young_link_is_told_once_it_is_young_no_more(desk):
    assert desk.refuse()
    assert desk.early.handle_timeout(YOUNG - 0.1) == desk.due == YOUNG
    assert (desk.told, len(desk.early)) == ([], 1)
    assert desk.early.handle_timeout(YOUNG) is None
    assert (desk.told, len(desk.early)) == ([("beta", 1)], 0)


def test_over_an_older_link_it_is_told_at_once(desk):
    desk.early.handle_timeout(YOUNG)
    assert not desk.refuse()
    assert not desk.refuse(server_id="gamma")


@pytest.mark.parametrize("spelt", ["beta", "BETA"])
def test_it_is_not_told_when_the_link_yields(desk, spelt):
    desk.refuse()
    desk.links.rivals = {"beta", "BETA"}
    desk.early.decide(spelt)
    desk.early.disconnected("beta")
    assert (desk.told, desk.links.yielded, len(desk.early)) == ([], [spelt], 0)


def test_a_rival_that_is_certain_only_in_the_end_is_yielded_to_then(desk):
    desk.refuse()
    desk.links.rivals = {"beta"}
    desk.early.handle_timeout(YOUNG)
    assert (desk.told, desk.links.yielded) == ([], ["beta"])


def test_where_there_is_a_rival_already_the_link_yields_once_all_that_came_together_was_handled(desk):
    desk.early.handle_timeout(YOUNG)
    desk.links.rivals = {"beta"}
    assert desk.refuse(1)
    assert desk.refuse(2)
    assert desk.links.yielded == []
    for server_id in desk.soon:
        desk.early.decide(server_id)
    assert (desk.links.yielded, desk.told, len(desk.early)) == (["beta"], [], 0)


def test_where_the_rival_is_gone_by_then_the_authors_are_told(desk):
    desk.links.rivals = {"beta"}
    desk.refuse()
    desk.links.rivals = set()
    desk.early.decide(desk.soon.pop())
    assert desk.told == [("beta", 1)]


@pytest.mark.parametrize("rivals", [set(), {"beta"}])
def test_over_a_link_that_would_not_yield_it_is_told_at_once(desk, rivals):
    desk.links.stubborn, desk.links.rivals = {"beta"}, rivals
    assert not desk.refuse()
    assert (len(desk.early), desk.soon) == (0, [])


def test_when_the_link_is_lost_it_is_told(desk):
    """Else a link that comes and goes would put it off for ever."""
    desk.refuse()
    desk.early.disconnected("beta")
    assert desk.told == [("beta", 1)]


def test_a_link_that_comes_again_is_young_again(desk):
    desk.early.connected("gamma", 1.0)
    desk.early.disconnected("beta")
    desk.early.connected("beta", 4.0)
    desk.refuse()
    assert desk.early.handle_timeout(YOUNG + 3.9) == YOUNG + 4.0
    assert not desk.told
    desk.early.handle_timeout(YOUNG + 4.0)
    assert desk.told


def test_a_message_that_is_refused_again_waits_once(desk):
    envelope = message(1)
    assert desk.early.waits("beta", envelope)
    assert desk.early.waits("beta", envelope)
    assert len(desk.early) == 1
    desk.early.disconnected("beta")
    assert len(desk.told) == 1


def test_the_network_is_asked_once_while_refusals_over_a_link_wait(desk):
    desk.refuse(1)
    desk.refuse(2)
    assert desk.searches == 1
    desk.early.disconnected("beta")
    assert desk.told == [("beta", 1), ("beta", 2)]


def test_no_more_wait_of_one_link_and_of_all_than_there_is_room_for(desk):
    many = MOST // OF_LINK + 1
    for each in range(many):
        desk.early.connected(f"s{each}", 0.0)
    waits = [desk.refuse(number, f"s{each}") for each in range(many) for number in range(OF_LINK + 1)]
    assert waits == (OF_LINK * [True] + [False]) * (many - 1) + (OF_LINK + 1) * [False]
    assert len(desk.early) == MOST
    desk.early.handle_timeout(YOUNG)
    assert len(desk.early) == 0
    assert len(desk.told) == MOST
