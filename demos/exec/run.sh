#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds Loom, provides a tool in Python twice, and calls both: one trace each, from the agent that calls to system calls.
set -eu
called_from=$PWD
unset CDPATH
cd "$(dirname "$0")/../.."

usage() {
    cat <<'EOT'
Usage: demos/exec/run.sh [OPTION]...

Installs what is missing (Debian packages), builds Loom, and starts loom-broker, loom-bridge and two providers of the same
tool, tool.py, which sums up orders and archives them with gzip:

  orders.report    loom exec --syscalls on the tool: its processes and their system calls, beside the tool's own spans
  orders.archive   loom exec --syscalls on the command that the tool starts: system calls below the span "archive"

Then `loom invoke` calls each of them. In the end both traces are printed as waterfalls, and checked: one connected trace
each, down to a system call. Exit code 0 only if both are right.

  --orders FILE          CSV of PRODUCT,PIECES,PRICE (demos/exec/orders.csv)
  --image IMAGE          run the tool of orders.archive in a new container of this image, which has Python and gzip
  --exec-arg ARGUMENT    an argument of its `loom exec`, such as --run-arg=--network=none; may be repeated
  --in-process-bridge    no bridge process: the agents connect to loom-broker
  --spans FILE           keep every exported span: OTLP/JSON, one ExportTraceServiceRequest a line
  --no-install           do not install packages
  --help                 this text

Spans go to `loom trace collect`, whose traces `loom trace ls` lists afterwards. With OTEL_EXPORTER_OTLP_ENDPOINT set,
to a Jaeger for example, they go there instead, and the demo prints the links (JAEGER_UI, http://localhost:16686).
EOT
}

orders=
image=
exec_args= # one a line
program=run.sh script=demos/exec/run.sh
. demos/common/stage.sh
newline='
'
own_option() {
    case "$1" in
    --orders) value "$@"; orders=$(from_caller "$2") ;;
    --image) value "$@"; image=$2 ;;
    --exec-arg) value "$@"; exec_args="$exec_args$2$newline" ;;
    *) return 1 ;;
    esac
}
read_options "$@"
[ -n "$orders" ] || orders=$PWD/demos/exec/orders.csv
[ -r "$orders" ] || bad "cannot read $orders"

stage_open
stage_build
bin=$(cd "$bin" && pwd)
# The interpreter itself: a wrapper in the PATH would fill the trace with its own calls.
python=$(python3 -c 'import os, sys; print(os.path.realpath(sys.executable))') || fail "there is no Python 3"
stage_traces
stage_bus demos/trace-test/loom.toml

provide() { # CAPABILITY COMMAND…: a provider that has announced itself
    capability=$1
    shift
    start "$capability" "$bin/loom" provide --url "$url" "$capability" -- "$@"
    wait_for "$capability" "$last" 10 announced
}
announced() {
    "$bin/loom" caps --control "ipc://$work/control.sock" --json | grep -q "\"$capability\""
}

IFS=$newline # the arguments, a line each
set -f
# shellcheck disable=SC2086
set -- $exec_args
set +f
unset IFS

echo "== starting the two providers"
tool=$PWD/demos/exec/tool.py
libraries=$PWD/trace/process/libraries
runner="loom exec --syscalls=openat,unlinkat --" # it is looked up in the PATH
export PATH="$bin:$PATH" PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$libraries/python${PYTHONPATH:+:$PYTHONPATH}"
provide orders.report loom exec --name tool --syscalls=execve,unlink,wait4 -- "$python" "$tool"
reports=$last
if [ -z "$image" ]; then
    provide orders.archive loom exec --name tool "$@" -- "$python" "$tool" --runner "$runner"
else
    # It needs no network: the `loom` inside writes its spans to standard error, where the one outside collects them.
    export LOOM_LIBRARIES_DIR="$libraries"
    provide orders.archive loom exec --name tool --image "$image" --with-libs --run-arg="--volume=$bin/loom:/opt/loom:ro" \
        --run-arg="--volume=$tool:/opt/tool.py:ro" --run-arg=--env=OTEL_TRACES_EXPORTER=loom/stderr "$@" \
        -- python3 /opt/tool.py --runner "/opt/$runner"
fi
archives=$last

call() { # CAPABILITY: as an agent calls it; prints the answer
    "$bin/loom" invoke --url "$url" --deadline 60s "$1" --file "$orders" >"$work/$1.answer" 2>"$work/invoke.log" ||
        fail "$1: the call failed"
    echo "   $1: $(cat "$work/$1.answer")"
}
echo "== calling both"
call orders.report
call orders.archive

echo "== stopping, and flushing the spans"
stop "$reports"
stop "$archives"
stage_bus_stop

show_traces
wrong=0
for id in $ids; do
    "$bin/loom" trace show "$id" --file "$file" | grep -q 'syscall: ' || {
        echo "$program: no system call in trace $id" >&2
        wrong=$((wrong + 1))
    }
done
"$bin/loom" trace check --all --quiet --file "$file" --count 2 || wrong=$((wrong + 1))
[ "$wrong" -eq 0 ] || fail "$wrong checks failed"
