"""Whether an object is what the annotations of its class say, which Grafana's generated types do not check.

They take any JSON value for any field when they read one, so a number for a name would go unnoticed.
"""

import enum
import types
import typing

PLAIN = {str: str, bool: bool, int: int, float: (int, float), type(None): type(None)}


def faults(value):
    """What is not of the type that it must be, as sentences; none where all is right."""
    return [f"{'.'.join(where)}: {words}" for where, words in _object(value, ("$",))]


def _faults(value, hint, place):
    """The same, each as a place and words."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint in (object, typing.Any):
        yield from _object(value, place) if hasattr(type(value), "from_json") else ()
    elif origin in (typing.Union, types.UnionType):
        found = [list(_faults(value, each, place)) for each in arguments]
        # Told by the kind that it comes nearest to: the one where the first fault lies deepest.
        yield from max(found, key=lambda each: len(each[0][0])) if all(found) else ()
    elif origin is typing.Literal:
        yield from _unless(value in arguments, value, hint, place)
    elif origin in (list, dict):
        yield from _items(value, origin, arguments[-1], place)
    elif hint in PLAIN:
        fits = isinstance(value, PLAIN[hint]) and (hint is bool or not isinstance(value, bool))
        yield from _unless(fits, value, hint, place)
    elif issubclass(hint, enum.Enum):
        yield from _unless(value in {member.value for member in hint}, value, hint, place)
    elif isinstance(value, dict) and hasattr(hint, "from_json"):
        yield from _unread(value, hint, place)
    else:
        yield from _object(value, place) if isinstance(value, hint) else _unless(False, value, hint, place)


def _unless(fits, value, hint, place):
    return () if fits else ((place, f"{value!r} is no {getattr(hint, '__name__', hint)}"),)


def _items(value, kind, hint, place):
    if not isinstance(value, kind):
        yield from _unless(False, value, kind, place)
    else:
        for key, item in enumerate(value) if kind is list else value.items():
            yield from _faults(item, hint, (*place, str(key)))


def _object(value, place):
    """The fields of an object, by the annotations of its own class."""
    for name, hint in typing.get_type_hints(type(value)).items():
        yield from _faults(getattr(value, name), hint, (*place, name))


def _unread(value, hint, place):
    """A field that Grafana's types leave as the JSON that it was."""
    read = hint.from_json(dict(value))
    for key in sorted(value.keys() - read.to_json().keys()):
        yield (*place, key), f"{hint.__name__} has no such field"
    yield from _object(read, place)
