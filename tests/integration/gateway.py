# SPDX-License-Identifier: Apache-2.0
"""A client of the HTTP gateway: requests, answers, and streams of events as they come."""

import http.client
import json
import socket
import threading
import urllib.parse
from typing import NamedTuple

from harness import wait_until

TRACE_ID = "11111111111111111111111111111111"
PARENT_ID = "2222222222222222"
TRACEPARENT = f"00-{TRACE_ID}-{PARENT_ID}-01"


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def lines(self):
        return [json.loads(line) for line in self.body.splitlines()]


class Event(NamedTuple):
    name: str
    id: str
    data: str

    @property
    def json(self):
        return json.loads(self.data)


class Stream:
    """Server-sent events of an answer that goes on."""

    def __init__(self, connection, response):
        self.connection, self.response, self.comments = connection, response, 0

    def next(self):
        """The next event; None at the end."""
        name, number, data = "", "", []
        while line := self.response.readline():
            text = line.decode().rstrip("\n")
            field, _, value = text.partition(": ")
            if text == "" and data:
                return Event(name, number, "\n".join(data))
            self.comments += text == ":"
            name = value if field == "event" else name
            number = value if field == "id" else number
            data += [value] if field == "data" else []
        return None

    def close(self):
        self.response.close()
        self.connection.close()


class Later(threading.Thread):
    """A request in a thread of its own, whose answer is waited for later."""

    def __init__(self, ask):
        super().__init__(daemon=True)
        self.ask, self.answer, self.problem = ask, None, None
        self.start()

    def run(self):
        try:
            self.answer = self.ask()
        except Exception as problem:  # told by wait()
            self.problem = problem

    def wait(self, deadline_s=30):
        self.join(deadline_s)
        if self.problem is not None:
            raise self.problem
        if self.answer is None:
            raise TimeoutError("no answer came")
        return self.answer


class Client:
    def __init__(self, url, deadline_s=30):
        where = urllib.parse.urlsplit(url)
        self.host, self.port, self.deadline_s = where.hostname, where.port, deadline_s

    def _ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=self.deadline_s)
        connection.request(method, path, body, headers or {})
        return connection, connection.getresponse()

    def ask(self, method, path, body=None, headers=None):
        connection, response = self._ask(method, path, body, headers)
        try:
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.ask("GET", path, headers=headers)

    def post(self, path, body=b"", content_type="text/plain", headers=None):
        return self.ask("POST", path, body, {"Content-Type": content_type, **(headers or {})})

    def post_json(self, path, value, **options):
        return self.post(path, json.dumps(value), "application/json", **options)

    def later(self, *arguments, **options):
        return Later(lambda: self.post(*arguments, **options))

    def stream(self, method, path, body=None, headers=None):
        connection, response = self._ask(method, path, body, {"Accept": "text/event-stream", **(headers or {})})
        if response.status != 200:
            raise AssertionError(f"{response.status} {response.read()}")
        return Stream(connection, response)

    def raw(self, *parts):
        """What comes back for these bytes until the other side closes."""
        got = b""
        with socket.create_connection((self.host, self.port), timeout=self.deadline_s) as sock:
            for part in parts:
                sock.sendall(part)
            try:
                while data := sock.recv(65536):
                    got += data
            except ConnectionResetError:
                pass
        return got

    def connect(self):
        return socket.create_connection((self.host, self.port), timeout=self.deadline_s)


def problem(answer):
    """(status, code) of an answer that has to be a problem."""
    if answer.headers["Content-Type"] != "application/problem+json" or answer.json["status"] != answer.status:
        raise AssertionError(f"this is no problem: {answer}")
    return answer.status, answer.json["code"]


def spans_of(bus):
    """The spans so far, once no line of them is being written."""
    def whole():
        try:
            return (bus.spans(),)
        except ValueError:
            return None
    return wait_until(whole, "whole lines of spans")[0]


def wait_spans(bus, *names):
    """By name, once there is one of each; processes export when they like."""
    def all_there():
        found = {span.name: span for span in spans_of(bus)}
        return found if set(names) <= set(found) else None
    return wait_until(all_there, f"the spans {names}")
