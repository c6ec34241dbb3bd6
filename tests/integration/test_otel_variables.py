# SPDX-License-Identifier: Apache-2.0
"""Every variable of the table in docs/OPENTELEMETRY.md, tried: each row has a test here that sees its effect, and each test a
row. What is wrong with variables is told alike by everything that traces."""

import json
import pathlib
import re
import tempfile
import unittest

from collector import OK, Answer, Collector, make_certificate, needs_grpc
from harness import IN_BROKER, OWN_PROCESS, Home, Process, wait_until
from traced import PROGRAM, traced

needs_grpc()

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "OPENTELEMETRY.md"
STDOUT = {"OTEL_TRACES_EXPORTER": "otlp/stdout"}
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRIES = {}


def documented():
    table = DOCUMENT.read_text().split("## Variables")[1].split("\n## ")[0]
    return re.findall(r"^\| `([A-Z_]+)` \|", table, re.MULTILINE)


def tries(*names):
    """Marks what tries these variables; it is called with each name."""
    def mark(function):
        for name in names:
            TRIES.setdefault(name, []).append(function)
        return function
    return mark


def both(name):
    """Both forms of a variable of the exporter."""
    return f"OTEL_EXPORTER_OTLP_{name}", f"OTEL_EXPORTER_OTLP_TRACES_{name}"


def first_span(outcome):
    """As it stands in the JSON."""
    return json.loads(outcome.out)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]


def sent_to(collector, protocol="http/protobuf", **environment):
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol, **environment}


# ---- the SDK ----

@tries("OTEL_SDK_DISABLED")
def disabled(test, name):
    outcome = traced({**STDOUT, name: "True"}, "--parent", PARENT)
    test.assertEqual(("", PARENT, 0), (outcome.out, outcome.context, outcome.counts["ended"]))
    test.assertEqual("none", traced({**STDOUT, name: "true"}).context)
    test.assertEqual(1, len(traced({**STDOUT, name: "1"}).spans))  # only "true" is true
    test.assertEqual(1, len(traced({**STDOUT, name: ""}).spans))


@tries("TRACING_ENABLED")
def enabled(test, name):
    test.assertEqual([], traced({**STDOUT, name: "false"}).spans)
    test.assertEqual(1, len(traced({**STDOUT, name: "true"}).spans))
    test.assertEqual(1, len(traced({**STDOUT, name: "false", "OTEL_SDK_DISABLED": "false"}).spans))


@tries("OTEL_SERVICE_NAME", "TRACING_SERVICE_NAME")
def service_name(test, name):
    test.assertEqual("traced", traced(STDOUT).spans[0].service)
    test.assertEqual("mine", traced({**STDOUT, name: "mine"}).spans[0].service)
    among = traced({**STDOUT, name: "mine", "OTEL_RESOURCE_ATTRIBUTES": "service.name=of the resource"}).spans[0].service
    test.assertEqual("mine" if name.startswith("OTEL_") else "of the resource", among)


@tries("OTEL_RESOURCE_ATTRIBUTES")
def resource_attributes(test, name):
    outcome = traced({**STDOUT, name: "a=1, b =caf%C3%A9,broken"})
    test.assertEqual(("1", "café"), (outcome.spans[0].resource["a"], outcome.spans[0].resource["b"]))
    test.assertIn('"broken"', outcome.told[0])


@tries("OTEL_LOG_LEVEL")
def log_level(test, name):
    with Collector([Answer(http=503), OK]) as collector:  # a bad variable, and an export that is tried again
        for level, told, errors in (("INFO", 1, 1), ("error", 0, 0), ("none", 0, 0)):
            collector.requests.clear()
            outcome = traced(sent_to(collector, **{name: level, "OTEL_BSP_MAX_QUEUE_SIZE": "many"}), "--flush", 20000)
            test.assertEqual((told, errors), (len(outcome.told), len(outcome.errors)), outcome.err)
    with Collector([Answer(http=400)]) as collector:  # a loss
        for level, errors in (("warn", 1), ("error", 1), ("NONE", 0)):
            test.assertEqual(errors, len(traced(sent_to(collector, **{name: level}), "--flush", 20000).errors))


@tries("OTEL_PROPAGATORS")
def propagators(test, name):
    test.assertEqual([], traced({**STDOUT, name: "B3,tracecontext, baggage ,b3multi"}).told)
    told = traced({**STDOUT, name: "xray,b4"}).told
    test.assertIn('"xray" is not supported', told[0])
    test.assertIn('"b4" is no propagator', told[1])


