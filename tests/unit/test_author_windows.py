"""Who writes to another server faster than it answers is not listened to for a moment."""

import pytest

from parley.services.chat.delivery.author_windows import AGAIN, MOST, PATIENCE, AuthorWindows
from parley.services.chat.message.life import Envelope
from parley.services.chat.message.statuses import Status
from parley.shared.addresses import User
from parley.shared.compiled import core
from tests.support.sinks import Node

ANN, BOB = User("ann", "alpha"), User("bob", "beta")


class Authors:
    """Whose links are held; the windows of all."""

    def __init__(self):
        self.calls = []
        self.limited = 0
        self.windows = AuthorWindows(
            lambda user: self.calls.append(("hold", user)),
            lambda user: self.calls.append(("release", user)),
            self.count,
        )

    def count(self):
        self.limited += 1

    def write(self, count, now=0.0, author=ANN):
        written = [Envelope(author, number, BOB, b"") for number in range(count)]
        for envelope in written:
            self.windows.add(envelope, now)
        return written

    def answer(self, envelopes):
        for envelope in envelopes:
            self.windows.remove(envelope)


@pytest.fixture
def authors():
    return Authors()


def test_who_has_too_many_unanswered_is_held_until_half_are_answered(authors):
    written = authors.write(MOST - 1)
    assert authors.calls == []
    written += authors.write(1)
    assert (authors.calls, authors.limited) == ([("hold", ANN)], 1)
    authors.answer(written[: MOST // 2 - 1])
    assert authors.calls == [("hold", ANN)]
    authors.answer(written[MOST // 2 - 1 :])
    assert authors.calls == [("hold", ANN), ("release", ANN)]


def test_a_link_that_was_opened_meanwhile_is_held_too_and_it_is_counted_once(authors):
    authors.write(MOST + AGAIN)
    assert (authors.calls, authors.limited) == ([("hold", ANN)] * 2, 1)


def test_others_are_listened_to(authors):
    authors.write(MOST)
    authors.write(MOST - 1, author=User("amy", "alpha"))
    assert authors.calls == [("hold", ANN)]


def test_a_server_that_does_not_answer_is_held_against_nobody_for_long(authors):
    written = authors.write(MOST, now=5.0)
    assert authors.windows.look_at == 5.0 + PATIENCE
    authors.windows.handle_timeout(5.0 + PATIENCE / 2)
    assert authors.calls == [("hold", ANN)]
    authors.windows.handle_timeout(5.0 + PATIENCE)
    assert authors.calls == [("hold", ANN), ("release", ANN)]
    authors.write(MOST - 1, now=6.5)
    authors.answer(written)
    assert authors.calls == [("hold", ANN), ("release", ANN)]


def test_nothing_is_remembered_of_who_is_answered(authors):
    authors.answer(authors.write(MOST - 1))
    assert not authors.windows.of
    assert authors.windows.look_at == 0.0


def test_who_was_held_is_remembered_for_a_moment_without_a_message(authors):
    authors.answer(authors.write(MOST + 3, now=5.0))
    assert authors.windows.of == {ANN: {}}
    authors.windows.handle_timeout(5.0 + PATIENCE - 0.01)
    assert authors.windows.of == {ANN: {}}
    authors.windows.handle_timeout(authors.windows.look_at)
    assert not authors.windows.of
    assert authors.windows.look_at == 0.0


def test_who_is_held_again_is_remembered_anew(authors):
    authors.answer(authors.write(MOST, now=5.0))
    authors.answer(authors.write(MOST, now=5.5))
    authors.windows.handle_timeout(5.0 + PATIENCE)
    assert authors.windows.of == {ANN: {}}
    authors.windows.handle_timeout(5.5 + PATIENCE)
    assert not authors.windows.of


def test_nothing_is_remembered_of_what_counts_no_more(authors):
    written = authors.write(MOST)
    authors.windows.handle_timeout(PATIENCE)
    assert not authors.windows.of
    authors.answer(written)
    assert not authors.windows.of


def unanswered(node):
    """Have MOST of Ann's messages on their way to beta until the fast path hands them over; the link."""
    node.connect(ANN)
    link = node.link("beta")
    for number in range(1, MOST + 1):
        node.send(ANN, number, BOB)
    node.pass_time(0.06)
    return link


@pytest.mark.parametrize("fast_path", [False, True])
def test_what_waits_for_another_servers_answers_counts_until_it_has_them(fast_path):
    node = Node("alpha", fast_path=fast_path)
    link = unanswered(node)
    assert node.held == [("hold", ANN)]
    assert len(link.snowflakes()) == MOST
    for number in range(1, MOST + 1):
        node.answer("beta", number, (BOB, Status.USER_AWAY), author=ANN)
    assert node.held == [("hold", ANN), ("release", ANN)]


@pytest.mark.skipif(core is None, reason="the compiled core is not here")
def test_the_fast_path_takes_no_whole_read_of_who_was_held_a_moment_ago():
    node = Node("alpha", fast_path=True)
    link = unanswered(node)
    for number in range(1, MOST + 1):
        node.answer("beta", number, (BOB, Status.USER_AWAY), author=ANN)
    assert node.held == [("hold", ANN), ("release", ANN)]
    for number in range(MOST + 1, 2 * MOST + 2):
        node.send(ANN, number, BOB)
    assert node.held == [("hold", ANN), ("release", ANN), ("hold", ANN)]
    assert len(link.snowflakes()) == 2 * MOST + 1


def test_what_was_on_a_lost_link_counts_no_more():
    node = Node("alpha", fast_path=False)
    link = unanswered(node)
    node.unlink("beta", link)
    assert node.held == [("hold", ANN), ("release", ANN)]
