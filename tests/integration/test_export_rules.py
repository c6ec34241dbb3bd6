# SPDX-License-Identifier: Apache-2.0
"""What an exporter does with whatever a collector answers: a table, each row over OTLP/HTTP (protobuf and JSON) and OTLP/gRPC.
In every row each span is accounted for (traced.py)."""

import os
import threading
import unittest
from dataclasses import dataclass, field

from collector import OK, Answer, Collector, date_in, needs_grpc
from traced import traced
from spans import parse_lines

needs_grpc()

PROTOCOLS = ("http/protobuf", "http/json", "grpc")
HTTP = PROTOCOLS[:2]
SPANS = 6


@dataclass
class Row:
    name: str
    answers: list                 # a list, or a function that makes one when the row begins
    counts: dict                  # of SPANS spans
    requests: list                # spans of each request
    protocols: tuple = PROTOCOLS
    arguments: tuple = ("--until-done", 30000)
    environment: dict = field(default_factory=dict)
    at_least_s: float = 0         # between the first two requests
    at_most_s: float = 20         # in all
    error: str = ""               # what is told of it


def exported(count, **others):
    return {"exported": count, **others}


GRPC_STATUSES = {"CANCELLED": 1, "UNKNOWN": 2, "INVALID_ARGUMENT": 3, "DEADLINE_EXCEEDED": 4, "NOT_FOUND": 5, "ALREADY_EXISTS": 6,
                 "PERMISSION_DENIED": 7, "RESOURCE_EXHAUSTED": 8, "FAILED_PRECONDITION": 9, "ABORTED": 10, "OUT_OF_RANGE": 11,
                 "UNIMPLEMENTED": 12, "INTERNAL": 13, "UNAVAILABLE": 14, "DATA_LOSS": 15, "UNAUTHENTICATED": 16}
# OTLP specification, "OTLP/gRPC Throttling" and "Failures": the table of retryable codes
GRPC_RETRYABLE = {"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"}
HTTP_RETRYABLE = {429, 502, 503, 504}  # "OTLP/HTTP Response", "Retryable Response Codes"
TOO_LARGE = Answer(http=413, grpc=8, message="received message larger than max (5000000 vs. 4194304)")
DUMB = ("--until-done", 100, "--shutdown", 300)

TABLE = [
    Row("accepts", [OK], exported(6), [6]),
    Row("accepts a part", [Answer(rejected=2)], exported(4, failed=2), [6], error="rejected 2 spans: no"),
    Row("accepts less than nothing", [Answer(rejected=1000)], exported(0, failed=6), [6]),
    Row("refuses", [Answer(http=400, grpc=3)], exported(0, failed=6), [6], error="answered"),
    Row("takes no more than two at once", [Answer(http=413, grpc=8, over=2, message=TOO_LARGE.message)], exported(6),
        [6, 3, 2, 2, 2]),
    Row("takes not one", [TOO_LARGE], exported(0, failed=6), [6, 3, 2, 1, 1, 1, 1, 1, 1]),
    Row("is exhausted, and says not until when", [Answer(grpc=8, message="quota exceeded")], exported(0, failed=6), [6],
        protocols=("grpc",)),
    Row("is exhausted for a second", [Answer(grpc=8, retry_s=1), OK], exported(6), [6, 6], protocols=("grpc",), at_least_s=1),
    Row("is throttled for 1.2 s", [Answer(grpc=14, retry_s=1.2), OK], exported(6), [6, 6], protocols=("grpc",), at_least_s=1.2),
    Row("is throttled for a second", [Answer(http=429, headers={"Retry-After": "1"}), OK], exported(6), [6, 6], protocols=HTTP,
        at_least_s=1),
    Row("is throttled until a date", lambda: [Answer(http=429, headers={"Retry-After": date_in(3)}), OK], exported(6), [6, 6],
        protocols=HTTP, at_least_s=1.2),
    Row("is throttled until a date that has passed", lambda: [Answer(http=503, headers={"Retry-After": date_in(-900)}), OK],
        exported(6), [6, 6], protocols=HTTP, at_least_s=0.25),
    Row("is throttled for longer than a batch may take", [Answer(http=503, headers={"Retry-After": "3600"}, grpc=14, retry_s=3600)],
        exported(0, failed=6), [6], environment={"OTEL_BSP_EXPORT_TIMEOUT": 2000}, at_most_s=2),
    Row("is throttled for a century", [Answer(http=429, headers={"Retry-After": "3155760000"}, grpc=14, retry_s=3155760000)],
        exported(0, failed=6), [6], environment={"OTEL_BSP_EXPORT_TIMEOUT": 2000}, at_most_s=2),
    Row("says nonsense of when", [Answer(http=429, headers={"Retry-After": "-5 o'clock"}, grpc=14), OK], exported(6), [6, 6],
        at_least_s=0.25),
    Row("is busy twice", [Answer(http=503, grpc=14), Answer(http=503, grpc=14), OK], exported(6), [6, 6, 6], at_least_s=0.25),
    Row("closes without an answer", [Answer(how="close"), OK], exported(6), [6, 6], at_least_s=0.25),
    Row("closes in the middle of the status", [Answer(how="half"), OK], exported(6), [6, 6], at_least_s=0.25),
    Row("closes after the status 200", [Answer(how="head"), OK], exported(6), [6], protocols=HTTP),
    Row("closes after the status 503", [Answer(http=503, how="head"), OK], exported(6), [6, 6], protocols=HTTP),
    Row("closes before the trailers", [Answer(how="head"), OK], exported(6), [6, 6], protocols=("grpc",)),
    Row("never ends its answer", [Answer(how="endless")], exported(6), [6], protocols=HTTP),
    Row("is slow", [Answer(how="slow")], exported(6), [6]),
    Row("is too slow at first", [Answer(how="never"), OK], exported(6), [6, 6], environment={"OTEL_EXPORTER_OTLP_TIMEOUT": 300},
        at_least_s=0.3, error="no answer in time"),
    Row("never answers, and nobody is in a hurry", [Answer(how="never")], exported(0, failed=6), [6],
        environment={"OTEL_BSP_EXPORT_TIMEOUT": 700, "OTEL_EXPORTER_OTLP_TIMEOUT": 500}, at_most_s=5),
    Row("never answers, and the program ends", [Answer(how="never")], exported(0, shutdown=6), [6], arguments=DUMB, at_most_s=5),
    Row("is busy, and the program ends", [Answer(http=503, grpc=14, headers={"Retry-After": "20"}, retry_s=20)],
        exported(0, shutdown=6), [6, 6], arguments=DUMB, at_most_s=5),
    Row("was busy, and the program ends", [Answer(http=503, grpc=14, headers={"Retry-After": "20"}, retry_s=20), OK], exported(6),
        [6, 6], arguments=("--until-done", 500, "--shutdown", 20000), at_most_s=10),
]


