# SPDX-License-Identifier: Apache-2.0
"""Finding traces in the web view, and what one of them shows besides its waterfall."""

from view_case import ViewTest, main

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


if __name__ == "__main__":
    main()
