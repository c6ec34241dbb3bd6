# SPDX-License-Identifier: Apache-2.0
"""The server of `loom view`: who gets in, what it refuses, and what no client, broker or database can make it do."""

import collections
import contextlib
import http.client
import itertools
import os
import pathlib
import resource
import signal
import socket
import subprocess
import tempfile
import time
import unittest

import gateway
from harness import BIN, LoomTest, Process, clean_environment, die_with_parent, wait_until
from viewing import BEGIN, View, spans_of


class Served(LoomTest):
    def setUp(self):
        self.bus = self.home(spans=False)
        self.view = View(self.bus.run, self.bus.folder, control=self.bus.control_path)

    def tearDown(self):
        self.assertEqual(0, self.view.process.stop(), self.view.process.err)

    def refused(self, path, status=400):
        answer = self.view.get(path)
        self.assertEqual((status, "application/problem+json"), (answer.status, answer.headers["Content-Type"]), answer.body)
        return answer.json["detail"]

    def test_the_token_opens_the_page_wherever_it_stands_in_the_query(self):
        token = self.view.token
        for query in (f"token={token}", f"utm=1&token={token}", f"token={token}&view=traces", f"a&&token={token}&b="):
            with self.subTest(query):
                answer = self.view.get(f"/?{query}", {})
                self.assertEqual((303, "/"), (answer.status, answer.headers["Location"]))
                self.assertIn(token, answer.headers["Set-Cookie"])
        for query in ("", "token=", f"token={token[:-1]}", f"token={token}&token={token}", f"xtoken={token}", f"a={token}", f"token={token}%00"):
            with self.subTest(query):
                self.assertEqual(401, self.view.get(f"/?{query}", {}).status)

    def test_strangers_are_told_once_in_a_while_without_what_may_be_a_token(self):
        self.assertEqual("", self.view.process.err)
        for path in (f"/?token={'0' * 32}", "/api/traces?token=abc", "/api/bus/agents"):
            self.assertEqual(401, self.view.get(path, {}).status)
        wait_until(lambda: "refused" in self.view.process.err, "it is told")
        self.assertRegex(self.view.process.err, r"^loom view: refused a request from http:127\.0\.0\.1:\d+ for /: 401, the token is not that of this `loom view`\n$")

    def test_the_reason_of_a_redirect_is_its_name(self):
        with self.view.connect() as sock:
            sock.sendall(f"GET /?token={self.view.token} HTTP/1.1\r\nHost: {self.view.host}:{self.view.port}\r\n\r\n".encode())
            self.assertTrue(sock.recv(4096).startswith(b"HTTP/1.1 303 See Other\r\n"))

    def test_a_script_with_the_token_gets_the_page(self):
        answer = self.view.get("/")
        self.assertEqual((200, "text/html; charset=utf-8"), (answer.status, answer.headers["Content-Type"]))
        self.assertEqual(401, self.view.get("/", {"Authorization": "Bearer " + "0" * 32}).status)

    def test_parameters_are_read_strictly(self):
        for query in ("limit=5%00x", "limit=+5", "limit=%2B5", "limit=5 ", "limit=0", "limit=501", "limit=", "limit=0x5", "limit=5&limit=6"):
            with self.subTest(query):
                self.assertIn("limit", self.refused("/api/traces?" + query.replace(" ", "%20")))
        for query, word in (("attribute=x", "KEY=VALUE"), ("attribute==x", "KEY=VALUE"), ("service=a&service=b", "twice"), ("service=%ff", "UTF-8"),
                            ("service=a%0ab", "control"), ("service=%4", "hexadecimal"), ("lim%69t=5%00", "limit"), ("x=1", "not known"),
                            ("attribute=a%3D%00", "control")):
            with self.subTest(query):
                self.assertIn(word, self.refused("/api/traces?" + query))
        for path in ("/api/state", "/api/bus/agents", "/api/traces/" + "1" * 32):
            with self.subTest(path):
                self.assertIn("no parameters", self.refused(path + "?x=1"))
        self.assertEqual(200, self.view.get("/api/traces?lim%69t=5&service=a+b%2Cc").status)

    def test_long_texts_of_failed_spans_are_cut_between_characters(self):
        self.view.send_spans(spans_of("7" * 32, 1, status={"code": 2, "message": "x" + "\u65e5" * 400}))
        (error,) = wait_until(lambda: self.view.get("/api/errors").json["errors"], "the failed span")
        self.assertEqual("x" + "\u65e5" * 166, error["message"])  # of 500 bytes

    def test_files_of_the_page_are_told_from_newer_ones(self):
        answer = self.view.get("/assets/app.js")
        self.assertEqual(200, answer.status)
        again = self.view.get("/assets/app.js", {**self.view.bearer, "If-None-Match": answer.headers["ETag"]})
        self.assertEqual((304, b""), (again.status, again.body))
        self.assertEqual(200, self.view.get("/assets/app.js", {**self.view.bearer, "If-None-Match": '"other"'}).status)


