# SPDX-License-Identifier: Apache-2.0
"""What the programs of this folder share: a verdict with figures, raw floods, and what a process costs."""

import fcntl
import functools
import os
import pathlib
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import control  # noqa: E402,F401
import wire  # noqa: E402
from agent import Agent, Ended  # noqa: E402,F401
from harness import (BIN, IN_BROKER, OWN_PROCESS, SANITIZER, Home, LoomTest, Process, clean_environment,  # noqa: E402,F401
                     die_with_parent, wait_until)
from packing import pack, unpack  # noqa: E402,F401
from known import KNOWN  # noqa: E402

MIB = 1 << 20


class Fault(AssertionError):
    """The product did what it must not do. Any other exception is a test that could not be carried out."""


class HostileTest(LoomTest):
    """Each test prints its figures and says with right() what has to hold. One that is listed in known.py has to fail
    with a Fault, and fails the run when it does not: whoever mends a fault takes it off the table."""

    def name(self):
        program = pathlib.Path(sys.modules[type(self).__module__].__file__).stem
        return f"{program}.{type(self).__name__.split('_')[0]}.{self._testMethodName}"

    def _with_logs(self, test):
        told = super()._with_logs(test)

        @functools.wraps(test)
        def judged():
            known = KNOWN.get(f"{self.name()}@{self.kind}", KNOWN.get(self.name()))
            try:
                told()
            except Fault as fault:
                if known is None:
                    raise
                self.say(f"known fault, row {known.row}: {fault}")
            else:
                if known is not None:
                    raise AssertionError(f"{self.name()} holds now: take row {known.row} off tests/hostile/known.py")
        return judged

    def shortDescription(self):
        return None  # the name says it

    def say(self, text):
        print(f"{self.name()} [{self.kind}]: {text}", flush=True)

    def right(self, holds, figures):
        """holds: whether the product did the right thing. figures: what was measured, for people."""
        if not holds:
            raise Fault(figures)
        self.say(figures)

    def unsanitized(self):
        """Skips what measures memory or work, both of which a sanitizer changes."""
        if SANITIZER:
            self.skipTest("a sanitizer has its own memory and time")

    def log_of(self, home):
        """What the process that serves the agents has logged so far: its log is written behind its back."""
        self.agent(home, "the-last-to-come").sync()
        wait_until(lambda: "the-last-to-come" in home.serving.err, "the log is written")
        return home.serving.err

    def raw(self, path):
        """A bare connection to a unix socket."""
        connection = socket.socket(socket.AF_UNIX)
        self.addCleanup(connection.close)
        connection.settimeout(10.0)
        connection.connect(str(path))
        return connection


def in_both_homes(tests):
    """Two test cases of a class of tests: with the bridge in the broker, and in a process of its own."""
    module = sys.modules[tests.__module__]
    for kind in (IN_BROKER, OWN_PROCESS):
        name = f"{tests.__name__}_{kind}"
        setattr(module, name, type(name, (tests, HostileTest), {"kind": kind, "__module__": tests.__module__}))
    return tests


class LimitedHome(Home):
    """A home whose broker may open so many descriptors."""

    def __init__(self, *arguments, descriptors, **options):
        super().__init__(*arguments, **options)
        self.descriptors = descriptors

    def run(self, name, *command, environment=None, **popen):
        if name != "loom-broker":
            return super().run(name, *command, environment=environment, **popen)
        self.count += 1
        process = Process(self.folder, f"{name}-{self.count}", ["prlimit", f"--nofile={self.descriptors}:{self.descriptors}",
                                                               str(BIN / name), *map(str, command)],
                          {**self.environment, **(environment or {})}, **popen)
        self.processes.append(process)
        return process


# ---- what a process costs ----

def loop_ns(*processes):
    """Processor time of the loops, with that of any other thread, in nanoseconds. By the clock of each process: schedstat
    stands still while a thread runs."""
    return sum(time.clock_gettime_ns(~process.pid << 3 | 2) for process in processes)


def wanted_ns(process):
    """Processor time of all threads, in nanoseconds, and what they have waited for it."""
    total = 0
    for stat in pathlib.Path(f"/proc/{process.pid}/task").glob("*/schedstat"):
        total += sum(map(int, stat.read_text().split()[:2]))
    return total


