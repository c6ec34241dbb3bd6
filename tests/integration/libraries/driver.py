# SPDX-License-Identifier: Apache-2.0
"""The scenarios of cases.json in Python: driver.py SCENARIO."""

import os
import sys
import threading

from loom_trace import bind, child_environment, trace_function, trace_span, tracer


def nested():
    with trace_span("outer", a=1):
        with trace_span("middle"):
            with trace_span("inner", deep=True):
                pass
        with trace_span("sibling"):
            pass


def manual():
    span = tracer.start_span("process_data", input_size=3)
    with trace_span("inside"):
        pass
    tracer.end_span(span, status="ok")
    tracer.end_span(tracer.start_span("failed"), status="error")
    tracer.end_span(tracer.start_span("open"), status="unset")


def exception():
    try:
        with trace_span("outer"):
            with trace_span("inner"):
                raise ValueError("boom")
    except ValueError as error:
        print("caught", error)
    with trace_span("after"):
        pass


def values():
    with trace_span("values", {"text": "plain", "empty": "", "largest": 2**63 - 1, "smallest": -2**63, "yes": True, "no": False,
                               "half": 1.5, "unicode": "h\u00e9llo \u4e16\u754c \U0001f600", "escapes": "a\"b\\c\n\t\x01\x7f",
                               "with.dots": "x", "list": ["a", "b"], "numbers": [1, 2, 3]}):
        pass


def special():
    circle = {}
    circle["self"] = circle
    deep = "bottom"
    for _ in range(12):
        deep = [deep]
    with trace_span("special", {"nan": float("nan"), "inf": float("inf"), "minus": float("-inf"), "bytes": b"\x00\xff", "nothing": None,
                               "object": {"a": [1, {"b": None}]}, "huge": 2**70, "circle": circle, "deep": deep}):
        pass


def own_tenant():
    with trace_span("own", tenant_id="mine"):
        pass
    with trace_span("theirs"):
        pass


def events():
    with trace_span("work") as span:
        span.set_attribute("n", 1).add_event("cache miss", key="k").add_event("bare")


def status():
    with trace_span("refused") as span:
        span.set_status("error", "no such user")


def function():
    @trace_function("add", {"kind_of": "sum"})
    def add(a, b):
        return a + b
    print(add(1, 2))


def thread():
    def work():
        with trace_span("in thread"):
            pass
    with trace_span("outer"):
        worker = threading.Thread(target=bind(work))
        worker.start()
        worker.join()


def many():
    with trace_span("root"):
        for i in range(10000):
            with trace_span("step", i=i):
                pass


def roots():
    for i in range(4000):
        with trace_span("root", i=i):
            with trace_span("child"):
                pass


def long():
    with trace_span("long", {f"key{i}": "x" * 20000 for i in range(200)}) as span:
        for i in range(200):
            span.add_event("event", text="y" * 20000)
    with trace_span("n" * 100000):
        pass


def exits():
    tracer.start_span("never ends")
    for i in range(3):
        with trace_span("ended", i=i):
            pass
    sys.exit(3)


def uncaught():
    with trace_span("fails"):
        raise RuntimeError("not caught")


def twice():
    span = tracer.start_span("once")
    tracer.end_span(span)
    tracer.end_span(span, status="error")
    span.set_attribute("late", 1).add_event("late")


def environment():
    with trace_span("parent"):
        env = child_environment()
        for name in ("TRACEPARENT", "TRACESTATE", "LOOM_TRACE_ID", "LOOM_SPAN_ID", "BAGGAGE", "LOOM_TRACE_BAGGAGE"):
            print(f"{name}={env.get(name, '-')}")


def fork():
    with trace_span("outer"):
        with trace_span("before"):
            pass
        sys.stdout.flush()
        child = os.fork()
        with trace_span("in child" if child == 0 else "in parent"):
            pass
        if child != 0:
            os.waitpid(child, 0)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
