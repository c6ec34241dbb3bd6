# SPDX-License-Identifier: Apache-2.0
"""The faults that are known today. "program.Class.test" (both homes) or "program.Class.test@home" → the row of the issue
and what was measured. A test that is listed here has to fail; whoever mends it takes its line away."""

from typing import NamedTuple


class Known(NamedTuple):
    row: str     # of section 1 of issue 11
    figure: str  # as measured when it was listed


KNOWN = {
}
