# SPDX-License-Identifier: Apache-2.0
"""The checks themselves, on hand-made spans: a good trace passes, and each way of being broken is named."""

import copy
import json
import unittest

import ladder
from spans import Link, Span, draw, parse, parse_lines

TRACE = "0af7651916cd43dd8448eb211c80319c"


def good_trace():
    expected = ladder.trace_test()
    spans = []
    for index, rung in enumerate(expected):
        event = f"event-{(index - 1) // 5}"
        attributes = {} if index == 0 else {
            "messaging.system": "loom", "agent_id": "a", "topic": "t", "event_id": event, "thread_id": event,
            "correlation_id": event}
        links = [] if rung.link_to is None else [Link(TRACE, f"{rung.link_to + 1:016x}")]
        spans.append(Span(TRACE, f"{index + 1:016x}", f"{index:016x}" if index else "", rung.name, rung.kind, rung.service,
                          start_ns=index, links=links, attributes=attributes, resource={"host.name": "h"}))
    return spans


class TheLadder(unittest.TestCase):
    def setUp(self):
        self.spans = good_trace()

    def refused(self, because, check=ladder.assert_ladder):
        with self.assertRaisesRegex(ladder.BrokenLadder, because):
            check(self.spans, ladder.trace_test())

    def test_two_hops_are_eleven_spans(self):
        self.assertEqual(11, len(ladder.trace_test()))

    def test_the_ladder_of_the_design_passes(self):
        climbed = ladder.assert_ladder(self.spans, ladder.trace_test())
        ladder.assert_searchable(climbed, ladder.trace_test())
        ladder.assert_nothing_odd(self.spans)

    def test_the_order_in_which_spans_arrive_does_not_matter(self):
        climbed = ladder.assert_ladder(list(reversed(self.spans)), ladder.trace_test())
        self.assertEqual(self.spans, climbed)

    def test_no_spans_are_no_ladder(self):
        self.spans = []
        self.refused("no spans")

    def test_a_span_whose_parent_is_missing_is_an_orphan(self):
        del self.spans[3]
        self.refused("orphans: bridge.forward")

    def test_a_second_root_is_refused(self):
        self.spans[6].parent_id = ""
        self.refused("2 roots")

    def test_spans_in_a_circle_are_refused(self):
        self.spans[0].parent_id = self.spans[-1].span_id
        self.refused("0 roots")

    def test_a_circle_beside_the_root_is_refused(self):
        self.spans[6].parent_id = self.spans[-1].span_id
        self.refused("6 spans instead of 11")

    def test_a_span_id_used_twice_is_refused(self):
        self.spans.append(copy.deepcopy(self.spans[-1]))
        self.refused("used twice: 000000000000000b")

    def test_a_span_of_another_trace_is_refused(self):
        self.spans[-1].trace_id = "1" * 32
        self.refused("more than one trace")

    def test_a_star_is_refused(self):
        self.spans[4].parent_id = self.spans[2].span_id
        self.refused("a star, not a ladder: bridge.publish has the children")

    def test_a_missing_last_hop_is_refused(self):
        self.spans.pop()
        self.refused("10 spans instead of 11")

    def test_a_span_too_many_is_refused(self):
        self.spans.append(Span(TRACE, "f" * 16, self.spans[-1].span_id, "extra", "INTERNAL", "agent-output"))
        self.refused("12 spans instead of 11")

    def test_a_wrong_name_is_refused(self):
        self.spans[2].name = "bridge.recv"
        self.refused("rung 3, bridge.publish: name is bridge.recv")

    def test_a_wrong_kind_is_refused(self):
        self.spans[5].kind = "SERVER"
        self.refused("rung 6, agent.on_event: kind is SERVER, not CONSUMER")

    def test_a_wrong_service_is_refused(self):
        self.spans[2].service = "loom-broker"
        self.refused("rung 3, bridge.publish: service is loom-broker, not loom-bridge")

    def test_a_delivery_without_its_link_is_refused(self):
        self.spans[5].links = []
        self.refused("agent.on_event of agent-processor: links are")

    def test_a_delivery_linked_to_another_span_is_refused(self):
        self.spans[10].links = [Link(TRACE, self.spans[1].span_id)]
        self.refused("agent.on_event of agent-output: links are")

    def test_a_delivery_linked_to_another_trace_is_refused(self):
        self.spans[5].links = [Link("1" * 32, self.spans[1].span_id)]
        self.refused("agent.on_event of agent-processor: links are")

    def test_a_second_link_is_refused(self):
        self.spans[5].links *= 2
        self.refused("agent.on_event of agent-processor: links are")

    def test_a_link_where_none_belongs_is_refused(self):
        self.spans[3].links = [Link(TRACE, self.spans[1].span_id)]
        self.refused("eventbus.publish of loom-broker: links are")

    def test_a_span_that_cannot_be_searched_for_is_refused(self):
        del self.spans[3].attributes["correlation_id"]
        self.refused("eventbus.publish of loom-broker lacks correlation_id", ladder.assert_searchable)

    def test_a_span_without_messaging_system_is_refused(self):
        del self.spans[3].attributes["messaging.system"]
        self.refused("lacks messaging.system", ladder.assert_searchable)

    def test_an_event_id_of_another_hop_is_refused(self):
        self.spans[3].attributes["event_id"] = "other"
        self.refused("event_id of another message", ladder.assert_searchable)

    def test_two_messages_of_one_event_id_are_refused(self):
        for span in self.spans[6:]:
            span.attributes["event_id"] = "event-0"
        self.refused("share one event_id", ladder.assert_searchable)

    def test_a_warning_of_jaeger_is_refused(self):
        self.spans[2].warnings = ["clock skew adjustment disabled"]
        self.refused("Jaeger warns about bridge.publish", lambda spans, _: ladder.assert_nothing_odd(spans))

    def test_a_resource_without_its_host_is_refused(self):
        self.spans[2].resource = {}
        self.refused("bridge.publish of loom-bridge has no host.name", lambda spans, _: ladder.assert_nothing_odd(spans))


