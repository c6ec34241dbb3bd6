# SPDX-License-Identifier: Apache-2.0
"""Rows 17, 20, and a suspicion: text of others on terminals and in logs, and in everybody's lists."""

import json
import socket
import struct
import threading

from hostile import (BIN, IN_BROKER, HostileTest, Process, in_both_homes, main, pack, run_program, start_agent, unpack,
                     wait_until, wire)
from gateway import Client  # of the integration tests, whose folder hostile adds

ESCAPE = "\x1b[31m\x1b]0;owned\x07"
RIGHT_TO_LEFT = "\u202e"


class Lists(HostileTest):
    kind = IN_BROKER

    def listed(self, **fields):
        """What `loom caps` makes of a capability with "@@" in a text, once that is replaced by bytes that are no UTF-8."""
        home = self.home(spans=False)
        self.agent(home, "good").provide("good.one")
        bad = self.agent(home, "bad")
        request = next(bad.requests)
        bad.link.send(wire.frame(wire.PROVIDE, {"request": request, "name": "bad.one", **fields}).replace(b"@@", b"\xff\xfe"))
        bad.wait(lambda: request in bad.acks or bad.end is not None, "an answer")
        said = bad.acks.get(request) or bad.end
        done = [run_program("loom", "caps", "--control", f"ipc://{home.control_path}", *flags) for flags in ((), ("--json",))]
        fine = all(one.returncode == 0 and "good.one" in one.stdout for one in done)
        self.right(fine, f"the broker says {said}; loom caps: exit code {done[0].returncode} {done[0].stderr.strip()[:120]!r}")

    def test_a_metadata_key_that_is_no_utf8_harms_nobody(self):
        self.listed(metadata={"@@": "value"})

    def test_a_metadata_value_that_is_no_utf8_harms_nobody(self):
        self.listed(metadata={"key": "@@"})

    def test_a_description_that_is_no_utf8_harms_nobody(self):
        self.listed(description="@@")

    def test_a_version_that_is_no_utf8_harms_nobody(self):
        self.listed(version="1@@")

    def test_an_empty_metadata_key_harms_nobody(self):
        self.listed(metadata={"": "value"})


class FakeBridge:
    """Takes one agent on, acknowledges what it asks, and says what it was given to say."""

    def __init__(self, test, path, **said):
        self.said = said
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        test.addCleanup(self.listener.close)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        try:
            connection = self.listener.accept()[0]
            buffer = b""
            while data := connection.recv(1 << 16):
                buffer += data
                while len(buffer) >= 4 and len(buffer) >= 4 + (length := struct.unpack_from(">I", buffer)[0]):
                    self._answer(connection, buffer[4:4 + length])
                    buffer = buffer[4 + length:]
        except OSError:
            pass

    def _answer(self, connection, body):
        frame = unpack(body)
        kind = frame[0]
        if kind == wire.HELLO:
            connection.sendall(wire.frame(wire.WELCOME, {"protocol": 1, "session": 1, "credit_bytes": 1 << 20}))
        elif kind in (wire.SUBSCRIBE, wire.PROVIDE):
            refused = kind == wire.PROVIDE and "ack" in self.said
            connection.sendall(wire.frame(wire.ACK, {"request": frame[1]["request"], "status": wire.EDENIED if refused else 0,
                                                     "text": self.said["ack"] if refused else ""}))
        elif kind == wire.PUBLISH and "notice" in self.said:
            connection.sendall(wire.frame(wire.NOTICE, {"status": wire.EDENIED, "text": self.said["notice"],
                                                        "message_id": bytes(16)}))
        elif kind == wire.PUBLISH and "error" in self.said:
            connection.sendall(wire.frame(wire.ERROR, {"status": wire.EREPLACED, "text": self.said["error"]}))
        elif kind == wire.PING:
            connection.sendall(wire.frame(wire.PONG, frame[1]))
        elif kind == wire.BYE:
            connection.close()


