"""What waits, in memory and on a disk that writes and reads when it is told."""

import pytest

from parley.services.chat.message.life import Durability, Envelope
from parley.services.chat.message.statuses import Status
from parley.services.chat.state import ChatState, number
from parley.services.chat.storage import disk_mailbox
from parley.services.chat.storage.disk_mailbox import DiskMailbox, Limits
from parley.services.chat.storage.mailbox import Kept
from parley.shared.addresses import Group, User
from tests.support.disks import FakeDisk

ANN, BOB, BEN = User("ann", "alpha"), User("bob", "alpha"), User("ben", "alpha")
ROOM = 4
"""Messages of one destination in memory, in these tests."""


@pytest.fixture(autouse=True)
def _little_memory(monkeypatch):
    monkeypatch.setattr(disk_mailbox, "IN_MEMORY", ROOM)


class ChatEngine:
    """A mailbox and its disk; `loaded` is who was said to have more in memory, `told` what was kept or not."""

    def __init__(self, disk=None, *, limit=1000, limit_bytes=10**9, user_limit=1000, user_bytes=10**9):
        self.disk = FakeDisk() if disk is None else disk
        self.loaded = []
        self.told = []
        self.disk.kept = lambda items: self.told.extend((item.snowflake, True) for item in items)
        self.disk.not_persisted = lambda items: self.told.extend((item.snowflake, False) for item in items)
        self.box = DiskMailbox(
            self.disk,
            Limits(limit, limit_bytes, user_limit, user_bytes),
            state=ChatState(),
            next_id=self.disk.next_id,
            loaded=self.loaded.append,
        )
        for destination, count, size in self.disk.counts():
            self.box.found_at_start(destination, count, size)

    def put(self, *numbers, to=BOB):
        return [self.box.put(to, item(n, to)) for n in numbers]

    def take_ready(self, to=BOB):
        """What can be taken without the disk."""
        taken = []
        while (found := self.box.pop(to)) is not None:
            taken.append(found)
        return taken

    def drain(self, to=BOB):
        """Everything, reading as often as it takes."""
        taken = []
        while not self.box.is_empty(to):
            taken += self.take_ready(to)
            self.disk.commit_all()
        return taken


def item(number, to=BOB):
    return Envelope(ANN, number, to, b"x" * number, key=bytes([number % 251]) * 16)


def numbers(items):
    return [each.snowflake for each in items]


def test_what_waits_keeps_its_order_from_memory_over_the_disk():
    opened = ChatEngine()
    assert set(opened.put(*range(1, 12))) == {Kept.SOON}
    assert numbers(opened.box.messages_in_memory(BOB)) == [1, 2, 3, 4]
    opened.disk.commit_all()
    assert opened.told == [(n, True) for n in range(1, 12)]
    assert numbers(opened.drain()) == list(range(1, 12))
    assert len(opened.box) == 0
    assert opened.box.is_empty(BOB)
    assert opened.box.pop(BOB) is None


def test_what_comes_while_more_is_read_comes_after_it():
    opened = ChatEngine()
    opened.put(*range(1, 7))
    assert numbers(opened.take_ready()) == [1, 2, 3, 4]
    opened.put(7, 8)
    assert opened.box.pop(BOB) is None  # it is asked once only
    opened.disk.commit(3)
    opened.put(9)
    assert numbers(opened.drain()) == [5, 6, 7, 8, 9]
    assert opened.loaded.count(BOB) == len(opened.loaded) >= 1


def test_a_destination_is_not_empty_while_the_rest_is_on_disk():
    opened = ChatEngine()
    opened.put(*range(1, 6))
    assert numbers(opened.take_ready()) == [1, 2, 3, 4]
    assert not opened.box.is_empty(BOB)
    assert len(opened.box) == 1
    opened.disk.commit_all()
    assert opened.loaded == [BOB]
    assert numbers(opened.take_ready()) == [5]
    assert opened.box.is_empty(BOB)


def test_destinations_do_not_mix():
    opened = ChatEngine()
    for n in range(1, 9):
        opened.put(n, to=BOB)
        opened.put(n + 100, to=BEN)
        opened.put(n + 200, to="beta")
    opened.disk.commit_all()
    assert numbers(opened.drain(BEN)) == list(range(101, 109))
    assert numbers(opened.drain("beta")) == list(range(201, 209))
    assert numbers(opened.drain(BOB)) == list(range(1, 9))


