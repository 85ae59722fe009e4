#!/bin/sh
# All checks and tests, cheapest first; at the end, what a message costs. Argument: the virtual environment's bin.
set -eu
bin=$1
"$bin/ruff" check .
"$bin/ruff" format --check .
"$bin/mypy"
deploy/test-tools.sh
"$bin/pytest" --durations=10 tests
exec "$bin/python" -m bench.guard
