#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Compiles and runs every C program of a page of the documentation: each block of ```c is one, and has to end well.
#   docs_test.sh PAGE LIBDIR INCLUDES CC CFLAGS      INCLUDES: directories, separated by colons
set -eu
page=$1 libdir=$2 includes=$3 cc=$4 flags=$5
root=$(mktemp -d "${TMPDIR:-/tmp}/loom-docs-XXXXXX")
trap 'rm -rf "$root"' EXIT
awk -v root="$root" '
    /^```c$/ { file = root "/program" ++n ".c"; next }
    /^```$/ { file = ""; next }
    file != "" { print > file }' "$page"
include=$(printf '%s' "$includes" | sed 's/[^:]*/-I&/g; s/:/ /g')
count=0
for source in "$root"/program*.c; do
  [ -e "$source" ] || break
  # shellcheck disable=SC2086
  "$cc" -std=c11 -Wall -Wextra -Werror -Wno-unused-parameter $flags $include "$source" -o "$root/program" \
    -L"$libdir" -lloom "-Wl,-rpath,$libdir"
  OTEL_TRACES_EXPORTER=none "$root/program" >"$root/output" || { echo "$source ended badly"; cat "$root/output"; exit 1; }
  cat "$root/output"
  count=$((count + 1))
done
echo "$page: $count programs"
[ "$count" -gt 0 ]
