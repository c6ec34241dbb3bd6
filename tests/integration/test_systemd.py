# SPDX-License-Identifier: Apache-2.0
"""Under a service manager: what it is told (sd_notify), the sockets it passes on, the log in its journal, and the units.

Against sockets of the test's own, since a systemd that manages this machine may not be at hand; systemd-analyze reads the units."""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time
import unittest

from harness import BIN, Home, IN_BROKER, LoomTest, in_both_homes, wait_until

CONTRIB = pathlib.Path(__file__).resolve().parents[2] / "contrib"
UNITS = BIN.parent / "contrib"


class Manager:
    """What a service manager is to a service: a datagram socket."""

    def __init__(self, folder):
        self.path = folder / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.settimeout(20)
        self.heard = []

    def hear(self, word):
        """Until something that begins so has come; all of that datagram."""
        while True:
            for said in self.heard:
                if any(line.startswith(word) for line in said.split("\n")):
                    self.heard.remove(said)
                    return said
            self.heard.append(self.socket.recv(4096).decode())


@in_both_homes
class Notify:
    def started(self, **environment):
        home = Home(self.kind, spans=False)
        self.manager = Manager(home.folder)
        self.addCleanup(self.manager.socket.close)
        served = "loom-broker" if self.kind == IN_BROKER else "loom-bridge"
        home.popen[served] = {"env_more": {"NOTIFY_SOCKET": str(self.manager.path), **environment}}
        home.start()
        self.homes.append(home)
        self.addCleanup(home.__exit__, None)
        return home

    def test_ready_comes_when_agents_can_connect_and_stopping_when_it_drains(self):
        home = self.started()
        self.assertIn("STATUS=", self.manager.hear("READY=1"))
        self.agent(home, "one").sync()
        home.serving.signal(signal.SIGTERM)
        self.assertIn("EXTEND_TIMEOUT_USEC=10000000", self.manager.hear("STOPPING=1"))
        self.assertEqual(0, home.serving.wait())
        home.broken_on_purpose.add(home.serving.pid)

    def test_a_reload_is_announced_with_its_time_and_ends_with_ready(self):
        home = self.started()
        self.manager.hear("READY=1")
        before = time.monotonic_ns() // 1000
        home.serving.signal(signal.SIGHUP)
        told = int(re.search(r"MONOTONIC_USEC=(\d+)", self.manager.hear("RELOADING=1"))[1])
        self.assertTrue(before <= told <= time.monotonic_ns() // 1000)
        self.manager.hear("READY=1")

    def test_the_loop_feeds_the_watchdog(self):
        home = self.started(WATCHDOG_USEC="300000")
        for _ in range(3):
            self.manager.hear("WATCHDOG=1")
        home.serving.signal(signal.SIGSTOP)
        time.sleep(0.5)
        self.manager.socket.settimeout(0.4)
        self.manager.heard.clear()
        with self.assertRaises(TimeoutError):
            for _ in range(10):
                self.manager.hear("WATCHDOG=1")
        home.serving.signal(signal.SIGCONT)
        self.manager.socket.settimeout(20)
        self.manager.hear("WATCHDOG=1")


class Sockets(LoomTest):
    def test_a_socket_that_was_passed_on_is_served_and_its_file_stays(self):
        home = Home(IN_BROKER, spans=False)
        self.addCleanup(home.__exit__, None)
        path = home.folder / "agents.sock"
        with socket.socket(socket.AF_UNIX) as agents, socket.socket() as stray:
            agents.bind(str(path))
            agents.listen()
            stray.bind(("127.0.0.1", 0))
            stray.listen()
            early = socket.socket(socket.AF_UNIX)
            early.connect(str(path))  # before there is a broker
            # descriptors 3 and 4, and our process id, as a service manager arranges it
            start = ["sh", "-c", f'exec 3<&{agents.fileno()} 4<&{stray.fileno()}; LISTEN_PID=$$ LISTEN_FDS=2 exec "$@"', "sh"]
            home.popen["loom-broker"] = {"wrapper": start, "pass_fds": (agents.fileno(), stray.fileno())}
            home.start()
            self.homes.append(home)
            self.assertEqual([f"ipc://{path}"], home.urls)
            self.agent(home, "one").sync()
            self.assertIn(f'a socket that no setting asks for fd=4 address=tcp://127.0.0.1:{stray.getsockname()[1]}', home.broker.err)
            self.assertEqual(0, home.broker.stop())
            self.assertTrue(path.exists())
            path.unlink()
            early.close()

    def test_tcp_as_well(self):
        home = Home(IN_BROKER, spans=False, listen=())
        self.addCleanup(home.__exit__, None)
        with socket.socket() as agents:
            agents.bind(("127.0.0.1", 0))
            agents.listen()
            port = agents.getsockname()[1]
            home.serving_flags = ["--listen", f"tcp://127.0.0.1:{port}"]
            start = ["sh", "-c", f'exec 3<&{agents.fileno()}; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"', "sh"]
            home.popen["loom-broker"] = {"wrapper": start, "pass_fds": (agents.fileno(),)}
            home.start()  # without it the address would be in use
            self.homes.append(home)
            self.agent(home, "one").sync()


class Journal(LoomTest):
    def test_lines_have_a_priority_when_standard_error_is_the_journals(self):
        home = Home(IN_BROKER, spans=False)
        self.addCleanup(home.__exit__, None)
        reading, writing = os.pipe()
        about = os.fstat(writing)
        home.popen["loom-broker"] = {"stderr": writing, "env_more": {"JOURNAL_STREAM": f"{about.st_dev}:{about.st_ino}"}}
        if pathlib.Path("/run/systemd/journal/socket").exists():
            self.skipTest("this machine has a journal, which gets the lines")
        home.start()
        os.close(writing)
        self.homes.append(home)
        with open(reading) as lines:
            self.assertRegex(lines.readline(), r"^<6>listening url=ipc:")


@unittest.skipUnless(shutil.which("systemd-analyze"), "no systemd-analyze")
class Units(unittest.TestCase):
    def analyze(self, *arguments):
        return subprocess.run(["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, timeout=60)

    def test_the_units_are_understood(self):
        done = self.analyze("verify", "--man=no", "--recursive-errors=no", UNITS / "loom-broker.service", UNITS / "loom-bridge@one.service",
                            CONTRIB / "systemd" / "loom-broker.socket")
        told = [line for line in done.stderr.splitlines() if "loom" in line and "is not executable" not in line]
        self.assertEqual([], told)

    def test_the_sockets_folder_outlives_the_service(self):
        """systemd empties a RuntimeDirectory when its service stops; the other unit's socket would go with it."""
        listens = re.search(r"^ListenStream=/run/([^/]+)/", (CONTRIB / "systemd/loom-broker.socket").read_text(), re.M)[1]
        service = (UNITS / "loom-broker.service").read_text()
        self.assertIn(f"\nRuntimeDirectory={listens}\n", service)
        self.assertIn("\nRuntimeDirectoryPreserve=yes\n", service)

    def test_the_services_are_hardened(self):
        for unit in (UNITS / "loom-broker.service", UNITS / "loom-bridge@.service"):
            done = self.analyze("security", "--offline=true", "--threshold=20", unit)
            self.assertEqual(0, done.returncode, done.stdout[-500:] + done.stderr)
            self.assertRegex(done.stdout, r"Overall exposure level for \S+: [01]\.\d OK")


if __name__ == "__main__":
    unittest.main()
