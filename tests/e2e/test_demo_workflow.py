# SPDX-License-Identifier: Apache-2.0
"""demos/workflow, asked about in a real Jaeger: from the HTTP request of a client to the HTTP request of an agent, through a
workflow of agents, in one trace; also when a step tries again, and when it fails. In both homes of the bridge."""

import unittest

import demos
import jaeger
import ladder
import workflow_chain as chain

DEMO = jaeger.ROOT / "demos" / "workflow" / "run.sh"


def setUpModule():
    global server  # unittest gives a module's fixture no other place
    server = unittest.enterModuleContext(jaeger.Jaeger())


class Orders:
    options = ()

    @classmethod
    def setUpClass(cls):
        cls.written = chain.traces(demos.run(server, DEMO, "--item", "ice", *cls.options))
        cls.found = {item: server.wait_trace(written[0].trace_id, lambda found, written=written: len(found) >= len(written),
                                             demos.TRACE_DEADLINE_S) for item, written in cls.written.items()}

    def test_each_order_is_the_tree_that_the_workflow_says(self):
        self.assertEqual(set(chain.TREES), set(self.found))
        for item, found in self.found.items():
            chain.assert_shape(item, found)

    def test_every_span_names_tenant_workflow_execution_and_node(self):
        for found in self.found.values():
            chain.assert_attributes(found)

    def test_an_order_that_goes_well(self):
        chain.assert_done(self.found["tea"])
        chain.assert_http(self.found["tea"], [200])
        chain.assert_retries(self.found["tea"], [False])

    def test_a_service_that_is_busy_is_asked_again(self):
        chain.assert_done(self.found["honey"])
        chain.assert_http(self.found["honey"], [503, 200])
        chain.assert_retries(self.found["honey"], [True, False])

    def test_what_there_is_not_fails_at_once_and_says_so_all_the_way_up(self):
        chain.assert_failed(self.found["unicorn"], "http_404")
        chain.assert_http(self.found["unicorn"], [404])
        chain.assert_retries(self.found["unicorn"], [True])

    def test_attempts_come_to_an_end(self):
        chain.assert_failed(self.found["ice"], "http_503")
        chain.assert_http(self.found["ice"], [503, 503, 503])
        chain.assert_retries(self.found["ice"], [True, True, True])

    def test_jaeger_holds_exactly_what_the_processes_wrote(self):
        for item, written in self.written.items():
            self.assertEqual({(s.span_id, s.parent_id, s.name, s.start_ns, s.end_ns) for s in written},
                             {(s.span_id, s.parent_id, s.name, s.start_ns, s.end_ns) for s in self.found[item]})

    def test_jaeger_finds_nothing_odd(self):
        for found in self.found.values():
            ladder.assert_nothing_odd(found)

    def test_jaeger_finds_an_execution_by_its_id(self):
        for found in self.found.values():
            api, = chain.named(found, "api.request")
            self.assertEqual({api.trace_id}, server.search("agent-api", {"execution_id": api.attributes["execution_id"]}))


class WithTheBridgeInItsOwnProcess(Orders, unittest.TestCase):
    pass


class WithTheBridgeInsideTheBroker(Orders, unittest.TestCase):
    options = ("--in-process-bridge",)


if __name__ == "__main__":
    jaeger.require()
    unittest.main()
