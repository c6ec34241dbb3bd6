# SPDX-License-Identifier: Apache-2.0
"""Runs one of the demos' scripts with its spans going to a Jaeger, or to a collector of the demo's own."""

import os
import pathlib
import signal
import subprocess
import tempfile

import jaeger
import spans

DEADLINE_S = 120.0
TRACE_DEADLINE_S = 30.0


def _environment(server, protocol, folder):
    """Nothing of the caller's telemetry settings, and a trace that is not sampled, which is none of a demo's; the protocol is
    named only where it is not the default."""
    environment = {key: value for key, value in os.environ.items()
                   if not key.startswith("OTEL_") and key not in ("LOOM_SPANS_FILE", "LOOM_TRACE_DB")}
    environment["XDG_STATE_HOME"] = folder
    environment["TRACEPARENT"] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
    if server is None:
        return environment
    environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = server.endpoint(protocol)
    if protocol != "grpc":
        environment["OTEL_EXPORTER_OTLP_PROTOCOL"] = protocol
    return environment


def run(server, script, *options, protocol="grpc"):
    """The spans that the demo's processes wrote to their file, which tells which traces to ask Jaeger for. server: None is
    none."""
    with tempfile.TemporaryDirectory(prefix="loom-e2e-") as folder:
        file = pathlib.Path(folder) / "spans.jsonl"
        # A session of its own, so that a demo that hangs is ended with every process that it started.
        demo = subprocess.Popen([script, "--no-install", "--spans", file, *options], env=_environment(server, protocol, folder),
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                errors="replace", start_new_session=True, preexec_fn=jaeger.die_with_parent)
        try:
            output, _ = demo.communicate(timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            os.killpg(demo.pid, signal.SIGKILL)
            output, _ = demo.communicate()
            raise AssertionError(f"the demo did not end within {DEADLINE_S} s\n{output}") from None
        if demo.returncode != 0:
            raise AssertionError(f"the demo ended with status {demo.returncode}\n{output}")
        if not file.exists():
            raise AssertionError(f"the demo wrote no spans\n{output}")
        return spans.parse_lines(file.read_text())
