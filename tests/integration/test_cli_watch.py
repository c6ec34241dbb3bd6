#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""loom top and loom bench."""

import json
import os
import pty
import re
import signal
import unittest

from harness import LoomTest, in_both_homes, wait_until


class Top(LoomTest):
    def setUp(self):
        self.bus = self.home(spans=False)
        self.environment = {"LOOM_CONTROL": f"ipc://{self.bus.control_path}"}

    def top(self, *arguments, code=0, **environment):
        return self.bus.loom("top", "--interval", "50ms", *arguments, code=code, environment={**self.environment, **environment})

    def test_a_page_follows_the_other_and_slow_subscriptions_come_first(self):
        fast = self.agent(self.bus, "a-fast").subscribe("t")
        self.agent(self.bus, "b-slow", credit_messages=1).subscribe("t")
        self.bus.loom("pub", "t", "x", "-n", "30", "-q")
        fast.wait_events(30)
        out = self.top("-n", "3").stdout
        self.assertEqual(3, out.count("SUBSCRIBER"))
        self.assertNotIn("\033", out)
        page = out.split("\n\n\n")[-1]
        names = [line.split()[0] for line in page.splitlines() if re.match(r"(a-fast|b-slow) +t ", line)]
        self.assertEqual(["b-slow", "a-fast"], names[-2:])
        self.assertRegex(page, r"(?m)^b-slow +t +batched .* 29( |$)")
        self.assertRegex(page, r"(?m)^t  .* 2$")
        names = [line.split()[0] for line in self.top("-n", "1", "--sort", "name").stdout.splitlines() if re.match(r"(a-fast|b-slow) +t ", line)]
        self.assertEqual(["a-fast", "b-slow"], names)

    def test_rates_are_those_of_the_interval(self):
        pages = self.bus.run("loom", "top", "--interval", "100ms", environment=self.environment)
        wait_until(lambda: "SUBSCRIBER" in pages.out, "the first page")
        self.bus.loom("pub", "t.rate", "x", "-n", "50", "-q")
        wait_until(lambda: re.search(r"(?m)^t\.rate +[1-9]\d*\.\d ", pages.out), "a rate")
        wait_until(lambda: re.search(r"(?m)^t\.rate +0\.0 ", pages.out.rsplit("TOPIC", 1)[1]), "no rate any more")
        pages.signal(signal.SIGINT)
        self.assertEqual(0, pages.wait())

    def test_keys_sort_and_quit_on_a_terminal_which_is_given_back(self):
        ours, theirs = pty.openpty()
        import termios
        before = termios.tcgetattr(theirs)
        process = self.bus.run("loom", "top", "--interval", "50ms", environment=self.environment, stdin=theirs, stdout=theirs)
        seen = b""

        def shows(text):
            nonlocal seen
            seen += os.read(ours, 65536)
            return text in seen
        wait_until(lambda: shows(b"sorted by slow"), "a page")
        os.write(ours, b"r")
        wait_until(lambda: shows(b"sorted by rate"), "the other order")
        os.write(ours, b"q")
        self.assertEqual(0, process.wait())
        self.assertEqual(before, termios.tcgetattr(theirs))
        os.close(theirs)
        os.close(ours)

    def test_no_broker_is_no_connection_and_orders_have_names(self):
        self.assertIn("no.sock", self.top(code=3, LOOM_CONTROL=f"ipc://{self.bus.folder}/no.sock").stderr)
        self.assertIn("--sort", self.top("--sort", "size", code=2).stderr)


@in_both_homes
class Bench:
    def setUp(self):
        self.bus = self.home()

    def bench(self, *arguments, code=0):
        return self.bus.loom("bench", *arguments, code=code)

    def test_all_that_is_published_is_received_by_all(self):
        done = json.loads(self.bench("-n", "2000", "-p", "2", "-S", "3", "--size", "256", "--json").stdout)
        self.assertEqual(("4000", "12000", "0"), (done["published"], done["delivered"], done["lost"]))
        self.assertGreater(done["published_per_second"], 0)
        self.assertLessEqual(int(done["latency_ns"]["p50"]), int(done["latency_ns"]["p99"]))

    def test_it_reads_well_and_leaves_nothing_behind(self):
        out = self.bench("-n", "500", "--histogram").stdout
        self.assertRegex(out, r"^published +500 +\d+/s\ndelivered +500 +\d+/s +\S+ \S+/s\nlost +0\nlatency +min ")
        self.assertEqual([], self.bus.spans())
        wait_until(lambda: self.bus.stats()["directory"]["agents"] == 0, "its agents are gone")

    def test_it_ends_after_its_time(self):
        done = json.loads(self.bench("-n", "1000000", "--rate", "100", "--max-time", "200ms", "--json").stdout)
        self.assertLess(int(done["published"]), 1000)
        self.assertEqual("0", done["lost"])

    def test_what_makes_no_sense_is_a_wrong_command_line(self):
        for arguments in (("-n", "0"), ("--size", "1"), ("-p", "65"), ("-S", "0"), ("--max-time", "0s"), ("--rate", "no")):
            self.bench(*arguments, code=2)


if __name__ == "__main__":
    unittest.main()
