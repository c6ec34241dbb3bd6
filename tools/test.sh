#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Sets everything up and passes the tests. The last lines are CTest's.
set -eu
unset CDPATH
cd "$(dirname "$0")/.."

usage() {
    cat <<'EOF'
Usage: tools/test.sh [--quick] [--no-install] [CTEST OPTION]...

Installs what is missing (Debian packages), builds Loom three times (thread sanitizer, address and undefined-behaviour
sanitizers, release), and runs the tests in each. The release run is last and whole: unit, conformance, fuzz corpora,
integration with real processes in both homes of the bridge, nng peers, and end to end with a real Jaeger, which is
built once and cached when there is none.

  --quick        the release build's unit, conformance and fuzz tests only: seconds once built
  --no-install   do not install packages
  --help         this text

Other options go to the last ctest, such as -R NAME or --verbose.
EOF
}

quick=no
install=yes
while [ $# -gt 0 ]; do
    case "$1" in
    --quick) quick=yes ;;
    --no-install) install=no ;;
    --help | -h) usage; exit 0 ;;
    *) break ;;
    esac
    shift
done

step() {
    echo "== $* ($(date +%H:%M:%S))"
}

[ "$install" = no ] || tools/deps.sh test
jobs=$(nproc)
export LOOM_TESTS=ON

if [ "$quick" = yes ]; then
    tools/build.sh release
    exec ctest --test-dir build/release --output-on-failure -j "$jobs" -LE 'e2e|integration' "$@"
fi

export ASAN_OPTIONS="detect_leaks=1:abort_on_error=0" UBSAN_OPTIONS="print_stacktrace=1"
export TSAN_OPTIONS="halt_on_error=1:suppressions=$PWD/tests/support/tsan.supp"
for sanitizer in tsan asan; do
    tools/build.sh "$sanitizer"
    step "tests under $sanitizer"
    ctest --test-dir "build/$sanitizer" --output-on-failure -j "$jobs" -LE 'e2e|load'
done

tools/build.sh release
if ! tools/jaeger.sh --build >/dev/null; then
    step "no Jaeger: the end-to-end tests will say why"
fi
step "all tests"
exec ctest --test-dir build/release --output-on-failure -j "$jobs" "$@"
