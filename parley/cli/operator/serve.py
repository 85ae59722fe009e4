"""`parley serve`."""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Sequence
from contextlib import suppress

from parley.cli.output import Output, OutputError
from parley.cli.terminal import fail, mention
from parley.services.node.supervisor import SERVICES, Supervisor, check_ports
from parley.shared.config import load
from parley.shared.errors import EXIT_CONFIG, ConfigError
from parley.shared.printable import one_line
from parley.shared.telemetry import logs


def serve(services: Sequence[str], config_file: str | None, *, verbose: bool) -> int:
    """Run a node, or one process of it in this very process; the exit code."""
    if config_file:
        os.environ["PARLEY_CONFIG"] = config_file
    if len(services) == 1:
        runpy.run_module(f"parley.services.{services[0]}", run_name="__main__", alter_sys=True)
        return 0
    try:
        config = load()
        if not verbose and config.log.level == "info":  # people want few lines here
            os.environ["PARLEY_LOG__LEVEL"] = "warning"
            config = load()
        check_ports(config, services or SERVICES)
    except ConfigError as error:
        fail(str(error), EXIT_CONFIG)
    logs.configure(config.log)
    return Supervisor(config, services or SERVICES, _print).run()


def _print(text: str) -> None:
    """A node goes on whoever reads what it says: where nobody does, as on a full disk, it is not said."""
    if isinstance(sys.stdout, Output):
        with suppress(OutputError):
            sys.stdout.write_soon(one_line(text) + "\n")
    else:
        mention(one_line(text))
