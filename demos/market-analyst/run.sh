#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds Loom, runs the market analysts through a broker and a bridge, kills one of them, and shows each price as one trace.
set -eu
called_from=$PWD
unset CDPATH
cd "$(dirname "$0")/../.."

usage() {
    cat <<'EOF'
Usage: demos/market-analyst/run.sh [OPTION]...

Installs what is missing (Debian packages), builds Loom, and runs loom-broker, loom-bridge and five agents: data emits a
price every interval; trend, risk and sentiment each give an opinion on it, in parallel; planner joins the three and emits
plan.ready. Then risk is killed (kill -9), and prices go on: planner waits for it until its time is up, and plans with two.
In the end the trace of every price is printed as a waterfall, and checked: one connected trace each, with all three
branches and a complete join, or with two and a join that timed out. Exit code 0 only if all of them are right.

  --ticks N              prices with all analysts (3)
  --killed-ticks N       prices after one was killed (2)
  --interval MS          milliseconds between two prices (3000)
  --timeout MS           how long planner waits for the three (3000)
  --seed N               of the simulated prices (1)
  --csv FILE             play prices back from a file instead
  --in-process-bridge    no bridge process: the agents connect to loom-broker
  --spans FILE           keep every exported span: OTLP/JSON, one ExportTraceServiceRequest a line
  --no-install           do not install packages
  --help                 this text

Spans go to `loom trace collect`, whose traces `loom trace ls` lists afterwards. With OTEL_EXPORTER_OTLP_ENDPOINT set,
to a Jaeger for example, they go there instead, and the demo prints the links (JAEGER_UI, http://localhost:16686).
EOF
}

ticks=3
killed_ticks=2
interval=3000
timeout=3000
seed=1
csv=
program=run.sh script=demos/market-analyst/run.sh
. demos/common/stage.sh
own_option() {
    case "$1" in
    --ticks) value "$@"; number "$1" "$2"; ticks=$2 ;;
    --killed-ticks) value "$@"; number "$1" "$2"; killed_ticks=$2 ;;
    --interval) value "$@"; number "$1" "$2"; interval=$2 ;;
    --timeout) value "$@"; number "$1" "$2"; timeout=$2 ;;
    --seed) value "$@"; number "$1" "$2"; seed=$2 ;;
    --csv) value "$@"; csv=$2 ;;
    *) return 1 ;;
    esac
}
read_options "$@"

stage_open
stage_build market-data market-trend market-risk market-sentiment market-planner
set -- --interval "$interval" --seed "$seed"
if [ -n "$csv" ]; then
    csv=$(from_caller "$csv")
    [ -r "$csv" ] || fail "cannot read $csv"
    set -- "$@" --csv "$csv"
fi
stage_traces
stage_bus demos/trace-test/loom.toml

echo "== starting planner and the three analysts"
start_agent planner "$bin/market-planner" --url "$url" --timeout "$timeout"
planner=$last
analysts=
for analyst in trend risk sentiment; do
    start_agent "$analyst" "$bin/market-$analyst" --url "$url"
    analysts="$analysts $last"
    [ "$analyst" != risk ] || risk=$last
done

plans=0 # that planner has to have made so far
shown=0
planned() { # shows what came in since, and answers whether all is there
    now=$(grep -c '^plan' "$work/planner.log" 2>/dev/null || true)
    if [ "$now" -gt "$shown" ]; then
        grep '^plan' "$work/planner.log" | tail -n "+$((shown + 1))" | head -n $((now - shown)) | sed 's/^/   /'
        shown=$now
    fi
    [ "$now" -ge "$plans" ]
}

run_ticks() { # N ARGUMENT…: N more prices, until there is a plan for each
    first=$((plans + 1))
    count=$1
    plans=$((plans + count))
    shift
    start "data-$first" "$bin/market-data" --url "$url" --first "$first" --ticks "$count" "$@"
    data=$last
    wait_for "the plans" "$planner" $((count * interval / 1000 + timeout / 1000 + 20)) planned
    wait "$data" || fail "data failed"
}

echo "== $ticks prices, one every $interval ms"
run_ticks "$ticks" "$@"

ids() { # FIRST LAST: the traces of these plans
    sed -n 's/^plan for .* trace \([0-9a-f]*\)$/\1/p' "$work/planner.log" | sed -n "$1,$2p"
}
sent() { # a process that is killed takes the spans along that it has not sent
    for id in $(ids 1 "$ticks"); do
        "$bin/loom" trace check "$id" --file "$file" --ladder market-analyst --quiet >/dev/null 2>&1 || return 1
    done
}
wait_for "the spans so far" "$planner" 10 sent

echo "== killing risk (kill -9), and $killed_ticks prices more: planner waits $timeout ms for it"
kill -9 "$risk"
gone() {
    "$bin/loom" agents --control "ipc://$work/control.sock" --json | grep -q '"risk"' && return 1 || return 0
}
wait_for "the broker to notice" "$planner" 10 gone
run_ticks "$killed_ticks" "$@"

echo "== stopping, and flushing the spans"
for pid in $analysts $planner; do
    [ "$pid" = "$risk" ] || stop "$pid"
done
stage_bus_stop

show_traces
wrong=0
check() { # LADDER FIRST LAST: the traces of these plans
    for id in $(ids "$2" "$3"); do
        "$bin/loom" trace check "$id" --file "$file" --ladder "$1" || wrong=$((wrong + 1))
    done
}
check market-analyst 1 "$ticks"
check market-analyst-timeout "$((ticks + 1))" "$plans"
"$bin/loom" trace check --all --quiet --file "$file" --count "$plans" || wrong=$((wrong + 1))
[ "$wrong" -eq 0 ] || fail "$wrong checks failed"
