# SPDX-License-Identifier: Apache-2.0
"""The trace libraries for tools, each against the same table of cases: test_libraries.py LANGUAGE [unittest option]..."""

import collections
import fcntl
import json
import os
import pathlib
import pty
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent / "libraries"
SOURCE = HERE.parents[2] / "trace/process/libraries"
sys.path.insert(0, str(HERE))
import lines  # noqa: E402  beside the drivers
sys.path.insert(0, str(HERE.parents[1] / "e2e"))
from spans import parse_lines  # noqa: E402

TABLE = json.loads((HERE / "cases.json").read_text())
BUILD = pathlib.Path(os.environ.get("LOOM_BUILD_DIR", "build/dev")).resolve()
SKIPPED = 77
CONTEXT = ("TRACEPARENT", "TRACESTATE", "BAGGAGE", "OTEL_TRACEPARENT", "LOOM_TRACE_ID", "LOOM_SPAN_ID", "LOOM_TRACE_BAGGAGE",
           "LOOM_TRACE", "LOOM_TRACE_SAMPLE", "OTEL_SDK_DISABLED", "PYTHONPATH", "NODE_PATH", "RUBYLIB")
LANGUAGES = ("python", "node", "ruby", "rust", "c")
language = sys.argv[1] if sys.argv[1:] and sys.argv[1] in LANGUAGES else sys.exit(f"usage: test_libraries.py {'|'.join(LANGUAGES)}")


class Toolchain:
    """How the driver of a language is run: command, and more environment."""

    def __init__(self, name, folder):
        self.environment = {}
        if name == "python":
            self.command = [os.environ.get("LOOM_LIBRARY_PYTHON", sys.executable), "-B", HERE / "driver.py"]
            self.environment["PYTHONPATH"] = str(SOURCE / "python")
        elif name == "node":
            self.command = [self.need("node"), HERE / "driver.js"]
            self.environment["NODE_PATH"] = str(SOURCE / "node")
        elif name == "ruby":
            self.command = [self.need("ruby"), "-I", SOURCE / "ruby", HERE / "driver.rb"]
        elif name == "rust":
            program = folder / "driver"
            subprocess.run([self.need("rustc"), "--edition", "2021", "-O", "-D", "warnings", "-o", program, HERE / "driver.rs"], check=True)
            self.command = [program]
        else:
            self.command = [BUILD / "tests/libraries_driver"]
            self.environment["OTEL_TRACES_EXPORTER"] = "loom/stderr"
            self.environment["OTEL_SERVICE_NAME"] = "driver"
            self.environment["OTEL_BSP_MAX_QUEUE_SIZE"] = "20000"

    @staticmethod
    def need(program):
        path = shutil.which(program, path="/usr/bin") or shutil.which(program)  # the system's works without a home
        if path is None:
            print(f"skipped: there is no {program}")
            sys.exit(SKIPPED)
        return path


def setUpModule():
    global toolchain
    folder = pathlib.Path(unittest.enterModuleContext(tempfile.TemporaryDirectory(prefix="loom-libraries-")))
    toolchain = Toolchain(language, folder)


def environment_of(more):
    env = {name: value for name, value in os.environ.items() if name not in CONTEXT}
    env |= toolchain.environment | TABLE["default"] | {name: value for name, value in more.items() if value is not None}
    for name, value in more.items():
        if value is None:
            env.pop(name, None)
    return env


def run(scenario, more={}, **options):
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 60} | options
    return subprocess.run([*toolchain.command, scenario], env=environment_of(more), **options)


def same(expected, found):
    """Equality in which 1, 1.0 and true are three."""
    if type(expected) is not type(found):
        return False
    if isinstance(expected, dict):
        return expected.keys() == found.keys() and all(same(expected[key], found[key]) for key in expected)
    if isinstance(expected, list):
        return len(expected) == len(found) and all(map(same, expected, found))
    return expected == found


