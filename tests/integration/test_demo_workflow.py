# SPDX-License-Identifier: Apache-2.0
"""demos/workflow without a Jaeger, and what its programs say to what makes no sense. tests/e2e asks a real Jaeger."""

import os
import pathlib
import subprocess
import tempfile
import unittest
import unittest.mock

from exec_command import ExecTest  # first: it leads to tests/e2e
import demos
import workflow_chain as chain
from gateway import TRACE_ID, TRACEPARENT, PARENT_ID, Client, problem
from harness import BIN, in_both_homes, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEMO = ROOT / "demos" / "workflow"


def commands_with(text):
    """Command lines of processes that mention it."""
    found = []
    for file in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes()
        except OSError:  # it has gone meanwhile
            continue
        found += [words] if text.encode() in words else []
    return found


class Chain(unittest.TestCase):
    def test_nothing_is_left_behind(self):
        with tempfile.TemporaryDirectory(prefix="loom-it-") as folder, unittest.mock.patch.dict(os.environ, TMPDIR=folder):
            self.assertTrue(demos.run(None, DEMO / "run.sh", "--in-process-bridge"))
            self.assertEqual([], commands_with(folder))
            self.assertEqual([], os.listdir(folder))

    def test_each_order_is_one_trace_from_http_to_http(self):
        found = chain.traces(demos.run(None, DEMO / "run.sh", "--item", "ice"))
        self.assertEqual(set(chain.TREES), set(found))
        for item in found:
            chain.assert_shape(item, found[item])
            chain.assert_attributes(found[item])
        for item, statuses in (("tea", [200]), ("honey", [503, 200])):
            chain.assert_done(found[item])
            chain.assert_http(found[item], statuses)
        chain.assert_retries(found["honey"], [True, False])
        chain.assert_failed(found["unicorn"], "http_404")
        chain.assert_retries(found["unicorn"], [True])
        chain.assert_failed(found["ice"], "http_503")
        chain.assert_retries(found["ice"], [True, True, True])


