# SPDX-License-Identifier: Apache-2.0
"""What only the Ruby library has: values of any kind, ways out of a block, traps, fibers, threads."""

import os
import pathlib
import shutil
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent / "libraries"
LIBRARY = HERE.parents[2] / "trace/process/libraries/ruby"
sys.path.insert(0, str(HERE))
import lines  # noqa: E402  beside the drivers

SKIPPED = 77


class Ruby(unittest.TestCase):
    def run_code(self, code, code_is=0):
        env = {key: value for key, value in os.environ.items() if not key.startswith(("LOOM_", "OTEL_", "TRACE"))}
        done = subprocess.run(["ruby", "-W", "-I", LIBRARY, "-r", "loom_trace", "-e", code], env=env | {"LOOM_TRACE": "1"}, capture_output=True,
                              timeout=60)
        self.assertEqual(code_is, done.returncode, done.stderr.decode())
        found = lines.read(done.stderr)
        found.out = done.stdout.decode()
        return found

    def test_values_of_every_kind_are_written(self):
        found = self.run_code(r'''
            require "set"; require "date"
            class Bad; def to_s; raise "no"; end; end
            class Worse; def to_s; 5; end; end
            class Alone < BasicObject; end
            class Endless; def to_s; to_s; end; end
            Point = Struct.new(:x)
            deep = []; 5000.times { deep = [deep] }
            LoomTrace.trace_span("values", { "bad" => Bad.new, "worse" => Worse.new, "alone" => Alone.new, "endless" => Endless.new, "deep" => deep,
              "set" => Set[1], "date" => Date.new(2026, 1, 2), "time" => Time.at(0), "symbol" => :x, "ratio" => 1/3r, "struct" => Point.new(1),
              "latin" => "\xe9".dup.force_encoding("ISO-8859-1"), "broken" => "a\xff", "utf16" => "ab".encode("UTF-16LE"),
              "error" => ArgumentError.new("x"), "class" => String, Bad.new => 1, nil => 2, "" => 3, 5 => 6, "long" => "x" * 20000 }) {}
            LoomTrace.trace_span(Bad.new) {}
            LoomTrace.trace_span("no hash", 5) {}
            LoomTrace.trace_span(nil) {}
            LoomTrace.tracer.end_span(nil)
            ''')
        values = found.by_name["values"]["attributes"]
        for name, value in {"bad": "<unprintable Bad>", "worse": "<unprintable Worse>", "alone": "<unprintable object>",
                            "endless": "<unprintable Endless>", "set": [1], "date": "2026-01-02", "time": "1970-01-01T00:00:00.000000000Z",
                            "symbol": "x", "ratio": "1/3", "struct": {"x": 1}, "latin": "\u00e9", "broken": "a\ufffd", "utf16": "ab",
                            "error": "ArgumentError: x", "class": "String", "<unprintable Bad>": 1, "5": 6, "long": "x" * 16384}.items():
            self.assertEqual(value, values[name], name)
        self.assertEqual({"values", "<unprintable Bad>", "no hash", "unnamed"}, set(found.by_name))
        self.assertEqual(["attributes are no hash: NoMethodError", "end_span takes a span, not NilClass"], found.errors)

    def test_what_are_no_attributes_is_told_and_not_raised(self):
        found = self.run_code('LoomTrace.trace_span("work", 5) { |span| span.set_attribute([], 1).add_event("event", 5) }')
        self.assertEqual(["work"], [span["name"] for span in found.spans])
        self.assertEqual(["attributes are no hash: NoMethodError"] * 2, found.errors)

    def test_every_way_out_of_a_block(self):
        found = self.run_code(r'''
            def early; LoomTrace.trace_span("return") { return 5 }; end
            p early, (catch(:x) { LoomTrace.trace_span("throw") { throw :x, 1 } }), [1].each { LoomTrace.trace_span("break") { break 7 } }
            odd = Class.new(StandardError) { def message; raise "no"; end }
            begin; LoomTrace.trace_span("odd") { raise odd }; rescue odd; puts "odd"; end
            def deeper; deeper; end
            begin; LoomTrace.trace_span("stack") { deeper }; rescue SystemStackError; puts "stack"; end
            p LoomTrace.current_span
            LoomTrace.trace_span("exit") { exit }
            ''')
        self.assertEqual("5\n1\n[1]\nodd\nstack\nnil\n", found.out)
        self.assertEqual({"return": "ok", "throw": "ok", "break": "ok", "odd": "error", "stack": "error", "exit": "ok"},
                         {span["name"]: span["status"] for span in found.spans})

    def test_signals(self):
        found = self.run_code(r'''
            trap("USR1") { LoomTrace.trace_span("trap") {} }
            LoomTrace.trace_span("outer") do
              Process.kill("USR1", Process.pid)
              sleep 0.01 until LoomTrace.current_span.name == "outer" && (@waited = @waited.to_i + 1) > 10
            end
            LoomTrace.trace_span("terminated") { Process.kill("TERM", Process.pid); sleep }
            ''', code_is=-15)
        self.assertEqual({"trap": "outer", "outer": None, "terminated": None}, found.parents)
        self.assertEqual("error", found.by_name["terminated"]["status"])

    def test_threads_and_enumerators(self):
        found = self.run_code(r'''
            LoomTrace.trace_span("outer") do
              10.times.map { Thread.new(&LoomTrace.bind { 200.times { |i| LoomTrace.trace_span("work", i: i) {} } }) }.each(&:join)
              numbers = Enumerator.new { |out| LoomTrace.trace_span("numbers") { out << 1; out << 2 } }
              numbers.next
              LoomTrace.trace_span("beside") {}
            end
            ''')
        self.assertEqual(2002, len({span["span_id"] for span in found.spans}))
        self.assertEqual(("outer", "outer"), (found.parents["work"], found.parents["beside"]))


if __name__ == "__main__":
    if shutil.which("ruby") is None:
        print("skipped: there is no ruby")
        sys.exit(SKIPPED)
    unittest.main()
