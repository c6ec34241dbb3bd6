#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what loom-bench measures Loom against. Configure and build again afterwards.
set -eu
if ! command -v apt-get >/dev/null; then
    echo "peers.sh: needs apt-get; install nats-server and nats.c (libnats) as your system does it" >&2
    exit 1
fi
as_root=
if [ "$(id -u)" -ne 0 ]; then
    as_root=sudo
fi
$as_root apt-get install --yes --no-install-recommends nats-server libnats-dev
