r"""Names of people and groups in a command line, checked; without a server they are at ours.

We give nobody an odd name (shared/names.py). Those of others are taken as they are written, or in quotes, as
`"odd name\x1b"@alpha`; what begins with # is a group unless it is in quotes.
"""

from __future__ import annotations

from typing import TypeVar

from parley.shared.addresses import MAX_ID, Group, Recipient, User, split
from parley.shared.errors import ConfigError
from parley.shared.names import spell, why_odd

_Name = TypeVar("_Name", User, Group)


def ourselves(text: str) -> User:
    """Our own name: USER@SERVER, in full. ConfigError where it is not that, or a name that we give nobody."""
    _refuse_group(text, "a group cannot write: name a user, as in alice@alpha")
    _refuse_two(text)
    user = _short(User.parse(text))
    _refuse_odd(user.user_id, "name")
    return user


def recipient_named(text: str, home: str) -> Recipient:
    """NAME, NAME@SERVER, #GROUP or #GROUP@SERVER; without a server it is at home.

    Raises:
        ConfigError: none of these.

    """
    return group_named(text, home) if text.strip().startswith("#") else user_named(text, home)


def user_named(text: str, home: str) -> User:
    """NAME or NAME@SERVER; ConfigError where it is not that, or a group."""
    _refuse_group(text, f"name a user, as in bob@beta{_in_quotes(text)}")
    _refuse_two(text)
    return _short(User.parse(_at(text, home)))


def group_named(text: str, home: str) -> Group:
    """#GROUP, #GROUP@SERVER, or the same without #; ConfigError where it is not that."""
    name = text.strip().removeprefix("#")
    _refuse_two(name, text)
    return _short(Group.parse("#" + _at(name, home)))


def new_group(text: str, home: str) -> Group:
    """A group to join, which makes it where there is none; ConfigError where we would not name one so."""
    group = group_named(text, home)
    _refuse_odd(group.group_id, "name of the group")
    return group


def other_than(user: User, text: str) -> User:
    """Somebody whom a user can block, whatever the name; ConfigError where it is the user, or a group."""
    if looks_like_a_group(text):
        raise no_group(text)
    other = _short(User.parse(_at(text, user.server_id)))
    if other == user:
        raise ConfigError(f"{other} is you: nobody can block themselves")
    return other


def to_block(user: User, text: str) -> User:
    """As `other_than`, but that #NAME at our server may be a user's: the server knows whether there was one."""
    if not looks_like_a_group(text):
        return other_than(user, text)
    other = _short(User.parse(_at(text, user.server_id)))
    if other.server_id != user.server_id:
        raise no_group(text)
    return other


def looks_like_a_group(text: str) -> bool:
    """Whether it begins with #: a group, or a user of an existing program whose name is like that."""
    return text.strip().startswith("#")


def no_group(text: str) -> ConfigError:
    """The error for a command that would block a group."""
    reason = f"a group cannot be blocked; leave it, or block a user of it{_in_quotes(text)}"
    return ConfigError(f"{text.strip()!r} is a group; {reason}")


def _at(text: str, home: str) -> str:
    """The name, with the server that it has none of."""
    text = text.strip()
    try:
        _, server_id = split(text)
    except ValueError as error:
        raise ConfigError(f"{text!r} is no name: {error}") from None
    return f"{text}@{spell(home)}" if text and not server_id and not text.endswith("@") else text


def _refuse_group(text: str, reason: str) -> None:
    if looks_like_a_group(text):
        raise ConfigError(f"{text.strip()!r} is a group; {reason}")


def _in_quotes(text: str) -> str:
    name, at, server_id = text.strip().rpartition("@")
    return f"; a user of that name is {spell(name)}@{server_id}" if at and server_id else ""


def _refuse_two(name: str, text: str = "") -> None:
    """Two @ are a slip more often than a name."""
    if name.count("@") > 1 and '"' not in name:
        raise ConfigError(
            f"{text or name!r} is no name: write USER@SERVER, one @ and no spaces around it, as in alice@alpha; "
            'another @ stands in quotes, as in "a@b"@alpha'
        )


def _refuse_odd(part: str, what: str) -> None:
    if why := why_odd(part):
        raise ConfigError(
            f"the {what} {spell(part)} {why}: choose a name that can be read and typed, as alice or crew"
        )


def _short(name: _Name) -> _Name:
    if not name.is_complete:
        raise ConfigError(f"this name is too long: at most {MAX_ID} characters on each side of the @")
    return name
