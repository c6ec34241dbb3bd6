#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `loom` says when it cannot do what it is asked: the cause, what to do about it, the exit code, and that at once."""

import json
import os
import pathlib
import re
import resource
import socket
import subprocess
import threading
import time
import unittest

from harness import BIN, LoomTest, clean_environment, in_both_homes, wait_until

AT_ONCE_S = 2  # nothing here waits for anything; the rest is a busy machine's
OK, FAILED, USAGE, NOT_CONNECTED, TIMEOUT, NOBODY, DENIED, OVER_LIMIT = range(8)
JOINING = (("pub", "t", "x"), ("sub", "t"), ("request", "t", "x"), ("invoke", "c", "x"), ("provide", "c", "--", "true"))
ASKING = (("stats",), ("agents",), ("caps",), ("topics",), ("flow",), ("top", "-n", "1"))


def few_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (5, 5))


class Failures(LoomTest):
    def setUp(self):
        self.bus = self.home(spans=False)

    def fails(self, code, *arguments, words=(), **popen):
        """Runs to its end, at once."""
        start = time.monotonic()
        done = subprocess.run([BIN / "loom", *map(str, arguments)], cwd=self.bus.folder, text=True, timeout=30, stdin=subprocess.DEVNULL,
                              env={**self.bus.environment, "LOOM_URL": self.bus.url}, capture_output=True, **popen)
        self.assertLess(time.monotonic() - start, AT_ONCE_S)
        self.assertEqual(code, done.returncode, done.stderr)
        self.assertEqual("", done.stdout)
        for word in words:
            self.assertIn(word, done.stderr)
        return done.stderr

    def test_a_socket_that_is_not_there_is_named_with_what_to_do(self):
        url = f"ipc://{self.bus.folder}/nobody.sock"
        for verb in JOINING:
            self.fails(NOT_CONNECTED, verb[0], "--url", url, *verb[1:],
                       words=(f"no broker at {url}", "No such file or directory", "`loom-broker`", "--url", "--wait"))

    def test_the_default_address_is_told_in_full(self):
        environment = clean_environment(XDG_RUNTIME_DIR=self.bus.folder)
        done = subprocess.run([BIN / "loom", "pub", "t", "x"], text=True, capture_output=True, env=environment, timeout=30)
        self.assertEqual(NOT_CONNECTED, done.returncode)
        self.assertIn(f"no broker at ipc://{self.bus.folder}/loom/loom.sock", done.stderr)

    def test_a_control_socket_that_is_not_there_is_no_connection(self):
        for verb in ASKING:
            self.fails(NOT_CONNECTED, *verb, "--control", f"ipc://{self.bus.folder}/nobody.sock", words=("nobody.sock",))

    def test_a_port_where_nobody_listens_is_refused(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        self.fails(NOT_CONNECTED, "pub", "--url", f"tcp://127.0.0.1:{port}", "t", "x", words=("Connection refused", "`loom-broker`"))

    def test_a_host_that_has_no_address_is_named(self):
        self.fails(NOT_CONNECTED, "pub", "--url", "tcp://no-such-host.invalid:7700", "t", "x", words=("no-such-host.invalid",))

    def test_a_socket_of_another_protocol_is_no_broker(self):
        for url in (f"ipc://{self.bus.control_path}", f"ipc://{self.bus.folder}/in.sock"):
            self.fails(NOT_CONNECTED, "pub", "--url", url, "t", "x", words=(url, "agents connect to one of the broker's `listen` addresses"))

    def test_a_web_server_is_no_broker(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            def answer():
                connection = server.accept()[0]
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
                connection.close()
            threading.Thread(target=answer, daemon=True).start()
            self.fails(NOT_CONNECTED, "pub", "--url", f"tcp://127.0.0.1:{server.getsockname()[1]}", "t", "x", words=("cannot connect",))

    def test_a_server_that_says_nothing_is_a_timeout(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            url = f"tcp://127.0.0.1:{server.getsockname()[1]}"
            done = self.bus.loom("pub", "--url", url, "--wait", "300ms", "t", "x", code=TIMEOUT)
            self.assertIn(f"no answer from {url}", done.stderr)

    @unittest.skipUnless(os.geteuid() == 0, "only root can make a server of another user")
    def test_a_server_of_another_user_where_everybody_may_listen_is_not_trusted(self):
        shared = self.bus.folder / "shared"
        shared.mkdir()
        for folder, mode in ((self.bus.folder, 0o755), (shared, 0o777)):
            folder.chmod(mode)
        path = shared / "loom.sock"
        code = f"import socket, time; s = socket.socket(socket.AF_UNIX); s.bind({str(path)!r}); s.listen(); time.sleep(60)"
        stranger = subprocess.Popen(["/usr/bin/python3", "-c", code], user=12345, cwd="/")
        self.addCleanup(stranger.wait)
        self.addCleanup(stranger.kill)
        wait_until(path.exists, "the stranger listens")
        self.assertNotIn("no broker", self.fails(DENIED, "pub", "--url", f"ipc://{path}", "t", "x", words=("cannot connect", str(path))))

    def test_too_few_descriptors_are_over_a_limit_and_say_what_to_raise(self):
        for verb in JOINING[:3]:
            self.fails(OVER_LIMIT, *verb, preexec_fn=few_descriptors)

    def test_patience_waits_for_a_broker_that_comes(self):
        self.bus.kill(self.bus.broker)
        early = self.bus.run("loom", "pub", "--url", self.bus.url, "--wait", "30s", "t", "x")
        self.assertTrue(early.running())
        self.bus.start_broker()
        self.assertEqual(OK, early.wait(), early.err)

    def test_patience_that_runs_out_tells_the_cause(self):
        start = time.monotonic()
        done = self.bus.loom("pub", "--url", f"ipc://{self.bus.folder}/nobody.sock", "--wait", "200ms", "t", "x", code=NOT_CONNECTED)
        self.assertGreaterEqual(time.monotonic() - start, 0.2)
        self.assertIn("No such file or directory", done.stderr)

    def test_nobody_provides_it(self):
        self.bus.loom("invoke", "nobody.home", "x", code=NOBODY)

    def test_no_answer_in_time(self):
        self.agent(self.bus, "silent").subscribe("ask.me")
        self.bus.loom("request", "ask.me", "x", "--timeout", "100ms", code=TIMEOUT)
        self.bus.loom("sub", "t", "--count", "1", "--timeout", "100ms", code=TIMEOUT)

    def test_what_is_not_permitted_and_what_is_too_large(self):
        self.fails(DENIED, "pub", "system.x", "y")
        self.bus.loom("pub", "t", given="x" * ((1 << 20) + 1), code=OVER_LIMIT)

    def test_an_agent_that_is_not_there(self):
        self.fails(NOBODY, "agents", "--control", f"ipc://{self.bus.control_path}", "nobody")

    def test_a_provider_tells_that_the_broker_went_and_came_back(self):
        provider = self.bus.run("loom", "provide", "--url", self.bus.url, "text.upper", "--", "tr", "a-z", "A-Z")
        wait_until(lambda: "providing" in provider.err, "it provides")
        self.bus.kill(self.bus.broker)
        wait_until(lambda: "lost the connection" in provider.err, "it says that the broker has gone")
        self.bus.start_broker()
        wait_until(lambda: "again after" in provider.err, "it says that the broker is back")
        self.assertEqual(0, provider.stop())


@in_both_homes
class Names:
    """One that nobody has: said, with what was meant, and the exit code that says so."""

    def test_a_name_that_nobody_has_gets_the_one_that_is_meant(self):
        bus = self.home(spans=False)
        url, control = ("--url", bus.url), ("--control", f"ipc://{bus.control_path}")
        self.agent(bus, "watcher").subscribe("sensor.data").provide("text.upper")
        bus.loom("pub", "sensor.data", "x", *url)
        for verb, meant in (
                (("agents", "wathcer", *url), "watcher"), (("agents", "wathcer", *control), "watcher"),
                (("agents", "--topic", "sensor.dta", *url), "sensor.data"), (("agents", "--capability", "text.uper", *url), "text.upper"),
                (("caps", "text.uper", *control), "text.upper"), (("topics", "sensor.dta", *url), "sensor.data"),
                (("flow", "sensor.dta", *url), "sensor.data"), (("flow", "--agent", "wathcer", *control), "watcher"),
                (("kick", "wathcer", *control), "watcher"), (("ping", "wathcer", "-q", *url), "watcher"),
                (("ping", "--topic", "sensor.dta", "-q", *url), "sensor.data"), (("ping", "--capability", "text.uper", "-q", *url), "text.upper"),
                (("invoke", "text.uper", "x", "-q", *url), "text.upper"), (("request", "sensor.dta", "x", "-q", *url), "sensor.data")):
            done = bus.loom(*verb, code=NOBODY)
            self.assertEqual("", done.stdout, verb)
            self.assertIn(f'; did you mean "{meant}"?', done.stderr, verb)
        for verb, meant in ((("agent", "wathcer"), "watcher"), (("capability", "text.uper"), "text.upper"),
                            (("topic", "sensor.daat"), "sensor.data"), (("queue", "wathcer"), "watcher")):
            self.assertIn(f'; did you mean "{meant}"?', bus.loom("check", *verb, *url, code=2).stdout, verb)

    def test_a_name_near_to_none_gets_what_lists_them(self):
        bus = self.home(spans=False)
        for verb, hint in ((("agents", "nobody"), "`loom agents`"), (("caps", "none.such"), "`loom caps`"), (("kick", "--control", f"ipc://{bus.control_path}", "nobody"), "`loom agents`"),
                           (("ping", "nobody", "-q"), "`loom agents`"), (("invoke", "none.such", "x", "-q"), "`loom caps`"),
                           (("flow", "--agent", "nobody"), "`loom agents`"), (("request", "none.such", "x", "-q"), "`loom agents`")):
            done = bus.loom(*verb, code=NOBODY)
            self.assertIn(hint, done.stderr)
            self.assertNotIn("did you mean", done.stderr)

    def test_lists_for_programs_are_lists_although_nothing_is_there(self):
        bus = self.home(spans=False)
        self.assertEqual({"agents": []}, json.loads(bus.loom("agents", "--topic", "t", "--json", code=NOBODY).stdout))
        self.assertEqual({"edges": [], "more": False}, json.loads(bus.loom("flow", "none", "--json", code=NOBODY).stdout))

    def test_an_agent_that_is_there_and_has_done_nothing_is_no_mistake(self):
        bus = self.home(spans=False)
        self.agent(bus, "idle")
        wait_until(lambda: "idle" in bus.loom("agents").stdout, "it is there")
        self.assertEqual("", bus.loom("flow", "--agent", "idle").stderr)


class Help(unittest.TestCase):
    def loom(self, *arguments, **popen):
        return subprocess.run([BIN / "loom", *arguments], text=True, stdin=subprocess.DEVNULL, env=clean_environment(), timeout=30,
                              **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **popen})

    def every_verb(self):
        """Those of the tables, ("trace", "ls") as well as ("trace",)."""
        def below(*verb):
            names = re.search(r"\nVerbs:\n(.*?)\n\n", self.loom(*verb, "--help").stdout, re.DOTALL)
            return [line.split()[0] for line in names[1].splitlines()] if names else []
        found = [verb for name in below() for verb in [(name,), *((name, sub) for sub in below(name))]]
        self.assertGreater(len(found), 35)
        return found

    def test_every_verb_answers_alike(self):
        """Help with the exit codes, help that cannot be written, and an option that nearly is one."""
        table = self.loom("--help").stdout.split("\nExit codes:\n")[1]
        self.assertEqual(9, len(table.splitlines()))
        for verb in self.every_verb():
            with self.subTest(verb=" ".join(verb)), open("/dev/full", "w") as full:
                told = self.loom(*verb, "--help").stdout
                if verb != ("exec",) and verb[0] != "check":
                    self.assertEqual(table, told.split("\nExit codes:\n")[1])
                unknown = verb[0] == "check" and len(verb) > 1  # as Nagios' plugins have it
                done = self.loom(*verb, "--help", stdout=full)
                self.assertEqual((3 if unknown else 1, True), (done.returncode, "cannot write: No space left on device" in done.stderr))
                done = self.loom(*verb, "--hellp")
                self.assertEqual(3 if unknown else 2, done.returncode)
                self.assertIn('did you mean "--help"?', done.stderr)

    def test_a_full_disk_fails_the_version_as_well(self):
        with open("/dev/full", "w") as full:
            self.assertEqual(1, self.loom("--version", stdout=full).returncode)

    def test_a_verb_of_another_program_gets_the_one_that_is_meant(self):
        for typed, meant in (("publish", "pub"), ("subscribe", "sub"), ("req", "request"), ("monitor", "sub"), ("pubb", "pub"),
                             ("statz", "stats"), ("trase", "trace"), ("status", "stats"), ("info", "stats"), ("ls", "agents"),
                             ("list", "agents"), ("PUBLISH", "pub"), ("PUB", "pub"), ("trace list", "ls"), ("trace LS", "ls"),
                             ("context select", "use"), ("context delete", "rm"), ("check server", "connection"), ("-v", "--version"),
                             ("--contxt=x", "--context"), ("--verison", "--version")):
            done = self.loom(*typed.split())
            self.assertEqual(2, done.returncode)
            self.assertIn(f'did you mean "{meant}"?', done.stderr)

    def test_every_synonym_leads_to_a_verb_and_hides_none(self):
        verbs = [" ".join(verb) for verb in self.every_verb()]
        source = pathlib.Path(__file__).resolve().parents[2] / "tools/loom"
        for file, table in (("main.c", ""), ("trace.c", "trace "), ("check.c", "check "), ("context_verb.c", "context ")):
            text = re.search(r"verb_synonym synonyms\[\] = \{(.*?)\};", (source / file).read_text(), re.DOTALL)[1]
            for typed, meant in re.findall(r'\{"(.*?)", *"(.*?)"\}', text):
                self.assertIn(table + meant, verbs)
                self.assertNotIn(table + typed, verbs)

    def test_the_words_version_and_help_do_what_their_options_do(self):
        for word in ("version", "help"):
            told, asked = self.loom(word), self.loom(f"--{word}")
            self.assertEqual((0, asked.stdout, ""), (told.returncode, told.stdout, told.stderr))
        self.assertIn("--version", asked.stdout)
        for program in ("loom-broker", "loom-bridge"):
            for word in ("version", "help"):
                done = subprocess.run([BIN / program, word], capture_output=True, text=True, timeout=30)
                self.assertEqual(2, done.returncode)
                self.assertIn(f'unexpected argument "{word}"; did you mean "--{word}"?', done.stderr)

    def test_options_in_front_of_the_verb_are_told_where_they_belong(self):
        for typed in (("-u", "ipc:///x", "pub", "t"), ("--url=ipc:///x", "pub", "t"), ("-s", "localhost", "sub", "t")):
            done = self.loom(*typed)
            self.assertEqual((2, f'loom: unknown option "{typed[0]}"; options stand behind the verb'), (done.returncode, done.stderr.splitlines()[0]))


class Typed(LoomTest):
    def test_what_other_buses_have_and_this_one_has_not_is_told_as_that(self):
        bus = self.home(spans=False)
        for typed in ("sub t --since 1h", "sub t --last 5", "sub t --from-beginning", "pub t x --durable", "pub t x --retain"):
            self.assertIn("messages are not stored", bus.loom(*typed.split(), code=USAGE).stderr)
        self.assertIn("it stands alone, and -t is the type of events", bus.loom("sub", "-t", "orders.new", code=USAGE).stderr)
        self.agent(bus, "worker").provide("text.upper")
        self.assertIn("it is no agent but a capability: --capability text.upper", bus.loom("ping", "text.upper", code=NOBODY).stderr)

    def test_what_the_sdk_refuses_is_told_in_its_words(self):
        bus = self.home(spans=False)
        self.assertIn('--reply-to "x y": it contains a space', bus.loom("pub", "t", "x", "--reply-to", "x y", code=2).stderr)
        for verb in ("pub", "request", "invoke"):
            self.assertIn("the content_type has 200 bytes, and at most", bus.loom(verb, "t", "x", "--content-type", "y" * 200, code=OVER_LIMIT).stderr)

    def test_a_payload_that_cannot_be_read_is_told_once(self):
        bus = self.home(spans=False)
        for verb in ("pub", "request", "invoke"):
            failed = bus.loom(verb, "some.name", "--file", bus.folder, code=1)
            self.assertEqual(("", f"loom {verb}: {bus.folder}: Is a directory\n"), (failed.stdout, failed.stderr))

    def test_an_option_of_another_program_gets_the_one_that_is_meant(self):
        bus = self.home(spans=False)
        for typed, meant in (("sub --queue workers t", "--group"), ("sub --server localhost t", "--url"), ("pub --host localhost t", "--url"),
                             ("sub t --msgs 3", "--count"), ("sub -s localhost t", "--url"), ("pub -b localhost t", "--url"),
                             ("sub t -C 1", "--count"), ("sub t -W 1", "--timeout")):
            failed = bus.loom(*typed.split(), code=2).stderr
            self.assertIn(f'; did you mean "{meant}"?', failed)
        failed = bus.loom("pub", "-t", "orders.new", "-m", "hello", code=2).stderr
        self.assertEqual('loom pub: unknown option "-m"\nUsage: loom pub [OPTION]… TOPIC [PAYLOAD]\nTry `loom pub --help`.\n', failed)

    def test_a_topic_in_the_way_of_mqtt_is_taken_as_it_is_and_told(self):
        bus = self.home(spans=False)
        self.assertIn('note: "orders/new" is one segment', bus.loom("pub", "orders/new", "x").stderr)
        self.assertEqual("", bus.loom("pub", "orders/new", "x", "-q").stderr)
        self.assertEqual("", bus.loom("pub", "orders.a/b", "x").stderr)
        for filter_ in ("orders.#", "+.new", "#", "a.+.b"):
            self.assertIn(f'note: # and + are plain characters in "{filter_}"', bus.loom("sub", filter_, "--timeout", "10ms", "-n", "1", code=4).stderr)
        self.assertNotIn("note:", bus.loom("sub", "c++.c#", "--timeout", "10ms", "-n", "1", code=4).stderr)
        self.assertIn('note: "delta" is a filter here', bus.loom("sub", "t", "--timestamps", "delta", "--timeout", "10ms", "-n", "1", code=4).stderr)


if __name__ == "__main__":
    unittest.main()
