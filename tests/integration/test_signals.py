# SPDX-License-Identifier: Apache-2.0
"""What signals do that do not end a process: SIGHUP reads the settings again, SIGUSR1 opens files again, SIGUSR2 tells the state.
And what the two do that end it."""

import fcntl
import os
import pty
import signal
import ssl
import termios
import unittest

from collector import make_certificate
from harness import Home, IN_BROKER, LoomTest, in_both_homes, wait_until


class ConfiguredTest(LoomTest):
    def configured(self, text, **options):
        """A home whose broker reads loom.toml in its folder; self.write() writes it anew."""
        home = Home(IN_BROKER, spans=False, **options)
        self.path = home.folder / "loom.toml"
        self.path.write_text(text)
        home.broker_flags += ["--config", self.path]
        home.start()
        self.homes.append(home)
        self.addCleanup(home.__exit__, None)
        return home

    def reload(self, home, text=None):
        """SIGHUP; what the log says of it."""
        if text is not None:
            self.path.write_text(text)
        before = len(home.broker.err)
        home.broker.signal(signal.SIGHUP)
        wait_until(lambda: any(f"configuration {done}" in home.broker.err[before:] for done in ("reloaded", "not reloaded")), "the reload")
        return home.broker.err[before:]


class Reload(ConfiguredTest):
    def test_what_may_change_changes_and_what_may_not_is_told(self):
        home = self.configured("[broker]\nmax_agents = 10\nttl = 9\n[log]\nlevel = \"info\"\n")
        said = self.reload(home, "[broker]\nmax_agents = 1\nttl = 8\n[log]\nlevel = \"error\"\n")
        self.assertIn(f"setting changed key=broker.max_agents from={self.path}:2:1", said)
        self.assertIn("setting changed key=log.level", said)
        self.assertIn(f"setting cannot change without a restart key=broker.ttl from={self.path}:3:1", said)
        self.agent(home, "first").sync()
        with self.assertRaises(Exception):
            self.agent(home, "second").sync()
        self.assertIn("configuration reloaded", self.reload(home, "[broker]\nmax_agents = 10\nttl = 9\n"))
        self.agent(home, "third").sync()

    def test_an_agent_that_is_there_stays_and_queues_take_the_new_limit(self):
        home = self.configured("[broker]\nqueue_messages = 100\n")
        slow = self.agent(home, "slow", credit_messages=1)
        slow.credit_step = 0
        self.reload(home, "[broker]\nqueue_messages = 5\n")
        slow.subscribe("flow", qos=1)
        sender = self.agent(home, "sender")
        for number in range(20):
            sender.publish("flow", b"%d" % number)
        sender.sync()
        wait_until(lambda: home.dropped().get("queue_full_oldest") == 14, "1 is delivered, 5 wait, 14 are lost")

    def test_a_bad_file_keeps_everything_as_it_was(self):
        home = self.configured("[broker]\nmax_agents = 10\n")
        self.assertRegex(self.reload(home, "[broker]\nmax_agents = 1\nqueue_messages = \"many\"\n"),
                         rf"ERROR.*configuration error: .*{self.path.name}:3:\d+")
        self.assertIn("everything stays as it was", home.broker.err)
        for name in ("a", "b"):
            self.agent(home, name).sync()
        self.path.unlink()
        self.assertIn("No such file", self.reload(home))
        self.assertIn("changed=1", self.reload(home, "[broker]\nmax_agents = 3\n"))

    def test_a_flag_still_wins(self):
        home = self.configured("[broker]\nmax_agents = 10\n", broker=("--queue-messages", "7"))
        self.assertIn("changed=0 need_restart=0", self.reload(home, "[broker]\nmax_agents = 10\nqueue_messages = 9\n"))

    def test_what_a_reload_has_to_say_against_a_value_is_in_the_log(self):
        home = self.configured("[broker]\nmax_agents = 10\n")
        said = self.reload(home, "[broker]\nqueue_bytes = \"128MiB\"\n")
        self.assertIn("WARN", said)
        self.assertIn(f"configuration warning: {self.path}:2:1: [broker] queue_bytes is 128MiB, and agent_queue_bytes of 64MiB will be reached first", said)
        self.assertIn("configuration reloaded", said)

    def test_tracing_needs_a_restart(self):
        home = self.configured("[telemetry]\nmask = \"mail\"\n")
        self.assertIn("changed=0 need_restart=0", self.reload(home))
        self.assertIn("without a restart key=telemetry.mask", self.reload(home, "[telemetry]\nmask = \"mail,phone\"\n"))

    def served(self, home, certificate):
        port = int(home.url.rsplit(":", 1)[1])
        return ssl.get_server_certificate(("127.0.0.1", port), ca_certs=str(certificate)).strip()

    def test_a_new_certificate_is_used_and_a_bad_one_is_not(self):
        home = Home(IN_BROKER, spans=False)
        old, new = (make_certificate(home.folder, name) for name in ("old", "new"))
        served = home.folder / "served.pem"
        served.write_text((home.folder / "old.pem").read_text())
        home.broker_flags += ["--tls-cert-key-file", served, "--listen", "tls+tcp://127.0.0.1:0"]
        home.listen = ()
        home.start()
        self.homes.append(home)
        self.addCleanup(home.__exit__, None)
        self.path = home.folder / "none"
        connected = self.agent(home, "connected", certificate=old)
        self.assertEqual(old.read_text().strip(), self.served(home, old))
        served.write_text("nonsense")
        self.assertIn(f"configuration error: {served}: there is no certificate", self.reload(home))
        self.assertEqual(old.read_text().strip(), self.served(home, old))
        served.write_text((home.folder / "new.pem").read_text())
        self.assertIn("configuration reloaded", self.reload(home))
        self.assertEqual(new.read_text().strip(), self.served(home, new))
        connected.sync()  # goes on with the old one


