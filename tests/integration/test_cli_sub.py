#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""loom sub: times, headers, formats, files, reports, and what it says of the broker and at its end."""

import json
import os
import pty
import re
import signal
import unittest

from harness import LoomTest, wait_until

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Subscribed(LoomTest):
    def setUp(self):
        self.bus = self.home(spans=False)

    def printed(self, *arguments, publish, count=None):
        """What `loom sub` printed of these publishes."""
        process = self.bus.run("loom", "sub", "--url", self.bus.url, "t.>", "--count", count or len(publish), *arguments)
        wait_until(lambda: self.bus.stats()["eventbus"]["subscriptions"] > 1 or not process.running(), "it is subscribed")
        for command in publish:
            self.bus.loom("pub", *command, environment={"TRACEPARENT": f"00-{TRACE}-{SPAN}-00"})
        self.assertEqual(0, process.wait(), process.err)
        return process.out_path.read_bytes().decode()


class Output(Subscribed):
    def test_verbose_prints_headers_a_line_each(self):
        out = self.printed("-v", publish=[("t.a", "x", "-H", "unit=m", "-H", "to=you", "--reply-to", "re.ply", "--id", "me")])
        self.assertEqual(["  unit: m", "  to: you", "  reply_to: re.ply"], out.splitlines()[1:])

    def test_times_are_absolute_relative_or_since_the_event_before(self):
        two = [("t.a", "1"), ("t.a", "2")]
        for option in ("--timestamps", "-Tabsolute", "--timestamps=absolute"):
            self.assertRegex(self.printed(option, publish=two[:1]), r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}  t\.a  ")
        for kind in ("relative", "delta"):
            first, second = (float(line.split()[0]) for line in self.printed(f"--timestamps={kind}", publish=two).splitlines())
            self.assertLess(0, first)
            self.assertLess(first if kind == "relative" else 0, second)

    def test_a_format_prints_what_it_names_and_nothing_else(self):
        path = self.bus.folder / "payload"
        path.write_bytes(b"a\xff\n")
        message = ("t.a", "--file", path, "--type", "ty", "--id", "me", "--thread", "th", "--correlation", "co", "--reply-to", "re",
                   "--content-type", "text/x", "-H", "a=1", "-H", "b=2")
        for text, expected in (("%t|%y|%s|%d|%c|%r|%C", "t.a|ty|me|th|co|re|text/x\n"), ("%x %b %l %n%%", "61ff0a Yf8K 3 1%\n"),
                               ("%h %{b}%{c}", "a=1,b=2 2\n"), ("%T", TRACE + "\n"), ("%t\\t\\x41\\\\\\n", "t.a\tA\\\n"), ("%t\\0", "t.a\0"),
                               ("%t\\c", "t.a"), ("", "\n")):
            self.assertEqual(expected, self.printed("--format", text, publish=[message]), text)
        self.assertRegex(self.printed("-F", "%I %U %i", publish=[message]),
                         r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \d{10}\.\d{9} [0-9a-f-]{36}\n$")
        self.assertEqual("me", json.loads(self.printed("-F", "%J", publish=[message]))["sender"])
        process = self.bus.run("loom", "sub", "--url", self.bus.url, "t.a", "--count", "1", "--format", "%p\\c")
        wait_until(lambda: self.bus.stats()["eventbus"]["subscriptions"] > 1, "it is subscribed")
        self.bus.loom("pub", *message)
        process.wait()
        self.assertEqual(b"a\xff\n", process.out_path.read_bytes())

    def test_formats_that_make_no_sense_are_a_wrong_command_line(self):
        for arguments, words in ((("-F", "%q"), "stands for nothing"), (("-F", "%"), "stands for nothing"), (("-F", "\\q"), "no escape"),
                                 (("-F", "%{x"), "%{NAME}"), (("-F", "%{}"), "%{NAME}"), (("-F", "x", "--json"), "use one of"),
                                 (("--timestamps=now",), "--timestamps"), (("--report", "--json"), "prints no events"),
                                 (("--report", "--interval", "1ms"), "--interval")):
            self.assertIn(words, self.bus.loom("sub", "t", *arguments, code=2).stderr)

    def test_numbers_of_64_bits_are_text_in_json(self):
        event = json.loads(self.printed("--json", publish=[("t.a", "x")]))
        self.assertRegex(event["timestamp_unix_ns"], r"^\d{19}$")

    def test_payloads_are_dumped_to_files_that_were_not_there(self):
        folder = self.bus.folder / "dumped"
        self.printed("--dump", folder, publish=[("t.a", "one"), ("t./etc/x", "two"), ("t.a", "")])
        self.assertEqual({"000001-t.a": b"one", "000002-t._etc_x": b"two", "000003-t.a": b""},
                         {path.name: path.read_bytes() for path in folder.iterdir()})
        process = self.bus.run("loom", "sub", "--url", self.bus.url, "t.>", "--dump", folder)
        wait_until(lambda: "subscribed" in process.err, "it is subscribed")
        self.bus.loom("pub", "t.a", "three")
        self.assertEqual(1, process.wait())
        self.assertIn("cannot write 000001-t.a: File exists", process.err)
        self.assertEqual(b"one", (folder / "000001-t.a").read_bytes())


    def test_that_it_is_subscribed_is_told_in_every_style_on_standard_error_alone(self):
        for style in ((), ("--json",), ("--raw",), ("-F", "%p"), ("--dump", self.bus.folder / "d"), ("--report",), ("-v",), ("-T",)):
            receiver = self.bus.subscriber("t.>", *style)
            self.assertEqual(0, receiver.stop(), style)
            self.assertNotIn("subscribed", receiver.out)
            self.assertEqual("subscribed\n", receiver.err[:11], style)
        quiet = self.bus.run("loom", "sub", "--url", self.bus.url, "t.>", "-q")
        wait_until(lambda: self.bus.stats()["eventbus"]["subscriptions"] > 1, "it is subscribed")
        self.assertEqual((0, "", ""), (quiet.stop(), quiet.out, quiet.err))


class Ends(Subscribed):
    def test_ctrl_c_tells_how_much_has_come(self):
        receiver = self.bus.subscriber("t.>")
        self.bus.loom("pub", "t.a", "four")
        wait_until(lambda: "four" in receiver.out, "the event is there")
        receiver.signal(signal.SIGINT)
        self.assertEqual(0, receiver.wait())
        self.assertRegex(receiver.err, r"received 1 message, 4 B, in \S+ \S+ \(\d+/s\)\n")

    def test_ctrl_c_before_all_has_come_is_an_interruption(self):
        receiver = self.bus.subscriber("t.>", "--count", "2")
        receiver.signal(signal.SIGINT)
        self.assertEqual(130, receiver.wait())

    def test_it_says_that_the_broker_went_and_came_back_and_goes_on(self):
        receiver = self.bus.subscriber("t.>", "--count", "1")
        self.bus.kill(self.bus.broker)
        wait_until(lambda: "lost the connection to" in receiver.err, "it says that the broker has gone")
        self.bus.start_broker()
        wait_until(lambda: "again after" in receiver.err, "it says that the broker is back")
        self.assertIn("what was published meanwhile was not received", receiver.err)
        wait_until(lambda: self.bus.loom("pub", "t.a", "x") and not receiver.running(), "events come again")
        self.assertEqual(0, receiver.wait())

    def test_a_newer_session_of_its_id_ends_it_as_failed(self):
        receiver = self.bus.subscriber("t.>", "--id", "same")
        newer = self.bus.subscriber("t.>", "--id", "same")
        self.assertEqual(1, receiver.wait())
        self.assertIn("took its place", receiver.err)
        self.assertEqual(0, newer.stop())


class Report(Subscribed):
    def test_rates_by_topic_come_again_and_again_with_the_fastest_first(self):
        receiver = self.bus.subscriber("t.>", "--report", "--interval", "50ms")
        self.bus.loom("pub", "t.seldom", "xx", "-q")
        self.bus.loom("pub", "t.often", "x" * 1024, "-n", "30", "-q")
        wait_until(lambda: re.search(r"^t\.often .* 30 +30\.0 KiB$", receiver.out, re.MULTILINE), "the report of the second")
        self.assertRegex(receiver.out, r"(?m)^TOPIC +EVENTS/S +BYTES/S +EVENTS +BYTES$")
        self.assertRegex(receiver.out, r"(?m)^t\.seldom .* 1 +2 B$")
        self.assertRegex(receiver.out, r"(?m)^TOTAL .* 31 +30\.0 KiB$")
        pages = receiver.out.count("TOTAL")
        wait_until(lambda: receiver.out.count("TOTAL") > pages + 1, "more pages")
        receiver.signal(signal.SIGINT)
        self.assertEqual(0, receiver.wait())
        self.assertNotIn("\033", receiver.out)

    def test_on_a_terminal_the_page_is_drawn_in_place(self):
        ours, theirs = pty.openpty()
        receiver = self.bus.run("loom", "sub", "--url", self.bus.url, "t.>", "--report", "--interval", "50ms", stdout=theirs)
        os.close(theirs)
        seen = b""

        def drawn():
            nonlocal seen
            seen += os.read(ours, 4096)
            return seen.count(b"\033[H") > 2
        wait_until(drawn, "pages")
        receiver.signal(signal.SIGTERM)
        self.assertEqual(0, receiver.wait())
        os.close(ours)

    def test_a_report_ends_when_its_reader_has_gone(self):
        read, write = os.pipe()
        receiver = self.bus.run("loom", "sub", "--url", self.bus.url, "t.>", "--report", "--interval", "1h", stdout=write)
        os.close(write)
        wait_until(lambda: "subscribed" in receiver.err, "it is subscribed")
        os.close(read)
        self.assertEqual(0, receiver.wait(5))


if __name__ == "__main__":
    unittest.main()
