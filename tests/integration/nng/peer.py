# SPDX-License-Identifier: Apache-2.0
"""What the tests of plain nng programs share: a bus to talk to, and envelopes without any of Loom's code.

The bus is bus_fixture, or, when LOOM_BUS_PULL, LOOM_BUS_PUB and LOOM_BUS_CONTROL are set, the one they name."""
import json
import os
import shutil
import struct
import subprocess
import tempfile
import time
import uuid

DEADLINE_S = 20


class Bus:
    def __enter__(self):
        self.folder = self.process = None
        if os.environ.get("LOOM_BUS_PULL"):
            self.pull, self.pub, self.control = (os.environ["LOOM_BUS_" + n] for n in ("PULL", "PUB", "CONTROL"))
            return self
        self.folder = tempfile.mkdtemp(prefix="loom-nng-")
        self.process = subprocess.Popen([os.environ["LOOM_BUS_FIXTURE"], self.folder], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        urls = json.loads(self.process.stdout.readline())
        self.pull, self.pub, self.control = urls["bus_pull"], urls["bus_pub"], urls["bus_control"]
        return self

    def __exit__(self, *_):
        if self.process:
            self.process.stdin.close()
            self.process.stdout.close()
            code = self.process.wait(DEADLINE_S)
            shutil.rmtree(self.folder, ignore_errors=True)
            assert code == 0, f"bus_fixture ended with {code}"


def text(value):
    raw = value.encode()
    return (bytes([0xA0 | len(raw)]) if len(raw) < 32 else b"\xd9" + bytes([len(raw)])) + raw


def envelope(topic, payload):
    """16 fields by hand (WIRE.md section 2), the hop context as a traceparent, as a language without extensions may."""
    return (b"\xdc\x00\x10\x01" + text("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00") + text(topic) +
            b"\xc4\x10" + uuid.uuid4().bytes + b"\xc0\xc0\xcf" + struct.pack(">Q", time.time_ns()) + b"\xc0" * 8 +
            b"\xc5" + struct.pack(">H", len(payload)) + payload)


def until(condition, what):
    end = time.monotonic() + DEADLINE_S
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < end, f"never came: {what}"
        time.sleep(0.02)  # between two looks at the condition
