# SPDX-License-Identifier: Apache-2.0
"""`loom exec` in containers: the command line that an engine gets, and, where podman runs or a docker daemon answers, real containers."""

import os
import pathlib
import signal
import subprocess
import unittest

from exec_command import LOOM, PARENT, TRACE, ExecTest  # first: it leads to tests/e2e
from harness import wait_until
import docker
import podman

FAKE = """#!/bin/sh
printf '%s\\n' "$@" > "$FAKE_LOG.$(echo "$2" | tr -c 'a-z\\n-' _).$1"
if [ "$1 $2" = "container inspect" ]; then
    [ "$5" = web ] || {{ echo "Error: no such container $5" >&2; exit 1; }}
    printf 'c0ffee\\nPATH=/bin\\nPYTHONPATH=/own\\n'
elif [ "$1 $2" = "image inspect" ]; then
    exit 1
elif [ "$1" = run ]; then
    while [ $# -gt 0 ]; do [ "$1" = --cidfile ] && printf 'f00d' > "$2"; shift; done
    env | grep -q "^LOOM_TRACE_ID=$EXPECTED" && echo matched
    printf '__LOOM_TRACE__:{{"trace_id":"%s","span_id":"00000000000000a1","parent_id":"%s","name":"inside","start_time":"2026-01-15T10:30:00Z","end_time":"2026-01-15T10:30:00Z","attributes":{{"container.id":"forged"}}}}\\n' $LOOM_TRACE_ID $LOOM_SPAN_ID >&2
fi
"""


