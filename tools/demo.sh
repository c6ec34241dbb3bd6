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
  --view                 show it in the web view (`loom view`), whose URL is printed, with readings until ctrl-C
  --no-install           do not install packages
  --help                 this text

Spans go to `loom trace collect`, whose traces `loom trace ls` lists afterwards. With OTEL_EXPORTER_OTLP_ENDPOINT set,
to a Jaeger for example, they go there instead, and the demo prints the links (JAEGER_UI, http://localhost:16686).
EOF
}

readings=3
interval=2000
program=demo.sh script=tools/demo.sh has_view=yes
. demos/common/stage.sh
own_option() {
    case "$1" in
    --readings) value "$@"; number "$1" "$2"; readings=$2 ;;
    --interval) value "$@"; number "$1" "$2"; interval=$2 ;;
    *) return 1 ;;
    esac
}
read_options "$@"

stage_open
stage_build sensor processor output
stage_traces
stage_bus demos/trace-test/loom.toml

[ "$view" = no ] || readings=0
echo "== starting output and processor, then $([ "$view" = yes ] && echo endless || echo "$readings") readings, one every $interval ms"
start_agent output "$bin/output" --url "$url"
output=$last
start_agent processor "$bin/processor" --url "$url"
processor=$last
start sensor "$bin/sensor" --url "$url" --readings "$readings" --interval "$interval"
sensor=$last
[ "$view" = no ] || stay_for_view "$sensor"

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
stage_bus_stop

show_traces
"$bin/loom" trace check --all --file "$file" --ladder trace-test --count "$readings" ||
    fail "a reading is not one connected trace"