class Cases(unittest.TestCase):
    def check_parent(self, expected, span, spans):
        parent = expected["parent"]
        if parent is None:
            self.assertNotIn("parent_id", span)
        elif parent.startswith("@"):
            self.assertEqual(parent[1:], span.get("parent_id"), span)
        else:
            self.assertIn(span.get("parent_id"), [other["span_id"] for other in spans if other["name"] == parent], span)

    def check_span(self, expected, span, spans):
        self.assertEqual(expected["name"], span["name"])
        if "parent" in expected:
            self.check_parent(expected, span, spans)
        for name in ("status", "status_message"):
            if name in expected:
                self.assertEqual(expected[name], span.get(name), span)
        if "attributes" in expected:
            self.assertTrue(same(expected["attributes"], span["attributes"]), f"\n{expected['attributes']}\n{span['attributes']}")
        if "event" in expected:
            event, = span["events"]
            attributes = event["attributes"] | {"name": event["name"]}
            self.assertEqual(expected["event"], {name: attributes[name] for name in expected["event"]})
            self.assertTrue(language in ("rust", "c") or attributes["exception.stacktrace"])
        if "events" in expected:
            found = [{"name": event["name"], "attributes": event["attributes"]} for event in span.get("events", ())]
            self.assertEqual(expected["events"], found)

    def check_case(self, case):
        done = run(case["scenario"], case.get("environment", {}))
        found = lines.read(done.stderr)
        code = case.get("code", 0)
        self.assertTrue(done.returncode != 0 if code == "failure" else done.returncode == code, f"{done.returncode}: {done.stderr}")
        spans = found.spans
        expected = case["spans"]
        if case.get("any_order"):
            spans, expected = sorted(spans, key=lambda s: s["name"]), sorted(expected, key=lambda s: s["name"])
        self.assertEqual([span["name"] for span in expected], [span["name"] for span in spans], found)
        for wanted, span in zip(expected, spans):
            self.check_span(wanted, span, spans)
        self.assertEqual(len(spans), len({span["span_id"] for span in spans}))
        trace_ids = {span["trace_id"] for span in spans}
        if case.get("trace_id") == "*":
            self.assertRegex(*trace_ids, "^[0-9a-f]{32}$")
            self.assertNotEqual({TABLE["default"]["LOOM_TRACE_ID"]}, trace_ids)
        elif spans:
            self.assertEqual({case.get("trace_id", TABLE["default"]["LOOM_TRACE_ID"])}, trace_ids)
        self.assertEqual(case.get("errors", []), found.errors)
        if "stdout" in case:
            ids = {span["name"]: span["span_id"] for span in spans}
            self.assertEqual(case["stdout"].format_map(ids) if "{" in case["stdout"] else case["stdout"], done.stdout.decode())
        self.assertIn(case.get("stderr", ""), found.rest)
        if "stderr" not in case:
            self.assertEqual("", found.rest)

    def test_every_case_of_the_table(self):
        for case in TABLE["cases"]:
            if language in case.get("except", ()) or language not in case.get("only", (language,)):
                continue
            with self.subTest(case["name"]):
                self.check_case(case | case.get(language, {}))


    def test_a_line_that_is_converted_is_read_as_otlp(self):
        """By `loom trace show`, which takes nothing that is not well-formed."""
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        for scenario in ("nested", "exception", "values", "events"):
            spans = lines.read(run(scenario).stderr).spans
            file = folder / f"{scenario}.jsonl"
            file.write_text("".join(json.dumps(lines.otlp(span)) + "\n" for span in spans))
            shown = subprocess.run([BUILD / "bin/loom", "trace", "show", "--last", "--attrs", "--file", file], capture_output=True, text=True)
            self.assertEqual((0, ""), (shown.returncode, shown.stderr))
            for span in spans:
                self.assertIn(span["name"], shown.stdout)


