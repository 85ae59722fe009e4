"""The crash test's record of conversations finds each thing that must not be, and nothing where all is well."""

import pytest

from tests.chaos.conversations import Kill, Line, Lists, Post, Record, Wrong, failures, figures
from tests.chaos.faults import Done
from tests.chaos.run import kills_in
from tests.chaos.schedule import Fault

ADA, BEN, CLEO = "ada@alpha", "ben@beta", "cleo@gamma"
CREW = "#crew@alpha"
PEOPLE = ADA, BEN, CLEO


class Story:
    """What three people with two devices each wrote, and the lists of it as they should be."""

    def __init__(self):
        self.record = Record({CREW: list(PEOPLE)})
        self.servers = {each: Lists({}, {}) for each in PEOPLE}
        self.devices = {f"{each}/{n}": Lists({}, {}) for each in PEOPLE for n in (1, 2)}

    def post(self, to=BEN, text="hi", device=f"{ADA}/1", status="DELIVERED", at=10.0, **how):
        number = len(self.record.posts) + 1
        post = Post(number, device, to, at, text, snowflake=1000 + number, **how)
        self.record.sent(post)
        readers = [each for each in PEOPLE if each != post.author] if to == CREW else [to]
        for reader in readers if status else ():
            self.record.heard(post.snowflake, reader, status, at)
            self.record.shown(post.snowflake, f"{reader}/1", at)
        return post

    def write(self, to=BEN, **how):
        """A message that is in all lists that it should be in."""
        post = self.post(to, **how)
        for reader in PEOPLE if to == CREW else (post.author, to):
            other = to if to == CREW or reader == post.author else post.author
            is_own = reader == post.author
            for lists in self.of(reader):
                lines = lists.lines.setdefault(other, [])
                status = "DELIVERED" if is_own and to != CREW else ""
                lines.append(Line(len(lines) + 1, post.snowflake, post.text, False, not is_own, status))
                lists.unread[other] = lists.unread.get(other, 0) + (not is_own)
        return post

    def change(self, post, text, revision=1, **how):
        return self.post(post.to, text, target=post.snowflake, revision=revision, **how)

    def of(self, reader):
        return [self.servers[reader], *(lists for name, lists in self.devices.items() if name.startswith(reader))]

    def alter(self, reader, other, change):
        """Change the lines of one conversation, at the server and at both devices."""
        for lists in self.of(reader):
            lists.lines[other] = [
                Line(number, *line[1:]) for number, line in enumerate(change(lists.lines[other]), 1)
            ]

    def read(self, post, text):
        """All who have it see it so."""
        for lists in (*self.servers.values(), *self.devices.values()):
            for other, lines in lists.lines.items():
                lists.lines[other] = [
                    line._replace(text=text, is_deleted=not text) if line.snowflake == post.snowflake else line
                    for line in lines
                ]

    def wrong(self, *kills):
        return [each.kind for each in self.record.wrong(self.servers, self.devices, kills)]


@pytest.fixture
def story():
    return Story()


def test_what_goes_well_is_not_wrong(story):
    first, second, third = story.write(), story.write(CREW), story.write(ADA, device=f"{BEN}/2")
    story.change(first, "hello")
    story.change(second, "")
    story.read(first, "hello")
    story.read(second, "")
    story.write(CREW, device=f"{third.author}/1")
    assert story.wrong() == []
    assert "3 deleted" in "\n".join(figures(story.record, story.servers))


def test_a_device_that_has_less_than_its_server_or_another_text_is_found(story):
    story.write()
    story.devices[f"{ADA}/2"].lines[BEN].clear()
    (line,) = story.devices[f"{BEN}/1"].lines[ADA]
    story.devices[f"{BEN}/1"].lines[ADA] = [line._replace(text="ha")]
    assert story.wrong() == ["unlike", "unlike"]


