# SPDX-License-Identifier: Apache-2.0
"""loom pub and loom sub as their users know them."""

import base64
import json
import os
import re
import signal
import subprocess
import time
import unittest

import wire
from harness import BIN, in_both_homes, wait_until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"


@in_both_homes
class Publish:
    def setUp(self):
        self.bus = self.home()

    def received(self, *publish, given=None, **environment):
        """The one event of a publish, as `loom sub --json` tells it."""
        receiver = self.agent(self.bus, "receiver").subscribe(">")
        self.bus.loom("pub", *publish, given=given, environment=environment)
        return receiver.wait_events(1)[0]

    def test_it_prints_the_trace_id_and_nothing_else(self):
        trace_id = self.bus.loom("pub", "t", "x").stdout
        self.assertRegex(trace_id, r"^[0-9a-f]{32}\n$")
        self.assertIn(trace_id.strip(), {span.trace_id for span in self.bus.wait_spans(4)})

    def test_json_names_trace_event_and_topic(self):
        said = json.loads(self.bus.loom("pub", "t", "x", "--json").stdout)
        self.assertEqual(["trace_id", "event_id", "topic"], list(said))
        self.assertRegex(said["event_id"], f"^{UUID}$")

    def test_quiet_prints_nothing(self):
        done = self.bus.loom("pub", "t", "x", "--quiet")
        self.assertEqual(("", ""), (done.stdout, done.stderr))

    def test_count_publishes_that_many_messages_of_a_trace_each(self):
        receiver = self.agent(self.bus, "receiver").subscribe("t")
        printed = self.bus.loom("pub", "t", "x", "--count", "7").stdout.split()
        events = receiver.wait_events(7)
        self.assertEqual(7, len(set(printed)))
        self.assertEqual(printed, [event.context.trace_id for event in events])

    def test_every_option_arrives_in_the_envelope(self):
        event = self.received("t", "{}", "--type", "a.type", "--thread", "th", "--correlation", "co", "--reply-to", "re.ply",
                              "--content-type", "application/json", "-H", "a=b", "-H", "empty=", "--id", "me")
        self.assertEqual(("t", b"{}", "a.type", "th", "co", "re.ply", "application/json", {"a": "b", "empty": ""}, "me"),
                         (event.topic, event.payload, event.type, event.thread_id, event.correlation_id, event.reply_to,
                          event.content_type, event.headers, event.sender))

    def test_the_payload_may_come_from_standard_input(self):
        self.assertEqual(b"from a pipe\nand more\n", self.received("t", given="from a pipe\nand more\n").payload)

    def test_the_payload_may_come_from_a_file(self):
        path = self.bus.folder / "payload"
        path.write_bytes(bytes(range(256)))
        self.assertEqual(bytes(range(256)), self.received("t", "--file", path).payload)

    def test_an_empty_payload_is_a_payload(self):
        self.assertEqual(b"", self.received("t", "").payload)

    def test_the_largest_payload_is_taken(self):
        path = self.bus.folder / "payload"
        path.write_bytes(b"x" * (1 << 20))
        self.assertEqual(1 << 20, len(self.received("t", "--file", path).payload))

    def test_a_traceparent_of_the_environment_is_continued(self):
        event = self.received("t", "x", TRACEPARENT=f"00-{TRACE}-{SPAN}-01")
        self.assertEqual(TRACE, event.context.trace_id)
        root = next(span for span in self.bus.wait_spans(5) if span.name == "loom pub")
        self.assertEqual((TRACE, SPAN), (root.trace_id, root.parent_id))

    def test_a_traceparent_that_is_not_valid_is_said_and_ignored(self):
        done = self.bus.loom("pub", "t", "x", environment={"TRACEPARENT": "nonsense"})
        self.assertIn("nonsense", done.stderr)
        self.assertRegex(done.stdout, r"^[0-9a-f]{32}\n$")


@in_both_homes
class PublishRefused:
    def setUp(self):
        self.bus = self.home(spans=False)

    def refused(self, code, *arguments, given=None):
        done = self.bus.loom("pub", *arguments, code=code, given=given)
        self.assertEqual("", done.stdout)
        return done.stderr

    def test_topics_that_are_not_valid_are_a_wrong_command_line(self):
        for topic in ("", "a..b", "a.*", ">", "a b"):
            self.assertIn("invalid topic", self.refused(2, topic, "x"))

    def test_a_topic_of_the_brokers_has_no_trace(self):
        for more in ((), ("--count", "3"), ("--json",)):
            self.assertIn("the broker's own", self.refused(6, "system.x", "y", *more))
        self.assertIn("the broker's own", self.bus.loom("request", "system.x", "y", code=6).stderr)

    def test_a_topic_is_needed(self):
        self.assertIn("missing topic", self.refused(2))

    def test_a_payload_over_the_limit_is_an_error(self):
        self.assertIn("larger than a message may be", self.refused(7, "t", given="x" * ((1 << 20) + 1)))

    def test_a_file_that_is_not_there_is_an_error(self):
        self.assertIn("No such file", self.refused(1, "t", "--file", "/nowhere/payload"))

    def test_a_payload_and_a_file_at_once_are_a_wrong_command_line(self):
        self.refused(2, "t", "x", "--file", "y")

    def test_a_header_without_value_is_a_wrong_command_line(self):
        self.assertIn("KEY=VALUE", self.refused(2, "t", "x", "-H", "nothing"))

    def test_no_broker_is_an_error_that_says_what_to_do(self):
        url = f"ipc://{self.bus.folder}/nobody.sock"
        for verb in (("pub", "t", "x"), ("sub", "t")):
            start = time.monotonic()
            done = self.bus.loom(*verb, "--url", url, "--wait", "300ms", code=3)
            self.assertLess(time.monotonic() - start, 10)
            self.assertIn(f"no broker at {url}", done.stderr)
            self.assertIn("loom-broker", done.stderr)

    def test_a_url_that_makes_no_sense_is_a_wrong_command_line(self):
        for url in ("nonsense", "http://127.0.0.1:1", "tcp://127.0.0.1:99999"):
            self.refused(2, "t", "x", "--url", url)