class Broker(LoomTest):
    """What a broker that is stopped, or gone, does to those who look."""

    def setUp(self):
        self.bus = self.home(spans=False)
        self.view = View(self.bus.run, self.bus.folder, control=self.bus.control_path)

    def stop_broker(self):
        self.bus.broker.signal(signal.SIGSTOP)
        self.addCleanup(self.bus.broker.signal, signal.SIGCONT)

    def later(self, *paths):
        return [gateway.Later(lambda path=path: self.view.get(path)) for path in paths]

    def test_a_stopped_broker_holds_up_nobody_else(self):
        self.stop_broker()
        waiting = self.later(*["/api/bus/agents", "/api/bus/flow", "/api/bus/topics", "/api/bus/stats"] * 3)
        for _ in range(20):
            self.assertEqual(200, self.view.get("/api/traces").status)
        self.assertLess(self.view.slowest, 1, "a question to the store waited for the broker")
        for answer in (one.wait() for one in waiting):
            self.assertEqual((504, "application/problem+json"), (answer.status, answer.headers["Content-Type"]))
            self.assertIn("does not answer", answer.json["detail"])

    def test_once_it_is_known_to_be_silent_the_page_is_told_at_once(self):
        self.stop_broker()
        self.assertEqual(504, self.view.get("/api/bus/agents").status)
        self.view.slowest = 0
        for path in ("/api/bus/flow", "/api/bus/agents", "/api/bus/capabilities"):
            self.assertEqual(504, self.view.get(path).status)
        self.assertLess(self.view.slowest, 1)
        self.bus.broker.signal(signal.SIGCONT)
        wait_until(lambda: self.view.get("/api/bus/agents").status == 200, "the broker answers again")

    def test_a_stop_does_not_wait_for_a_broker(self):
        self.stop_broker()
        waiting = self.later("/api/bus/agents", "/api/bus/flow")
        stream = self.view.stream()
        wait_until(lambda: self.view.get("/api/traces").status == 200, "the view has taken the questions")
        began = time.monotonic()
        self.assertEqual(0, self.view.process.stop(), self.view.process.err)
        self.assertLess(time.monotonic() - began, 1)
        for one in waiting:
            with contextlib.suppress(OSError, http.client.HTTPException):  # an answer, or the end of the connection
                self.assertIn(one.wait().status, (503, 504))
        self.assertIsNone(self.rest(stream))

    @staticmethod
    def rest(stream):
        with contextlib.suppress(OSError, http.client.HTTPException):
            while stream.next() is not None:
                pass

    def test_a_broker_that_is_not_there_is_named_at_once(self):
        self.bus.kill(self.bus.broker)
        answer = self.view.get("/api/bus/agents")
        self.assertEqual(502, answer.status)
        self.assertIn("start one with `loom-broker`", answer.json["detail"])

    def test_commands_do_not_wait_for_a_stopped_broker(self):
        self.stop_broker()
        began = time.monotonic()
        for verb in ("agents", "stats"):
            failed = self.bus.loom(verb, "--control", f"ipc://{self.bus.control_path}", code=4)
            self.assertIn("does not answer", failed.stderr)
        self.assertLess(time.monotonic() - began, 9)


