"""The version of the distribution that this program was installed from."""

from importlib import metadata

DISTRIBUTION = "parley-lan"


def version() -> str:
    """Parley's version."""
    return metadata.version(DISTRIBUTION)
