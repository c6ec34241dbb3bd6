#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs the harness of W3C Trace Context, all of it at STRICT_LEVEL 2, against the service of a build.
set -eu
unset CDPATH
cd "$(dirname "$0")/../../.."

REVISION=acab820be9db7b3433668baa5cdd43f57f4c4be0
AIOHTTP=3.14.5

if [ $# -gt 1 ] || [ "${1:-}" = --help ]; then
    echo "Usage: tests/conformance/w3c/harness.sh [BUILD]     (default: build/dev, for its tests/w3c_service)"
    echo "The harness is fetched once to build/w3c, from LOOM_W3C_REPOSITORY (default: https://github.com/w3c/trace-context),"
    echo "and aiohttp, which it needs, from PyPI. LOOM_W3C_HARNESS names a folder of the harness that is there already."
    [ "${1:-}" = --help ] && exit 0 || exit 2
fi
service=${1:-build/dev}/tests/w3c_service
if [ ! -x "$service" ]; then
    echo "harness.sh: there is no $service: build it with tools/build.sh dev w3c_service" >&2
    exit 1
fi
mkdir -p build/w3c
if [ -z "${LOOM_W3C_HARNESS:-}" ]; then
    if [ ! -d build/w3c/trace-context/.git ]; then
        git clone --quiet "${LOOM_W3C_REPOSITORY:-https://github.com/w3c/trace-context}" build/w3c/trace-context
    fi
    git -C build/w3c/trace-context checkout --quiet --detach "$REVISION"
    LOOM_W3C_HARNESS=$PWD/build/w3c/trace-context/test
fi
python=build/w3c/python/bin/python
if ! "$python" -c "import aiohttp; assert aiohttp.__version__ == '$AIOHTTP'" 2>/dev/null; then
    python3 -m venv build/w3c/python
    "$python" -m pip install --quiet --disable-pip-version-check "aiohttp==$AIOHTTP"
fi
export LOOM_W3C_HARNESS
exec "$python" -B tests/conformance/w3c/service/test_service.py "$service" --verbose
