# SPDX-License-Identifier: Apache-2.0
"""`loom exec` as a wrapper: what the command gets, what the caller gets, and the span in between."""

import os
import signal
import socket
import subprocess
import sys
import time
import unittest

from exec_command import LOOM, PARENT, SPAN, TRACE, ExecTest
from harness import SANITIZER


PYTHON = sys.executable


class Span(ExecTest):
    def test_a_command_is_a_span_with_the_conventions_attributes(self):
        self.run_exec("/bin/sh", "-c", "exit 0")
        span = self.span("sh")
        self.assertEqual(("CLIENT", 0, "loom-exec", ""), (span.kind, span.status, span.service, span.parent_id))
        self.assertEqual(("sh", "/bin/sh", 0, ["/bin/sh", "-c", "exit 0"], 3),
                         tuple(span.attributes[f"process.{key}"] for key in
                               ("executable.name", "executable.path", "exit.code", "command_args", "args_count")))
        self.assertGreater(span.attributes["process.pid"], 1)
        self.assertNotIn("error.type", span.attributes)

    def test_an_exit_code_is_an_error(self):
        self.run_exec("sh", "-c", "exit 42", code=42)
        span = self.span("sh")
        self.assertEqual((2, 42, "exit_42"), (span.status, span.attributes["process.exit.code"], span.attributes["error.type"]))

    def test_a_signal_is_an_error_and_128_more(self):
        self.run_exec("sh", "-c", "kill -9 $$", code=137)
        span = self.span("sh")
        self.assertEqual((2, 137, "signal_9"), (span.status, span.attributes["process.exit.code"], span.attributes["error.type"]))

    def test_secrets_of_the_command_line_are_masked(self):
        self.run_exec("true", "--password", "hunter2", "--api-key=abc", "-v", "https://u:pw@host/", "a@example.com")
        self.assertEqual(["true", "--password", "[masked]", "--api-key=[masked]", "-v", "https://u:[masked]@host/", "[mail]"],
                         self.span("true").attributes["process.command_args"])

    def test_options_shape_the_span(self):
        self.run_exec("true", options=("--name", "build", "--service", "ci", "--attr", "branch=main", "--attr", "empty="))
        span = self.span("build")
        self.assertEqual(("ci", "main", ""), (span.service, span.attributes["branch"], span.attributes["empty"]))

    def test_endless_arguments_are_bounded(self):
        self.run_exec("true", "x" * 100_000, *["y"] * 5000)
        args = self.span("true").attributes
        self.assertEqual((5002, 64), (args["process.args_count"], len(args["process.command_args"])))
        self.assertEqual(1024, len(args["process.command_args"][1]))