def test_what_is_put_back_comes_first_in_its_order_and_is_read_no_second_time():
    opened = ChatEngine()
    opened.put(*range(1, 9))
    opened.disk.commit_all()
    taken = opened.take_ready()
    opened.box.put_back(BOB, taken[2:])
    opened.box.put_back(BOB, [])
    assert numbers(opened.box.messages_in_memory(BOB)) == [3, 4]
    assert numbers(opened.drain()) == [3, 4, 5, 6, 7, 8]


def test_what_is_put_back_while_the_rest_is_read_comes_first():
    opened = ChatEngine()
    opened.put(*range(1, 9))
    taken = opened.take_ready()
    opened.box.put_back(BOB, taken)
    assert numbers(opened.drain()) == list(range(1, 9))


def test_what_was_sent_at_once_and_is_put_back_is_before_what_came_later_also_after_a_restart():
    opened = ChatEngine()
    direct = [item(1), item(2)]
    for each in direct:
        number(opened.box.state, each)
    opened.put(3, 4, 5, 6, 7)
    opened.box.put_back(BOB, direct)
    opened.disk.commit_all()
    assert numbers(opened.drain()) == [1, 2, 3, 4, 5, 6, 7]
    assert numbers(ChatEngine(opened.disk).drain()) == [1, 2, 3, 4, 5, 6, 7]


def test_what_is_on_its_way_is_not_read_again_with_what_is_put_back():
    opened = ChatEngine()
    opened.put(*range(1, 7))
    opened.disk.commit_all()
    taken = opened.drain()
    opened.box.put_back(BOB, taken[:5])  # the sixth is still on its way, and on disk
    opened.put(7)
    assert numbers(opened.drain()) == [1, 2, 3, 4, 5, 7]


def test_counts_and_bytes_are_exact_through_all_of_it():
    opened = ChatEngine(limit_bytes=21)
    opened.put(1, 2, 3, 4, 5, 6)
    assert opened.put(1) == [Kept.FULL]
    opened.disk.commit_all()
    taken = opened.take_ready()
    assert len(opened.box) == 2
    assert opened.put(11) == [Kept.FULL]
    assert opened.put(10) == [Kept.SOON]
    opened.box.put_back(BOB, taken[3:])  # there is always room for that
    assert len(opened.box) == 4
    assert numbers(opened.drain()) == [4, 5, 6, 10]
    assert len(opened.box) == 0
    assert opened.put(21) == [Kept.SOON]


def test_a_full_mailbox_takes_nothing_more_for_anyone():
    opened = ChatEngine(limit=5)
    assert opened.put(1, 2, 3, 4, 5) == [Kept.SOON] * 5
    assert opened.put(6, to="beta") == [Kept.FULL]
    assert opened.box.is_empty("beta")
    opened.box.pop(BOB)
    assert opened.put(6, to="beta") == [Kept.SOON]


def test_clear_takes_what_is_in_memory_and_has_the_rest_read():
    opened = ChatEngine()
    opened.put(*range(1, 7), to="beta")
    cleared = opened.box.clear("beta")
    assert numbers(cleared) == [1, 2, 3, 4]
    assert len(opened.box) == 2
    opened.disk.commit_all()
    assert opened.loaded == ["beta"]
    assert numbers(opened.box.clear("beta")) == [5, 6]
    assert opened.box.is_empty("beta")
    assert opened.box.clear("beta") == []
    assert len(opened.box) == 0


def test_what_could_not_be_written_is_removed_from_memory_and_from_what_is_to_be_read():
    opened = ChatEngine()
    sent = [item(n) for n in range(1, 8)]
    for each in sent:
        opened.box.put(BOB, each)
    opened.disk.commit(5)
    opened.disk.fail()
    assert opened.told[5:] == [(6, False), (7, False)]
    opened.box.remove(BOB, sent[6], is_written=False)
    opened.box.remove(BOB, sent[5], is_written=False)
    assert numbers(opened.drain()) == [1, 2, 3, 4, 5]
    assert opened.put(8) == [Kept.SOON]
    opened.disk.fail()
    assert opened.box.pop(BOB).snowflake == 8
    opened.box.remove(BOB, sent[0])  # nothing waits there: no matter
    assert len(opened.box) == 0


def test_what_came_while_nothing_could_be_read_is_not_forgotten():
    opened = ChatEngine()
    sent = [item(n) for n in range(1, 6)]
    for each in sent:
        opened.box.put(BOB, each)
    opened.disk.commit(4)
    opened.take_ready()  # asks for the fifth, which cannot be written
    opened.put(6)
    opened.disk.not_persisted = lambda items: [opened.box.remove(BOB, each, is_written=False) for each in items]
    opened.disk.fail(1)
    opened.disk.commit(1)  # nothing is found
    assert not opened.box.is_empty(BOB)
    assert numbers(opened.drain()) == [6]
    assert len(opened.box) == 0