class Files(LoomTest):
    def test_sigusr1_goes_on_in_new_files(self):
        home = Home(IN_BROKER)
        log = home.folder / "broker.log"
        home.broker_flags += ["--log-file", log]
        home.start()
        self.homes.append(home)
        self.addCleanup(home.__exit__, None)
        sender = self.agent(home, "sender")
        self.publish_sampled(home)
        wait_until(lambda: "session opened" in log.read_text(), "the log is in its file")
        log.rename(home.folder / "broker.log.1")
        home.spans_path.rename(home.folder / "spans.1")
        home.broker.signal(signal.SIGUSR1)
        wait_until(log.exists, "a new log")
        self.publish_sampled(home)
        wait_until(lambda: home.spans_path.exists() and home.spans_path.stat().st_size > 0, "a new spans file")
        sender.close()
        wait_until(lambda: "agent=sender" in log.read_text(), "lines go into the new one")
        self.assertEqual(1, (home.folder / "broker.log.1").read_text().count("agent=sender"))
        self.assertEqual("", home.broker.err)

    def publish_sampled(self, home):
        home.loom("pub", "--url", home.url, "files.topic", "x")

    def test_a_log_file_that_cannot_be_written_is_named_at_the_start(self):
        home = Home(IN_BROKER, spans=False)
        self.addCleanup(home.__exit__, None)
        process = home.run("loom-broker", "--log-file", "/nowhere/broker.log")
        self.assertEqual(1, process.wait())
        self.assertIn("cannot start the log: /nowhere/broker.log: No such file", process.err)


@in_both_homes
class State:
    def test_sigusr2_tells_sessions_queues_calls_and_memory_by_owner(self):
        home = self.home(spans=False)
        slow = self.agent(home, "slow", credit_messages=1)
        slow.credit_step = 0
        slow.subscribe("flow")
        sender = self.agent(home, "sender")
        for _ in range(5):
            sender.publish("flow", b"x" * 1000)
        sender.sync()
        wait_until(lambda: home.stats()["eventbus"]["queued"] == 4, "four wait")
        home.serving.signal(signal.SIGUSR2)
        wait_until(lambda: "state of loom-b" in home.serving.err and " ends" in home.serving.err, "the state")
        self.assertRegex(home.serving.err, r"state session agent=slow peer=\S+")
        self.assertRegex(home.serving.err, r"state of the process pid=\d+ uptime_s=\d+ resident_bytes=\d{6,}")
        home.broker.signal(signal.SIGUSR2)
        wait_until(lambda: "state of loom-broker ends" in home.broker.err, "the broker's state")
        self.assertRegex(home.broker.err, r"state queue agent=slow filter=flow queued=4 queued_bytes=\d{4} delivered=1 dropped=0")
        self.assertRegex(home.broker.err, r"state memory of agent=slow queued_bytes=\d{4} ")
        self.assertRegex(home.broker.err, r"state of eventbus: published=")


class Terminal(LoomTest):
    def test_a_broker_whose_terminal_hangs_up_ends_well(self):
        home = Home(IN_BROKER, spans=False)
        self.addCleanup(home.__exit__, None)
        master, slave = pty.openpty()
        home.popen["loom-broker"] = {"preexec_fn": lambda: (os.setsid(), fcntl.ioctl(slave, termios.TIOCSCTTY, 0)), "stdin": slave}
        home.start()
        os.close(slave)
        os.close(master)
        self.assertEqual(0, home.broker.wait())
        self.assertIn("shutting down signal=SIGHUP", home.broker.err)


class Second(LoomTest):
    def test_a_second_signal_says_what_is_lost(self):
        home = self.home(spans=False, broker=("--drain-timeout", "60s"))
        slow = self.agent(home, "slow", credit_messages=1)
        slow.credit_step = 0
        slow.subscribe("flow")
        sender = self.agent(home, "sender")
        for _ in range(5):
            sender.publish("flow", b"x")
        sender.sync()
        wait_until(lambda: home.stats()["eventbus"]["queued"] == 4, "four wait")
        home.broker.signal(signal.SIGTERM)
        wait_until(lambda: "shutting down" in home.broker.err, "the drain begins")
        home.broker.signal(signal.SIGTERM)
        self.assertEqual(128 + signal.SIGTERM, home.broker.wait(5))
        self.assertIn("some work was lost when the process stopped messages_queued=4", home.broker.err)
        home.broken_on_purpose.add(home.broker.pid)


if __name__ == "__main__":
    unittest.main()
