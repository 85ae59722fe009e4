"""The command `parley`, also as `python -m parley`: what an installation without the command line says."""

import sys

from parley.shared.errors import EXIT_CONFIG
from parley.shared.extras import needed_extra


def main() -> None:
    """Run the command line, where its extra is installed."""
    try:
        from parley.cli.main import main as run  # noqa: PLC0415 - it may not be there
    except ModuleNotFoundError as error:
        needed = needed_extra(error)
        if not needed:
            raise
        sys.stderr.write(f"parley: the command line is an extra: {needed}\n")
        sys.exit(EXIT_CONFIG)
    run()


if __name__ == "__main__":
    main()