class ExportRules(unittest.TestCase):
    maxDiff = None

    def check(self, row, protocol):
        answers = row.answers() if callable(row.answers) else row.answers
        with Collector(answers) as collector:
            outcome = traced({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
                              "OTEL_BSP_SCHEDULE_DELAY": 60000, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": SPANS,
                              **row.environment},
                             "--spans", SPANS, *row.arguments)
            told = f"{outcome.err}\n{collector.spans}"
            self.assertEqual({"exported": 0, "full": 0, "failed": 0, "shutdown": 0, **row.counts},
                             {part: outcome.counts[part] for part in ("exported", "full", "failed", "shutdown")}, told)
            self.assertEqual(row.requests, collector.spans, told)
            times = [request.time for request in collector.requests]
            if row.at_least_s:
                self.assertGreaterEqual(times[1] - times[0], row.at_least_s * 0.99, told)
            self.assertLess(outcome.elapsed_s, row.at_most_s, told)
            self.assertIn(row.error, "\n".join(outcome.errors))
            self.assertIn(collector.url if row.error else "", "\n".join(outcome.errors))  # whose fault it was

    def test_the_table(self):
        for row in TABLE:
            for protocol in row.protocols:
                with self.subTest(f"the receiver {row.name}", protocol=protocol):
                    self.check(row, protocol)

    def test_which_http_statuses_are_tried_again(self):
        for status in (201, 204, 301, 307, 400, 401, 403, 404, 405, 408, 413, 415, 429, 431, 500, 501, 502, 503, 504, 505, 511):
            again = status in HTTP_RETRYABLE
            with self.subTest(status), Collector([Answer(http=status), OK]) as collector:
                outcome = traced({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
                                 "--spans", 1, "--flush", 10000)
                self.assertEqual(2 if again else 1, len(collector.requests))
                self.assertEqual(1 if again or status < 300 else 0, outcome.counts["exported"])

    def test_which_grpc_statuses_are_tried_again(self):
        for name, status in GRPC_STATUSES.items():
            for retry_s in (0, 0.01):
                again = name in GRPC_RETRYABLE or (name == "RESOURCE_EXHAUSTED" and retry_s > 0)
                with self.subTest(name, retry_info=retry_s), Collector([Answer(grpc=status, retry_s=retry_s), OK]) as collector:
                    outcome = traced({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}, "--spans", 1, "--flush", 10000)
                    self.assertEqual(2 if again else 1, len(collector.requests))
                    self.assertEqual(1 if again else 0, outcome.counts["exported"])

    def test_a_receiver_gets_the_time_it_asks_for_from_later_batches_too(self):
        answers = [Answer(http=429, headers={"Retry-After": "2"}, grpc=14, retry_s=2), OK]
        for protocol in PROTOCOLS:
            with self.subTest(protocol), Collector(answers) as collector:
                outcome = traced({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
                                  "OTEL_BSP_EXPORT_TIMEOUT": 500, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": 4}, "--spans", 8,
                                 "--until-done", 20000)
                self.assertEqual((4, 4), (outcome.counts["failed"], outcome.counts["exported"]))
                self.assertGreaterEqual(collector.requests[1].time - collector.requests[0].time, 1.95)

    def test_nobody_listens_at_first(self):
        for protocol in PROTOCOLS:
            with self.subTest(protocol):
                outcome = traced({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
                                  "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": 3, "OTEL_BSP_EXPORT_TIMEOUT": 1500},
                                 "--spans", 3, "--until-done", 9000)
                self.assertEqual(3, outcome.counts["failed"])
                self.assertGreater(outcome.elapsed_s, 0.25)  # it was tried again
                self.assertTrue(outcome.errors)

    def test_signals_and_a_forked_child_change_nothing(self):
        for protocol in PROTOCOLS:
            for disturbance in ("--alarms", "--fork"):  # one at a time: a signal makes fork() begin again
                with self.subTest(disturbance, protocol=protocol), \
                        Collector([Answer(how="slow"), Answer(http=503, grpc=14), OK]) as collector:
                    outcome = traced({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
                                      "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": 10}, "--spans", 30, disturbance, "--until-done", 20000)
                    self.assertEqual(30, outcome.counts["exported"])
                    self.assertEqual([10, 10, 10, 10], collector.spans)  # one twice, and none of the child's

    def test_a_standard_output_that_nobody_reads_hangs_nothing(self):
        for blocking in (True, False):
            with self.subTest(blocking=blocking):
                reader, writer = os.pipe()
                self.addCleanup(os.close, reader)
                os.set_blocking(writer, blocking)
                outcome = traced({"OTEL_TRACES_EXPORTER": "otlp/stdout"}, "--spans", 10, "--value", "v" * 100000, "--attributes", 1,
                                 "--shutdown", 500, stdout=writer)
                os.close(writer)
                self.assertEqual(10, outcome.counts["shutdown"])
                self.assertLess(outcome.elapsed_s, 10)

    def test_a_non_blocking_standard_output_takes_everything_in_time(self):
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        text = []
        with os.fdopen(reader) as lines:
            thread = threading.Thread(target=lambda: text.append(lines.read()))
            thread.start()
            outcome = traced({"OTEL_TRACES_EXPORTER": "otlp/stdout"}, "--spans", 10, "--value", "v" * 100000, "--attributes", 1,
                             "--flush", 20000, stdout=writer)
            os.close(writer)
            thread.join()
        self.assertEqual(10, outcome.counts["exported"])
        self.assertEqual(10, len(parse_lines(text[0])))

    def test_a_standard_output_that_is_closed_ends_no_program(self):
        reader, writer = os.pipe()
        os.close(reader)
        outcome = traced({"OTEL_TRACES_EXPORTER": "otlp/stdout"}, "--spans", 3, "--flush", 9000, stdout=writer)
        os.close(writer)
        self.assertEqual(3, outcome.counts["failed"])
        self.assertIn("Broken pipe", outcome.errors[0])

    def test_large_spans_leave_in_batches_of_two_mebibytes(self):
        for protocol in ("http/protobuf", "grpc"):
            with self.subTest(protocol), Collector() as collector:
                outcome = traced({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol},
                                 "--spans", 60, "--attributes", 2, "--value", "v" * 100000, "--flush", 20000)
                self.assertEqual(60, outcome.counts["exported"])
                self.assertEqual(60, sum(collector.spans))
                self.assertGreater(len(collector.requests), 4)
                self.assertLess(max(len(request.body) for request in collector.requests), 3 << 20)

    def test_one_export_is_under_way_at_a_time(self):
        with Collector([Answer(how="slow")]) as collector:
            traced({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": 2}, "--spans", 8, "--flush", 20000)
            times = [request.time for request in collector.requests]
            self.assertEqual([2, 2, 2, 2], collector.spans)
            self.assertTrue(all(later - earlier > 0.2 for earlier, later in zip(times, times[1:])), times)


if __name__ == "__main__":
    unittest.main()
