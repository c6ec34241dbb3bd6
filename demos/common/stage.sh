# SPDX-License-Identifier: Apache-2.0
# What the demos' scripts share: a folder for the run, processes that end with it, a trace collector, a broker and a bridge.
# Sourced by a script that has set: called_from (the caller's directory), program and script (its name for messages, and its
# path). It has the functions usage and own_option, and reads its command line by read_options before anything else. It gets:
# $work, $file (every span), $url (for agents), $bin.

bad() { # a command line that makes no sense
    echo "$program: $*" >&2
    echo "Try \"$script --help\"." >&2
    exit 2
}
number() { # OPTION VALUE
    case "$2" in '' | *[!0-9]* | 0) bad "$1 takes a whole number from 1, not \"$2\"" ;; esac
}

value() { # OPTION VALUE…: whether there is one
    [ $# -ge 2 ] || bad "$1 takes a value"
}

# read_options "$@": sets spans (a file to keep, or empty), in_process (yes: no bridge process), install (no: no packages) and
# view (yes: in the web view, until it is stopped; for a script that sets has_view=yes).
# All else is for own_option OPTION VALUE…, which takes an option with its value, or answers no.
read_options() {
    spans= in_process=no install=yes view=no
    while [ $# -gt 0 ]; do
        case "$1" in
        --spans) value "$@"; spans=$2; shift ;;
        --in-process-bridge) in_process=yes ;;
        --no-install) install=no ;;
        --view) [ "${has_view:-no}" = yes ] || bad "unknown option \"$1\""; view=yes ;;
        --help | -h) usage; exit 0 ;;
        *) own_option "$@" || bad "unknown option \"$1\""; shift ;;
        esac
        shift
    done
}

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

stage_open() { # makes the folder, and sees to it that nothing is left behind
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
}

stage_build() { # TARGET…: builds Loom and these, unless LOOM_BUILD_DIR has them
    if [ -n "${LOOM_BUILD_DIR:-}" ]; then
        bin=$(from_caller "$LOOM_BUILD_DIR")/bin
    else
        [ "$install" = no ] || tools/deps.sh build
        tools/build.sh release loom-broker loom-bridge loom-cli "$@"
        bin=build/release/bin
    fi
}

start() { # NAME COMMAND…: runs it in the background, its words in $work/NAME.log
    name=$1
    shift
    "$@" >"$work/$name.log" 2>&1 &
    last=$!
    pids="$last $pids"
}

