# SPDX-License-Identifier: Apache-2.0
"""`loom view` for tests: its process, its token, requests to it, and spans for it."""

import http.client
import json
import pathlib
import socket
import time
import urllib.parse
from typing import NamedTuple

from gateway import Stream
from harness import wait_until


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


class View:
    """Started when this returns. control: a broker's socket, which need not be there; False: none is named."""

    def __init__(self, run, folder, *flags, control=None, name="view", **popen):
        self.folder = pathlib.Path(folder)
        url_file = self.folder / f"{name}-url"
        url_file.unlink(missing_ok=True)
        self.process = run("loom", "view", "--no-open", "--listen", "127.0.0.1:0", "--otlp-listen", "127.0.0.1:0", "--db", self.folder / "traces.db",
                           "--url-file", url_file, *flags, *(() if control is False else ("--control", f"ipc://{control or self.folder / 'none.sock'}")), **popen)
        wait_until(lambda: url_file.exists() or not self.process.running(), "the view listens")
        if not url_file.exists():
            raise AssertionError(f"loom view ended with {self.process.popen.returncode}: {self.process.err}")
        self.url = url_file.read_text().strip()
        where = urllib.parse.urlsplit(self.url)
        self.host, self.port = where.hostname, where.port
        self.token = urllib.parse.parse_qs(where.query)["token"][0]
        self.slowest = 0  # seconds, of the answers so far
        self.bearer = {"Authorization": f"Bearer {self.token}"}

    def get(self, path, headers=None, deadline_s=30):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=deadline_s)
        began = time.monotonic()
        try:
            connection.request("GET", path, headers=self.bearer if headers is None else headers)
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
            self.slowest = max(self.slowest, time.monotonic() - began)
            return answer
        finally:
            connection.close()

    def post(self, path, body=b"", headers=None):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        try:
            connection.request("POST", path, body, self.bearer if headers is None else headers)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def stream(self, path="/api/stream", method="GET", body=None):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        connection.request(method, path, body, headers={**self.bearer, "Accept": "text/event-stream"})
        response = connection.getresponse()
        if response.status != 200:
            raise AssertionError(f"{response.status} {response.read()}")
        return Stream(connection, response)

    def connect(self):
        return socket.create_connection((self.host, self.port), timeout=30)

    def head(self, path):
        """The bytes of a request for path."""
        return (f"GET {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nAuthorization: Bearer {self.token}\r\n\r\n").encode()

    @property
    def otlp(self):
        return self.get("/api/state").json["receiver"]["http"]

    def send_spans(self, spans, service="made-up"):
        body = {"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
                                   "scopeSpans": [{"spans": spans}]}]}
        host, _, port = self.otlp.rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        try:
            connection.request("POST", "/v1/traces", json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()


BEGIN = 1_700_000_000_000_000_000  # ns


def spans_of(trace, count, first=0, begin=BEGIN, **more):
    """Of one trace, each the child of the first."""
    return [{"traceId": trace, "spanId": f"{n + 1:016x}", "parentSpanId": "" if n == 0 else f"{1:016x}", "name": f"work {n}", "kind": 1,
             "startTimeUnixNano": str(begin + n * 1000), "endTimeUnixNano": str(begin + n * 1000 + 500), **more}
            for n in range(first, first + count)]

