#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The Debian packages in a clean root: installed, upgraded over a changed configuration, purged. And the tarball.
#   clean_root.sh PACKAGES_DIR
# The root is made by debootstrap, once, and kept in the cache. Exit code 77: there is no way to one (not root, no debootstrap, no
# network), which is said.
set -eu
packages=$(cd "$1" && pwd)
cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/loom
base=$cache/clean-root-bookworm.tar
needs=libcurl4,libssl3,libwslay1,libsodium23,libuv1,libjansson4,libsqlite3-0,libnghttp2-14,libtomlplusplus3,zlib1g,libstdc++6,procps

skip() {
    echo "clean_root.sh: left out: $*" >&2
    exit 77
}
[ "$(id -u)" = 0 ] || skip "only root can make a root"
if [ ! -e "$base" ]; then
    command -v debootstrap >/dev/null || skip "there is no debootstrap"
    mkdir -p "$cache"
    timeout 300 debootstrap --variant=minbase --include="$needs" --make-tarball="$cache/debs.tgz" bookworm "$cache/unused" >"$cache/debootstrap.log" 2>&1 ||
        { tail -n 3 "$cache/debootstrap.log" >&2; skip "debootstrap cannot fetch Debian's packages"; }
    made=$(mktemp -d)
    timeout 300 debootstrap --variant=minbase --include="$needs" --unpack-tarball="$cache/debs.tgz" bookworm "$made" >"$cache/debootstrap.log" 2>&1 ||
        { tail -n 3 "$cache/debootstrap.log" >&2; rm -rf "$made"; skip "debootstrap cannot make a root here"; }
    tar -C "$made" -cf "$base.new" . && mv "$base.new" "$base"
    rm -rf "$made" "$cache/debs.tgz"
fi

