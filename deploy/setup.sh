#!/bin/sh
# Makes the virtual environment that `make run` and `make test` use. Argument: where.
set -eu
venv=$1

fail() {
    echo "parley: $*" >&2
    exit 1
}

find_python() {
    for name in python3.14 python3.13 python3.12 python3.11 python3; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    return 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else return 1; fi
}

# Debian and Ubuntu ship Python without ensurepip; its package is named after the version.
install_venv_package() {
    command -v apt-get >/dev/null || return 1
    version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    echo "Installing python$version-venv …"
    as_root apt-get update -qq && as_root apt-get install -y -qq "python$version-venv" >/dev/null
}

python=$(find_python) || fail "Python 3.11 or newer is needed: on Debian or Ubuntu, apt-get install python3"
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    install_venv_package "$python" || fail "$python has no ensurepip: install your system's python3-venv package"
fi
deploy/core-tools.sh "$python"
echo "Setting up $venv with $("$python" --version) (once) …"
"$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat --editable '.[dev]' ||
    fail "the dependencies could not be installed; see above"
"$venv/bin/python" -c 'import shared._core' 2>/dev/null ||
    echo "Parley will run without its compiled core: all works, and a message between servers costs tens of times as much." \
        "Once there is a C compiler and Python's headers, \`make -B setup\` builds it."
