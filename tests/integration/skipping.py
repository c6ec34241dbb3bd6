# SPDX-License-Identifier: Apache-2.0
"""Tests that need a package of others: without it they are skipped, but fail where LOOM_TEST_SKIP is "no", as in tools/test.sh
when it installs packages. So no machine that is set up passes them by."""

import os
import sys


def skip(reason):
    if os.environ.get("LOOM_TEST_SKIP") == "no":
        sys.exit(f"FAILED, and not skipped because of LOOM_TEST_SKIP=no: {reason}")
    print(f"SKIP: {reason}")
    sys.exit(77)
