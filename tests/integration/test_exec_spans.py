# SPDX-License-Identifier: Apache-2.0
"""Spans that a command writes to its standard error: what is collected, what goes on, and what is refused."""

import json
import os
import pathlib
import re
import select
import subprocess
import sys
import tempfile
import time
import unittest

from exec_command import LOOM, PARENT, TRACE, ExecTest
from harness import runs, wait_until

PYTHON = sys.executable
MARKER = "__LOOM_TRACE__:"
START, END = "2026-01-15T10:30:00.123Z", "2026-01-15T10:30:00.456Z"

# What every script below begins with: a span as a line, of the trace that was handed out.
PRELUDE = f"""
import json, os, sys, time
T, P = os.environ.get("LOOM_TRACE_ID", "0" * 31 + "1"), os.environ.get("LOOM_SPAN_ID", "0" * 15 + "1")
def span(span_id="00000000000000a1", **more):
    fields = dict(trace_id=T, span_id=span_id, parent_id=P, name="inside", start_time="{START}", end_time="{END}", status="ok")
    fields.update(more)
    return "{MARKER}" + json.dumps({{k: v for k, v in fields.items() if v is not ...}}) + "\\n"
def put(text):
    data = text if isinstance(text, bytes) else text.encode()
    while data:
        data = data[os.write(2, data):]
"""


def has_guardian(pid):
    """Whether pid has a child that is called relay."""
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            if re.match(rf"\d+ \(relay\) \w {pid} ", stat.read_text()):
                return True
        except (FileNotFoundError, ProcessLookupError):
            pass
    return False


class CollectTest(ExecTest):
    def script(self, body, options=(), code=0, **more):
        """Runs it; standard error, and the counters."""
        stats = self.folder / "stats.json"
        done = self.run_exec(PYTHON, "-c", PRELUDE + body, options=("--stats-file", stats, *options), code=code, **more)
        self.stats = json.loads(stats.read_text())
        return done.stderr

    def inside(self):
        return [span for span in self.spans() if "process.pid" not in span.attributes]

    def counted(self, **expected):
        self.assertEqual(expected, {key: self.stats[key] for key in expected})


