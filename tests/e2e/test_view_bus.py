# SPDX-License-Identifier: Apache-2.0
"""What the web view says of agents, subscriptions and capabilities: who is slow, and why, comes first."""

import signal

from view_case import ENTER, ESCAPE, ViewTest, main, wait_until

TEXT = "return document.querySelector(arguments[0])?.innerText"


class Bus(ViewTest):
    def show(self, page, view, ready):
        page.open(f"{self.base}/#/{view}")
        return page.wait(TEXT, f"{view} is shown", ready)

    def test_an_agent_that_does_not_keep_up_comes_first_and_says_why(self):
        self.agent(self.home_, "aaa-quick").subscribe("fast.>")
        slow = self.agent(self.home_, "zzz-slow", credit_messages=2, credit_bytes=1 << 20)
        slow.subscribe("load.>")
        for _ in range(5):
            self.home_.loom("pub", "load.data", "x" * 100)
        subscription = wait_until(lambda: next((s for s in self.home_.stats()["subscriptions"] if s["subscriber"] == "zzz-slow" and s["queued"] == 3), None), "3 wait")
        self.assertEqual(0, subscription["credit_messages"])
        page = self.open()
        self.show(page, "agents", "tr[data-agent=zzz-slow][data-verdict=behind]")
        row = page.run("return [...document.querySelectorAll('tbody tr')][0].innerText")
        self.assertIn("zzz-slow", row)
        self.assertIn("behind", row)
        self.assertRegex(row, r"\b3 \(")
        self.assertIn("active", page.run(TEXT, "tr[data-agent=aaa-quick]"))
        page.press("j" + ENTER)
        page.wait("return document.querySelector('h1[data-agent=zzz-slow]')", "the agent's own page")
        self.assertIn("Messages wait in its queue", page.run("return document.body.innerText"))
        page.run("[...document.querySelectorAll('main a')].find((a) => a.innerText === 'Traces').click()")
        page.wait("return location.hash.includes('agent_id%3Dzzz-slow')", "its traces")
        self.show(page, "agents?tab=subscriptions", "tr[data-subscription='zzz-slow load.>'][data-verdict=behind]")
        self.assertIn("zzz-slow", page.run("return document.querySelector('tbody tr').innerText"))
        self.nothing_wrong(page)

    def test_losses_are_told_by_their_reason(self):
        lossy = self.agent(self.home_, "lossy", credit_messages=1, credit_bytes=1 << 20)
        lossy.subscribe("load.>", qos=1, queue_messages=2)
        for _ in range(6):
            self.home_.loom("pub", "load.data", "x")
        wait_until(lambda: self.home_.dropped(), "some are lost")
        page = self.open()
        self.show(page, "agents", "tr[data-agent=lossy] .reason")
        reason, lost = next(iter(self.home_.dropped().items()))
        self.assertIn(f"{lost} {reason.replace('_', ' ')}", page.run(TEXT, "tr[data-agent=lossy]"))
        self.nothing_wrong(page)

    def test_flow_tells_how_long_messages_take_and_who_does_not_keep_up(self):
        self.home_.subscriber("load.>", "--id", "reader")
        slow = self.agent(self.home_, "slow", credit_messages=1, credit_bytes=1 << 20)
        slow.subscribe("load.>")
        for _ in range(4):
            self.home_.loom("pub", "load.data", "x", "--id", "writer")
        told = wait_until(lambda: {(e["kind"], e["agent"], e["name"]): e for e in self.ask("/api/latency")["edges"]}.get(("deliver", "reader", "load.data")), "spans of the reader")
        self.assertGreater(told["way"]["median_ns"], 0)
        self.assertGreaterEqual(told["way"]["longest_ns"], told["way"]["median_ns"])
        page = self.open()
        page.open(self.base + "/#/flow")
        edge = "[data-kind=deliver][data-agent=reader][data-name='load.data']"
        page.wait("return document.querySelector(arguments[0])?.dataset.latency", "the latency at the edge", edge)
        self.assertRegex(page.run("return document.querySelector(arguments[0]).querySelector('.label').textContent", edge), r"\d+(\.\d+)? (ns|µs|ms)")
        page.wait("return document.querySelector('[data-node=slow] .verdict')?.textContent === '▲ behind'", "who does not keep up says so")
        page.wait("return document.querySelector('[data-node=writer] rect').classList.contains('gone')", "who has left is drawn so")
        page.run("document.querySelector(arguments[0]).querySelector('a').dispatchEvent(new MouseEvent('click', { bubbles: true }))", edge)
        page.wait("return decodeURIComponent(location.hash).includes('topic=load.data') && document.querySelector('tr[data-trace]')", "its traces")
        self.nothing_wrong(page)

    def test_lists_and_the_flow_are_narrowed_by_words_and_the_url_keeps_them(self):
        for name in ("north-1", "north-2", "south-1"):
            self.agent(self.home_, name).subscribe(f"load.{name}")
            self.home_.loom("pub", f"load.{name}", "x", "--id", "writer")
        page = self.open()
        agents = "return [...document.querySelectorAll('tr[data-agent]')].map((row) => row.dataset.agent).sort()"
        self.show(page, "agents", "tr[data-agent=south-1]")
        page.press("/north")
        page.wait(f"return (() => {{ {agents} }})().join() === 'north-1,north-2'", "those in the north")
        self.assertTrue(page.url().endswith("#/agents?q=north"))
        page.run("location.reload()")
        page.wait(f"return (() => {{ {agents} }})().join() === 'north-1,north-2'", "after a reload, too")
        page.press(ESCAPE)
        page.wait("return document.querySelector('tr[data-agent=south-1]')", "all of them")
        page.open(f"{self.base}/#/flow?q=north-2")
        page.wait("return document.querySelectorAll('[data-kind]').length === 2", "what goes to it, and comes from it")
        page.press("j" + ENTER)
        page.wait("return decodeURIComponent(location.hash).includes('topic=load.north-2')", "the first line, by keys")
        self.nothing_wrong(page)

    def test_the_focus_outlives_what_changes_around_it(self):
        self.agent(self.home_, "reader").subscribe("load.>")
        page = self.open()
        for view, link in (("agents", "tr[data-agent=reader] a"), ("agents/reader", "main .links a")):
            self.show(page, view, link)
            page.run("window.link = document.querySelector(arguments[0]); link.focus()", link)
            before = page.run("return document.querySelector('main').innerText")
            page.wait("return document.querySelector('main').innerText !== arguments[0]", "when it was heard has changed", before)
            self.assertTrue(page.run("return document.activeElement === window.link && window.link.isConnected"), view)
        self.nothing_wrong(page)

    def test_what_a_broker_said_before_it_went_is_drawn_so(self):
        self.agent(self.home_, "reader").subscribe("load.>")
        page = self.open()
        self.show(page, "agents", "tr[data-agent=reader]")
        self.home_.broker.signal(signal.SIGSTOP)
        self.addCleanup(self.home_.broker.signal, signal.SIGCONT)
        page.wait("return document.querySelector('.stale tr[data-agent=reader]') && document.getElementById('status').innerText.includes('does not answer')", "it is stopped")
        self.home_.broker.signal(signal.SIGCONT)
        page.wait("return !document.querySelector('.stale') && document.getElementById('status').innerText === ''", "it answers again")

    def test_capabilities_show_who_provides_them_and_what_failed(self):
        provider = self.home_.run("loom", "provide", "--url", self.home_.url, "--id", "doubler", "math.double", "--", "sh", "-c", "read n; echo $((n * 2))")
        wait_until(lambda: self.ask("/api/bus/capabilities")["capabilities"] or not provider.running(), "the capability is there")
        self.home_.loom("invoke", "math.double", "21")
        page = self.open()
        text = self.show(page, "agents?tab=capabilities", "tr[data-capability='math.double']")
        self.assertIn("doubler", text)
        page.wait("return document.querySelector('tr[data-capability]').children[3].innerText === '1'", "the call is counted")
        self.show(page, "agents", "tr[data-agent=doubler]")
        self.nothing_wrong(page)


if __name__ == "__main__":
    main()