class CommandLine(ExecTest):
    """A script in place of docker writes down what it is asked."""

    def setUp(self):
        super().setUp()
        self.docker = self.folder / "docker"
        self.docker.write_text(FAKE.replace("{{", "{").replace("}}", "}"))
        self.docker.chmod(0o755)

    def asked(self, *options, code=0, **more):
        done = self.run_exec("tool", "-x", options=("--engine", self.docker, *options), code=code, TRACEPARENT=PARENT,
                             FAKE_LOG=str(self.folder / "asked"), EXPECTED=TRACE, **more)
        return done, {file.name[len("asked."):]: file.read_text().splitlines() for file in self.folder.glob("asked.*")}

    def test_a_running_container(self):
        _, asked = self.asked("--container", "web", "--run-arg=--user=1")
        self.assertEqual(["exec", "--interactive", "--env", "TRACEPARENT", "--env", "LOOM_TRACE_ID", "--env", "LOOM_SPAN_ID",
                          "--env", "LOOM_TRACE", "--user=1", "web", "tool", "-x"], asked["--interactive.exec"])
        span = self.span("tool")
        self.assertEqual(("docker", "web", "c0ffee", ["tool", "-x"]),
                         tuple(span.attributes[key] for key in
                               ("container.runtime", "container.name", "container.id", "process.command_args")))

    def test_a_new_container_and_the_spans_inside(self):
        done, asked = self.asked("--image", "python:3", "--run-arg=--network=none")
        line = next(lines for name, lines in asked.items() if name.endswith(".run"))
        self.assertEqual(["run", "--interactive", "--rm", "--cidfile"], line[:4])
        self.assertEqual(["--network=none", "python:3", "tool", "-x"], line[-4:])
        self.assertEqual(b"matched\n", done.stdout)
        inside, tool = self.span("inside"), self.span("tool")
        self.assertEqual((tool.span_id, TRACE), (inside.parent_id, inside.trace_id))
        self.assertEqual({"container.id": "f00d", "container.source": True}, inside.attributes)
        self.assertEqual(("f00d", "python:3"), (tool.attributes["container.id"], tool.attributes["container.image.name"]))
        self.assertFalse(pathlib.Path(line[4]).parent.exists())

    def test_libraries_are_mounted_and_appended(self):
        _, asked = self.asked("--image", "i", "--with-libs", LOOM_LIBRARIES_DIR=str(self.folder))
        line = next(lines for name, lines in asked.items() if name.endswith(".run"))
        self.assertIn(f"{self.folder}:/tmp/.loom-libraries:ro", line)
        self.assertIn("PYTHONPATH=/tmp/.loom-libraries/python", line)

    def test_search_paths_of_the_callers_own_are_kept(self):
        for given in (["--run-arg=--env=PYTHONPATH=/src"], ["--run-arg=-e", "--run-arg=PYTHONPATH=/src"], ["--run-arg=-ePYTHONPATH=/src"],
                      ["--run-arg=-e=PYTHONPATH=/x", "--run-arg=--env", "--run-arg=PYTHONPATH=/src"], ["--run-arg=--env=PYTHONPATH"]):
            with self.subTest(given):
                _, asked = self.asked("--container", "web", "--with-libs", *given, LOOM_LIBRARIES_DIR=str(self.folder), PYTHONPATH="/src")
                line = asked["--interactive.exec"]
                last = [argument for argument in line if "PYTHONPATH=" in argument][-1]
                self.assertEqual("PYTHONPATH=/src:/tmp/.loom-libraries/python", last)
                self.assertEqual(["web", "tool", "-x"], line[-3:])

    def test_libraries_are_found_beside_the_program(self):
        _, asked = self.asked("--image", "i", "--with-libs")
        line = next(lines for name, lines in asked.items() if name.endswith(".run"))
        folder = pathlib.Path(line[line.index("--volume") + 1].removesuffix(":/tmp/.loom-libraries:ro"))
        self.assertEqual(self.programs.parent / "share/loom", folder)
        self.assertTrue((folder / "python/loom_trace.py").exists())

    def test_options_of_containers_need_one(self):
        for option in ("--with-libs", "--run-arg=-i", "--engine-arg=-i", "--engine=docker"):
            done = self.run_exec("true", options=(option,), code=2)
            self.assertIn(f"{option.split('=')[0]} needs --container or --image".encode(), done.stderr)

    def test_libraries_are_copied_into_a_container_that_runs(self):
        _, asked = self.asked("--container", "web", "--with-libs", LOOM_LIBRARIES_DIR=str(self.folder))
        self.assertEqual(["cp", f"{self.folder}/.", "web:/tmp/.loom-libraries"],
                         next(lines for name, lines in asked.items() if name.endswith(".cp")))
        line = asked["--interactive.exec"]
        self.assertIn("PYTHONPATH=/own:/tmp/.loom-libraries/python", line)
        self.assertIn("NODE_PATH=/tmp/.loom-libraries/node", line)

    def test_a_missing_container_is_told(self):
        done, _ = self.asked("--container", "nowhere", code=125)
        self.assertTrue(done.stderr.endswith(b"no such container nowhere\n"), done.stderr)
        self.assertEqual("container", self.span("tool").attributes["error.type"])

    def test_a_missing_engine_is_told(self):
        done = self.run_exec("tool", options=("--image", "i"), code=125, PATH=str(self.folder / "empty"))
        self.assertIn(b"neither podman nor docker", done.stderr)

    def test_an_engine_that_cannot_be_run_is_told(self):
        done = self.run_exec("tool", options=("--engine", "/nonexistent/engine", "--image", "i"), code=125)
        self.assertIn(b"cannot run the container engine /nonexistent/engine: No such file", done.stderr)

    def test_a_container_and_an_image_are_one_too_many(self):
        self.asked("--container", "web", "--image", "i", code=2)

    def test_system_calls_of_a_container_are_refused_and_the_way_is_told(self):
        done, _ = self.asked("--container", "web", "--syscalls=file", code=2)
        self.assertIn(b"run `loom exec --syscalls` inside", done.stderr)


LINE = ('__LOOM_TRACE__:{"trace_id":"%s","span_id":"00000000000000a1","parent_id":"%s","name":"inside",'
        '"start_time":"2026-01-15T10:30:00Z","end_time":"2026-01-15T10:30:00.333Z"}\\n')
SCRIPT = f"printf '{LINE}' $LOOM_TRACE_ID $LOOM_SPAN_ID >&2; echo out; echo err >&2; exit 3"


