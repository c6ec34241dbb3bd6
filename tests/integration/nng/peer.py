# SPDX-License-Identifier: Apache-2.0
"""What the tests of plain nng programs share: a bus to talk to, and envelopes without any of Loom's code.

The bus is that of a loom-broker, which LOOM_BROKER names; or, when LOOM_BUS_PULL, LOOM_BUS_PUB and LOOM_BUS_CONTROL are
set, the one they name."""
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from skipping import skip  # noqa: E402, F401

DEADLINE_S = 20


class Bus:
    def __enter__(self):
        self.folder = self.process = None
        if os.environ.get("LOOM_BUS_PULL"):
            self.pull, self.pub, self.control = (os.environ["LOOM_BUS_" + n] for n in ("PULL", "PUB", "CONTROL"))
            return self
        self.folder = tempfile.mkdtemp(prefix="loom-nng-")
        try:
            urls = self.start_broker()
        except BaseException:
            self.__exit__()
            raise
        self.listen = urls["listen"]
        self.pull, self.pub, self.control = urls["bus_pull"], urls["bus_pub"], urls["bus_control"]
        return self

    def start_broker(self):
        urls = {name: f"ipc://{self.folder}/{name}.sock"
                for name in ("listen", "bus_pull", "bus_pub", "bus_control", "bus_bridge")}
        flags = [part for name, url in urls.items() for part in ("--" + name.replace("_", "-"), url)]
        ready = os.path.join(self.folder, "ready.json")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("LOOM_", "OTEL_"))}
        environment["OTEL_TRACES_EXPORTER"] = "none"
        self.process = subprocess.Popen([os.environ["LOOM_BROKER"], "--ready-file", ready, *flags], env=environment,
                                        cwd=self.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL)
        until(lambda: os.path.exists(ready) or self.process.poll() is not None, "a broker that listens")
        assert self.process.poll() is None, f"loom-broker ended with {self.process.returncode}"
        return urls

    def __exit__(self, *_):
        if self.process:
            self.process.stdin.close()
            self.process.stdout.close()
            self.process.terminate()
            try:
                code = self.process.wait(DEADLINE_S)
            finally:
                self.process.kill()
                shutil.rmtree(self.folder, ignore_errors=True)
            assert code == 0, f"{self.process.args[0]} ended with {code}"


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
