# SPDX-License-Identifier: Apache-2.0
"""System calls of real commands as spans, and commands that do not notice."""

import errno
import json
import os
import pathlib
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import unittest

import harness
from harness import DEADLINE_S, clean_environment, wait_until
from spans import parse_lines

TESTS = harness.BIN.parent / "tests"
TRACED = str(TESTS / "traced_command")
SUBJECT = [str(TESTS / "syscall_subject")]
PYTHON = [os.path.realpath(sys.executable), "-S", "-E"]
AS_ROOT = os.geteuid() == 0


def tracer_of(pid):
    """Who traces it; 0: nobody, None: it has ended."""
    try:
        return int(re.search(r"TracerPid:\s*(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1))
    except (FileNotFoundError, ProcessLookupError):
        return None


class Traced:
    """What a run of traced_command left behind."""

    def __init__(self, done, spans):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr
        self.spans = spans
        self.by_id = {s.span_id: s for s in spans}
        counts = [line for line in self.err.splitlines() if line.startswith('{"calls"')]
        self.counts = json.loads(counts[-1]) if counts else None

    def calls(self, name=None):
        return [s for s in self.spans if s.name.startswith("syscall: ") and name in (None, s.attributes["syscall.name"])]

    def processes(self):
        return [s for s in self.spans if s.name.startswith("process")]

    def parent(self, span):
        return self.by_id.get(span.parent_id)


class SyscallTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="loom-syscalls-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.environment = clean_environment(LOOM_SPANS_FILE=self.folder / "spans.jsonl")

    def spans(self):
        path = self.folder / "spans.jsonl"
        return parse_lines(path.read_text()) if path.exists() else []

    def traced(self, *arguments, code=0, given=None, **changes):
        done = subprocess.run([TRACED, *map(str, arguments)], env={**self.environment, **changes}, cwd=self.folder, text=True,
                              capture_output=True, timeout=50, errors="replace",
                              **({"input": given} if given is not None else {"stdin": subprocess.DEVNULL}))
        self.assertEqual(done.returncode, code, f"{arguments}\n{done.stdout}{done.stderr}")
        traced = Traced(done, self.spans())
        self.assert_connected(traced)
        return traced

    def assert_connected(self, traced):
        """Each call is below its own process, each process below its parent or the command; times are within."""
        for span in traced.calls():
            process = traced.parent(span)
            self.assertIsNotNone(process, span)
            self.assertEqual(process.attributes["process.pid"], span.attributes["process.pid"])
            self.assertLessEqual(span.start_ns, span.end_ns)
            self.assertGreaterEqual(span.start_ns, process.start_ns)
            self.assertLessEqual(span.end_ns, process.end_ns)
        for span in traced.processes():
            above = traced.parent(span)
            self.assertIsNotNone(above, span)
            self.assertTrue(above.name == "command" or above.attributes["process.pid"] == span.attributes["process.parent_pid"], span)

    def start(self, *command, **popen):
        process = subprocess.Popen(list(map(str, command)), env=self.environment, cwd=self.folder, text=True, bufsize=1,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **popen)
        self.addCleanup(self.stop, process)
        return process

    def stop(self, process):
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()

    def next_line(self, stream, what):
        self.assertTrue(select.select([stream], [], [], DEADLINE_S)[0], f"no line: {what}")
        line = stream.readline()
        self.assertTrue(line, f"it ended: {what}")
        return line.strip()

    def assert_goes_on(self, stream, lines=3):
        for _ in range(lines):
            self.assertGreater(int(self.next_line(stream, "it opens files, one call after the other")), 0)


class Spans(SyscallTest):
    def test_processes_are_below_their_parents_and_calls_below_their_process(self):
        t = self.traced("--set", "execve,openat,wait4", "--", "/bin/sh", "-c", "ls / >/dev/null; cat nothing; exit 3", code=3)
        shell, = (p for p in t.processes() if t.parent(p).name == "command")
        children = {p.attributes["process.executable.name"]: p for p in t.processes() if p is not shell}
        self.assertEqual(set(children), {"ls", "cat"})
        self.assertTrue(all(t.parent(p) is shell for p in children.values()))
        self.assertEqual(children["cat"].attributes["process.exit.code"], 1)
        self.assertEqual(children["cat"].attributes["error.type"], "exit_1")
        self.assertEqual(children["ls"].attributes["process.command_args"], ["ls", "/"])
        self.assertEqual(children["ls"].attributes["process.working_directory"], str(self.folder))
        self.assertEqual((shell.attributes["process.exit.code"], shell.status), (3, 2))
        failed, = (s for s in t.calls("openat") if s.attributes.get("file.path") == "nothing")
        self.assertIs(t.parent(failed), children["cat"])
        self.assertEqual((failed.attributes["error.type"], failed.status, failed.attributes["syscall.result"]), ("ENOENT", 2, -2))
        self.assertTrue(all(s.kind == "INTERNAL" for s in t.spans))
        waits = [s for s in t.calls("wait4") if s.attributes["syscall.result"] > 0]
        self.assertEqual({s.attributes["syscall.result"] for s in waits}, {p.attributes["process.pid"] for p in children.values()})

    def test_what_arguments_mean(self):
        code = """
import os, socket, select, time
os.mkdir("d"); d = os.open("d", os.O_RDONLY)
os.close(os.open("f", os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o640, dir_fd=d))
os.rename("f", "g", src_dir_fd=d, dst_dir_fd=d)
os.read(os.open("d/g", os.O_RDONLY), 10)
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(3)
c = socket.socket(); c.connect(s.getsockname()); s.accept()
u = socket.socket(socket.AF_UNIX)
for name in ("nobody", "\\0abstract"):
    try: u.connect(name)
    except OSError: pass
select.poll().poll(7); time.sleep(0.02); os.kill(os.getpid(), 0)
"""
        t = self.traced("--set", "file,network,desc,kill,default", "--", *PYTHON, "-c", code)

        def one(name, **wanted):
            found = [s for s in t.calls(name) if all(s.attributes.get(k.replace("__", ".")) == v for k, v in wanted.items())]
            self.assertTrue(found, f"{name} {wanted}: {[s.attributes for s in t.calls(name)][-5:]}")
            return found[0].attributes

        self.assertEqual(one("mkdir", file__path="d")["syscall.mode"], "0777")
        created = one("openat", file__path=f"{self.folder}/d/f")
        self.assertEqual((created["syscall.flags"], created["syscall.mode"]), ("O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC", "0640"))
        self.assertEqual(one("renameat", file__path=f"{self.folder}/d/f")["syscall.new_path"], f"{self.folder}/d/g")
        self.assertEqual(one("read", syscall__fd_path=f"{self.folder}/d/g")["syscall.size"], 10)
        port = one("getsockname")["network.local.port"]
        self.assertEqual(one("bind")["network.local.address"], "127.0.0.1")
        peer = one("connect", network__type="ipv4")
        self.assertEqual((peer["network.peer.address"], peer["network.peer.port"]), ("127.0.0.1", port))
        self.assertEqual(one("accept4")["network.peer.address"], "127.0.0.1")
        self.assertEqual(one("connect", network__peer__address="nobody")["error.type"], "ENOENT")
        one("connect", network__peer__address="@abstract")
        self.assertEqual(one("poll")["syscall.timeout_ms"], 7)
        self.assertEqual(one("clock_nanosleep", syscall__result=0)["process.pid"], one("kill")["syscall.pid"])
        slept, = t.calls("clock_nanosleep")
        self.assertGreater(slept.end_ns - slept.start_ns, 1_000_000)  # until a time that Python chose before it was stopped

    def test_paths_are_those_of_the_program_that_runs_after_many_looks_at_another(self):
        code = """
import os, sys
name, again = sys.argv[1], sys.argv[2:]
os.makedirs(f"in-{name}"); d = os.open(f"in-{name}", os.O_RDONLY)
for i in range(40):
    os.access(f"{name}-{i}", os.F_OK, dir_fd=d)
    os.access(f"{name * 400}-{i}", os.F_OK)
os.close(d)
if again: os.execv(sys.orig_argv[0], [*sys.orig_argv[:-2], again[0]])
"""
        t = self.traced("--set", "faccessat,faccessat2,access", "--", *PYTHON, "-c", code, "first", "second")
        paths = [s.attributes.get("file.path") for s in t.calls()]
        for name in ("first", "second"):
            for i in range(40):
                self.assertIn(f"{self.folder}/in-{name}/{name}-{i}", paths)
                self.assertIn(f"{name * 400}-{i}", paths)

    def test_a_descriptor_leads_where_it_leads_at_the_call(self):
        """Also one whose number served for other folders before."""
        code = """
import os
for name in ("one", "two", "three"):
    os.mkdir(name); d = os.open(name, os.O_RDONLY)
    assert d == 3, d
    for i in range(20): os.access(f"{name}-{i}", os.F_OK, dir_fd=d)
    os.rename(name, name + "-again")
    for i in range(20): os.access(f"{name}-later-{i}", os.F_OK, dir_fd=d)
    os.close(d)
"""
        t = self.traced("--set", "faccessat,faccessat2", "--", *PYTHON, "-c", code)
        paths = [s.attributes.get("file.path") for s in t.calls()]
        for name in ("one", "two", "three"):
            for i in range(20):
                self.assertIn(f"{self.folder}/{name}/{name}-{i}", paths)
                self.assertIn(f"{self.folder}/{name}-again/{name}-later-{i}", paths)

    def test_an_answer_is_no_error(self):
        code = "import os\nos.path.exists('no')\ntry: open('no')\nexcept OSError: pass\ntry: os.mkdir('/proc/no')\nexcept OSError: pass"
        t = self.traced("--set", "file", "--", *PYTHON, "-c", code)
        probe, = (s for s in t.calls() if s.attributes.get("file.path") == "no" and "openat" not in s.name)
        self.assertEqual((probe.status, probe.attributes["syscall.errno"], probe.attributes.get("error.type")), (0, "ENOENT", None))
        missing, = (s for s in t.calls("openat") if s.attributes.get("file.path") == "no")
        self.assertEqual((missing.status, missing.attributes["error.type"]), (2, "ENOENT"))
        self.assertEqual([s.attributes["error.type"] for s in t.calls("mkdir")], ["ENOENT"])

    def test_only_what_is_wanted_becomes_a_span(self):
        slow = self.traced("--min-duration-ns", 10_000_000, "--set", "all", "--", "/bin/sleep", "0.05")
        self.assertIn("clock_nanosleep", [s.attributes["syscall.name"] for s in slow.calls()])
        self.assertTrue(all(s.end_ns - s.start_ns >= 10_000_000 for s in slow.calls()))
        self.assertGreater(slow.counts["calls"], 2 * len(slow.calls()))
        (self.folder / "spans.jsonl").unlink()
        wrong = self.traced("--errors-only", "--set", "file", "--", "/bin/cat", "nothing", code=1)
        self.assertEqual([s.attributes["file.path"] for s in wrong.calls() if s.attributes["syscall.name"] == "openat"], ["nothing"])
        (self.folder / "spans.jsonl").unlink()
        some = self.traced("--sample", 0.1, "--json", "--set", "openat", "--", *SUBJECT, "opens", 2000)
        self.assertTrue(100 <= len(some.calls()) <= 320, len(some.calls()))
        summary = json.loads(next(line for line in some.err.splitlines() if line.startswith('{"syscalls"')))["syscalls"]
        self.assertGreaterEqual(summary[0]["calls"], 2000)
        self.assertTrue(0 < summary[0]["p50_ns"] <= summary[0]["p99_ns"] <= summary[0]["max_ns"] <= summary[0]["total_ns"])

    def test_the_search_for_the_command_is_not_in_its_trace(self):
        for folder in ("first", "second", "second/true"):
            (self.folder / folder).mkdir()
        done = subprocess.run([harness.BIN / "loom", "exec", "--syscalls=execve", "--", "true"], capture_output=True, timeout=50,
                              env={**self.environment, "OTEL_TRACES_EXPORTER": "otlp/file",
                                   "PATH": f"{self.folder}/first:{self.folder}/second:/usr/bin"})
        self.assertEqual((0, b""), (done.returncode, done.stderr))
        calls = [s for s in self.spans() if s.name == "syscall: execve"]
        self.assertEqual([("/usr/bin/true", 0)], [(s.attributes["file.path"], s.attributes["syscall.result"]) for s in calls])

    def test_an_unsampled_trace_has_no_spans_and_a_summary(self):
        t = self.traced("--unsampled", "--summary", "--", "/bin/ls", "/")
        self.assertEqual(t.spans, [])
        self.assertRegex(t.err, r"openat +\d+")
        self.assertGreater(t.counts["calls"], 0)

    def test_no_call_is_lost_of_a_find_over_a_tree(self):
        for folder in range(20):
            (self.folder / f"tree/{folder}").mkdir(parents=True)
            for file in range(100):
                (self.folder / f"tree/{folder}/{file}").touch()
        t = self.traced("--set", "%file", "--summary", "--", "find", "tree", "-size", "+1G", OTEL_BSP_MAX_QUEUE_SIZE="512")
        self.assertEqual(t.counts["lost"], 0)
        self.assertEqual(t.counts["spans"], len(t.calls()))
        self.assertEqual(t.counts["calls"], t.counts["spans"])
        paths = {os.path.basename(s.attributes["file.path"]) for s in t.calls("newfstatat")}
        self.assertTrue({str(n) for n in range(100)} <= paths)

    def test_a_database_syncs_its_journal(self):
        code = "import sqlite3\nc = sqlite3.connect('a.db')\nc.execute('create table t (x)')\nc.execute('insert into t values (1)')\nc.commit()"
        t = self.traced("--", *PYTHON, "-c", code)
        synced = {os.path.basename(s.attributes["syscall.fd_path"]) for s in t.calls("fdatasync") + t.calls("fsync")}
        self.assertIn("a.db", synced)

    def test_a_set_that_makes_no_sense_is_named_and_the_command_runs(self):
        t = self.traced("--set", "opnat", "--", "/bin/echo", "ran")
        self.assertIn('"opnat" is neither a system call nor a class', t.err)
        self.assertIn('"openat"', t.err)
        self.assertEqual(t.out, "ran\n")

    def test_the_source_of_a_call_is_its_first_caller_outside_the_c_library(self):
        t = self.traced("--source", "--set", "openat", "--", *SUBJECT, "opens", 3)
        found = [s.attributes for s in t.calls("openat") if s.attributes.get("file.path") == "/dev/null"]
        self.assertEqual(len(found), 3)  # also where the compiler has made it a part of its caller
        for attributes in found:
            self.assertEqual(attributes["code.function.name"], "open_something")
        if "code.file.path" in found[0]:  # built with debug information
            text = pathlib.Path(__file__).parent.joinpath("syscalls/syscall_subject.c").read_text().splitlines()
            self.assertIn("open(", text[found[0]["code.line.number"] - 1])
            self.assertEqual(os.path.basename(found[0]["code.file.path"]), "syscall_subject.c")

    def built(self, source, *flags):
        """A program of this source, in C++; the test is skipped where none can be made."""
        path = self.folder / "made.cc"
        path.write_text(source)
        made = subprocess.run(["c++", "-g", "-O0", "-o", self.folder / "made", path, *flags], capture_output=True, text=True)
        if made.returncode != 0:
            self.skipTest(f"it cannot be built: {made.stderr[-200:]}")
        return self.folder / "made"

    @unittest.skipUnless(shutil.which("c++"), "there is no compiler for C++")
    def test_the_name_of_a_function_says_what_it_is_in(self):
        program = self.built("""#include <fcntl.h>
            namespace app { struct Config { int load(const char *path); }; namespace { template <class T> int other(T p) { return open(p, 0); } } }
            int app::Config::load(const char *path) { return open(path, 0); }
            extern "C" int plain(const char *path) { return open(path, 0); }
            int main() { app::Config().load("/dev/null"); app::other("/dev/null"); plain("/dev/null"); }""")
        t = self.traced("--source", "--set", "openat", "--", program)
        self.assertEqual(["app::Config::load", "app::(anonymous namespace)::other<char const*>", "plain"],
                         [s.attributes["code.function.name"] for s in t.calls("openat") if s.attributes["file.path"] == "/dev/null"])

    @unittest.skipUnless(shutil.which("c++"), "there is no compiler for C++")
    def test_a_c_library_without_a_file_of_its_own_is_none_of_the_callers(self):
        program = self.built('#include <fcntl.h>\nint look(const char *p) { return open(p, 0); }\nint main() { look("/dev/null"); }', "-static")
        t = self.traced("--source", "--set", "openat", "--", program)
        call, = (s.attributes for s in t.calls("openat") if s.attributes["file.path"] == "/dev/null")
        self.assertEqual(("made.cc", 2, "look"), (os.path.basename(call["code.file.path"]), call["code.line.number"], call["code.function.name"]))

    def test_a_source_map_leads_to_the_original(self):
        text = pathlib.Path(__file__).parent.joinpath("syscalls/syscall_subject.c").read_text().splitlines()
        line = next(n for n, l in enumerate(text, 1) if "open(\"/dev/null\"" in l)
        path = self.folder / "map.json"
        path.write_text(json.dumps({"version": 1, "source_language": "Python", "mappings": [
            {"generated_file": "syscall_subject.c", "generated_line": line, "original_file": "app.py", "original_line": 15,
             "original_function": "read_config", "decision_id": "inline-7"}]}))
        t = self.traced("--source-map", path, "--set", "openat", "--", *SUBJECT, "opens", 1)
        call, = (s for s in t.calls("openat") if s.attributes.get("file.path") == "/dev/null")
        if "code.line.number" not in call.attributes:
            self.skipTest("built without debug information")
        self.assertEqual({k: v for k, v in call.attributes.items() if k.startswith("transpiler.")},
                         {"transpiler.source_language": "Python", "transpiler.original_file": "app.py", "transpiler.original_line": 15,
                          "transpiler.original_function": "read_config", "transpiler.decision_id": "inline-7"})


class Undisturbed(SyscallTest):
    """syscall_subject ends with 0 if nothing was other than without a tracer."""

    def case(self, *arguments, processes, **options):
        t = self.traced("--set", "default,desc,process", "--", *SUBJECT, *arguments, **options)
        self.assertEqual(t.counts["processes"], processes)
        self.assertEqual(len(t.processes()), processes)
        self.assertEqual(t.counts["unfiltered"], 0)
        return t

    def test_a_thousand_children(self):
        t = self.case("forks", 1000, processes=1001)
        self.assertEqual(len([s for s in t.calls("openat") if s.attributes.get("file.path") == "/dev/null"]), 1000)

    def test_threads(self):
        t = self.case("threads", 100, processes=1)
        self.assertEqual(t.counts["threads"], 100)
        opened = [s.attributes for s in t.calls("openat") if s.attributes.get("file.path") == "/dev/null"]
        self.assertEqual(len({a["thread.id"] for a in opened}), 100)

    def test_vfork(self):
        t = self.case("vfork", processes=2)
        self.assertEqual(sorted(p.name for p in t.processes()), ["process: syscall_subject", "process: true"])

    def test_children_that_want_no_tracer_or_another_parent(self):
        self.case("clone", processes=5)

    def test_a_thread_that_runs_another_program(self):
        t = self.case("thread-exec", processes=1)
        self.assertEqual(t.out, "from a thread\n")
        process, = t.processes()
        self.assertEqual(process.name, "process: echo")
        self.assertEqual([attributes["process.executable.path"] for _, attributes in process.events], [SUBJECT[0], "/usr/bin/echo"])

    def test_a_thread_that_ends_all_others(self):
        self.case("thread-exit", processes=1)

    def test_children_killed_in_the_middle_of_a_call(self):
        t = self.case("kill", processes=51)
        killed = [p for p in t.processes() if p.attributes.get("error.type") == "signal_9"]
        self.assertEqual(len(killed), 50)

    def test_signals_arrive_with_what_they_carry(self):
        self.case("signals", processes=1)

    def test_a_sleep_that_is_stopped_and_continued(self):
        self.case("stops", processes=2)

    def test_job_control(self):
        self.case("job-control", processes=2)

    def test_a_signal_interrupts_a_call(self):
        t = self.case("interrupted", processes=1)
        self.assertTrue(all(s.status == 0 for s in t.calls("clock_nanosleep")))

    def test_a_sandbox_of_its_own(self):
        self.case("sandbox", processes=1)

    def test_calls_of_another_architecture_pass(self):
        self.case("foreign", processes=1)

    @unittest.skipUnless(os.uname().machine == "x86_64", "a program of i386")
    def test_a_program_of_another_architecture_is_counted(self):
        program = self.folder / "exits"
        code = bytes.fromhex("b801000000" "31db" "cd80")  # exit(0)
        header = struct.pack("<4sBBBB8xHHIIIIIHHHHHH", b"\x7fELF", 1, 1, 1, 0, 2, 3, 1, 0x8048054, 52, 0, 0, 52, 32, 1, 0, 0, 0)
        segment = struct.pack("<IIIIIIII", 1, 0, 0x8048000, 0x8048000, 84 + len(code), 84 + len(code), 5, 0x1000)
        program.write_bytes(header + segment + code)
        program.chmod(0o755)
        if subprocess.run([program]).returncode != 0:
            self.skipTest("this kernel does not run it")
        t = self.traced("--set", "all", "--", program)
        self.assertEqual(t.counts["foreign"], 1)
        self.assertEqual(t.processes()[0].name, "process: exits")

    def test_a_debugger_is_told_of(self):
        t = self.case("debugger", processes=2)
        self.assertEqual(t.counts["debuggers"], 1)

    def test_the_command_ends_as_it_ends(self):
        t = self.traced("--", "/bin/sh", "-c", "kill -TERM $$", code=128 + signal.SIGTERM)
        process, = t.processes()
        self.assertEqual((process.attributes["error.type"], process.attributes["process.exit.code"]), ("signal_15", 143))

    def test_a_tracer_inside_a_tracer_is_refused_and_the_command_runs(self):
        # what is traced, the leak sanitizer cannot look at
        t = self.traced("--quiet", "--", "/usr/bin/env", "ASAN_OPTIONS=detect_leaks=0", TRACED, "--", "/bin/echo", "ran")
        self.assertEqual(t.out, "ran\n")
        self.assertIn("traces process", t.err)

    @unittest.skipUnless(AS_ROOT, "needs root")
    def test_without_privileges_the_filter_needs_no_new_privs(self):
        if os.stat(TRACED).st_mode & 5 != 5 or subprocess.run(["setpriv", "--reuid=65534", TRACED, "--", "/bin/true"],
                                                              capture_output=True).returncode != 0:
            self.skipTest("others may not run the programs of this build")
        os.chmod(self.folder, 0o777)
        done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", TRACED, "--", "grep", "NoNewPrivs", "/proc/self/status"],
                              env=self.environment, cwd=self.folder, capture_output=True, text=True, timeout=50)
        self.assertEqual((done.returncode, done.stdout.split()), (0, ["NoNewPrivs:", "1"]), done.stderr)
        self.assertTrue(Traced(done, self.spans()).calls("openat"))


class Killed(SyscallTest):
    def test_a_command_goes_on_when_its_tracers_owner_is_killed(self):
        process = self.start(TRACED, "--quiet", "--set", "all", "--", *SUBJECT, "goes-on", start_new_session=True)
        pid = int(self.next_line(process.stdout, "its pid"))
        self.assert_goes_on(process.stdout, 1)
        process.kill()
        process.wait()
        tracer = tracer_of(pid)
        self.assertGreater(tracer, 0)
        self.assert_goes_on(process.stdout)
        process.stdin.close()
        wait_until(lambda: tracer_of(pid) is None, "it ends by itself")
        wait_until(lambda: tracer_of(tracer) is None or "\nState:\tZ" in pathlib.Path(f"/proc/{tracer}/status").read_text(), "and its tracer")

    def test_signals_of_the_terminal_do_not_end_the_tracer(self):
        process = self.start(TRACED, "--quiet", "--set", "all", "--", *SUBJECT, "goes-on", start_new_session=True)
        pid = int(self.next_line(process.stdout, "its pid"))
        tracer = wait_until(lambda: tracer_of(pid), "it is traced")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGSEGV):
            os.kill(tracer, number)
        self.assert_goes_on(process.stdout)
        process.stdin.close()
        self.assertEqual(process.wait(DEADLINE_S), 0)

    def test_what_a_command_leaves_behind_goes_on(self):
        process = self.start(TRACED, "--quiet", "--set", "all", "--", "/bin/sh", "-c", f"exec 3<&0; {' '.join(SUBJECT)} goes-on <&3 &")
        pid = int(self.next_line(process.stdout, "its pid"))
        self.assertEqual(process.wait(DEADLINE_S), 0)
        self.assertGreater(tracer_of(pid), 0)
        self.assert_goes_on(process.stdout)
        process.stdin.close()
        wait_until(lambda: tracer_of(pid) is None, "it ends")