class Told:
    """What a client knows of the bus: all of it once, and then what is new (RFC 7396)."""

    def __init__(self):
        self.answers, self.versions, self.patches, self.wholes = {}, {}, 0, collections.Counter()

    def take(self, event):
        if "whole" in event.json:
            self.answers[event.name] = event.json["whole"]
            self.wholes[event.name] += 1
        elif "patch" in event.json:
            if event.json["since"] != self.versions[event.name]:
                raise AssertionError(f"{event.name} {event.json['version']} is told to who has {self.versions[event.name]}")
            self.merge(self.answers[event.name], event.json["patch"])
            self.patches += 1
        self.versions[event.name] = event.json.get("version")

    def merge(self, to, patch):
        for name, value in patch.items():
            if value is None:
                to.pop(name, None)
            elif isinstance(value, dict) and isinstance(to.get(name), dict):
                self.merge(to[name], value)
            else:
                to[name] = value

    def rows(self, kind, name):
        return list(self.answers.get(kind, {}).get(name, {}).values())


class Streams(LoomTest):
    def setUp(self):
        self.bus = self.home(spans=False)
        self.view = View(self.bus.run, self.bus.folder, control=self.bus.control_path)

    def tearDown(self):
        self.assertEqual(0, self.view.process.stop(), self.view.process.err)

    def stream(self, events=None):
        stream = self.view.stream("/api/stream" + (f"?events={events}" if events else ""))
        self.addCleanup(stream.close)
        return stream

    def until(self, stream, name, fits=lambda data: True):
        while not ((event := stream.next()).name == name and fits(event.json)):
            pass
        return event.json

    def test_a_client_first_hears_how_things_are(self):
        stream = self.stream()
        heard = {}
        while "look" not in heard:
            event = stream.next()
            heard.setdefault(event.name, event.json)
        self.assertEqual({"broker", "traces", "agents", "capabilities", "topics", "flow", "stats", "look"}, set(heard))
        self.assertEqual({"answers": True}, heard["broker"])
        self.assertEqual({}, heard["agents"]["whole"]["agents"])
        self.assertIn("edges", heard["flow"]["whole"])

    def test_news_of_traces_flow_and_agents_come_by_themselves(self):
        stream = self.stream()
        before = self.until(stream, "traces")["version"]
        self.assertEqual(200, self.view.send_spans(spans_of("1" * 32, 3)).status)
        self.until(stream, "traces", lambda data: data["version"] != before)
        reader = self.agent(self.bus, "reader").subscribe("a.b")
        self.until(stream, "agents", lambda data: "reader " in data.get("patch", {}).get("agents", {}))
        self.bus.loom("pub", "a.b", "x", "--id", "writer")
        reader.wait_events(1)
        wanted = {("publish", "writer", "a.b"), ("deliver", "reader", "a.b")}
        stream, bus = self.stream("flow"), Told()
        while not wanted <= {(e["kind"], e["agent"], e["name"]) for e in bus.rows("flow", "edges")}:
            bus.take(stream.next())

    def test_what_is_told_by_and_by_is_what_the_broker_says_at_once(self):
        stream, bus = self.stream("flow,agents,stats,topics"), Told()
        reader = self.agent(self.bus, "reader").subscribe("a.>")
        for i in range(3):  # rows come, and their counts change
            self.bus.loom("pub", f"a.{i}", "x", "--id", f"writer-{i}")
            reader.wait_events(i + 1)
            while not any(row["topic"] == f"a.{i}" for row in bus.rows("topics", "topics")):
                bus.take(stream.next())

        def differs():
            said = {kind: self.view.get(f"/api/bus/{kind}").json for kind in ("flow", "agents", "topics")}
            return [kind for kind, key, names in (("flow", "edges", ("kind", "agent", "name", "total")), ("agents", "agents", ("agent", "state")),
                                                  ("topics", "topics", ("topic", "published")))
                    if sorted([row[name] for name in names] for row in bus.rows(kind, key)) != sorted([row[name] for name in names] for row in said[kind][key])]

        while differs():  # until the last change has been told; a driver's deadline ends it otherwise
            bus.take(stream.next())
        self.assertGreater(bus.patches, 3)
        self.assertEqual(1, bus.wholes["flow"], "nothing was missed, so nothing is told twice")

    def test_of_a_still_bus_nothing_is_told_again(self):
        stream = self.stream("flow,topics,capabilities")
        for _ in range(3):
            self.until(stream, "look")
        names = [stream.next().name for _ in range(3)]
        self.assertEqual(["look"] * 3, names)

    def test_a_client_gets_only_what_it_wants(self):
        stream = self.stream("traces")
        self.until(stream, "traces")
        self.view.send_spans(spans_of("2" * 32, 1))
        self.assertEqual("traces", stream.next().name)
        for query, word in (("events=x", "takes"), ("events=", "takes"), ("x=1", "not known"), ("events=flow&events=flow", "twice")):
            answer = self.view.get("/api/stream?" + query)
            self.assertEqual(400, answer.status)
            self.assertIn(word, answer.json["detail"])

    def test_all_clients_share_one_producer(self):
        streams = [self.stream("flow") for _ in range(8)]
        for stream in streams:
            self.until(stream, "flow")
        asked = self.bus.stats()["bus"]["control_requests"]
        time.sleep(3)  # it is to be seen how many questions that makes
        self.assertLess(self.bus.stats()["bus"]["control_requests"] - asked, 8)

    def test_a_stopped_broker_is_told_and_so_is_its_return(self):
        stream = self.stream()
        self.until(stream, "broker", lambda data: data["answers"])
        self.bus.broker.signal(signal.SIGSTOP)
        self.assertIn("does not answer", self.until(stream, "broker", lambda data: not data["answers"])["detail"])
        self.bus.broker.signal(signal.SIGCONT)
        self.until(stream, "broker", lambda data: data["answers"])

    def test_there_are_so_many_streams_and_no_more(self):
        streams = [self.stream("traces") for _ in range(32)]
        self.assertEqual(503, self.view.get("/api/stream").status)
        streams.pop().close()
        wait_until(lambda: self.view.get("/api/stream?events=x").status == 400, "it still answers")
        wait_until(lambda: self.opened(), "the place is free again")

    def opened(self):
        with contextlib.suppress(AssertionError):
            self.stream("traces")
            return True
        return False


