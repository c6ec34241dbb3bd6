# SPDX-License-Identifier: Apache-2.0
"""loom up, down, ps, logs and new: real brokers and agents, each project in a folder and a runtime directory of its own."""

import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import unittest

from harness import BIN, Process, clean_environment, runs, wait_until

STOP_S = 5  # a drain of well-behaved agents


class Project(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="loom-up-", ignore_cleanup_errors=True)))
        (self.folder / "run").mkdir(mode=0o700)
        self.environment = clean_environment(XDG_RUNTIME_DIR=self.folder / "run", HOME=self.folder)
        self.started = []
        self.addCleanup(self.end)

    def end(self):
        """Whatever a test has left: first as a user would, then by force."""
        if (self.folder / "loom.toml").exists():
            subprocess.run([BIN / "loom", "down", "--now", "-t", "5s"], cwd=self.folder, env=self.environment, capture_output=True)
        for process in self.started:
            process.kill()
            self.assertNotRegex(process.err, "Sanitizer|runtime error:")

    def project(self, text):
        (self.folder / "loom.toml").write_text(text)

    def script(self, name, text):
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path

    def loom(self, *arguments, code=0, **changes):
        """(standard output, standard error) of a run to its end."""
        done = subprocess.run([BIN / "loom", *map(str, arguments)], cwd=self.folder, env=self.environment | changes, text=True,
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=60)
        self.assertEqual(code, done.returncode, f"{arguments}\n{done.stdout}{done.stderr}")
        self.assertNotIn("Sanitizer", done.stderr)
        return done.stdout, done.stderr

    def up(self, *arguments, until="everything is ready", **popen):
        """`loom up` in the foreground, once it has said so."""
        process = Process(self.folder, f"up-{len(self.started)}", [str(BIN / "loom"), "up", *arguments], self.environment, **popen)
        self.started.append(process)
        if until:
            self.wait_output(process, until)
        return process

    def wait_output(self, process, text):
        wait_until(lambda: text in process.out or not process.running(), text)
        self.assertIn(text, process.out, process.err)

    def services(self):
        services = json.loads(self.loom("ps", "--json")[0])["services"]
        self.assertEqual([], [service for service in services if "" in service.values() or None in service.values()], "what there is not is left out")
        return {service["name"]: service for service in services}

    def wait_state(self, name, state):
        wait_until(lambda: self.services()[name]["state"] == state, f"{name} is {state}")
        return self.services()[name]

    def state_folder(self):
        (found,) = (self.folder / "run/loom/up").iterdir()
        return found