class Crashed(SyscallTest):
    """libdw breaks down in the tracer, at the first program that it looks at."""

    def crashed(self, how, *command, code=0, options=(), given=""):
        loom = [harness.BIN / "loom", "exec", "--syscalls=all", "--source", *options, "--", *command]
        environment = {**self.environment, "LD_LIBRARY_PATH": str(TESTS / "broken"), "LOOM_TEST_CRASH": how}
        done = subprocess.run(loom, env=environment, cwd=self.folder, text=True, capture_output=True, timeout=50, input=given)
        self.assertEqual(code, done.returncode, done.stderr)
        return done

    def test_the_command_goes_on_whatever_it_does(self):
        for case in ("forks", "100"), ("threads", "20"), *(("vfork",), ("clone",), ("thread-exec",), ("thread-exit",), ("kill",), ("signals",),
                                                           ("stops",), ("job-control",), ("interrupted",), ("sandbox",), ("foreign",)):
            with self.subTest(case):
                self.crashed("segv", *SUBJECT, *case)

    def test_whatever_the_crash_is(self):
        for how, number in ("segv", signal.SIGSEGV), ("abort", signal.SIGABRT), ("stack", signal.SIGSEGV):
            with self.subTest(how):
                done = self.crashed(how, "sh", "-c", "cat; sh -c 'exit 3'; echo $?; kill -TERM $$", code=128 + signal.SIGTERM, given="in\n")
                self.assertEqual("in\n3\n", done.stdout)
                self.assertIn(f"system calls were traced in part only: the tracer crashed (signal {number}); "
                              "its debug information may be broken: run it without --source", done.stderr)

    @unittest.skipIf(b"libtsan.so" in (harness.BIN / "loom").read_bytes(), "the thread sanitizer puts a signal off until a loop ends")
    def test_what_takes_too_long_is_given_up(self):
        done = self.crashed("hang", *SUBJECT, "opens", "1000")
        self.assertIn("the source of one was not found within 10 s", done.stderr)

    def test_a_running_process_is_let_go(self):
        subject = self.start(*SUBJECT, "goes-on", "3")
        pid = int(self.next_line(subject.stdout, "its pid"))
        self.environment |= {"LD_LIBRARY_PATH": str(TESTS / "broken")}
        tracer = self.start(TRACED, "--set", "all", "--source", "--pid", pid)
        self.assertEqual("attached", self.next_line(tracer.stderr, "whether it is attached"))
        wait_until(lambda: tracer_of(pid) == 0, "it is let go")
        self.assert_goes_on(subject.stdout)
        tracer.send_signal(signal.SIGTERM)
        self.assertEqual(0, tracer.wait(DEADLINE_S))
        self.assertIn(f'"crashed":{int(signal.SIGSEGV)}}}', tracer.stderr.read())


