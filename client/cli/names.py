"""Whom a command line means: names of people and groups, checked; without a server they are at ours."""

from __future__ import annotations

from shared.addresses import MAX_ID, Group, Recipient, User
from shared.errors import ConfigError


def ourselves(text: str) -> User:
    """Who we are: USER@SERVER, in full. ConfigError where it is not that, or a group."""
    _refuse_group(text, "a group cannot write: name a user, as in alice@alpha")
    return _checked(User.parse(text), text)


def recipient_named(text: str, home: str) -> Recipient:
    """NAME, NAME@SERVER, #GROUP or #GROUP@SERVER; without a server it is at home.

    Raises:
        ConfigError: none of these.

    """
    return group_named(text, home) if text.strip().startswith("#") else user_named(text, home)


def user_named(text: str, home: str) -> User:
    """NAME or NAME@SERVER; ConfigError where it is not that, or a group."""
    _refuse_group(text, "name a user, as in bob@beta")
    return _checked(User.parse(_at(text.strip(), home)), text)


def group_named(text: str, home: str) -> Group:
    """#GROUP, #GROUP@SERVER, or the same without #; ConfigError where it is not that."""
    name = text.strip().removeprefix("#")
    group = Group.parse("#" + _at(name, home))
    _checked(User(*group), text)
    return group


def other_than(user: User, text: str) -> User:
    """Somebody whom a user can block; ConfigError where it is the user, or a group."""
    _refuse_group(text, "a group cannot be blocked; leave it, or block a user of it")
    other = user_named(text, user.server_id)
    if other == user:
        raise ConfigError(f"{other} is you: nobody can block themselves")
    return other


def _at(name: str, home: str) -> str:
    return f"{name}@{home}" if name and "@" not in name else name


def _refuse_group(text: str, words: str) -> None:
    if text.strip().startswith("#"):
        raise ConfigError(f"{text.strip()!r} is a group; {words}")


def _checked(user: User, text: str) -> User:
    """The name, where both parts are words that can be written in one line and told apart."""
    for part in user:
        if "@" in part or "#" in part or " " in part or not part.isprintable():
            raise ConfigError(f"{text!r} is no name: write USER@SERVER, one @ and no spaces, as in alice@alpha")
    if not user.is_complete:
        raise ConfigError(f"this name is too long: at most {MAX_ID} characters on each side of the @")
    return user
