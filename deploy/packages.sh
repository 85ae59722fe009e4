#!/bin/sh
# Installs Debian's packages that are absent, where that is allowed. Arguments: what it means where one is missing, then
# the packages. A failure here is never fatal.
set -u
without=$1
shift
# shellcheck source=deploy/working.sh
. "$(dirname "$0")/working.sh"

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

has() {
    case $1 in
    prometheus) command -v prometheus >/dev/null && command -v promtool >/dev/null ;;
    ejabberd) command -v ejabberdctl >/dev/null || [ -x /usr/sbin/ejabberdctl ] ;;
    gcc | libc6-dev) command -v cc >/dev/null ;;
    *) command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] ;;
    esac
}

wanted=
for package in "$@"; do
    has "$package" || wanted="$wanted $package"
done
[ -n "$wanted" ] || exit 0

skip() {
    echo "Not installed:$wanted ($1): $without."
    exit 0
}

command -v apt-get >/dev/null || skip "this is no Debian"
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null && sudo -n true 2>/dev/null || skip "needs root, or sudo without a password: sudo apt-get install -y$wanted"
fi
echo "Installing$wanted (once) …"
working "apt-get update" as_root apt-get update -qq 2>/dev/null || skip "no package list can be fetched"
# One by one, for what only some systems have. RUNLEVEL keeps the packages' own services from being started here.
for package in $wanted; do
    working "apt-get install $package" as_root env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$package" 2>/dev/null ||
        echo "Not installed: $package (apt-get failed): $without."
done
