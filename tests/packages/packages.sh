#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The packages: built, found fine by lintian, the same bytes when built elsewhere (with --twice), and tried in a clean root.
#   packages.sh SOURCE_DIR BUILD_DIR [--twice]
# Exit code 77: a part was left out, which is said; what could be tried is fine.
set -eu
source=$1 build=$2 twice=${3:-}
cd "$source"
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || echo 1764547200)
export SOURCE_DATE_EPOCH
result=0

tools/package.sh "$build"
for package in loom_ libloom0_ libloom-dev_ loom-doc_; do
    ls "$build"/packages/$package*.deb >/dev/null
done
python3 - "$build/loom.spdx.json" <<'END'
import json, sys
bom = json.load(open(sys.argv[1]))
assert bom["spdxVersion"] == "SPDX-2.3" and bom["documentNamespace"] and bom["creationInfo"]["created"].endswith("Z")
ids = {package["SPDXID"] for package in bom["packages"]}
assert {"SPDXRef-loom", "SPDXRef-libuv1", "SPDXRef-libcurl4"} <= ids, ids
assert all(r["relatedSpdxElement"] in ids for r in bom["relationships"])
END

echo "== nothing of the folder it was built in, in debug information either, of which build ids are made"
if grep -alF "$PWD" "$build"/bin/loom* "$build"/lib/libloom.a "$build"/lib/lib*.so.*; then
    echo "packages.sh: these name the folder" >&2
    exit 1
fi

if command -v lintian >/dev/null; then
    echo "== lintian"
    said=$(lintian --allow-root "$build"/packages/*.deb)
    [ -z "$said" ] || { echo "$said" >&2; exit 1; }
else
    echo "packages.sh: left out: there is no lintian" >&2
    result=77
fi

echo "== the same once more"
mv "$build/packages" "$build/packages.before"
if [ "$twice" = --twice ]; then
    copy=$(mktemp -d)
    trap 'rm -rf "$copy"' EXIT
    git archive HEAD | tar -C "$copy" -x # another folder, and no more than what is committed
    (cd "$copy" && tools/package.sh build/package)
    mv "$copy/build/package/packages" "$build/packages"
else
    (cd "$build" && cpack -B packages >package.log && rm -rf packages/_CPack_Packages)
fi
(cd "$build/packages" && sha256sum ./*) >"$build/after"
(cd "$build/packages.before" && sha256sum ./*) >"$build/before"
rm -rf "$build/packages.before"
diff "$build/before" "$build/after" || { echo "packages.sh: two builds differ" >&2; exit 1; }

tests/packages/clean_root.sh "$build/packages" || { code=$?; [ $code = 77 ] && result=77 || exit $code; }
exit $result
