#!/bin/sh
# Installs what some tests run against, where it is absent and may be installed. Without it these tests are skipped, and
# say so. Arguments: which of them.
set -u
[ $# -gt 0 ] || set -- prometheus chromium valgrind
exec "$(dirname "$0")/packages.sh" "the tests that need it are skipped" "$@"
