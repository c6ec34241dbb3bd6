# SPDX-License-Identifier: Apache-2.0
"""The errors page of the web view: failed spans and lost messages by reason, and the way to their traces."""

from view_case import ViewTest, main, wait_until

GROUPS = "return [...document.querySelectorAll('.group')].map((group) => group.dataset.reason)"


class Errors(ViewTest):
    def test_failed_calls_and_lost_messages_are_grouped_and_lead_to_their_traces(self):
        page = self.open()
        page.open(self.base + "/#/errors")
        page.wait("return document.body.innerText.includes('Nothing has failed')", "the empty state")
        self.home_.run("loom", "provide", "--url", self.home_.url, "--id", "broken", "report.render", "--", "sh", "-c", "exit 3")
        wait_until(lambda: self.ask("/api/bus/capabilities")["capabilities"], "the capability is there")
        lossy = self.agent(self.home_, "lossy", credit_messages=1, credit_bytes=1 << 20)
        lossy.subscribe("load.>", qos=1, queue_messages=2)
        for _ in range(2):
            self.home_.loom("invoke", "report.render", "x", code=1)
        for _ in range(6):
            self.home_.loom("pub", "load.data", "x")
        (reason, lost), = self.home_.dropped().items()
        page.wait(f"const all = (() => {{ {GROUPS} }})(); return all.includes(arguments[0]) && all.length > 1", "both kinds", reason)
        failed = [e for e in self.ask("/api/errors")["errors"] if e.get("dropped")]
        self.assertEqual({("lossy", "load.>")}, {(e["subscriber"], e["filter"]) for e in failed})
        page.wait("return document.querySelector(`.group[data-reason='${arguments[0]}'] .number`).innerText === `${arguments[1]} ×`", "each of them is counted", reason, lost)
        page.wait("return document.querySelector('.totals').innerText.includes(arguments[0])", "the broker's own count", f"{lost} {reason.replace('_', ' ')}")
        page.run("document.querySelector(`.group[data-reason='${arguments[0]}'] summary`).click()", reason)
        page.run("document.querySelector(`.group[data-reason='${arguments[0]}'] tbody a`).click()", reason)
        page.wait("return document.querySelector('.waterfall .row[aria-selected=true] .failed')", "the span in its trace is chosen")
        page.open(self.base + "/#/errors?q=report.render")
        page.wait(f"const all = (() => {{ {GROUPS} }})(); return all.length > 0 && !all.includes(arguments[0])", "the filter", reason)
        self.nothing_wrong(page)

    def test_a_kind_that_fails_is_kept_at_the_press_of_a_button(self):
        self.home_.environment.update({"OTEL_TRACES_SAMPLER": "parentbased_always_off", "LOOM_TRACE_RECORDER": "16MiB"})
        self.home_.broker.stop()
        self.home_.start_broker()
        provider = self.home_.run("loom", "provide", "--url", self.home_.url, "--id", "moody", "report.render", "--", "grep", "good")
        wait_until(lambda: self.ask("/api/bus/capabilities")["capabilities"], "the capability is there")
        self.assertTrue(provider.running())
        self.home_.loom("invoke", "report.render", "bad", code=1)
        page = self.open()
        page.open(self.base + "/#/errors")
        button = "document.querySelector('.group[open] button, .group button')"
        page.wait(f"return {button}?.textContent === 'Keep this kind'", "the failure, and the button")
        self.assertTrue(page.run("return document.querySelector('.kept').hidden"))
        page.run(f"document.querySelector('.group summary').click(); {button}.click()")
        page.wait("return document.querySelector('.kept li')?.innerText.includes('calls of report.render')", "it is kept")
        page.wait(f"return {button}.disabled && {button}.textContent === 'Kept'", "and can be asked for no more")
        self.home_.loom("invoke", "report.render", "good")
        wait_until(lambda: any(trace["errors"] == 0 and trace["spans"] > 1 for trace in self.ask("/api/traces")["traces"]), "one that did not fail")
        (kind,) = self.ask("/api/keep")["kinds"]
        self.assertEqual(("report.render", 1), (kind["capability"], kind["kept"]))
        page.run("document.querySelector('.kept button').click()")
        page.wait(f"return document.querySelector('.kept').hidden && !{button}.disabled", "it is kept no more")
        self.assertEqual([], self.ask("/api/keep")["kinds"])
        self.nothing_wrong(page)


if __name__ == "__main__":
    main()
