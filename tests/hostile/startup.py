# SPDX-License-Identifier: Apache-2.0
"""Rows 2, 3, 12, 13, 18, 19, 22: how the programs begin and end, and whom they trust meanwhile."""

import itertools
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from hostile import (BIN, IN_BROKER, MIB, OWN_PROCESS, SANITIZER, Flood, HostileTest, Process, clean_environment, die_with_parent, in_both_homes,
                     main, run_program, wait_until, wire)

FAKE = pathlib.Path(__file__).resolve().with_name("fake_server.py")
NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")


def namespaces_work():
    done = subprocess.run([*NAMESPACE, "mount", "-t", "tmpfs", "none", "/tmp"], capture_output=True)
    return done.returncode == 0


class Programs(HostileTest):
    kind = IN_BROKER

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="loom-it-")))
        self.environment = {"XDG_RUNTIME_DIR": self.folder, "XDG_CONFIG_HOME": self.folder, "HOME": self.folder}

    def checked(self, name, *flags):
        """Exit code and output of --check-config in an empty folder."""
        done = run_program(name, *flags, "--check-config", environment=self.environment)
        return done.returncode, done.stdout + done.stderr


class Defaults(Programs):
    def listens(self, name):
        _, text = self.checked(name)
        urls = re.findall(r'"([^"]*)"', next(line for line in text.splitlines() if line.startswith("listen =")))
        self.right(all(url.startswith("ipc://") for url in urls), f"{name} listens on {', '.join(urls)}")

    def test_a_broker_listens_on_unix_sockets_only(self):
        self.listens("loom-broker")

    def test_a_bridge_listens_on_unix_sockets_only(self):
        self.listens("loom-bridge")


