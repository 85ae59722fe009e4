"""The node's identity on disk: an Ed25519 key in DATA_DIR/<serverId>/identity, of all its processes.

It is made at the first start, by whichever process is first. A backup of the data directory has it, too. A file
that is damaged is never replaced by itself: with another key the node would be refused by all who know it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from parley.shared.errors import StorageError
from parley.shared.trust.keys import PrivateKey
from parley.shared.trust_storage.key_files import make_key, read_key

FILE: Final = "identity"


def identity_path(data_dir: Path, server_id: str) -> Path:
    """The file of a node's key."""
    return data_dir / server_id / FILE


def find_identity(data_dir: Path, server_id: str) -> PrivateKey | None:
    """The key of the node of that name; None: it has none here, or none that can be read.

    Anybody may have sent the name: one that is a path is no name.
    """
    if server_id in {"", ".", ".."} or Path(server_id).name != server_id:
        return None
    try:
        return read_key(identity_path(data_dir, server_id))
    except (OSError, ValueError):
        return None


def have_identity(data_dir: Path, server_id: str) -> PrivateKey:
    """The key of the node of that name, made where there is none.

    Raises:
        StorageError: it cannot be read or written, or is damaged.

    """
    path = identity_path(data_dir, server_id)
    try:
        return make_key(path)[0]
    except ValueError:
        raise StorageError(
            f"{path} is damaged: restore it from a backup; without one remove it, and others have to accept this "
            "node's new key"
        ) from None
    except OSError as error:
        raise StorageError(f"cannot keep this node's key in {path}: {error.strerror}") from None
