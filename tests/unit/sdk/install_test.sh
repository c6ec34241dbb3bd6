#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs libloom into a scratch tree, and builds and runs a consumer against it with CMake and with pkg-config.
#   install_test.sh BUILD_DIR SOURCE_DIR CMAKE CC CFLAGS
set -eu
build=$1 source=$2 cmake=$3 cc=$4 flags=$5
root=$(mktemp -d "${TMPDIR:-/tmp}/loom-install-XXXXXX")
trap 'rm -rf "$root"' EXIT
export LOOM_TELEMETRY_AUTO=0

"$cmake" --install "$build/sdk-c" --prefix "$root/prefix" >"$root/install.log"
mv "$root/prefix" "$root/moved" # a package must not remember where it was installed to
pc=$(find "$root/moved" -name loom.pc)
libdir=$(dirname "$(dirname "$pc")")

echo "== CMake"
"$cmake" -S "$source/consumer" -B "$root/build" -DCMAKE_PREFIX_PATH="$root/moved" -DCMAKE_C_COMPILER="$cc" \
  -DCMAKE_C_FLAGS="$flags" >"$root/configure.log" || { cat "$root/configure.log"; exit 1; }
"$cmake" --build "$root/build" >"$root/build.log" || { cat "$root/build.log"; exit 1; }
"$root/build/consumer_shared"
"$root/build/consumer_static"

echo "== pkg-config"
PKG_CONFIG_PATH=$(dirname "$pc"); export PKG_CONFIG_PATH
# shellcheck disable=SC2046,SC2086
"$cc" -std=c17 $flags "$source/consumer/consumer.c" -o "$root/consumer" $(pkg-config --cflags --libs loom) "-Wl,-rpath,$libdir"
"$root/consumer"
# shellcheck disable=SC2046,SC2086
"$cc" -std=c17 $flags "$source/consumer/consumer.c" -o "$root/consumer-static" $(pkg-config --cflags loom) \
  "$libdir/libloom.a" $(sed -n 's/^Libs.private: //p' "$pc")
"$root/consumer-static"
