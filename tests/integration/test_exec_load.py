# SPDX-License-Identifier: Apache-2.0
"""200 MB of a command's standard error through `loom exec`, in small and in huge lines, with spans in between: every other byte
passes, in order, and memory stays bounded."""

import hashlib
import json
import os
import subprocess
import sys
import unittest

from exec_command import LOOM, ExecTest

MEGABYTES = 200
# What the command writes, and the test expects without the spans: a megabyte of lines, or of one line without an end.
BLOCKS = "BLOCKS = {'small': (b'x' * 99 + b'\\n') * 10_000, 'huge': b'__LOOM_TRAC_' * 83_333 + b'....'}\n"
WRITER = BLOCKS + f"""
import json, os, sys
block = BLOCKS[sys.argv[1]]
span = dict(trace_id=os.environ["LOOM_TRACE_ID"], parent_id=os.environ["LOOM_SPAN_ID"], name="step",
            start_time="2026-01-15T10:30:00Z", end_time="2026-01-15T10:30:00Z")
for i in range({MEGABYTES}):
    data = block + b"__LOOM_TRACE__:" + json.dumps(span | {{"span_id": f"{{i + 1:016x}}"}}).encode() + b"\\n"
    while data:
        data = data[os.write(2, data):]
"""


class Load(ExecTest):
    def check(self, kind):
        names = {}
        exec(BLOCKS, names)  # the same text as the command's
        stats = self.folder / f"{kind}.json"
        expected, found, count = hashlib.sha256(), hashlib.sha256(), 0
        running = subprocess.Popen([LOOM, "exec", "--stats-file", stats, "--", sys.executable, "-c", WRITER, kind],
                                   env=self.environment(OTEL_TRACES_EXPORTER="none"), stderr=subprocess.PIPE)
        with running.stderr as stream:
            while piece := os.read(stream.fileno(), 1 << 20):
                found.update(piece)
                count += len(piece)
        _, status, used = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
        for _ in range(MEGABYTES):
            expected.update(names["BLOCKS"][kind])
        self.assertEqual((0, MEGABYTES * 1_000_000, expected.hexdigest()), (running.returncode, count, found.hexdigest()))
        counts = json.loads(stats.read_text())
        self.assertEqual((MEGABYTES, 0, 0), tuple(counts[key] for key in ("collected", "parse_errors", "rate_limited")), counts)
        self.assertLess(used.ru_maxrss, 400 << 10)  # KiB, of the largest of its processes; sanitizers need some

    def test_small_lines(self):
        self.check("small")

    def test_lines_without_an_end(self):
        self.check("huge")


if __name__ == "__main__":
    unittest.main()
