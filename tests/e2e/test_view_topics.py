# SPDX-License-Identifier: Apache-2.0
"""The view on the bus: a tail of a filter, and forms that publish and call, in a real Chromium."""

import json

from view_case import ViewTest, main, wait_until

EVENTS = "return [...document.querySelectorAll('.event')].map((event) => event.querySelector('.preview').innerText)"
SCHEMA = {"type": "object", "required": ["city"], "properties": {
    "city": {"type": "string", "title": "City"}, "days": {"type": "integer", "minimum": 1, "maximum": 7, "default": 3},
    "unit": {"enum": ["celsius", "fahrenheit"]}, "alerts": {"type": "boolean"},
    "place": {"type": "object", "properties": {"lat": {"type": "number"}}}, "tags": {"type": "array", "items": {"type": "string"}},
    "more": {"oneOf": [{"type": "string"}, {"type": "array"}]}}}


class Topics(ViewTest):
    def fill(self, page, label, value):
        page.run("""const label = [...document.querySelectorAll('label')].find((one) => one.textContent.replace(' *', '') === arguments[0]);
                    const control = document.getElementById(label.htmlFor);
                    if (control.tagName === 'SELECT') control.value = [...control.options].find((option) => option.innerText === arguments[1]).value;
                    else control.value = arguments[1];
                    control.dispatchEvent(new Event('input')); control.dispatchEvent(new Event('change'));""", label, value)

    def click(self, page, text):
        page.run("[...document.querySelectorAll('button')].find((button) => button.innerText === arguments[0]).click()", text)

    def on_the_bus(self):
        wait_until(lambda: self.ask("/api/member")["connected"], "the view is on the bus")

    def subscribed(self, topic_filter):
        wait_until(lambda: any(s["filter"] == topic_filter for s in self.home_.stats()["subscriptions"]), f"{topic_filter} is subscribed to")

    def tail(self, topic_filter):
        self.on_the_bus()
        page = self.open()
        page.open(f"{self.base}/#/topics?filter={topic_filter.replace('>', '%3E')}")
        self.subscribed(topic_filter)
        return page

    def test_a_tail_shows_events_pauses_filters_and_leads_to_their_traces(self):
        page = self.tail("order.>")
        self.home_.loom("pub", "order.created", '{"order":17,"lines":[{"sku":"a"}]}')
        self.home_.loom("pub", "order.paid", "plain text")
        page.wait(f"const all = (() => {{ {EVENTS} }})(); return all.length === 2 && all[0] === 'plain text'", "both, the newest first")
        page.run("document.querySelectorAll('.event details')[1].open = true")
        pretty = page.wait("return document.querySelector('.event .json')?.innerText", "JSON in order")
        self.assertEqual({"order": 17, "lines": [{"sku": "a"}]}, json.loads(pretty))
        self.assertGreater(pretty.count("\n"), 4)
        trace = page.run("return document.querySelectorAll('.event a[data-trace]')[1].dataset.trace")
        page.press("p")
        page.wait("return document.querySelector('[aria-pressed=true]')?.innerText === 'Go on'", "it is paused")
        self.home_.loom("pub", "order.created", "while paused")
        self.home_.loom("pub", "other.thing", "not selected")
        wait_until(lambda: any(t["topic"] == "other.thing" for t in self.home_.stats()["topics"]), "both are published")
        self.assertEqual(2, len(page.run(EVENTS)))
        page.press("p")
        page.wait(f"return (() => {{ {EVENTS} }})()[0] === 'while paused'", "it goes on")
        page.run("const words = document.querySelector('input[type=search]'); words.value = 'sku'; words.dispatchEvent(new Event('input'))")
        page.wait(f"return (() => {{ {EVENTS} }})().length === 1", "only lines with that text")
        page.run("document.querySelector('.event a[data-trace]').click()")
        page.wait("return document.querySelector('.waterfall .row') && location.hash.includes(arguments[0])", "the trace", trace)
        wait_until(lambda: not any(s["filter"] == "order.>" for s in self.home_.stats()["subscriptions"]), "the subscription has ended with the page")
        self.assertNotIn("agent.on_event", json.dumps(self.ask(f"/api/traces/{trace}")), "that the view reads along is no part of the trace")
        self.nothing_wrong(page)

    def test_a_flood_is_bounded_and_its_rest_is_counted(self):
        page = self.tail("flood.>")
        self.home_.loom("pub", "flood.x", "--count", "5000", "payload")
        page.wait("return document.querySelector('.hint').innerText.includes('too fast to show')", "what is not shown is counted")
        shown, skipped = page.wait("const m = document.querySelector('.hint').innerText.match(/([\\d,]+) received.* ([\\d,]+) more/); if (!m) return null;"
                                   "const all = [m[1], m[2]].map((n) => Number(n.replaceAll(',', ''))); return all[0] + all[1] === 5000 ? all : null", "all are accounted for")
        self.assertGreater(skipped, 0)
        self.assertLessEqual(page.run("return document.querySelectorAll('.event').length"), 200)
        self.assertEqual({}, self.home_.dropped())
        self.nothing_wrong(page)

    def test_an_event_is_published_from_the_form(self):
        self.on_the_bus()
        reader = self.home_.run("loom", "sub", "--url", self.home_.url, "order.>", "--json")
        self.subscribed("order.>")
        page = self.open()
        page.open(self.base + "/#/topics?tab=publish")
        page.wait("return document.getElementById('publish-topic')", "the form")
        self.fill(page, "Topic", "order.created")
        self.fill(page, "Payload", "{")
        self.assertFalse(page.run("return document.querySelector('form.sheet').checkValidity()"))
        self.fill(page, "Payload", '{"order":18}')
        self.fill(page, "Event type", "order.created.v1")
        self.fill(page, "Headers", "tenant=eu\nshard=7")
        self.click(page, "Publish")
        trace = page.wait("return document.querySelector('.result a[data-trace]')?.dataset.trace", "it is published")
        event = json.loads(wait_until(lambda: reader.out.strip() or None, "the event is there"))
        self.assertEqual(('{"order":18}', "order.created.v1", "application/json", {"tenant": "eu", "shard": "7"}, trace),
                         (event["payload"], event["type"], event["content_type"], event["headers"], event["trace_id"]))
        self.fill(page, "Topic", "system.agents")
        self.click(page, "Publish")
        page.wait("return document.querySelector('.result .failed')?.innerText.includes('the broker')", "the reason why not")
        page.console()  # the browser itself logs that the answer was 400

    def test_a_capability_is_called_from_a_form_made_of_its_schema(self):
        self.on_the_bus()
        schema = self.home_.folder / "schema.json"
        schema.write_text(json.dumps(SCHEMA))
        self.home_.run("loom", "provide", "--url", self.home_.url, "weather.lookup", "--input-schema", schema, "--", "cat")
        self.home_.run("loom", "provide", "--url", self.home_.url, "fails.always", "--", "sh", "-c", "exit 3")
        wait_until(lambda: len(self.ask("/api/bus/capabilities")["capabilities"]) == 2, "the capabilities are there")
        page = self.open()
        page.open(self.base + "/#/topics?invoke=weather.lookup")
        page.wait("return document.querySelector('.fields')", "the form")
        days = page.run("const label = [...document.querySelectorAll('label')].find((l) => l.innerText === 'days'); const i = document.getElementById(label.htmlFor); return [i.type, i.value, i.min, i.max]")
        self.assertEqual(["number", "3", "1", "7"], days)
        self.fill(page, "City", "Oslo")
        self.fill(page, "unit", "celsius")
        self.fill(page, "alerts", "true")
        self.fill(page, "lat", "59.9")
        page.run("document.querySelector('.add').click(); document.querySelector('.add').click()")
        page.run("document.querySelectorAll('.items input').forEach((input, i) => { input.value = `tag ${i}`; })")
        self.fill(page, "more", "[1]")
        self.click(page, "Call")
        page.wait("return document.querySelector('.result[data-outcome=ok] .json')", "the result")
        echoed = json.loads(page.run("return document.querySelector('.result .json').innerText"))
        self.assertEqual({"city": "Oslo", "days": 3, "unit": "celsius", "alerts": True, "place": {"lat": 59.9}, "tags": ["tag 0", "tag 1"], "more": [1]}, echoed)
        self.fill(page, "days", "9")
        self.assertFalse(page.run("return document.querySelector('form.sheet').checkValidity()"))
        page.run("document.querySelector('.switch button').click()")
        self.assertEqual("Oslo", json.loads(page.run("return document.getElementById('call-text').value"))["city"])
        trace = page.run("return document.querySelector('.result a[data-trace]').dataset.trace")
        wait_until(lambda: "agent.on_action" in json.dumps(self.ask(f"/api/traces/{trace}")), "the trace goes from the page to the provider")
        page.open(self.base + "/#/topics?invoke=fails.always")
        page.wait("return document.getElementById('call-text')", "JSON text, without a schema")
        self.click(page, "Call")
        page.wait("return document.querySelector('.result[data-outcome=error] .failed')", "the failure is told")
        self.nothing_wrong(page)

    def test_what_is_paused_stays_while_lines_are_looked_for(self):
        page = self.tail("order.>")
        self.home_.loom("pub", "order.a", "first")
        page.wait(f"return (() => {{ {EVENTS} }})().length === 1", "the first")
        page.press("p")
        self.home_.loom("pub", "order.a", "second, while paused")
        page.run("document.querySelector('input[type=search]').value = 'while'; document.querySelector('input[type=search]').dispatchEvent(new Event('input'))")
        page.wait("return document.querySelector('.events .empty')?.innerText.includes('No line')", "it is kept back")
        page.run("document.querySelector('[aria-pressed]').click()")
        page.wait(f"return (() => {{ {EVENTS} }})()[0]?.includes('while paused')", "it shows when it goes on")
        self.nothing_wrong(page)

    def test_payloads_are_shown_as_they_are(self):
        page = self.tail("odd.>")
        sender = self.agent(self.home_, "sender")
        for payload in (b'{"id":9007199254740993,"2":1.0,"1":[]}', "\u65e5\u672c".encode() * 2600, bytes(range(256)) * 80, b"<b onclick=x>&amp;</b>", b""):
            sender.publish("odd.thing", payload)
        page.wait("return document.querySelectorAll('.event').length === 5", "all of them")
        page.run("for (const event of document.querySelectorAll('.event details')) event.open = true")
        empty, html, binary, text, number = page.wait("const all = [...document.querySelectorAll('.event-body')].map((body) => body.innerText); return all.every(Boolean) ? all : null", "their bodies")
        self.assertIn('"id": 9007199254740993,\n  "2": 1.0,\n  "1": []', number)
        self.assertNotIn("Only the beginning", text)
        self.assertIn("Only the beginning of 20.0 KiB", binary)
        self.assertIn("<b onclick=x>&amp;</b>", html)
        self.assertIn("Empty.", empty)
        self.assertIsNone(page.run("return document.querySelector('.event b')"))
        self.nothing_wrong(page)

    def test_a_form_takes_what_its_schema_allows_and_nothing_else(self):
        self.on_the_bus()
        schema = self.home_.folder / "schema.json"
        schema.write_text(json.dumps({"type": "object", "required": ["steps"], "properties": {
            "steps": {"type": "integer", "minimum": 1, "multipleOf": 5}, "code": {"type": "string", "pattern": "^[\\w.-]+$"},
            "place": {"type": "object", "required": ["lat"], "properties": {"lat": {"type": "number"}}}, "many": {"type": "array", "items": {"type": "array", "items": {"type": "string"}, "minItems": 1000000}, "minItems": 1000000}}}))
        for version in ("1", "2"):
            self.home_.run("loom", "provide", "--url", self.home_.url, "orbit.plan", "--version", version, "--input-schema", schema, "--", "cat")
        wait_until(lambda: len(self.ask("/api/bus/capabilities")["capabilities"]) == 2, "both versions")
        page = self.open()
        page.open(self.base + "/#/topics?invoke=orbit.plan&version=1")
        page.wait("return document.querySelector('.fields')", "the form")
        self.assertEqual("orbit.plan 1", page.run("return document.getElementById('call-capability').selectedOptions[0].innerText"))
        self.assertLessEqual(page.run("return document.querySelectorAll('.items li').length"), 100)
        page.run("for (const button of document.querySelectorAll('.items .remove')) button.click()")
        valid = "return document.querySelector('form.sheet').checkValidity()"
        for steps, code, is_valid in (("5", "a-b", True), ("6", "a-b", False), ("5", "a b", False), ("9007199254740995", "a", False), ("10", "", True)):
            self.fill(page, "steps", steps)
            self.fill(page, "code", code)
            self.assertEqual(is_valid, page.run(valid), (steps, code))
        place = "document.querySelector('legend input[type=checkbox]')"
        page.run(f"{place}.click()")
        self.assertFalse(page.run(valid), "what is not left out has to be filled in")
        page.run(f"{place}.click()")
        page.run("document.querySelector('.switch button').click()")
        self.assertEqual({"steps": 10}, json.loads(page.run("return document.getElementById('call-text').value")))
        page.run("const text = document.getElementById('call-text'); text.value = '{\"steps\":10,\"unknown\":1}'; document.querySelector('.switch button').click()")
        self.assertIn("unknown", page.run("return document.getElementById('call-text')?.value ?? 'it is gone'"), "what no form can say is not lost")
        self.click(page, "Call")
        page.wait("return document.querySelector('.result[data-outcome=ok] .json')?.innerText.includes('unknown')", "it is sent")
        page.run("document.getElementById('call-capability').value = [...document.getElementById('call-capability').options].at(-1).value; document.getElementById('call-capability').dispatchEvent(new Event('change'))")
        self.assertTrue(page.url().endswith("#/topics?invoke=orbit.plan&version=2"), page.url())
        page.open(self.base + "/#/topics?invoke=nobody.does.this")
        page.wait("return document.body.innerText.includes('Nobody provides nobody.does.this')", "no other form is shown instead")
        self.home_.run("loom", "provide", "--url", self.home_.url, "nobody.does.this", "--", "cat")
        page.wait("return document.getElementById('call-text')", "the form comes with the capability")
        self.nothing_wrong(page)

    def test_the_tail_goes_on_when_the_broker_comes_back(self):
        page = self.tail("order.>")
        self.home_.kill(self.home_.broker)
        page.wait("return document.getElementById('status').classList.contains('bad')", "the page says that the view is not on the bus")
        self.home_.start_broker()
        self.on_the_bus()
        self.subscribed("order.>")
        self.home_.loom("pub", "order.created", "after")
        page.wait(f"return (() => {{ {EVENTS} }})()[0] === 'after'", "the event")


if __name__ == "__main__":
    main()
