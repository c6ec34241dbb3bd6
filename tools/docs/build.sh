#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the site of this version into build/site/VERSION, next to those of other versions that are there already.
set -eu
unset CDPATH
cd "$(dirname "$0")/../.."
case "${1:-}" in
-h | --help)
    echo "Usage: tools/docs/build.sh [SITE]     (default: build/site; needs mkdocs and mkdocs-material)"
    exit 0
    ;;
esac
site=${1:-build/site}
part() { sed -n "s/^#define LOOM_VERSION_$1 //p" base/include/loom/version.h; }
version=$(part MAJOR).$(part MINOR)
mkdir -p "$site"
site=$(cd "$site" && pwd)
mkdocs build --quiet --strict --clean -f tools/docs/mkdocs.yml -d "$site/$version"

# What the theme's version selector reads, and where a visitor without a version is led.
newest=$(cd "$site" && ls -d [0-9]*.[0-9]*/ | tr -d / | sort -t . -k 1,1n -k 2,2n | tail -n 1)
{
    separator='['
    for one in $(cd "$site" && ls -d [0-9]*.[0-9]*/ | tr -d / | sort -t . -k 1,1nr -k 2,2nr); do
        aliases=
        [ "$one" = "$newest" ] && aliases='"latest"'
        printf '%s{"version": "%s", "title": "%s", "aliases": [%s]}' "$separator" "$one" "$one" "$aliases"
        separator=', '
    done
    echo ']'
} >"$site/versions.json"
echo "<!doctype html><meta http-equiv=refresh content='0; url=$newest/index.html'><a href='$newest/index.html'>Loom $newest</a>" >"$site/index.html"
echo "$site/$version"
