#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs this tarball below PREFIX (/usr/local), or takes it away again.
set -eu
cd "$(dirname "$0")"
prefix=/usr/local remove=no

usage() {
    cat <<'END'
Usage: ./install.sh [--prefix DIR] [--uninstall]

Copies bin, lib, include and share of this tarball below DIR (/usr/local), and runs ldconfig when root does it.
--uninstall removes exactly these files again. DESTDIR is put in front, for packagers.
END
}

while [ $# -gt 0 ]; do
    case "$1" in
    --prefix) prefix=${2:?--prefix needs a folder}; shift 2 ;;
    --uninstall) remove=yes; shift ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
    esac
done
to=${DESTDIR:-}$prefix
files() {
    find bin lib include share ! -type d 2>/dev/null | LC_ALL=C sort
}
if [ "$remove" = yes ]; then
    files | while read -r file; do rm -f "$to/$file"; done
    find "$to/include/loom" "$to/share/loom" "$to/share/doc/loom" "$to/share/doc/loom-doc" -depth -type d -empty -delete 2>/dev/null || true
else
    mkdir -p "$to"
    files | while read -r file; do
        mkdir -p "$to/$(dirname "$file")"
        cp -a --no-preserve=ownership "$file" "$to/$file"
    done
    # the units name the folder of the programs
    for unit in "$to"/lib/systemd/system/loom-*.service; do
        [ ! -e "$unit" ] || sed -i "s|^ExecStart=/usr/bin/|ExecStart=$prefix/bin/|" "$unit"
    done
fi
if [ "$(id -u)" = 0 ] && [ -z "${DESTDIR:-}" ]; then
    ldconfig
fi
echo "$([ "$remove" = yes ] && echo removed from || echo installed below) $to"