def fake_control(test, path, text, answer=None):
    """Answers every question with a refusal of this text, or with an answer of its own, in which "@@" is no UTF-8."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    test.addCleanup(listener.close)

    def serve():
        try:
            connection = listener.accept()[0]
            connection.sendall(b"\0SP\0\0\x31\0\0")
            data = b""
            while len(data) < 8 + 9 + 4:
                data += connection.recv(4096)
            body = data[17:21] + (pack({"status": wire.EDENIED, "text": text}) if answer is None else
                                   pack({"status": wire.OK, **answer}).replace(b"@@", b"\xff\xfe"))
            connection.sendall(b"\1" + struct.pack(">Q", len(body)) + body)
            connection.recv(1)
        except OSError:
            pass
    threading.Thread(target=serve, daemon=True).start()


class Terminals(HostileTest):
    kind = IN_BROKER

    def printed_clean(self, done):
        self.assertIn("owned", done.stdout + done.stderr, "the text was to be seen")
        raw = [name for name, text in (("standard output", done.stdout), ("standard error", done.stderr)) if "\x1b" in text]
        self.right(not raw, f"an escape sequence reaches {' and '.join(raw) or 'nothing'}")

    def against(self, command, **said):
        home = self.home(spans=False)
        path = home.folder / "fake"
        FakeBridge(self, path, **said)
        self.printed_clean(run_program("loom", *command, "--url", f"ipc://{path}"))

    def test_a_notice_is_cleaned_before_it_is_printed(self):
        self.against(("pub", "a.b", "x"), notice=ESCAPE)

    def test_why_a_session_ended_is_cleaned_before_it_is_printed(self):
        self.against(("pub", "a.b", "x"), error=ESCAPE)

    def test_why_a_capability_is_refused_is_cleaned_before_it_is_printed(self):
        home = self.home(spans=False)
        path = home.folder / "fake"
        FakeBridge(self, path, ack=ESCAPE)
        provider = Process(home.folder, "provide", [str(BIN / "loom"), "provide", "--url", f"ipc://{path}", "a.b", "--", "true"],
                           home.environment)
        self.addCleanup(provider.kill)
        wait_until(lambda: "owned" in provider.err, "the refusal is told")
        self.right("\x1b" not in provider.err, f"{provider.err.encode()!r}")

    def test_a_notice_is_cleaned_before_an_agent_without_a_handler_prints_it(self):
        home = self.home(spans=False)
        FakeBridge(self, home.folder / "fake", notice=ESCAPE)
        agent = start_agent(home, "emitter", f"ipc://{home.folder}/fake", "agent", 1)
        wait_until(lambda: "owned" in agent.err, "the refusal is told")
        self.right("\x1b" not in agent.err, f"{agent.err.encode()!r}"[:120])

    def test_why_control_refuses_is_cleaned_before_it_is_printed(self):
        home = self.home(spans=False)
        path = home.folder / "fake"
        fake_control(self, path, ESCAPE)
        self.printed_clean(run_program("loom", "agents", "--control", f"ipc://{path}"))

    def test_why_a_call_failed_is_cleaned_before_it_is_printed(self):
        home = self.home(spans=False)
        provider = self.agent(home, "provider").provide("fails")
        caller = home.run("loom", "invoke", "--url", home.url, "fails")
        call = provider.wait_call()
        provider.answer(call.call_id, 1, code="bad", text=ESCAPE)
        caller.wait()
        self.assertIn("owned", caller.out + caller.err)
        self.right("\x1b" not in caller.out + caller.err, f"{(caller.out + caller.err).encode()!r}"[:120])


class Json(HostileTest):
    """What is no UTF-8 no JSON can hold: it is repaired, and nothing is left out for it."""
    kind = IN_BROKER

    def test_why_a_call_failed_is_repaired(self):
        home = self.home(spans=False)
        provider = self.agent(home, "provider").provide("fails")
        for flags in ((), ("--stream",)):
            caller = home.run("loom", "invoke", "--url", home.url, "--json", "fails", *flags)
            call = provider.wait_call()
            provider.link.send(wire.frame(wire.RESULT, call.call_id, 1, "c@@", "t@@", b"").replace(b"@@", b"\xff\xfe"))
            caller.wait()
            said = json.loads(caller.out)
            self.right((said.get("code"), said.get("text")) == ("c\ufffd\ufffd", "t\ufffd\ufffd"), f"{said}")

    def test_why_a_call_by_http_failed_is_told_however_long_it_gets(self):
        home = self.home(spans=False, listen=("ipc", "http"))
        provider = self.agent(home, "provider").provide("fails")
        client = Client(home.url_of("http"))
        for code, text in (("c@@", "t@@"), ("\x1b" * 63, "\x1b" * 1024)):
            asking = client.later("/v1/actions/fails", b"x")
            call = provider.wait_call()
            provider.link.send(wire.frame(wire.RESULT, call.call_id, 1, code, text, b"").replace(b"@@", b"\xff\xfe"))
            said = asking.wait().json
            right = code.replace("@@", "\ufffd\ufffd"), text.replace("@@", "\ufffd\ufffd")
            self.right(said.get("code") == right[0] and right[1].startswith(said.get("detail", "?")), f"{str(said)[:200]}")

    def test_headers_of_an_event_are_repaired(self):
        home = self.home(spans=False)
        listener = home.run("loom", "sub", "--url", home.url, "--json", "-n", "1", "t")
        wait_until(lambda: home.stats()["subscriptions"], "it has subscribed")
        sender = self.agent(home, "sender")
        envelope = wire.envelope("t", b"x", sender="sender", headers={"k@@": "v1", "l@@": "v2", "m": "v@@"})
        sender.publish_raw([envelope.replace(b"@@", b"\xff\xfe")])
        listener.wait()
        headers = json.loads(listener.out)["headers"]
        self.right(headers == {"k\ufffd\ufffd": "v1", "l\ufffd\ufffd": "v2", "m": "v\ufffd\ufffd"}, f"{headers}")

    def test_text_of_a_broker_is_repaired(self):
        home = self.home(spans=False)
        path = home.folder / "fake"
        fake_control(self, path, "@@", {"agents": [{"agent": "a@@", "k@@": 1}]})
        done = run_program("loom", "agents", "--json", "--control", f"ipc://{path}")
        said = json.loads(done.stdout)
        self.right(said["agents"][0] == {"agent": "a\ufffd\ufffd", "k\ufffd\ufffd": "1"}, f"{said}")


@in_both_homes
class Logs:
    def test_an_id_that_turns_the_line_round_does_not_reach_the_log(self):
        home = self.home(spans=False)
        try:
            self.agent(home, f"a{RIGHT_TO_LEFT}b").sync()
        except Exception as refused:  # that is one way
            self.say(f"refused: {refused}")
        seen = RIGHT_TO_LEFT in self.log_of(home)
        self.right(not seen, f"U+202E {'is' if seen else 'is not'} in the log")

    def test_an_id_that_turns_the_line_round_does_not_reach_the_list_of_agents(self):
        home = self.home(spans=False)
        try:
            self.agent(home, f"a{RIGHT_TO_LEFT}b").sync()
        except Exception as refused:
            self.say(f"refused: {refused}")
        done = run_program("loom", "agents", "--control", f"ipc://{home.control_path}")
        seen = RIGHT_TO_LEFT in done.stdout
        self.right(not seen, f"U+202E {'is' if seen else 'is not'} in `loom agents`")

    def test_a_log_in_json_has_fields_and_no_text_that_looks_like_them(self):
        home = self.home(spans=False, environment={"LOOM_LOG_FORMAT": "json"})
        self.agent(home, 'a"reason=forged').sync()
        self.raw(home.folder / "out.sock").sendall(b"GET / HTTP/1.1\r\n")
        wait_until(lambda: "does not speak SP" in home.broker.err, "the stranger is logged")
        processes = [process for process in (home.broker, home.bridge) if process is not None]
        for process in reversed(processes):
            process.stop()
        lines = [json.loads(line) for process in processes for line in process.err.splitlines()]
        bad = [line["message"] for line in lines if "=" in line["message"] or "_" in line]
        named = all("url" in line for line in lines if line["message"].startswith(("listening", "attached")))
        forged = [line for line in lines if line.get("reason") == "forged"]
        self.right(not bad and named and not forged, f"{len(lines)} lines, with fields in their text: {bad}, forged: {forged}")


del Logs  # only in its homes

if __name__ == "__main__":
    main()
