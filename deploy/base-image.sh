#!/usr/bin/env bash
# Make the base image of Parley's image from Debian packages, for a machine that reaches a package
# mirror but no image registry:
#
#     deploy/base-image.sh [NAME]        (NAME, else BASE_IMAGE, else parley-base)
#     docker build --build-arg BASE_IMAGE=parley-base -t parley .
#
# Environment: FORCE=1 makes it anew where it exists. SUITE and MIRROR override what this machine's apt
# uses. Certificate authorities that this machine trusts are trusted in the image too (so that pip works
# behind a proxy that inspects TLS): the image is for this machine, not for passing on.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

name=${1:-${BASE_IMAGE:-parley-base}}
packages=python3,python3-venv,ca-certificates
certificates=/etc/ssl/certs/ca-certificates.crt

fail() {
    echo "base-image: $*" >&2
    exit 1
}

# Run as root: directly, or through sudo.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

check_tools() {
    docker version >/dev/null 2>&1 ||
        fail "no Docker engine answers; start one, or run as a user who may use it (docker version says why)"
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
        fail "debootstrap needs root: run as root, or install sudo"
    command -v debootstrap >/dev/null || install_debootstrap
}

install_debootstrap() {
    command -v apt-get >/dev/null ||
        fail "debootstrap is missing and there is no apt-get to install it with; install debootstrap and run again"
    echo "base-image: installing debootstrap"
    as_root apt-get install -qq -y --no-install-recommends debootstrap >/dev/null ||
        { as_root apt-get update -qq && as_root apt-get install -qq -y --no-install-recommends debootstrap >/dev/null; } ||
        fail "apt-get could not install debootstrap; its messages are above"
}

# What to bootstrap from, one "SUITE MIRROR" a line, this machine's own suite first. apt itself reads its
# sources here, in either format, and prints the addresses that an update would ask. Left out are suites
# that debootstrap does not know, -updates, -security and the like among them.
sources() {
    local own suite mirror
    own=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
    if [ -n "${SUITE:-}${MIRROR:-}" ]; then
        echo "${SUITE:-$own} ${MIRROR:-}"
        return
    fi
    { apt-get --print-uris update 2>/dev/null || true; } |
        sed -n "s#^'\(.*\)/dists/\([^/']*\)/InRelease' .*#\2 \1#p" |
        while read -r suite mirror; do
            [ -e "/usr/share/debootstrap/scripts/$suite" ] || continue
            case $mirror in http://* | https://* | file:*) echo "$suite $mirror" ;; esac
        done |
        awk -v own="$own" 'seen[$0]++ { next } $1 == own { print; next } { rest = rest $0 "\n" } END { printf "%s", rest }'
    echo "$own " # debootstrap's own default mirror
}

# Fill the directory $1 with a minimal system from the first source that works.
bootstrap() {
    local suite mirror
    while read -r suite mirror; do
        echo "base-image: bootstrapping $suite from ${mirror:-its default mirror}"
        # python3-venv is in "universe" where there is one; Debian warns of it and goes on
        if as_root debootstrap --variant=minbase --components=main,universe --include="$packages" \
            "$suite" "$1" ${mirror:+"$mirror"} >"$work/log" 2>&1 </dev/null; then
            return
        fi
        tail -n 5 "$work/log" >&2
        echo "base-image: that failed" >&2
        remove_tree
    done < <(sources)
    fail "no source gave a system; is a package mirror reachable, the suite right? (MIRROR=URL, SUITE=NAME)"
}

# Trust whom this machine trusts, and refuse a Python that is too old.
adapt() {
    if [ -r "${SSL_CERT_FILE:-$certificates}" ]; then
        as_root install -m 644 "${SSL_CERT_FILE:-$certificates}" "$1$certificates"
    fi
    as_root chroot "$1" python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "Parley needs Python 3.11 or later, and this suite has an older one; SUITE=NAME chooses another"
}

import() {
    as_root tar -C "$1" --numeric-owner --one-file-system \
        --exclude='./var/lib/apt/lists/*' --exclude='./var/cache/*/*' --exclude='./var/log/*' \
        --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' --exclude='./usr/share/info/*' \
        --exclude='./usr/share/locale/*' --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' \
        -c . |
        docker import --message "Parley's base image" \
            --change 'ENV LANG=C.UTF-8' \
            --change "ENV SSL_CERT_FILE=$certificates" \
            --change "ENV PIP_CERT=$certificates" \
            --change 'CMD ["python3"]' - "$name" >/dev/null ||
        fail "the engine did not take the system; the messages above say why"
}

# An interrupted debootstrap leaves file systems mounted in its tree: those must go first.
remove_tree() {
    awk -v tree="$work/" 'index($2, tree) == 1 { print $2 }' /proc/self/mounts | sort -r |
        while read -r mounted; do as_root umount "$mounted"; done
    as_root rm -rf --one-file-system "$work/tree"
}

clean_up() {
    remove_tree
    rm -rf "$work"
}

main() {
    check_tools
    if [ "${FORCE:-}" != 1 ] && docker image inspect "$name" >/dev/null 2>&1; then
        echo "base-image: $name exists already (FORCE=1 makes it anew)"
        return
    fi
    work=$(mktemp -d /var/tmp/parley-base.XXXXXX) # not /tmp, which may be mounted nodev or noexec
    trap clean_up EXIT
    trap 'exit 130' INT TERM HUP
    bootstrap "$work/tree"
    adapt "$work/tree"
    import "$work/tree"
    docker image inspect --format 'base-image: made {{index .RepoTags 0}}, {{.Size}} bytes' "$name"
}

main
