# SPDX-License-Identifier: Apache-2.0
"""docs/QUICKSTART.md, line by line: each command is run in one shell, and what the page shows below it is waited for."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["LOOM_BUILD_DIR"])
DEADLINE_S = 60
LOOKS = ("loom trace show", "loom agents", "loom caps", "loom stats")


def steps():
    """(command of one or more lines, lines that it prints)."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```", (SOURCE / "docs/QUICKSTART.md").read_text(), re.M | re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(([line[2:]], []))
            elif line.startswith(">"):
                found[-1][0].append(line[2:])
            else:
                found[-1][1].append(line)
    return found


def pattern_of(line):
    """… is any text, also none."""
    return re.compile(".*".join(re.escape(piece.strip()) for piece in line.split("…")))


class Shell:
    """One bash whose output is a file, with what it was given numbered."""

    def __init__(self, folder, environment):
        self.path = folder / "terminal"
        self.output = open(self.path, "wb")
        self.bash = subprocess.Popen(["bash", "--norc", "--noprofile"], cwd=folder, env=environment, stdin=subprocess.PIPE,
                                     stdout=self.output, stderr=subprocess.STDOUT, start_new_session=True)
        self.count = 0

    def text(self):
        return self.path.read_text(errors="replace")

    def wait(self, condition, what):
        until = time.monotonic() + DEADLINE_S
        while not (found := condition()):
            if time.monotonic() > until:
                raise AssertionError(f"{what}\n--- the terminal\n{self.text()[-4000:]}")
            time.sleep(0.02)
        return found

    def run(self, lines):
        """Its exit code."""
        self.count += 1
        mark = f"@@{self.count}@@"
        self.bash.stdin.write(("\n".join(lines) + f"\necho {mark} $?\n").encode())
        self.bash.stdin.flush()
        found = self.wait(lambda: re.search(rf"{mark} (\d+)", self.text()), f"`{lines[0]}` does not end")
        return int(found.group(1))

    def close(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.bash.pid, number)
            except ProcessLookupError:
                break
            try:
                self.bash.wait(5)
            except subprocess.TimeoutExpired:
                pass
            time.sleep(0.2)
        self.bash.stdin.close()
        self.output.close()


def port_is_taken(port):
    table = pathlib.Path("/proc/net/tcp").read_text() + pathlib.Path("/proc/net/tcp6").read_text()
    return re.search(rf":{port:04X} [0-9A-F]+:0000 0A", table) is not None


def ports_in_use():
    return [port for port in (4317, 4318) if port_is_taken(port)]


class Quickstart(unittest.TestCase):
    def setUp(self):
        if re.search(r"^LOOM_SANITIZE:STRING=.+", (BUILD / "CMakeCache.txt").read_text(), re.M):
            self.skipTest("a program needs the sanitizer's flags, too")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="loom-qs-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        subprocess.run(["cmake", "--install", BUILD / "sdk-c", "--prefix", self.folder / "prefix"], check=True, capture_output=True)
        libdir = next((self.folder / "prefix").rglob("loom.pc")).parents[1]
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("LOOM_", "OTEL_", "TRACE", "XDG_"))}
        (self.folder / "run").mkdir(mode=0o700)
        self.environment = dict(kept, PATH=f"{BUILD / 'bin'}:{os.environ['PATH']}", HOME=str(self.folder), LC_ALL="C.UTF-8",
                                XDG_RUNTIME_DIR=str(self.folder / "run"), LD_LIBRARY_PATH=str(libdir), NO_COLOR="1",
                                PKG_CONFIG_PATH=str(libdir / "pkgconfig"))

    def wait_for(self, shell, begin, lines, line):
        """What only looks is asked again, as anybody would, until there is something to see."""
        pattern, asked = pattern_of(line), time.monotonic()

        def shown():
            nonlocal asked
            if lines[0].startswith(LOOKS) and time.monotonic() > asked + 0.5:
                shell.run(lines)
                asked = time.monotonic()
            return pattern.search(shell.text()[begin:])
        shell.wait(shown, f"`{lines[0]}` does not print \"{line}\"")

    def test_every_line_does_what_the_page_shows(self):
        if taken := ports_in_use():
            self.skipTest(f"somebody else listens where the page lets the collector listen: {taken}")
        commands = steps()
        self.assertGreater(len(commands), 15)
        shell = Shell(self.folder, self.environment)
        self.addCleanup(shell.close)
        for lines, printed in commands:
            begin = len(shell.text())
            code = shell.run(lines)
            self.assertEqual(0, code, f"{lines[0]}\n{shell.text()[begin:]}")
            for line in printed:
                self.wait_for(shell, begin, lines, line)


if __name__ == "__main__":
    unittest.main()
