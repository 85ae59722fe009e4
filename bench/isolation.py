"""A network of one's own to measure in: nothing else on the machine hears the nodes, nor do they hear it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

MARK = "BENCH_IS_ALONE"
SET_UP = 'ip link set lo up && exec "$@"'


def alone() -> bool:
    """Run this program anew in a network namespace with nothing but loopback, once.

    Returns whether it is in one. Where there can be none (not Linux, not allowed) the nodes are on loopback
    addresses of their own as well: others on this machine that broadcast there would be heard.
    """
    if os.environ.get(MARK):
        return True
    command = ["unshare", *([] if os.geteuid() == 0 else ["--map-root-user"]), "--net", "sh", "-c", SET_UP, "sh"]
    if (
        shutil.which("unshare")
        and subprocess.run([*command, "true"], check=False, capture_output=True).returncode == 0
    ):
        sys.stdout.flush()
        os.execvpe(command[0], [*command, *sys.orig_argv], os.environ | {MARK: "1"})
    return False