class Large(LoomTest):
    """A trace that no page can draw, and clients that ask for it."""

    SPANS = 30000
    TRACE = "a" * 32

    def setUp(self):
        self.bus = self.home(spans=False)
        self.view = View(self.bus.run, self.bus.folder, control=self.bus.control_path)
        for first in range(0, self.SPANS, 10000):
            self.assertEqual(200, self.view.send_spans(spans_of(self.TRACE, 10000, first)).status)
        self.path = f"/api/traces/{self.TRACE}"

    def tearDown(self):
        self.assertEqual(0, self.view.process.stop(), self.view.process.err)

    def test_an_answer_has_so_many_spans_and_says_how_many_there_are(self):
        trace = self.view.get(self.path).json
        spans = [span for resource in trace["resourceSpans"] for scope in resource["scopeSpans"] for span in scope["spans"]]
        self.assertEqual((20000, True, self.SPANS), (len(spans), trace["truncated"], trace["total"]))
        self.assertEqual({f"work {n}" for n in range(20000)}, {span["name"] for span in spans})  # the earliest
        self.view.send_spans(spans_of("b" * 32, 10))
        self.assertNotIn("truncated", self.view.get("/api/traces/" + "b" * 32).json)

    def test_clients_that_do_not_read_cost_no_more_than_the_limit_and_are_cut_off(self):
        self.view.get(self.path)
        before = self.view.process.resident_kib()
        with contextlib.ExitStack() as stack:
            silent = []
            for _ in range(24):
                sock = socket.socket()
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # so that the view has to keep what is not read
                sock.settimeout(60)
                sock.connect((self.view.host, self.view.port))
                sock.sendall(self.view.head(self.path))
                silent.append(stack.enter_context(sock))
                self.assertEqual(200, self.view.get("/api/state").status)
            busy = wait_until(lambda: next((a for a in [self.view.get(self.path)] if a.status == 503), None), "there is no room any more")
            self.assertEqual("1", busy.headers["Retry-After"])
            if not self.view.process.sanitized():
                self.assertLess(self.view.process.resident_kib() - before, 256 * 1024)
            self.assertEqual(200, self.view.send_spans(spans_of("c" * 32, 10)).status)
            wait_until(lambda: self.view.get(self.path, deadline_s=120).status == 200, "those who do not read are cut off", 120)

    def test_spans_are_taken_in_while_everybody_reads(self):
        readers = [gateway.Later(lambda: [self.view.get(self.path).status for _ in range(4)]) for _ in range(6)]
        slowest = 0
        while any(reader.is_alive() for reader in readers):
            began = time.monotonic()
            self.assertEqual(200, self.view.send_spans(spans_of("d" * 32, 1)).status)
            slowest = max(slowest, time.monotonic() - began)
        print(f"slowest answer to an exporter: {slowest * 1000:.0f} ms")
        self.assertLess(slowest, 2)
        for reader in readers:
            self.assertLessEqual(set(reader.wait()), {200, 503})

    def test_questions_beyond_those_that_may_wait_are_told_to_come_back(self):
        answers = [later.wait(120).status for later in [gateway.Later(lambda: self.view.get(self.path, deadline_s=120)) for _ in range(40)]]
        self.assertLessEqual(set(answers), {200, 503})
        self.assertIn(200, answers)
        self.assertEqual(200, self.view.get(self.path).status)

    def test_a_stop_ends_questions_that_are_under_way(self):
        asked = [gateway.Later(lambda: self.view.get(self.path)) for _ in range(8)]
        began = time.monotonic()
        self.assertEqual(0, self.view.process.stop(), self.view.process.err)
        self.assertLess(time.monotonic() - began, 3)
        for one in asked:
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.assertIn(one.wait().status, (200, 503))


