"""Every kind of existing program."""

from __future__ import annotations

from typing import Final

from tests.interop.kinds.code_one_client import CodeOneClients
from tests.interop.kinds.code_two import CodeTwoClients, CodeTwoServers
from tests.interop.kinds.kind import Kind
from tests.interop.kinds.linking_server import LinkingServers
from tests.interop.kinds.old_server import OldServers

KINDS: Final[dict[str, type[Kind]]] = {
    kind.name: kind for kind in (CodeOneClients, OldServers, LinkingServers, CodeTwoClients, CodeTwoServers)
}
