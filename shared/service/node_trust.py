"""The trust of a process of a node: its key and certificate, and how it knows who is at the other end of a link.

Services ask here and nowhere else. In mode `open` there is no key, and every link is plain.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from parley.shared.config import Config
from parley.shared.errors import PeerUnproven
from parley.shared.link.credentials import Acceptor, Certified, Credentials, Expects
from parley.shared.link.events import Identity
from parley.shared.link.link import Link
from parley.shared.names import fold, spell
from parley.shared.service.server_keys import ServerKeys
from parley.shared.trust.assurance import ENCRYPTED, Assurance, Basis
from parley.shared.trust.certificates import BACKDATED, make_leaf, renew_at
from parley.shared.trust.keys import PrivateKey, fingerprint
from parley.shared.trust.pins import How, Verdict
from parley.shared.trust.proofs import CLIENT, SERVER, Channel, Dialler, is_proven, make_hello
from parley.shared.trust_storage.identity import find_identity, have_identity
from parley.shared.trust_storage.tls_contexts import server_context
from parley.shared.wire.messages import pb

BASES: Final = {How.SEEN: Basis.SEEN, How.INVITED: Basis.INVITED, How.APPROVED: Basis.APPROVED}
REFUSED: Final = {
    Verdict.OTHER: "other_key",
    Verdict.REVOKED: "revoked_key",
    Verdict.PLAIN_HELD: "plain_held",
    Verdict.STRANGER: "stranger",
}
"""Verdict → the word of the metric."""
NAMED_REFUSALS: Final = frozenset({*REFUSED.values(), "plain_name"})
"""Reasons to refuse a server that ServerKeys tells in a line of its own."""


class NodeTrust:
    """Of one process. `now()`: seconds since 1970, by this machine's clock, for the certificate's dates."""

    def __init__(
        self, config: Config, feature: str, servers: ServerKeys, now: Callable[[], float] = time.time
    ) -> None:
        self._security = config.security
        self._data_dir = Path(config.data_dir)
        self._feature = feature
        self._now = now
        self._server_id = ""
        self.identity: PrivateKey | None = None
        """The node's key; None: its name is not known yet, or there are no keys."""
        self._certified: Certified | None = None
        self._begins = self._renew_at = 0.0
        self.servers = servers
        """Other servers' keys."""
        self.acceptor = Acceptor(self, allows_plain=self._security.allows_plain) if self.has_keys else None
        """The security of accepted links; None: they are plain."""

    @property
    def has_keys(self) -> bool:
        """Whether there are keys and encryption at all."""
        return self._security.has_keys

    @property
    def key(self) -> bytes:
        """The node's public key; empty: none."""
        return self.identity.public if self.identity is not None else b""

    def open(self, server_id: str) -> None:
        """Have the key of the node of that name. StorageError where the disk does not let us."""
        if self.has_keys and server_id != self._server_id:
            self.identity = have_identity(self._data_dir, server_id)
            self._server_id = server_id
            self._certified = None
            self.servers.open(server_id)
            self.servers.federation.open(server_id, self.identity)

    def close(self) -> None:
        """Write what is left."""
        self.servers.close()

    # The side that accepts -------------------------------------------------------------------------------

    @property
    def certified(self) -> Certified | None:
        """The certificate of now, renewed when it is time; links that stand keep theirs."""
        if self.identity is None:
            return None
        now = self._now()
        if self._certified is None or not self._begins <= now < self._renew_at:  # a clock may be set back, too
            leaf = make_leaf(self.identity, self._server_id, now)
            self._certified = Certified(server_context(leaf), leaf.digest)
            self._begins = now - BACKDATED * 86400
            self._renew_at = renew_at(self._begins)
        return self._certified

    def greet(self, certificate: bytes) -> tuple[pb.Hello, Channel]:
        """HELLO for a new connection with that certificate."""
        if self.identity is None:
            raise PeerUnproven("this process has no key")
        hello, channel = make_hello(self.identity, certificate, self._server_id)
        if (own := self.servers.federation.own) is not None:
            hello.membership.CopyFrom(own)
        return hello, channel

    def assess(self, link: Link, identity: Identity) -> str:
        """Note how we know who asks to be connected; the reason to refuse, a word of the metric, or nothing."""
        if identity.key and link.channel is not None:
            if link.is_proven or not is_proven(_proof(identity), link.channel, self._dialler(identity)):
                return "bad_proof"
            link.is_proven = True
            link.assurance = Assurance(Basis.ENCRYPTED, identity.key)
        else:
            link.assurance = ENCRYPTED if link.channel is not None else link.assurance
        if identity.is_client:
            return ""
        if link.is_proven:
            self.servers.federation.introduced(identity.membership, identity.server_id, identity.key)
        return self._assess_server(link, identity.server_id)

    def _dialler(self, identity: Identity) -> Dialler:
        role = CLIENT if identity.is_client else SERVER
        name = str(identity.user) if identity.user is not None else identity.server_id
        return Dialler(role, self._feature, name, identity.instance_id)

    def _assess_server(self, link: Link, name: str) -> str:
        key = link.assurance.key
        if fold(name) in {"", fold(self._server_id)}:  # a process of this node, which has another proof
            return "" if key in {b"", self.key} else "other_key"
        if not key:
            return "" if self.may_be_plain(name, link.remote_host) else "plain_name"
        verdict = self.judge_server(name, key, link.remote_host)
        if verdict in REFUSED:
            return REFUSED[verdict]
        link.assurance = self._assurance(name, key)
        return ""

    # The side that dials ---------------------------------------------------------------------------------

    def credentials(
        self, connect: pb.ConnectServer | pb.ConnectClient, feature: str, expects: Expects
    ) -> Credentials:
        """The credentials of this node for a server's feature; `connect` is our CONNECT, and shows our key."""
        name = connect.serverId if isinstance(connect, pb.ConnectServer) else ""
        instance = connect.instanceId if isinstance(connect, pb.ConnectServer) else ""
        own = self.servers.federation.own
        if isinstance(connect, pb.ConnectServer) and own is not None:
            connect.membership.CopyFrom(own)
        return Credentials(
            connect, Dialler(SERVER, feature, name, instance), expects, self.identity, introduced=self._introduced
        )

    def _introduced(self, channel: Channel, shown: pb.Membership) -> None:
        """The acceptor shows its place in a federation."""
        self.servers.federation.introduced(shown, channel.server_id, channel.key)

    def expect_server(self, name: str, key: bytes, host: str) -> Expects:
        """Expect the server of that name, which is known by this key."""

        def expects(channel: Channel) -> Assurance:
            if fold(channel.server_id) != fold(name):
                raise PeerUnproven(f"it is {spell(channel.server_id[:64])}, and not {spell(name)}")
            verdict = self.judge_server(name, channel.key, host)
            if channel.key != key or verdict in REFUSED:
                text = f"its key is {fingerprint(channel.key)}, and {spell(name)} has another"
                raise PeerUnproven(text, REFUSED.get(verdict, PeerUnproven.reason))
            return self._assurance(name, channel.key)

        return expects

    def expect_sibling(self, channel: Channel) -> Assurance:
        """Expect a process of our node: its key is the one in our data directory."""
        return expect_sibling(self._data_dir, channel)

    # Other servers' keys ---------------------------------------------------------------------------------

    def judge_server(self, name: str, key: bytes, host: str = "") -> Verdict:
        """The verdict on a proven key that says to be `name`, shown from `host`; a new one is pinned."""
        return self.servers.judge_server(name, key, host)

    def may_be_plain(self, name: str, host: str = "") -> bool:
        """Whether a server without a key, at `host`, may use that name."""
        return self.servers.may_be_plain(name, host)

    def key_of(self, name: str) -> bytes:
        """The key of a name; empty: it has none that we know."""
        return self.servers.key_of(name)

    def linked(self, link: Link) -> None:
        """A link with a server stands: its name stays its key's, or counts as used in plain."""
        if link.assurance.key:
            self.servers.judge_server(link.peer_id, link.assurance.key, link.remote_host, is_linked=True)
        else:
            self.servers.used_in_plain(link.peer_id)

    def look_again(self, link: Link) -> None:
        """Note anew how we know the server at the other end of a link: an invitation may have come since."""
        if link.assurance.key:
            link.assurance = self._assurance(link.peer_id, link.assurance.key)

    def _assurance(self, name: str, key: bytes) -> Assurance:
        pin = self.servers.pin_of(name)
        return Assurance(BASES[pin.how] if pin is not None else Basis.ENCRYPTED, key)


def expect_sibling(data_dir: Path, channel: Channel) -> Assurance:
    """Expect a process of the node with that data directory. PeerUnproven: it has another key."""
    own = find_identity(data_dir, channel.server_id)
    if own is None or own.public != channel.key:
        raise PeerUnproven("it has another data directory than we have: its key is not the one that is in ours")
    return Assurance(Basis.OWN, channel.key)


def _proof(identity: Identity) -> pb.KeyProof:
    return pb.KeyProof(key=identity.key, signature=identity.signature)
