#!/bin/sh
# All checks and tests, cheapest first; at the end, what a message costs. Argument: the virtual environment's bin.
# What the compiled core does is tested without it, too: the same tests, on the same rules in Python.
set -eu
bin=$1

bytecode=
installed=
installing=
said=
preparing=
fuzzed=
fuzzing=
clean_up() {
    for each in $installing $preparing $fuzzing; do
        if kill "$each" 2>/dev/null; then wait "$each" || true; fi
    done
    rm -rf ${installed:+"$installed"} ${said:+"$said"} ${fuzzed:+"$fuzzed"} ${bytecode:+"$bytecode"}
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

# The tests start thousands of processes of Parley's. Where no bytecode is wanted beside the sources, as images have it,
# each of them would compile all that it imports: so it is kept elsewhere for as long as this runs.
if [ -n "${PYTHONDONTWRITEBYTECODE:-}" ]; then
    bytecode=$(mktemp -d)
    export PYTHONPYCACHEPREFIX="$bytecode"
    unset PYTHONDONTWRITEBYTECODE
fi

# To fetch and unpack what some tests run against takes its time, and the first checks need none of it.
installed=$(mktemp)
deploy/test-tools.sh >"$installed" 2>&1 &
installing=$!
wait_for_tools() {
    wait "$installing" || true # it says itself what is not there
    installing=
    cat "$installed"
}

"$bin/ruff" check .
"$bin/ruff" format --check .
"$bin/mypy"
if "$bin/python" -c 'import parley.shared._core' 2>/dev/null; then
    has_core=1
else
    wait_for_tools # apt-get installs for one at a time
    if deploy/core-tools.sh "$bin/python" | grep .; then
        has_core=
        echo "Testing without the compiled core."
    else
        echo "The compiled core was not built, though there is a compiler: import parley.shared._core says why." >&2
        exit 1
    fi
fi

if [ -n "$has_core" ]; then
    echo "Testing without the compiled core what it does, then everything with it."
    unit=tests/unit property=tests/property
    PARLEY_PURE=1 "$bin/pytest" -q --no-header -n auto --dist worksteal \
        $unit/test_router*.py $unit/test_framing.py $unit/test_vectors.py \
        $unit/test_link.py $unit/test_secure_links.py $unit/test_session.py $unit/test_metrics.py $unit/test_blocks.py \
        $unit/test_owed_statuses.py $unit/test_expiry.py $unit/test_group_messages.py \
        $property/test_framing_property.py $property/test_router_property.py $property/test_durable_property.py
fi
[ -z "$installing" ] || wait_for_tools

# What the image of tests/federation is made from takes minutes, so it is made meanwhile. Not sooner: apt-get installs for
# one at a time.
said=$(mktemp)
"$bin/python" -m tests.support.containers >"$said" 2>&1 &
preparing=$!

"$bin/pytest" -q --no-header -n auto --dist worksteal tests/unit tests/property tests/house

# Most of the rest waits more than it computes. Several at a time where each can be in a network of its own, which takes
# root; what is timed comes alone.
workers=
if unshare --net ip link set lo up 2>/dev/null; then workers="-n 6 --dist loadfile --no-loadscope-reorder"; fi
# The fuzzers have what those leave of the processors, and so four at a time, for half as long again as alone.
idle=
if chrt --idle 0 true 2>/dev/null; then idle="chrt --idle 0"; fi
fuzzed=$(mktemp)
failed=
# shellcheck disable=SC2086 # several words, or none
$idle "$bin/python" -m tests.fuzz --seconds 22 --jobs 4 >"$fuzzed" 2>&1 &
fuzzing=$!
# shellcheck disable=SC2086 # several words, or none
"$bin/pytest" --durations=10 -m "not timed" $workers tests/integration
if ! wait "$fuzzing"; then failed=1; fi
fuzzing=
cat "$fuzzed"
[ -z "$failed" ] || exit 1
if ! wait "$preparing"; then
    cat "$said"
    echo "The image was not made beforehand; tests/federation makes it, or says what is wrong."
fi
preparing=
"$bin/pytest" --durations=10 -m timed tests/integration
"$bin/pytest" --durations=10 tests/federation
"$bin/python" -m bench.guard
# Known vulnerabilities of what is locked, where somebody can be asked; else it says that nobody could.
PYTHON="$bin/python" deploy/audit.sh || [ $? = 3 ]
