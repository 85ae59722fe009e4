"""Acknowledgements and questions with very many people in them: nobody has us look at more than there can be."""

import pytest

from parley.services.chat.groups.passed_on import MOST_MEMBERS
from parley.services.chat.message.acknowledgements import MOST
from parley.shared.addresses import Group, User
from parley.shared.errors import UnexpectedMessage
from parley.shared.spellings import Spellings
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.messages import encode, pb
from tests.support.sinks import ACK_TIMEOUT, Node, group_ask, told

ANN, BOB = User("ann", "alpha"), User("bob", "beta")
FAR = Group("crew", "beta")
SOMEBODY = pb.User(userId="u", serverId="beta")


def question(number=1):
    return read_datagram(group_ask("QUERY_GROUP_MEMBERS", FAR, number, ANN))


def members(count, request=1):
    answer = pb.GroupMembers(group=FAR.to_pb(), asker=ANN.to_pb(), request=request, result="SUCCESS")
    answer.user.extend([SOMEBODY] * count)
    return read_datagram(encode("GROUP_MEMBERS", answer))


def statuses(count, group=None):
    ack = pb.ChatMessageResponse(messageSnowflake=1, author=ANN.to_pb(), group=group)
    ack.statuses.extend([pb.ChatMessageResponse.DeliveryStatus(user=SOMEBODY)] * count)
    return read_datagram(encode("MESSAGE_ACK", ack))


@pytest.mark.parametrize("group", [None, FAR.to_pb()], ids=["users", "members"])
def test_a_server_tells_no_more_statuses_at_once_than_a_group_has_members(group):
    alpha = Node("alpha")
    alpha.link("beta")
    alpha.connect(ANN)
    alpha.from_server("beta", statuses(MOST, group))
    with pytest.raises(UnexpectedMessage) as refused:
        alpha.from_server("beta", statuses(MOST + 1, group))
    assert refused.value.reason == "too_large"


@pytest.mark.parametrize(("count", "outcome"), [(MOST_MEMBERS, "SUCCESS"), (MOST_MEMBERS + 1, "SERVER_TIMEOUT")])
def test_a_server_tells_of_no_more_members_than_a_group_can_have(count, outcome):
    alpha = Node("alpha")
    ann = alpha.connect(ANN)
    beta = alpha.link("beta")
    alpha.from_client(ANN, question(7), ann)
    [asked] = beta.take()
    if count > MOST_MEMBERS:
        with pytest.raises(UnexpectedMessage) as refused:
            alpha.from_server("beta", members(count, request=asked.request))
        assert refused.value.reason == "too_large"
        alpha.pass_time(ACK_TIMEOUT)
    else:
        alpha.from_server("beta", members(count, request=asked.request))
    [answer] = ann.take()
    assert (answer.request, told(answer)) == (7, outcome)


class Counted(Spellings):
    """Counts whom it looks at."""

    looked_at = 0

    def of(self, server_id):
        self.looked_at += 1
        return super().of(server_id)


def test_members_that_nobody_asked_for_are_not_looked_at():
    alpha, spellings = Node("alpha"), Counted()
    answer = pb.GroupMembers.FromString(members(1000).payload)
    alpha.engine.requests.elsewhere.answered("beta", answer, spellings)
    assert spellings.looked_at == 0


def test_of_a_clients_answer_the_first_status_alone_is_looked_at():
    alpha = Node("alpha")
    ann = alpha.connect(ANN)
    ack = pb.ChatMessageResponse(messageSnowflake=1, author=pb.User(userId="bob", serverId="BETA"))
    ack.statuses.extend([pb.ChatMessageResponse.DeliveryStatus(user=SOMEBODY)] * 1000)
    alpha.router.ack_from_client(ANN, ack, alpha.now, link=ann)
    assert len(ack.statuses) == 1
