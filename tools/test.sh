#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Sets everything up and passes the tests, in stages. The last lines are CTest's, or else say what failed, and why.
set -eu
unset CDPATH
cd "$(dirname "$0")/.."

usage() {
    cat <<'EOF'
Usage: tools/test.sh [--quick] [--no-install] [CTEST OPTION]...

Installs what is missing (Debian packages), builds Loom five times, each in build/STAGE, and stops at the first stage that
fails: its last lines then name the stage and the tests, with the end of what each of them wrote.

  tidy      clang-tidy over every source; what it finds is an error
  fuzz      the fuzz targets: their seeds, and 10,000 inputs each that are the same every time (libFuzzer)
  tsan      the tests under the thread sanitizer, without load and end-to-end tests
  asan      the same under the address and undefined-behaviour sanitizers
  release   all tests: unit, conformance, fuzz corpora, integration with real processes in both homes of the bridge, nng
            peers, and end to end with a real Jaeger, which is built once and cached when there is none

A test that fails is run once more, for a busy machine's sake. One that passes then is still a fault, of the test or of
Loom: find it in build/STAGE/ctest.log. With a --repeat of your own there is no second chance.

  --quick        the release build's unit, conformance and fuzz tests only: seconds once built
  --no-install   do not install packages; tests that lack one are then skipped instead of failing
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

# failures SUMMARY LOG: of each test that CTest lists as failed its verdict and the last 15 lines it wrote.
failures() {
    awk '
        FNR == 1 { file++ }
        file == 1 && /^The following tests FAILED:/ { listed = 1; next }
        file == 1 && listed && /^[ \t]*[0-9]+ - / { name = $3; sub(/^[^(]*/, ""); why[name] = $0; next }
        file == 2 && /^[0-9]+\/[0-9]+ Testing: / { name = $3; n = 0; inside = 0; next }
        file == 2 && /^Output:$/ && !inside { inside = 1; next } # and a line of dashes
        file == 2 && /^<end of output>$/ && name in why {
            print "-- " name " " why[name]
            for (i = n > 15 ? n - 15 : 0; i < n; i++) print "   " line[i]
        }
        file == 2 && inside && inside++ > 1 { line[n++] = $0 }' "$1" "$2" | cut -c 1-300
}

fail() { # STAGE WHAT LOG
    echo "test.sh: FAILED in stage $1: ${2% }; the whole log: $3"
    exit 1
}

build() { # STAGE [TARGET]
    tools/build.sh "$@" || fail "$1" "the build" "build/$1/build.log"
}

tests() { # STAGE [CTEST OPTION]...
    stage=$1
    shift
    summary=build/$stage/ctest.log
    log=build/$stage/Testing/Temporary/LastTest.log
    case " $* " in
    *" --repeat "*) ;;
    *) set -- --repeat until-pass:2 "$@" ;;
    esac
    ctest --test-dir "build/$stage" --output-on-failure --output-log "$summary" -j "$(nproc)" "$@" && return
    echo
    failures "$summary" "$log"
    failed=$(sed -n '/^The following tests FAILED/,$ s/^[ \t]*[0-9]* - \([^ ]*\) (.*/\1/p' "$summary" | tr '\n' ' ')
    fail "$stage" "${failed:-ctest itself}" "$log"
}

[ "$install" = no ] || tools/deps.sh test || fail deps "tools/deps.sh test" "the lines above"
export LOOM_TESTS=ON
[ "$install" = no ] || export LOOM_TEST_SKIP=no # what is set up must not pass a test by

if [ "$quick" = yes ]; then
    build release
    tests release -LE 'e2e|integration' "$@"
    exit
fi

export ASAN_OPTIONS="detect_leaks=1:abort_on_error=0" UBSAN_OPTIONS="print_stacktrace=1"
export TSAN_OPTIONS="halt_on_error=1:suppressions=$PWD/tests/support/tsan.supp"

build tidy
build fuzz fuzzers
step "fuzz targets, 10,000 inputs each"
tests fuzz -L smoke
for sanitizer in tsan asan; do
    build "$sanitizer"
    step "tests under $sanitizer"
    tests "$sanitizer" -LE 'e2e|load'
done

build release
if ! tools/jaeger.sh --build >/dev/null; then
    step "no Jaeger: the end-to-end tests will say why"
fi
step "all tests"
tests release "$@"
