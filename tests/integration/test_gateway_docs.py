# SPDX-License-Identifier: Apache-2.0
"""docs/HTTP.md does what it says: each of its shell examples runs against a broker, and against a bridge, and ends well."""

import os
import pathlib
import re
import shutil
import subprocess
import unittest

from harness import BIN, in_both_homes

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "HTTP.md"


@in_both_homes
@unittest.skipUnless(shutil.which("curl"), "there is no curl")
class Page:
    def test_each_example_runs(self):
        bus = self.home(listen=("ipc", "http"), spans=False)
        examples = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
        self.assertGreater(len(examples), 5)
        for example in examples:
            with self.subTest(example):
                script = "set -e\n" + example.replace("http://127.0.0.1:7780", bus.url_of("http"))
                done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                                      env={**bus.environment, "LOOM_URL": bus.url, "PATH": f"{BIN}:{os.environ['PATH']}"})
                self.assertEqual(0, done.returncode, done.stdout + done.stderr)
                self.assertNotEqual("", done.stdout)


if __name__ == "__main__":
    unittest.main()
