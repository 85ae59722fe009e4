"""Device lists and session tokens: what their signatures cover, and how long they count."""

import pytest

from parley.shared.addresses import User
from parley.shared.trust.devices import (
    MOST,
    Device,
    DeviceLists,
    How,
    ListVerdict,
    confirm,
    encode_device,
    is_confirmed,
    is_list_signed,
    read_device,
    sign_list,
)
from parley.shared.trust.keys import PrivateKey
from parley.shared.trust.tokens import DAY, LASTS, WRITTEN, TokenClock, is_issued_by, issue
from parley.shared.wire.messages import pb

HOME, MALLORY, PHONE, LAPTOP = (PrivateKey(bytes([n]) * 32) for n in (1, 2, 3, 4))
ALICE = User("alice", "alpha")
NOW = float(WRITTEN + 10 * DAY)
FIRST = Device(PHONE.public, "phone", 1, How.CLAIMED)


def _list(number=1, identity=HOME, devices=(FIRST,), **more):
    return sign_list(identity, ALICE, devices, number=number, now=NOW, **more)


def test_an_entry_is_confirmed_by_the_earlier_device_for_one_user_key_name_and_time():
    entry = confirm(PHONE, ALICE, LAPTOP.public, "laptop", 5)
    assert is_confirmed(ALICE, entry)
    assert not is_confirmed(User("bob", "alpha"), entry)
    for change in ({"key": MALLORY.public}, {"name": "other"}, {"added": 6}, {"by": MALLORY.public}):
        values = {name: getattr(entry, name) for name in Device.__slots__} | change
        assert not is_confirmed(ALICE, Device(**values)), change


def test_a_list_is_signed_by_the_home_over_each_of_its_fields():
    message = _list(devices=(FIRST, confirm(PHONE, ALICE, LAPTOP.public, "laptop", 5)))
    assert is_list_signed(message, HOME.public)
    assert not is_list_signed(message, MALLORY.public)
    for name, value in (("number", 2), ("expires", 1), ("reset", True), ("sessionsFrom", 9)):
        other = pb.DeviceList.FromString(message.SerializeToString())
        setattr(other, name, value)
        assert not is_list_signed(other, HOME.public), name
    message.devices[0].name = "mine"
    assert not is_list_signed(message, HOME.public)


def test_a_home_that_signs_an_entry_no_device_confirmed_is_not_believed():
    forged = Device(MALLORY.public, "", 5, How.CONFIRMED, PHONE.public, b"s" * 64)
    assert not is_list_signed(_list(devices=(FIRST, forged)), HOME.public)


def test_a_list_of_too_many_devices_is_refused_before_a_signature_is_looked_at():
    assert not is_list_signed(_list(devices=(FIRST,) * (MOST + 1)), HOME.public)


@pytest.mark.parametrize(
    "change", [{"key": b"k"}, {"name": "n" * 65}, {"how": 77}, {"by": b"x"}, {"signature": b"s"}]
)
def test_what_is_no_device_is_none(change):
    message = encode_device(FIRST)
    assert read_device(message) == FIRST
    for name, value in change.items():
        setattr(message, name, value)
    assert read_device(message) is None


def test_an_old_number_is_refused_for_ever_by_who_saw_a_higher_one():
    lists = DeviceLists()
    assert lists.take(_list(3), HOME.public) is ListVerdict.NEW
    assert lists.take(_list(2), HOME.public) is ListVerdict.OLDER
    assert lists.take(_list(3), HOME.public) is ListVerdict.SAME
    assert lists.take(_list(4, identity=MALLORY), HOME.public) is ListVerdict.UNSIGNED
    assert lists.take(_list(4, devices=()), HOME.public) is ListVerdict.NEW
    assert not lists.allows(ALICE, PHONE.public, 4)
    assert not lists.allows(ALICE, PHONE.public, 3)
    assert lists.allows(ALICE, LAPTOP.public, 5)  # newer than what is known here


def test_a_reset_ends_the_sessions_of_before():
    lists = DeviceLists()
    lists.take(_list(4, devices=(), reset=True, sessions_from=4), HOME.public)
    assert not lists.allows(ALICE, b"", 3)
    assert lists.allows(ALICE, b"", 4)


def test_lists_of_so_many_users_are_kept_and_no_more():
    lists = DeviceLists(most=3)
    for number in range(10):
        user = User(f"u{number}", "alpha")
        lists.take(sign_list(HOME, user, [], number=1, now=NOW), HOME.public)
    assert len(lists) == 3


def test_a_token_is_good_for_its_user_and_device_and_from_its_home_alone():
    token = issue(HOME, ALICE, PHONE.public, 1, NOW)
    assert is_issued_by(HOME.public, token, ALICE, PHONE.public)
    assert not is_issued_by(MALLORY.public, token, ALICE, PHONE.public)
    assert not is_issued_by(HOME.public, token, User("bob", "alpha"), PHONE.public)
    assert not is_issued_by(HOME.public, token, User("alice", "beta"), PHONE.public)
    assert not is_issued_by(HOME.public, token, ALICE, LAPTOP.public)
    assert not is_issued_by(HOME.public, token, ALICE, b"")
    for name, value in (("expires", token.expires + 1), ("number", 2), ("device", b"")):
        other = pb.SessionToken.FromString(token.SerializeToString())
        setattr(other, name, value)
        assert not is_issued_by(HOME.public, other, ALICE, PHONE.public), name


def test_a_session_of_a_password_is_good_for_who_has_it():
    assert is_issued_by(HOME.public, issue(HOME, ALICE, b"", 1, NOW), ALICE, PHONE.public)


def test_a_home_gives_no_session_without_an_end():
    token = issue(HOME, ALICE, b"", 1, NOW)
    token.expires += LASTS
    assert not is_issued_by(HOME.public, token, ALICE, b"")


@pytest.mark.parametrize(
    ("now", "is_over"),
    [
        (NOW, False),
        (NOW - DAY + 1, False),
        (NOW - DAY - 1, True),
        (NOW + LASTS + DAY - 1, False),
        (NOW + LASTS + DAY + 1, True),
        (0.0, False),  # a machine without a clock: running time counts
        (4_294_967_296.0, True),
    ],
)
def test_a_token_is_over_by_the_clock_give_or_take_a_day(now, is_over):
    assert TokenClock().is_over(issue(HOME, ALICE, b"", 1, NOW), now, 0.0) is is_over


@pytest.mark.parametrize("now", [NOW, 0.0])
def test_a_token_is_over_by_running_time_where_the_clock_stands_still(now):
    clock, token = TokenClock(), issue(HOME, ALICE, b"", 1, NOW)
    assert not clock.is_over(token, now, 100.0)
    assert not clock.is_over(token, now, 100.0 + LASTS)
    assert clock.is_over(token, now, 101.0 + LASTS)
