# SPDX-License-Identifier: Apache-2.0
"""Finding traces in the web view, and what one of them shows besides its waterfall."""

from view_case import DOWN, LEFT, RIGHT, UP, ViewTest, main

BEGIN = 1_700_000_000_000_000_000
SHOWN = "return [...document.querySelectorAll('tr[data-trace]')].map((row) => row.dataset.trace)"


def span(trace, number=1, parent=0, begin_ms=0, took_ms=1, name=None, **more):
    begin = BEGIN + int(begin_ms * 1e6)
    return {"traceId": f"{trace:032x}", "spanId": f"{number:016x}", "parentSpanId": f"{parent:016x}" if parent else "", "name": name or f"work {number}",
            "kind": 1, "startTimeUnixNano": str(begin), "endTimeUnixNano": str(begin + int(took_ms * 1e6)), **more}


def attributes(**pairs):
    return [{"key": key, "value": {"stringValue": value}} for key, value in pairs.items()]


class Traces(ViewTest):
    def test_the_slowest_and_the_failed_are_found_among_all_traces(self):
        # the slow one and the failed one are the oldest by far, out of the latest hundred
        self.send_spans([span(1, took_ms=900), span(2, status={"code": 2, "message": "no room"})])
        self.send_spans([span(10 + n, begin_ms=1000 + n, took_ms=1 + n / 100) for n in range(300)])
        page = self.open()
        page.wait(f"{SHOWN}.length === 100", "the latest hundred")
        self.assertEqual(f"{309:032x}", page.run(SHOWN)[0])
        page.run("[...document.querySelectorAll('button')].find((b) => b.innerText === 'slowest').click()")
        page.wait(f"const all = (() => {{ {SHOWN} }})(); return all[0] === arguments[0] && all[1] === arguments[1]", "the slowest first", f"{1:032x}", f"{309:032x}")
        page.run("[...document.querySelectorAll('button')].find((b) => b.innerText === 'failed').click()")
        page.wait(f"const all = (() => {{ {SHOWN} }})(); return all.length === 1 && all[0] === arguments[0]", "the failed one", f"{2:032x}")
        page.open(f"{self.base}/#/traces?q=duration%3E3.9ms%20duration%3C800ms")
        page.wait(f"const all = (() => {{ {SHOWN} }})(); return all.length === 10", "those between 3.9 and 800 ms")
        self.assertIn("duration", self.ask("/api/traces?min_duration=soon", code=400)["detail"])
        self.nothing_wrong(page)

    def test_an_incomplete_trace_is_marked_in_the_list_and_says_what_is_missing(self):
        self.send_spans([span(1, name="agent.emit", attributes=attributes(**{"loom.kept": "error"})), span(2)])
        self.assertEqual([False, True], [row["incomplete"] for row in sorted(self.ask("/api/traces")["traces"], key=lambda row: row["trace_id"], reverse=True)])
        page = self.open()
        page.wait("return document.querySelector(`tr[data-trace='${arguments[0]}']`)?.innerText.includes('incomplete')", "the mark in the list", f"{1:032x}")
        self.assertFalse(page.run("return document.querySelector(`tr[data-trace='${arguments[0]}']`).innerText.includes('incomplete')", f"{2:032x}"))
        page.open(f"{self.base}/#/traces/{1:032x}")
        page.wait("return document.querySelector('.title p')?.innerText.includes('incomplete')", "the mark of the trace")
        page.wait("return document.querySelector('.details')?.innerText.includes('where it went is not in the trace')", "what is missing")
        self.assertEqual("where it went is not in the trace", page.run("return document.querySelector('.waterfall .row .failed').title"))
        self.nothing_wrong(page)

    def test_times_are_those_of_the_reader_s_zone(self):
        self.send_spans([span(1, took_ms=10)])
        page = self.open()
        for zone, shown in (("Asia/Tokyo", "Nov 15, 2023 07:13:20.000"), ("America/New_York", "Nov 14, 2023 05:13:20.000")):
            page.set_zone(zone)
            page.open("about:blank")
            page.open(f"{self.base}/#/traces/{1:032x}")
            self.assertIn(shown, page.wait("return document.querySelector('.title p')?.innerText", zone))
        self.nothing_wrong(page)

    def test_two_traces_are_compared_step_by_step(self):
        for trace, slow in ((1, 5), (2, 50)):
            self.send_spans([span(trace, 1, took_ms=100, name="root"), span(trace, 2, 1, 1, slow, "query"), span(trace, 3, 1, 60, 1, f"only {trace}")])
        page = self.open()
        page.open(f"{self.base}/#/traces/{1:032x}")
        page.wait("return document.querySelector('.waterfall .row')", "the trace")
        page.run("[...document.querySelectorAll('main a')].find((a) => a.innerText.startsWith('Compare')).click()")
        page.wait("return document.querySelector('.banner') && document.querySelector(`tr[data-trace='${arguments[0]}']`)", "another one is chosen", f"{2:032x}")
        page.run("document.querySelector(`tr[data-trace='${arguments[0]}']`).click()", f"{2:032x}")
        page.wait("return document.querySelector('.compare tbody tr')", "both")
        rows = page.run("return [...document.querySelectorAll('.compare tbody tr')].map((row) => [row.dataset.step, row.dataset.in, row.lastElementChild.innerText])")
        self.assertEqual([["root", "both", "the same"], ["query", "both", "▲ +45.0 ms (+900 %)"], ["only 1", "a", "only in A"], ["only 2", "b", "only in B"]], rows)
        self.nothing_wrong(page)

    def test_what_was_logged_is_shown_at_its_span_and_in_the_log_of_the_trace(self):
        self.send_spans([span(1, 1, took_ms=10, name="root"), span(1, 2, 1, 2, 3, name="step")])
        page = self.open()
        page.open(f"{self.base}/#/traces/{1:032x}?span={2:016x}")
        page.wait("return document.querySelectorAll('.waterfall .row').length === 2", "the trace")
        record = {"traceId": f"{1:032x}", "spanId": f"{2:016x}", "timeUnixNano": str(BEGIN + 3_000_000), "severityNumber": 17, "severityText": "ERROR",
                  "body": {"stringValue": "no paper left"}, "attributes": attributes(tray="2")}
        self.send_logs([record, {**record, "spanId": "", "severityNumber": 9, "severityText": "", "body": {"stringValue": "of the trace alone"}}])
        page.wait("return document.querySelector('.span-log')?.innerText.includes('no paper left')", "the line at its span, without a reload")
        self.assertRegex(page.run("return document.querySelector('.span-log').innerText"), r"(?s)error \+3.00 ms no paper left.*tray\s+2")
        page.run("document.querySelector('.log-of-trace summary').click()")
        page.wait("const all = [...document.querySelectorAll('.log-of-trace tbody tr')].map((row) => row.innerText); return all.length === 2 && all[0].includes('no paper left') && all[1].includes('of the trace alone')", "both lines")
        drawn = self.home_.loom("trace", "show", f"{1:032x}", "--db", self.home_.folder / "traces.db").stdout
        self.assertRegex(drawn, r"└ step .*\n +≡ ERROR no paper left tray=2 at 3.00 ms\n≡ INFO of the trace alone tray=2 at 3.00 ms \(made-up, in no span\)\n")
        self.assertEqual(["error no paper left", "info of the trace alone"], sorted(page.run("return [...document.querySelectorAll('.log-of-trace td:nth-child(2)')].map((cell) => cell.innerText)")))
        self.nothing_wrong(page)

    def test_an_open_trace_grows_and_what_links_to_it_is_told(self):
        self.send_spans([span(1, 1, took_ms=10)])
        page = self.open()
        page.open(f"{self.base}/#/traces/{1:032x}")
        page.wait("return document.querySelectorAll('.waterfall .row').length === 1", "one span")
        page.run("window.same = document.querySelector('.waterfall')")
        self.send_spans([span(1, 2, 1, 2, 3, name="later", events=[{"name": "retry", "timeUnixNano": str(BEGIN), "attributes": attributes(payload='{"a":1}')}])])
        page.wait("return document.querySelectorAll('.waterfall .row').length === 2", "the second one, without a reload")
        self.assertTrue(page.run("return window.same === document.querySelector('.waterfall')"))
        self.send_spans([span(2, 7, name="join", links=[{"traceId": f"{1:032x}", "spanId": f"{1:016x}"}])])
        text = page.wait("return document.querySelector('.linked-from')?.innerText", "the link from the other trace")
        self.assertIn("join", text)
        page.run("document.querySelector('.log-of-trace').open = true")
        page.wait("return document.querySelector('.log-of-trace tbody')?.innerText.includes('retry')", "the events of all spans")
        page.run("document.querySelector('.linked-from a').click()")
        page.wait("return location.hash.startsWith(`#/traces/${arguments[0]}`) && document.querySelector('.waterfall .row')?.innerText.includes('join')", "the other trace", f"{2:032x}")
        self.nothing_wrong(page)

    def test_the_waterfall_is_a_treegrid_for_keys_and_screen_readers(self):
        self.send_spans([span(1, 1, took_ms=9, name="root"), span(1, 2, 1, 1, 4, "a"), span(1, 3, 2, 2, 1, "a.a"), span(1, 4, 1, 6, 1, "b")])
        page = self.open()
        page.open(f"{self.base}/#/traces/{1:032x}")
        page.wait("return document.querySelectorAll('.waterfall .row').length === 4", "the rows")
        active = "return document.getElementById(document.querySelector('.waterfall').getAttribute('aria-activedescendant'))?.querySelector('.what').textContent"
        names = "return [...document.querySelectorAll('.waterfall .row')].map((row) => [row.querySelector('.name').textContent, row.getAttribute('aria-level'), row.getAttribute('aria-expanded')].join(' '))"
        page.run("document.querySelector('.waterfall').focus()")
        for keys, expected in ((DOWN, "a"), (RIGHT, "a.a"), (LEFT, "a"), (LEFT, "a"), (DOWN, "b"), (UP, "a"), (RIGHT, "a"), (UP, "root")):
            page.press(keys)
            self.assertIn(expected, page.run(active), repr(keys))
        self.assertEqual(["▾rootmade-up 1 true", "▾amade-up 2 true", "a.amade-up 3 ", "bmade-up 2 "], page.run(names))
        page.press(DOWN + LEFT)
        self.assertEqual(["▾rootmade-up 1 true", "▸amade-up 2 false", "bmade-up 2 "], page.run(names))
        self.assertEqual(["treegrid", "3"], page.run("const grid = document.querySelector('.waterfall'); return [grid.getAttribute('role'), grid.getAttribute('aria-rowcount')]"))
        page.run("document.getElementById('keys').click()")
        page.wait("return document.getElementById('help').open", "the button of the keys")
        self.nothing_wrong(page)


if __name__ == "__main__":
    main()