class Starting(Project):
    def test_the_broker_is_ready_before_an_agent_starts_and_agents_find_it(self):
        self.project("""
[agents.env]
command = "echo url=$LOOM_URL control=$LOOM_CONTROL name=$OTEL_SERVICE_NAME parent=[$TRACEPARENT$BAGGAGE] mode=$MODE sampler=$OTEL_TRACES_SAMPLER dir=$(pwd); exec sleep 60"
cwd = "sub"
env = { MODE = "a b" }
[agents.sub]
command = ["loom", "sub", "greetings.>"]
ready = "bus"
[telemetry]
sampler = "always_off"
""")
        (self.folder / "sub").mkdir()
        self.environment |= {"TRACEPARENT": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "BAGGAGE": "a=b"}
        up = self.up()
        run = self.folder / "run/loom"
        self.wait_output(up, "name=env")
        self.assertIn(f"env    | url=ipc://{run}/loom.sock control=ipc://{run}/bus-control.sock name=env parent=[] mode=a b "
                      f"sampler=always_off dir={self.folder}/sub\n", up.out)
        self.assertLess(up.out.index("broker is ready"), up.out.index("name=env"))
        self.assertIn("sub    | subscribed\n", up.out)
        self.assertNotIn("\033", up.out)
        self.loom("pub", "greetings.all", "hello")
        self.wait_output(up, "hello\n")
        self.assertEqual(0, up.stop())
        self.assertTrue(up.out.endswith("up     | stopped\n"), up.out)
        self.assertFalse((self.state_folder() / "state.json").exists())
        self.assertEqual([], list(run.glob("*.sock")))

    def test_a_name_that_the_environment_gives_is_kept(self):
        self.project('[agents.a]\ncommand = "echo name=$OTEL_SERVICE_NAME; exec sleep 60"\n')
        self.environment |= {"OTEL_SERVICE_NAME": "mine"}
        self.wait_output(self.up(), "name=mine")

    def test_prefixes_are_coloured_when_asked_for(self):
        self.project('[agents.a]\ncommand = "echo plain; exec sleep 60"\n')
        up = self.up("--color", "always", until="is ready")
        self.wait_output(up, "\033[32ma      |\033[0m plain\n")

    def test_a_second_up_of_the_same_project_refuses(self):
        self.project('[agents.a]\ncommand = "exec sleep 60"\n')
        up = self.up()
        _, err = self.loom("up", code=1)
        self.assertIn(f"is up already, as process {up.pid}; see `loom ps`, or stop it with `loom down`", err)
        self.assertTrue(up.running())

    def test_of_two_that_start_at_once_one_refuses(self):
        self.project('[agents.a]\ncommand = "exec sleep 60"\n')
        both = [self.up(until=None), self.up(until=None)]
        wait_until(lambda: not all(process.running() for process in both), "one has ended")
        (loser,) = [process for process in both if not process.running()]
        self.assertEqual(1, loser.wait())
        self.assertIn("is up already", loser.err)

    def test_fifty_agents_start_and_stop(self):
        self.project('[agents.many]\ncommand = "echo here; exec sleep 60"\nreplicas = 50\n')
        up = self.up()
        wait_until(lambda: up.out.count("here") == 50, "50 lines")
        found = self.services()
        self.assertEqual({"broker"} | {f"many-{i}" for i in range(1, 51)}, set(found))
        self.assertEqual({"ready"}, {service["state"] for service in found.values()})
        self.assertEqual(0, up.stop())
        self.assertFalse(any(runs(service["pid"]) for service in found.values()))

    def test_without_a_broker_of_its_own_it_uses_the_one_that_is_there(self):
        self.project('[agents.a]\ncommand = "exec sleep 60"\n')
        self.up()
        other = self.folder / "other"
        other.mkdir()
        (other / "loom.toml").write_text('[up]\nbroker = false\n[agents.sub]\ncommand = ["loom", "sub", "x"]\nready = "bus"\n')
        self.loom("up", "-d", other / "loom.toml")
        self.loom("ps", "-c", other / "loom.toml")
        self.loom("down", "-c", other / "loom.toml")
        self.assertEqual("ready", self.services()["broker"]["state"])

    def test_the_view_is_started_before_the_agents(self):
        self.environment["LOOM_TRACE_DB"] = str(self.folder / "traces.db")
        self.project('[up]\nview = true\n[agents.a]\ncommand = "echo here; exec sleep 60"\n')
        up = self.up()
        self.wait_output(up, "a      | here")
        self.assertRegex(up.out, r"(?s)up     \| view: http://127\.0\.0\.1:.*a      \| here")
        self.assertEqual("ready", self.services()["view"]["state"])

    def test_a_broker_that_listens_for_no_agents_says_so(self):
        self.project('[agents.a]\ncommand = "echo url=$LOOM_URL; exec sleep 60"\n[broker]\nlisten = ["http://127.0.0.1:0"]\n')
        up = self.up()
        self.wait_output(up, "a      | url=\n")
        self.assertIn("[broker] listen has no address for agents, so LOOM_URL is not set", up.out)

    def test_a_runtime_directory_that_is_no_part_of_a_url_does_no_harm(self):
        done = subprocess.run([BIN / "loom-broker", "--check-config"], env=self.environment | {"XDG_RUNTIME_DIR": f"{self.folder}/a b"},
                              text=True, capture_output=True)
        self.assertEqual(0, done.returncode, done.stderr)

    def test_a_broker_that_cannot_start_ends_it_all(self):
        self.project('[agents.a]\ncommand = "echo started; exec sleep 60"\n[broker]\nlisten = ["tcp://127.0.0.1:1"]\n')
        if os.geteuid() == 0:
            self.project('[agents.a]\ncommand = "echo started; exec sleep 60"\n[broker]\nlisten = ["ipc:///proc/none/loom.sock"]\n')
        up = self.up(until=None)
        self.assertEqual(1, up.wait())
        self.assertIn("the broker ended before it was ready, see above; giving up", up.out)
        self.assertNotIn("started", up.out)


