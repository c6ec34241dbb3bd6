#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds Loom, sends HTTP requests that each run a workflow of agents, and shows each request as one trace.
set -eu
called_from=$PWD
unset CDPATH
cd "$(dirname "$0")/../.."

usage() {
    cat <<'EOF'
Usage: demos/workflow/run.sh [OPTION]...

Installs what is missing (Debian packages), builds Loom, and starts loom-broker and loom-bridge with the HTTP gateway, seven
agents and a web service. Then curl orders over HTTP, and each order is a workflow: api → engine → step → http, transform and
a sub-workflow, each an agent of the bus.

  tea       goes well
  honey     the web service is busy at first: the step tries again
  unicorn   the web service has none: the order fails, and every span above says why

In the end the trace of each request is printed as a tree, from curl down to the web service, and checked. Exit code 0 only
if all of them are right.

  --workflows FILE       the workflows (demos/workflow/workflows.json)
  --item ITEM            order this as well; may be repeated: tea, honey, ice (always busy), or what there is not
  --in-process-bridge    no bridge process: agents and gateway are in loom-broker
  --spans FILE           keep every exported span: OTLP/JSON, one ExportTraceServiceRequest a line
  --no-install           do not install packages
  --help                 this text

Spans go to `loom trace collect`, whose traces `loom trace ls` lists afterwards. With OTEL_EXPORTER_OTLP_ENDPOINT set,
to a Jaeger for example, they go there instead, and the demo prints the links (JAEGER_UI, http://localhost:16686).
EOF
}

workflows=demos/workflow/workflows.json
items="tea honey unicorn"
program=run.sh script=demos/workflow/run.sh
. demos/common/stage.sh
own_option() {
    case "$1" in
    --workflows) value "$@"; workflows=$(from_caller "$2") ;;
    --item)
        value "$@"
        case "$2" in '' | *[!a-z]*) bad "--item takes a word of small letters, not \"$2\"" ;; esac
        items="$items $2"
        ;;
    *) return 1 ;;
    esac
}
read_options "$@"
[ -r "$workflows" ] || bad "cannot read $workflows"
command -v curl >/dev/null || bad "the orders are sent by curl, which is missing: apt-get install curl"

stage_open
stage_build workflow-api workflow-engine workflow-step workflow-sub workflow-http workflow-transform workflow-audit workflow-stock
stage_traces
stage_bus demos/workflow/loom.toml --listen http://127.0.0.1:0
gateway=$(cat "$work"/*.ready | tr '",' '\n\n' | grep '^http://')
gateway=${gateway%/}

echo "== starting the web service and the agents; the gateway is at $gateway"
start_agent stock "$bin/workflow-stock" 0
stock=$last
agents=
agent() { # NAME OPTION…
    name_of=$1
    shift
    start_agent "$name_of" "$bin/workflow-$name_of" --url "$url" "$@"
    agents="$last $agents"
}
agent audit
audit=$last
agent http --base "$(sed -n 's/^ready //p' "$work/stock.log")"
agent transform
agent step
agent sub --workflows "$workflows"
agent engine --workflows "$workflows"
agent api

order() { # ITEM: what curl gets, after its status. The trace begins with the command, whose context curl sends on.
    "$bin/loom" exec --name "order $1" -- sh -c '
        curl -s --noproxy "*" --max-time 30 -o "$1" -w "%{http_code}" "$2/v1/actions/api.request" \
            -H "traceparent: $TRACEPARENT" -H "baggage: tenant_id=acme" -H "Content-Type: application/json" \
            -d "{\"workflow\":\"order\",\"values\":{\"item\":\"$3\",\"count\":3,\"country\":\"JP\"}}"' \
        order "$work/answer" "$gateway" "$1" >"$work/status" 2>"$work/curl.log" || fail "$1: no answer"
    echo "   $1: $(cat "$work/status") $(cat "$work/answer")"
}
echo "== ordering"
orders=0
for item in $items; do
    order "$item"
    orders=$((orders + 1))
done
heard() {
    [ "$(grep -c '^finished' "$work/audit.log" 2>/dev/null || true)" -ge "$orders" ]
}
wait_for "what audit hears of each order" "$audit" 10 heard

echo "== stopping, and flushing the spans"
for pid in $agents $stock; do
    stop "$pid"
done
stage_bus_stop

show_traces --width 170 # 26 levels of calls
"$bin/loom" trace check --all --quiet --file "$file" --count "$orders" || fail "an order is not one connected trace"
