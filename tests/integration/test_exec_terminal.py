# SPDX-License-Identifier: Apache-2.0
"""`loom exec` on a terminal, under a real shell with job control: Ctrl-C, Ctrl-Z, fg and bg, the window's size, colours."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
import unittest

from exec_command import LOOM, ExecTest
from harness import wait_until

PYTHON = sys.executable


class Terminal:
    """A shell, or a command, that has a terminal of its own."""

    def __init__(self, *command, environment):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, environment)
        self.seen = ""

    def read_until(self, pattern, deadline_s=20):
        end = time.monotonic() + deadline_s
        while not (found := re.search(pattern, self.seen)):
            if time.monotonic() > end:
                raise TimeoutError(f"no {pattern!r} in {self.seen!r}")
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    data = os.read(self.fd, 65536)
                except OSError:
                    data = b""
                if not data:
                    raise EOFError(f"no {pattern!r} in {self.seen!r}")
                self.seen += data.decode(errors="replace")
        self.seen = self.seen[found.end():]
        return found

    def type(self, text):
        os.write(self.fd, text.encode())

    def is_canonical(self):
        return termios.tcgetattr(self.fd)[3] & termios.ICANON != 0

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def close(self):
        os.close(self.fd)
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.waitpid(self.pid, 0)


class TerminalTest(ExecTest):
    def shell(self):
        # dash and bash both do; bash tells of its jobs in words that are the same everywhere with LC_ALL=C.
        terminal = Terminal("bash", "--norc", "--noprofile", "-i", environment=self.environment(LC_ALL="C", PS1="READY> ", TERM="dumb"))
        self.addCleanup(terminal.close)
        terminal.read_until("READY> ")
        return terminal

    def run_line(self, terminal, line):
        terminal.type(f"{line}; echo code=$?\n")
        terminal.read_until("code=\\$\\?\r?\n")  # the echo of what was typed


class Jobs(TerminalTest):
    def test_ctrl_c_ends_the_command_and_the_shell_sees_130(self):
        terminal = self.shell()
        self.run_line(terminal, f"{LOOM} exec -- sh -c 'echo run''ning; exec sleep 60'")
        terminal.read_until("running")
        terminal.type("\x03")
        terminal.read_until("READY> ")
        terminal.type("echo after=$?\n")
        terminal.read_until("after=130")
        self.assertEqual("signal_2", self.span("sh").attributes["error.type"])

    def test_a_command_that_handles_ctrl_c_once_is_asked_once(self):
        terminal = self.shell()
        script = self.folder / "count.py"
        script.write_text("import signal, time\nn = 0\ndef on(*_):\n    global n\n    n += 1\nsignal.signal(signal.SIGINT, on)\n"
                          "print('running', flush=True)\ntime.sleep(1.5)\nprint('interrupts', n)\n")
        self.run_line(terminal, f"{LOOM} exec -- {PYTHON} {script}")
        terminal.read_until("running")
        terminal.type("\x03")
        terminal.read_until("interrupts 1\r")
        terminal.read_until("code=0")

    def test_ctrl_z_stops_the_job_and_fg_continues_it(self):
        terminal = self.shell()
        self.run_line(terminal, f"{LOOM} exec -- sh -c 'echo run''ning; read x; echo got=$x'")
        terminal.read_until("running")
        terminal.type("\x1a")
        terminal.read_until("Stopped")
        terminal.read_until("READY> ")
        terminal.type("jobs\n")
        terminal.read_until("Stopped.*loom.*exec")
        terminal.type("fg\n")
        terminal.read_until("loom exec")
        wait_until(terminal.is_canonical, "the shell has left the terminal to its job")
        terminal.type("hello\n")
        terminal.read_until("got=hello")
        terminal.read_until("READY> ")

    def test_a_command_that_stops_itself_stops_the_job(self):
        terminal = self.shell()
        self.run_line(terminal, f"{LOOM} exec -- sh -c 'kill -TSTP $$; echo go''ing'")
        terminal.read_until("Stopped")
        terminal.read_until("READY> ")
        terminal.type("bg\n")
        terminal.read_until("going")

    def test_a_command_that_stops_itself_by_force_stops_the_job(self):
        terminal = self.shell()
        self.run_line(terminal, f"{LOOM} exec -- sh -c 'kill -STOP $$; echo go''ing; exit 4'")
        terminal.read_until("Stopped")
        terminal.read_until("READY> ")
        terminal.type("fg; echo after=$?\n")
        terminal.read_until("going")
        terminal.read_until("after=4")

    def test_a_background_job_that_reads_is_stopped(self):
        terminal = self.shell()
        terminal.type(f"{LOOM} exec -- cat &\n")
        terminal.read_until("\\[1\\] \\d+")
        wait_until(lambda: self.is_stopped(terminal), "the shell knows that the job is stopped")
        terminal.read_until("READY> ")
        terminal.type("fg\n")
        terminal.read_until("loom exec")
        wait_until(terminal.is_canonical, "the shell has left the terminal to its job")
        terminal.type("typed\n")
        terminal.read_until("typed\r\ntyped")
        terminal.type("\x04")
        terminal.read_until("READY> ")

    @staticmethod
    def is_stopped(terminal):
        terminal.type("jobs -s; echo do''ne\n")
        return "Stopped" in terminal.read_until("(?s)(.*?)done")[1]

    def test_a_terminal_that_has_gone_reaches_the_command_of_a_session_leader(self):
        """As `ssh -t host loom exec …` is, when the connection breaks: the kernel tells the leader alone."""
        note, end = self.folder / "pid", self.folder / "end"
        script = f"trap 'echo hup > {end}; exit 3' HUP; echo $$ > {note}.new; mv {note}.new {note}; while :; do sleep 0.05; done"
        leader = Terminal(LOOM, "exec", "--", "sh", "-c", script, environment=self.environment())
        command = os.pidfd_open(int(wait_until(lambda: note.exists() and note.read_text(), "the command runs")))
        self.addCleanup(os.close, command)
        os.close(leader.fd)
        self.addCleanup(os.waitpid, leader.pid, 0)
        self.assertTrue(select.select([command], [], [], 20)[0], "the command ends")
        self.assertEqual("hup\n", end.read_text())
        ended = os.waitid(os.P_PID, leader.pid, os.WEXITED | os.WNOWAIT)
        self.assertEqual((os.CLD_EXITED, 3), (ended.si_code, ended.si_status))

    def test_a_command_that_ignores_ctrl_z_goes_on(self):
        terminal = self.shell()
        self.run_line(terminal, f"{LOOM} exec -- sh -c 'trap \"\" TSTP; echo run''ning; sleep 1; echo do''ne'")
        terminal.read_until("running")
        terminal.type("\x1a")
        terminal.read_until("done")
        terminal.read_until("code=0")


class Streams(TerminalTest):
    def terminal(self, *command, options=()):
        terminal = Terminal(LOOM, "exec", *options, "--", *command, environment=self.environment(TERM="xterm"))
        self.addCleanup(terminal.close)
        return terminal

    def test_the_command_finds_terminals(self):
        terminal = self.terminal(PYTHON, "-c", "import os; print([os.isatty(i) for i in range(3)])")
        terminal.read_until(re.escape("[True, True, True]"))

    def test_colours_pass_and_spans_do_not(self):
        line = ('__LOOM_TRACE__:{"trace_id":"%s","span_id":"00000000000000a1","name":"inside",'
                '"start_time":"2026-01-15T10:30:00Z","end_time":"2026-01-15T10:30:00Z"}')
        body = f"import os, sys; sys.stderr.write('\\x1b[31mred\\x1b[0m\\n' + {line!r} % os.environ['LOOM_TRACE_ID'] + '\\nend\\n')"
        terminal = self.terminal(PYTHON, "-c", body)
        terminal.read_until("\x1b\\[31mred\x1b\\[0m\r\nend\r\n")
        wait_until(lambda: any(span.name == "inside" for span in self.spans()), "the span is exported")

    def test_the_size_is_the_terminals_also_when_it_changes(self):
        body = ("import os, signal\nsize = lambda: print('size', *os.get_terminal_size(2), flush=True)\n"
                "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGWINCH])\nsize()\n"
                "signal.sigwait([signal.SIGWINCH])\nimport time\n"
                "while os.get_terminal_size(2).columns != 123: time.sleep(0.01)\nsize()")
        terminal = self.terminal(PYTHON, "-c", body)
        terminal.read_until("size \\d+ \\d+")
        terminal.resize(45, 123)
        terminal.read_until("size 123 45")

    def test_what_is_written_last_is_shown(self):
        for _ in range(20):
            terminal = self.terminal("sh", "-c", "printf 'x%.0s' $(seq 3000) >&2; printf end >&2")
            terminal.read_until("x{3000}end")

    def test_without_a_collector_the_terminal_is_the_real_one(self):
        terminal = self.terminal(PYTHON, "-c", "import os; print(os.ttyname(1) == os.ttyname(2) and 'same')",
                                 options=("--no-collect",))
        terminal.read_until("same")


if __name__ == "__main__":
    unittest.main()
