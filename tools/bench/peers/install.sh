#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what loom-bench measures Loom against. Configure and build again afterwards.
# A newer nats-server, earlier in PATH than Debian's, is the one that is measured.
set -eu
packages="nats-server libnats-dev mosquitto libzmq3-dev" # nng and the floor need nothing that Loom does not
if [ "${1:-}" = "--help" ] || [ "${1:-}" = "-h" ]; then
    echo "Usage: peers.sh"
    echo "Installs $packages with apt-get."
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "peers.sh: needs apt-get; install nats-server, nats.c (libnats), mosquitto and libzmq as your system does it" >&2
    exit 1
fi
as_root=
if [ "$(id -u)" -ne 0 ]; then
    as_root=sudo
fi
# shellcheck disable=SC2086 # words are wanted
$as_root apt-get install --yes --no-install-recommends $packages
# the packages may start servers of their own, which loom-bench does not use and which would take part of the machine
if command -v systemctl >/dev/null && [ -d /run/systemd/system ]; then
    for service in mosquitto nats-server; do
        $as_root systemctl disable --now "$service" 2>/dev/null || true
    done
fi
