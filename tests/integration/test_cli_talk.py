#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""loom reply, loom ping and loom context."""

import json
import os
import signal
import subprocess
import threading
import time
import unittest

import wire
from harness import BIN, LoomTest, clean_environment, in_both_homes, wait_until
from wire import Hop


@in_both_homes
class Reply:
    def setUp(self):
        self.bus = self.home(spans=False)

    def answering(self, *arguments):
        process = self.bus.run("loom", "reply", "--url", self.bus.url, *arguments)
        wait_until(lambda: "answering" in process.err or not process.running(), "it answers")
        return process

    def ask(self, topic, *arguments, code=0, **options):
        return self.bus.loom("request", "-q", topic, *arguments, code=code, **options)

    def test_what_a_command_prints_is_the_answer(self):
        responder = self.answering("text.upper", "--", "tr", "a-z", "A-Z")
        self.assertEqual("HELLO", self.ask("text.upper", "hello").stdout)
        self.assertEqual("AGAIN", self.ask("text.upper", "again").stdout)
        responder.signal(signal.SIGINT)
        self.assertEqual(0, responder.wait())
        self.assertEqual(2, responder.out.count("exit_0"))

    def test_the_command_knows_what_it_answers(self):
        self.answering("ask.*", "--", "sh", "-c", "echo $LOOM_TOPIC $LOOM_SENDER $LOOM_TYPE")
        self.assertEqual("ask.me me ty\n", self.ask("ask.me", "x", "--id", "me", "--type", "ty").stdout)

    def test_a_command_that_fails_is_told_to_the_one_who_asks(self):
        self.answering("fail.now", "--", "sh", "-c", "echo oops >&2; exit 3")
        self.assertIn("fail.now: exit_3: oops", self.ask("fail.now", "x", code=1).stderr)
        self.answering("not.there", "--", "/nowhere/command")
        self.assertIn("not_started", self.ask("not.there", "x", code=1).stderr)

    def test_a_message_that_is_out_of_hops_is_told_as_that_and_not_as_a_timeout(self):
        responder = self.answering("--echo", "echo")
        asker = self.agent(self.bus, "asker")
        asker.publish("echo", b"x", reply_to="agent.asker.replies", hop=Hop(ttl=1))
        wait_until(lambda: "cannot answer" in responder.err, "it says that it cannot answer")
        self.assertIn('loom reply: cannot answer a message on "echo": the message on "echo" has no hops left', responder.err)
        self.assertNotIn("deadline", responder.err)

    def test_an_echo_sends_everything_back(self):
        self.answering("--echo", "echo")
        answer = json.loads(self.ask("echo", "x", "--json", "-H", "a=1", "--type", "ty", "--content-type", "text/plain").stdout)
        self.assertEqual(("x", "ty", "text/plain", "1"), (answer["payload"], answer["type"], answer["content_type"], answer["headers"]["a"]))

    def test_count_ends_it_and_members_of_a_group_share(self):
        members = [self.answering("work", "--group", "g", "--count", "3", "--echo") for _ in range(2)]
        for _ in range(6):
            self.ask("work", "x")
        self.assertEqual([0, 0], [member.wait() for member in members])

    def test_what_makes_no_sense_is_a_wrong_command_line(self):
        for arguments, words in (((), "missing filter"), (("t",), "missing command"), (("--echo", "t", "cat"), "not both"),
                                 (("a..b", "--", "cat"), "invalid filter"), (("t", "--group", "a b", "--", "cat"), "invalid group")):
            self.assertIn(words, self.bus.loom("reply", *arguments, code=2).stderr)


