#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# cmake --install puts everything in place, building first what is missing, and the target uninstall takes it away again.
#   install.sh BUILD_DIR CMAKE
set -eu
build=$1 cmake=$2
root=$(mktemp -d "${TMPDIR:-/tmp}/loom-install-XXXXXX")
trap 'rm -rf "$root"' EXIT
DESTDIR=$root "$cmake" --install "$build" >"$root/install.log" || { tail "$root/install.log"; exit 1; }
for file in bin/loom-broker bin/loom-bridge bin/loom include/loom/agent.h lib/systemd/system/loom-broker.service share/doc/loom/OPERATIONS.md; do
    find "$root" -path "*/$file" | grep -q . || { echo "install.sh: $file is not installed" >&2; exit 1; }
done
DESTDIR=$root "$cmake" --build "$build" --target uninstall >"$root/uninstall.log"
left=$(find "$root" ! -type d ! -name '*.log')
[ -z "$left" ] || { echo "install.sh: uninstall has left $left" >&2; exit 1; }
