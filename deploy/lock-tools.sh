#!/bin/sh
# Prints where the tools of `make lock`, `make sbom` and `make audit` are; installs them once, in an environment of their
# own, from their lock file.
set -eu
cd "$(dirname "$0")/.."
# shellcheck source=deploy/working.sh
. deploy/working.sh
tools=build/tools
lock=deploy/locks/tools.txt
if ! cmp -s "$lock" "$tools/lock.txt"; then
    rm -rf "$tools"
    {
        working "python -m venv" "${PYTHON:-python3}" -m venv "$tools"
        working "installing tools" "$tools/bin/python" -m pip install --progress-bar off --disable-pip-version-check \
            --require-hashes --requirement "$lock"
    } >&2
    cp "$lock" "$tools/lock.txt"
fi
echo "$PWD/$tools/bin"
