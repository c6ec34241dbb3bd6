#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what loom-bench measures Loom against. Configure and build again afterwards.
# A newer nats-server, earlier in PATH than Debian's, is the one that is measured.
set -eu
unset CDPATH
packages="nats-server libnats-dev mosquitto libzmq3-dev nginx-light" # nng and the floor need nothing that Loom does not
spans="$(dirname "$0")/../spans"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/loom/bench"
if [ "${1:-}" = "--help" ] || [ "${1:-}" = "-h" ]; then
    echo "Usage: install.sh [--spans]"
    echo "Installs $packages with apt-get, and builds the programs of"
    echo "the OpenTelemetry SDKs (Go, Rust) into $cache where their compilers are there."
    echo "  --spans   only the latter"
    exit 0
fi

buses() {
    if ! command -v apt-get >/dev/null; then
        echo "install.sh: needs apt-get; install nats-server, nats.c (libnats), mosquitto and libzmq as your system does it" >&2
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
        for service in mosquitto nats-server nginx; do
            $as_root systemctl disable --now "$service" 2>/dev/null || true
        done
    fi
}

# The versions are those of go.sum and Cargo.lock.
sdks() {
    mkdir -p "$cache"
    if command -v go >/dev/null; then
        (cd "$spans/go" && go build -trimpath -o "$cache/loom-bench-span-go" .)
    else
        echo "install.sh: no Go: otel-go will not be measured" >&2
    fi
    if command -v cargo >/dev/null; then
        (cd "$spans/rust" && CARGO_TARGET_DIR="$cache/rust" cargo build --quiet --release --locked)
        cp "$cache/rust/release/loom-bench-span-rust" "$cache/"
    else
        echo "install.sh: no Rust: otel-rust will not be measured" >&2
    fi
}

if [ "${1:-}" != "--spans" ]; then
    buses
fi
sdks
