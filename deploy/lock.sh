#!/bin/sh
# Renews the lock files in deploy/locks: the newest versions that pyproject.toml allows, for Python 3.11 to 3.14 on every
# system that has them, each file of each version with its SHA-256. What no longer fits is said by tests/unit/test_locks.py.
set -eu
cd "$(dirname "$0")/.."
locks=deploy/locks
oldest=3.11
uv=$(deploy/lock-tools.sh)/uv

# Arguments: the file's name, then what to lock.
lock() {
    name=$1
    shift
    "$uv" pip compile --quiet --universal --python-version "$oldest" --generate-hashes --no-header --no-annotate \
        --upgrade --output-file "$locks/$name.txt.new" "$@"
    {
        echo "# Made by \`make lock\`: do not edit. $about"
        cat "$locks/$name.txt.new"
    } >"$locks/$name.txt"
    rm "$locks/$name.txt.new"
    echo "$locks/$name.txt: $(grep -c '^[a-z]' "$locks/$name.txt") packages"
}

# Nothing is built where there is a wheel for each Python on each of the two machines that people have. Argument: the name.
check_wheels() {
    for python in 3.11 3.12 3.13 3.14; do
        for machine in x86_64 aarch64; do
            "$uv" pip install --quiet --dry-run --no-deps --only-binary :all: --target build/nothing --python-version "$python" \
                --python-platform "$machine-manylinux_2_28" --require-hashes --requirement "$locks/$1.txt" ||
                { echo "$locks/$1.txt: a package has no wheel for Python $python on $machine; see above" >&2 && exit 1; }
        done
    done
}

about="All that running and testing need: \`make setup\`."
lock development --extra dev pyproject.toml
about="What the image holds."
lock runtime --extra cli --extra node --constraint "$locks/development.txt" pyproject.toml
about="What the image is built with, and does not hold."
echo "setuptools" | lock build --constraint "$locks/development.txt" -
about="What \`make lock\`, \`make sbom\` and \`make audit\` run."
printf '%s\n' cyclonedx-bom pip-audit uv | lock tools -
check_wheels development
check_wheels runtime
