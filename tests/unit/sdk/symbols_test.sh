#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Nothing but loom_* shows: in the dynamic symbols of libloom.so, and in the global symbols of libloom.a.
#   symbols_test.sh NM LIBLOOM_SO LIBLOOM_A
set -eu
shared=$("$1" -D --defined-only "$2" | awk '{print $3}')
static=$("$1" -g --defined-only "$3" | awk 'NF == 3 {print $3}')
for api in loom_agent_open loom_agent_emit loom_agent_invoke loom_agent_provide loom_span_start loom_envelope_create loom_status_text loom_topic_valid; do
  for names in "$shared" "$static"; do
    printf '%s\n' "$names" | grep -qx "$api" || { echo "$api is missing"; exit 1; }
  done
done
# The sanitizers and gcc's profiling leave names of their own.
foreign=$(printf '%s\n%s\n' "$shared" "$static" | grep -v -e '^loom_' -e '^__asan_' -e '^__odr_asan' -e '^__tsan_' -e '^__ubsan_' -e '^__gcov' || true)
if [ -n "$foreign" ]; then
  printf 'these show:\n%s\n' "$foreign"
  exit 1
fi
internal=$(printf '%s\n%s\n' "$shared" "$static" | grep -x -e loom_uuid7_generate -e loom_uuid_to_text || true)
if [ -n "$internal" ]; then
  printf 'these are internal:\n%s\n' "$internal"
  exit 1
fi