class Collected(unittest.TestCase):
    """Programs under a real `loom exec`, spans at a real `loom trace collect`."""

    def setUp(self):
        self.database = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())) / "traces.db"
        read, write = os.pipe()
        receiver = subprocess.Popen([BUILD / "bin/loom", "trace", "collect", "--quiet", "--listen", "127.0.0.1:0", "--db", self.database,
                                     "--ready-fd", str(write)], pass_fds=(write,))
        self.addCleanup(receiver.wait)
        self.addCleanup(receiver.terminate)
        os.close(write)
        with open(read, encoding="ascii") as ready:
            self.url = "http://" + ready.readline().strip()

    def received(self):
        shown = subprocess.run([BUILD / "bin/loom", "trace", "show", TABLE["default"]["LOOM_TRACE_ID"], "--json", "--db", self.database],
                               capture_output=True, text=True)
        self.assertEqual(0, shown.returncode, shown.stderr)
        return parse_lines(shown.stdout)

    def collect(self, scenario):
        parent = f"00-{TABLE['default']['LOOM_TRACE_ID']}-{TABLE['default']['LOOM_SPAN_ID']}-01"
        env = environment_of({"LOOM_TRACE_ID": None, "LOOM_SPAN_ID": None})
        exporter = env.pop("OTEL_TRACES_EXPORTER", None)  # the program's, where it takes it from there
        inner = ["env", f"OTEL_TRACES_EXPORTER={exporter}"] if exporter is not None else []
        stats = self.database.with_name("stats.json")
        done = subprocess.run([BUILD / "bin/loom", "exec", "--name", "command", "--stats-file", stats, "--trace-parent", parent,
                               "--otlp-endpoint", self.url, "--otlp-protocol", "http/protobuf", "--", *inner, *toolchain.command, scenario],
                              env=env, capture_output=True, text=True, timeout=60)
        self.assertEqual(0, done.returncode, done.stderr)
        return stats

    def test_spans_arrive_nested_below_the_command_in_one_trace(self):
        self.collect("nested")
        spans = {span.name: span for span in self.received()}
        self.assertEqual({"command", "outer", "middle", "inner", "sibling"}, set(spans))
        parents = {name: next((other.name for other in spans.values() if other.span_id == span.parent_id), span.parent_id)
                   for name, span in spans.items()}
        self.assertEqual({"command": TABLE["default"]["LOOM_SPAN_ID"], "outer": "command", "middle": "outer", "inner": "middle",
                          "sibling": "outer"}, parents)
        self.assertTrue(spans["inner"].attributes["deep"] is True and spans["outer"].attributes["a"] == 1, spans)
        for name, span in spans.items():
            if name != "command":
                above = next(other for other in spans.values() if other.span_id == span.parent_id)
                self.assertTrue(above.start_ns <= span.start_ns <= span.end_ns <= above.end_ns, (span, above))

    def test_an_exception_arrives_with_its_event(self):
        self.collect("exception")
        spans = {span.name: span for span in self.received()}
        self.assertEqual({"command", "outer", "inner", "after"}, set(spans))
        self.assertEqual([2, 2], [spans[name].status for name in ("outer", "inner")])
        self.assertEqual("ValueError", spans["inner"].attributes["error.type"])

    def test_ten_thousand_spans_are_collected_or_counted(self):
        """How many are over the rate limit, or not read by a collector that is behind, is a matter of time."""
        counts = json.loads(self.collect("many").read_text())
        self.assertEqual(10001, counts["collected"] + counts["rate_limited"] + counts["library_lost"], counts)
        self.assertEqual(0, counts["parse_errors"] + counts["restamped"] + counts["duplicates"], counts)


