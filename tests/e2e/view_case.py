# SPDX-License-Identifier: Apache-2.0
"""What the tests of the web view share: a broker, `loom view` that receives the spans of it and of agents, and pages of it."""

import json
import pathlib
import sys
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import browser  # noqa: E402
from harness import LoomTest, wait_until  # noqa: E402
from skipping import skip  # noqa: E402

ESCAPE, ENTER, UP, DOWN, LEFT, RIGHT = "\ue00c", "\ue007", "\ue013", "\ue015", "\ue012", "\ue014"


def main():
    if why := browser.missing():
        skip(why)
    unittest.main(argv=sys.argv)


class ViewTest(LoomTest):
    def setUp(self):
        self.home_ = self.home(spans=False, environment={"OTEL_TRACES_EXPORTER": "otlp"})
        # exporters learn where the view receives: it comes first, and the broker is started anew with that
        self.view = self.home_.run("loom", "view", "--no-open", "--listen", "127.0.0.1:0", "--otlp-listen", "127.0.0.1:0",
                                   "--db", self.home_.folder / "traces.db", "--url-file", self.home_.folder / "url",
                                   "--control", f"ipc://{self.home_.control_path}", "--url", self.home_.url, "--jaeger", "http://127.0.0.1:16686")
        wait_until(lambda: (self.home_.folder / "url").exists() or not self.view.running(), "the view listens")
        self.assertTrue(self.view.running(), self.view.err)
        self.url = (self.home_.folder / "url").read_text().strip()
        self.base, self.token = self.url.split("/?token=")
        self.home_.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://{self.ask('/api/state')['receiver']['http']}"
        self.home_.broker.stop()
        self.home_.start_broker()

    def open(self, **options):
        page = browser.Browser(**options)
        self.addCleanup(page.close)
        page.open(self.url)
        page.wait("return document.querySelector('nav a[aria-current]')?.innerText", "the page is drawn")
        return page

    def ask(self, path, code=200, **headers):
        request = urllib.request.Request(self.base + path, headers={"Authorization": f"Bearer {self.token}", **headers})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                self.assertEqual(code, answer.status)
                return json.load(answer)
        except urllib.error.HTTPError as error:
            self.assertEqual(code, error.code)
            return json.load(error)

    def _send(self, path, parts, scopes, items, service):
        body = {parts: [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}, scopes[0]: [{scopes[1]: items}]}]}
        request = urllib.request.Request(self.home_.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] + path, json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            self.assertEqual(200, answer.status)

    def send_spans(self, spans, service="made-up"):
        self._send("/v1/traces", "resourceSpans", ("scopeSpans", "spans"), spans, service)

    def send_logs(self, records, service="made-up"):
        self._send("/v1/logs", "resourceLogs", ("scopeLogs", "logRecords"), records, service)

    def nothing_wrong(self, page):
        self.assertEqual([], [line for line in page.console() if "favicon" not in line])
