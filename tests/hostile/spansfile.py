# SPDX-License-Identifier: Apache-2.0
"""Row 27: a disk that was full while spans were written to a file."""

import json
import resource
import signal
import subprocess

from hostile import BIN, IN_BROKER, HostileTest, main, run_program


class SpansFile(HostileTest):
    kind = IN_BROKER

    def publish(self, home, limit=None):
        """`loom pub` with its spans in a file, which may grow to so many bytes."""
        def prepare():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            if limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        environment = {**home.environment, "LOOM_SPANS_FILE": str(self.path)}
        return subprocess.run([str(BIN / "loom"), "pub", "--url", home.url, "a.b", "x"], env=environment, preexec_fn=prepare,
                              capture_output=True, text=True, timeout=20)

    def filled(self):
        """A file with a span of before, one that found the disk full, and one of afterwards."""
        home = self.home(spans=False)
        self.path = home.folder / "agent.jsonl"
        self.assertEqual(0, self.publish(home).returncode)
        size = self.path.stat().st_size
        self.publish(home, size + size // 2)
        self.assertEqual(0, self.publish(home).returncode)
        return home

    def test_no_line_is_glued_to_what_a_full_disk_left(self):
        self.filled()
        bad = 0
        lines = self.path.read_text().splitlines()
        for line in lines:
            try:
                json.loads(line)
            except ValueError:
                bad += 1
        self.right(bad == 0 and len(lines) == 2, f"{bad} of {len(lines)} lines cannot be read")

    def test_a_bad_line_is_told_and_stepped_over(self):
        home = self.home(spans=False)
        self.path = home.folder / "agent.jsonl"
        self.publish(home)
        with open(self.path, "a") as out:
            out.write('{"resourceSpans":[{"resource":{"attrib\n')
        self.publish(home)
        done = run_program("loom", "trace", "ls", "--file", self.path)
        found = sum("agent.emit" in line or "loom-cli" in line for line in done.stdout.splitlines())
        self.right(found == 2 and ":2:" in done.stderr,
                   f"exit code {done.returncode}, {found} of 2 traces, {done.stderr.strip()[-100:]!r}")

    def test_what_a_full_disk_left_hides_no_other_trace(self):
        self.filled()
        done = run_program("loom", "trace", "ls", "--file", self.path)
        found = sum("agent.emit" in line or "loom-cli" in line for line in done.stdout.splitlines())
        self.right(found == 2, f"exit code {done.returncode}, {found} of 2 traces, {done.stderr.strip()[-100:]!r}")


if __name__ == "__main__":
    main()
