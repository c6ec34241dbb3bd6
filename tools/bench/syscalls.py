#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What tracing system calls costs, beside strace with the same set on the same commands in one run.

    tools/bench/syscalls.py BUILD [--rounds N] [--set SET] [--endpoint URL]

BUILD is a build folder with tests/traced_command in it, best build/release. Rounds alternate between the tracers, and
medians are printed; processor time is that of all processes together. Spans go to URL by OTLP (such as http://127.0.0.1:4317
of a running `loom trace collect`), without one to a file that is thrown away.
"""
import argparse
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

FOLDERS, FILES = 100, 1000
SQLITE = """
import sqlite3
c = sqlite3.connect("load.db", isolation_level=None)
c.execute("pragma synchronous = off"); c.execute("create table t (k integer primary key, v text)")
for i in range(3000): c.execute("insert into t (v) values (?)", (str(i) * 20,))
"""


def commands(folder):
    return {"find": ["find", str(folder / "tree"), "-size", "+1G"],
            "python": ["/usr/bin/python3", "-c", "import json, sqlite3, http.client, unittest"],
            "sqlite": ["/bin/sh", "-c", "rm -f load.db*; exec /usr/bin/python3 -c '" + SQLITE + "'"]}


def tracers(build, chosen):
    strace = ["strace", "-f", "-e", f"trace={chosen}", "-o", "strace.out"]
    return {"none": [], "strace": strace, "strace --seccomp-bpf": [strace[0], "--seccomp-bpf", *strace[1:]],
            "loom": [str(build / "tests/traced_command"), "--quiet", "--set", chosen, "--"]}


def environment(endpoint):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "LOOM_"))}
    export = {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint} if endpoint else \
        {"OTEL_TRACES_EXPORTER": "none", "LOOM_SPANS_FILE": "/dev/null"}
    return {**kept, "OTEL_BSP_SCHEDULE_DELAY": "100", **export}


def measure(command, folder, env):
    """Seconds until it ended, and of processor time."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    code = subprocess.run(command, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
    took, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if code != 0:
        sys.exit(f"{' '.join(command[:4])} …: exit code {code}")
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def make_tree(folder):
    for d in range(FOLDERS):
        (folder / f"tree/{d}").mkdir(parents=True)
        for f in range(FILES):
            (folder / f"tree/{d}/{f}").touch()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--set", default="file")
    parser.add_argument("--endpoint")
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="loom-syscalls-"))
    try:
        make_tree(folder)
        env = environment(options.endpoint)
        print(f"{'command':8} {'tracer':20} {'ms':>8} {'overhead':>9} {'of strace':>9} {'cpu ms':>8}")
        for name, command in commands(folder).items():
            chosen = tracers(options.build.resolve(), options.set)
            times = {t: [] for t in chosen}
            for _ in range(options.rounds):
                for tracer, prefix in chosen.items():
                    times[tracer].append(measure([*prefix, *command], folder, env))
            wall = {t: statistics.median(w for w, _ in times[t]) for t in chosen}
            for tracer in chosen:
                over = wall[tracer] - wall["none"]
                share = over / (wall["strace"] - wall["none"]) if tracer != "none" else 0
                print(f"{name:8} {tracer:20} {wall[tracer] * 1e3:8.0f} {over * 1e3:9.0f} {share:9.2f} "
                      f"{statistics.median(c for _, c in times[tracer]) * 1e3:8.0f}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