class Reading(unittest.TestCase):
    def request(self, **changes):
        span = {"traceId": TRACE.upper(), "spanId": "00000000000000AB", "name": "n", "kind": 5, **changes}
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "s"}}]}
        return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}

    def test_ids_are_lower_case(self):
        self.assertEqual((TRACE, "00000000000000ab"), (parse(self.request())[0].trace_id, parse(self.request())[0].span_id))

    def test_a_kind_is_a_number_or_a_name(self):
        self.assertEqual("CONSUMER", parse(self.request())[0].kind)
        self.assertEqual("PRODUCER", parse(self.request(kind="SPAN_KIND_PRODUCER"))[0].kind)

    def test_every_type_of_attribute_is_read(self):
        values = {"s": {"stringValue": "x"}, "i": {"intValue": "-7"}, "b": {"boolValue": False}, "d": {"doubleValue": 0.5},
                  "a": {"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "y"}]}}, "none": {}}
        span = parse(self.request(attributes=[{"key": key, "value": value} for key, value in values.items()]))[0]
        self.assertEqual({"s": "x", "i": -7, "b": False, "d": 0.5, "a": [1, "y"], "none": None}, span.attributes)

    def test_warnings_of_jaeger_are_no_attribute(self):
        value = {"arrayValue": {"values": [{"stringValue": "w"}]}}
        span = parse(self.request(attributes=[{"key": "@jaeger@warnings", "value": value}]))[0]
        self.assertEqual((["w"], {}), (span.warnings, span.attributes))

    def test_a_file_holds_one_request_a_line(self):
        line = json.dumps(self.request())
        self.assertEqual(2, len(parse_lines(f"{line}\n\n{line}\n")))

    def test_a_drawing_shows_every_span_once(self):
        spans = good_trace()
        spans[0].parent_id = spans[-1].span_id  # a circle
        self.assertEqual(len(spans), len(draw(spans).splitlines()))

    def test_a_drawing_marks_orphans(self):
        self.assertIn("ORPHAN of 0000000000000001", draw(good_trace()[1:]))


if __name__ == "__main__":
    unittest.main()
