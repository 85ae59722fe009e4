"""Questions for users' devices at a chat server: who is asked, once, and what is answered in any case."""

import pytest

from parley.services.chat.authors import device_questions
from parley.services.chat.authors.device_questions import FRESH, WAIT, DeviceQuestions
from parley.shared.addresses import User
from parley.shared.trust.devices import Device, DeviceLists, sign_list
from parley.shared.trust.keys import PrivateKey
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.messages import decode, pb

ANN, BOB, CID = User("ann", "alpha"), User("bob", "beta"), User("cid", "gamma")
ALPHA, BETA, DEVICE = (PrivateKey(bytes([n]) * 32) for n in (1, 2, 3))
TIME = 1_800_000_000


def list_of(user, home, number=1):
    return sign_list(home, user, [Device(DEVICE.public, "", TIME)], number=number, now=TIME)


class Sent:
    """A link that keeps what is sent to it."""

    tells_devices = is_open = True

    def __init__(self):
        self.frames = []

    def send(self, raw):
        self.frames.append(read_datagram(raw))

    answer = send

    def take(self, name="DEVICE_LIST", kind=pb.DeviceList):
        frames, self.frames = self.frames, []
        assert {frame.name for frame in frames} <= {name}
        return [decode(frame, kind) for frame in frames]


class Alpha:
    """The server alpha, which is linked with beta."""

    def __init__(self):
        self.lists = DeviceLists()
        self.beta = Sent()
        self.limits = 0
        ours = {ANN: list_of(ANN, ALPHA)}
        self.questions = DeviceQuestions(ours.get, self.lists.of, {"beta": self.beta}.get, self.limited)

    def limited(self):
        self.limits += 1

    def ask(self, user, now=0.0, link=None):
        link = link or Sent()
        self.questions.asked_by_client("alpha", user, link, now)
        return link

    def tell(self, message):
        self.lists.take(message, BETA.public)
        self.questions.answered(User.of(message.user))


@pytest.fixture
def alpha():
    return Alpha()


def test_of_our_own_users_the_signed_list_is_told_or_that_there_is_none(alpha):
    assert alpha.ask(ANN).take() == [list_of(ANN, ALPHA)]
    nobody = User("dan", "alpha")
    assert alpha.ask(nobody).take() == [pb.DeviceList(user=nobody.to_pb())]


def test_another_server_is_told_of_our_users_alone(alpha):
    alpha.tell(list_of(BOB, BETA))
    link = Sent()
    for user in (ANN, BOB):
        alpha.questions.asked_by_server(user, link)
    assert link.take() == [list_of(ANN, ALPHA), pb.DeviceList(user=BOB.to_pb())]


def test_a_users_own_server_is_asked_once_for_all_and_its_list_is_passed_on(alpha):
    links = [alpha.ask(BOB) for _ in range(3)]
    assert alpha.beta.take("DEVICES_OF", pb.DevicesOf) == [pb.DevicesOf(user=BOB.to_pb())]
    assert [link.take() for link in links] == [[], [], []]
    alpha.tell(list_of(BOB, BETA))
    assert [link.take() for link in links] == [[list_of(BOB, BETA)]] * 3
    assert alpha.ask(BOB, 0.5).take() == [list_of(BOB, BETA)]
    assert alpha.beta.take() == []
    alpha.questions.handle_timeout(FRESH)
    alpha.ask(BOB, FRESH)
    assert len(alpha.beta.take("DEVICES_OF", pb.DevicesOf)) == 1


def test_a_server_that_does_not_answer_is_answered_for(alpha):
    alpha.tell(list_of(BOB, BETA))
    link, other = alpha.ask(BOB), alpha.ask(User("dan", "beta"), 0.5)
    assert alpha.questions.next_timeout() == WAIT
    alpha.questions.handle_timeout(WAIT)
    assert link.take() == [list_of(BOB, BETA)]
    assert other.take() == []
    alpha.questions.handle_timeout(WAIT + 0.5)
    assert other.take() == [pb.DeviceList(user=User("dan", "beta").to_pb())]
    alpha.questions.handle_timeout(FRESH + 0.5)
    assert len(alpha.questions) == 0
    assert alpha.questions.next_timeout() is None


def test_who_cannot_be_asked_is_not(alpha):
    assert alpha.ask(CID).take() == [pb.DeviceList(user=CID.to_pb())]
    alpha.beta.tells_devices = False
    assert alpha.ask(BOB).take() == [pb.DeviceList(user=BOB.to_pb())]
    assert alpha.beta.frames == []


def test_a_link_that_is_gone_is_told_nothing(alpha):
    link = alpha.ask(BOB)
    link.is_open = False
    alpha.tell(list_of(BOB, BETA))
    assert link.take() == []


def test_there_is_an_end_to_questions_and_to_who_waits(alpha, monkeypatch):
    monkeypatch.setattr(device_questions, "MOST", 2)
    monkeypatch.setattr(device_questions, "MOST_ASKERS", 2)
    users = [User(f"u{n}", "beta") for n in range(3)]
    links = [alpha.ask(user) for user in users]
    assert [len(link.take()) for link in links] == [0, 0, 1]
    assert alpha.limits == 1
    assert [len(alpha.ask(users[0]).take()) for _ in range(2)] == [0, 1]
