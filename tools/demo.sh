#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds Loom, runs sensor → processor → output through a broker and a bridge, and shows each reading as one trace.
set -eu
called_from=$PWD
unset CDPATH
cd "$(dirname "$0")/.."

usage() {
    cat <<'EOF'
Usage: tools/demo.sh [OPTION]...

Installs what is missing (Debian packages), builds Loom, and runs five processes: loom-broker, loom-bridge, and the agents
sensor, processor and output. Then it prints the trace of every reading as a waterfall, and checks that each is one
connected trace of exactly the steps a reading takes. Exit code 0 only if all of them are.

  --readings N           readings to take (3)
  --interval MS          milliseconds between two of them (2000)
  --in-process-bridge    no bridge process: the agents connect to loom-broker
  --spans FILE           keep every exported span: OTLP/JSON, one ExportTraceServiceRequest a line
  --no-install           do not install packages
  --help                 this text

Spans go to `loom trace collect`, whose traces `loom trace ls` lists afterwards. With OTEL_EXPORTER_OTLP_ENDPOINT set,
to a Jaeger for example, they go there instead, and the demo prints the links (JAEGER_UI, http://localhost:16686).
EOF
}

readings=3
interval=2000
in_process=no
spans=
install=yes
bad() {
    echo "demo.sh: $*" >&2
    echo 'Try "tools/demo.sh --help".' >&2
    exit 2
}
number() {
    case "$2" in '' | *[!0-9]* | 0) bad "$1 takes a whole number from 1, not \"$2\"" ;; esac
}
while [ $# -gt 0 ]; do
    case "$1" in
    --readings | --interval | --spans)
        [ $# -ge 2 ] || bad "$1 takes a value"
        case "$1" in
        --readings) number "$1" "$2"; readings=$2 ;;
        --interval) number "$1" "$2"; interval=$2 ;;
        --spans) spans=$2 ;;
        esac
        shift
        ;;
    --in-process-bridge) in_process=yes ;;
    --no-install) install=no ;;
    --help | -h) usage; exit 0 ;;
    *) bad "unknown option \"$1\"" ;;
    esac
    shift
done