@in_both_homes
class Ping:
    def setUp(self):
        self.bus = self.home()

    def ping(self, *arguments, code=0):
        return self.bus.loom("ping", "-i", "0s", *arguments, code=code)

    def test_round_trips_to_the_broker(self):
        out = self.ping("-n", "20", "--histogram").stdout.splitlines()
        self.assertEqual([str(n) for n in range(1, 21)], [line.split()[0] for line in out[:20]])
        self.assertEqual(f"{self.bus.url}: 20 sent, 20 answered", out[20])
        self.assertRegex(out[21], r"^min \S+ \S+  p50 \S+ \S+  p90 \S+ \S+  p99 \S+ \S+  max \S+ \S+$")
        self.assertEqual(20, sum(int(line[10:].split()[0]) for line in out[22:]))

    def test_an_agent_answers_without_code_of_its_own(self):
        listener = self.bus.subscriber("t", "--id", "listener")
        done = json.loads(self.ping("listener", "-n", "5", "--json").stdout)
        self.assertEqual(("listener", "5", "5"), (done["to"], done["sent"], done["answered"]))
        self.assertLessEqual(int(done["ns"]["min"]), int(done["ns"]["p50"]))
        self.assertLessEqual(int(done["ns"]["p99"]), int(done["ns"]["max"]))
        self.assertEqual("", listener.out)

    def test_an_agent_that_has_asked_somebody_answers_as_well(self):
        self.bus.subscriber("t", "--id", "other")
        asking = self.bus.run("loom", "ping", "--url", self.bus.url, "other", "--id", "asking", "-n", "1000000", "-i", "10ms")
        wait_until(lambda: "\n" in asking.out, "it has been answered")
        self.ping("asking", "-n", "3", "-q")
        asking.signal(signal.SIGINT)
        self.assertEqual(130, asking.wait())

    def test_nobody_and_a_silent_agent_are_failures(self):
        self.ping("nobody", "-n", "1", "-d", "200ms", code=5)
        self.agent(self.bus, "silent").subscribe("agent.silent.replies")
        self.ping("silent", "-n", "1", "-d", "100ms", code=4)

    def test_a_responder_and_a_provider_can_be_asked(self):
        echo = self.bus.run("loom", "reply", "--url", self.bus.url, "--echo", "echo")
        wait_until(lambda: "answering" in echo.err, "it answers")
        provider = self.bus.run("loom", "provide", "--url", self.bus.url, "cap", "--", "true")
        wait_until(lambda: "providing" in provider.err, "it provides")
        self.assertIn("echo: 3 sent, 3 answered", self.ping("--topic", "echo", "-n", "3").stdout)
        self.assertIn("cap: 3 sent, 3 answered", self.ping("--capability", "cap", "-n", "3").stdout)
        self.assertEqual(2, self.bus.loom("ping", "x", "--topic", "y", code=2).returncode)

    def test_it_ends_with_its_reader(self):
        self.agent(self.bus, "silent").subscribe("agent.silent.replies")
        for arguments in (("-i", "1h", "-n", "2"), ("-q", "-i", "1h", "-n", "2"), ("-i", "10ms", "-n", "1000000"),
                          ("silent", "-d", "100ms", "-i", "1h", "-n", "2")):
            with self.subTest(arguments):
                ping = subprocess.Popen([BIN / "loom", "ping", "--url", self.bus.url, *arguments], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env=clean_environment())
                ping.stdout.close()
                try:
                    ping.wait(10)
                finally:
                    ping.kill()
                    ping.communicate()

    def test_nothing_of_it_is_traced(self):
        self.ping("-n", "5", "-q")
        self.bus.loom("pub", "t", "x")
        self.assertEqual({"loom pub"}, {span.name for span in self.bus.wait_spans(4) if not span.parent_id})


