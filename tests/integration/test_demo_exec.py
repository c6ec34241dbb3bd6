# SPDX-License-Identifier: Apache-2.0
"""demos/exec without a Jaeger: the chain of spans from an agent's call to a system call, by itself and through a container;
and what the tool makes of orders that are none. tests/e2e asks a real Jaeger."""

import json
import pathlib
import sys
import unittest

from exec_command import ExecTest  # first: it leads to tests/e2e
import demos
import exec_chain
import podman

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEMO = ROOT / "demos" / "exec"
LIBRARY = ROOT / "trace" / "process" / "libraries" / "python"


class Chain(unittest.TestCase):
    def test_from_an_agents_call_down_to_system_calls(self):
        report, archive = exec_chain.traces(demos.run(None, DEMO / "run.sh"))
        exec_chain.assert_report(report)
        exec_chain.assert_archive(archive)

    def test_through_a_container(self):
        engine = podman.for_test(self, exec_chain.OF_THE_HOST)
        _, archive = exec_chain.traces(demos.run(None, DEMO / "run.sh", *exec_chain.container_options(engine)))
        exec_chain.assert_archive(archive, in_container=True)


class Tool(ExecTest):
    def tool(self, orders, *options, **more):
        return self.run_exec(sys.executable, "-B", DEMO / "tool.py", *options, stdin=orders, PYTHONPATH=str(LIBRARY), **more)

    def test_sums_by_product(self):
        answer = json.loads(self.tool(b"nut,2,0.10\nbolt,1,0.25\nnut,1,1\n").stdout)
        self.assertEqual((3, {"bolt": 25, "nut": 120}), (answer["orders"], answer["revenue_cents"]))
        self.assertEqual(answer["archive_bytes"], self.span("archive").attributes["archive.bytes"])

    def test_no_orders_are_a_report_as_well(self):
        self.assertEqual((0, {}), tuple(json.loads(self.tool(b"").stdout)[key] for key in ("orders", "revenue_cents")))

    def test_what_is_no_order_is_named_and_marks_the_spans(self):
        for orders, problem in ((b"nut,2,0.10\nbolt,many,1\n", b"line 2: 'bolt,many,1' is not PRODUCT,PIECES,PRICE"),
                                (b"nut\n", b"line 1: 'nut' is not"), (b"nut,1,inf\n", b"line 1"), (b"\xff\n", b"utf-8"),
                                (b"nut," + b"1" * 200000, b"field larger than"),
                                (b"nut,99999999999999999999,1\n", b"line 1"), (b"nut,1,1e300\n", b"line 1")):
            with self.subTest(orders):
                self.spans_file.unlink(missing_ok=True)
                done = self.tool(orders, code=1)
                self.assertRegex(done.stderr, rb"^no report: .*" + problem)
                self.assertNotIn(b"Traceback", done.stderr)
                self.assertEqual((2, 2), (self.span("report").status, self.span(pathlib.Path(sys.executable).name).status))

    def test_a_runner_that_is_missing_is_named(self):
        done = self.tool(b"nut,1,1\n", "--runner", "/nowhere/loom exec --", code=1)
        self.assertIn(b"/nowhere/loom", done.stderr)
        self.assertEqual("FileNotFoundError", self.span("archive").attributes["error.type"])


if __name__ == "__main__":
    unittest.main()