class Configuration(Project):
    def refused(self, text, *expected):
        self.project(text)
        _, err = self.loom("up", code=1)
        for part in expected:
            self.assertIn(part, err)
        self.assertEqual([], [path for path in (self.folder / "run").rglob("state.json")])

    def test_mistakes_are_named_with_their_place(self):
        file = self.folder / "loom.toml"
        self.refused('[agents.a]\ncomand = "x"\n', f'{file}:2:1: unknown key "comand" in [agents.a]; did you mean "command"?')
        self.refused('[agents.a]\n', f"{file}:1:9: [agents.a] command is missing")
        self.refused('[agents.a]\ncommand = "x"\nrestart = "allways"\n', f'{file}:3:1: [agents.a] restart is "allways"', '"always"?')
        self.refused('[agents.a]\ncommand = 3\n', f"{file}:2:1: [agents.a] command has to be a shell command, or a list")
        self.refused('[agents.a]\ncommand = "x"\nenv = { A = 1 }\n', f"{file}:3:1: [agents.a] env has to be a table of strings")
        self.refused('[agents.a]\ncommand = ["nowhere-to-be-found"]\n', f"{file}:2:1: [agents.a] command", "no such program in PATH")
        self.refused('[agents.a]\ncommand = ["/nowhere"]\n', '[agents.a] command "/nowhere": there is no such program\n')
        self.refused('[agents.a]\ncommand = ["./nowhere"]\n', f"{file}:2:1: [agents.a] command", f"no such program in {self.folder}")
        self.refused('[agents.a]\ncommand = "x"\ncwd = "none"\n', f"{file}:3:1: [agents.a] cwd", "No such file")
        self.refused('[agents."a b"]\ncommand = "x"\n', f'{file}:1:9: the section "agents.a b": a name has up to 32 letters')
        self.refused('[agents.broker]\ncommand = "x"\n', "belongs to `loom up` itself")
        self.refused('[agent5.a]\ncommand = "x"\n', f'{file}:1:2: unknown section "agent5"')
        self.refused('[agents.a]\ncommand = = 1\n', f"{file}:2:1")
        self.refused('[agents.a-1]\ncommand = "x"\n[agents.a]\ncommand = "x"\nreplicas = 2\n', "two agents called a-1")
        self.refused('[agents.a]\ncommand = "x"\nready = "bus"\n[broker]\nbus_control = ""\n', "bus_control")

    def test_no_file_says_what_to_do(self):
        self.assertIn("loom new NAME", self.loom("up", code=1)[1])

    def test_check_runs_nothing(self):
        self.project('[agents.a]\ncommand = "touch ran"\n')
        self.assertIn("2 processes", self.loom("up", "--check")[0])
        self.assertFalse((self.folder / "ran").exists())

    def test_a_broker_takes_the_same_file_and_checks_all_of_it(self):
        self.project('[broker]\nttl = 3\n[agents.a]\ncommand = "x"\n[up]\nview = true\n')
        check = [BIN / "loom-broker", "--config", self.folder / "loom.toml", "--check-config"]
        done = subprocess.run(check, env=self.environment, text=True, capture_output=True)
        self.assertEqual(0, done.returncode, done.stderr)
        self.project('[agents.a]\ncommand = "x"\nrestart = "sometimes"\n')
        done = subprocess.run(check, env=self.environment, text=True, capture_output=True)
        self.assertEqual(1, done.returncode)
        self.assertIn("loom.toml:3:1: [agents.a] restart", done.stderr)


