# SPDX-License-Identifier: Apache-2.0
"""A tool as an agent calls it: orders as CSV on standard input, what they sum to as JSON on standard output.

    tool.py [--runner COMMAND]

It knows nothing of a bus. Its spans are in the trace of whoever started it, and so is the command that it starts: by
`--runner "loom exec --syscalls=file --"` down to that command's system calls."""

import argparse
import csv
import json
import pathlib
import shlex
import sqlite3
import subprocess
import sys
import tempfile

from loom_trace import child_environment, trace_function, trace_span

LARGEST = 10**9  # pieces, and cents for each
QUERY = "SELECT product, SUM(pieces * price_cents) FROM orders GROUP BY product ORDER BY product"


@trace_function("read_orders")
def read_orders(lines):
    orders = []
    for number, row in enumerate(csv.reader(lines), start=1):
        try:
            product, pieces, price = row
            order = (product, int(pieces), round(float(price) * 100))
            if max(map(abs, order[1:])) > LARGEST:
                raise ValueError
            orders.append(order)
        except (ValueError, OverflowError):
            raise ValueError(f"line {number}: {','.join(row)!r} is not PRODUCT,PIECES,PRICE") from None
    return orders


def revenue(orders, folder):
    """Cents for each product."""
    with trace_span("load_database", rows=len(orders)):
        database = sqlite3.connect(folder / "orders.db")
        with database:
            database.execute("CREATE TABLE orders (product TEXT, pieces INTEGER, price_cents INTEGER)")
            database.executemany("INSERT INTO orders VALUES (?, ?, ?)", orders)
    with trace_span("query_database", {"db.system.name": "sqlite", "db.query.text": QUERY}) as span:
        rows = database.execute(QUERY).fetchall()
        span.set_attribute("db.response.returned_rows", len(rows))
    database.close()
    return dict(rows)


def archive(text, folder, runner):
    """How many bytes the orders are when compressed, by a command in the trace of this span."""
    with trace_span("archive") as span:
        file = folder / "orders.csv"
        file.write_text(text, encoding="utf-8")
        subprocess.run([*runner, "gzip", str(file)], check=True, env=child_environment(), stdin=subprocess.DEVNULL)
        size = file.with_suffix(".csv.gz").stat().st_size
        span.set_attribute("archive.bytes", size)
    return size


def main():
    parser = argparse.ArgumentParser(description="Sums up orders (PRODUCT,PIECES,PRICE a line) and archives them.")
    parser.add_argument("--runner", type=shlex.split, default=[], metavar="COMMAND", help="run commands by this one")
    options = parser.parse_args()
    try:
        with trace_span("report"), tempfile.TemporaryDirectory(prefix="orders-") as name:
            folder = pathlib.Path(name)
            text = sys.stdin.buffer.read().decode("utf-8")
            orders = read_orders(text.splitlines())
            answer = {"orders": len(orders), "revenue_cents": revenue(orders, folder),
                      "archive_bytes": archive(text, folder, options.runner)}
    except (ValueError, OSError, csv.Error, sqlite3.Error, subprocess.SubprocessError) as problem:
        sys.exit(f"no report: {problem}")
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
