#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# smoke.sh PROGRAM CORPUS RUNS: the seeds and so many inputs made from them, the same each time. New inputs go to a
# directory that is removed; what fails stays next to PROGRAM, as PROGRAM-crash-… or -timeout-….
set -eu
found=$(mktemp -d)
trap 'rm -rf "$found"' EXIT
"$1" -seed=1 -runs="$3" -timeout=10 -print_final_stats=1 -artifact_prefix="$1-" "$found" "$2"