class Streams(unittest.TestCase):
    """What standard error may be."""

    def test_ten_thousand_spans_are_all_written(self):
        done = run("many")
        spans = lines.read(done.stderr).spans
        self.assertEqual(10001, len({span["span_id"] for span in spans}))
        self.assertEqual(list(range(10000)), [span["attributes"]["i"] for span in spans[:-1]])
        self.assertEqual({spans[-1]["span_id"]}, {span["parent_id"] for span in spans[:-1]})

    def test_a_line_is_never_longer_than_it_may_be(self):
        spans = lines.read(run("long").stderr).spans
        long, name = spans
        self.assertGreater(len(long["attributes"]), 3)
        count = 100 if language == "c" else 200  # libloom has limits of its own
        self.assertEqual(count, len(long["attributes"]) + long["dropped_attributes"])
        self.assertEqual(count, len(long.get("events", ())) + long["dropped_events"])
        self.assertEqual(1, len(set(name["name"])))

    @unittest.skipIf(language == "c", "libloom has samplers")
    def test_a_fraction_of_the_root_spans_is_written_with_what_is_below_them(self):
        spans = lines.read(run("roots", {"LOOM_TRACE_SAMPLE": "0.25"}).stderr).spans
        roots = {span["span_id"] for span in spans if span["name"] == "root"}
        self.assertTrue(800 < len(roots) < 1200, len(roots))
        self.assertEqual(collections.Counter(roots), collections.Counter(span["parent_id"] for span in spans if span["name"] == "child"))
        self.assertTrue(all(int(root[2:], 16) >= 3 << 54 for root in roots))

    def test_a_closed_standard_error_harms_nothing(self):
        script = 'exec "$@" 2>&-'
        done = subprocess.run(["sh", "-c", script, "sh", *toolchain.command, "exception"], env=environment_of({}), timeout=60,
                              stdout=subprocess.PIPE)
        self.assertEqual((0, b"caught boom\n"), (done.returncode, done.stdout))

    def test_a_reader_that_has_gone_harms_nothing(self):
        out, into = os.pipe()
        os.close(out)
        done = run("exception", stderr=into)
        os.close(into)
        self.assertEqual((0, b"caught boom\n"), (done.returncode, done.stdout))

    def stalled(self, flags):
        """Runs `many` with a standard error that nobody reads until the end."""
        out, into = os.pipe()
        self.addCleanup(os.close, out)
        fcntl.fcntl(into, fcntl.F_SETFL, fcntl.fcntl(into, fcntl.F_GETFL) | flags)
        began = time.monotonic()
        done = run("many", stderr=into, timeout=20)
        os.close(into)
        self.assertEqual(0, done.returncode)
        self.assertLess(time.monotonic() - began, 15)
        with open(out, "rb", closefd=False) as reader:
            found = lines.read(reader.read())
        if language != "node":  # it cannot make room for that line
            lost = [re.fullmatch(r"(\d+) spans lost: standard error was not read", error) for error in found.errors]
            self.assertEqual(10001, len(found.spans) + sum(int(match[1]) for match in lost), found.errors)
        self.assertGreater(len(found.spans), 100)

    @unittest.skipIf(language == "node", "Node cannot ask a blocking pipe whether it has room")
    def test_a_pipe_that_nobody_reads_does_not_keep_the_program(self):
        self.stalled(0)

    def test_nor_does_one_that_is_not_blocking(self):
        self.stalled(os.O_NONBLOCK)

    def test_a_slow_reader_of_a_pipe_that_is_not_blocking_gets_whole_lines(self):
        out, into = os.pipe()
        fcntl.fcntl(into, fcntl.F_SETFL, os.O_NONBLOCK | fcntl.fcntl(into, fcntl.F_GETFL))
        with subprocess.Popen([*toolchain.command, "long"], env=environment_of({}), stderr=into) as process:
            os.close(into)
            data = b""
            while part := os.read(out, 4096):
                data += part
        os.close(out)
        self.assertEqual(0, process.returncode)
        self.assertEqual(2, len(lines.read(data).spans))

    @unittest.skipIf(language == "c", "an exporter was asked for")
    def test_a_terminal_gets_lines_only_when_asked_for(self):
        for switch, expected in ((None, False), ("1", True), ("0", False)):
            with self.subTest(LOOM_TRACE=switch):
                outer, inner = pty.openpty()
                done = run("status", {"LOOM_TRACE": switch}, stderr=inner)
                os.close(inner)
                ready = select.select([outer], [], [], 0)[0]
                data = os.read(outer, 4096) if ready and expected else b""
                os.close(outer)
                self.assertEqual(0, done.returncode)
                self.assertEqual(expected, data.startswith(lines.SPAN))

    def test_programs_that_share_a_pipe_do_not_tear_lines(self):
        out, into = os.pipe()
        programs = [subprocess.Popen([*toolchain.command, "many"], env=environment_of({}), stderr=into) for _ in range(3)]
        os.close(into)
        with open(out, "rb") as reader:
            found = lines.read(reader.read())
        self.assertEqual([0, 0, 0], [program.wait() for program in programs])
        lost = sum(int(re.fullmatch(r"(\d+) spans lost: standard error was not read", error)[1]) for error in found.errors)
        self.assertEqual(30003, len(found.spans) + lost)

    def test_a_full_disk_harms_nothing(self):
        with tempfile.TemporaryFile() as file:
            limit = lambda: (signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)))  # noqa: E731
            done = run("many", stderr=file, preexec_fn=limit)
        self.assertEqual(0, done.returncode)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