class Readers(LoomTest):
    """What prints over time ends when nobody reads it any more."""

    def ends(self, *arguments, waits_for="", reads=0):
        """It prints reads lines, and says waits_for; then its reader goes."""
        verb = subprocess.Popen([BIN / "loom", arguments[0], "--url", self.bus.url, *arguments[1:]], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment(), text=True)
        try:
            while waits_for and waits_for not in verb.stderr.readline():
                pass
            for _ in range(reads):
                self.assertNotEqual("", verb.stdout.readline())
            verb.stdout.close()
            began = time.monotonic()
            code = verb.wait(10)
            took = time.monotonic() - began
            said = verb.stderr.read()
        finally:
            verb.kill()
            verb.wait()
            verb.stderr.close()
        self.assertEqual((0, ""), (code, said))
        self.assertLess(took, 5.0)  # it does so within a second, on a machine that is not busy

    def setUp(self):
        self.bus = self.home(spans=False)

    def test_a_call_is_cancelled_once_nobody_reads_its_chunks(self):
        provider = self.agent(self.bus, "provider").provide("words")
        for flags, numbers in ((("-q",), (0,)), (("-q", "--json"), (0, 1)), (("-q",), ())):
            with self.subTest(flags=flags, numbers=numbers):
                done = []
                thread = threading.Thread(target=lambda: done.append(self.ends("invoke", "words", "--stream", *flags, "-d", "1h", reads=len(numbers))))
                thread.start()
                call = provider.wait_call()
                for number in numbers:
                    provider.report(call.call_id, wire.CHUNK, number, b"one\n")
                provider.wait(lambda: any(cancel[0] == call.call_id for cancel in provider.cancels), "the cancel")
                thread.join()
                self.assertEqual([None], done)

    def test_a_call_ends_at_a_chunk_that_nobody_reads(self):
        provider = self.bus.run("loom", "provide", "--url", self.bus.url, "-q", "yes", "--", "yes")
        wait_until(lambda: "providing" in provider.err, "it provides")
        self.ends("invoke", "yes", "--stream", "-q", "-d", "1h", reads=1)

    def test_chunks_that_cannot_be_written_are_a_failure(self):
        provider = self.bus.run("loom", "provide", "--url", self.bus.url, "-q", "yes", "--", "yes")
        wait_until(lambda: "providing" in provider.err, "it provides")
        with open("/dev/full", "w") as full:
            invoke = self.bus.run("loom", "invoke", "--url", self.bus.url, "yes", "--stream", "-q", "-d", "1h", stdout=full)
            self.assertEqual(1, invoke.wait(10))
        self.assertIn("cannot write: No space left on device", invoke.err)

    def test_who_answers_ends_with_the_reader_of_its_report(self):
        self.ends("provide", "cap", "--", "true", waits_for="providing")
        self.ends("reply", "ask.me", "--echo", waits_for="answering")

    def test_who_answers_without_a_report_needs_no_reader(self):
        for arguments, word in ((("provide", "-q", "cap", "--", "echo", "yes"), "providing"), (("reply", "-q", "cap", "--echo"), "answering")):
            read, write = os.pipe()
            server = self.bus.run("loom", arguments[0], "--url", self.bus.url, *arguments[1:], stdout=write)
            os.close(write)
            os.close(read)
            wait_until(lambda: word in server.err, "it answers")
            self.bus.loom("invoke" if arguments[0] == "provide" else "request", "cap", "x")


class Service(LoomTest):
    def test_a_command_may_say_by_which_name_it_is_traced(self):
        bus = self.home()
        bus.loom("pub", "t", "x", "--service", "nightly-import")
        bus.loom("pub", "t", "x")
        roots = {span.service for span in bus.wait_spans(8) if not span.parent_id}
        self.assertEqual({"nightly-import", "loom-cli"}, roots)


