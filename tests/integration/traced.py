# SPDX-License-Identifier: Apache-2.0
"""Runs traced_program (agents/traced_program.c) in an environment, and says what came of it."""

import json
import os
import pathlib
import subprocess
import time
from dataclasses import dataclass

from harness import clean_environment
from spans import parse_lines

PROGRAM = pathlib.Path(os.environ.get("LOOM_BUILD_DIR", "build/dev")).resolve() / "tests" / "traced_program"


@dataclass
class Outcome:
    out: str
    err: str
    counts: dict    # of the processor, and what flush and shutdown answered
    told: list      # what is wrong with the environment
    errors: list    # of the exporter
    context: str    # traceparent of the first span, or "none"
    elapsed_s: float
    exported_in_time: bool  # before what --until-done allowed

    @property
    def spans(self):
        """Those on standard output."""
        return parse_lines(self.out)


def traced(environment, *arguments, folder=None):
    whole = clean_environment(**{"OTEL_TRACES_EXPORTER": None, "OTEL_BSP_SCHEDULE_DELAY": None, **environment})
    start = time.monotonic()
    done = subprocess.run([PROGRAM, *map(str, arguments)], env=whole, cwd=folder, capture_output=True, text=True, timeout=90)
    elapsed = time.monotonic() - start
    if done.returncode != 0:
        raise AssertionError(f"traced_program ended with {done.returncode}: {done.stderr}")
    lines = {kind: [line[len(kind) + 2:] for line in done.stderr.splitlines() if line.startswith(f"{kind}: ")]
             for kind in ("told", "error", "context", "counts")}
    counts = json.loads(lines["counts"][0])
    if counts["ended"] != sum(counts[part] for part in ("exported", "full", "failed", "shutdown")):
        raise AssertionError(f"spans are not accounted for: {counts}")
    return Outcome(done.stdout, done.stderr, counts, lines["told"], lines["error"], "".join(lines["context"]), elapsed,
                   counts["in_time"])
