#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs what docs/COMING_FROM.md says people type: every line of its table."""

import os
import pathlib
import re
import signal
import subprocess
import unittest

from harness import BIN, LoomTest, wait_until

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "COMING_FROM.md"


def rows():
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
        if line.startswith("| ") and len(cells) == 3 and cells[0] != "task":
            yield cells[0], cells[2].strip("`").replace("\\|", "|")


def runs_on(command):
    """Whether it does so until it is stopped."""
    return bool(re.search(r"loom (sub|reply) ", command)) and " -n " not in command


class Tasks(LoomTest):
    def setUp(self):
        self.bus = self.home()
        self.environment = {**self.bus.environment, "LOOM_URL": self.bus.url, "LOOM_CONTROL": f"ipc://{self.bus.control_path}",
                            "XDG_CONFIG_HOME": str(self.bus.folder / "config"), "PATH": f"{BIN}:{os.environ['PATH']}"}
        (self.bus.folder / "order.json").write_text('{"order": 17}')
        (self.bus.folder / "app.log").write_text("started\nstopped\n")
        for arguments in (("reply", "--echo", "echo"), ("sub", "weather.*", "--id", "weather-1")):
            process = self.bus.run("loom", *arguments, environment=self.environment)
            wait_until(lambda: "answering" in process.err or "subscribed" in process.err, "it is ready")

    def start(self, command):
        return subprocess.Popen(["/bin/sh", "-c", f"exec {command}" if "|" not in command else command], cwd=self.bus.folder, text=True,
                                env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def talk(self, topics):
        for topic in topics:
            self.bus.loom("pub", topic, "hello", "-H", "unit=m", "-q")

    def finish(self, process, code=0):
        out, err = process.communicate(timeout=30)
        self.assertEqual(code, process.returncode, out + err)
        return out, err

    def subscriptions(self):
        return self.bus.stats()["eventbus"]["subscriptions"]

    def test_the_page_has_thirty_tasks(self):
        self.assertLessEqual(30, len(list(rows())))

    def test_every_line_does_what_it_says(self):
        for task, command in rows():
            with self.subTest(task):
                before = self.subscriptions()
                process = self.start(command)
                listens = " sub " in f" {command} " or runs_on(command)
                if listens:
                    wait_until(lambda: self.subscriptions() >= before + 2 or process.poll() is not None, "it is subscribed")
                    self.talk(["orders.new", "orders.new", "time.now", "echo2"])
                if runs_on(command):
                    process.send_signal(signal.SIGINT)
                out, err = self.finish(process)
                self.assertNotEqual("", out + err if "-q" not in command and "context" not in command else "quiet")
                wait_until(lambda: self.subscriptions() <= before, "it is gone")

    def test_output_is_what_the_task_wants(self):
        self.assertEqual("hello", self.finish(self.start("loom request -q echo hello"))[0])
        process = self.start("loom sub 'orders.>' -F '%t %p' -n 1")
        wait_until(lambda: self.subscriptions() >= 5, "it is subscribed")
        self.talk(["orders.new"])
        self.assertEqual("orders.new hello\n", self.finish(process)[0])


if __name__ == "__main__":
    unittest.main()