def test_an_item_is_written_once_and_forgotten_only_if_it_was_written():
    opened = ChatEngine()
    on_its_way, saved = item(1), item(2)
    number(opened.box.state, on_its_way)
    assert len(opened.disk) == 0
    assert [opened.box.save(BOB, saved), opened.box.save(BOB, saved)] == [Kept.SOON, Kept.SOON]
    assert len(opened.disk) == 1
    opened.disk.commit()
    saved.persisted()
    assert opened.box.save(BOB, saved) is Kept.SAFE
    saved.ended(Status.DELIVERED)
    opened.box.over(saved, Status.DELIVERED)
    opened.disk.commit()
    assert opened.disk.messages == {}
    assert opened.disk.final == {bytes([2]) * 16: Status.DELIVERED}


def test_a_restart_gives_everything_that_was_committed_in_order_and_nothing_that_is_over():
    opened = ChatEngine()
    opened.put(*range(1, 12))
    opened.put(50, to="beta")
    opened.disk.commit_all()
    for each in opened.take_ready()[:2]:
        each.ended(Status.DELIVERED)
        opened.box.over(each, Status.DELIVERED)
    opened.disk.commit()
    opened.put(12)
    opened.disk.crash()
    again = ChatEngine(opened.disk)
    assert len(again.box) == 10
    assert list(again.box.messages_in_memory(BOB)) == []
    assert not again.box.is_empty(BOB)
    again.put(13)
    came = again.drain()
    assert numbers(came) == [*range(3, 12), 13]
    assert all(each.durability is Durability.SAFE for each in came[:-1])
    assert numbers(again.drain("beta")) == [50]
    assert Status.DELIVERED in again.disk.final.values()
    assert len({each.id for each in came}) == len(came)
    assert len(again.box) == 0


def test_what_waited_before_counts_towards_the_limits():
    opened = ChatEngine()
    opened.put(5, 6)
    opened.disk.commit_all()
    again = ChatEngine(opened.disk, limit_bytes=15)
    assert again.put(5) == [Kept.FULL]
    assert again.put(4) == [Kept.SOON]
    again = ChatEngine(opened.disk, limit=2)
    assert again.put(1) == [Kept.FULL]


def test_one_user_may_fill_their_own_share_and_no_more():
    opened = ChatEngine(user_limit=3, user_bytes=10)
    assert opened.put(1, 2, 3) == [Kept.SOON] * 3
    assert opened.put(1) == [Kept.FULL]
    assert opened.put(1, to=BEN) == [Kept.SOON]
    assert opened.put(10, to=BEN) == [Kept.FULL]
    assert opened.put(9, to=BEN) == [Kept.SOON]
    opened.box.pop(BOB)
    assert opened.put(7) == [Kept.FULL]
    assert opened.put(5) == [Kept.SOON]


def test_what_waits_for_another_server_is_many_users():
    opened = ChatEngine(user_limit=1, user_bytes=1)
    assert opened.put(4, 5, 6, to="beta") == [Kept.SOON] * 3


def test_one_that_waits_can_be_taken_out_wherever_it_is():
    opened = ChatEngine()
    sent = [item(n) for n in range(1, 8)]
    for each in sent:
        opened.box.put(BOB, each)
    opened.disk.commit_all()
    assert opened.box.remove(BOB, sent[1])
    assert opened.box.remove(BOB, sent[6])
    assert not opened.box.remove(BOB, sent[1])
    assert not opened.box.remove(BEN, sent[0])
    for taken in (sent[1], sent[6]):
        taken.ended(Status.OTHER_ERROR)
        opened.box.over(taken, Status.OTHER_ERROR)
    assert len(opened.box) == 5
    assert numbers(opened.drain()) == [1, 3, 4, 5, 6]
    assert len(opened.box) == 0


def test_what_is_read_just_now_is_not_taken_out():
    opened = ChatEngine()
    sent = [item(n) for n in range(1, 7)]
    for each in sent:
        opened.box.put(BOB, each)
    opened.disk.commit_all()
    opened.take_ready()
    assert opened.box.pop(BOB) is None  # asks for the fifth and sixth
    assert not opened.box.remove(BOB, sent[5])
    assert numbers(opened.drain()) == [5, 6]


def test_a_large_one_does_not_bring_back_what_is_on_its_way(monkeypatch):
    monkeypatch.setattr(disk_mailbox, "LARGE", 100)
    opened = ChatEngine()
    opened.put(1)
    first = opened.box.pop(BOB)
    opened.put(200)
    opened.disk.commit_all()
    assert numbers(opened.drain()) == [200]
    opened.box.put_back(BOB, [first])
    assert numbers(opened.drain()) == [1]


