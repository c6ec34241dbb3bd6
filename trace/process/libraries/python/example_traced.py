# SPDX-License-Identifier: Apache-2.0
"""Nested spans in every form:  LOOM_TRACE=1 python3 example_traced.py"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from loom_trace import bind, trace_function, trace_span, tracer


@trace_function()
def parse(line):
    return [int(word) for word in line.split()]


@trace_function("total")
async def total(numbers):
    await asyncio.sleep(0.001)
    return sum(numbers)


async def totals(rows):
    return await asyncio.gather(*[total(row) for row in rows])


def main():
    with trace_span("report", source="example"):
        with trace_span("query_database", query_type="SELECT") as span:
            lines = ["1 2 3", "4 5", "6"]
            span.set_attribute("rows_returned", len(lines))
        with ThreadPoolExecutor() as pool:  # threads do not inherit the current span: bind() hands it over
            rows = list(pool.map(bind(parse), lines))
        sums = asyncio.run(totals(rows))

        span = tracer.start_span("process_data", input_size=len(sums))
        try:
            print(sum(sums) / len(sums))
            tracer.end_span(span, status="ok")
        except Exception:
            tracer.end_span(span, status="error")
            raise


if __name__ == "__main__":
    main()
