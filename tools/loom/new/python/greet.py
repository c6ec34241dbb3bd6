"""The capability @NAME@.greet: the payload comes on standard input, and what is printed is the result.

`loom provide` runs this once for each call. Spans made with loom_trace, and what `loom pub` publishes, belong to the
caller's trace.
"""
import subprocess
import sys

from loom_trace import trace_span

name = sys.stdin.read().strip() or "world"
with trace_span("greet", name=name):
    greeting = f"Hello, {name}!"
with trace_span("publish"):
    subprocess.run(["loom", "pub", "--quiet", "@NAME@.greeted", greeting], check=True)
print(greeting)