class Values(Programs):
    def refused(self, name, *flags):
        code, text = self.checked(name, *flags)
        self.right(code != 0, f"{' '.join(flags)}: --check-config says {code} {text.splitlines()[0]!r}")

    def test_tls_is_no_url_of_bus_pull(self):
        self.refused("loom-broker", "--bus-pull", "tls+tcp://127.0.0.1:7711")

    def test_websocket_is_no_url_of_bus_pub(self):
        self.refused("loom-broker", "--bus-pub", "ws://127.0.0.1:7711/x")

    def test_tls_is_no_url_of_bus_control(self):
        self.refused("loom-broker", "--bus-control", "wss://127.0.0.1:7711/x")

    def test_tls_is_no_url_of_bus_bridge(self):
        self.refused("loom-broker", "--bus-bridge", "tls+tcp://127.0.0.1:7711")

    def test_tls_is_no_url_of_the_bridges_broker(self):
        self.refused("loom-bridge", "--bus-bridge", "tls+tcp://127.0.0.1:7711")

    def queued(self, flags):
        """What a subscription holds of 12 MiB, if these flags are taken."""
        home = self.home(spans=False, broker=flags)
        self.agent(home, "slow", credit_messages=1).subscribe("flow", qos=wire.REALTIME)
        sender = self.agent(home, "sender")
        for _ in range(12):
            sender.publish_raw([wire.envelope("flow", bytes(MIB // 16), "sender")] * 16)
        sender.sync()
        return home.stats()["eventbus"]["queued_bytes"]

    def test_queue_bytes_of_4_gib_are_honoured_or_refused(self):
        code, _ = self.checked("loom-broker", "--queue-bytes", "4GiB")
        held = self.queued(("--queue-bytes", "4GiB")) if code == 0 else 0
        self.right(code != 0 or held > 11 * MIB,
                   f"--queue-bytes 4GiB: exit code {code}, and a queue holds {held / MIB:.1f} MiB of 12")

    def test_queue_bytes_over_4_gib_less_a_byte_are_not_cut(self):
        code, _ = self.checked("loom-broker", "--queue-bytes", "4294967295")
        held = self.queued(("--queue-bytes", "4294967295")) if code == 0 else 0
        self.right(code != 0 or held > 11 * MIB,
                   f"4 GiB less a byte: exit code {code}, and a queue holds {held / MIB:.1f} MiB of 12")

    def warned(self, flags, *words):
        code, text = self.checked("loom-broker", *flags)
        said = [line for line in text.splitlines() if "will be reached first" in line]
        self.right(code == 0 and len(said) == len(words) and all(word in line for word, line in zip(words, said)), f"{' '.join(flags)}: {said}")

    def test_a_limit_that_another_one_keeps_out_of_reach_is_told(self):
        self.warned(("--queue-bytes", "128MiB"), "queue_bytes is 128MiB, and agent_queue_bytes of 64MiB")
        self.warned(("--agent-queue-bytes", "1GiB"), "agent_queue_bytes is 1GiB, and total_queue_bytes of 512MiB")
        self.warned(("--queue-bytes", "2GiB", "--agent-queue-bytes", "1GiB"), "total_queue_bytes of 512MiB", "total_queue_bytes of 512MiB")

    def test_a_limit_that_makes_the_others_lower_is_not_complained_of(self):
        self.warned(("--total-queue-bytes", "1MiB"))
        self.warned(("--queue-bytes", "64MiB"))

    def test_a_password_of_an_endpoint_is_not_printed(self):
        """Also where there is no scheme, and where the value is refused."""
        for endpoint in ("http://user:secret@h:4318", "user:secret@h:4317", "user:secret@h:x:4317", "user:secret@a b", "http://h/?token=secret"):
            done = run_program("loom-broker", "--check-config", environment={**self.environment, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint})
            said = [line for line in (done.stdout + done.stderr).splitlines() if "secret" in line]
            self.right(done.returncode == 0 and "endpoint = " in done.stdout and not said, f"{endpoint}: {said}")

    def test_a_batched_deadline_of_0_holds_nobody_back(self):
        code, _ = self.checked("loom-broker", "--batched-deadline", "0")
        pressed = 0
        if code == 0:
            home = self.home(spans=False, broker=("--batched-deadline", "0"))
            self.agent(home, "slow", credit_messages=1).subscribe("flow", queue_messages=1)
            sender = self.agent(home, "sender")
            for _ in range(10):
                sender.publish("flow", b"x")
            sender.sync()
            pressed = home.stats()["eventbus"]["pressure"]
        self.right(code != 0 or pressed == 0, f"--batched-deadline 0: exit code {code}, publishers were held back {pressed} times")


@in_both_homes
class Limits:
    """What the broker's settings say of messages, for agents of its own bridge and of others."""

    def test_max_payload_of_the_broker_holds_and_ends_no_session(self):
        home = self.home(spans=False, broker=("--max-payload", "1KiB"))
        receiver, sender = self.agent(home, "receiver").subscribe("flow"), self.agent(home, "sender")
        for size in (1024, 1025, 1):
            sender.publish("flow", bytes(size))
        receiver.wait(lambda: receiver.events and len(receiver.events[-1].payload) == 1, "the last one")
        sender.sync()
        sizes, told = [len(event.payload) for event in receiver.events], sender.welcome["max_payload"]
        self.right(sizes == [1024, 1] and told == 1024 and [n["status"] for n in sender.notices] == [wire.ETOOBIG] and sender.end is None,
                   f"max_payload 1024 is told as {told}; payloads of {sizes} came, notices {[n['text'] for n in sender.notices]}, end {sender.end}")

    def test_a_call_over_max_payload_fails_and_ends_no_session(self):
        home = self.home(spans=False, broker=("--max-payload", "1KiB"))
        caller = self.agent(home, "caller")
        self.agent(home, "provider").provide("anything")
        result = caller.wait_result(caller.call("anything", bytes(1025)))
        self.right(result.outcome == 6 and caller.end is None, f"outcome {result.outcome}, {result.code}: {result.text}")

    def test_a_queue_that_is_not_as_large_as_asked_for_is_told(self):
        home = self.home(spans=False)
        agent = self.agent(home, "agent")
        asked = ({"queue_messages": 8193}, {"queue_bytes": 4 << 30}, {"deadline_ms": 51}, {"queue_messages": 1 << 40, "deadline_ms": 1 << 40}, {},
                 {"queue_messages": 8192, "queue_bytes": 8 << 20, "deadline_ms": 50})
        said = [agent.request(wire.SUBSCRIBE, subscription=number, filter="a.b", **limits) for number, limits in enumerate(asked)]
        right = ["queue_messages is 8192, the broker's", "queue_bytes is 8388608, the broker's", "deadline_ms is 50, the broker's",
                 "queue_messages is 8192, the broker's, deadline_ms is 50, the broker's", "", ""]
        self.right([ack["text"] for ack in said] == right and not any(ack["status"] for ack in said), f"{said}")

    def test_ttl_of_the_broker_holds(self):
        home = self.home(spans=False, broker=("--ttl", "3"))
        receiver, sender = self.agent(home, "receiver").subscribe("flow"), self.agent(home, "sender")
        sender.publish("flow", b"x")
        left = receiver.wait_events(1)[0].context.ttl
        self.right(left == 2, f"--ttl 3: an event arrives with {left} hops left")


class LowerLimits(HostileTest):
    kind = OWN_PROCESS

    def test_a_session_of_before_is_told_of_a_lower_limit(self):
        home = self.home(spans=False)
        sender = self.agent(home, "sender")
        home.kill(home.broker)
        home.broker_flags += ["--max-payload", "1KiB"]
        home.start_broker()
        wait_until(lambda: home.stats()["bus"]["bridges"] == 1, "the bridge is back")
        sender.publish("flow", bytes(2000))
        sender.wait(lambda: sender.notices, "a notice")
        sender.sync()
        self.right(sender.end is None and sender.notices[0]["status"] == wire.ETOOBIG, f"notice {sender.notices[0]['text']}, end {sender.end}")


class Sockets(Programs):
    def started(self, name, *flags):
        environment = clean_environment(**self.environment)
        process = Process(self.folder, name, [str(BIN / name), "--listen", f"ipc://{self.folder}/agents.sock", *flags], environment)
        self.addCleanup(process.kill)
        return process

    def cannot_listen(self, flag):
        process = self.started("loom-broker", flag, f"ipc://{self.folder}/missing/folder/bus.sock")
        code = process.wait()
        self.right(code == 1 and "missing/folder" in process.err,
                   f"{flag} where nobody can listen: exit code {code}, {process.err.strip().splitlines()[-1:]}")

    def test_a_broker_that_cannot_listen_on_bus_pull_says_so(self):
        self.cannot_listen("--bus-pull")

    def test_a_broker_that_cannot_listen_on_bus_pub_says_so(self):
        self.cannot_listen("--bus-pub")

    def test_a_broker_that_cannot_listen_on_bus_bridge_says_so(self):
        self.cannot_listen("--bus-bridge")

    def test_a_broker_that_cannot_listen_on_bus_control_says_so(self):
        self.cannot_listen("--bus-control")

    def test_a_broker_whose_bus_socket_is_in_use_says_so(self):
        """Each of them, once another broker has it."""
        for flag in ("bus-pull", "bus-pub", "bus-bridge", "bus-control"):
            first = self.started("loom-broker", f"--{flag}", f"ipc://{self.folder}/used.sock")
            wait_until((self.folder / "used.sock").exists, "the first broker listens")
            wait_until((self.folder / "agents.sock").exists, "the first broker serves agents")
            others = [part for other in ("bus-pull", "bus-pub", "bus-bridge", "bus-control") if other != flag
                      for part in (f"--{other}", "")]
            second = self.started("loom-broker", f"--{flag}", f"ipc://{self.folder}/used.sock", *others)
            code = second.wait()
            first.stop()
            if code != 1:
                self.right(False, f"--{flag} in use: exit code {code}")
        self.right(True, "each bus socket in use: exit code 1")

    def test_the_same_path_in_another_mount_namespace_is_another_socket(self):
        if not namespaces_work():
            self.skipTest("no namespaces here")
        where = self.folder / "shared"
        where.mkdir()
        flags = [part for name in ("bus-pull", "bus-pub", "bus-bridge", "bus-control")
                 for part in (f"--{name}", f"ipc://{where}/{name}.sock")] + ["--listen", f"ipc://{where}/agents.sock"]
        command = [str(BIN / "loom-broker"), *flags, "--ready-file", f"{self.folder}/"]
        environment = clean_environment(**self.environment)
        first = Process(self.folder, "first", command[:-1] + [f"{self.folder}/first.ready"], environment)
        self.addCleanup(first.kill)
        wait_until((self.folder / "first.ready").exists, "the first broker listens")
        inside = f"mount -t tmpfs none {where} && exec " + " ".join(command[:-1] + [f"{self.folder}/second.ready"])
        second = Process(self.folder, "second", [*NAMESPACE, "sh", "-c", inside], environment)
        self.addCleanup(second.kill)
        wait_until(lambda: (self.folder / "second.ready").exists() or not second.running(), "the second broker listens, or ends")
        self.right(second.running(), f"the second broker {'listens, too' if second.running() else 'says ' + second.err[-200:]}")
        self.assertEqual((0, 0), (second.stop(), first.stop()))


class Starved(Programs):
    """Too few descriptors to begin with."""

    def ends_well(self, *command):
        bad = []
        for count in range(4, 17):  # with three of them the linker finds no library
            limited = ["prlimit", f"--nofile={count}:{count}", str(BIN / command[0]), *map(str, command[1:])]
            process = Process(self.folder, f"starved-{count}", limited, clean_environment(**self.environment))
            self.addCleanup(process.kill)
            deadline = time.monotonic() + 1
            while process.running() and time.monotonic() < deadline and "listening for agents" not in process.err:
                time.sleep(0.02)
            if process.running():
                break  # it has enough
            if process.popen.returncode != 1 or not process.err.strip():
                bad.append((count, process.popen.returncode))
        self.right(not bad, f"{' '.join(map(str, command[:3]))}: (descriptors, exit code) {bad or 'always 1 and why'}")

    def test_a_broker_with_too_few_descriptors_says_so(self):
        self.ends_well("loom-broker", "--listen", f"ipc://{self.folder}/agents.sock")

    def test_a_bridge_with_too_few_descriptors_says_so(self):
        self.ends_well("loom-bridge", "--listen", f"ipc://{self.folder}/agents.sock")

    def test_a_collector_with_too_few_descriptors_says_so(self):
        self.ends_well("loom", "trace", "collect", "--db", self.folder / "traces.db", "--listen", "127.0.0.1:0")


class Trust(Programs):
    """The fallback runtime directory as anybody could have made it, with somebody's servers in it. In a namespace of its
    own, so that the real one is not touched."""

    def heard(self, *command):
        if not namespaces_work():
            self.skipTest("no namespaces here")
        environment = clean_environment(XDG_RUNTIME_DIR=None, XDG_CONFIG_HOME=self.folder, HOME=self.folder)
        done = subprocess.run([*NAMESPACE, sys.executable, "-B", str(FAKE), "/tmp/loom-0", str(BIN / command[0]), *command[1:]],
                              env=environment, cwd=self.folder, capture_output=True, text=True, timeout=30,
                              preexec_fn=die_with_parent)
        heard = re.findall(r"^heard (\d+) bytes(.*)$", done.stdout, re.MULTILINE)
        self.assertTrue(heard, done.stdout + done.stderr)
        count, payload = heard[-1]
        self.right(int(count) == 0, f"{' '.join(command[:2])} says {count} bytes{payload} to a stranger's server")

    def test_an_agent_says_nothing_to_a_server_in_a_directory_open_to_all(self):
        self.heard("loom", "pub", "a.b", "the-secret-payload", "--wait", "1s")

    def test_the_command_line_asks_nothing_of_a_server_in_a_directory_open_to_all(self):
        self.heard("loom", "agents")

    def test_a_bridge_says_nothing_to_a_server_in_a_directory_open_to_all(self):
        self.heard("loom-bridge", "--listen", f"ipc://{self.folder}/bridge.sock")


@in_both_homes
class Hangup:
    def test_sighup_does_not_kill_without_a_drain(self):
        home = self.home(spans=False)
        agent = self.agent(home, "agent")
        process = home.serving
        process.signal(signal.SIGHUP)
        time.sleep(0.3)
        if not process.running() and process.popen.returncode != 0:
            home.broken_on_purpose.add(process.pid)
        alive = process.running()
        code = process.popen.poll()
        heard = None
        if not alive:
            agent.wait(lambda: agent.end is not None or agent.closed, "the end")
            heard = agent.end
        self.right(alive or (code == 0 and heard is not None and heard[0] == wire.BYE),
                   f"{process.name} {'goes on' if alive else f'ended with {code}'}, its agent heard {heard}")


class Provide(HostileTest):
    kind = IN_BROKER

    def test_a_provider_that_is_stopped_with_calls_still_coming_ends_well(self):
        """Under valgrind, or the tree's own sanitizer: what it wrote to was freed."""
        valgrind = shutil.which("valgrind")
        sanitized = "address" in SANITIZER
        if not valgrind and not sanitized:
            self.skipTest("no valgrind")
        if SANITIZER == "thread":
            self.skipTest("a thread sanitizer under valgrind")
        home = self.home(spans=False)
        checker = [] if sanitized else [valgrind, "-q", "--error-exitcode=99"]
        home.count += 1
        provider = Process(home.folder, "provide", [*checker, str(BIN / "loom"), "provide", "--url", home.url, "slow", "--",
                                                    "sleep", "0.5"], home.environment)
        self.addCleanup(provider.kill)
        caller = self.agent(home, "caller")
        wait_until(lambda: "providing" in provider.err or not provider.running(), "it provides")
        for _ in range(20):
            caller.call("slow")
        wait_until(lambda: home.stats()["actions"]["running"] == 20, "its calls are there")
        end = time.monotonic() + 30
        calls = [wire.call_frame(os.urandom(8), "slow", wire.envelope("slow", b"", "caller")) for _ in range(9000)]
        flood = Flood(caller.link).start(b"".join(calls[:3000]))  # it is at them for a while
        time.sleep(0.1)
        provider.signal(signal.SIGTERM)
        for first in itertools.cycle(range(3000, 9000, 20)):
            if not provider.running() or time.monotonic() > end:
                break
            flood.wait_sent()
            flood.start(b"".join(calls[first:first + 20]))
            time.sleep(0.003)
        code = provider.wait(30)
        found = [line for line in provider.err.splitlines() if "Invalid" in line or "ERROR" in line]
        self.right(code in (0, -signal.SIGTERM) and not found, f"exit code {code}, {found[:2]}")


del Hangup, Limits  # only in its homes

if __name__ == "__main__":
    main()
