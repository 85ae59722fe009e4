#!/bin/sh
# Installs what some tests run against, where it is absent and may be installed: Debian's prometheus, chromium and
# valgrind. Without them these tests are skipped, and say so. A failure here is never fatal. Arguments: which of them.
set -u

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

has() {
    case $1 in
    prometheus) command -v prometheus >/dev/null && command -v promtool >/dev/null ;;
    *) command -v "$1" >/dev/null ;;
    esac
}

wanted=
for package in ${*:-prometheus chromium valgrind}; do
    has "$package" || wanted="$wanted $package"
done
[ -n "$wanted" ] || exit 0

skip() {
    echo "Not installed:$wanted ($1): the tests that need it are skipped."
    exit 0
}

command -v apt-get >/dev/null || skip "this is no Debian"
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null && sudo -n true 2>/dev/null || skip "needs root, or sudo without a password"
fi
echo "Installing$wanted (once) …"
as_root apt-get update -qq >/dev/null 2>&1 || skip "no package list can be fetched"
# One by one, for what only some systems have. RUNLEVEL keeps Prometheus's own service from being started here.
for package in $wanted; do
    as_root env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$package" >/dev/null 2>&1 ||
        echo "Not installed: $package (apt-get failed): the tests that need it are skipped."
done
