# SPDX-License-Identifier: Apache-2.0
"""What the programs say to the operator: help, version, configuration, addresses in use, and their exit codes."""

import json
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import unittest

from harness import BIN, Home, clean_environment, die_with_parent

SERVERS = ("loom-broker", "loom-bridge")


class Programs(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="loom-it-")))

    def run_to_end(self, name, *arguments, environment=None, code=0):
        """A run in an empty folder, without a configuration of the user's. (standard output, standard error)."""
        done = subprocess.run([BIN / name, *map(str, arguments)], cwd=self.folder, text=True, capture_output=True, timeout=30,
                              stdin=subprocess.DEVNULL, preexec_fn=die_with_parent,
                              env=clean_environment(HOME=self.folder, XDG_CONFIG_HOME=self.folder / "none",
                                                    XDG_RUNTIME_DIR=self.folder, **(environment or {})))
        self.assertEqual(code, done.returncode, done.stdout + done.stderr)
        self.assertNotIn("Sanitizer", done.stderr)
        return done.stdout, done.stderr

    def config(self, text):
        path = self.folder / "test.toml"
        path.write_text(text)
        return path


class Command(Programs):
    def test_help_goes_to_standard_output_and_ends_with_0(self):
        for name in (*SERVERS, "loom"):
            out, err = self.run_to_end(name, "--help")
            self.assertTrue(out.startswith("Usage: ") or name == "loom", out)
            self.assertIn("Examples:", out)
            self.assertEqual("", err)

    def test_every_verb_has_examples_in_its_help(self):
        def verbs(*table):
            listed = re.search(r"^Verbs:\n((?:  .*\n)+)", self.run_to_end("loom", *table, "--help")[0], re.M)[1]
            return [(*table, name) for name in re.findall(r"^  ([a-z]+) ", listed, re.M)]
        tables = ("trace",), ("context",), ("check",)
        found = verbs() + [verb for table in tables for verb in verbs(*table)]
        self.assertLess(35, len(found))
        for verb in found:
            with self.subTest(" ".join(verb)):
                self.assertIn("\nExamples:\n  ", self.run_to_end("loom", *verb, "--help")[0])

    def test_every_flag_of_help_is_one_that_the_program_takes(self):
        for name in SERVERS:
            out, _ = self.run_to_end(name, "--help")
            for flag in ("--listen", "--config", "--check-config", "--ready-file", "--drain-timeout"):
                self.assertIn(flag, out)

    def test_version_names_program_and_version(self):
        for name in SERVERS:
            self.assertRegex(self.run_to_end(name, "--version")[0], rf"^{name} \d+\.\d+\.\d+\n$")

    def test_what_does_not_arrive_is_a_failure(self):
        for name in SERVERS:
            for flag in ("--help", "--version", "--check-config"):
                with open("/dev/full", "w") as full:
                    done = subprocess.run([BIN / name, flag], stdout=full, stderr=subprocess.PIPE, text=True, timeout=30,
                                          env=clean_environment(HOME=self.folder, XDG_RUNTIME_DIR=self.folder))
                self.assertEqual((1, f"{name}: cannot write: No space left on device\n"), (done.returncode, done.stderr), flag)
                reader = subprocess.run(f"{BIN / name} {flag} | true", shell=True, executable="/bin/bash", stderr=subprocess.PIPE, text=True, timeout=30,
                                        env=clean_environment(HOME=self.folder, XDG_RUNTIME_DIR=self.folder))
                self.assertEqual("", reader.stderr, flag)

    def test_a_flag_that_is_not_known_is_a_wrong_command_line_and_the_nearest_is_named(self):
        for name in SERVERS:
            out, err = self.run_to_end(name, "--lissten", "tcp://127.0.0.1:0", code=2)
            self.assertEqual("", out)
            self.assertIn("--listen", err)
            self.assertIn(f'Try "{name} --help".', err)

    def test_an_argument_too_many_is_a_wrong_command_line(self):
        self.assertIn('unexpected argument "now"', self.run_to_end("loom-broker", "now", code=2)[1])

    def test_values_that_make_no_sense_are_named(self):
        for flags, words in ((("--listen", "nonsense"), ("--listen", "nonsense")),
                             (("--listen", "ftp://127.0.0.1:80"), ("http",)),
                             (("--drain-timeout", "soon"), ("--drain-timeout", "soon")),
                             (("--queue-messages", "0"), ("--queue-messages",)),
                             (("--max-payload", "2MiB"), ("--max-payload",)),
                             (("--log-level", "loud"), ("loud", "debug"))):
            with self.subTest(flags):
                _, err = self.run_to_end("loom-broker", *flags, code=2)
                for word in words:
                    self.assertIn(word, err)

    def test_a_verb_that_is_not_known_is_a_wrong_command_line_and_the_nearest_is_named(self):
        self.assertIn("pub", self.run_to_end("loom", "pubb", code=2)[1])


