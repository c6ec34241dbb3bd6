# SPDX-License-Identifier: Apache-2.0
"""The web view in a real Chromium: a broker, agents, and `loom view` that receives their spans."""

import json
import os
import pathlib
import sys
import unittest
import urllib.request

from view_case import ENTER, ESCAPE, ViewTest, main, wait_until

ROWS = "return [...document.querySelectorAll('.waterfall .row')].map((row) => row.querySelector('.name').innerText.split('\\n').pop())"


class View(ViewTest):
    def test_a_trace_appears_without_a_reload_and_opens_as_a_waterfall(self):
        page = self.open()
        page.wait("return document.body.innerText.includes('No traces yet')", "the empty state")
        self.home_.subscriber("sensor.>")
        self.home_.loom("pub", "sensor.data", "21")
        trace = page.wait("return document.querySelector('tr[data-trace]')?.dataset.trace", "the trace is in the list")
        wait_until(lambda: "agent.on_event" in json.dumps(self.ask(f"/api/traces/{trace}")), "the span of the handler, the last of the trace")
        page.press("j" + ENTER)
        page.wait("return location.hash === arguments[0]", "the trace opens by keys", f"#/traces/{trace}")
        page.wait("return document.querySelector('.waterfall .row')", "the waterfall")
        page.open(self.base + f"/#/traces/{trace}")
        rows = page.wait("const rows = [...document.querySelectorAll('.waterfall .row')]; return rows.length > 1 ? rows.map((r) => r.dataset.span) : null", "rows")
        folded = page.run("return document.querySelectorAll('.waterfall .fold').length")
        self.assertEqual(1, folded, page.run(ROWS))
        page.run("document.querySelector('.waterfall .fold').click()")
        page.wait("return document.querySelectorAll('.waterfall .row').length > arguments[0]", "the hops are unfolded", len(rows))
        names = page.run("return [...document.querySelectorAll('.waterfall .row .name')].map((n) => n.textContent)")
        order = [next(i for i, text in enumerate(names) if hop in text) for hop in
                 ("agent.emit", "bridge.publish", "eventbus.publish", "bridge.forward", "agent.on_event")]
        self.assertEqual(sorted(order), order, names)
        self.assertEqual(f"http://127.0.0.1:16686/trace/{trace}",
                         page.run("return [...document.querySelectorAll('a')].find((a) => a.innerText === 'Open in Jaeger').href"))
        handler = next(i for i, text in enumerate(names) if "agent.on_event" in text)
        page.run("document.querySelectorAll('.waterfall .row')[arguments[0]].click()", handler)
        page.run("document.querySelector('.waterfall .fold').click(); document.querySelectorAll('.waterfall .row')[arguments[0]].click()", 1)
        page.run("[...document.querySelectorAll('.details button')].find((b) => b.innerText.includes('of this trace')).click()")
        page.wait("return document.querySelector('.row[aria-selected=true] .name').textContent.includes('agent.emit')", "the link to the span of the same trace")
        page.run("document.querySelector('.skip').click()")
        self.assertEqual(["main", f"#/traces/{trace}"], page.run("return [document.activeElement.id, location.hash]"))
        page.press(ESCAPE)
        page.wait("return location.hash.startsWith('#/traces') && !location.hash.includes(arguments[0])", "back to the list", trace)
        self.nothing_wrong(page)

    def test_flow_shows_what_the_broker_counted(self):
        self.home_.subscriber("sensor.>", "--id", "reader")
        for _ in range(3):
            self.home_.loom("pub", "sensor.data", "21", "--id", "writer")
        page = self.open()
        page.open(self.base + "/#/flow")
        page.wait("return document.querySelector('[data-kind=publish][data-agent=writer][data-name=\"sensor.data\"]')?.dataset.total === '3'", "the edge of the publisher")
        page.wait("return document.querySelector('[data-kind=deliver][data-agent=reader][data-name=\"sensor.data\"]')?.dataset.total === '3'", "the edge of the subscriber")
        edges = {(e["kind"], e["agent"], e["name"]): e["total"] for e in self.ask("/api/bus/flow")["edges"]}
        self.assertEqual(3, edges["publish", "writer", "sensor.data"])
        self.nothing_wrong(page)

    def test_a_killed_agent_is_shown_as_gone(self):
        reader = self.home_.subscriber("sensor.>", "--id", "reader")
        page = self.open()
        page.open(self.base + "/#/agents")
        page.wait("return document.querySelector('tr[data-agent=reader]') && !document.querySelector('tr[data-agent=reader].gone')", "the agent")
        self.home_.kill(reader)
        page.wait("return document.querySelector('tr[data-agent=reader].gone')", "the agent is gone")
        self.nothing_wrong(page)

    def test_a_trace_of_ten_thousand_spans_opens(self):
        trace = "5" * 32
        begin = 1_700_000_000_000_000_000
        spans = [{"traceId": trace, "spanId": f"{n + 1:016x}", "parentSpanId": f"{(n + 9) // 10:016x}" if n else "", "name": f"work {n}", "kind": 1,
                  "startTimeUnixNano": str(begin + n * 1000), "endTimeUnixNano": str(begin + 20_000_000 - n)} for n in range(10_000)]
        self.send_spans(spans)
        page = self.open()
        page.run("window.began = performance.now(); location.hash = arguments[0]", f"#/traces/{trace}")
        page.wait("return document.querySelector('.waterfall .row')", "the waterfall")
        took = page.run("return performance.now() - window.began")
        print(f"a trace of 10,000 spans: {took:.0f} ms until the test has seen it", file=sys.stderr)
        self.assertIn("10,000 spans", page.run("return document.querySelector('.title').innerText"))
        self.assertLess(page.run("return document.querySelectorAll('.waterfall .row').length"), 200)
        page.run("const w = document.querySelector('.waterfall'); w.scrollTop = w.scrollHeight")
        page.wait("return [...document.querySelectorAll('.waterfall .row')].some((row) => Number(row.getAttribute('aria-rowindex')) === 10000)", "the last row")
        self.nothing_wrong(page)

    def test_only_the_reader_of_the_url_gets_in(self):
        for headers in ({"Authorization": "Bearer " + "0" * 32}, {"Authorization": ""}):
            self.assertIn("token", self.ask("/api/state", code=401, **headers)["detail"])
        self.assertIn("Host", self.ask("/api/state", code=403, Host="evil.example:80")["detail"])
        self.assertIn("origin", self.ask("/api/state", code=403, Origin="http://evil.example")["detail"])
        self.assertEqual(0o600, (self.home_.folder / "url").stat().st_mode & 0o777)
        self.ask("/api/bus/../state", code=404)
        self.ask("/assets/../../etc/passwd", code=404)
        self.ask("/api/traces?limit=1000000", code=400)
        self.ask("/api/traces/" + "6" * 32, code=404)
        with urllib.request.urlopen(urllib.request.Request(self.base + "/assets/app.js", headers={"Authorization": f"Bearer {self.token}"})) as answer:
            self.assertIn("default-src 'none'", answer.headers["Content-Security-Policy"])
            self.assertIn(b"showTraces", answer.read())  # unpacked for who takes no gzip

    def test_the_broker_may_go_and_come_back(self):
        page = self.open()
        page.open(self.base + "/#/agents")
        self.home_.kill(self.home_.broker)
        page.wait("return document.getElementById('status').classList.contains('bad')", "the page says that no broker answers")
        self.home_.start_broker()
        self.home_.subscriber("sensor.>", "--id", "reader")
        page.wait("return document.querySelector('tr[data-agent=reader]')", "the agent of the new broker")
        page.wait("return document.getElementById('status').innerText === ''", "the complaint is gone")

    def test_a_url_that_makes_no_sense_says_so(self):
        page = self.open()
        for there in ("nowhere", "agents/%", "constructor"):
            page.open(f"{self.base}/#/{there}")
            page.wait("return document.querySelector('.empty')?.innerText.includes('There is no such view')", there)
        page.run("location.hash = '#//'")
        page.wait("return document.querySelector('nav a[aria-current]')?.innerText === 'Traces'", "the first view")
        self.nothing_wrong(page)

    def test_names_are_never_markup_and_turn_nothing_round(self):
        odd, turned = "<img/src=x/onerror=alert(1)", "\u202edrawkcab"
        for name in (odd, turned, "x" * 128):
            self.agent(self.home_, name).subscribe("odd.>")
        topics = (f"odd.{odd}", f"odd.{turned}", "odd." + "y" * 252, 'odd."quoted"', "odd.a\u00a0b")
        for topic in topics:
            self.home_.loom("pub", topic, odd, "--id", "writer")
        page = self.open()
        page.narrow(360, 700)
        wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        for view, filled in (("agents", "tr[data-agent]"), ("agents?tab=subscriptions", "tr[data-subscription]"), ("topics", "tr[data-topic]"), ("flow", "[data-kind]"), ("traces", "tr[data-trace]")):
            page.open(f"{self.base}/#/{view}")
            page.wait("return document.querySelector(arguments[0])", view, filled)
            self.assertEqual(0, page.run(wide), view)
        for name in (odd, turned, "x" * 128):
            page.open(self.base + "/#/agents")
            page.wait("return [...document.querySelectorAll('tr[data-agent] a')].find((a) => decodeURIComponent(a.hash) === `#/agents/${arguments[0]}`)?.click() ?? document.querySelector('h1[data-agent]')", "its own page", name)
            self.assertEqual(name, page.run("return document.querySelector('h1').dataset.agent"))
            self.assertEqual(0, page.run(wide), name)
        for topic in topics:
            page.open(self.base + "/#/flow")
            line = "[...document.querySelectorAll('[data-kind=publish][data-agent=writer]')].find(({ dataset }) => dataset.name === arguments[0])"
            page.wait(f"return {line}", topic, topic)
            page.run(f"{line}.querySelector('a').dispatchEvent(new MouseEvent('click', {{ bubbles: true }}))", topic)
            page.wait("return document.querySelectorAll('tr[data-trace]').length === 1", "the one trace of it")
        self.assertNotIn("\u202e", page.run("return document.body.innerText"))
        self.assertEqual("Traces \u2013 Loom", page.run("return document.title"))
        self.nothing_wrong(page)

    def test_the_first_paint_is_small_and_nothing_comes_from_elsewhere(self):
        page = self.open()
        sizes = page.run("return performance.getEntriesByType('resource').filter(({ name }) => name.includes('/assets/')).map(({ name, transferSize }) => [name, transferSize])")
        self.assertGreater(len(sizes), 20)
        self.assertLess(sum(size for _, size in sizes), 200 * 1024)
        self.assertEqual([], [name for name in page.run("return performance.getEntriesByType('resource').map(({ name }) => name)") if not name.startswith(self.base)])

    def test_light_dark_and_narrow(self):
        ground = "return getComputedStyle(document.body).backgroundColor"
        self.home_.subscriber("sensor.>", "--id", "reader-with-quite-a-long-name-of-its-own")
        self.home_.loom("pub", "sensor.data", "21")
        page = self.open()
        page.narrow(360, 700)
        light = page.run(ground)
        page.run("document.getElementById('theme').click()")
        self.assertNotEqual(light, page.run(ground))
        for view, filled in (("traces", "tr[data-trace]"), ("agents", "tr[data-agent]"), ("agents?tab=subscriptions", "tr[data-subscription]"), ("agents/reader-with-quite-a-long-name-of-its-own", "h1"),
                             ("flow", "[data-kind]"), ("topics", "tr[data-topic]"), ("topics?filter=sensor.%3E", ".events"), ("topics?tab=publish", "form"), ("errors", ".empty")):
            page.open(self.base + f"/#/{view}")
            page.wait("return document.querySelector(arguments[0])", f"{view} are shown", filled)
            self.assertEqual(0, page.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth"), view)
        page.press("?")
        page.wait("return document.getElementById('help').open", "the keys")
        self.nothing_wrong(page)

    @unittest.skipUnless(os.environ.get("LOOM_VIEW_PICTURE"), "LOOM_VIEW_PICTURE names no file")
    def test_picture(self):
        """LOOM_VIEW_PICTURE: where docs/view.png goes, with the trace of a reading; beside it -flow.png, and -dark of both."""
        path = pathlib.Path(os.environ["LOOM_VIEW_PICTURE"])
        for name in ("output", "processor"):
            self.home_.run(name, "--url", self.home_.url)
        archive = self.agent(self.home_, "archive", credit_messages=3, credit_bytes=1 << 20).subscribe("sensor.>")
        wait_until(lambda: {"sensor.>", "processed.>"} <= {s["filter"] for s in self.home_.stats()["subscriptions"]} or len(self.home_.stats()["subscriptions"]) >= 4, "the agents have subscribed")
        self.home_.run("sensor", "--url", self.home_.url, "--readings", "0", "--interval", "200")
        page = self.open()
        page.narrow(1280, 640)
        page.wait("return document.querySelectorAll('tr[data-trace]').length > 20", "some readings")
        trace = page.wait("return [...document.querySelectorAll('tr[data-trace]')].find((row) => Number(row.children[3].innerText) >= 11)?.dataset.trace", "all spans of a trace")
        for theme in ("light", "dark"):
            page.run("localStorage.setItem('theme', arguments[0])", theme)
            page.open("about:blank")
            page.open(self.base + f"/#/traces/{trace}")
            page.wait("return document.querySelector('.waterfall .row')", "the waterfall")
            page.run("document.querySelector('.waterfall .fold').click()")
            page.run("[...document.querySelectorAll('.waterfall .row')].find((row) => row.innerText.includes('agent.on_event')).click()")
            suffix = "" if theme == "light" else "-dark"
            page.picture(path.with_name(f"{path.stem}{suffix}.png"))
            page.open(self.base + "/#/flow")
            page.wait("return document.querySelector('[data-node=archive] .verdict')?.textContent && document.querySelector('[data-latency$=s]') && document.querySelectorAll('.edge:not(.still)').length > 3", "who is slow, and latency")
            page.picture(path.with_name(f"{path.stem}-flow{suffix}.png"))
        archive.close()

if __name__ == "__main__":
    main()