@in_both_homes
class Subscribe:
    def setUp(self):
        self.bus = self.home(spans=False)

    def lines(self, *arguments, publish):
        """What `loom sub` printed of these publishes, when it had its count of events."""
        receiver = self.bus.run("loom", "sub", "--url", self.bus.url, *arguments)
        wait_until(lambda: self.bus.stats()["eventbus"]["subscriptions"] > 1, "mailbox and filter are subscribed")
        for command in publish:
            self.bus.loom("pub", *command, environment={"TRACEPARENT": f"00-{1:032x}-{1:016x}-00"})
        self.assertEqual(0, receiver.wait(), receiver.err)
        return receiver.out.splitlines()

    def test_json_tells_the_whole_event(self):
        event = json.loads(self.lines("t", "--json", "--count", "1", publish=[
            ("t", "payload", "--type", "a.type", "--thread", "th", "-H", "k=v", "--id", "me")])[0])
        self.assertEqual(("t", "a.type", "me", "th", {"k": "v"}, "payload"),
                         tuple(event[key] for key in ("topic", "type", "sender", "thread_id", "headers", "payload")))
        self.assertRegex(event["trace_id"], "^[0-9a-f]{32}$")

    def test_json_tells_bytes_that_are_no_text_in_base64(self):
        path = self.bus.folder / "payload"
        path.write_bytes(b"\xff\x00\xfe")
        event = json.loads(self.lines("t", "--json", "--count", "1", publish=[("t", "--file", path)])[0])
        self.assertEqual(b"\xff\x00\xfe", base64.b64decode(event["payload_base64"]))

    def test_raw_tells_the_payload_alone(self):
        self.assertEqual(["one", "two"], self.lines("t", "--raw", "--count", "2", publish=[("t", "one"), ("t", "two")]))

    def test_lines_name_topic_type_sender_and_trace(self):
        line = self.lines("t", "--count", "1", publish=[("t", "hello", "--type", "a.type", "--id", "me")])[0]
        self.assertTrue(re.fullmatch(r"t  a\.type  me  [0-9a-f]{32}  hello", line), line)

    def test_bytes_that_a_terminal_obeys_are_made_visible(self):
        line = self.lines("t", "--count", "1", publish=[("t", "\x1b[31mred\x07")])[0]
        self.assertNotIn("\x1b", line)
        self.assertNotIn("\x07", line)

    def test_type_selects(self):
        lines = self.lines("t", "--type", "a", "--type", "c", "--raw", "--count", "2",
                           publish=[("t", kind, "--type", kind) for kind in "abc"])
        self.assertEqual(["a", "c"], lines)

    def test_several_filters_are_several_subscriptions(self):
        self.assertEqual(["1", "2"], self.lines("a.*", "b", "--raw", "--count", "2",
                                                publish=[("a.x", "1"), ("c", "no"), ("b", "2")]))

    def test_too_few_events_in_time_are_an_error(self):
        done = self.bus.loom("sub", "t", "--count", "1", "--timeout", "200ms", code=4)
        self.assertIn("timed out waiting for events", done.stderr)

    def test_filters_that_are_not_valid_are_a_wrong_command_line(self):
        for bad in ("", "a..b", "a.>.b"):
            self.assertIn("invalid filter", self.bus.loom("sub", bad, code=2).stderr)

    def test_json_has_no_trace_id_for_an_event_without_context(self):
        receiver = self.bus.run("loom", "sub", "--url", self.bus.url, "t", "--json", "--count", "1")
        wait_until(lambda: self.bus.stats()["eventbus"]["subscriptions"] > 1, "mailbox and filter are subscribed")
        sender = self.agent(self.bus, "sender")
        sender.publish_raw([wire.envelope("t", b"x", "sender")])
        self.assertEqual(0, receiver.wait(), receiver.err)
        self.assertNotIn("trace_id", json.loads(receiver.out))

    def test_a_reader_that_has_gone_ends_it_though_nothing_comes(self):
        for arguments in (("t",), ("t", "--json"), ("t", "--raw")):
            read, write = os.pipe()
            process = subprocess.Popen([BIN / "loom", "sub", "--url", self.bus.url, *arguments], stdout=write,
                                       stderr=subprocess.DEVNULL)
            os.close(write)
            wait_until(lambda: self.bus.stats()["eventbus"]["subscriptions"] > 1, "mailbox and filter are subscribed")
            self.assertIsNone(process.poll())
            os.close(read)
            self.assertEqual(0, process.wait(5))
            wait_until(lambda: self.bus.stats()["eventbus"]["subscriptions"] == 0, "it is gone")

    def test_a_signal_ends_it_well(self):
        for number in (signal.SIGTERM, signal.SIGHUP):
            receiver = self.bus.subscriber("t")
            receiver.signal(number)
            self.assertEqual(0, receiver.wait())


if __name__ == "__main__":
    unittest.main()