fail() {
    echo "$program: $*" >&2
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

start_agent() { # NAME COMMAND…: an agent that prints "ready"
    start "$@"
    wait_for "$1" "$last" 10 grep -qs '^ready' "$work/$1.log"
}

stage_traces() { # where spans go: into $file, and to a collector of ours unless the environment names another
    file=$work/spans.jsonl
    if [ -n "$spans" ]; then
        file=$(from_caller "$spans")
        true >"$file" || fail "cannot write $spans"
    fi
    export LOOM_SPANS_FILE="$file"
    : "${OTEL_BSP_SCHEDULE_DELAY:=200}"
    export OTEL_BSP_SCHEDULE_DELAY
    unset OTEL_SERVICE_NAME OTEL_TRACES_SAMPLER OTEL_SDK_DISABLED OTEL_TRACES_EXPORTER LOOM_TELEMETRY_AUTO LOOM_URL
    # nor is the demo part of a trace, which may not even be sampled
    unset TRACEPARENT TRACESTATE BAGGAGE OTEL_TRACEPARENT LOOM_TRACE_ID LOOM_SPAN_ID LOOM_TRACE_BAGGAGE
    unset OTEL_PROPAGATORS TRACING_ENABLED TRACING_SERVICE_NAME TRACING_SAMPLE_RATE
    elsewhere=${OTEL_EXPORTER_OTLP_TRACES_ENDPOINT:-${OTEL_EXPORTER_OTLP_ENDPOINT:-}}
    if [ -n "$elsewhere" ]; then
        [ "$view" = no ] || bad "--view takes the spans itself: unset OTEL_EXPORTER_OTLP_ENDPOINT"
        echo "== spans go to $elsewhere"
        return
    fi
    # without a home, as a service's user has none, the traces last as long as the demo
    store=${XDG_STATE_HOME:-${HOME:-/nonexistent}/.local/state}/loom
    set --
    mkdir -p "$store" 2>/dev/null && [ -w "$store" ] || set -- --db "$work/traces.db"
    if [ "$view" = yes ]; then
        stage_view "$@"
        return
    fi
    start collector "$bin/loom" trace collect "$@" --listen 127.0.0.1:0 --port-file "$work/collector.port"
    wait_for "the trace collector" "$last" 10 test -s "$work/collector.port"
    OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:$(cat "$work/collector.port")
    OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
    export OTEL_EXPORTER_OTLP_ENDPOINT OTEL_EXPORTER_OTLP_PROTOCOL
    echo "== trace collector at $OTEL_EXPORTER_OTLP_ENDPOINT"
}

stage_view() { # OPTION…: the web view, which takes the spans; the bus need not be there yet
    start view "$bin/loom" view "$@" --no-open --otlp-listen 127.0.0.1:0 --control "ipc://$work/control.sock" \
        --url "ipc://$work/agents.sock" --url-file "$work/view.url"
    wait_for "the web view" "$last" 10 test -s "$work/view.url"
    OTEL_EXPORTER_OTLP_ENDPOINT=$(sed -n 's|.*traces on \(http://[^/]*\)/.*|\1|p' "$work/view.log")
    OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
    export OTEL_EXPORTER_OTLP_ENDPOINT OTEL_EXPORTER_OTLP_PROTOCOL
    echo "== the web view is at $(cat "$work/view.url")"
}

stay_for_view() { # PID: until that process ends, or somebody ends the demo
    trap 'exit 0' INT TERM HUP
    echo "== watch it at $(cat "$work/view.url") ; ctrl-C ends the demo"
    wait "$1" || fail "a process ended"
    exit 0
}

stage_bus() { # CONFIG OPTION…: a broker, and a bridge unless $in_process; the options are for the one that agents connect to
    config=$1
    shift
    echo "== starting the broker$([ "$in_process" = yes ] && echo ', with the bridge inside' || echo ' and the bridge')"
    url=ipc://$work/agents.sock
    own=$url
    [ "$in_process" = yes ] || own=ipc://$work/broker.sock
    bus() { # OPTION…
        start broker "$bin/loom-broker" --config "$config" --bus-pull "ipc://$work/in.sock" --bus-pub "ipc://$work/out.sock" \
            --bus-control "ipc://$work/control.sock" --bus-bridge "ipc://$work/bridge.sock" --listen "$own" \
            --ready-file "$work/broker.ready" "$@"
        broker=$last
        wait_for "the broker" "$broker" 10 test -s "$work/broker.ready"
    }
    bridge=
    if [ "$in_process" = yes ]; then
        bus "$@"
        return
    fi
    bus
    start bridge "$bin/loom-bridge" --config "$config" --bus-bridge "ipc://$work/bridge.sock" --listen "$url" \
        --ready-file "$work/bridge.ready" "$@"
    bridge=$last
    wait_for "the bridge" "$bridge" 10 test -s "$work/bridge.ready"
}

stage_bus_stop() {
    [ -z "$bridge" ] || stop "$bridge"
    stop "$broker"
}

show_traces() { # OPTION…: all of $file as waterfalls, the oldest first; the options are for `loom trace show`
    ids=$("$bin/loom" trace ls --file "$file" --limit 1000000 --json | sed -n 's/.*"trace_id":"\([0-9a-f]*\)".*/\1/p' | tac)
    for id in $ids; do
        echo
        "$bin/loom" trace show "$id" --file "$file" "$@"
    done
    echo
    if [ -n "$elsewhere" ]; then
        for id in $ids; do
            echo "${JAEGER_UI:-http://localhost:16686}/trace/$id"
        done
        echo
    fi
}
