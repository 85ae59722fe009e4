#!/bin/sh
# Makes the virtual environment that `make run` and `make test` use. Argument: where.
# What only an administrator can install is said as a command to paste.
set -eu
venv=$1
# shellcheck source=deploy/working.sh
. "$(dirname "$0")/working.sh"

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

# How this system installs packages, as somebody types it. Arguments: the packages' names on Debian, on Fedora, on Alpine
# and on Arch.
paste() {
    sudo=
    [ "$(id -u)" = 0 ] || sudo="sudo "
    if command -v apt-get >/dev/null; then
        echo "${sudo}apt-get update && ${sudo}apt-get install -y $1"
    elif command -v dnf >/dev/null; then
        echo "${sudo}dnf install -y $2"
    elif command -v apk >/dev/null; then
        echo "${sudo}apk add $3"
    elif command -v pacman >/dev/null; then
        echo "${sudo}pacman -S --needed $4"
    else
        echo "(your system's package manager) $1"
    fi
}

needed() {
    printf 'parley: %s Paste this, then run make again:\n\n    %s\n\n' "$1" "$2" >&2
    exit 1
}

# Debian and Ubuntu ship Python without what makes environments; its package is named after the version.
install_venv_package() {
    command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" = 0 ]; then sudo=; elif sudo -n true 2>/dev/null; then sudo="sudo -n"; else return 1; fi
    echo "Installing $1 …"
    # shellcheck disable=SC2086 # none, or two words
    working "apt-get update" $sudo apt-get update -qq &&
        working "apt-get install $1" $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$1"
}

can_make_environments() {
    "$python" -c 'import ensurepip, venv' 2>/dev/null
}

python=$(find_python) ||
    needed "Python 3.11 or newer is needed." "$(paste "python3 python3-venv" python3 python3 python)"
if ! can_make_environments; then
    package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    { install_venv_package "$package" && can_make_environments; } ||
        needed "$python cannot make virtual environments: $package is missing." "$(paste "$package" python3 python3 python)"
fi
deploy/core-tools.sh "$python"
echo "Setting up $venv with $("$python" --version) (once) …"
working "python -m venv" "$python" -m venv "$venv" ||
    fail "$venv could not be made; see above"
pip() {
    "$venv/bin/python" -m pip --disable-pip-version-check install --progress-bar off "$@"
}
# Each file that is installed has a hash that stands in the lock. For a Python that is newer than the lock there may be
# no such files.
if "$python" -c 'import sys; sys.exit(sys.version_info >= (3, 15))'; then
    working "installing packages" pip --require-hashes --requirement deploy/locks/development.txt ||
        fail "the dependencies could not be installed; see above. \`make setup\` tries again"
    working "building Parley" pip --no-deps --no-build-isolation --config-settings editable_mode=compat --editable . ||
        fail "Parley could not be installed; see above. \`make setup\` tries again"
else
    echo "The lock is for Python 3.11 to 3.14: the newest packages are installed, and their hashes are not checked."
    working "installing packages" pip --config-settings editable_mode=compat --editable '.[dev]' ||
        fail "the dependencies could not be installed; see above. \`make setup\` tries again"
fi
"$venv/bin/python" -c 'import parley.shared._core' 2>/dev/null ||
    echo "Parley will run without its compiled core: all works, and a message between servers costs tens of times as much." \
        "Once there is a C compiler and Python's headers, \`make -B setup\` builds it."
