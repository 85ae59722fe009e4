#!/bin/sh
# All checks and tests, cheapest first; at the end, what a message costs. Argument: the virtual environment's bin.
# What the compiled core does is tested without it, too: the same tests, on the same rules in Python.
set -eu
bin=$1
"$bin/ruff" check .
"$bin/ruff" format --check .
"$bin/mypy"
deploy/test-tools.sh
if ! "$bin/python" -c 'import shared._core' 2>/dev/null; then
    if deploy/core-tools.sh "$bin/python" | grep .; then
        echo "Testing without the compiled core."
    else
        echo "The compiled core was not built, though there is a compiler: import shared._core says why." >&2
        exit 1
    fi
else
    echo "Testing without the compiled core what it does, then everything with it."
    unit=tests/unit property=tests/property
    PARLEY_PURE=1 "$bin/pytest" -q --no-header $unit/test_router*.py $unit/test_framing.py $unit/test_vectors.py \
        $unit/test_link.py $unit/test_session.py $unit/test_metrics.py $unit/test_blocks.py $unit/test_debts.py \
        $unit/test_expiry.py $unit/test_group_messages.py $property/test_framing_property.py \
        $property/test_router_property.py $property/test_durable_property.py
fi
"$bin/pytest" -q --no-header -n auto tests/unit tests/property
"$bin/pytest" --durations=10 tests/federation tests/integration
exec "$bin/python" -m bench.guard