class Restarting(Project):
    def test_an_agent_that_is_killed_is_started_again(self):
        self.project('[agents.a]\ncommand = "echo born; exec sleep 60"\nrestart_delay = "10ms"\n')
        up = self.up()
        for number in (1, 2):
            pid = self.wait_state("a", "ready")["pid"]
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: self.services()["a"]["pid"] not in (0, pid), "a new process")
            self.assertEqual(number, self.services()["a"]["restarts"])
        self.assertEqual("signal 9 (Killed)", self.services()["a"]["last_exit"])
        self.wait_output(up, "a ended: signal 9 (Killed); restart 2 of 10 in ")
        wait_until(lambda: up.out.count("born") == 3, "three lives")

    def test_waits_double_and_have_a_limit(self):
        self.project('[agents.a]\ncommand = "exit 3"\nrestart_delay = "20ms"\nrestart_limit = 4\n')
        up = self.up(until="it is not started again")
        self.assertIn("a failed: code 3, after 4 restarts in a row", up.out)
        waits = [int(text) for text in re.findall(r"restart \d of 4 in (\d+) ms", up.out)]
        self.assertEqual(4, len(waits))
        for i, wait in enumerate(waits):
            self.assertTrue(10 * 2**i <= wait <= 20 * 2**i, waits)
        self.assertEqual("failed", self.services()["a"]["state"])

    def test_policies(self):
        self.project("""
[agents.clean]
command = "true"
[agents.always]
command = "true"
restart = "always"
restart_delay = "10ms"
restart_limit = 2
[agents.never]
command = "false"
restart = "never"
""")
        up = self.up(until=None)
        self.wait_output(up, "clean ended: code 0\n")
        self.wait_output(up, 'never failed: code 1; its restart policy is "never"')
        self.wait_output(up, "always failed: code 0, after 2 restarts in a row")

    def test_what_an_agent_has_started_goes_with_it(self):
        self.script("parent", "sleep 300 & echo child=$!; sleep 300")
        self.project('[agents.a]\ncommand = ["./parent"]\nrestart = "never"\n')
        up = self.up()
        self.wait_output(up, "child=")
        child = int(re.search(r"child=(\d+)", up.out)[1])
        os.kill(self.services()["a"]["pid"], signal.SIGKILL)
        wait_until(lambda: not runs(child), "the child has ended")

    def test_a_broker_that_is_killed_comes_back_and_agents_find_it(self):
        self.project('[agents.sub]\ncommand = ["loom", "sub", "x"]\nready = "bus"\n')
        up = self.up()
        pid = self.services()["broker"]["pid"]
        os.kill(pid, signal.SIGKILL)
        def is_new(broker):
            return broker["state"] == "ready" and broker["pid"] != pid
        wait_until(lambda: is_new(self.services()["broker"]), "a new broker")
        wait_until(lambda: len(json.loads(self.loom("agents", "--json")[0])["agents"]) > 0, "the agent is back")
        self.loom("pub", "x", "again")
        self.wait_output(up, "again\n")