class Configuration(Programs):
    def test_a_file_that_is_not_there_is_named(self):
        for name in SERVERS:
            _, err = self.run_to_end(name, "--config", "/nowhere/loom.toml", code=1)
            self.assertIn("/nowhere/loom.toml", err)
            self.assertIn("No such file", err)

    @unittest.skipIf(os.geteuid() == 0, "root reads every file")
    def test_a_file_that_may_not_be_read_is_named(self):
        path = self.config("")
        path.chmod(0)
        self.assertIn("Permission denied", self.run_to_end("loom-broker", "--config", path, code=1)[1])

    def test_a_folder_is_no_file(self):
        self.assertIn(str(self.folder), self.run_to_end("loom-broker", "--config", self.folder, code=1)[1])

    def test_a_key_that_is_not_known_is_named_with_its_place_and_the_nearest_one(self):
        path = self.config('[broker]\n  lisen = ["tcp://127.0.0.1:0"]\n')
        _, err = self.run_to_end("loom-broker", "--config", path, code=1)
        self.assertIn(f"{path}:2:3", err)
        self.assertIn("lisen", err)
        self.assertIn('"listen"', err)

    def test_a_mistake_of_toml_is_named_with_its_place(self):
        path = self.config("[broker]\nttl = = 3\n")
        self.assertRegex(self.run_to_end("loom-broker", "--config", path, code=1)[1], r"test\.toml:2:\d+")

    def test_every_mistake_is_told_in_one_go(self):
        path = self.config('[broker]\nttl = "many"\nqueue_messages = 0\n[log]\nlevel = "loud"\n')
        _, err = self.run_to_end("loom-broker", "--config", path, "--check-config", code=1)
        for line in (2, 3, 5):
            self.assertIn(f"{path}:{line}:", err)

    def test_what_tracing_makes_no_sense_of_is_named_with_its_place(self):
        """Nothing about tracing keeps a program from running, so these are warnings."""
        path = self.config('[telemetry]\nmask = "mail,fone"\nlog_spans = "slow>abc"\n')
        given = {"OTEL_BSP_SCHEDULE_DELAY": "soon", "OTEL_TRACES_SAMPLER": "sometimes", "LOOM_TRACE_FILTER": "drop", "OTEL_TRACE_EXPORTER": "none",
                 "OTEL_TRACES_EXPORTER": "otlp", "OTEL_CONFIG_FILE": "otel.yaml", "OTEL_EXPORTER_OTLP_ENDPOINT": "ftp://x",
                 "LOOM_BROKER_MAX_AGENST": "7", "LOOM_BROKER_PORT_7700_TCP": "tcp://10.0.0.1:7700", "LOOM_BROKER_PORT": "tcp://10.0.0.1",
                 "LOOM_BROKER_SERVICE_HOST": "10.0.0.1", "LOOM_BROKER_SERVICE_PORT_AGENTS": "7700", "LOOM_COLOUR_OF_MOON": "blue", "LOOM_URI": "ipc:///x"}
        for name in SERVERS:
            out, err = self.run_to_end(name, "--config", path, "--telemetry-sampler-arg", "7", "--telemetry-sampler", "traceidratio",
                                       "--check-config", environment=given)
            self.assertIn("configuration is valid\n", out)
            expected = (f'{path}:2:1: [telemetry] mask: "fone"', f'{path}:3:1: [telemetry] log_spans: "slow>abc"', '--telemetry-sampler-arg: "7"',
                        'OTEL_BSP_SCHEDULE_DELAY: "soon"', 'OTEL_TRACES_SAMPLER is "sometimes"', 'LOOM_TRACE_FILTER: "drop"',
                        "OTEL_TRACE_EXPORTER: no such variable; did you mean OTEL_TRACES_EXPORTER?", "OTEL_CONFIG_FILE: configuration files are not",
                        'OTEL_EXPORTER_OTLP_ENDPOINT "ftp://x": the scheme "ftp" is not one of http, https; using none: nothing is exported',
                        "LOOM_BROKER_MAX_AGENST: no such variable; did you mean LOOM_BROKER_MAX_AGENTS?",
                        "LOOM_COLOUR_OF_MOON: no such variable, nobody reads it", "LOOM_URI: no such variable; did you mean LOOM_URL?")
            for text in expected:
                self.assertEqual(1, err.count(text), f"{text}\n{err}")
            self.assertEqual(len(expected), err.count("warning: "), err)
            found = json.loads(self.run_to_end(name, "--config", path, "--check-config", "--json", environment=given)[0])
            self.assertEqual([2, 3], [problem["line"] for problem in found["problems"] if problem["line"]])

    def test_listening_beyond_this_machine_has_to_be_allowed_by_name(self):
        for name in SERVERS:
            self.assertIn("allow_remote", self.run_to_end(name, "--listen", "tcp://0.0.0.0:0", "--check-config", code=1)[1])
            self.run_to_end(name, "--listen", "tcp://0.0.0.0:0", "--allow-remote", "--check-config")

    def test_check_config_says_where_every_value_came_from(self):
        path = self.config("[broker]\nttl = 9\n")
        out, _ = self.run_to_end("loom-broker", "--config", path, "--check-config", "--queue-messages", "7",
                                 environment={"LOOM_LOG_LEVEL": "debug"})
        self.assertIn("configuration is valid", out)
        values = {line.split(" = ")[0]: line for line in out.splitlines() if " = " in line}
        self.assertIn(f"{path}:2", values["ttl"])
        self.assertIn("--queue-messages", values["queue_messages"])
        self.assertIn("LOOM_LOG_LEVEL", values["level"])
        self.assertIn("default", values["drain_timeout"])

    def test_check_config_as_json_is_json_whether_valid_or_not(self):
        good = json.loads(self.run_to_end("loom-bridge", "--check-config", "--json")[0])
        self.assertEqual((True, []), (good["valid"], good["problems"]))
        path = self.config("[bridge]\nidd = 1\n")
        bad = json.loads(self.run_to_end("loom-bridge", "--config", path, "--check-config", "--json", code=1)[0])
        self.assertEqual((False, 2), (bad["valid"], bad["problems"][0]["line"]))


