# SPDX-License-Identifier: Apache-2.0
"""Payloads on the spans of handlers: only where they are asked for, bounded, and masked."""

import unittest

from harness import LoomTest, wait_until


class Payloads(LoomTest):
    def handled(self, name="agent.on_event", **environment):
        """The attributes of one event's handler, and what it complained of."""
        home = self.home()
        receiver = home.subscriber("t.>", "--count", "1", environment=environment)
        home.loom("pub", "t.x", '{"password": "hunter2", "city": "Århus"}')
        self.assertEqual(0, receiver.wait())
        wait_until(lambda: any(span.name == name for span in home.spans()), "the handler's span")
        (span,) = [span for span in home.spans() if span.name == name]
        return span.attributes, receiver.err

    def test_a_payload_is_kept_where_it_is_asked_for_and_masked(self):
        attributes, _ = self.handled(LOOM_TRACE_PAYLOAD="4KiB", LOOM_TRACE_MASK="all")
        self.assertEqual('{"password": "[masked]", "city": "Århus"}', attributes["loom.payload"])
        self.assertNotIn("loom.payload.cut", attributes)

    def test_a_long_one_is_cut_between_characters(self):
        whole = '{"password": "hunter2", "city": "'
        attributes, _ = self.handled(LOOM_TRACE_PAYLOAD=str(len(whole) + 1), LOOM_TRACE_MASK="off")  # in the middle of an Å
        self.assertEqual(whole, attributes["loom.payload"])
        self.assertIs(True, attributes["loom.payload.cut"])

    def test_nobody_gets_one_without_asking_or_without_a_word_on_masks(self):
        attributes, _ = self.handled()
        self.assertNotIn("loom.payload", attributes)
        for value, mask, why in (("4KiB", "", "LOOM_TRACE_MASK"), ("17KiB", "all", "16KiB"), ("much", "all", "neither off nor a size")):
            attributes, told = self.handled(LOOM_TRACE_PAYLOAD=value, LOOM_TRACE_MASK=mask)
            self.assertNotIn("loom.payload", attributes)
            self.assertIn(why, told)

    def test_a_call_has_its_payload_too(self):
        home = self.home()
        home.run("loom", "provide", "--url", home.url, "--count", "1", "text.upper", "--", "tr", "a-z", "A-Z",
                 environment={"LOOM_TRACE_PAYLOAD": "64", "LOOM_TRACE_MASK": "all"})
        wait_until(lambda: "text.upper" in home.loom("caps", "--control", f"ipc://{home.control_path}").stdout, "the capability is there")
        home.loom("invoke", "text.upper", "hello")
        wait_until(lambda: any(span.name == "agent.on_action" for span in home.spans()), "the handler's span")
        (span,) = [span for span in home.spans() if span.name == "agent.on_action"]
        self.assertEqual("hello", span.attributes["loom.payload"])


if __name__ == "__main__":
    unittest.main()
