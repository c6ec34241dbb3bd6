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
        page.run("document.querySelectorAll('.event')[1].open = true")
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
