"""What is kept back of answers over young links, for how long, and what becomes of it."""

import pytest

from parley.services.chat.message.early_answers import MOST, OF_LINK, YOUNG, EarlyAnswers
from parley.shared.addresses import Group, User
from parley.shared.wire.messages import pb

ALICE = User("alice", "alpha")


class Links:
    """Those with other servers: whose link would yield, who asks to be linked, and who has yielded."""

    def __init__(self):
        self.stubborn, self.rivals, self.yielded = set(), set(), []

    def may_yield(self, server_id):
        return server_id not in self.stubborn

    def yield_to_rival(self, server_id):
        if server_id not in self.rivals or server_id in self.stubborn:
            return False
        self.stubborn.add(server_id)
        self.yielded.append(server_id)
        return True


class Desk:
    """Acknowledgements that come in, and what is told of them; the link to beta was opened at 0."""

    def __init__(self):
        self.links = Links()
        self.told = []
        self.searches = 0
        self.early = EarlyAnswers(self.links, tell=self._tell, look_for=self._look_for)
        self.due = self.early.connected("beta", 0.0)

    def _tell(self, server_id, answer):
        self.told.append((server_id, said(answer)))

    def _look_for(self):
        self.searches += 1


def ack(*statuses, server_id="beta", number=1, **how):
    answer = pb.ChatMessageResponse(messageSnowflake=number, author=ALICE.to_pb(), **how)
    for name, status in statuses:
        answer.statuses.add(user=User(name, server_id).to_pb(), status=status)
    return answer


def unknown(number=1, **how):
    return ack(("bob", "USER_NOT_FOUND"), number=number, **how)


def said(answer):
    return answer.messageSnowflake, [
        (each.user.userId, pb.ChatMessageResponse.DeliveryStatus.Status.Name(each.status))
        for each in answer.statuses
    ]


@pytest.fixture
def desk():
    return Desk()


BOB = [("bob", "USER_NOT_FOUND")]


def test_a_user_who_is_not_found_over_a_young_link_is_told_once_it_is_young_no_more(desk):
    answer = unknown()
    assert desk.early.keep_back("beta", answer)
    assert not answer.statuses
    assert desk.early.handle_timeout(YOUNG - 0.1) == desk.due == YOUNG
    assert (desk.told, len(desk.early)) == ([], 1)
    assert desk.early.handle_timeout(YOUNG) is None
    assert (desk.told, len(desk.early)) == ([("beta", (1, BOB))], 0)
    assert not desk.early.is_watching


def test_over_an_older_link_it_is_told_at_once(desk):
    desk.early.handle_timeout(YOUNG)
    assert not desk.early.keep_back("beta", unknown())
    assert not desk.early.keep_back("gamma", unknown(server_id="gamma"))


@pytest.mark.parametrize("spelt", ["beta", "BETA"])
def test_it_is_not_told_when_the_link_yields(desk, spelt):
    desk.early.keep_back("beta", unknown())
    desk.links.rivals = {"beta", "BETA"}
    desk.early.decide(spelt)
    desk.early.disconnected("beta")
    assert (desk.told, desk.links.yielded, len(desk.early)) == ([], [spelt], 0)


def test_a_rival_that_is_certain_only_in_the_end_is_yielded_to_then(desk):
    desk.early.keep_back("beta", unknown())
    desk.links.rivals = {"beta"}
    desk.early.handle_timeout(YOUNG)
    assert (desk.told, desk.links.yielded) == ([], ["beta"])


def test_where_there_is_a_rival_already_the_link_yields_at_once(desk):
    desk.early.handle_timeout(YOUNG)
    desk.links.rivals = {"beta"}
    answer = unknown()
    assert desk.early.keep_back("beta", answer)
    assert not answer.statuses
    assert (desk.links.yielded, len(desk.early)) == (["beta"], 0)


def test_a_link_that_would_not_yield_has_its_answers_told_at_once(desk):
    desk.links.stubborn = {"beta"}
    assert not desk.early.keep_back("beta", unknown())


def test_a_link_that_is_lost_has_its_answers_told(desk):
    """Else one that comes and goes would keep them for ever."""
    desk.early.keep_back("beta", unknown())
    desk.early.disconnected("beta")
    assert desk.told == [("beta", (1, BOB))]
    assert not desk.early.is_watching


def test_a_link_that_comes_again_is_young_again(desk):
    desk.early.connected("gamma", 1.0)
    desk.early.disconnected("beta")
    desk.early.connected("beta", 4.0)
    desk.early.keep_back("beta", unknown())
    assert desk.early.handle_timeout(YOUNG + 3.9) == YOUNG + 4.0
    assert not desk.told
    desk.early.handle_timeout(YOUNG + 4.0)
    assert desk.told


def test_of_an_answer_about_several_what_is_certain_is_left(desk):
    answer = ack(("bob", "USER_NOT_FOUND"), ("ben", "DELIVERED"), ("bea", "USER_NOT_FOUND"))
    assert desk.early.keep_back("beta", answer)
    assert said(answer) == (1, [("ben", "DELIVERED")])
    desk.early.disconnected("beta")
    assert desk.told == [("beta", (1, [*BOB, ("bea", "USER_NOT_FOUND")]))]


@pytest.mark.parametrize(
    "answer",
    [
        ack(("bob", "DELIVERED")),
        ack(("bob", "USER_AWAY")),
        ack(("bob", "USER_BLOCKED")),
        unknown(receipt=7),
        unknown(group=Group("crew", "Beta").to_pb()),
        unknown(server_id="gamma"),
        pb.ChatMessageResponse(messageSnowflake=1),
    ],
    ids=["delivered", "away", "blocked", "with a receipt", "of a group there", "of others' users", "nothing"],
)
def test_any_other_answer_is_left_as_it_is(desk, answer):
    before = answer.SerializeToString()
    assert not desk.early.keep_back("beta", answer)
    assert answer.SerializeToString() == before


def test_what_a_group_of_ours_is_answered_waits_too(desk):
    assert desk.early.keep_back("beta", unknown(group=Group("crew", "alpha").to_pb()))


def test_the_network_is_asked_once_while_answers_of_a_link_wait(desk):
    desk.early.keep_back("beta", unknown(1))
    desk.early.keep_back("beta", unknown(2))
    assert desk.searches == 1
    desk.early.disconnected("beta")
    assert [answer for _beta, (answer, _statuses) in desk.told] == [1, 2]


def test_no_more_of_one_link_and_of_all_is_kept_back_than_there_is_room_for(desk):
    many = MOST // OF_LINK + 1
    for each in range(many):
        desk.early.connected(f"s{each}", 0.0)
    kept = [
        desk.early.keep_back(f"s{each}", unknown(number, server_id=f"s{each}"))
        for each in range(many)
        for number in range(OF_LINK + 1)
    ]
    assert kept == (OF_LINK * [True] + [False]) * (many - 1) + (OF_LINK + 1) * [False]
    assert len(desk.early) == MOST
    desk.early.handle_timeout(YOUNG)
    assert len(desk.early) == 0
    assert len(desk.told) == MOST