class Addresses(Programs):
    def bus_flags(self):
        return [part for name in ("bus-pull", "bus-pub", "bus-control", "bus-bridge")
                for part in (f"--{name}", f"ipc://{self.folder}/{name}.sock")]

    def test_a_tcp_port_in_use_is_named(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            url = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
            for name, flags in (("loom-broker", self.bus_flags()), ("loom-bridge", [])):
                _, err = self.run_to_end(name, *flags, "--listen", url, code=1)
                self.assertIn(f"cannot listen on {url}", err)
                self.assertIn("in use", err)

    def test_a_websocket_port_in_use_is_named(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            url = f"ws://127.0.0.1:{taken.getsockname()[1]}/loom"
            _, err = self.run_to_end("loom-broker", *self.bus_flags(), "--listen", url, code=1)
            self.assertIn(f"cannot listen on {url}", err)

    def test_a_second_broker_on_the_sockets_of_a_first_is_refused_and_harms_it_not(self):
        with Home() as first:
            for flag, path in (("--listen", "agents.sock"), ("--bus-control", "control.sock"), ("--bus-pull", "in.sock")):
                with self.subTest(flag):
                    flags = [*self.bus_flags(), "--listen", "tcp://127.0.0.1:0", flag, f"ipc://{first.folder}/{path}"]
                    _, err = self.run_to_end("loom-broker", *flags, code=1)
                    self.assertIn(path, err)
            one = first.agent("one").subscribe("a")
            one.publish("a", b"x")
            one.wait_events(1)
            first.stats()
            one.close()

    def test_a_file_that_is_no_socket_is_not_removed(self):
        precious = self.folder / "agents.sock"
        precious.write_text("precious")
        self.run_to_end("loom-broker", *self.bus_flags(), "--listen", f"ipc://{precious}", code=1)
        self.assertEqual("precious", precious.read_text())

    def test_a_folder_that_cannot_be_made_is_named(self):
        _, err = self.run_to_end("loom-broker", *self.bus_flags(), "--listen", "ipc:///proc/nowhere/loom.sock", code=1)
        self.assertIn("/proc/nowhere", err)

    def test_tls_without_a_certificate_is_refused(self):
        for url in ("tls+tcp://127.0.0.1:0", "wss://127.0.0.1:0/loom"):
            _, err = self.run_to_end("loom-broker", *self.bus_flags(), "--listen", url, code=1)
            self.assertIn("tls_cert_key_file", err)

    def test_a_ready_file_that_cannot_be_written_is_an_error(self):
        _, err = self.run_to_end("loom-broker", *self.bus_flags(), "--listen", "tcp://127.0.0.1:0",
                                 "--ready-file", "/nowhere/ready", code=1)
        self.assertIn("/nowhere/ready", err)

    def test_nothing_about_telemetry_keeps_a_broker_from_running(self):
        wrong = ({"LOOM_SPANS_FILE": "/nowhere/spans"}, {"OTEL_TRACES_EXPORTER": "otlp/file", "LOOM_SPANS_FILE": "/nowhere/spans"},
                 {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": "ftp://user:secret@nowhere/spans"},
                 {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:1"})
        for environment in wrong:
            with self.subTest(environment), Home(environment=environment, spans=False) as home:
                home.loom("pub", "a.b", "x", environment={"OTEL_TRACES_EXPORTER": "none", "LOOM_SPANS_FILE": ""})
                if "localhost:1" not in environment.values():
                    self.assertIn("nowhere/spans", home.logs())
                self.assertNotIn("secret", home.logs())

    def test_the_check_of_the_settings_shows_no_password(self):
        path = self.folder / "loom.toml"
        path.write_text('[telemetry]\nendpoint = "http://user:secret@localhost:4318"\n')
        for how in ((), ("--json",)):
            out, err = self.run_to_end("loom-broker", "--config", path, "--check-config", *how)
            self.assertIn("localhost:4318", out)
            self.assertNotIn("secret", out + err)

    def test_a_bridge_without_a_broker_waits_for_one(self):
        with Home(kind="own_process") as bus:
            bus.kill(bus.broker)
            early = bus.agent("early")
            bus.start_broker()
            early.subscribe("a")
            early.publish("a", b"x")
            early.wait_events(1)
            early.close()


if __name__ == "__main__":
    unittest.main()