class RealEngine:
    """`loom exec` in containers of an engine; self.engine has them."""

    limits = [f"--run-arg={limit}" for limit in podman.PODMAN_LIMITS]
    box, new = f"box-{os.getpid()}", f"new-{os.getpid()}"  # names

    def use(self, engine):
        self.engine = engine
        self.options = engine.exec_options()

    def environment(self, **changes):
        return super().environment(**changes) | self.engine.environment()

    def check_trace(self, done, container_id):
        self.assertEqual((b"out\n", b"err\n"), (done.stdout, done.stderr))
        inside, command = self.span("inside"), self.span("sh")
        self.assertEqual((TRACE, command.span_id, 333_000_000),
                         (inside.trace_id, inside.parent_id, inside.end_ns - inside.start_ns))
        self.assertEqual(("exit_3", container_id or inside.attributes["container.id"], 64),
                         (command.attributes["error.type"], command.attributes["container.id"], len(inside.attributes["container.id"])))
        self.assertEqual((command.attributes["container.id"], True),
                         (inside.attributes["container.id"], inside.attributes["container.source"]))

    def test_a_new_container(self):
        done = self.run_exec("/bin/sh", "-c", SCRIPT, options=(*self.options, *self.limits, "--image", self.engine.image), code=3, TRACEPARENT=PARENT)
        self.check_trace(done, None)

    def container(self):
        """Starts one that runs; its id."""
        started = self.engine.run("run", "--detach", "--name", self.box, *podman.PODMAN_LIMITS, self.engine.image, "/bin/sleep", "600")
        self.addCleanup(self.engine.remove, self.box)
        return started.stdout.decode().split()[-1]

    def test_a_container_that_runs_with_the_libraries(self):
        container_id = self.container()
        libraries = self.folder / "libraries"
        (libraries / "python").mkdir(parents=True)
        (libraries / "python" / "loom_trace.py").write_text("here\n")
        script = "read x < ${PYTHONPATH##*:}/loom_trace.py; [ $x = here ] || exit 9; " + SCRIPT
        done = self.run_exec("/bin/sh", "-c", script, options=(*self.options, "--container", self.box, "--with-libs"), code=3,
                             TRACEPARENT=PARENT, LOOM_LIBRARIES_DIR=str(libraries))
        self.check_trace(done, container_id)

    def processes(self):
        """Command lines inside, but for the container's own."""
        lines = [line.strip().lstrip("0123456789 ") for line in self.engine.commands(self.box)]
        return [line for line in lines if line not in ("/bin/sleep 600", "[sleep]", "[sh]", "[sleep] <defunct>", "[sh] <defunct>")]  # nobody reaps there

    def start(self, script, *options, leader=False):
        """`loom exec` of a shell script that says "up"."""
        running = subprocess.Popen([LOOM, "exec", *self.options, *options, "--", "/bin/sh", "-c", f"{script}; echo up; while :; do sleep 0.1; done"],
                                   env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                   start_new_session=leader)
        self.addCleanup(running.wait)
        self.addCleanup(running.kill)
        self.addCleanup(running.stdout.close)
        self.assertEqual(b"up\n", running.stdout.readline())
        return running

    def test_signals_reach_the_command_in_a_container_that_runs(self):
        self.container()
        for number, name in ((signal.SIGTERM, "TERM"), (signal.SIGINT, "INT"), (signal.SIGUSR1, "USR1")):
            with self.subTest(name):
                running = self.start(f"trap 'echo {name}; exit 7' {name}", "--container", self.box)
                running.send_signal(number)
                self.assertEqual((7, f"{name}\n".encode()), (running.wait(60), running.stdout.read()))
                self.assertEqual([], self.processes())

    def test_signals_reach_the_command_in_a_new_container(self):
        running = self.start("trap 'echo TERM; exit 7' TERM", *self.limits, "--image", self.engine.image)
        running.send_signal(signal.SIGTERM)
        self.assertEqual((7, b"TERM\n"), (running.wait(60), running.stdout.read()))

    def test_what_ends_the_client_as_well_leaves_no_command_in_the_container(self):
        """As the terminal does, or `loom provide`: the command does not want to end, and is killed after two seconds."""
        self.container()
        running = self.start("trap '' TERM INT", "--container", self.box, leader=True)
        os.killpg(running.pid, signal.SIGTERM)
        running.wait(60)
        self.assertEqual([], self.processes())

    def test_killing_it_with_its_client_leaves_no_command_in_a_container(self):
        self.container()
        for where in (("--container", self.box), (*self.limits, f"--run-arg=--name={self.new}", "--image", self.engine.image)):
            with self.subTest(where[-1]):
                running = self.start("trap '' TERM", *where, leader=True)
                os.killpg(running.pid, signal.SIGKILL)
                wait_until(lambda: not self.processes() and self.new.encode() not in self.engine.run("ps").stdout, "the command has ended", 60)


class Podman(RealEngine, ExecTest):
    def setUp(self):
        super().setUp()
        self.use(podman.for_test(self))


class Docker(RealEngine, ExecTest):
    """Where a daemon answers."""

    def setUp(self):
        super().setUp()
        self.use(docker.for_test(self))


if __name__ == "__main__":
    unittest.main()
