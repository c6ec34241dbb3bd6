# SPDX-License-Identifier: Apache-2.0
"""Runs `loom exec`, and says what came of it."""

import os
import pathlib
import subprocess
import tempfile
import unittest

from harness import BIN, clean_environment
from spans import parse_lines

LOOM = str(BIN / "loom")
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


class ExecTest(unittest.TestCase):
    """Spans go to a file; nothing else listens."""

    programs = BIN

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="loom-exec-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.spans_file = self.folder / "spans.jsonl"

    def environment(self, **changes):
        own = {"OTEL_TRACES_EXPORTER": "otlp/file", "LOOM_SPANS_FILE": str(self.spans_file), **changes}
        return {name: value for name, value in {**clean_environment(), **own}.items() if value is not None}

    def run_exec(self, *command, options=(), code=0, timeout=60, stdin=b"", **environment):
        done = subprocess.run([LOOM, "exec", *map(str, options), "--", *map(str, command)], input=stdin,
                              env=self.environment(**environment), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=timeout)
        self.assertEqual(code, done.returncode, done.stderr)
        return done

    def spans(self):
        return parse_lines(self.spans_file.read_text()) if self.spans_file.exists() else []

    def span(self, name):
        found = [span for span in self.spans() if span.name == name]
        self.assertEqual(1, len(found), f"{name} among {[span.name for span in self.spans()]}")
        return found[0]
