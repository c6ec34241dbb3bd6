#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Usage: test_rounds.sh LOOM-BENCH
# A short round of each kind of scenario; an interruption; a server that dies. Afterwards no process and no file is left.
set -u
bench=$1
export TMPDIR=$(mktemp -d)
pattern=$(mktemp -p /tmp)
log=$(mktemp -p /tmp)
trap 'rm -rf "$TMPDIR" "$pattern" "$log"' EXIT
failed=0

fail() {
    echo "test_rounds: $*" >&2
    failed=1
}

# Everything that a run starts has its environment, and so our TMPDIR in it.
still_running() {
    echo "$TMPDIR" >"$pattern"
    env -u TMPDIR grep -lF -f "$pattern" /proc/[0-9]*/environ 2>/dev/null
}

nothing_left() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        if [ -z "$(ls -A "$TMPDIR")" ] && [ -z "$(still_running)" ]; then
            return
        fi
        sleep 0.1
    done
    fail "$1 left $(ls -A "$TMPDIR") $(still_running)"
}

# child PID NAME
child() {
    for status in /proc/[0-9]*/status; do
        if grep -q "^PPid:[[:space:]]*$1\$" "$status" 2>/dev/null && grep -q "^Name:[[:space:]]*$2\$" "$status" 2>/dev/null; then
            basename "$(dirname "$status")"
        fi
    done
}

round() {
    "$bench" "$@" --rounds 1 --seconds 0.2 --json >/dev/null || fail "loom-bench $*: exit code $?"
    nothing_left "loom-bench $*"
}

round pubsub --tracing on --latency-rate 1000
round fanout --consumers 3 --size 262144 --peer floor
round fanin --producers 3 --bridge process --peer floor
round request --transport tcp --peer floor
round eventbus --consumers 2 --tracing 1%
round subscriptions --filters 100
round agents --agents 20
round stall --consumers 3
round fairness --bridge process
round span
round http
round http-action --bridge process
round http-hostile
round view --flood view
round incident
round incident --bridge process
round soak
round soak --rate 2000 --bridge process

"$bench" soak --seconds 30 >/dev/null 2>&1 &
pid=$!
sleep 1
kill -INT $pid
wait $pid
code=$?
[ $code -eq 130 ] || fail "an interrupted run ended with exit code $code"
nothing_left "an interrupted run"

# What it starts is in no trace, whatever trace it was started in itself.
TRACEPARENT=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 BAGGAGE=k=v \
    LOOM_TRACE_ID=4bf92f3577b34da6a3ce929d0e0e4736 "$bench" soak --seconds 30 --rounds 1 >/dev/null 2>"$log" &
pid=$!
sleep 1
broker=$(child $pid loom-broker)
grep -qzE '^(TRACEPARENT|BAGGAGE|LOOM_TRACE_ID)=' "/proc/$broker/environ" && fail "the broker was handed a trace"
kill -KILL "$broker"
wait $pid
code=$?
[ $code -eq 1 ] || fail "a run whose server died ended with exit code $code"
grep -q "loom-broker was killed by signal 9" "$log" || fail "nobody told that the server died"
nothing_left "a run whose server died"

exit $failed