from_caller() { # FILE: its path, whatever directory we are in now
    case "$1" in /*) echo "$1" ;; *) echo "$called_from/$1" ;; esac
}

work=
pids=
last=
stop_all() {
    trap '' INT TERM HUP # once is enough: what follows is to be finished
    for pid in $pids ${!:-}; do
        kill "$pid" 2>/dev/null || true
    done
    for pid in $pids ${!:-}; do
        wait "$pid" 2>/dev/null || true
    done
    [ -z "$work" ] || rm -rf "$work"
}
trap stop_all EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
TMPDIR=$(from_caller "${TMPDIR:-/tmp}")
export TMPDIR
work=$(mktemp -d "$TMPDIR/loom-demo.XXXXXX")
case "$work" in *[[:space:]]*) unfit=yes ;; *) unfit=no ;; esac
if [ "$unfit" = yes ] || [ ${#work} -gt 80 ]; then # a URL holds no space, a Unix socket address no more than 107 bytes
    rmdir "$work"
    work=$(mktemp -d /tmp/loom-demo.XXXXXX)
fi

start() { # NAME COMMAND…: runs it in the background, its words in $work/NAME.log
    name=$1
    shift
    "$@" >"$work/$name.log" 2>&1 &
    last=$!
    pids="$last $pids"
}

fail() {
    echo "demo.sh: $*" >&2
    for log in "$work"/*.log; do
        [ -s "$log" ] || continue
        echo "--- $(basename "$log" .log)" >&2
        tail -n 15 "$log" >&2
    done
    exit 1
}

# wait_for WHAT PID SECONDS COMMAND…: until the command succeeds; fails when the process is gone or time is up
wait_for() {
    what=$1 of=$2 left=$(($3 * 20))
    shift 3
    until "$@"; do
        kill -0 "$of" 2>/dev/null || fail "$what: the process ended"
        left=$((left - 1))
        [ "$left" -gt 0 ] || fail "$what: not in time"
        sleep 0.05
    done
}

stop() { # PID: asks it to end, and waits for it
    kill "$1" 2>/dev/null || true
    wait "$1" || true
}

if [ -n "${LOOM_BUILD_DIR:-}" ]; then
    bin=$(from_caller "$LOOM_BUILD_DIR")/bin
else
    [ "$install" = no ] || tools/deps.sh build
    tools/build.sh release loom-broker loom-bridge loom-cli sensor processor output
    bin=build/release/bin
fi
demo=$bin

file=$work/spans.jsonl
if [ -n "$spans" ]; then
    file=$(from_caller "$spans")
    true >"$file" || fail "cannot write $spans"
fi
export LOOM_SPANS_FILE="$file"
: "${OTEL_BSP_SCHEDULE_DELAY:=200}"
export OTEL_BSP_SCHEDULE_DELAY
unset OTEL_SERVICE_NAME OTEL_TRACES_SAMPLER OTEL_SDK_DISABLED OTEL_TRACES_EXPORTER LOOM_TELEMETRY_AUTO LOOM_URL

elsewhere=${OTEL_EXPORTER_OTLP_TRACES_ENDPOINT:-${OTEL_EXPORTER_OTLP_ENDPOINT:-}}
if [ -z "$elsewhere" ]; then
    # without a home, as a service's user has none, the traces last as long as the demo
    store=${XDG_STATE_HOME:-${HOME:-/nonexistent}/.local/state}/loom
    mkdir -p "$store" 2>/dev/null && [ -w "$store" ] || set -- --db "$work/traces.db"
    start collector "$bin/loom" trace collect "$@" --listen 127.0.0.1:0 --port-file "$work/collector.port"
    collector=$last
    wait_for "the trace collector" "$collector" 10 test -s "$work/collector.port"
    OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:$(cat "$work/collector.port")
    OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
    export OTEL_EXPORTER_OTLP_ENDPOINT OTEL_EXPORTER_OTLP_PROTOCOL
    echo "== trace collector at $OTEL_EXPORTER_OTLP_ENDPOINT"
else
    echo "== spans go to $elsewhere"
fi

echo "== starting the broker$([ "$in_process" = yes ] && echo ', with the bridge inside' || echo ' and the bridge')"
url=ipc://$work/agents.sock
set -- --config demos/trace-test/loom.toml --bus-pull "ipc://$work/in.sock" --bus-pub "ipc://$work/out.sock" \
    --bus-control "ipc://$work/control.sock" --bridge-pull "ipc://$work/bridge-in.sock" \
    --bridge-pub "ipc://$work/bridge-out.sock"
if [ "$in_process" = yes ]; then
    start broker "$bin/loom-broker" "$@" --listen "$url" --ready-file "$work/broker.ready"
    broker=$last
    wait_for "the broker" "$broker" 10 test -s "$work/broker.ready"
else
    start broker "$bin/loom-broker" "$@" --listen "ipc://$work/broker.sock" --ready-file "$work/broker.ready"
    broker=$last
    wait_for "the broker" "$broker" 10 test -s "$work/broker.ready"
    start bridge "$bin/loom-bridge" --config demos/trace-test/loom.toml --bus-control "ipc://$work/control.sock" \
        --listen "$url" --ready-file "$work/bridge.ready"
    bridge=$last
    wait_for "the bridge" "$bridge" 10 test -s "$work/bridge.ready"
fi

echo "== starting output and processor, then $readings readings, one every $interval ms"
start output "$demo/output" --url "$url"
output=$last
wait_for "output" "$output" 10 grep -qs '^ready' "$work/output.log"
start processor "$demo/processor" --url "$url"
processor=$last
wait_for "processor" "$processor" 10 grep -qs '^ready' "$work/processor.log"
start sensor "$demo/sensor" --url "$url" --readings "$readings" --interval "$interval"
sensor=$last

shown=0
arrived() { # shows what came in since, and answers whether all is there
    now=$(grep -c 'trace' "$work/output.log" 2>/dev/null || true)
    if [ "$now" -gt "$shown" ]; then
        grep 'trace' "$work/output.log" | tail -n "+$((shown + 1))" | head -n $((now - shown)) | sed 's/^/   /'
        shown=$now
    fi
    [ "$now" -ge "$readings" ]
}
wait_for "the readings" "$output" $((readings * interval / 1000 + 20)) arrived
wait "$sensor" || fail "sensor failed"

echo "== stopping, and flushing the spans"
stop "$processor"
stop "$output"
[ "$in_process" = yes ] || stop "$bridge"
stop "$broker"

ids=$("$bin/loom" trace ls --file "$file" --limit 1000000 --json | sed -n 's/.*"trace_id":"\([0-9a-f]*\)".*/\1/p' | tac)
for id in $ids; do
    echo
    "$bin/loom" trace show "$id" --file "$file"
done
echo
if [ -n "$elsewhere" ]; then
    for id in $ids; do
        echo "${JAEGER_UI:-http://localhost:16686}/trace/$id"
    done
    echo
fi
"$bin/loom" trace check --all --file "$file" --ladder trace-test --count "$readings" ||
    fail "a reading is not one connected trace"
