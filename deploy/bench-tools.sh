#!/bin/sh
# Installs what `make bench` measures Parley against, where it is absent and may be installed: Debian's servers, and a
# C compiler. What is missing is skipped by the benchmark, which says so. A failure here is never fatal.
set -u

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

has() {
    command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ]
}

wanted=
for package in ngircd inspircd nats-server mosquitto prosody; do
    has "$package" || wanted="$wanted $package"
done
has ejabberdctl || wanted="$wanted ejabberd"
has cc || wanted="$wanted gcc libc6-dev"
[ -n "$wanted" ] || exit 0

skip() {
    echo "Not installed:$wanted ($1): the benchmark skips them."
    exit 0
}

command -v apt-get >/dev/null || skip "this is no Debian"
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null && sudo -n true 2>/dev/null || skip "needs root, or sudo without a password"
fi
echo "Installing$wanted (once) …"
as_root apt-get update -qq >/dev/null 2>&1 || skip "no package list can be fetched"
# One by one, for what only some systems have. RUNLEVEL keeps the servers' own services from being started here.
for package in $wanted; do
    as_root env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$package" >/dev/null 2>&1 ||
        echo "Not installed: $package (apt-get failed): the benchmark skips it."
done