@in_both_homes
class Agents:
    """Without the web service: http.action is what nobody provides."""

    def setUp(self):
        self.bus = self.home(listen=("ipc", "http"), broker=("--publish-hold", "0"))
        workflows = ("--workflows", DEMO / "workflows.json")
        for name, options in (("api", ()), ("engine", workflows), ("sub", workflows), ("step", ()), ("transform", ())):
            process = self.bus.run(f"workflow-{name}", "--url", self.bus.url, *options)
            wait_until(lambda process=process: "ready" in process.out, f"{name} is ready")
        self.client = Client(self.bus.url_of("http"))

    def ask(self, capability, value, **headers):
        return self.client.post_json(f"/v1/actions/{capability}", value, headers=headers)

    def assert_fails(self, code, text, capability, value):
        answer = self.ask(capability, value)
        self.assertEqual((502, code), problem(answer), answer)
        self.assertIn(text, answer.json["detail"])

    def test_what_makes_no_sense_is_named(self):
        self.assert_fails("bad_request", '"workflow" is missing', "api.request", {})
        self.assert_fails("bad_request", "takes a JSON object", "api.request", [])
        self.assert_fails("unknown_workflow", '"refund"', "api.request", {"workflow": "refund"})
        step = "workflow.step.execute"
        self.assert_fails("unknown_node_type", '"mail"', step, {"node": {"id": "n", "type": "mail"}})
        self.assert_fails("bad_request", '"id"', step, {"values": {}})
        for node, values, code, text in (
                ({"multiply": {"x": ["a", "b"]}}, {"a": 2}, "unknown_value", '"b" is no whole number'),
                ({"multiply": {"x": ["a", "a"]}}, {"a": 1 << 62}, "too_large", "x is too large"),
                ({"text": {"t": "{a} and {b}"}}, {"a": 1}, "unknown_value", 'there is no "b"'),
                ({"text": {"t": "{a"}}, {"a": 1}, "unknown_value", "{a"),
                ({"text": {"t": 1}}, {}, "bad_request", "no text")):
            self.assert_fails(code, text, step, {"node": {"id": "n", "type": "transform", **node}, "values": values})

    def test_new_values_are_made_of_old_ones(self):
        node = {"id": "n", "type": "transform", "multiply": {"x": ["a", "a", "b"]}, "text": {"t": "{a}{{b}}"}}
        self.assert_fails("unknown_value", '"{b"', "transform.action", {"node": node, "values": {"a": 3, "b": -2}})
        node["text"] = {"t": "{a} or {c}", "u": ""}
        answer = self.ask("transform.action", {"node": node, "values": {"a": 3, "b": -2, "c": "\u00fc"}})
        self.assertEqual({"x": -18, "t": "3 or \u00fc", "u": ""}, answer.json)

    def test_an_agent_that_is_missing_fails_the_workflow_in_the_callers_trace(self):
        answer = self.ask("api.request", {"workflow": "order", "values": {"item": "tea"}},
                          traceparent=TRACEPARENT, baggage="tenant_id=acme")
        self.assertEqual((502, "no_provider"), problem(answer), answer)
        found = wait_until(lambda: self.whole(), "the spans of the agents")
        self.assertEqual({TRACE_ID}, {span.trace_id for span in found})
        self.assertEqual([PARENT_ID], [span.parent_id for span in found if span.name == chain.REQUEST[0]])
        self.assertEqual({(chain.ERROR, "no_provider")}, {(span.status, span.attributes["error.type"]) for span in found
                                                          if span.name.startswith(("workflow.", "api.", "action.retry"))})
        retry, = chain.named(found, "action.retry")
        self.assertEqual(("acme", 1), (retry.attributes["tenant_id"], retry.attributes["attempt"]))

    def whole(self):
        for process in self.bus.processes:
            if process.name.startswith("workflow-") and process.running():
                self.assertEqual(0, process.stop(), process.err)
        found = [span for span in self.bus.spans() if span.trace_id == TRACE_ID]
        return found if any(span.name == chain.REQUEST[0] for span in found) else None


class Programs(ExecTest):
    def start(self, program, *arguments):
        return subprocess.run([BIN / program, *arguments], env=self.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=30)

    def test_a_file_that_holds_no_workflows_is_named_with_its_place(self):
        file = self.folder / "workflows.json"
        for text, why in (('{\n"a": [}', ":2: "), ("[]", "no object of workflows"), ('{"a": []}', '"a" is no list of 1 to 100'),
                          ('{"a": [{"id": "x"}]}', 'node 1 of "a" has no "id" or no "type"'), (None, "No such file")):
            with self.subTest(text):
                file.unlink(missing_ok=True)
                if text is not None:
                    file.write_text(text)
                done = self.start("workflow-engine", "--workflows", str(file))
                self.assertEqual(2, done.returncode, done.stderr)
                self.assertIn(str(file), done.stderr)
                self.assertIn(why, done.stderr)

    def test_help_and_wrong_options(self):
        for name in ("api", "engine", "sub", "step", "http", "transform", "audit", "stock"):
            with self.subTest(name):
                done = self.start(f"workflow-{name}", "--help")
                self.assertEqual((0, f"Usage: workflow-{name}"), (done.returncode, done.stdout[:len(f"Usage: workflow-{name}")]))
                self.assertEqual(2, self.start(f"workflow-{name}", "--nonsense").returncode)

    def test_a_port_that_is_taken_is_reported(self):
        first = subprocess.Popen([BIN / "workflow-stock", "0"], env=self.environment(), stdout=subprocess.PIPE, text=True)
        try:
            port = first.stdout.readline().rsplit(":", 1)[1].strip()
            done = self.start("workflow-stock", port)
            self.assertEqual(1, done.returncode)
            self.assertIn(f"cannot serve on 127.0.0.1:{port}", done.stderr)
        finally:
            first.terminate()
            self.assertEqual(0, first.wait(30))
            first.stdout.close()


if __name__ == "__main__":
    unittest.main()
