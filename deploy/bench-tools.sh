#!/bin/sh
# Installs what `make bench` measures Parley against, where it is absent and may be installed, and a C compiler. What is
# missing is skipped by the benchmark, which says so.
set -u
exec "$(dirname "$0")/packages.sh" "the benchmark skips what needs it" \
    ngircd inspircd nats-server mosquitto prosody ejabberd gcc libc6-dev
