# SPDX-License-Identifier: Apache-2.0
"""demos/exec, asked about in a real Jaeger: an agent's call goes on in a command, in a container, in the spans of a Python
program, and in the system calls of what that starts, all in one trace."""

import unittest

import demos
import exec_chain
import jaeger
import ladder
import podman

DEMO = jaeger.ROOT / "demos" / "exec" / "run.sh"


def setUpModule():
    global server  # unittest gives a module's fixture no other place
    server = unittest.enterModuleContext(jaeger.Jaeger())


def run(*options):
    """The traces of orders.report and orders.archive, as Jaeger has them, each with what the processes wrote."""
    return [(server.wait_trace(written[0].trace_id, lambda found, written=written: len(found) >= len(written), demos.TRACE_DEADLINE_S),
             written) for written in exec_chain.traces(demos.run(server, DEMO, *options))]


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.report, cls.archive = run()

    def test_the_tool_and_its_system_calls_are_below_the_call(self):
        exec_chain.assert_report(self.report[0])

    def test_system_calls_are_below_the_span_of_python(self):
        exec_chain.assert_archive(self.archive[0])

    def test_jaeger_holds_exactly_what_the_processes_wrote(self):
        for found, written in (self.report, self.archive):
            self.assertEqual({(s.span_id, s.parent_id, s.name, s.start_ns, s.end_ns) for s in written},
                             {(s.span_id, s.parent_id, s.name, s.start_ns, s.end_ns) for s in found})

    def test_jaeger_finds_nothing_odd(self):
        for found, _ in (self.report, self.archive):
            ladder.assert_nothing_odd(found)


class InAContainer(unittest.TestCase):
    def test_the_chain_goes_through_a_container(self):
        engine = podman.for_test(self, exec_chain.OF_THE_HOST)
        _, (found, _) = run(*exec_chain.container_options(engine))
        exec_chain.assert_archive(found, in_container=True)
        ladder.assert_nothing_odd(found)


if __name__ == "__main__":
    jaeger.require()
    unittest.main()
