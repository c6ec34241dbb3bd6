# SPDX-License-Identifier: Apache-2.0
"""Spans over the link, by who means no good: floods, lies about whose they are, bytes that are none, gigantic ones. None of it
costs another agent a message or its time, or a span its export."""

import os

from fairness import Flooding
from hostile import MIB, Flood, in_both_homes, main, wait_until, wire
import otlp

EXPORTED = {"environment": {"OTEL_TRACES_EXPORTER": "loom"}, "spans": False,
            "broker": ("--telemetry-exporter", "otlp/file", "--telemetry-spans-file", "spans.jsonl")}


def spans_frame(spans, **resource):
    return wire.frame(wire.SPANS, len(spans), otlp.request(spans, **resource))


@in_both_homes
class SpanFloods(Flooding):
    WORK_MS = 20.0  # of the loops' work for others before an answer, in a debug build

    def sender(self, home, agent_id, scheme=None, service="service"):
        agent = self.agent(home, scheme=scheme)
        agent.hello(agent_id, service=service, service_instance="i-1")
        return agent

    def home_to_flood(self):
        return self.home(listen=("ipc", "tcp"), **EXPORTED)

    def flooder(self, home):
        return self.sender(home, "flood", "tcp")

    def test_a_flood_of_spans_delays_nobody(self):
        self.flooded(spans_frame([otlp.span() for _ in range(80)]) * 2000, self.WORK_MS)

    def test_a_flood_of_empty_frames_delays_nobody(self):
        self.flooded(wire.frame(wire.SPANS, 0, b"") * 200_000, self.WORK_MS)

    def test_a_flood_of_gigantic_frames_delays_nobody(self):
        self.flooded(spans_frame([otlp.span(attributes={"k": "v" * 900_000})]) * 40, self.WORK_MS)

    def test_a_flood_of_bytes_that_are_no_spans_delays_nobody(self):
        self.flooded(wire.frame(wire.SPANS, 1000, b"\x0a\x7f" * 4000) * 2000, self.WORK_MS)

    def test_a_flood_leaves_room_for_the_spans_of_others(self):
        home = self.home(**EXPORTED)
        flooder, honest = self.sender(home, "flood"), self.sender(home, "honest")
        flood = Flood(flooder.link).start(spans_frame([otlp.span("flood") for _ in range(80)]) * 3000)
        sent, used, credit = 0, 0, [honest.welcome["span_credit"]]

        def answered():
            credit.extend(values[0] for kind, *values in honest.others if kind == wire.SPAN_CREDIT)
            return any(kind == wire.SPAN_CREDIT and values[1] == sent for kind, *values in honest.others)

        def leave():
            answered()
            return credit[-1]

        while not flood.sent:
            request = otlp.request([otlp.span("honest")])
            used += len(request)
            honest.wait(lambda: leave() >= used, "leave to send")
            honest.others.clear()
            honest.send(wire.SPANS, 1, request)
            sent += 1
            honest.wait(answered, "an answer")
        stats = home.stats()
        home.stop()
        arrived = sum(span.name == "honest" for span in home.spans())
        self.right(arrived == sent and stats["eventbus"]["dropped"] is not None, f"{arrived} of {sent} spans of another agent were exported")

    def test_memory_stays_flat(self):
        self.unsanitized()
        home = self.home(**EXPORTED)
        grown = []
        for _ in range(3):
            flooder = self.sender(home, "flood")
            before = home.serving.resident_kib()
            frames = b"".join(spans_frame([otlp.span(attributes={"n": os.urandom(8).hex()}) for _ in range(40)], extra=os.urandom(8).hex())
                              for _ in range(1500))
            flood = Flood(flooder.link).start(frames)
            wait_until(lambda: flood.sent, "the flood is over")
            flooder.close()
            wait_until(lambda: home.stats()["agent_spans"]["senders"] <= 1, "the session is gone")
            grown.append(home.serving.resident_kib() - before)
        self.right(grown[-1] < 8 * MIB // 1024, f"resident memory grew by {grown} KiB in three floods")


del SpanFloods  # only in its homes

if __name__ == "__main__":
    main()
