"""An operator's changes of users' names: what each does, and when it cannot be."""

import pytest

from parley.services.chat.operator.user_commands import UserChange, apply
from parley.shared.errors import ConfigError
from parley.shared.trust.devices import How
from parley.shared.trust.names import Change, Name, changed

KEY, OTHER = b"\1" * 32, b"\2" * 32
CLAIMED = changed(Name("bob", plain_at=0.0), Change.SHARE, KEY, 1.0, 1)
OWNED = changed(Name("bob"), Change.OWN, KEY, 1.0, 1)


def done(name, action, key=b"", password=""):
    return apply(name, UserChange(action, "bob", key, password), 5.0, 1)[0]


def test_the_only_key_that_waits_is_approved_and_of_several_one_is_named():
    assert done(CLAIMED, "approve").owners[0].device.how is How.APPROVED
    assert done(OWNED, "approve").is_approved
    several = changed(CLAIMED, Change.SHARE, OTHER, 2.0, 1)
    with pytest.raises(ConfigError, match="2 keys used bob"):
        done(several, "approve")
    assert [owner.key for owner in done(several, "approve", OTHER).owners] == [OTHER]


@pytest.mark.parametrize(
    ("name", "action", "key", "says"),
    [
        (Name("bob"), "approve", b"", "no key of bob waits"),
        (CLAIMED, "approve", OTHER, "by no key"),
        (OWNED, "approve_plain", b"", "belongs to devices already"),
        (Name("bob"), "reset", b"", "belongs to nobody"),
        (OWNED, "revoke", OTHER, "no such key"),
        (Name("bob"), "add", b"", "no hash"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(name, action, key, says):
    with pytest.raises(ConfigError, match=says):
        done(name, action, key)


def test_a_password_ends_earlier_sessions_and_claims():
    after = done(CLAIMED, "add", password="$argon2id$x")
    assert (after.is_owned, after.claims, after.sessions_from) == (True, (), after.number)


def test_a_plain_name_is_approved_a_device_revoked_a_name_reset():
    assert done(Name("bob"), "approve_plain").plain_at == 5.0
    assert KEY in done(OWNED, "revoke", KEY).revoked
    assert done(OWNED, "reset").reset