def test_a_device_that_counts_otherwise_what_is_unread_is_found(story):
    story.write()
    story.devices[f"{BEN}/2"].unread[ADA] = 0
    assert story.wrong() == ["unlike"]


@pytest.mark.parametrize("reader", [ADA, BEN])
@pytest.mark.parametrize("status", ["DELIVERED", "USER_AWAY", "OTHER_SERVER_TIMEOUT"])
def test_a_message_that_was_promised_and_is_in_one_list_only_is_missing(story, reader, status):
    story.write(status=status)
    story.alter(reader, BEN if reader == ADA else ADA, lambda _lines: [])
    assert story.wrong() == ["missing"]


def test_a_member_without_a_message_to_the_group_is_found(story):
    story.write(CREW)
    story.alter(CLEO, CREW, lambda _lines: [])
    assert story.wrong() == ["missing"]


def test_a_message_of_just_before_a_kill_of_that_server_may_be_missing_and_is_counted(story):
    story.write(at=10.0)
    story.alter(BEN, ADA, lambda _lines: [])
    assert story.wrong(Kill("alpha", 10.5, 11.0), Kill("beta", 11.5, 12.0), Kill("beta", 1.0, 1.5)) == ["missing"]
    assert story.wrong(Kill("beta", 10.5, 11.0)) == []
    assert story.record.excused == {"beta": 1}


def test_a_message_that_is_in_a_list_twice_is_found(story):
    story.write()
    story.alter(BEN, ADA, lambda lines: lines * 2)
    assert story.wrong() == ["twice", "twice"]


def test_a_message_that_a_device_shows_again_is_found(story):
    post = story.write()
    story.record.shown(post.snowflake, f"{BEN}/2", 11.0)
    assert story.wrong() == []
    story.record.shown(post.snowflake, f"{BEN}/1", 11.0)
    assert story.wrong() == ["twice"]


def test_the_messages_of_one_device_stand_in_its_order_and_those_of_two_need_not(story):
    story.write()
    story.write(device=f"{ADA}/2")
    story.alter(BEN, ADA, lambda lines: lines[::-1])
    assert story.wrong() == []
    story.write()
    story.alter(BEN, ADA, lambda lines: lines[::-1])
    assert story.wrong() == ["disordered"]


def test_a_group_whose_messages_two_members_have_in_two_orders_is_found(story):
    story.write(CREW)
    story.write(CREW, device=f"{BEN}/1")
    assert story.wrong() == []
    story.alter(CLEO, CREW, lambda lines: lines[::-1])
    assert story.wrong() == ["unequal", "unequal"]
    deleted = story.write(CREW)
    story.change(deleted, "")
    story.read(deleted, "")
    story.alter(ADA, CREW, lambda lines: [lines[-1], *lines[:-1]])  # it was given up there before it had its number
    assert story.wrong() == ["unequal", "unequal"]
    story.write()
    story.write(ADA, device=f"{BEN}/1")
    story.alter(BEN, ADA, lambda lines: lines[::-1])
    assert story.wrong() == ["unequal", "unequal"]


def test_a_mark_of_reading_that_a_server_confirmed_and_has_no_more_is_found(story):
    for _ in range(3):
        story.write()
    story.servers[BEN] = story.servers[BEN]._replace(read={ADA: 2})
    for sequence in (1, 2, 1):
        story.record.read(BEN, ADA, sequence, 20.0)
    assert story.wrong() == []
    story.record.read(BEN, ADA, 9, 30.0)
    assert story.wrong() == ["forgotten"]
    assert story.wrong(Kill("beta", 30.5, 31.0)) == []


def test_an_edit_that_is_not_everywhere_is_found(story):
    post = story.write()
    story.change(post, "hello", revision=2)
    assert story.wrong() == ["unrevised", "unrevised"]
    story.change(post, "older", revision=1)
    story.read(post, "hello")
    assert story.wrong() == []


