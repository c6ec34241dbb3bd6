# SPDX-License-Identifier: Apache-2.0
"""The W3C service: it continues what it is sent, in each of the calls it makes. With LOOM_W3C_HARNESS, the folder of the
harness (github.com/w3c/trace-context, test/), that is run too."""

import http.server
import json
import os
import re
import subprocess
import sys
import threading
import unittest
import urllib.request

SERVICE = sys.argv.pop(1)
TRACE_ID, PARENT_ID = "12345678901234567890123456789012", "1234567890123456"
FORM = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


class Called(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append(self.headers)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Service(unittest.TestCase):
    def setUp(self):
        self.process = subprocess.Popen([SERVICE, "0"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.stop)
        self.url = self.process.stdout.readline().strip()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Called)
        self.server.got = []
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def stop(self):
        self.process.terminate()
        self.assertEqual(0, self.process.wait(30))
        self.process.stdout.close()

    def ask(self, count=1, **headers):
        """The fields of the calls that it makes."""
        self.server.got.clear()
        calls = [{"url": f"http://127.0.0.1:{self.server.server_port}/", "arguments": []}] * count
        request = urllib.request.Request(self.url, json.dumps(calls).encode(), headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            self.assertEqual(200, answer.status)
        return self.server.got

    def test_each_call_continues_the_trace_with_a_parent_of_its_own(self):
        got = self.ask(3, traceparent=f"00-{TRACE_ID}-{PARENT_ID}-01", tracestate="foo=1,bar=2", baggage="user=7")
        parents = [FORM.fullmatch(one["traceparent"]).groups() for one in got]
        self.assertEqual([(TRACE_ID, "01")] * 3, [(trace_id, flags) for trace_id, _, flags in parents])
        self.assertEqual(4, len({PARENT_ID, *(parent_id for _, parent_id, _ in parents)}))
        self.assertEqual([("foo=1,bar=2", "user=7")] * 3, [(one["tracestate"], one["baggage"]) for one in got])

    def test_without_a_valid_parent_a_trace_begins_and_the_tracestate_is_dropped(self):
        for headers in ({}, {"traceparent": f"ff-{TRACE_ID}-{PARENT_ID}-01"}, {"traceparent": f"00-{'0' * 32}-{PARENT_ID}-01"},
                        {"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-01-what"}):
            with self.subTest(headers):
                got = self.ask(tracestate="foo=1", **headers)[0]
                self.assertNotEqual(TRACE_ID, FORM.fullmatch(got["traceparent"])[1])
                self.assertIsNone(got["tracestate"])

    def test_what_is_not_sampled_stays_so(self):
        got = self.ask(traceparent=f"00-{TRACE_ID}-{PARENT_ID}-00")[0]
        self.assertEqual((TRACE_ID, "00"), FORM.fullmatch(got["traceparent"]).group(1, 3))

    @unittest.skipUnless(os.environ.get("LOOM_W3C_HARNESS"), "LOOM_W3C_HARNESS names no harness")
    def test_the_harness_passes(self):
        for level in ("1", "2"):
            with self.subTest(spec_level=level):
                done = subprocess.run([sys.executable, "test.py", self.url], cwd=os.environ["LOOM_W3C_HARNESS"], text=True,
                                      capture_output=True, timeout=300,
                                      env={**os.environ, "STRICT_LEVEL": "2", "SPEC_LEVEL": level, "SERVICE_ENDPOINT": self.url})
                said = done.stdout + done.stderr
                self.assertEqual(0, done.returncode, said)
                self.assertRegex(said, r"(?m)^Ran \d+ tests", "the harness says not what it ran")
                if level == "2":  # the highest: nothing of it may be left out
                    self.assertNotIn("skipped", said)
                print(f"SPEC_LEVEL {level}:", *re.findall(r"(?m)^(?:Ran|OK).*", said))


if __name__ == "__main__":
    unittest.main()