class Attached(SyscallTest):
    def running(self, *arguments):
        subject = self.start(*SUBJECT, "goes-on", *arguments)
        pid = int(self.next_line(subject.stdout, "its pid"))
        tracer = self.start(TRACED, "--set", "openat,fork,clone", "--pid", pid)
        self.assertEqual(self.next_line(tracer.stderr, "whether it is attached"), "attached")
        return subject, pid, tracer

    def test_a_process_with_threads_is_traced_and_left_as_it_was(self):
        subject, pid, tracer = self.running(3)
        self.assertGreater(tracer_of(pid), 0)
        self.assert_goes_on(subject.stdout)
        tracer.send_signal(signal.SIGTERM)
        _, err = tracer.communicate(timeout=DEADLINE_S)
        wait_until(lambda: all(tracer_of(f"{pid}/task/{t}") == 0 for t in os.listdir(f"/proc/{pid}/task")), "it is let go")
        self.assert_goes_on(subject.stdout)
        subject.stdin.close()
        self.assertEqual(subject.wait(DEADLINE_S), 0)
        t = Traced(subprocess.CompletedProcess([], 0, "", err), self.spans())
        self.assert_connected(t)
        self.assertGreaterEqual(t.counts["threads"], 3)
        first = next(p for p in t.processes() if p.attributes["process.pid"] == pid)
        self.assertEqual(first.name, "process: syscall_subject")
        self.assertTrue(all(s.attributes["file.path"] == "/dev/null" for s in t.calls("openat")))
        self.assertGreater(len(t.calls("openat")), 100)
        self.assertGreater(len(t.processes()), 1)

    def test_it_is_let_go_when_the_tracers_owner_is_killed(self):
        """Also when so many threads call at once that somebody always has something to tell it."""
        subject, pid, tracer = self.running(16)
        tracer.kill()
        wait_until(lambda: all(tracer_of(f"{pid}/task/{t}") == 0 for t in os.listdir(f"/proc/{pid}/task")), "it is let go")
        self.assert_goes_on(subject.stdout)
        subject.stdin.close()
        self.assertEqual(subject.wait(DEADLINE_S), 0)

    def test_a_stopped_process_stays_stopped(self):
        subject = self.start(*SUBJECT, "goes-on")
        pid = int(self.next_line(subject.stdout, "its pid"))
        os.kill(pid, signal.SIGSTOP)
        state = lambda: re.search(r"State:\s*(\w)", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1)  # noqa: E731
        wait_until(lambda: state() == "T", "it stops")
        tracer = self.start(TRACED, "--pid", pid)
        self.assertEqual(self.next_line(tracer.stderr, "whether it is attached"), "attached")
        tracer.send_signal(signal.SIGTERM)
        self.assertEqual(tracer.wait(DEADLINE_S), 0)
        wait_until(lambda: tracer_of(pid) == 0, "it is let go")
        wait_until(lambda: state() == "T", "it is stopped again")
        os.kill(pid, signal.SIGCONT)
        self.assert_goes_on(subject.stdout)

    @unittest.skipUnless(os.uname().machine == "x86_64", "x86-64 alone")
    def test_calls_that_wait_go_on(self):
        """Those that the kernel does not begin again when a tracer has stopped them; a signal still ends them."""
        waits = {"epoll_wait": ("l.epoll_wait(l.epoll_create1(0), room, 1, 800)", 0, 0),
                 "rt_sigtimedwait": ("l.sigtimedwait(set, None, time)", -1, errno.EAGAIN),
                 "semtimedop": ("l.semtimedop(semaphores, operation, 1, time)", -1, errno.EAGAIN)}
        for name, (call, result, error) in waits.items():
            for killed in False, True:
                with self.subTest(f"{name} {killed}"):
                    subject = self.start(*PYTHON, "-c", f"""
import ctypes, signal, struct
l = ctypes.CDLL(None, use_errno=True)
signal.signal(signal.SIGUSR1, lambda *_: None)
set, room, time = ctypes.create_string_buffer(128), ctypes.create_string_buffer(64), struct.pack("ll", 0, 800_000_000)
l.sigemptyset(set), l.sigaddset(set, int(signal.SIGUSR2)), l.sigprocmask(0, set, None)
semaphores, operation = l.semget(0, 1, 0o600 | 0o1000), struct.pack("Hhh", 0, -1, 0)
try:
    print(input(), flush=True)
    print({call}, ctypes.get_errno(), flush=True)
    input()
    time = struct.pack("ll", 50, 0)
    print({call.replace("800", "50_000")}, ctypes.get_errno(), flush=True)
finally:
    l.semctl(semaphores, 0, 0)""")
                    for end in "leave", "signal":
                        subject.stdin.write(f"{end}\n")
                        subject.stdin.flush()
                        if end == "leave":
                            self.assertEqual("leave", self.next_line(subject.stdout, "it begins"))
                        wait_until(lambda: self.waits_in(subject.pid, name), "it waits")
                        tracer = self.start(TRACED, "--set", "none,epoll_wait,rt_sigtimedwait,semtimedop", "--pid", subject.pid)
                        self.assertEqual("attached", self.next_line(tracer.stderr, "whether it is attached"))
                        wait_until(lambda: self.waits_in(subject.pid, name), "it waits again")
                        if end == "signal":  # one that comes before the call is begun again ends nothing, as ever
                            wait_until(lambda: subject.send_signal(signal.SIGUSR1) or select.select([subject.stdout], [], [], 0.05)[0], "its end")
                        elif killed:
                            tracer.kill()
                        else:
                            tracer.send_signal(signal.SIGTERM)
                        self.assertEqual(f"{result} {error}" if end == "leave" else f"-1 {int(errno.EINTR)}",
                                         self.next_line(subject.stdout, "its call has ended"))
                        tracer.terminate()
                        tracer.wait(DEADLINE_S)
                    self.assertEqual(0, subject.wait(DEADLINE_S))

    @staticmethod
    def waits_in(pid, name):
        numbers = {"epoll_wait": 232, "rt_sigtimedwait": 128, "semtimedop": 220}
        return pathlib.Path(f"/proc/{pid}/syscall").read_text().split()[0] == str(numbers[name])

    def test_the_end_of_its_tracer_is_noticed(self):
        subject = self.start(*SUBJECT, "goes-on")
        pid = int(self.next_line(subject.stdout, "its pid"))
        self.environment["OTEL_TRACES_EXPORTER"] = "otlp/file"
        loom = self.start(harness.BIN / "loom", "exec", "--pid", pid)
        wait_until(self.spans, "its calls are spans")
        os.kill(tracer_of(pid), signal.SIGKILL)
        self.assertEqual(0, loom.wait(DEADLINE_S))
        self.assertIn("system calls were traced in part only: the tracer was killed\n", loom.stderr.read())
        self.assert_goes_on(subject.stdout)

    def test_its_end_is_noticed(self):
        subject, pid, tracer = self.running(0)
        subject.stdin.close()
        self.assertEqual(tracer.wait(DEADLINE_S), 0)
        self.assertEqual(subject.wait(DEADLINE_S), 0)

    def test_a_process_that_is_not_there(self):
        self.assertIn(f"cannot follow process {2 ** 22 + 1}: No such process", self.traced("--pid", 2 ** 22 + 1, code=1).err)

    def test_a_process_that_nobody_has_waited_for(self):
        ended = self.start("true")
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        self.assertIn(f"process {ended.pid} has ended", self.traced("--pid", ended.pid, code=1).err)

    def test_a_process_that_somebody_traces_already(self):
        _, pid, _ = self.running(0)
        done = subprocess.run([TRACED, "--pid", str(pid)], env=clean_environment(), capture_output=True, text=True, timeout=50)
        self.assertRegex(done.stderr, rf"process \d+ \(a debugger.*traces process {pid} already")

    @unittest.skipUnless(AS_ROOT, "needs root")
    def test_a_process_of_somebody_else(self):
        done = subprocess.run(["setpriv", "--reuid=65534", TRACED, "--pid", str(os.getpid())], env=clean_environment(), cwd="/",
                              capture_output=True, text=True, timeout=50)
        if "not permitted" not in done.stderr and done.returncode in (126, 127):
            self.skipTest("others may not run the programs of this build")
        self.assertRegex(done.stderr, "ptrace is not permitted|ptrace_scope")


if __name__ == "__main__":
    unittest.main()
