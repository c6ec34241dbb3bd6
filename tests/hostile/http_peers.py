# SPDX-License-Identifier: Apache-2.0
"""Issue 14, section 5: what clients of HTTP that mean no good can do to the gateway, to the web view, and to its receiver of
spans. Nothing crashes, what they cost is bounded, and others are served as before."""

import contextlib
import os
import pathlib
import resource
import socket
import time

from hostile import HostileTest, IN_BROKER, MIB, loop_ns, main, wait_until

import gateway
from viewing import View

IDLE = min(10_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 500)
SMUGGLED = "smuggled"
ROUNDS = 400  # requests whose cost is measured


class Server:
    """One of the three: where it listens, the process, and a good request with what has to be answered."""

    def __init__(self, process, host, port, method, path, fields, body=b"", status=200):
        self.process, self.host, self.port, self.status = process, host, int(port), status
        self.line = f"{method} {path} HTTP/1.1\r\n".encode()
        self.fields = f"Host: {host}:{port}\r\n{fields}".encode()
        self.good = self.line + self.fields + b"Content-Length: %d\r\n\r\n" % len(body) + body

    def connect(self, receive=None):
        sock = socket.socket()
        sock.settimeout(30)
        if receive is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        sock.connect((self.host, self.port))
        return sock

    def raw(self, *parts):
        """What comes back for these bytes until the other side closes."""
        return gateway.Client(f"http://{self.host}:{self.port}").raw(*parts)

    def statuses(self, answer):
        return [int(part[2:5]) for part in answer.split(b"HTTP/1.")[1:] if part[1:2] == b" "]

    def ask(self, sock):
        sock.sendall(self.good)
        got = b""
        while b"\r\n\r\n" not in got:
            if not (data := sock.recv(65536)):
                raise ConnectionError(f"closed after {got}")
            got += data
        head, _, body = got.partition(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        while len(body) < length:
            body += sock.recv(65536)
        if int(head[9:12]) != self.status:
            raise AssertionError(head)


class Peers(HostileTest):
    kind = IN_BROKER

    def setUp(self):
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
        self.bus = self.home(spans=False, listen=("ipc", "http"), broker=("--publish-hold", "0"))
        self.view = View(self.bus.run, self.bus.folder, control=self.bus.control_path)
        where = gateway.Client(self.bus.url_of("http"))
        otlp_host, otlp_port = self.view.otlp.split(":")
        bearer = f"Authorization: Bearer {self.view.token}\r\n"
        wait_until(lambda: where.get("/readyz").status == 200, "the gateway is ready")
        self.servers = {
            "gateway": Server(self.bus.broker, where.host, where.port, "POST", "/v1/events/a.b", "", b"21", 202),
            "view": Server(self.view.process, self.view.host, self.view.port, "GET", "/api/state", bearer),
            "receiver": Server(self.view.process, otlp_host, otlp_port, "POST", "/v1/traces", "Content-Type: application/json\r\n", b"{}"),
        }

    def tearDown(self):
        for server in self.servers.values():
            with server.connect() as sock:
                server.ask(sock)
        self.assertEqual(0, self.view.process.stop(), self.view.process.err)

    @contextlib.contextmanager
    def on_a_processor_each(self, server):
        """Server and client, where there are two: what the kernel would choose, now this and now that, doubles a request."""
        all_of_them = os.sched_getaffinity(0)
        mine, others = sorted(all_of_them)[:1], sorted(all_of_them)[1:] or all_of_them
        tasks = [int(task.name) for task in pathlib.Path(f"/proc/{server.process.pid}/task").iterdir()]
        try:
            os.sched_setaffinity(0, mine)
            for task in tasks:
                os.sched_setaffinity(task, others)
            yield
        finally:
            for task in (0, *tasks):
                os.sched_setaffinity(task, all_of_them)

    def cost(self, server, enough=0):
        """Processor time of one good request, in µs: the least of a few rounds, since other work on the machine can only add
        to it; of more of them while it is over enough."""
        best = float("inf")
        with self.on_a_processor_each(server), server.connect() as sock:
            for number in range(40):
                if number >= 5 and (enough == 0 or best <= enough):
                    break
                before = loop_ns(server.process)
                for _ in range(ROUNDS):
                    server.ask(sock)
                best = min(best, (loop_ns(server.process) - before) / ROUNDS / 1000)
        return best

    def others_are_served(self, what, count, text, limit_mib):
        """What a request costs while so many connections are there that have said no more than text. One that were looked at
        for each request would cost 5 ns and more."""
        for name, server in self.servers.items():
            with contextlib.ExitStack() as stack:
                alone, before = self.cost(server), server.process.resident_kib()
                for sock in self.open_many(server, count, stack, text(server)):
                    if text(server):
                        with contextlib.suppress(OSError):  # it has made room for a newer one
                            sock.send(b"x")
                beside, grown = self.cost(server, 1.2 * alone), (server.process.resident_kib() - before) / 1024
            self.right(beside <= 1.5 * alone + 5 and (grown <= limit_mib or server.process.sanitized()),
                       f"{name}: {alone:.0f} µs a request, {beside:.0f} beside {count} {what}, which take {grown:.0f} MiB")

    # ---- many, and slow ----

    def open_many(self, server, count, stack, text=b""):
        many = []
        for _ in range(count):
            sock = stack.enter_context(server.connect())
            if text:
                sock.sendall(text)
            many.append(sock)
        return many

    def test_ten_thousand_idle_connections_cost_others_nothing(self):
        self.others_are_served("idle connections", IDLE, lambda server: b"", 64)

    def test_slow_heads_cost_others_nothing(self):
        self.others_are_served("slow heads", 1000, lambda server: server.line + server.fields + b"X-Slow: ", 64)

    def test_a_head_that_never_ends_is_answered_and_closed(self):
        for name, server in self.servers.items():
            with server.connect() as sock:
                sock.sendall(server.line + server.fields + b"X-Slow: ")
                began = time.monotonic()
                got = sock.recv(4096)
            self.right(got[9:12] == b"408", f"{name}: {got[:20]} after {time.monotonic() - began:.0f} s")

    def test_bodies_without_an_end_take_no_memory(self):
        chunk = b"100000\r\n" + bytes(MIB) + b"\r\n"
        for name, server in self.servers.items():
            before = server.process.resident_kib()
            with contextlib.ExitStack() as stack:
                for sock in self.open_many(server, 12, stack):
                    with contextlib.suppress(OSError):  # it has been closed, as it should be
                        sock.sendall(b"POST " + server.line.split()[1] + b" HTTP/1.1\r\n" + server.fields + b"Transfer-Encoding: chunked\r\n\r\n")
                        for _ in range(80):
                            sock.sendall(chunk)
                grown = (server.process.resident_kib() - before) / 1024
                with server.connect() as sock:
                    server.ask(sock)
            self.right(grown <= 160 or server.process.sanitized(), f"{name}: 12 endless bodies take {grown:.0f} MiB")

    def test_who_asks_on_and_on_and_reads_nothing_takes_no_memory(self):
        for name, server in self.servers.items():
            before = server.process.resident_kib()
            with contextlib.ExitStack() as stack:
                for _ in range(16):
                    sock = stack.enter_context(server.connect(receive=4096))
                    sock.settimeout(0.2)
                    with contextlib.suppress(OSError):
                        for _ in range(200):
                            sock.sendall(server.good * 100)
                grown = (server.process.resident_kib() - before) / 1024
                with server.connect() as sock:
                    server.ask(sock)
            self.right(grown <= 64 or server.process.sanitized(), f"{name}: 16 pipelines that nobody reads take {grown:.0f} MiB")

    # ---- what could be read in two ways ----

    def smuggling(self, server):
        """(what is wrong, the bytes of a request behind which another one hides)."""
        begin = b"POST " + server.line.split()[1] + b" HTTP/1.1\r\n" + server.fields
        framings = {
            "both framings": b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
            "two lengths": b"Content-Length: 0\r\nContent-Length: 60\r\n\r\n",
            "a list of lengths": b"Content-Length: 0, 60\r\n\r\n",
            "a signed length": b"Content-Length: +0\r\n\r\n",
            "a hexadecimal length": b"Content-Length: 0x0\r\n\r\n",
            "a length with a space in it": b"Content-Length: 0 0\r\n\r\n",
            "a length that overflows": b"Content-Length: 18446744073709551616\r\n\r\n",
            "an unknown coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            "chunked, and then something": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            "two codings": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
            "a space before the colon": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
            "a folded field": b"X: a\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "a bare line feed": b"X: a\nContent-Length: 0\r\n\r\n",
            "a bare carriage return": b"X: a\rContent-Length: 0\r\n\r\n",
            "a NUL in a field": b"X: a\0b\r\nContent-Length: 0\r\n\r\n",
            "a chunk size that overflows": b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff0\r\n\r\n0\r\n\r\n",
            "a chunk size with a sign": b"Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n",
            "a chunk size with a prefix": b"Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n",
            "a chunk that is longer than it says": b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
            "two hosts": b"Host: evil.example\r\nContent-Length: 0\r\n\r\n",
        }
        hidden = b"POST /v1/events/" + SMUGGLED.encode() + b" HTTP/1.1\r\n" + server.fields + b"Content-Length: 0\r\n\r\n"
        return [(what, begin + framing + hidden) for what, framing in framings.items()]

    def test_no_request_is_smuggled_behind_another(self):
        listener = self.agent(self.bus, "listener").subscribe(SMUGGLED)
        wrong = []
        for name, server in self.servers.items():
            for what, text in self.smuggling(server):
                statuses = server.statuses(server.raw(text))
                if len(statuses) != 1 or not 400 <= statuses[0] <= 501:  # 501: a coding that is not known
                    wrong.append(f"{name}, {what}: {statuses}")
        listener.sync()
        self.right(not wrong and not listener.events, "; ".join(wrong) or f"{len(self.smuggling(server))} ways, each refused once")

    def test_paths_that_try_tricks_find_nothing(self):
        paths = ("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/assets/../../../etc/passwd", "/assets/..%2f..%2fetc%2fpasswd",
                 "/assets/..\\..\\etc\\passwd", "/assets//etc/passwd", "//etc/passwd", "/assets/app.js%00.css", "/assets/", "/api/bus/../state",
                 "/api/state/", "/api//state", "/API/STATE", "/v1/../metrics", "/v1/agents/", "/v1/agents;x=1", "/metrics/..;/", "/.git/config",
                 "http://evil.example/api/state", "/api/traces/" + "%61" * 32, "*")
        wrong = []
        for name, server in self.servers.items():
            for path in paths:
                statuses = server.statuses(server.raw(b"GET " + path.encode() + b" HTTP/1.1\r\n" + server.fields + b"Connection: close\r\n\r\n"))
                if len(statuses) != 1 or not 400 <= statuses[0] < 500:
                    wrong.append(f"{name}, {path}: {statuses}")
        self.right(not wrong, "; ".join(wrong) or f"{len(paths)} paths, nothing at any of them")

    def test_nothing_of_a_request_becomes_a_field_of_its_answer(self):
        inject = "%0d%0aX-Evil:%201"
        texts = (b"GET /?token=" + inject.encode() + b" HTTP/1.1\r\n", b"GET /v1/events/a" + inject.encode() + b" HTTP/1.1\r\n",
                 b"GET /api/traces?service=" + inject.encode() + b" HTTP/1.1\r\n", b"GET /assets/" + inject.encode() + b" HTTP/1.1\r\n")
        wrong = []
        for name, server in self.servers.items():
            for text in texts:
                for more in (b"", b"Origin: http://a\r\n", b"traceparent: 00-x\r\nX-Trace-ID: X-Evil\r\n", b"Cookie: a=\"\tX-Evil: 1\"\r\n"):
                    head = server.raw(text + server.fields + more + b"Connection: close\r\n\r\n").split(b"\r\n\r\n")[0]
                    if b"evil" in head.lower() or b"HTTP/1.1 5" in head:
                        wrong.append(f"{name}: {head}")
        self.right(not wrong, "; ".join(wrong) or f"{len(texts)} texts, in no field of an answer")

    def test_heads_that_are_too_large_are_refused(self):
        wrong = []
        for name, server in self.servers.items():
            for what, status, text in (("fields", 431, server.line + server.fields + b"".join(b"X-%d: x\r\n" % n for n in range(100)) + b"\r\n"),
                                       ("a field", 431, server.line + server.fields + b"X: " + b"x" * 20000 + b"\r\n\r\n"),
                                       ("a target", 414, b"GET /" + b"x" * 8100 + b" HTTP/1.1\r\n" + server.fields + b"\r\n"),
                                       ("a method", 501, b"X" * 30 + b" / HTTP/1.1\r\n" + server.fields + b"\r\n")):
                statuses = server.statuses(server.raw(text))
                if len(statuses) != 1 or not 400 <= statuses[0] <= 501:
                    wrong.append(f"{name}, {what}: {statuses}, not {status}")
        self.right(not wrong, "; ".join(wrong) or "each is refused")


if __name__ == "__main__":
    main()
