"""All that is to be shown."""

from __future__ import annotations

from typing import Final

from tests.interop.shows.code_one_client import code_one_client
from tests.interop.shows.code_two_client import code_two_client
from tests.interop.shows.code_two_server import code_two_server
from tests.interop.shows.linking_server import linking_server
from tests.interop.shows.listed_server import listed_server
from tests.interop.shows.old_server import old_server
from tests.interop.shows.show import Show

SHOWS: Final[dict[str, Show]] = {
    "an old server beside our node": old_server,
    "a linking server": linking_server,
    "a linking server that was there first": listed_server,
    "a client of code base 1": code_one_client,
    "a client of code base 2": code_two_client,
    "a server of code base 2": code_two_server,
}
