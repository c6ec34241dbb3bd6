# SPDX-License-Identifier: Apache-2.0
"""Loom's real processes for tests: a home is a broker, with the bridge in it or in a process of its own."""

import functools
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import agent
import control

BIN = pathlib.Path(os.environ.get("LOOM_BUILD_DIR", "build/dev")).resolve() / "bin"


def sanitizer():
    """What the programs were built with: "thread", "address,undefined", or nothing."""
    cache = BIN.parent / "CMakeCache.txt"
    found = re.search(r"^LOOM_SANITIZE:\w+=(.+)", cache.read_text(), re.MULTILINE) if cache.exists() else None
    return found.group(1) if found else ""


SANITIZER = sanitizer()

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from jaeger import die_with_parent  # noqa: E402
from spans import draw, parse_lines  # noqa: E402

IN_BROKER, OWN_PROCESS = "in_broker", "own_process"
DEADLINE_S = agent.DEADLINE_S
POLL_S = 0.005  # between two looks at a condition that nobody announces


def wait_until(condition, what, deadline_s=DEADLINE_S):
    """The value of condition() once it is true."""
    end = time.monotonic() + deadline_s
    while not (value := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {deadline_s} s: {what}")
        time.sleep(POLL_S)
    return value


def runs(pid):
    """Whether a process runs; one that nobody has waited for does not."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def clean_environment(**changes):
    """The caller's without anything that changes what Loom does. A value None takes a variable out."""
    kept = {key: value for key, value in os.environ.items()
            if not key.startswith(("OTEL_", "LOOM_", "XDG_", "TRACING_", "X_B3_", "X_TRACE_ID", "X_SPAN_ID"))
            and key not in ("TRACEPARENT", "TRACESTATE", "BAGGAGE", "B3")}
    merged = {"OTEL_TRACES_EXPORTER": "none", "OTEL_BSP_SCHEDULE_DELAY": "20", "NO_COLOR": "1",
              "LOOM_BROKER_PUBLISH_HOLD": "0", **kept, **changes}
    return {key: str(value) for key, value in merged.items() if value is not None}


class Process:
    """A program of ours with its output in files."""

    def __init__(self, folder, name, command, environment, **popen):
        self.name, self.command = name, command
        self.out_path, self.err_path = folder / f"{name}.out", folder / f"{name}.err"
        with open(self.out_path, "ab") as out, open(self.err_path, "ab") as err:
            self.popen = subprocess.Popen(command, env=environment, cwd=folder,
                                          **{"stdin": subprocess.DEVNULL, "stdout": out, "stderr": err,
                                             "preexec_fn": die_with_parent, **popen})

    @property
    def pid(self):
        return self.popen.pid

    @property
    def err(self):
        return self.err_path.read_text(errors="replace")

    @property
    def out(self):
        return self.out_path.read_text(errors="replace")

    def running(self):
        return self.popen.poll() is None

    def signal(self, number):
        self.popen.send_signal(number)

    def kill(self):
        if self.running():
            self.popen.kill()
        self.popen.wait()

    def wait(self, deadline_s=DEADLINE_S):
        try:
            return self.popen.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.name} did not end within {deadline_s} s\n{self.err[-3000:]}") from None

    def stop(self):
        """SIGTERM, and the exit code that follows."""
        if self.running():
            self.signal(signal.SIGTERM)
        return self.wait()

    def resident_kib(self):
        with open(f"/proc/{self.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    def sanitized(self):
        """Whether it is slow, and freed memory is held back to be watched."""
        with open(f"/proc/{self.pid}/maps") as maps:
            text = maps.read()
        return any(name in text for name in ("libasan", "libtsan", "libclang_rt"))

    def processor_s(self):
        """Seconds of processor time so far."""
        with open(f"/proc/{self.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def open_files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))


class Home:
    """with Home(kind) as home: … Agents connect to home.url. At its end every process must end well."""

    def __init__(self, kind=IN_BROKER, broker=(), serving=(), listen=("ipc",), environment=None, spans=True):
        """broker: flags of loom-broker. serving: flags of whichever process serves the agents. listen: schemes."""
        self.kind = kind
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="loom-it-"))
        self.spans_path = self.folder / "spans.jsonl"
        self.control_path = self.folder / "control.sock"
        self.broker_flags, self.serving_flags, self.listen = list(broker), list(serving), listen
        self.environment = clean_environment(**({"LOOM_SPANS_FILE": self.spans_path} if spans else {}), **(environment or {}))
        self.processes, self.broken_on_purpose = [], set()
        self.broker = self.bridge = None
        self.count = 0
        self.popen = {}

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self._clear()
            raise
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.stop()
        finally:
            self._clear()

    def _clear(self):
        for process in self.processes:
            process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- processes ----

    def run(self, name, *command, environment=None, **popen):
        """Starts a program of ours, such as "loom". popen: besides, env_more, and a wrapper in front of the command."""
        self.count += 1
        more, wrapper = popen.pop("env_more", {}), popen.pop("wrapper", [])
        process = Process(self.folder, f"{name}-{self.count}", [*wrapper, str(BIN / name), *map(str, command)],
                          {**self.environment, **(environment or {}), **more}, **popen)
        self.processes.append(process)
        return process

    def loom(self, *arguments, environment=None, given=None, code=0):
        """Runs the command line to its end. given: standard input. code: one exit code, or several. Returns what it printed."""
        done = subprocess.run([BIN / "loom", *map(str, arguments)], cwd=self.folder, text=True, errors="replace",
                              env={**self.environment, "LOOM_URL": self.url, **(environment or {})}, timeout=60,
                              capture_output=True, **({"input": given} if given is not None else {"stdin": subprocess.DEVNULL}))
        if done.returncode not in (code if isinstance(code, tuple) else (code,)):
            raise AssertionError(f"loom {' '.join(map(str, arguments))}: exit code {done.returncode}, not {code}\n"
                                 f"{done.stdout}{done.stderr}{self.logs()}")
        return done

    def subscriber(self, *arguments, environment=None):
        """A `loom sub` that is subscribed when this returns."""
        process = self.run("loom", "sub", "--url", self.url, *arguments, environment=environment)
        wait_until(lambda: "subscribed" in process.err or not process.running(), "loom sub is subscribed")
        if not process.running():
            raise AssertionError(f"loom sub ended with {process.popen.returncode}: {process.err}")
        return process

    def _serve(self, name, flags):
        """Starts a process and waits until it listens; its URLs."""
        ready = self.folder / f"{name}.ready"
        ready.unlink(missing_ok=True)
        process = self.run(name, *flags, "--ready-file", ready, **dict(self.popen.get(name, {})))
        wait_until(lambda: ready.exists() or not process.running(), f"{name} listens")
        if not ready.exists():
            raise AssertionError(f"{name} ended with {process.popen.returncode}\n{process.err}")
        return process, json.loads(ready.read_text())["listen"]

    def _listen_flags(self):
        places = {"ipc": f"ipc://{self.folder}/agents.sock", "tcp": "tcp://127.0.0.1:0", "ws": "ws://127.0.0.1:0/loom",
                  "tls+tcp": "tls+tcp://localhost:0", "wss": "wss://localhost:0/loom",
                  "http": "http://127.0.0.1:0", "https": "https://localhost:0"}
        return [part for scheme in self.listen for part in ("--listen", places[scheme])]

    def start_broker(self):
        flags = ["--bus-pull", f"ipc://{self.folder}/in.sock", "--bus-pub", f"ipc://{self.folder}/out.sock",
                 "--bus-control", f"ipc://{self.control_path}", "--bus-bridge", f"ipc://{self.folder}/bus-bridge.sock",
                 *self.broker_flags]
        if self.kind == IN_BROKER:
            flags += self._listen_flags() + self.serving_flags
        else:
            flags += ["--listen", f"ipc://{self.folder}/broker.sock"]
        self.broker, urls = self._serve("loom-broker", flags)
        if self.kind == IN_BROKER:
            self.urls = urls

    def start_bridge(self):
        self.bridge, self.urls = self._serve("loom-bridge", [
            "--bus-bridge", f"ipc://{self.folder}/bus-bridge.sock", "--id", "bridge", *self._listen_flags(), *self.serving_flags])

    def start(self):
        self.start_broker()
        if self.kind == OWN_PROCESS:
            self.start_bridge()  # which serves agents before it has its broker: calls would fail meanwhile
            wait_until(lambda: self.stats()["bus"]["bridges"] == 1, "the bridge is attached")

    @property
    def serving(self):
        """The process that holds the agents' sessions."""
        return self.bridge if self.kind == OWN_PROCESS else self.broker

    @property
    def url(self):
        return self.urls[0]

    def url_of(self, scheme):
        return next(url for url in self.urls if url.startswith(f"{scheme}://"))

    def agent(self, agent_id=None, scheme=None, **hello):
        return agent.Agent(self.url_of(scheme) if scheme else self.url, agent_id, **hello)

    def stats(self):
        return control.ask(str(self.control_path), op="stats")

    def dropped(self):
        """By reason, those that happened."""
        return {reason: count for reason, count in self.stats()["eventbus"]["dropped"].items() if count}

    def stop(self):
        """Ends the bridge, then the broker, as an operator would; both must exit with 0 and leave nothing behind."""
        for process in (self.bridge, self.broker):
            if process is not None and process.pid not in self.broken_on_purpose:
                code = process.stop()
                if code != 0:
                    raise AssertionError(f"{process.name} ended with {code}{self.logs()}")
        for process in self.processes:
            if process.running():
                process.kill()
            if "Sanitizer" in process.err or "runtime error:" in process.err:
                raise AssertionError(f"{process.name}: {process.err}")
        sockets = [path.name for path in self.folder.glob("*.sock")]
        if sockets and not self.broken_on_purpose:
            raise AssertionError(f"sockets were left behind: {sockets}")

    def kill(self, process):
        """kill -9, of a process that stop() then does not ask anything of."""
        self.broken_on_purpose.add(process.pid)
        process.kill()

    def logs(self):
        return "".join(f"\n--- {process.name}\n{process.err[-2500:]}" for process in self.processes)

    # ---- spans ----

    def spans(self):
        def whole_lines():  # a process may be in the middle of one
            text = self.spans_path.read_text() if self.spans_path.exists() else ""
            return [text] if text == "" or text.endswith("\n") else None
        return parse_lines(wait_until(whole_lines, "the last line of the spans file is whole")[0])

    def wait_spans(self, count):
        """Until so many spans were written."""
        def enough():
            found = self.spans()
            return found if len(found) >= count else None
        try:
            return wait_until(enough, f"{count} spans")
        except TimeoutError as late:
            raise AssertionError(f"{late}: there are {len(self.spans())}\n{draw(self.spans()[:60])}") from None


class LoomTest(unittest.TestCase):
    kind = IN_BROKER
    maxDiff = None

    def run(self, result=None):
        self.homes = []
        setattr(self, self._testMethodName, self._with_logs(getattr(self, self._testMethodName)))
        return super().run(result)

    def _with_logs(self, test):
        """The test; what the processes had to say belongs to its failure."""
        @functools.wraps(test)
        def told():
            try:
                test()
            except Exception as problem:
                problem.add_note("".join(home.logs() for home in self.homes))
                raise
        return told

    def home(self, **options):
        self.homes.append(Home(self.kind, **options))
        return self.enterContext(self.homes[-1])

    def agent(self, home, *arguments, **options):
        return self.enterContext(home.agent(*arguments, **options))


def in_both_homes(tests):
    """Makes two test cases of a class of tests: with the bridge in the broker, and in its own process."""
    module = sys.modules[tests.__module__]
    for kind in (IN_BROKER, OWN_PROCESS):
        name = f"{tests.__name__}_{kind}"
        setattr(module, name, type(name, (tests, LoomTest), {"kind": kind, "__module__": tests.__module__}))
    return tests