def test_a_deleted_text_that_is_shown_is_found(story):
    post = story.write()
    story.change(post, "")
    story.read(post, "")
    story.alter(BEN, ADA, lambda lines: [line._replace(text="hi", is_deleted=False) for line in lines])
    assert story.wrong() == ["unrevised"]
    assert story.wrong(Kill("beta", 10.5, 11.0)) == []
    assert list(story.record.deleted_texts(story.servers[ADA])) == [(post, "hi")]


def test_what_its_author_took_back_while_it_waited_is_in_its_readers_list_nowhere(story):
    post = story.post(to=BEN, status="")
    story.record.heard(post.snowflake, BEN, "USER_AWAY", 10.0)
    assert story.wrong() == ["missing", "missing"]
    story.change(post, "")
    assert story.wrong() == []
    story.record.heard(post.snowflake, BEN, "DELIVERED", 11.0)
    assert story.wrong() == ["missing"]


def test_an_edit_that_was_not_promised_to_a_member_may_hold_there_or_not(story):
    post = story.write(CREW)
    story.record.heard(story.change(post, "hello", status="").snowflake, BEN, "DELIVERED", 11.0)
    story.read(post, "hello")
    assert story.wrong() == []
    story.alter(CLEO, CREW, lambda lines: [line._replace(text="hi") for line in lines])
    assert story.wrong() == []
    story.alter(BEN, CREW, lambda lines: [line._replace(text="hi") for line in lines])
    assert story.wrong() == ["unrevised"]


def test_an_edit_that_was_refused_holds_nowhere(story):
    post = story.write()
    story.change(post, "hello", status="OTHER_ERROR")
    assert story.wrong() == []


def test_a_message_without_a_word_to_its_author_is_found_and_so_is_a_line_that_waits(story):
    story.post(status="")
    assert story.wrong() == ["unanswered"]
    story = Story()
    story.write()
    story.alter(ADA, BEN, lambda lines: [line._replace(status="USER_AWAY") for line in lines])
    assert story.wrong() == ["unanswered"]


def test_a_message_that_was_refused_and_is_in_its_recipients_list_is_found(story):
    post = story.write(status="OTHER_ERROR")
    assert story.wrong() == ["denied"]
    story.change(post, "")
    story.read(post, "")
    assert story.wrong() == []


def test_lines_that_nobody_wrote_and_messages_shown_to_others_are_found(story):
    post = story.write()
    story.record.shown(post.snowflake, f"{CLEO}/1", 11.0)
    for lists in story.of(CLEO):
        lists.lines[ADA] = [Line(1, 5, "boo", False, True, "")]
    assert story.wrong() == ["strange", "strange"]


def test_the_report_tells_of_each_kind():
    post = Post(1, f"{ADA}/1", BEN, 5.0, "hi", 1001)
    lines = failures([Wrong("missing", "not in the list of ben@beta", post)] * 3, 2)
    assert lines[0].startswith("3 missing: ")
    assert lines[1].startswith(
        "    not in the list of ben@beta; 1 ada@alpha/1 → ben@beta, text, sent 5.00; heard nothing"
    )
    assert lines[-1] == "    … and 1 more"


def test_a_kill_takes_something_only_where_the_disk_was_full():
    def done(kind, began, ended, *targets):
        return Done(Fault(1, began, kind, targets), began, ended)

    chat = ("alpha", "chat")
    faults = [
        done("stop", 5.0, 9.0, chat),
        done("kill", 9.5, 10.0, chat),
        done("kill", 20.0, 21.0, ("alpha", "typing")),
        done("disk", 25.0, 30.0, ("beta", "chat")),
        done("kill", 26.0, 27.0, chat),
        done("kill", 28.0, 29.0, ("beta", "chat")),
        done("kill", 30.5, 31.0, ("beta", "chat")),
        done("restart", 40.0, 41.0, chat, ("beta", "chat")),
    ]
    assert sorted(kills_in(faults)) == [
        Kill("beta", 25.0, 29.0),
        Kill("beta", 25.0, 31.0),
    ]