@tries("OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG")
def sampler(test, name):
    def kept(sampler, argument="", *arguments):
        return traced({**STDOUT, "OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": argument}, *arguments).counts["ended"]
    test.assertEqual([1, 0, 1, 1], [kept("always_on"), kept("Always_Off"), kept("nonsense"), kept("")])
    test.assertEqual([0, 1, 1], [kept("traceidratio", argument) for argument in ("0", "1", "half")])
    test.assertEqual([0, 1], [kept("rate_limited", argument) for argument in ("0", "5")])
    test.assertEqual([1, 1], [kept(sampler, "0", "--parent", PARENT) for sampler in ("parentbased_always_off",
                                                                                     "parentbased_traceidratio")])


@tries("TRACING_SAMPLE_RATE")
def sample_rate(test, name):
    test.assertEqual(0, traced({**STDOUT, name: "0.0"}).counts["ended"])
    test.assertEqual(1, traced({**STDOUT, name: "0.0"}, "--parent", PARENT).counts["ended"])
    test.assertEqual(1, traced({**STDOUT, name: "0.0", "OTEL_TRACES_SAMPLER": "always_on"}).counts["ended"])
    outcome = traced({**STDOUT, name: "0.0", "OTEL_TRACES_SAMPLER": "no such sampler"})  # told, and as if it were unset
    test.assertEqual(0, outcome.counts["ended"])
    test.assertIn(f'"no such sampler" is no sampler; using {name}', outcome.told[0])
    test.assertIn(name, traced({**STDOUT, name: "2"}).told[0])


# ---- exporters and batches ----

@tries("OTEL_TRACES_EXPORTER")
def exporters(test, name):
    with Collector() as collector, tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "spans.jsonl"
        environment = sent_to(collector, LOOM_SPANS_FILE=str(file))
        outcome = traced({**environment, name: "otlp,OTLP/Stdout, console ,otlp/file"})
        test.assertEqual([1], collector.spans)
        test.assertEqual(1, len(outcome.spans))
        test.assertIn(" work INTERNAL ", outcome.err)
        test.assertEqual(1, len(file.read_text().splitlines()))
        for list_of, out, console in (("console", 0, 1), ("otlp/stdout,console", 1, 1), ("otlp/stdout", 1, 0), ("none", 0, 0),
                                      ("zipkin,console", 0, 1)):
            outcome = traced({name: list_of})
            test.assertEqual((out, console), (len(outcome.spans), outcome.err.count(" work INTERNAL ")), outcome.err)
        test.assertEqual([1], collector.spans)
        test.assertEqual(1, traced({**environment, name: "jaeger"}).counts["exported"])  # told, and otlp
        test.assertEqual([1, 1], collector.spans)
        for list_of, printed in (("loom/stderr", 0), ("console,loom/stderr", 1)):
            outcome = traced({name: list_of})
            test.assertEqual((1, printed), (outcome.err.count('__LOOM_TRACE__:{"trace_id":'), outcome.err.count(" work INTERNAL ")))
        traced({name: "otlp/file"}, folder=folder)
        test.assertEqual(1, len((pathlib.Path(folder) / "loom-spans.jsonl").read_text().splitlines()))


@tries("OTEL_BSP_SCHEDULE_DELAY")
def schedule_delay(test, name):
    for delay, exported in (("0", 1), ("50", 1), ("60000", 0), ("soon", 0)):
        with Collector() as collector:
            outcome = traced(sent_to(collector, **{name: delay}), "--until-done", 10000 if exported else 300, "--shutdown", 3000)
            test.assertEqual([1], collector.spans)  # the shutdown does not wait for it
            test.assertEqual(bool(exported), outcome.exported_in_time, outcome.err)


@tries("OTEL_BSP_EXPORT_TIMEOUT")
def export_timeout(test, name):
    with Collector([Answer(http=503)]) as collector:
        outcome = traced(sent_to(collector, **{name: 900, "OTEL_BSP_SCHEDULE_DELAY": 0}), "--until-done", 20000)
        test.assertEqual(1, outcome.counts["failed"])
        test.assertLess(outcome.elapsed_s, 10)
        test.assertIn(len(collector.requests), (2, 3))
    with Collector([Answer(http=503), OK]) as collector:
        test.assertEqual(1, traced(sent_to(collector, **{name: 0}), "--flush", 20000).counts["exported"])


