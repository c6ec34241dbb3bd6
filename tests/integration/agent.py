# SPDX-License-Identifier: Apache-2.0
"""An agent in Python, on the bytes of the link: what any program of any language could be."""

import contextlib
import itertools
import os
import struct
import time

import carriers
import wire
from packing import Reader, unpack

DEADLINE_S = 20.0  # of anything that is to happen; what does not is a failure, so it may be long
HEADER = struct.Struct(">I")


class Ended(Exception):
    """The bridge ended the session."""


class Agent:
    """One session. Nothing runs by itself: frames are read inside the calls below."""

    def __init__(self, url, agent_id=None, certificate=None, **hello):
        self.link = carriers.connect(url, certificate)
        self.buffer = bytearray()
        self.events, self.notices, self.acks, self.others = [], [], {}, []
        self.calls, self.cancels, self.call_credits = [], [], []  # as a provider
        self.results, self.reports = {}, []                       # as a caller; results by call id
        self.end = None             # (frame type, status, text) of error or bye
        self.closed = False         # by the other side
        self.answers_pings = True
        self.pings = 0
        self.granted = self.published = 0
        self.credit_step = 0        # messages after which more credit is given; 0: never
        self.taken = self.credit = 0
        self.requests = itertools.count(1)
        if agent_id is not None:
            self.hello(agent_id, **hello)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.link.close()

    # ---- reading ----

    def pump(self, timeout=0.05):
        """Reads what has come, waiting up to timeout for the first of it."""
        data = None if self.closed else self.link.recv(timeout)
        if data == b"":
            self.closed = True
        elif data:
            self.buffer += data
            self._take_frames()

    def _take_frames(self):
        at = 0
        while len(self.buffer) - at >= 4:
            length = HEADER.unpack_from(self.buffer, at)[0]
            if len(self.buffer) - at - 4 < length:
                break
            self._on_frame(bytes(self.buffer[at + 4:at + 4 + length]))
            at += 4 + length
        del self.buffer[:at]

    def _on_frame(self, body):
        reader = Reader(body)
        reader.array()
        kind = reader.read()
        if kind == wire.DELIVER:
            self._on_deliver(wire.events_of(reader))
            return
        values = [{"request": 0, "status": wire.OK, "text": "", **value} if isinstance(value, dict) else value
                  for value in unpack(body)[1:]]  # a key that is missing has its default
        if kind == wire.CREDIT:
            self.granted = values[1]
        elif kind == wire.PING:
            self.pings += 1
            if self.answers_pings:
                self.send(wire.PONG, values[0])
        elif kind == wire.ACK:
            self.acks[values[0]["request"]] = values[0]
        elif kind == wire.NOTICE:
            self.notices.append(values[0])
        elif kind in (wire.ERROR, wire.BYE):
            self.end = (kind, values[0]["status"], values[0]["text"])
        else:
            self.others.append((kind, *values))
            self._on_action(kind, values)

    def _on_action(self, kind, values):
        if kind == wire.CALL:
            self.calls.append(wire.Call(*values[:6], wire.Event(0, values[6], 0)))
        elif kind == wire.RESULT:
            call_id, outcome, code, text, payload = values
            self.results.setdefault(call_id, []).append(wire.Result(outcome, payload, code, text))
        elif kind == wire.REPORT:
            self.reports.append(wire.Report(*values))
        elif kind == wire.CANCEL:
            self.cancels.append(tuple(values))
        elif kind == wire.CALL_CREDIT:
            self.call_credits.append(tuple(values))

    def _on_deliver(self, events):
        self.events += events
        self.taken += len(events)
        if self.credit_step and self.credit - self.taken < self.credit_step:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the other end may be done, and this still to be read
                self.grant(self.taken + 2 * self.credit_step)

    def wait(self, condition, what="", deadline_s=DEADLINE_S):
        """Reads until condition() holds; the value it then has."""
        end = time.monotonic() + deadline_s
        while not (value := condition()):
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"not within {deadline_s} s: {what or 'a condition'} (events {len(self.events)}, end {self.end})")
            if self.closed:
                raise Ended(f"the connection ended before {what or 'a condition'}: {self.end}")
            self.pump(min(left, 0.05))
        return value

    def wait_events(self, count):
        self.wait(lambda: len(self.events) >= count, f"{count} events")
        return self.events

    def wait_end(self):
        """Until the bridge has said why and closed the connection."""
        self.wait(lambda: self.end is not None, "the end of the session")
        end = time.monotonic() + DEADLINE_S
        while not self.closed and time.monotonic() < end:
            self.pump()
        if not self.closed:
            raise TimeoutError("the bridge said goodbye and left the connection open")
        return self.end

    # ---- writing ----

    def send(self, *items):
        self.link.send(wire.frame(*items))

    def hello(self, agent_id, credit_messages=0, credit_bytes=0, **fields):
        self.id = agent_id
        self.credit = credit_messages
        self.credit_step = credit_messages // 2
        self.send(wire.HELLO, {"protocol": 1, "agent": agent_id, "software": "python/1", "instance": bytes(16),
                               "credit_messages": credit_messages, "credit_bytes": credit_bytes, **fields})
        self.welcome = self.wait(lambda: next((frame[1] for frame in self.others if frame[0] == wire.WELCOME), None), "welcome")
        self.granted = self.welcome.get("credit_bytes", 0)
        return self

    def grant(self, messages, size=1 << 40):
        """Totals since hello."""
        self.credit = messages
        self.send(wire.CREDIT, messages, size)

    def request(self, kind, /, **fields):
        number = next(self.requests)
        self.send(kind, {"request": number, **fields})
        return self.wait(lambda: self.acks.get(number), f"the ack of {fields}")

    def subscribe(self, topic_filter, subscription=1, **fields):
        ack = self.request(wire.SUBSCRIBE, subscription=subscription, filter=topic_filter, **fields)
        if ack["status"] != wire.OK:
            raise AssertionError(f"subscribe {topic_filter}: {ack}")
        return self

    def publish_raw(self, envelopes):
        """Encoded envelopes as one frame, as soon as any credit is left; the last one may overdraw it."""
        self.wait(lambda: self.published < self.granted, "publish credit")
        self.published += sum(map(len, envelopes))
        self.link.send(wire.publish_frame(envelopes))

    def publish(self, topic, payload=b"", **fields):
        fields.setdefault("sender", self.id)
        self.publish_raw([wire.envelope(topic, payload, **fields)])

    # ---- actions ----

    def provide(self, name, version="", **fields):
        ack = self.request(wire.PROVIDE, name=name, version=version, **fields)
        if ack["status"] != wire.OK:
            raise AssertionError(f"provide {name} {version}: {ack}")
        return self

    def call(self, capability, payload=b"", call_id=None, **options):
        """Invokes; its call id. options: of wire.call_frame, and headers and the like of its envelope."""
        call_id = os.urandom(8) if call_id is None else call_id
        of_frame = {name: options.pop(name) for name in ("version", "deadline_ms", "idle_ms", "flags") if name in options}
        options.setdefault("sender", self.id)
        self.link.send(wire.call_frame(call_id, capability, wire.envelope(capability, payload, **options), **of_frame))
        return call_id

    def wait_call(self):
        self.wait(lambda: self.calls, "a call")
        return self.calls.pop(0)

    def answer(self, call_id, outcome=0, payload=b"", code="", text=""):
        self.send(wire.RESULT, call_id, outcome, code, text, payload)

    def report(self, call_id, kind, number, payload=b""):
        self.send(wire.REPORT, call_id, kind, number, payload)

    def wait_result(self, call_id):
        """The oldest result of this id that was not asked for yet."""
        self.wait(lambda: self.results.get(call_id), f"the result of {call_id.hex()}")
        result = self.results[call_id].pop(0)
        if not self.results[call_id]:
            del self.results[call_id]
        return result

    def sync(self):
        """Until the bridge has read everything sent so far."""
        number = next(self.requests)
        self.send(wire.PING, number)
        self.wait(lambda: (wire.PONG, number) in self.others, "pong")


def payloads(events):
    return [event.payload for event in events]