def servers(home):
    return [process for process in (home.broker, home.bridge) if process is not None]


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


# ---- raw floods ----

NUMBERS = (0x7A00_0001, 0x7B00_0001)  # places in a frame that are filled in with a number each
LAST = 0x7CFE_FDFC                    # of the request that ends a flood


def numbered(template, numbers):
    """The frame once for each number, which takes the places of NUMBERS[0] and NUMBERS[1]."""
    marks = [b"\xce" + struct.pack(">I", number) for number in NUMBERS]
    head, rest = template.split(marks[0], 1)
    middle, tail = rest.split(marks[1], 1) if marks[1] in rest else (None, rest)
    pieces = []
    for number in numbers:
        packed = b"\xce" + struct.pack(">I", number)
        pieces.append(head + packed + (tail if middle is None else middle + packed + tail))
    return b"".join(pieces)


def subscribes(topic_filter, numbers, **fields):
    return numbered(wire.frame(wire.SUBSCRIBE, {"request": NUMBERS[0], "subscription": NUMBERS[1], "filter": topic_filter,
                                                **fields}), numbers)


def unsubscribes(numbers):
    return numbered(wire.frame(wire.UNSUBSCRIBE, {"request": NUMBERS[0], "subscription": NUMBERS[1]}), numbers)


class Flood:
    """Sends bytes from a thread of its own, and reads away whatever comes back."""

    def __init__(self, link):
        self.sock, self.taken, self.sent, self.broken = link.sock, 0, False, False
        self.answered = self.over = False
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def start(self, data):
        self.sent = False
        self.writer = threading.Thread(target=self._write, args=(data,), daemon=True)
        self.writer.start()
        return self

    def _write(self, data):
        try:
            self.sock.settimeout(60.0)
            self.sock.sendall(data)
        except OSError:
            self.broken = True
        self.sent = True

    def _read(self):
        tail, mark = b"", pack(LAST)
        while not self.over:
            try:
                got = self.sock.recv(1 << 18)
            except TimeoutError:
                continue
            except OSError:
                break
            if not got:
                break
            self.taken += len(got)
            tail = tail[1 - len(mark):] + got
            self.answered = self.answered or mark in tail
        self.broken = True

    def wait_sent(self):
        self.writer.join(60.0)
        if self.writer.is_alive():
            raise TimeoutError("the flood was not taken within 60 s")

    def wait_blocked(self, seconds=0.2):
        """Until the kernel has taken all of it, or no more for a while."""
        before = None
        while not self.sent and before != (before := self._in_kernel()):
            time.sleep(seconds)

    def _in_kernel(self):
        """Bytes that the other side has not read yet (SIOCOUTQ)."""
        return struct.unpack("i", fcntl.ioctl(self.sock, termios.TIOCOUTQ, bytes(4)))[0]

    def finish(self):
        """Until everything that was sent is answered, or the session has ended."""
        self.wait_sent()
        self.answered = False
        self.start(wire.frame(wire.UNSUBSCRIBE, {"request": LAST, "subscription": LAST})).wait_sent()
        wait_until(lambda: self.answered or self.broken, "the answer to the last request", 60.0)


def run_program(name, *arguments, environment=None, timeout=30):
    """Runs one of our programs to its end."""
    return subprocess.run([str(BIN / name), *map(str, arguments)], text=True, errors="replace", capture_output=True,
                          timeout=timeout, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent,
                          env=clean_environment(**(environment or {})))


def start_agent(home, *arguments, environment=None):
    """hostile_agent, until the home ends."""
    home.count += 1
    process = Process(home.folder, f"agent-{home.count}", [str(BIN.parent / "tests" / "hostile_agent"), *map(str, arguments)],
                      {**home.environment, **(environment or {})})
    home.processes.append(process)
    return process


def line_count(process, words):
    return sum(1 for line in process.err.splitlines() if words in line)


def main():
    """Runs the tests of the program, once every line of known.py that is about it names one of them."""
    loaded = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    names = {test.name() for suite in loaded for test in suite}
    program = pathlib.Path(sys.argv[0]).stem
    stale = [name for name in KNOWN if name.startswith(f"{program}.") and name.partition("@")[0] not in names]
    if stale:
        sys.exit(f"tests/hostile/known.py names tests that are not there: {', '.join(stale)}")
    unittest.main()