class Stopping(Project):
    def stubborn(self):
        self.script("stubborn", "trap '' TERM; echo deaf; while :; do sleep 0.1; done")
        self.project('[up]\nstop_timeout = "60s"\n[agents.a]\ncommand = ["./stubborn"]\n')

    def test_ctrl_c_drains_agents_before_the_broker(self):
        self.script("drains", "trap 'loom pub x last >/dev/null && echo drained; exit 0' TERM; echo ready to drain; while :; do sleep 0.05; done")
        self.project('[agents.a]\ncommand = ["./drains"]\n')
        up = self.up()
        self.wait_output(up, "ready to drain")
        up.signal(signal.SIGINT)
        self.assertEqual(0, up.wait())
        self.assertIn("a      | drained\n", up.out)
        self.assertIn("once more (ctrl-C) kills everything at once", up.out)

    def test_after_the_deadline_it_kills(self):
        self.stubborn()
        path = self.folder / "loom.toml"
        path.write_text(path.read_text().replace("60s", "200ms"))
        up = self.up()
        self.wait_output(up, "deaf")
        up.signal(signal.SIGTERM)
        self.assertEqual(0, up.wait())
        self.assertIn("a did not end within 200 ms; killing it", up.out)

    def test_a_second_ctrl_c_kills_at_once(self):
        self.stubborn()
        up = self.up()
        self.wait_output(up, "deaf")
        pids = [service["pid"] for service in self.services().values()]
        up.signal(signal.SIGINT)
        self.wait_output(up, "stopping")
        up.signal(signal.SIGINT)
        self.assertEqual(0, up.wait(STOP_S))
        self.assertIn("killing everything", up.out)
        self.assertFalse(any(map(runs, pids)))

    def test_ctrl_c_in_a_terminal_reaches_agents_by_way_of_the_supervisor(self):
        self.script("counts", "trap 'echo interrupted' INT; trap 'echo asked; exit 0' TERM; echo here; while :; do sleep 0.05; done")
        self.project('[agents.a]\ncommand = ["./counts"]\n')
        master, slave = os.openpty()
        up = subprocess.Popen([BIN / "loom", "up"], cwd=self.folder, env={**self.environment, "NO_COLOR": "", "TERM": "xterm"}, stdin=slave,
                              stdout=slave, stderr=slave, start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.addCleanup(up.kill)
        os.close(slave)
        seen = b""
        while b"here" not in seen:
            seen += os.read(master, 4096)
        os.write(master, b"\x03")
        while True:
            try:
                seen += os.read(master, 4096)
            except OSError:  # all of it has ended
                break
        self.assertEqual(0, up.wait(20))
        self.assertIn(b"\x1b[32ma      |\x1b[0m asked", seen)
        self.assertNotIn(b"interrupted", seen)

    def test_down_waits_for_the_end_and_down_now_does_not_ask(self):
        self.stubborn()
        up = self.up()
        self.wait_output(up, "deaf")
        self.assertIn("still stopping", self.loom("down", "-t", "100ms", code=1)[1])
        self.loom("down", "--now", "-t", "5s")
        self.assertEqual(0, up.wait())
        self.assertIn("is not up", self.loom("down", code=1)[1])

    def test_a_killed_supervisor_leaves_nothing_behind(self):
        self.script("parent", "trap '' HUP; sleep 300 & echo child=$!; wait")
        self.project('[agents.a]\ncommand = ["./parent"]\nreplicas = 3\n')
        up = self.up()
        wait_until(lambda: up.out.count("child=") == 3, "three children")
        pids = [service["pid"] for service in self.services().values()] + [int(pid) for pid in re.findall(r"child=(\d+)", up.out)]
        self.assertTrue(all(map(runs, pids)))
        up.kill()
        wait_until(lambda: not any(map(runs, pids)), "everything has ended")
        again = self.up()
        self.assertNotIn("was killed", again.out)

    def test_the_next_up_cleans_what_nobody_else_could(self):
        self.project('[agents.a]\ncommand = "exec sleep 300"\n')
        up = self.up()
        pids = [service["pid"] for service in self.services().values()]
        (guardian,) = [int(pid) for pid in pathlib.Path(f"/proc/{up.pid}/task/{up.pid}/children").read_text().split()
                       if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "loom-up-guardia"]
        os.kill(guardian, signal.SIGKILL)
        up.kill()
        self.assertTrue(all(map(runs, pids)))
        self.assertIn("was killed; `loom down` or the next `loom up` cleans up", self.loom("ps", code=1)[1])
        again = self.up()
        self.assertIn("the last `loom up` was killed; ended 2 processes that it had left running", again.out)
        self.assertFalse(any(map(runs, pids)))


class Detached(Project):
    def test_it_returns_when_everything_is_ready_and_goes_on(self):
        self.project('[agents.sub]\ncommand = ["loom", "sub", "x"]\nready = "bus"\n')
        out, _ = self.loom("up", "-d")
        self.assertIn("running in the background", out)
        self.assertEqual({"broker": "ready", "sub": "ready"}, {name: s["state"] for name, s in self.services().items()})
        table, _ = self.loom("ps")
        self.assertRegex(table, r"sub +ready .* loom sub x")
        self.loom("pub", "x", "hello")
        wait_until(lambda: "hello" in self.loom("logs", "sub")[0], "the event")
        pids = [service["pid"] for service in self.services().values()]
        self.loom("down")
        self.assertFalse(any(map(runs, pids)))
        self.assertIn("is not up", self.loom("ps", code=1)[1])
        self.assertIn("stopped", self.loom("logs", "-n", "1")[0])

    def test_what_is_not_ready_in_time_is_an_error(self):
        self.project('[up]\nready_timeout = "300ms"\n[agents.a]\ncommand = "exec sleep 60"\nready = "bus"\n')
        out, _ = self.loom("up", "-d", code=1)
        self.assertIn("a is not ready after 300 ms: it is running", out)
        self.assertEqual("running", self.services()["a"]["state"])

    def test_a_start_that_fails_is_told(self):
        self.project('[broker]\nlisten = ["ipc:///proc/none/loom.sock"]\n')
        self.assertIn("giving up", self.loom("up", "-d", code=1)[0])


class Logs(Project):
    def test_by_name_by_number_and_with_times(self):
        self.project("""
[agents.web]
command = "for i in 1 2 3; do echo line $i; done; exec sleep 60"
replicas = 2
[agents.web-admin]
command = "echo admin; printf unfinished; exec sleep 0.1"
""")
        up = self.up()
        self.wait_output(up, "web-admin | unfinished\n")
        wait_until(lambda: up.out.count("line 3") == 2, "both")
        out, _ = self.loom("logs", "web")
        self.assertEqual(sorted(f"web-{n}     | line {i}" for n in (1, 2) for i in (1, 2, 3)), sorted(out.splitlines()))
        self.assertEqual("web-2     | line 3\n", self.loom("logs", "web-2", "-n", "1")[0])
        self.assertRegex(self.loom("logs", "web-1", "-n", "1", "-t")[0], r"^\d{4}-\d\d-\d\dT[\d:.]{12}Z web-1     \| line 3\n$")
        self.assertIn('has no agent "wbe-admin"; did you mean "web-admin"?', self.loom("logs", "wbe-admin", code=5)[1])

    def test_a_name_that_nothing_in_the_log_has_is_told_when_all_has_ended(self):
        self.project('[agents.web]\ncommand = "echo hello; exec sleep 60"\n')
        self.wait_output(self.up(), "hello")
        self.loom("down")
        self.assertIn("| hello", self.loom("logs", "web")[0])
        for more in ((), ("-n", "3"), ("-f",)):
            out, err = self.loom("logs", "wbe", *more, code=5)
            self.assertEqual("", out)
            self.assertIn('has nothing of "wbe"; did you mean "web"?', err)
        self.assertIn('has nothing of "quitedifferent"; `loom logs` shows all of it', self.loom("logs", "quitedifferent", code=5)[1])

    def test_following_ends_with_the_project(self):
        self.project('[agents.sub]\ncommand = ["loom", "sub", "x"]\nready = "bus"\n')
        self.up()
        reader = Process(self.folder, "logs", [str(BIN / "loom"), "logs", "-f", "sub"], self.environment)
        self.started.append(reader)
        self.wait_output(reader, "subscribed")
        self.loom("pub", "x", "hello")
        self.wait_output(reader, "hello")
        self.loom("down")
        self.assertEqual(0, reader.wait())

    def test_a_flood_is_bounded_and_counted_and_others_are_heard(self):
        self.project("""
[agents.flood]
command = ["yes", "0123456789012345678901234567890123456789012345678901234567890123456789"]
[agents.quiet]
command = "while :; do echo still here; sleep 0.2; done"
""")
        up = self.up()
        self.wait_output(up, "lines left out")
        wait_until(lambda: up.out.count("still here") >= 3, "the other agent")
        self.assertGreater(int(re.search(r"flood wrote more than 2000 lines in a second: (\d+) lines left out", up.out)[1]), 0)
        self.assertGreater(self.services()["flood"]["suppressed_lines"], 0)
        self.assertEqual(0, up.stop())
        self.assertLess(sum(path.stat().st_size for path in self.state_folder().glob("log*")), 8 * 1024 * 1024)

    def test_long_lines_and_bytes_that_are_no_text_pass(self):
        self.script("odd", r"head -c 20000 /dev/zero | tr '\0' x; echo; printf '\377\376\n'; exec sleep 60")
        self.project('[agents.a]\ncommand = ["./odd"]\n')
        up = self.up()
        wait_until(lambda: b"\xff\xfe\n" in up.out_path.read_bytes(), "the bytes")
        self.assertEqual([8192, 8192, 3616], [len(line) for line in re.findall(r"x{100,}", up.out)])

    def test_a_reader_that_stops_does_not_stop_agents(self):
        self.project('[agents.a]\ncommand = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo $i; done; touch done; exec sleep 60"\n')
        up = self.up(until=None, stdout=subprocess.PIPE)
        wait_until(lambda: (self.folder / "done").exists(), "all lines are written")
        up.signal(signal.SIGTERM)
        up.popen.communicate(timeout=20)
        self.assertEqual(0, up.popen.returncode)


    def test_it_ends_with_its_reader(self):
        self.project('[agents.a]\ncommand = "exec sleep 60"\n')
        up = self.up(until=None, stdout=subprocess.PIPE)
        self.assertIn(b"broker", up.popen.stdout.readline())
        up.popen.stdout.close()
        self.assertEqual(0, up.wait())
        self.assertIn("stopped", self.loom("logs")[0])


class New(Project):
    """Against a Loom that is installed elsewhere than it was built."""

    def install(self):
        prefix = self.folder / "prefix"
        for part in ("tools/loom", "broker", "sdk-c", "trace/process/libraries"):
            done = subprocess.run(["cmake", "--install", BIN.parent / part, "--prefix", prefix], capture_output=True, text=True)
            if "cannot find" in done.stderr:
                self.skipTest(f"not everything is built: {done.stderr.split('cannot find')[1]}")
            self.assertEqual(0, done.returncode, done.stderr)
        self.environment["PATH"] = f"{prefix}/bin:{os.environ['PATH']}"
        return prefix / "bin/loom"

    def use(self, loom, name):
        def call(*arguments, code=0):
            done = subprocess.run([loom, *arguments], cwd=self.folder / name, env=self.environment, text=True, capture_output=True,
                                  timeout=120)
            self.assertEqual(code, done.returncode, done.stdout + done.stderr)
            return done.stdout
        self.addCleanup(subprocess.run, [loom, "down", "--now"], cwd=self.folder / name, env=self.environment, capture_output=True)
        return call

    def make(self, language):
        loom = self.install()
        done = subprocess.run([loom, "new", "hello", "--lang", language], cwd=self.folder, env=self.environment, text=True,
                              capture_output=True)
        self.assertEqual(0, done.returncode, done.stderr)
        for path in (self.folder / "hello").iterdir():
            self.assertNotRegex(path.read_text(), "@(NAME|PREFIX)@")
        return self.use(loom, "hello")

    @unittest.skipUnless(shutil.which("make") and shutil.which("cc") and shutil.which("pkg-config"), "no make, cc or pkg-config")
    def test_a_project_in_c_compiles_runs_and_answers(self):
        if any(name in (BIN / "loom").read_bytes() for name in (b"libasan.so", b"libtsan.so")):
            self.skipTest("a program without a sanitizer cannot use a libloom that has one")
        loom = self.make("c")
        loom("up", "-d")
        self.assertEqual("Hello, world!", loom("invoke", "hello.greet", "world").strip())
        loom("pub", "hello.said", "agents")
        wait_until(lambda: "Hello, agents!" in loom("logs", "watch"), "the agent's event")
        self.assertIn("hello.said: Hello, agents!", loom("logs", "hello"))
        loom("down")

    @unittest.skipUnless(shutil.which("python3"), "no python3")
    def test_a_project_in_python_runs_and_answers(self):
        loom = self.make("python")
        loom("up", "-d")
        self.assertEqual("Hello, world!", loom("invoke", "hello.greet", "world").strip())
        wait_until(lambda: "Hello, world!" in loom("logs", "watch"), "the event")
        loom("down")

    def test_nothing_is_overwritten(self):
        (self.folder / "hello").mkdir()
        (self.folder / "hello/README.md").write_text("mine")
        self.assertIn("hello/README.md is there already", self.loom("new", "hello", "--lang", "c", code=1)[1])
        self.assertEqual(["README.md"], [path.name for path in (self.folder / "hello").iterdir()])

    def test_names_and_languages_are_checked(self):
        self.assertIn("begins with a letter", self.loom("new", "../x", "--lang", "c", code=2)[1])
        self.assertIn("missing --lang", self.loom("new", "x", code=2)[1])
        self.assertIn("rust", self.loom("new", "x", "--lang", "rust", code=2)[1])


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