class Trace(ExecTest):
    def variables(self, **more):
        done = self.run_exec("env", "-0", **more)
        return dict(line.split("=", 1) for line in done.stdout.decode().split("\0") if line)

    def test_the_command_is_told_its_own_span(self):
        seen = self.variables(TRACEPARENT=PARENT, TRACESTATE="a=b", BAGGAGE="tenant_id=acme")
        span = self.span("env")
        self.assertEqual((TRACE, SPAN), (span.trace_id, span.parent_id))
        self.assertEqual(f"00-{TRACE}-{span.span_id}-01", seen["TRACEPARENT"])
        self.assertEqual((TRACE, span.span_id, "tenant_id=acme", "tenant_id=acme", "a=b"),
                         tuple(seen[name] for name in
                               ("LOOM_TRACE_ID", "LOOM_SPAN_ID", "LOOM_TRACE_BAGGAGE", "BAGGAGE", "TRACESTATE")))

    def test_the_rest_of_the_environment_is_as_it_was(self):
        seen = self.variables(PYTHONPATH="/p", NODE_PATH="/n", ODD="a\nb=c")
        self.assertEqual(("/p", "/n", "a\nb=c"), (seen["PYTHONPATH"], seen["NODE_PATH"], seen["ODD"]))

    def test_an_option_goes_before_the_environment(self):
        self.run_exec("true", options=("--trace-parent", PARENT), TRACEPARENT="00-" + "1" * 32 + "-" + "2" * 16 + "-01")
        self.assertEqual(TRACE, self.span("true").trace_id)

    def test_a_bad_trace_parent_is_told_and_the_command_runs(self):
        done = self.run_exec("echo", "ran", options=("--trace-parent", "nonsense"))
        self.assertEqual(b"ran\n", done.stdout)
        self.assertIn(b"--trace-parent", done.stderr)
        self.assertEqual("", self.span("echo").parent_id)

    def test_an_unsampled_trace_is_passed_on_and_not_exported(self):
        seen = self.variables(TRACEPARENT=PARENT[:-2] + "00")
        self.assertTrue(seen["TRACEPARENT"].startswith(f"00-{TRACE}-") and seen["TRACEPARENT"].endswith("-00"))
        self.assertNotIn("LOOM_TRACE_ID", seen)
        self.assertEqual([], self.spans())

    def test_a_process_that_nobody_would_see_anything_of_is_not_followed_and_the_reason_is_told(self):
        for options in ("--pid", os.getpid()), ("--no-trace-when-unsampled", "-c", "--pid", os.getpid()):
            done = subprocess.run([LOOM, "exec", *map(str, options)], env=self.environment(TRACEPARENT=PARENT[:-2] + "00"),
                                  capture_output=True, timeout=60)
            self.assertEqual(1, done.returncode)
            self.assertIn(b"process %d is not followed: the trace is not sampled" % os.getpid(), done.stderr)

    def test_commands_nest(self):
        self.run_exec(LOOM, "exec", "--", LOOM, "exec", "--", "true")
        spans = {span.span_id: span for span in self.spans()}
        inner = self.span("true")
        self.assertEqual(["loom", "loom", "true"], sorted(span.name for span in spans.values()))
        self.assertEqual("", spans[spans[inner.parent_id].parent_id].parent_id)

    def test_disabled_tracing_passes_the_parent_on(self):
        seen = self.variables(TRACEPARENT=PARENT, OTEL_SDK_DISABLED="true")
        self.assertEqual(PARENT, seen["TRACEPARENT"])


