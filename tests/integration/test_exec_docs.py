# SPDX-License-Identifier: Apache-2.0
"""docs/EXEC.md does what it says: its shell examples run, one after the other, with a receiver, and end well."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from harness import BIN, clean_environment

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "EXEC.md"
RECEIVER = "loom trace collect &\n"


class Page(unittest.TestCase):
    def start_receiver(self, folder):
        """Its address."""
        read, write = os.pipe()
        receiver = subprocess.Popen([BIN / "loom", "trace", "collect", "--quiet", "--listen", "127.0.0.1:0", "--ready-fd", str(write),
                                     "--db", folder / "traces.db"], pass_fds=(write,), env=clean_environment())
        self.addCleanup(receiver.wait)
        self.addCleanup(receiver.terminate)
        os.close(write)
        with open(read, encoding="ascii") as ready:
            return "http://" + ready.readline().strip()

    @unittest.skipUnless(shutil.which("python3"), "there is no python3")
    def test_each_example_runs(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="loom-docs-")))
        url = self.start_receiver(folder)
        examples = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
        self.assertIn(RECEIVER, examples[0])
        shown = []
        for example in examples:
            script = "set -e\n" + example.replace(RECEIVER, "").replace("http://127.0.0.1:4318", url).replace(
                "/usr/local/share/loom", str(BIN.resolve().parent / "share/loom"))
            with self.subTest(example):
                done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60, cwd=folder,
                                      stdin=subprocess.DEVNULL,
                                      env={**clean_environment(), "OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                                           "LOOM_TRACE_DB": str(folder / "traces.db"),
                                           "OTEL_EXPORTER_OTLP_ENDPOINT": url, "PATH": f"{BIN}:{os.environ['PATH']}"})
                self.assertEqual(0, done.returncode, done.stdout + done.stderr)
                shown.append(done.stdout)
        self.assertRegex(shown[0], r"(?m)^sh +loom-exec +client")
        self.assertRegex(shown[1], r"(?m)^python3 (.*\n)+├ load .*\n└ summarize .*\n  └ sort ")
        self.assertTrue(any(re.search(r"(?m)^└ step ", text) for text in shown), shown)


if __name__ == "__main__":
    unittest.main()