@tries("OTEL_BSP_MAX_QUEUE_SIZE")
def queue_size(test, name):
    with Collector([Answer(how="never")]) as collector:
        outcome = traced(sent_to(collector, **{name: 10}), "--spans", 100, "--shutdown", 300)
        test.assertEqual(100, outcome.counts["ended"])
        test.assertGreaterEqual(outcome.counts["full"], 80)
        test.assertEqual(0, traced(sent_to(collector), "--spans", 100, "--shutdown", 300).counts["full"])


@tries("OTEL_BSP_MAX_EXPORT_BATCH_SIZE")
def batch_size(test, name):
    with Collector() as collector:
        traced(sent_to(collector, **{name: 3}), "--spans", 8, "--flush", 20000)
        test.assertEqual([3, 3, 2], collector.spans)


# ---- limits ----

def limited(environment, *arguments):
    return first_span(traced({**STDOUT, **environment}, "--attributes", 4, "--events", 3, "--links", 3, *arguments))


def kept_attributes(span):
    """Attributes kept and dropped: of the span, its first event, its first link."""
    return [(len(part.get("attributes", [])), part.get("droppedAttributesCount", 0))
            for part in (span, span["events"][0], span["links"][0])]


@tries("OTEL_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
       "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT")
def attribute_count(test, name):
    which = {"OTEL_A": (0, 1, 2), "OTEL_S": (0,), "OTEL_E": (1,), "OTEL_L": (2,)}[name[:6]]
    test.assertEqual([(4, 0)] * 3, kept_attributes(limited({})))
    for limit in (0, 1, 3, 4, 100):
        expected = [(min(limit, 4), max(4 - limit, 0)) if part in which else (4, 0) for part in range(3)]
        test.assertEqual(expected, kept_attributes(limited({name: limit})))
    test.assertEqual([(128, 72)] * 3, kept_attributes(limited({}, "--attributes", 200)))
    if len(which) == 1:
        general = kept_attributes(limited({name: 3, "OTEL_ATTRIBUTE_COUNT_LIMIT": 2}))
        test.assertEqual([(3, 1) if part in which else (2, 2) for part in range(3)], general)


@tries("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT")
def value_length(test, name):
    long = "äöü€ " * 100
    for limit, expected in ((3, "äöü"), (4, "äöü€"), (0, ""), ("", long)):
        span = limited({name: limit}, "--value", long)
        for part in (span, span["events"][0], span["links"][0]):
            test.assertEqual([expected] * 4, [pair["value"]["stringValue"] for pair in part["attributes"]])
    span = limited({"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": 2, "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": 3}, "--value", long)
    test.assertEqual("äöü", span["attributes"][0]["value"]["stringValue"])


@tries("OTEL_SPAN_EVENT_COUNT_LIMIT", "OTEL_SPAN_LINK_COUNT_LIMIT")
def count(test, name):
    part, dropped = ("events", "droppedEventsCount") if "EVENT" in name else ("links", "droppedLinksCount")
    for limit, kept in ((0, 0), (2, 2), (3, 3), ("", 3), ("few", 3)):
        span = limited({name: limit})
        test.assertEqual((kept, 3 - kept), (len(span.get(part, [])), span.get(dropped, 0)))
    span = limited({name: 500}, f"--{part}", 300)  # above the default
    test.assertEqual((300, 0), (len(span[part]), span.get(dropped, 0)))
    test.assertEqual((128, 172), (len((span := limited({}, f"--{part}", 300))[part]), span[dropped]))


# ---- OTLP ----

