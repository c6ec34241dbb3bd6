#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages Loom is built and tested with. Does nothing when they are there.
set -eu

BUILD="build-essential cmake ninja-build pkg-config libnng-dev libmsgpack-dev libsodium-dev libuv1-dev libnghttp2-dev
libcurl4-openssl-dev libevent-dev libssl-dev libwslay-dev node-llhttp libjansson-dev libsqlite3-dev zlib1g-dev libtomlplusplus-dev
libseccomp-dev libdw-dev libvalijson-dev nlohmann-json3-dev python3"
TEST="libcmocka-dev meson nng-utils python3-venv mandoc man-db mkdocs mkdocs-material python3-msgpack python3-h2 openssl curl ca-certificates valgrind
nats-server libnats-dev libgrpc-dev clang clang-tidy libclang-rt-14-dev nodejs ruby rustc
podman runc busybox-static strace zsh fish chromium chromium-driver lintian debootstrap prometheus systemd"

usage() {
    cat <<'EOF'
Usage: tools/deps.sh [build|test|--list|--help]

  build    what it takes to build and run Loom (the default)
  test     the same and what the tests need
  --list   print the packages and stop

Installs with apt-get, as root or through sudo. Packages that are installed already are left alone.
EOF
}

wanted=$BUILD
case "${1:-build}" in
build) ;;
test) wanted="$BUILD $TEST" ;;
--list) echo $BUILD $TEST; exit 0 ;;
--help | -h) usage; exit 0 ;;
*) usage >&2; exit 2 ;;
esac

missing=
for package in $wanted; do
    if ! dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed'; then
        missing="$missing $package"
    fi
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "deps.sh: these packages are missing, and neither root nor sudo is at hand:$missing" >&2
        exit 1
    fi
    as_root=sudo
fi
echo "== installing$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $missing \
        >"$log" 2>&1
}
# package lists may be missing or old: fetch them, and try once more when the first try finds nothing
$as_root apt-get -o DPkg::Lock::Timeout=300 update >"$log" 2>&1 || true
if ! install && ! { sleep 5; $as_root apt-get update >>"$log" 2>&1; install; }; then
    echo "deps.sh: apt-get could not install:$missing" >&2
    tail -n 20 "$log" >&2
    exit 1
fi
