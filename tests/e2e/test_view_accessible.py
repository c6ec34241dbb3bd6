# SPDX-License-Identifier: Apache-2.0
"""The web view as assistive technology gets it, from Chromium's accessibility tree: every view has its landmarks and one
heading, and whatever can be used has a role and a name."""

from view_case import ViewTest, main, wait_until

TRACE = "1234" * 8
USED = {"button", "link", "textbox", "searchbox", "combobox", "checkbox", "radio", "switch", "tab", "menuitem", "slider", "spinbutton", "listbox",
        "treegrid", "image", "img", "dialog", "DisclosureTriangle"}  # rows, tables and grids are named by what they hold, unless they can be focused


class Accessible(ViewTest):
    def setUp(self):
        super().setUp()
        begin = 1700000000_000000000
        self.send_spans([{"traceId": TRACE, "spanId": "a" * 16, "name": "root", "kind": 1, "startTimeUnixNano": str(begin), "endTimeUnixNano": str(begin + 10**7)},
                         {"traceId": TRACE, "spanId": "b" * 16, "parentSpanId": "a" * 16, "name": "step", "kind": 1, "startTimeUnixNano": str(begin + 10**6),
                          "endTimeUnixNano": str(begin + 2 * 10**6), "status": {"code": 2, "message": "broken"}, "events": [{"name": "said", "timeUnixNano": str(begin + 10**6)}]}])
        self.home_.run("loom", "provide", "--url", self.home_.url, "--id", "doubler", "math.double", "--", "sh", "-c", "cat")
        wait_until(lambda: self.ask("/api/bus/capabilities")["capabilities"], "the capability is there")
        reader = self.agent(self.home_, "reader").subscribe("a.>")
        self.home_.loom("pub", "a.b", "1", "--id", "writer")
        reader.wait_events(1)

    def roles(self, page, view, ready):
        """The nodes of a view that is drawn."""
        page.open(f"{self.base}/#/{view}")
        page.wait(ready, f"{view} is drawn")
        nodes = page.accessible()
        for node in nodes:
            with self.subTest(view=view, node=node):
                if node["role"] in USED or node.get("focusable") and node["role"] not in ("RootWebArea", "main", "generic"):
                    self.assertNotEqual("", node["name"].strip(), "it can be used, and has no name")
                if node.get("focusable"):
                    self.assertNotIn(node["role"], ("generic", "none", "presentation"), "it can be focused, and has no role")
        kinds = [node["role"] for node in nodes]
        with self.subTest(view=view):
            self.assertEqual(1, kinds.count("main"))
            self.assertIn("navigation", kinds)
            self.assertIn("banner", kinds)
            self.assertEqual(1, len([node for node in nodes if node["role"] == "heading" and node.get("level") == 1]), "one heading of the first level")
        return nodes

    def test_every_view_has_roles_and_names(self):
        page = self.open()
        heading = "return document.querySelector('main h1')"
        self.roles(page, "traces", "return document.querySelector('tr[data-trace]')")
        self.roles(page, "flow", "return document.querySelectorAll('.flow g').length > 1")
        for tab in ("tail", "publish"):
            self.roles(page, f"topics?tab={tab}", heading)
        self.roles(page, "topics?filter=a.%3E", heading)
        self.roles(page, "topics?invoke=math.double", "return document.querySelector('form')")
        for tab in ("agents", "subscriptions", "capabilities"):
            self.roles(page, f"agents?tab={tab}", "return document.querySelector('main table tbody tr')")
        self.roles(page, "agents/reader", "return document.querySelector('main h1[data-agent]')")
        self.roles(page, "errors", "return document.querySelector('.group')")
        self.nothing_wrong(page)

    def test_a_waterfall_is_a_treegrid_that_says_where_one_is(self):
        page = self.open()
        nodes = self.roles(page, f"traces/{TRACE}", "return document.querySelectorAll('.waterfall .row').length === 2")
        grid, = [node for node in nodes if node["role"] == "treegrid"]
        self.assertEqual("Spans of the trace", grid["name"])
        rows = [node for node in nodes if node["role"] == "row" and node.get("level")]
        self.assertEqual([1, 2], [row["level"] for row in rows])
        self.assertEqual([True, False], [bool(row.get("selected")) for row in rows])
        self.assertIn("broken", " ".join(node["name"] for node in nodes), "that a span failed is said, too")
        self.nothing_wrong(page)

    def test_what_is_chosen_and_where_one_is_are_said(self):
        page = self.open()
        page.open(self.base + "/#/flow")
        page.wait("return document.querySelector('nav a[aria-current=page]')?.innerText === 'Flow'", "the navigation says where one is")
        page.open(self.base + "/#/agents?tab=agents")
        page.wait("return document.querySelector('main table tbody tr')", "agents are drawn")
        chips = page.run("return [...document.querySelectorAll('main .chip')].map((chip) => chip.innerText.trim())")
        self.assertTrue(chips and all(any(letter.isalpha() for letter in chip) for chip in chips), "a state is a word, not a colour alone")


if __name__ == "__main__":
    main()
