# SPDX-License-Identifier: Apache-2.0
"""A Jaeger of the test's own: started on free ports through tools/jaeger.sh, asked through its HTTP interfaces."""

import ctypes
import json
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

from spans import draw, parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tools" / "jaeger.sh"
POLL_S = 0.05  # between two looks at a condition that has a deadline
PR_SET_PDEATHSIG = 1
# Questions go straight to this host, whatever http_proxy says.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def require():
    """Builds Jaeger if there is none. Ends this program, as skipped, on a machine where there can be none."""
    status = subprocess.run([SCRIPT, "--build"], stdout=subprocess.DEVNULL).returncode
    if status != 0:
        sys.exit(status)


def free_ports(count):
    """Ports that nobody listens on now. Somebody may by the time they are used: start() then tries others."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()


def http_get(url, timeout=5.0):
    """(status, body). Status 0: nobody answered."""
    try:
        with _direct.open(url, timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except (OSError, urllib.error.URLError):
        return 0, b""


def die_with_parent():
    """A test killed for being late cannot stop its Jaeger, so the kernel does."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Jaeger:
    """with Jaeger() as jaeger: …"""

    def __init__(self):
        self.process = None
        self.log = tempfile.TemporaryFile(mode="w+")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    # ---- its life ----

    def start(self, deadline_s=60.0, tries=3):
        for left in reversed(range(tries)):
            self.grpc_port, self.http_port, self.query_port, self.health_port = free_ports(4)
            options = {"--otlp-grpc": self.grpc_port, "--otlp-http": self.http_port,
                       "--query": self.query_port, "--health": self.health_port}
            self.process = subprocess.Popen(
                [SCRIPT, *(str(word) for option in options.items() for word in option)],
                stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, preexec_fn=die_with_parent)
            if self._wait_healthy(deadline_s):
                return
            self.stop()
            if left == 0 or "address already in use" not in self.output():
                raise RuntimeError(f"Jaeger did not come up\n{self.output()}")

    def _wait_healthy(self, deadline_s):
        end = time.monotonic() + deadline_s
        while time.monotonic() < end and self.process.poll() is None:
            # /status is v2's; v1 answers on the root of its admin port.
            up = any(http_get(f"http://127.0.0.1:{self.health_port}{path}")[0] == 200 for path in ("/status", "/"))
            if up and http_get(f"{self.query}/api/v3/services")[0] == 200:
                return True
            time.sleep(POLL_S)
        return False

    def stop(self):
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def output(self):
        self.log.seek(0)
        return self.log.read()

    # ---- where it is ----

    @property
    def query(self):
        return f"http://127.0.0.1:{self.query_port}"

    def endpoint(self, protocol):
        """What OTEL_EXPORTER_OTLP_ENDPOINT is for OTEL_EXPORTER_OTLP_PROTOCOL."""
        return f"http://127.0.0.1:{self.grpc_port if protocol == 'grpc' else self.http_port}"

    # ---- what it knows ----

    def trace(self, trace_id, raw=False):
        """The spans of a trace, none if it is unknown. raw: without Jaeger's adjustments and warnings."""
        url = f"{self.query}/api/v3/traces/{trace_id}?raw_traces={'true' if raw else 'false'}"
        status, body = http_get(url)
        if status == 404:
            return []
        if status != 200:
            raise RuntimeError(f"GET {url}: {status} {body.decode(errors='replace')}\n{self.output()}")
        return parse(json.loads(body)["result"])

    def wait_trace(self, trace_id, whole, deadline_s):
        """Asks until whole(spans) is true, then returns the spans with Jaeger's warnings in them.

        Until then it asks for raw traces: in memory, Jaeger's warnings stay on the stored spans, so that looking at half a
        trace once would leave "parent is not in the trace" on it for good."""
        end = time.monotonic() + deadline_s
        while not whole(spans := self.trace(trace_id, raw=True)):
            if time.monotonic() > end:
                raise TimeoutError(f"trace {trace_id} is not whole after {deadline_s} s:\n{draw(spans)}")
            time.sleep(POLL_S)
        return self.trace(trace_id)

    def page_warnings(self, trace_id):
        """By span name: what the API of Jaeger's own page warns about, whose adjuster is an older one than that of /api/v3."""
        status, body = http_get(f"{self.query}/api/traces/{trace_id}")
        if status != 200:
            raise RuntimeError(f"GET /api/traces/{trace_id}: {status} {body.decode(errors='replace')}")
        return {span["operationName"]: span["warnings"] for trace in json.loads(body)["data"] for span in trace["spans"]
                if span.get("warnings")}

    def search(self, service, tags):
        """The ids of the traces of which a span of that service has all these tags: the search form of the UI."""
        query = urllib.parse.urlencode({"service": service, "tags": json.dumps(tags), "lookback": "1h", "limit": 100})
        status, body = http_get(f"{self.query}/api/traces?{query}")
        if status != 200:
            raise RuntimeError(f"search for {tags}: {status} {body.decode(errors='replace')}")
        return {trace["traceID"] for trace in json.loads(body)["data"]}

    def send(self, request):
        """Sends an ExportTraceServiceRequest as OTLP/HTTP JSON; for tests of this harness, which have no exporter."""
        post = urllib.request.Request(f"{self.endpoint('http/json')}/v1/traces", json.dumps(request).encode(),
                                      {"Content-Type": "application/json"})
        with _direct.open(post, timeout=5.0) as answer:
            return answer.status