class Passing(CollectTest):
    def test_other_bytes_pass_unchanged(self):
        data = os.urandom(2_000_000).replace(b"__LOOM", b"__loom")
        (self.folder / "data").write_bytes(data)
        self.assertEqual(data, self.script(f"put(open({str(self.folder / 'data')!r}, 'rb').read())"))

    def test_an_unterminated_last_line_passes(self):
        self.assertEqual(b"a\nb", self.script("put('a\\nb')"))

    def test_spans_between_lines_are_taken_out(self):
        self.assertEqual(b"before\nafter\n", self.script("put('before\\n' + span() + 'after\\n')"))
        self.counted(collected=1, parse_errors=0)

    def test_a_marker_behind_an_unterminated_line_is_seen(self):
        self.assertEqual(b"50%100%\n", self.script("put('50%'); put(span()); put('100%\\n')"))
        self.counted(collected=1)

    def test_a_marker_split_over_writes_is_seen(self):
        self.assertEqual(b"", self.script("for c in span(): put(c); time.sleep(0.0005)"))
        self.counted(collected=1)

    def test_a_prompt_that_looks_like_the_start_of_a_marker_is_shown(self):
        body = "put('name_'); sys.stdin.read(1)"
        with subprocess.Popen([LOOM, "exec", "--", PYTHON, "-c", PRELUDE + body], env=self.environment(),
                              stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            self.assertEqual(b"name_", process.stderr.read(5))
            process.stdin.write(b"x")

    def test_text_that_only_mentions_the_marker_passes(self):
        text = f"grep {MARKER} file; file:{MARKER}{{not json\n{MARKER[:-1]}\n"
        self.assertEqual(text.encode(), self.script(f"put({text!r})"))
        self.counted(collected=0, parse_errors=0)

    def test_a_torn_line_does_not_cost_the_next(self):
        self.script("put(span()[:40] + span('00000000000000a2'))")
        self.counted(collected=1, parse_errors=1)

    def test_output_and_errors_in_one_pipe_stay_in_order(self):
        body = "for i in range(500): os.write(1, b'o%d\\n' % i); put('e%d\\n' % i)"
        done = subprocess.run([LOOM, "exec", "--", PYTHON, "-c", PRELUDE + body], env=self.environment(),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual([f"{kind}{i}" for i in range(500) for kind in "oe"], done.stdout.decode().split())

    def test_output_and_errors_in_one_file_stay_in_order(self):
        body = "for i in range(100): os.write(1, b'o%d\\n' % i); put('e%d\\n' % i)"
        with open(self.folder / "log", "wb") as log:
            subprocess.run([LOOM, "exec", "--", PYTHON, "-c", PRELUDE + body], env=self.environment(), stdout=log, stderr=log)
        self.assertEqual([f"{kind}{i}" for i in range(100) for kind in "oe"], (self.folder / "log").read_text().split())

    def test_markers_on_standard_output_alone_are_text(self):
        done = self.run_exec(PYTHON, "-c", PRELUDE + "os.write(1, span().encode())")
        self.assertTrue(done.stdout.startswith(MARKER.encode()))
        self.assertEqual([], self.inside())

    def test_without_a_collector_the_command_has_our_standard_error(self):
        done = self.run_exec(PYTHON, "-c", PRELUDE + "put(span())", options=("--no-collect",))
        self.assertTrue(done.stderr.startswith(MARKER.encode()))
        self.assertNotIn(b"LOOM_TRACE=1", self.run_exec("env", options=("--no-collect",)).stdout)

    def test_numbers_of_what_is_not_collected_are_refused(self):
        for option in ("--stats", f"--stats-file={self.folder / 'stats.json'}"):
            done = self.run_exec("true", options=("--no-collect", option), code=2)
            self.assertIn(f"{option.split('=')[0]} counts the spans from inside, and --no-collect leaves them alone".encode(), done.stderr)
        self.assertFalse((self.folder / "stats.json").exists())

    def test_libraries_are_told_that_somebody_collects(self):
        self.assertIn(b"\nLOOM_TRACE=1\n", self.run_exec("env").stdout)


class Spans(CollectTest):
    def test_a_span_is_exported_below_the_commands(self):
        self.script("put(span(attributes=dict(n=3, f=1.5, big=2**63, s='x', b=True, none=None, l=[1, 'a'], o=dict(k=[None]))))",
                    TRACEPARENT=PARENT)
        span, = self.inside()
        command = next(s for s in self.spans() if s is not span and s.span_id != span.span_id)
        self.assertEqual((TRACE, command.span_id, "inside", "INTERNAL", 1, 333_000_000),
                         (span.trace_id, span.parent_id, span.name, span.kind, span.status, span.end_ns - span.start_ns))
        self.assertEqual({"n": 3, "f": 1.5, "big": 2.0 ** 63, "s": "x", "b": True, "l": [1, "a"], "o": {"k": [None]}},
                         span.attributes)

    def test_spans_nest(self):
        self.script("put(span('00000000000000b2', parent_id='00000000000000b1', name='child') + span('00000000000000b1'))")
        spans = {span.name: span for span in self.inside()}
        self.assertEqual(spans["inside"].span_id, spans["child"].parent_id)

    def test_ids_may_be_uuids_or_text(self):
        self.script("""
put(span('4bf92f35-77b3-4da6-a3ce-929d0e0e4736', name='uuid') + span('step one', name='text')
    + span('00000000000000b1', parent_id='step one', name='child'))""")
        spans = {span.name: span for span in self.inside()}
        self.assertEqual("4bf92f3577b34da6", spans["uuid"].span_id)
        self.assertEqual(spans["text"].span_id, spans["child"].parent_id)
        self.counted(collected=3, restamped=0)

    def test_events_links_kind_and_message(self):
        self.script("""put(span(kind='server', status='error', status_message='no\\nway',
events=[dict(name='cache miss', time='2026-01-15T10:30:00.2Z', attributes=dict(key='k'))],
links=[dict(trace_id='4bf92f3577b34da6a3ce929d0e0e4736', span_id='00f067aa0ba902b7')], dropped_attributes=2))""")
        span, = self.inside()
        self.assertEqual(("SERVER", 2, [("cache miss", {"key": "k"})], "00f067aa0ba902b7"),
                         (span.kind, span.status, span.events, span.links[0].span_id))

    def test_a_service_and_a_scope_of_its_own(self):
        self.script("""put(span(service='billing', scope=dict(name='db', version='2')) + span('00000000000000a2', name='plain')
+ ''.join(span(f'{i:016x}', name=f'n{i}', service=f's{i}') for i in range(1000, 1040)))""")
        spans = {span.name: span for span in self.inside()}
        self.assertEqual(("billing", "loom-exec", "s1000", "loom-exec"),
                         tuple(spans[name].service for name in ("inside", "plain", "n1000", "n1039")))
        self.assertIn('"scope":{"name":"db","version":"2"}', self.spans_file.read_text())

    def test_a_span_of_another_trace_is_moved(self):
        self.script("put(span(trace_id='test-trace-123', parent_id='test-span-456'))")
        span, = self.inside()
        command = next(s for s in self.spans() if s.span_id != span.span_id)
        self.assertEqual((command.trace_id, command.span_id, "test-trace-123", "test-span-456"),
                         (span.trace_id, span.parent_id, span.attributes["loom.original_trace_id"],
                          span.attributes["loom.original_parent_id"]))
        self.counted(collected=1, restamped=1)

    def test_a_foreign_tenant_is_replaced(self):
        self.script("put(span(attributes=dict(tenant_id='evil')) + span('00000000000000a2', attributes=dict(org_id='o')))",
                    BAGGAGE="tenant_id=acme,org_id=o")
        self.assertEqual([("acme", "o")] * 2, [(s.attributes["tenant_id"], s.attributes["org_id"]) for s in self.inside()])
        self.counted(collected=2, tenant_violations=1)

    def test_a_property_that_is_none_costs_no_tenant(self):
        body = "put(span(attributes=dict(tenant_id='foo')) + span('00000000000000a2', attributes=dict(tenant_id='foo;DROP TABLE users')))"
        self.script(body, BAGGAGE="tenant_id=foo;DROP TABLE users")
        self.assertEqual(["foo"] * 2, [s.attributes["tenant_id"] for s in self.inside()])
        self.counted(collected=2, tenant_violations=1)

    def test_secrets_are_masked(self):
        self.script("put(span(name='mail a@example.com', attributes=dict(password='x', url='https://u:p@h/')))")
        span, = self.inside()
        self.assertEqual(("mail [mail]", "[masked]", "https://u:[masked]@h/"),
                         (span.name, span.attributes["password"], span.attributes["url"]))

    def test_an_unsampled_command_exports_nothing(self):
        self.assertEqual(b"", self.script("put(span())", TRACEPARENT=PARENT[:-2] + "00"))
        self.assertEqual([], self.spans())
        self.counted(collected=0, unsampled=1)


    def test_an_unsampled_command_that_is_left_alone_has_numbers(self):
        self.script("put('text')", options=("--no-trace-when-unsampled",), TRACEPARENT=PARENT[:-2] + "00")
        self.counted(collected=0, unsampled=0)


class Settings(CollectTest):
    def test_a_batch_that_is_larger_than_the_queue_is_told(self):
        done = self.run_exec("true", OTEL_BSP_MAX_EXPORT_BATCH_SIZE="100000")
        self.assertIn(b"loom exec: a batch of 100000 spans is more than may wait", done.stderr)
        self.assertEqual(1, len(self.spans()))

    def test_a_file_that_cannot_be_written_is_told(self):
        done = self.run_exec("true", LOOM_SPANS_FILE="/no/such/folder/spans.jsonl")
        self.assertIn(b"loom exec: cannot open the spans file: /no/such/folder/spans.jsonl", done.stderr)


class Refused(CollectTest):
    def test_what_is_wrong_is_counted_by_reason_and_told_once(self):
        bad = ["trace_id=...", "span_id=...", "span_id='0' * 16", "name=...", "name=''", "start_time='yesterday'",
               "start_time='2026-01-15T10:30:00'", "end_time=...", "end_time='2026-01-15T10:29:00Z'", "attributes=[]",
               "status='fine'", "status=1", "span_id=P"]
        calls = " + ".join(f"span('c{i:015d}', {field})" if "span_id" not in field else f"span({field})"
                           for i, field in enumerate(bad))
        stderr = self.script(f"put({calls} + '{MARKER}{{\\n{MARKER}[]\\n{MARKER}\\n')").decode()
        self.counted(collected=0, parse_errors=len(bad) + 3)
        reasons = self.stats["parse_errors_by_reason"]
        self.assertEqual(dict(json=3, field_type=3, trace_id=1, span_id=3, name=2, start_time=2, end_time=1, time_order=1), reasons)
        self.assertEqual(8, len(stderr.splitlines()), stderr)
        self.assertIn("line 1 of the command's standard error: rejected a span: trace_id is missing", stderr)
        self.assertEqual([], self.inside())

    def test_a_line_over_256_kib_is_dropped_and_the_stream_goes_on(self):
        stderr = self.script("put('a\\n' + span(name='x' * 300_000) + 'b\\n' + span('00000000000000a2'))")
        self.assertTrue(stderr.startswith(b"a\n") and b"\nb\n" in stderr, stderr[:200])
        self.counted(oversize=1, collected=1)

    def test_a_span_over_256_kib_behind_an_unterminated_line_is_dropped_as_well(self):
        stderr = self.script("put('50%' + span(name='x' * 300_000) + 'b\\n' + span('00000000000000a2'))")
        self.assertTrue(stderr.startswith(b"50%") and b"xxx" not in stderr and stderr.endswith(b"b\n"), stderr[:200])
        self.counted(oversize=1, collected=1)

    def test_a_line_of_nearly_256_kib_is_collected(self):
        self.script("put(span(name='x' * 255_000))")
        self.counted(oversize=0, collected=1)

    def test_duplicates_are_counted(self):
        self.script("put(span() * 3)")
        self.counted(collected=1, duplicates=2)

    def test_duplicates_are_counted_among_ids_that_are_counted_up(self):
        self.script("put(''.join(span(f'{i:016x}') for i in (*range(1, 101), *range(1, 101))))")
        self.counted(collected=100, duplicates=100)

    def test_complaints_of_libraries_are_taken_out_and_told(self):
        stderr = self.script("put('__LOOM_TRACE_ERROR__: Failed to export span: \\x1b[31mred\\n' * 5)").decode()
        self.assertIn("reported by a trace library: Failed to export span: ·[31mred", stderr)
        self.assertEqual(1, len(stderr.splitlines()))
        self.counted(library_errors=5)

    def test_spans_that_a_library_has_lost_are_counted(self):
        self.script("put('__LOOM_TRACE_ERROR__: 37 spans lost: not read\\n__LOOM_TRACE_ERROR__: 5 spans lost: not read\\n'"
                    "'__LOOM_TRACE_ERROR__: 7 spans\\n__LOOM_TRACE_ERROR__: -3 spans lost: x\\n')")
        self.counted(library_errors=4, library_lost=42)

    def test_the_rate_is_limited(self):
        self.script("put(''.join(span(f'{i:016x}') for i in range(1, 501)))", options=("--span-rate", "1", "--span-burst", "10"))
        self.assertTrue(10 <= self.stats["collected"] <= 12, self.stats)
        self.assertEqual(500, self.stats["collected"] + self.stats["rate_limited"])

    def test_statistics_are_printed_when_asked_for(self):
        stderr = self.script("put(span())", options=("--stats",)).decode()
        self.assertIn("loom exec: spans from inside: collected 1", stderr)

    def test_a_thousand_lines_a_millisecond(self):
        self.script("for k in range(20): put(''.join(span(f'{k + 1:06x}{i:010x}') for i in range(1000)))")
        self.assertEqual(20_000, self.stats["collected"] + self.stats["rate_limited"])
        self.assertEqual(0, self.stats["parse_errors"])


class Endings(CollectTest):
    def test_a_command_that_dies_leaves_what_it_wrote(self):
        self.assertEqual(b"x\n", self.script("put(span() + 'x\\n' + '__LOOM_TR'); os.kill(os.getpid(), 9)", code=137)[:2])
        self.counted(collected=1)

    def test_a_background_child_is_not_waited_for_and_not_killed(self):
        note, ended = self.folder / "note", self.folder / "ended"
        body = f"""
if os.fork() == 0:
    while not os.path.exists({str(ended)!r}): time.sleep(0.01)
    put(span('00000000000000a2')); put('late\\n'); put('later\\n')
    open({str(note)!r}, 'w').write('alive'); os._exit(0)
put('now\\n')"""
        self.addCleanup(ended.touch)  # whatever comes, the child ends
        with open(self.folder / "err", "wb") as err:
            done = subprocess.run([LOOM, "exec", "--", PYTHON, "-c", PRELUDE + body], env=self.environment(), stderr=err, timeout=60)
        self.assertEqual(0, done.returncode)
        self.assertFalse(note.exists())
        ended.touch()
        wait_until(note.exists, "the child has written, and lives")
        wait_until(lambda: (self.folder / "err").read_bytes() == b"now\nlate\nlater\n", "what the child wrote has arrived")

    def test_a_command_goes_on_when_loom_is_killed(self):
        for options in (), ("--syscalls=file",):
            with self.subTest(options), tempfile.TemporaryFile() as err:
                note = self.folder / f"note{len(options)}"
                body = f"""
signal = __import__('signal'); signal.signal(signal.SIGPIPE, signal.SIG_DFL)
put('before\\n'); print(os.getpid(), flush=True); sys.stdin.read()
put('x' * 300_000 + '\\n' + span() + 'after\\n'); open({str(note)!r}, 'w').write('lives')"""
                with subprocess.Popen([LOOM, "exec", *options, "--", PYTHON, "-c", PRELUDE + body], env=self.environment(),
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err) as process:
                    command = os.pidfd_open(int(process.stdout.readline()))
                    wait_until(lambda: has_guardian(process.pid), "a process stands by")
                    process.kill()
                    self.assertEqual(-9, process.wait(20))
                    process.stdin.close()
                    self.assertTrue(select.select([command], [], [], 20)[0], "it ends")
                    os.close(command)
                self.assertEqual("lives", note.read_text())

                def read():
                    err.seek(0)
                    return err.read()
                wait_until(lambda: read().endswith(b"after\n"), "the rest arrives")
                self.assertEqual(b"before\n" + b"x" * 300_000 + b"\nafter\n", read())

    def test_a_reader_that_has_gone_reaches_the_command(self):
        body = "signal = __import__('signal'); signal.signal(signal.SIGPIPE, signal.SIG_DFL)\nwhile True: put('x' * 1000)"
        with subprocess.Popen([LOOM, "exec", "--", PYTHON, "-c", PRELUDE + body], env=self.environment(), stderr=subprocess.PIPE) as process:
            process.stderr.read(10)
            process.stderr.close()
            self.assertEqual(128 + 13, process.wait(20))

    def test_a_reader_that_stops_holds_the_command_and_loses_nothing(self):
        body = "put(('x' * 99 + '\\n') * 30_000)"
        with subprocess.Popen([LOOM, "exec", "--", PYTHON, "-c", PRELUDE + body], env=self.environment(), stderr=subprocess.PIPE) as process:
            time.sleep(0.5)
            self.assertIsNone(process.poll())
            with open(f"/proc/{process.pid}/statm") as statm:
                self.assertLess(int(statm.read().split()[1]) * 4096, 60 << 20)
            self.assertEqual(3_000_000, len(process.stderr.read()))
            self.assertEqual(0, process.wait(20))

    def test_a_signal_reaches_the_command_while_the_reader_stops(self):
        body = "print(os.getpid(), flush=True); put('x' * 10_000_000)"
        with subprocess.Popen([LOOM, "exec", "--", PYTHON, "-c", PRELUDE + body], env=self.environment(), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            command = int(process.stdout.readline())
            process.stderr.read(10)
            process.terminate()
            wait_until(lambda: not runs(command), "it ends, although nobody reads what it writes")
            process.stderr.read()
            self.assertEqual(128 + 15, process.wait(20))

    def test_a_reader_that_stops_for_ever_does_not_keep_us_from_ending(self):
        body = "put('x' * 65536)"
        read, write = os.pipe()
        os.set_blocking(write, False)
        try:
            while True:
                os.write(write, b"y" * 4096)
        except BlockingIOError:
            os.set_blocking(write, True)
        with subprocess.Popen([LOOM, "exec", "--", PYTHON, "-c", PRELUDE + body], env=self.environment(), stderr=write) as process:
            os.close(write)
            wait_until(self.spans, "the command has ended")
            self.assertIsNone(process.poll())
            process.terminate()
            self.assertEqual(-15, process.wait(20))
        os.close(read)


if __name__ == "__main__":
    unittest.main()
