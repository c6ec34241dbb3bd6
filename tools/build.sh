#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Configures and builds one CMake preset, quietly: progress on one line, the log only when it fails.
set -eu
unset CDPATH
cd "$(dirname "$0")/.."

if [ $# -lt 1 ] || [ "$1" = --help ]; then
    echo "Usage: tools/build.sh PRESET [TARGET]...     (presets: dev release asan tsan fuzz tidy)"
    [ $# -ge 1 ] && exit 0 || exit 2
fi
preset=$1
shift
mkdir -p "build/$preset"
log=build/$preset/build.log
echo "== building build/$preset"
if ! cmake --preset "$preset" ${LOOM_TESTS:+"-DLOOM_TESTS=$LOOM_TESTS"} >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    echo "build.sh: cmake --preset $preset failed; the whole log: $log" >&2
    exit 1
fi
if [ -t 1 ]; then
    cmake --build --preset "$preset" ${1:+--target "$@"} && exit 0
else
    cmake --build --preset "$preset" ${1:+--target "$@"} >>"$log" 2>&1 && exit 0
    grep -E -A 12 'FAILED|error:' "$log" | head -n 60 >&2
fi
echo "build.sh: the build failed; the whole log: $log" >&2
exit 1