class Starts(unittest.TestCase):
    """What is wrong with a command line, or with what it names, is said at once and exactly."""

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="loom-it-")))

    def start(self, *flags, database=None, **popen):
        given = dict(zip(flags[::2], flags[1::2]))
        command = [BIN / "loom", "view", "--no-open", "--control", f"ipc://{self.folder}/none.sock", "--db", database or self.folder / "t.db",
                   *itertools.chain(*({"--listen": "127.0.0.1:0", "--otlp-listen": "127.0.0.1:0"} | given).items())]
        return subprocess.run(command, env=clean_environment(HOME=self.folder), capture_output=True, text=True, timeout=20, **popen)

    def fails(self, code, *words, flags=(), **options):
        done = self.start(*flags, **options)
        self.assertEqual(code, done.returncode, done.stderr)
        for word in words:
            self.assertIn(str(word), done.stderr)
        self.assertNotIn("broker", done.stderr)
        self.assertEqual("", done.stdout)

    def test_an_address_that_is_none_is_a_mistake_of_the_command_line(self):
        for option in ("--listen", "--otlp-listen", "--grpc-listen"):
            for text in ("nonsense", "4318", ":4318", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:x", "http://127.0.0.1:4318", "[::1]", ""):
                with self.subTest(option, text=text):
                    self.fails(2, option, "is not HOST:PORT", flags=(option, text))
        self.fails(2, "other machines", flags=("--listen", "0.0.0.0:0"))
        self.fails(2, "no effect", flags=("--otlp-listen", "none", "--grpc-listen", "127.0.0.1:0"))
        for option, text in (("--retention-age", "soon"), ("--retention-age", "-1d"), ("--retention-size", "2GB?"), ("--retention-spans", "x")):
            self.fails(2, option, flags=(option, text))

    def test_an_address_that_is_taken_is_named_and_nobody_is_blamed(self):
        taken = self.enterContext(socket.create_server(("127.0.0.1", 0)))
        place = "127.0.0.1:%d" % taken.getsockname()[1]
        for option in ("--listen", "--otlp-listen", "--grpc-listen"):
            with self.subTest(option):
                self.fails(1, place, "in use", flags=(option, place))

    def test_a_database_that_cannot_be_one_is_named_with_the_reason(self):
        junk = self.folder / "junk.db"
        junk.write_bytes(os.urandom(5000))
        for database, words in ((junk, ("not a trace database", "another one")), (self.folder, ("is a folder",)),
                                ("/proc/none/t.db", ("/proc/none/t.db", "No such file or directory"))):
            with self.subTest(database):
                self.fails(1, database, *words, database=database)
        self.fails(1, "there is no trace database", "so does the view without --otlp-listen none", flags=("--otlp-listen", "none"))

    @unittest.skipUnless(os.geteuid() == 0, "only root can become somebody else")
    def test_a_database_that_may_not_be_written_is_named_with_what_to_do(self):
        database = self.folder / "traces.db"
        View(self.run_view, self.folder).process.stop()
        database.chmod(0o444)
        self.folder.chmod(0o755)
        try:
            self.fails(1, database, "cannot be written to", "--otlp-listen none", database=database, user="nobody")
        except PermissionError:
            self.skipTest("nobody may not enter the folder of the programs")
        self.fails(1, "cannot make the trace database", "Permission denied", database=self.folder / "new.db", user="nobody")

    def run_view(self, name, *command, **popen):
        process = Process(self.folder, name, [str(BIN / name), *map(str, command)], clean_environment(), **popen)
        self.addCleanup(process.kill)
        return process

    def test_a_database_in_folders_that_are_missing_is_made(self):
        view = View(self.run_view, self.folder, "--db", self.folder / "not/yet/there.db")
        self.assertTrue((self.folder / "not/yet/there.db").exists())
        self.assertEqual(0, view.process.stop())

    def test_what_is_too_old_or_too_much_goes_while_it_runs(self):
        view = View(self.run_view, self.folder)
        for n in range(9):
            self.assertEqual(200, view.send_spans(spans_of(f"{n + 1:x}" * 32, 2, begin=BEGIN + n * 10**9)).status)
        self.assertEqual(0, view.process.stop())
        view = View(self.run_view, self.folder, "--retention-spans", "6", name="again")
        wait_until(lambda: len(view.get("/api/traces").json["traces"]) == 3, "the oldest are dropped, with no spans coming in")
        self.assertEqual(0, view.process.stop())
        view = View(self.run_view, self.folder, "--retention-age", "1h", name="third")
        wait_until(lambda: len(view.get("/api/traces").json["traces"]) == 1, "all but the newest are too old")
        self.assertEqual(0, view.process.stop())

    def test_a_full_disk_is_told_once_and_its_end_too(self):
        """A limit on the size of files does the same as a full disk, and can be lifted."""
        def limited():
            die_with_parent()
            resource.setrlimit(resource.RLIMIT_FSIZE, (256 * 1024, resource.RLIM_INFINITY))
        view = View(self.run_view, self.folder, preexec_fn=limited)
        statuses = [view.send_spans(spans_of(f"{n + 1:032x}", 500)).status for n in range(20)]
        self.assertIn(503, statuses)
        self.assertEqual(1, view.process.err.count("cannot store spans"), view.process.err)
        self.assertEqual(200, view.get("/api/traces").status)  # what there is can still be seen
        resource.prlimit(view.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        self.assertEqual(200, view.send_spans(spans_of("f" * 32, 1)).status)
        self.assertIn(f"requests refused meanwhile: {statuses.count(503)}", view.process.err)
        self.assertEqual(0, view.process.stop())


if __name__ == "__main__":
    unittest.main()
