#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes the Debian packages and the tarball, the same bytes each time.
set -eu
unset CDPATH
cd "$(dirname "$0")/.."

if [ "${1:-}" = --help ] || [ $# -gt 1 ]; then
    cat <<'END'
Usage: tools/package.sh [BUILD_DIR]

Builds Loom for the prefix /usr in BUILD_DIR (build/package), and leaves in BUILD_DIR/packages: the Debian packages loom,
libloom0, libloom-dev and loom-doc, and a tarball with an install script. Times in them are SOURCE_DATE_EPOCH, by default that
of the last commit: two builds of one commit give the same bytes, wherever they are made.
END
    exit 0
fi
build=${1:-build/package}
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || echo 0)
fi
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC
export CCACHE_BASEDIR= # or a compiler cache would make paths relative before the compiler maps them, and debug information differ
umask 022
mkdir -p "$build"
log=$build/package.log
echo "== packaging $build"
{
    cmake --preset package -B "$build" &&
        cmake --build "$build" --target installables &&
        rm -rf "$build/packages" "$build/_CPack_Packages" &&
        (cd "$build" && cpack -B packages) &&
        rm -rf "$build/packages/_CPack_Packages"
} >"$log" 2>&1 || {
    tail -n 30 "$log" >&2
    echo "package.sh: failed; the whole log: $log" >&2
    exit 1
}
ls -1 "$build"/packages