class Wrapper(ExecTest):
    def test_standard_input_is_the_commands(self):
        data = os.urandom(300_000)
        self.assertEqual(data, self.run_exec("cat", stdin=data).stdout)

    def test_loom_reads_nothing_of_standard_input(self):
        """What the command leaves is there for whoever comes next."""
        script = f"{LOOM} exec -- head -c 1 >/dev/null; cat"
        with open(self.folder / "in", "wb") as file:
            file.write(b"abc")
        with open(self.folder / "in", "rb") as file:
            done = subprocess.run(["sh", "-c", script], stdin=file, stdout=subprocess.PIPE, env=self.environment())
        self.assertEqual(b"bc", done.stdout)

    def test_closed_streams_stay_closed(self):
        script = f"{LOOM} exec -- {PYTHON} -c 'import os; os.fstat(0)' <&-"
        done = subprocess.run(["sh", "-c", script], env=self.environment(), stderr=subprocess.PIPE)
        self.assertIn(b"Bad file descriptor", done.stderr)

    def test_a_missing_command_is_127(self):
        done = self.run_exec("no-such-command-at-all", code=127)
        self.assertIn(b"command not found: no-such-command-at-all", done.stderr)
        self.assertEqual("ENOENT", self.span("no-such-command-at-all").attributes["error.type"])

    def test_a_file_that_cannot_be_executed_is_126(self):
        self.assertIn(b"Permission denied", self.run_exec("/etc/passwd", code=126).stderr)

    def test_a_missing_interpreter_is_told(self):
        script = self.folder / "script"
        script.write_text("#!/no/such/shell\n")
        script.chmod(0o755)
        self.assertIn(b"interpreter", self.run_exec(script, code=127).stderr)

    def test_a_script_without_a_first_line_is_run_by_the_shell(self):
        script = self.folder / "script"
        script.write_text("echo got $1\n")
        script.chmod(0o755)
        self.assertEqual(b"got it\n", self.run_exec(script, "it").stdout)

    def test_a_wrong_command_line_is_2(self):
        for arguments in ([], ["--bogus", "true"], ["--attr", "novalue", "true"], ["--otlp-protocol", "x", "true"],
                          ["--flush-timeout", "soon", "true"]):
            done = subprocess.run([LOOM, "exec", *arguments], env=self.environment(), stderr=subprocess.PIPE)
            self.assertEqual(2, done.returncode, arguments)

    def test_a_folder_is_no_command(self):
        self.assertIn(b"/tmp: Is a directory", self.run_exec("/tmp", code=126).stderr)

    def test_durations_of_system_calls_have_units_below_a_millisecond(self):
        for duration in ("100us", "100µs", "500ns", "2ms"):
            self.run_exec("true", options=("--syscalls=file", "--min-duration", duration))

    def test_options_behind_the_command_are_its_own(self):
        done = subprocess.run([LOOM, "exec", "echo", "--name", "x"], env=self.environment(), stdout=subprocess.PIPE)
        self.assertEqual(b"--name x\n", done.stdout)

    def test_signals_go_on_to_the_command(self):
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT, signal.SIGRTMIN + 3):
            with self.subTest(number):
                script = f"import signal, sys\nprint('ready', flush=True)\nprint(signal.sigwait([{int(number)}]) + 0)"
                block = f"import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [{int(number)}])\n"
                with subprocess.Popen([LOOM, "exec", "--", PYTHON, "-c", block + script], env=self.environment(),
                                      stdout=subprocess.PIPE) as process:
                    self.assertEqual(b"ready\n", process.stdout.readline())
                    process.send_signal(number)
                    self.assertEqual(int(number), int(process.stdout.readline()))
                    self.assertEqual(0, process.wait(20))

    def test_whatever_may_be_sent_on_purpose_is_forwarded(self):
        body = ("import os, signal\nfor n in signal.valid_signals() - {9, 13, 17, 19}:\n"
                "    try: signal.signal(n, lambda n, _: (print(int(n), flush=True), os._exit(0)))\n    except OSError: pass\n"
                "print('up', flush=True)\nwhile True: signal.pause()")
        names = "HUP INT QUIT ABRT TERM USR1 USR2 ALRM VTALRM PROF IO URG PWR XCPU XFSZ STKFLT TSTP TTIN TTOU WINCH RTMIN RTMAX"
        for number in (getattr(signal, f"SIG{name}", 16) for name in names.split()):  # 16: SIGSTKFLT, unknown to Python before 3.11
            with self.subTest(number), subprocess.Popen([LOOM, "exec", "--", PYTHON, "-c", body], env=self.environment(),
                                                        stdout=subprocess.PIPE) as process:
                self.assertEqual(b"up\n", process.stdout.readline())
                process.send_signal(number)
                self.assertEqual((b"%d\n" % number, 0), (process.stdout.readline(), process.wait(20)))

    def test_a_signal_that_kills_the_command_is_its_exit_code(self):
        with subprocess.Popen([LOOM, "exec", "--", "sh", "-c", "echo ready; sleep 60"], env=self.environment(),
                              stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            process.terminate()
            self.assertEqual(128 + signal.SIGTERM, process.wait(20))

    def ignored_in_command(self, *ignored):
        def ignore():
            for number in (signal.SIGPIPE, signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)
        done = subprocess.run([LOOM, "exec", "--", "grep", "-E", "Sig(Ign|Blk)", "/proc/self/status"],
                              env=self.environment(), stdout=subprocess.PIPE, preexec_fn=ignore, restore_signals=False)
        lines = dict(line.split(":\t") for line in done.stdout.decode().splitlines())
        return int(lines["SigIgn"], 16), int(lines["SigBlk"], 16)

    def test_dispositions_and_mask_are_those_we_were_given(self):
        for ignored in ((), (signal.SIGHUP,), (signal.SIGPIPE, signal.SIGINT)):
            mine = sum(1 << number - 1 for number in (signal.SIGPIPE, signal.SIGHUP, signal.SIGINT))
            self.assertEqual((sum(1 << number - 1 for number in ignored), 0),
                             tuple(bits & mine for bits in self.ignored_in_command(*ignored)))

    def test_no_descriptor_of_ours_reaches_the_command(self):
        done = self.run_exec("sh", "-c", "ls /proc/self/fd | wc -l")
        self.assertEqual(4, int(done.stdout))  # 0, 1, 2, and the folder itself


class Shortage(ExecTest):
    """What is too little for tracing is enough for the command."""

    def test_few_descriptors(self):
        command = [PYTHON, "-c", "import os; os.write(1, b'out'); os.write(2, b'err'); os._exit(7)"]
        ran = 0
        for count in range(4, 24):
            for options in (), ("--syscalls",):
                # An interpreter needs some itself; what is set here counts for loom, which then gives it more.
                done = subprocess.run(["prlimit", f"--nofile={count}:64", LOOM, "exec", *options, "--", "prlimit", "--nofile=64:64", *command],
                                      env=self.environment(), capture_output=True, timeout=60)
                if b"error while loading shared libraries" in done.stderr:
                    continue
                with self.subTest(f"{count} {options}"):
                    self.assertEqual((7, b"out"), (done.returncode, done.stdout), done.stderr)
                    self.assertTrue(done.stderr.endswith(b"err"), done.stderr)
                    ran += 1
        self.assertGreater(ran, 20)

    def test_no_thread_for_standard_error(self):
        if os.geteuid() != 0 or subprocess.run(["setpriv", "--reuid=64999", LOOM, "--version"], capture_output=True).returncode != 0:
            self.skipTest("needs root, and programs that others may run")
        body = "syswrite STDOUT, 'out'; print STDERR 'x' x 400_000; exit 7"
        enough = None
        for count in range(2, 9):  # all of a user's own: some of it goes to threads that export, some to the command
            done = subprocess.run(["setpriv", "--reuid=64999", "--regid=64999", "--clear-groups", "prlimit", f"--nproc={count}", LOOM, "exec",
                                   "--", "/usr/bin/perl", "-e", body], env=self.environment(LOOM_SPANS_FILE="/dev/null"),
                                  capture_output=True, timeout=60, cwd="/")
            with self.subTest(count):
                if enough is None and done.returncode == 126:
                    self.assertIn(b"cannot execute /usr/bin/perl: Resource temporarily unavailable", done.stderr)
                    continue  # loom and the thread that exports: there is no room for the command
                enough = enough or count
                self.assertEqual((7, b"out"), (done.returncode, done.stdout), done.stderr[:300])
                self.assertTrue(done.stderr.endswith(b"x" * 400_000), done.stderr[:300])
        self.assertEqual(4 if SANITIZER == "thread" else 3, enough, "loom, the thread that exports and the command; a sanitizer's own thread")


class Deadline(ExecTest):
    def elapsed(self, *arguments, **more):
        start = time.monotonic()
        self.run_exec(*arguments, **more)
        return time.monotonic() - start

    def test_nobody_listens(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        for protocol in ("grpc", "http/protobuf"):
            took = self.elapsed("true", options=("--otlp-endpoint", f"http://127.0.0.1:{port}", "--otlp-protocol", protocol))
            self.assertLess(took, 1.0, protocol)

    def test_a_collector_that_does_not_answer_delays_no_longer_than_asked(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            self.assertLess(self.elapsed("true", options=("--otlp-endpoint", url, "--flush-timeout", "300ms")), 1.5)
            self.assertLess(self.elapsed("true", options=("--otlp-endpoint", url, "--otlp-protocol", "http/json")), 2.5)

    def test_a_bad_endpoint_fails_nothing(self):
        done = self.run_exec("echo", "ran", options=("--otlp-endpoint", "ftp://x"))
        self.assertEqual(b"ran\n", done.stdout)
        self.assertIn(b"not traced", done.stderr)

    def test_a_spans_file_that_cannot_be_written_fails_nothing(self):
        done = self.run_exec("echo", "ran", LOOM_SPANS_FILE="/nowhere/at/all")
        self.assertEqual(b"ran\n", done.stdout)

    def test_the_default_collector_missing_says_nothing(self):
        done = self.run_exec("true", OTEL_TRACES_EXPORTER=None)
        self.assertEqual(b"", done.stderr)


if __name__ == "__main__":
    unittest.main()
