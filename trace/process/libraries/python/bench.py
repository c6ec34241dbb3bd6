# SPDX-License-Identifier: Apache-2.0
"""What a span costs:  LOOM_TRACE=1 python3 bench.py 2>/dev/null  (or a pipe that is read). Prints JSON, microseconds a span:
the median of several rounds of spans that are roots, each a write of its own, and of spans below one root, many to a write."""

import json
import statistics
import sys
import time

from loom_trace import flush, trace_span


def roots(count):
    for i in range(count):
        with trace_span("query_database", query_type="SELECT", rows=i):
            pass


def children(count):
    with trace_span("root"):
        roots(count)


def measure(work, count, rounds):
    figures = []
    for _ in range(rounds):
        began = time.perf_counter()
        work(count)
        flush()
        figures.append((time.perf_counter() - began) / count * 1e6)
    return round(statistics.median(figures), 2)


def main():
    count, rounds = int(sys.argv[1]) if sys.argv[1:] else 20000, 7
    print(json.dumps({"library": "python", "root_us": measure(roots, count, rounds), "child_us": measure(children, count, rounds)}))


if __name__ == "__main__":
    main()