class Context(LoomTest):
    def setUp(self):
        self.bus = self.home(spans=False)
        self.config = self.bus.folder / "config"

    def context(self, *arguments, code=0, **environment):
        return self.bus.loom(*arguments, code=code, environment={"XDG_CONFIG_HOME": self.config, "LOOM_URL": "", **environment})

    def test_a_verb_goes_where_its_context_says(self):
        nowhere = f"ipc://{self.bus.folder}/nobody.sock"
        self.context("context", "add", "here", "--url", self.bus.url, "--control", f"ipc://{self.bus.control_path}", "--description", "the test's")
        self.context("context", "add", "there", "--url", nowhere)
        no_url = {"LOOM_URL": None}
        environment = {key: value for key, value in self.bus.environment.items()} | {"XDG_CONFIG_HOME": str(self.config)}

        def loom(*arguments, **more):
            from harness import BIN
            return subprocess.run([BIN / "loom", *arguments], env={**environment, **more}, capture_output=True, text=True, timeout=30,
                                  stdin=subprocess.DEVNULL, cwd=self.bus.folder)
        self.assertIsNone(no_url["LOOM_URL"])
        self.assertEqual(0, loom("--context", "here", "pub", "t", "x").returncode)
        self.assertIn("nobody.sock", loom("--context=there", "pub", "t", "x").stderr)
        self.assertEqual(0, loom("pub", "t", "x", LOOM_CONTEXT="here").returncode)
        self.assertEqual(0, loom("context", "use", "here").returncode)
        self.assertEqual(0, loom("pub", "t", "x").returncode)
        self.assertEqual(0, loom("stats").returncode)
        self.assertIn("nobody.sock", loom("pub", "t", "x", LOOM_URL=nowhere).stderr)
        self.assertEqual(0, loom("--context", "here", "pub", "t", "x", LOOM_URL=nowhere).returncode)
        self.assertIn("nobody.sock", loom("pub", "--url", nowhere, "t", "x").stderr)
        self.assertEqual(0, loom("context", "use").returncode)
        self.assertEqual(3, loom("pub", "t", "x", XDG_RUNTIME_DIR=str(self.bus.folder)).returncode)

    def test_contexts_are_listed_shown_and_changed(self):
        self.context("context", "add", "one", "--url", self.bus.url, "--use")
        self.context("context", "add", "one", "--ca", "/etc/ca.pem")
        self.context("context", "add", "two", "--description", "the second")
        lines = self.context("context", "ls").stdout.splitlines()
        self.assertTrue(lines[0].startswith(f"* one "), lines)
        self.assertTrue(lines[1].startswith("  two ") and "the second" in lines[1], lines)
        shown = json.loads(self.context("context", "show", "--json").stdout)
        self.assertEqual({"name": "one", "used": True, "url": self.bus.url, "ca": "/etc/ca.pem"}, shown)
        self.assertIn("/etc/ca.pem", self.context("context", "show", "one").stdout)

    def test_a_context_that_is_removed_is_gone_and_no_longer_in_use(self):
        self.context("context", "add", "one", "--url", f"ipc://{self.bus.folder}/nobody.sock", "--use")
        self.context("context", "add", "two")
        self.assertIn('no context "ones"; did you mean "one"?', self.context("context", "rm", "ones", code=2).stderr)
        self.assertIn("missing context", self.context("context", "rm", code=2).stderr)
        for path in ("..", "../context", ""):
            self.context("context", "rm", path, code=2)
        self.context("context", "rm", "one")
        self.assertEqual(["two"], [line.split()[0] for line in self.context("context", "ls").stdout.splitlines()])
        self.assertIn("no context is in use", self.context("context", "show", code=1).stderr)
        self.context("version", LOOM_CONTEXT="one") # works whatever is chosen

    def test_others_see_whose_a_command_is(self):
        self.context("context", "add", "mine", "--url", self.bus.url, "--identity", "alice")
        receiver = self.agent(self.bus, "receiver").subscribe("a.b")
        self.context("--context", "mine", "pub", "a.b", "x")
        self.assertRegex(receiver.wait_events(1)[0].sender, r"^alice-pub-\d+-\w{6}$")

    def test_what_is_not_there_or_makes_no_sense_is_told(self):
        self.assertIn("--identity", self.context("context", "add", "x", "--identity", "a b", code=2).stderr)
        self.assertIn('LOOM_IDENTITY "a/b"', self.context("pub", "t", "x", "--url", self.bus.url, code=2, LOOM_IDENTITY="a/b").stderr)
        self.context("context", "add", "prod", "--url", self.bus.url)
        self.assertIn('did you mean "prod"?', self.context("--context", "prdo", "pub", "t", "x", code=2).stderr)
        self.assertIn("there is no context", self.context("pub", "t", "x", code=2, LOOM_CONTEXT="none").stderr)
        self.context("context", "ls", LOOM_CONTEXT="none")
        self.context("--context", code=2)
        for name in ("../x", "", ".hidden", "a b"):
            self.context("context", "add", name, "--url", self.bus.url, code=2)
        self.assertIn("--url", self.context("context", "add", "x", "--url", "nonsense", code=2).stderr)
        self.assertFalse(os.path.exists(self.config / "loom" / "x"))


if __name__ == "__main__":
    unittest.main()
