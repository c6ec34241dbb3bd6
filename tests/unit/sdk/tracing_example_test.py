# SPDX-License-Identifier: Apache-2.0
"""Installs libloom into a scratch tree, builds examples/tracing against it as an outsider does, runs it, and looks at its spans:
in a file, and as they reach a collector.
    tracing_example_test.py BUILD_DIR EXAMPLE_DIR CMAKE CC CFLAGS
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "integration"))
from collector import Collector

BUILD, EXAMPLE, CMAKE, CC, FLAGS = sys.argv[1:]


def run(*command, **options):
    done = subprocess.run([str(c) for c in command], text=True, capture_output=True, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def environment(**changes):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "LOOM_", "TRACE"))}
    return kept | {k: str(v) for k, v in changes.items()}


def build(root):
    """The programs, by how they were built."""
    run(CMAKE, "--install", f"{BUILD}/sdk-c", "--prefix", root / "prefix")
    run(CMAKE, "-S", EXAMPLE, "-B", root / "build", f"-DCMAKE_PREFIX_PATH={root / 'prefix'}", f"-DCMAKE_C_COMPILER={CC}",
        f"-DCMAKE_C_FLAGS={FLAGS}")
    run(CMAKE, "--build", root / "build")
    pc = next((root / "prefix").rglob("loom.pc"))
    flags = run("pkg-config", "--cflags", "--libs", "loom", env=os.environ | {"PKG_CONFIG_PATH": str(pc.parent)}).split()
    run(CC, "-std=c17", "-Wall", "-Wextra", "-Wpedantic", "-Werror", *FLAGS.split(), f"{EXAMPLE}/orders.c", "-o", root / "orders-pc", *flags,
        f"-Wl,-rpath,{pc.parents[1]}")
    return {"CMake": root / "build/orders", "CMake, static": root / "build/orders_static", "pkg-config": root / "orders-pc"}


def attributes(item):
    return {a["key"]: next(iter(a["value"].values())) for a in item.get("attributes", [])}


def check(name, text):
    requests = [json.loads(line) for line in text.splitlines()]
    resource, = (r for q in requests for r in q["resourceSpans"])
    assert attributes(resource["resource"])["service.name"] == "orders", name
    scope, = resource["scopeSpans"]
    assert scope["scope"] == {"name": "orders", "version": "1.0"}, name
    spans = {s["name"]: s for s in scope["spans"]}
    order, pay = spans.pop("handle order"), spans.pop("pay")
    assert not spans, name
    assert "parentSpanId" not in order or not order["parentSpanId"], name
    assert (pay["traceId"], pay["parentSpanId"], pay["kind"]) == (order["traceId"], order["spanId"], 3), name
    assert attributes(order) == {"order.id": "42", "order.paid": False}, (name, attributes(order))
    assert [e["name"] for e in order["events"]] == ["checked"], name
    assert attributes(pay)["order.total"] == 129.95, name
    assert pay["status"] == {"code": 2, "message": "the card has expired"}, name
    exception, = pay["events"]
    assert attributes(exception)["exception.type"] == "CardDeclined", name


def check_collector(program):
    with Collector() as collector:
        run(program, env=environment(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf"))
    request, = collector.requests
    assert (request.path, request.headers["content-type"]) == ("/v1/traces", "application/x-protobuf"), request
    assert b"handle order" in request.body and b"the card has expired" in request.body


def check_complaints(program):
    """What is wrong is told once, though the program asks for nothing of the kind."""
    done = subprocess.run([program], stderr=subprocess.PIPE, text=True, timeout=30,
                          env=environment(OTEL_TRACES_EXPORTER="otlp", OTEL_TRACES_SAMPLER="bogus", OTEL_TRACE_EXPORTER="none",
                                          OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1", OTEL_BSP_EXPORT_TIMEOUT="100"))
    for text in ('OTEL_TRACES_SAMPLER: "bogus"', "OTEL_TRACE_EXPORTER", "connection refused"):
        assert done.stderr.count(text) == 1, done.stderr


def main():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        programs = build(root)
        for name, program in programs.items():
            spans = root / "spans.jsonl"
            run(program, env=environment(OTEL_TRACES_EXPORTER="otlp/file", LOOM_SPANS_FILE=spans))
            check(name, spans.read_text())
            spans.unlink()
        check_collector(programs["CMake"])
        check_complaints(programs["CMake"])
        run(programs["CMake"], env=environment(OTEL_SDK_DISABLED="true"))


if __name__ == "__main__":
    main()
