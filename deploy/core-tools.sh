#!/bin/sh
# Installs what Parley's compiled core (shared/core) is built with, where it is absent and may be installed: on Debian
# and Ubuntu a C compiler and the Python's headers. Argument: the Python. A failure here is never fatal: Parley runs
# without its core, too.
set -u
python=$1
# shellcheck source=deploy/working.sh
. "$(dirname "$0")/working.sh"

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

can_build() {
    compiler=${CC:-$("$python" -c 'import sysconfig; print((sysconfig.get_config_var("CC") or "cc").split()[0])')}
    echo '#include <Python.h>' |
        "$compiler" -fsyntax-only -I"$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')" -x c - 2>/dev/null
}

skip() {
    echo "There is no C compiler for $python, or there are no headers ($1)."
    exit 0
}

can_build && exit 0
command -v apt-get >/dev/null || skip "this is no Debian"
packages="gcc libc6-dev"
# A Python that is not the system's brings its headers along.
[ "$("$python" -c 'import sys; print(sys.base_prefix)')" != /usr ] ||
    packages="$packages $("$python" -c 'import sys; print("python%d.%d-dev" % sys.version_info[:2])')"
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null && sudo -n true 2>/dev/null ||
        skip "they need root, or sudo without a password: sudo apt-get install -y $packages"
fi
echo "Installing $packages (once) …"
working "apt-get update" as_root apt-get update -qq 2>/dev/null || skip "no package list can be fetched"
# shellcheck disable=SC2086 # several
working "apt-get install" as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends $packages 2>/dev/null ||
    skip "apt-get could not install $packages"
can_build || skip "even with $packages"