# Moving --------------------------------------------------------------------------------------------------

CID, DAN = User("cid", "old"), User("dan", "old")


class Moving(ChatEngine):
    """Also what was said to have moved; a destination moves until nothing of it is left."""

    def __init__(self, *arguments, **settings):
        super().__init__(*arguments, **settings)
        self.found = set()
        self.left = []

    def move(self, source):
        def moved(users, left):
            self.found |= users
            for each in left:
                self.left.append(each.snowflake)
                self.box.over(each, Status.USER_NOT_FOUND)
            if not self.box.is_empty(source):
                self.box.move(source, moved)

        self.box.move(source, moved)

    def keep(self, *numbers, to, waits_at="old"):
        for n in numbers:
            self.box.put(waits_at, item(n, to))


def test_what_waits_for_a_server_moves_to_its_users_in_order_behind_and_before_what_is_there():
    opened = Moving()
    opened.keep(1, 3, 5, 7, 9, to=CID)
    opened.keep(2, 4, to=DAN)
    opened.disk.commit_all()
    opened.keep(11, to=CID, waits_at=CID)  # it came while nothing had moved yet
    opened.disk.commit_all()
    opened.move("old")
    assert opened.box.pop("old") is None
    opened.disk.commit_all()
    assert opened.found == {CID, DAN}
    assert opened.box.is_empty("old")
    assert numbers(opened.drain(CID)) == [1, 3, 5, 7, 9, 11]
    assert numbers(opened.drain(DAN)) == [2, 4]
    assert len(opened.box) == 0
    assert opened.box._bytes == 0


def test_what_comes_for_the_source_while_it_moves_moves_too():
    opened = Moving()
    opened.keep(*range(1, 9), to=CID)
    opened.disk.commit_all()
    opened.move("old")
    opened.keep(20, to=CID)
    opened.disk.commit(1)
    opened.keep(21, to=CID)
    opened.disk.commit_all()
    assert numbers(opened.drain(CID)) == [*range(1, 9), 20, 21]
    assert len(opened.box) == 0


def test_what_is_read_just_now_is_read_again_after_the_move():
    opened = Moving()
    opened.keep(*range(1, 10), to=CID, waits_at=CID)
    opened.disk.commit_all()
    taken = opened.take_ready(CID)  # and the next are asked for
    opened.box.put_back(CID, taken)
    opened.move(CID)
    opened.disk.commit_all()
    assert opened.box.is_empty(CID)
    assert opened.box._ready == opened.box._ready_bytes == 0
    assert numbers(opened.drain("old")) == list(range(1, 10))
    assert len(opened.box) == 0


def test_what_is_for_a_group_is_moved_nowhere_and_waits_no_more():
    opened = Moving()
    opened.keep(1, to=CID)
    opened.keep(2, to=Group("crew", "old"))
    opened.keep(3, to=CID)
    opened.disk.commit_all()
    opened.move("old")
    opened.disk.commit_all()
    assert opened.left == [2]
    assert numbers(opened.drain(CID)) == [1, 3]
    assert opened.box.is_empty("old")
    assert len(opened.box) == 0


def test_lanes_and_what_is_in_memory_of_both_sides_are_read_again():
    opened = Moving()
    opened.keep(*range(1, 7), to=CID)
    opened.box.open_lane("old", (ANN, CID), [])
    opened.keep(7, to=CID)
    opened.disk.commit_all()
    opened.move("old")
    opened.disk.commit_all()
    assert opened.box._ready == opened.box._ready_bytes == 0
    assert numbers(opened.drain(CID)) == list(range(1, 8))


def test_the_quotas_of_a_destination_move_with_its_mail():
    opened = Moving()
    opened.keep(1, 2, 3, to=CID)
    opened.disk.commit_all()
    opened.move("old")
    opened.disk.commit_all()
    quotas = opened.box._quotas
    assert quotas.of((CID, ANN)) == (3, 6)
    assert quotas.of(("to", "old")) == (0, 0)
    assert quotas.of(("by", ANN)) == (3, 6)


@pytest.mark.parametrize("written", range(6))
def test_a_move_that_a_crash_interrupts_leaves_each_message_at_one_of_both(written):
    opened = Moving()
    opened.keep(*range(1, 9), to=CID)
    opened.disk.commit_all()
    opened.move("old")
    for _ in range(written):
        opened.disk.commit(1)
    opened.disk.crash(written=1)
    again = Moving(opened.disk)
    if not again.box.is_empty("old"):
        again.move("old")
        again.disk.commit_all()
    assert numbers(again.drain(CID)) == list(range(1, 9))
