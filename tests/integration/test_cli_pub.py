#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""loom pub with more than one message: lines, records, pace, templates, totals."""

import os
import pty
import re
import signal
import subprocess
import time
import unittest

from harness import BIN, LoomTest, wait_until

TOTALS = re.compile(r"published (\d+) messages?, ([\d.]+ \S+), in \S+(?: \S+)* \(\d+/s\)\n")


class Several(LoomTest):
    def setUp(self):
        self.bus = self.home()
        self.receiver = self.agent(self.bus, "receiver").subscribe("t")
        self.seen = 0

    def payloads(self, count):
        """Of the next so many."""
        self.seen += count
        return [event.payload for event in self.receiver.wait_events(self.seen)][-count:] if count else []

    def start(self, *arguments, **popen):
        return self.bus.run("loom", "pub", "--url", self.bus.url, "t", *arguments, **popen)

    def test_a_message_a_line(self):
        done = self.bus.loom("pub", "t", "-l", given="one\n\ntwo words\nthe last, without its newline")
        self.assertEqual([b"one", b"", b"two words", b"the last, without its newline"], self.payloads(4))
        self.assertEqual(4, len(done.stdout.splitlines()))
        self.assertEqual("4", TOTALS.fullmatch(done.stderr)[1])

    def test_a_line_leaves_at_once_and_all_go_over_one_connection(self):
        process = self.start("-l", "-q", stdin=subprocess.PIPE)
        for number in range(3):
            process.popen.stdin.write(b"%d\n" % number)
            process.popen.stdin.flush()
            self.assertEqual(b"%d" % number, self.payloads(1)[0])
        self.assertEqual(2, self.bus.stats()["directory"]["agents"])
        process.popen.stdin.close()
        self.assertEqual(0, process.wait())

    def test_records_end_where_the_delimiter_says(self):
        for delimiter, given, expected in (("\\0", "a\0b\nc\0", [b"a", b"b\nc"]), ("\\x1e", "a\x1eb", [b"a", b"b"]),
                                           ("--\\n", "a--\nb--c--\n", [b"a", b"b--c"]), (",", "", [])):
            self.bus.loom("pub", "t", "-D", delimiter, "-q", given=given)
            self.assertEqual(expected, self.payloads(len(expected)))

    def test_records_larger_than_a_read_are_whole(self):
        lines = [bytes([65 + n]) * (n * 150_000 + 1) for n in range(7)]
        path = self.bus.folder / "lines"
        path.write_bytes(b"\n".join(lines) + b"\n")
        self.bus.loom("pub", "t", "-l", "-q", "--file", path)
        self.assertEqual(lines, self.payloads(7))

    def test_a_record_over_the_limit_ends_it_and_is_named(self):
        done = self.bus.loom("pub", "t", "-l", "-q", given="fine\n" + "x" * ((1 << 20) + 1) + "\n", code=7)
        self.assertIn("record 2 is larger than a message may be", done.stderr)
        self.assertEqual([b"fine"], self.payloads(1))

    def test_count_bounds_the_lines(self):
        self.bus.loom("pub", "t", "-l", "-n", "2", "-q", given="1\n2\n3\n")
        self.assertEqual([b"1", b"2"], self.payloads(2))

    def test_what_makes_no_sense_is_a_wrong_command_line(self):
        for arguments, words in ((("x", "-n", "0"), "would publish nothing"), (("x", "-l"), "not from an argument"),
                                 (("x", "--rate", "0"), "--rate"), (("x", "--rate", "5/d"), "--rate"), (("x", "--sleep", "long"), "--sleep"),
                                 (("x", "--rate", "1", "--sleep", "1s"), "not both"), (("-D", ""), "--delimiter"), (("-D", "\\q"), "--delimiter"),
                                 (("-D", "\\x1"), "--delimiter"), (("-D", "x" * 17), "--delimiter"),
                                 (("{{cuont}}", "--template"), 'did you mean "count"'), (("{{count", "--template"), "closing braces"),
                                 (("{{random 5 1}}", "--template"), "the smaller one first"), (("{{random -1 1}}", "--template"), "whole numbers"),
                                 (('{{env "LOOM_NOWHERE"}}', "--template"), "no such environment variable"),
                                 (("{{uuid 4}}", "--template"), "nothing behind it")):
            done = self.bus.loom("pub", "t", *arguments, code=2)
            self.assertIn(words, done.stderr)

    def test_a_rate_is_kept(self):
        start = time.monotonic()
        self.bus.loom("pub", "t", "x", "-n", "11", "--rate", "50", "-q")
        self.assertGreaterEqual(time.monotonic() - start, 0.2)
        self.assertEqual(11, len(self.payloads(11)))

    def test_a_pause_stands_between_two_messages(self):
        start = time.monotonic()
        self.bus.loom("pub", "t", "x", "-n", "3", "--sleep", "50ms", "-q")
        self.assertGreaterEqual(time.monotonic() - start, 0.1)

    def test_braces_are_braces_unless_templates_are_asked_for(self):
        self.bus.loom("pub", "t", "{{count}}", "-n", "2", "-q")
        self.assertEqual([b"{{count}}"] * 2, self.payloads(2))

    def test_words_of_a_template_differ_from_message_to_message(self):
        text = '{{count}}|{{time}}|{{uuid}}|{{random 3 5}}|{{env "WHO"}}|{{"{{"}}'
        self.bus.loom("pub", "t", text, "-n", "40", "--template", "-q", "-H", "number=n{{count}}", environment={"WHO": "me {{count}}"})
        events = self.receiver.wait_events(40)
        rows = [event.payload.decode().split("|") for event in events]
        self.assertEqual([str(n) for n in range(1, 41)], [row[0] for row in rows])
        self.assertEqual([{"number": f"n{n}"} for n in range(1, 41)], [event.headers for event in events])
        self.assertTrue(all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", row[1]) for row in rows), rows[0])
        self.assertEqual(40, len({row[2] for row in rows}))
        self.assertEqual({"3", "4", "5"}, {row[3] for row in rows})
        self.assertEqual({("me {{count}}", "{{")}, {tuple(row[4:]) for row in rows})

    def test_lines_may_be_templates(self):
        self.bus.loom("pub", "t", "-l", "--template", "-q", given="a{{count}}\nb{{count}}\n")
        self.assertEqual([b"a1", b"b2"], self.payloads(2))

    def test_ctrl_c_tells_what_was_published_and_ends_with_130(self):
        for arguments, popen in ((("x", "-n", "1000000", "--sleep", "1h"), {}), (("-l",), {"stdin": subprocess.PIPE})):
            process = self.start(*arguments, **popen)
            if popen:
                process.popen.stdin.write(b"one\n")
                process.popen.stdin.flush()
            self.payloads(1)
            process.signal(signal.SIGINT)
            self.assertEqual(130, process.wait())
            self.assertEqual("1", TOTALS.fullmatch(process.err)[1], process.err)
            self.assertRegex(process.out, "^[0-9a-f]{32}\n$")

    def test_progress_is_shown_on_a_terminal_with_rate_and_what_is_left(self):
        ours, theirs = pty.openpty()
        process = self.start("x", "-n", "1000", "--rate", "100", "-q", stderr=theirs)
        os.close(theirs)
        seen = b""

        def shown():
            nonlocal seen
            seen += os.read(ours, 4096)
            return re.search(rb"\d+ of 1000 published, \d+ %, \d+/s, \S+ s left", seen)
        wait_until(shown, "progress")
        process.signal(signal.SIGINT)
        self.assertEqual(130, process.wait())
        os.close(ours)


if __name__ == "__main__":
    unittest.main()
