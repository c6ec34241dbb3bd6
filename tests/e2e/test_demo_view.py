# SPDX-License-Identifier: Apache-2.0
"""`tools/demo.sh --view`: the demo in the web view, and nothing of it left when it is stopped."""

import os
import pathlib
import re
import signal
import subprocess
import tempfile
import unittest

import browser
import jaeger
from view_case import main

DEMO = jaeger.ROOT / "tools" / "demo.sh"


def processes_of(group):
    """Of a session that this test has started."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.getsid(int(entry.name)) == group:
                found.append((entry / "cmdline").read_bytes())
        except OSError:
            continue
    return found


class Demo(unittest.TestCase):
    def test_the_demo_is_seen_in_the_view_and_leaves_nothing_behind(self):
        folder = self.enterContext(tempfile.TemporaryDirectory(prefix="loom-e2e-"))
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "LOOM_SPANS", "LOOM_TRACE"))}
        demo = subprocess.Popen([DEMO, "--no-install", "--view", "--interval", "100"], env={**environment, "XDG_STATE_HOME": folder, "TMPDIR": folder},
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
                                preexec_fn=jaeger.die_with_parent)
        self.addCleanup(lambda: demo.poll() is None and os.killpg(demo.pid, signal.SIGKILL))
        seen = []
        for line in demo.stdout:
            seen.append(line)
            if "watch it at" in line:
                break
        url = re.search(r"http://\S+", seen[-1] if seen else "")
        self.assertIsNotNone(url, "".join(seen))
        page = browser.Browser()
        self.addCleanup(page.close)
        page.open(url[0])
        page.wait("return document.querySelector('tr[data-trace]')?.innerText.includes('sensor.emit_data')", "the readings")
        page.run("location.hash = '#/agents'")
        page.wait("return ['sensor', 'processor', 'output'].every((name) => document.querySelector(`tr[data-agent=${name}]`))", "the agents")
        page.run("location.hash = '#/flow'")
        page.wait("return document.querySelector('[data-kind=deliver][data-agent=processor]')", "who talks to whom")
        demo.send_signal(signal.SIGTERM)
        rest = demo.stdout.read()
        self.assertEqual(0, demo.wait(30), "".join(seen) + rest)
        self.assertEqual([], processes_of(demo.pid))
        self.assertEqual([], list(pathlib.Path(folder).glob("loom-demo.*")))


if __name__ == "__main__":
    main()