@tries(*both("ENDPOINT"), "TRACING_ENDPOINT")
def endpoint(test, name):
    exact = "TRACES" in name
    with Collector() as collector:
        traced({name: f"{collector.url}/base", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"})
        traced({name: f"127.0.0.1:{collector.port}"})  # without a scheme, and on this machine
        test.assertEqual(["/base" if exact else "/base/v1/traces",
                          "/opentelemetry.proto.collector.trace.v1.TraceService/Export"],
                         [request.path for request in collector.requests])
        weaker = "TRACING_ENDPOINT" if name == "OTEL_EXPORTER_OTLP_ENDPOINT" else "OTEL_EXPORTER_OTLP_ENDPOINT"
        if name != "TRACING_ENDPOINT":
            traced({name: collector.url, weaker: "http://127.0.0.1:1"})
            test.assertEqual(3, len(collector.requests))


@tries(*both("PROTOCOL"))
def protocol(test, name):
    types = {"HTTP/Protobuf": "application/x-protobuf", "http/json": "application/json", "grpc": "application/grpc",
             "": "application/grpc", "thrift": "application/grpc"}
    for value, content_type in types.items():
        with Collector() as collector:
            outcome = traced({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, name: value}, "--spans", 2)
            test.assertEqual((2, [2]), (outcome.counts["exported"], collector.spans))
            test.assertEqual(content_type, collector.requests[0].headers["content-type"])
            test.assertEqual(1 if value == "thrift" else 0, len(outcome.told))


@tries(*both("HEADERS"))
def headers(test, name):
    for protocol_name in ("http/protobuf", "grpc"):
        with Collector() as collector:
            outcome = traced(sent_to(collector, protocol_name, **{name: "x-tenant=a%20b, authorization=Bearer t0ken,"
                                                                       "bad key=secret,Content-Length=3"}))
            found = collector.requests[0].headers
            test.assertEqual(("a b", "Bearer t0ken"), (found["x-tenant"], found["authorization"]))
            test.assertIn(f'{name}: "bad key" is no header', outcome.told[0])
            test.assertIn(f'{name}: "Content-Length" is no header', outcome.told[1])
            test.assertEqual(1, outcome.counts["exported"])
            test.assertNotIn("secret", outcome.err)
            traced(sent_to(collector, protocol_name, **dict(zip(both("HEADERS"), ("a=general", "b=traces")))))
            test.assertEqual((False, True), tuple(key in collector.requests[1].headers for key in "ab"))
            traced(sent_to(collector, protocol_name, **{name: "x-empty=,c=d"}))
            test.assertEqual(("", "d"), tuple(collector.requests[2].headers[key] for key in ("x-empty", "c")))


@tries(*both("TIMEOUT"))
def timeout(test, name):
    with Collector([Answer(how="never"), OK]) as collector:
        outcome = traced(sent_to(collector, **{name: 200}), "--flush", 20000)
        test.assertEqual((1, [1, 1]), (outcome.counts["exported"], collector.spans))
        test.assertIn("no answer in time", outcome.errors[0])
        test.assertLess(outcome.elapsed_s, 9)  # the default is ten seconds


@tries(*both("COMPRESSION"))
def compression(test, name):
    for protocol_name in ("http/protobuf", "http/json", "grpc"):
        field = "grpc-encoding" if protocol_name == "grpc" else "content-encoding"
        for value, expected in (("GZip", "gzip"), ("none", None), ("brotli", None)):
            with Collector() as collector:
                outcome = traced(sent_to(collector, protocol_name, **{name: value}), "--spans", 50, "--attributes", 9)
                test.assertEqual((50, [50]), (outcome.counts["exported"], collector.spans))
                test.assertEqual(expected, collector.requests[0].headers.get(field))
                if expected and protocol_name != "grpc":
                    test.assertLess(int(collector.requests[0].headers["content-length"]), len(collector.requests[0].body) / 3)


@tries(*both("CERTIFICATE"))
def certificate(test, name):
    for protocol_name in ("http/protobuf", "grpc"):
        with Collector(certificate=test.folder / "server.pem") as collector:
            environment = sent_to(collector, protocol_name)
            test.assertEqual(1, traced({**environment, name: test.folder / "server.crt"}).counts["exported"])
            test.assertEqual(0, traced({**environment, name: test.folder / "client.crt"}, "--flush", 30000).counts["exported"])
            outcome = traced({**environment, name: test.folder / "nowhere.crt"}, "--flush", 30000)
            test.assertEqual(0, outcome.counts["exported"])
            test.assertIn(f"{name}: ", outcome.told[0])
            test.assertTrue(outcome.errors)


@tries(*both("CLIENT_CERTIFICATE"), *both("CLIENT_KEY"))
def client_certificate(test, name):
    other = name.replace("CLIENT_KEY", "CLIENT_CERTIFICATE") if "KEY" in name else name.replace("CLIENT_CERTIFICATE", "CLIENT_KEY")
    files = {key: test.folder / f"client.{'key' if 'KEY' in key else 'crt'}" for key in (name, other)}
    for protocol_name in ("http/protobuf", "grpc"):
        with Collector(certificate=test.folder / "server.pem", client_ca=test.folder / "client.crt") as collector:
            environment = sent_to(collector, protocol_name, OTEL_EXPORTER_OTLP_CERTIFICATE=test.folder / "server.crt")
            test.assertEqual(1, traced({**environment, **files}).counts["exported"])
            test.assertEqual(0, traced({**environment, **files, name: None}, "--shutdown", 500).counts["exported"])


@tries(*both("INSECURE"), "OTEL_EXPORTER_OTLP_SPAN_INSECURE")
def insecure(test, name):
    for protocol_name in ("http/protobuf", "grpc"):
        with Collector() as plain, Collector(certificate=test.folder / "server.pem") as secure:
            for collector, value in ((plain, "TRUE"), (plain, ""), (secure, "False")):
                environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"127.0.0.1:{collector.port}", name: value,
                               "OTEL_EXPORTER_OTLP_PROTOCOL": protocol_name,
                               "OTEL_EXPORTER_OTLP_CERTIFICATE": test.folder / "server.crt"}
                test.assertEqual(1, traced(environment).counts["exported"], (protocol_name, value))


class Variables(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = pathlib.Path(temporary.name)
        make_certificate(cls.folder, "server")
        make_certificate(cls.folder, "client")

    def test_every_row_is_tried_and_every_try_has_a_row(self):
        self.assertEqual(sorted(documented()), sorted(TRIES))

    def test_each_row(self):
        for name in documented():
            for function in TRIES.get(name, ()):
                with self.subTest(name):
                    function(self, name)


WRONG = {"OTEL_TRACE_SAMPLER": "always_on", "OTEL_EXPORTER_ENDPOINT": "http://x:1", "OTEL_SERVICE_NAMES": "x",
         "OTEL_BSP_MAX_QUEUE_SIZE": "many", "OTEL_EXPORTER_OTLP_COMPRESSION": "zip", "OTEL_PROPAGATORS": "xray",
         "OTEL_SPAN_EVENT_COUNT_LIMIT": "-1", "OTEL_TRACES_SAMPLER": "alwayson", "OTEL_TRACES_EXPORTER": "otlp,zipkin",
         "OTEL_EXPORTER_OTLP_PROTOCOL": "http/xml", "TRACING_RATE": "0.5", "OTEL_METRICS_EXPORTER": "none"}


class ToldAlike(unittest.TestCase):
    @staticmethod
    def told(text, name):
        return [line for line in text.splitlines() if re.search(rf"(?:^|: ){name}[: ]", line)]

    def check(self, text, who):
        for name in WRONG:
            expected = 0 if name == "OTEL_METRICS_EXPORTER" else 1  # of another signal
            self.assertEqual(expected, len(self.told(text, name)), f"{who}: {name}\n{text}")

    def check_process(self, process, who):
        """Each has a log that it writes on a thread of its own."""
        wait_until(lambda: all(self.told(process.err, name) for name in WRONG if name != "OTEL_METRICS_EXPORTER"),
                   f"the {who} tells")
        self.check(process.err, who)

    def test_broker_bridge_sdk_and_command_line_tell_each_once(self):
        home = self.enterContext(Home(OWN_PROCESS, environment=WRONG, spans=False))
        self.check_process(home.broker, "broker")
        self.check_process(home.bridge, "bridge")
        self.check(home.loom("pub", "a.b", "x").stderr, "loom pub")
        agent = Process(home.folder, "answering_agent", [PROGRAM.parent / "answering_agent", home.url, "questions"],
                        home.environment)
        self.addCleanup(agent.kill)
        self.check_process(agent, "agent")

    def test_the_log_level_of_a_broker_is_its_own_before_that_of_opentelemetry(self):
        for environment, flags, level in (({"OTEL_LOG_LEVEL": "Debug"}, (), "debug"), ({"OTEL_LOG_LEVEL": "loud"}, (), "info"),
                                          ({"OTEL_LOG_LEVEL": "debug", "LOOM_LOG_LEVEL": "warn"}, (), "warn"),
                                          ({"OTEL_LOG_LEVEL": "debug"}, ("--log-level", "error"), "error"),
                                          ({"OTEL_LOG_LEVEL": "none"}, (), "error")):
            home = Home(IN_BROKER, environment=environment, spans=False)
            broker = home.run("loom-broker", *flags, "--check-config")
            self.assertEqual(0, broker.wait())
            self.assertIn(f'\nlevel = "{level}"', broker.out)
            home._clear()


if __name__ == "__main__":
    unittest.main()
