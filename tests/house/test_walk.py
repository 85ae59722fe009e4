"""`make walk`: what it counts, and that one message's way through the servers gets no longer."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests.house.following import Call, Follower, Leg, returns
from tests.house.sources import ROOT

MOST_VISITS, MOST_RETURNS, MOST_IN_HAND_OF_A_LEG = 134, 53, 4
"""Of both servers, as it is now, three visits of each for the archive: whoever makes it less notes it here."""


def leg(*calls):
    """Calls by their depths: `leg((0, "a"), (1, "b"))` is a call of a's that calls b."""
    return Leg("alpha", calls=[Call(f"services/chat/{module}", "f", depth) for depth, module in calls])


def visits(*calls):
    return [visit.module.removeprefix("services/chat/") for visit in leg(*calls).visits]


@pytest.mark.parametrize(
    ("calls", "expected", "number"),
    [
        ([(0, "a"), (1, "b"), (2, "c")], ["a", "b", "c"], 0),
        ([(0, "a"), (1, "b"), (1, "c")], ["a", "b", "c"], 0),  # b only returned
        ([(0, "a"), (1, "b"), (1, "a"), (1, "b")], ["a", "b"], 0),  # nothing was left for the second call
        ([(0, "a"), (1, "b"), (2, "a")], ["a", "b", "a"], 1),  # called back
        ([(0, "a"), (1, "b"), (1, "c"), (1, "b")], ["a", "b", "c", "b"], 1),
        ([(0, "a"), (1, "b"), (0, "a")], ["a", "b", "a"], 1),
    ],
)
def test_a_return_is_a_call_to_a_module_that_was_left(calls, expected, number):
    assert visits(*calls) == expected
    assert leg(*calls).returns == number


def test_a_call_by_way_of_shared_leaves_no_module():
    calls = [("services/chat/a", "f"), ("shared/b", "g"), ("services/chat/a", "h")]
    story = Leg("alpha", calls=[Call(*each, depth) for depth, each in enumerate(calls)])
    (visit,) = story.visits
    assert visit.functions == ["f", "h"]
    assert story.shared == {"shared/b": ["g"]}


def test_what_is_done_once_a_read_is_told_apart():
    story = leg((0, "a"), (1, "b"), (2, "c"), (1, "c"), (1, "b"))
    story.calls[1] = story.calls[1]._replace(is_handed_message=True)
    assert [visit.is_in_hand for visit in story.visits] == [False, True, True, False]
    assert (story.returns, story.returns_in_hand) == (1, 0)
    assert returns(["b", "c", "c", "b", "c"]) == 2


def test_a_module_is_its_file_wherever_the_folder_is_linked_to(tmp_path):
    folder = tmp_path / "services" / "chat"
    folder.mkdir(parents=True)
    (tmp_path / "parley").mkdir()
    (tmp_path / "parley" / "services").symlink_to(tmp_path / "services")
    functions = {}
    for place, name, source in [
        (folder, "b", "def inner(message): return [None for _ in (1, 2)]"),
        (tmp_path / "parley" / "services" / "chat", "a", "def outer(message): return inner(message)"),
    ]:
        (folder / f"{name}.py").write_text(source)
        exec(compile(source, str(place / f"{name}.py"), "exec"), functions)
    follower = Follower(tmp_path)
    with follower.follow("alpha"):
        functions["outer"](SimpleNamespace(messageSnowflake=1))
    (story,) = follower.legs
    assert [call[:3] for call in story.calls] == [("services/chat/a", "outer", 0), ("services/chat/b", "inner", 1)]
    assert all(call.is_handed_message for call in story.calls)


@pytest.mark.parametrize(("way", "here", "there"), [([], "alpha", "beta"), (["--back"], "beta", "alpha")])
def test_one_message_s_way_gets_no_longer_in_either_direction(way, here, there):
    """To the server that was dialled, and to the one that dialled it."""
    legs = [(here, "MESSAGE"), (there, "MESSAGE"), (there, "MESSAGE_ACK"), (here, "MESSAGE_ACK")]
    command = [sys.executable, "-m", "tests.house.walk", "--short", *way]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    lines = done.stdout.splitlines()
    assert [tuple(line.split()[1:4:2]) for line in lines[1:5]] == legs
    for line in lines[1:5]:
        assert int(line.split()[-1]) <= MOST_IN_HAND_OF_A_LEG, line
    *_, visits, returns, _in_hand = lines[-1].split()
    assert (int(visits) <= MOST_VISITS, int(returns) <= MOST_RETURNS) == (True, True), lines[-1]