root=$(mktemp -d "${TMPDIR:-/tmp}/loom-root-XXXXXX")
trap 'rm -rf "$root"' EXIT
tar -C "$root" -xf "$base"
mkdir "$root/packages"
cp "$packages"/*.deb "$packages"/*.tar.gz "$root/packages"
inside() {
    timeout 120 chroot "$root" env DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@"
}
fail() {
    echo "clean_root.sh: $*" >&2
    exit 1
}
works() { # a broker that a subscriber and a publisher find
    inside sh -ec '
        export XDG_RUNTIME_DIR=/run OTEL_TRACES_EXPORTER=none LOOM_BROKER_PUBLISH_HOLD=0
        "$1"loom-broker --ready-file /tmp/ready 2>/tmp/log & broker=$!
        for i in $(seq 100); do [ -e /tmp/ready ] && break; sleep 0.1; done
        "$1"loom sub --count 1 hello >/tmp/got 2>/tmp/sub & sub=$!
        for i in $(seq 100); do grep -q subscribed /tmp/sub && break; sleep 0.1; done
        "$1"loom pub hello world
        wait $sub
        kill $broker; wait $broker
        rm -f /tmp/ready
        cat /tmp/got' sh "$1" >"$root/tmp/said" 2>&1 || { cat "$root/tmp/said" "$root/tmp/log" >&2; fail "the installed programs do not work"; }
    grep -q world "$root/tmp/got" || fail "the subscriber has not got the message"
}

first_trace() { # what a newcomer types after the install; other programs of this machine do not come between
    cat >"$root/tmp/newcomer" <<'END'
export XDG_RUNTIME_DIR=/run HOME=/root
loom trace collect >/tmp/log 2>&1 & collector=$!
loom-broker 2>>/tmp/log & broker=$!
loom sub --wait 10s hello >/tmp/got 2>/tmp/sub & sub=$!
for i in $(seq 100); do grep -q subscribed /tmp/sub && break; sleep 0.1; done
loom pub hello world
for i in $(seq 200); do loom trace show --last | grep -q eventbus.publish && break; sleep 0.1; done # a broker exports every five seconds
loom trace show --last
kill $sub $broker $collector
wait
END
    timeout 120 unshare -n sh -c 'ip link set lo up && exec chroot "$@"' sh "$root" env PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
        sh -e /tmp/newcomer >"$root/tmp/said" 2>&1 || { cat "$root/tmp/said" "$root/tmp/log" >&2; fail "a newcomer does not get as far as a trace"; }
    grep -q 'eventbus.publish' "$root/tmp/said" || { cat "$root/tmp/said" "$root/tmp/log" >&2; fail "the first trace lacks the broker's span"; }
}

echo "== install"
begun=$(date +%s%N)
inside sh -c 'dpkg -i /packages/*.deb' >"$root/tmp/dpkg.log" 2>&1 || true
# libloom-dev needs the development packages of others, which a clean root has not: that it says so is all that may be wrong
[ "$(inside dpkg-query -W -f '${db:Status-Status}' loom)" = installed ] || { cat "$root/tmp/dpkg.log" >&2; fail "loom is not installed"; }
[ "$(inside dpkg-query -W -f '${db:Status-Status}' libloom0)" = installed ] || fail "libloom0 is not installed"
for file in man/man1/loom-drain.1.gz man/man1/loom-top.1.gz man/man1/loom-bench.1.gz man/man5/loom.toml.5.gz man/man7/loom.7.gz \
    bash-completion/completions/loom zsh/vendor-completions/_loom fish/vendor_completions.d/loom.fish; do
    [ -s "$root/usr/share/$file" ] || fail "the package lacks /usr/share/$file"
done
inside ldconfig -p | grep -q 'libloom\.so\.0' || fail "the linker does not find libloom.so.0"
inside getent passwd loom >/dev/null || fail "there is no user loom"
if command -v ip >/dev/null && unshare -n true 2>/dev/null; then
    first_trace
    echo "clean_root.sh: from the install to the first trace: $((($(date +%s%N) - begun) / 1000000)) ms"
else
    echo "clean_root.sh: left out: the first trace of a newcomer, without a network of its own" >&2
fi
works /usr/bin/

echo "== upgrade over a changed configuration"
inside dpkg --remove libloom-dev >/dev/null 2>&1 || true
echo 'max_agents = 17' >"$root/tmp/changed"
sed -i '/^\[broker\]$/r '"$root/tmp/changed" "$root/etc/loom/loom.toml"
work=$root/tmp/newer
dpkg-deb -R "$packages"/loom_*.deb "$work"
sed -i 's/^\(Version: .*\)$/\1+newer/' "$work/DEBIAN/control"
echo '# a newer comment' >>"$work/etc/loom/loom.toml"
dpkg-deb -b "$work" "$root/packages/newer.deb" >/dev/null
inside dpkg --force-confold -i /packages/newer.deb >"$root/tmp/dpkg.log" 2>&1 || { cat "$root/tmp/dpkg.log" >&2; fail "the upgrade failed"; }
grep -q '^max_agents = 17$' "$root/etc/loom/loom.toml" || fail "the upgrade has overwritten the configuration"
[ -e "$root/etc/loom/loom.toml.dpkg-dist" ] || fail "the new configuration is not beside the old one"
inside loom-broker --check-config | grep -q '^max_agents = 17' || fail "the configuration is not read"

echo "== purge"
mkdir -p "$root/var/lib/loom" "$root/var/log/loom" "$root/etc/default" "$root/etc/systemd/system/multi-user.target.wants"
echo LOOM_LOG_LEVEL=debug >"$root/etc/default/loom"
for link in multi-user.target.wants/loom-bridge@west.service multi-user.target.wants/loom-bridge@east.service multi-user.target.wants/loom-broker.service; do
    ln -s "/lib/systemd/system/$(echo "${link##*/}" | sed 's/@.*\./@./')" "$root/etc/systemd/system/$link"
done
ln -s /dev/null "$root/etc/systemd/system/loom-broker.socket" # masked
inside dpkg --purge loom libloom0 loom-doc >"$root/tmp/dpkg.log" 2>&1 || { cat "$root/tmp/dpkg.log" >&2; fail "the purge failed"; }
left=$(cd "$root" && find etc usr var -path '*loom*' ! -path 'var/lib/dpkg/*' ! -path 'var/log/*.log' | head)
[ -z "$left" ] || fail "the purge has left $left"
inside ldconfig -p | grep -q libloom && fail "the linker still knows libloom" || true

echo "== tarball"
tar -C "$root/tmp" -xzf "$packages"/loom-*.tar.gz
inside sh -ec 'cd /tmp/loom-*/ && ./install.sh --prefix /usr/local' >/dev/null
inside ldconfig -p | grep -q /usr/local/lib || fail "the linker does not find libloom below /usr/local"
works /usr/local/bin/
inside sh -ec 'cd /tmp/loom-*/ && ./install.sh --prefix /usr/local --uninstall' >/dev/null
left=$(find "$root/usr/local" -type f | head)
[ -z "$left" ] || fail "install.sh --uninstall has left $left"
echo "clean_root.sh: all is well"
