# SPDX-License-Identifier: Apache-2.0
"""Capabilities: agents that provide and invoke, the command line, and one trace a call; in both homes of the bridge."""

import json
import os
import signal
import time
import unittest

import wire
from actions import ERROR, NO_RESPONDERS, OK, Actions
from harness import LoomTest, in_both_homes, runs, wait_until


@in_both_homes
class CommandLine:
    def providing(self, bus, capability, *command, options=()):
        """A `loom provide` that provides when this returns."""
        process = bus.run("loom", "provide", "--url", bus.url, *options, capability, "--", *command)
        wait_until(lambda: "providing" in process.err or not process.running(), f"{capability} is provided")
        self.assertTrue(process.running(), process.err)
        return process

    def control(self, bus):
        return "--control", f"ipc://{bus.control_path}"

    def test_a_command_is_called_with_the_payload_and_its_output_is_the_result(self):
        bus = self.home(spans=False)
        self.providing(bus, "text.upper", "tr", "a-z", "A-Z")
        self.assertEqual("HELLO", bus.loom("invoke", "text.upper", "hello").stdout)
        self.assertEqual("FROM A PIPE\n", bus.loom("invoke", "text.upper", "-", given="from a pipe\n").stdout)

    def busy(self, bus, script="", start=None):
        """A provider or the like, and the processes of its command: a shell and what it waits for.
        Once it has its input, whoever started it knows of it."""
        marks = bus.folder / "shell", bus.folder / "child"
        command = "sh", "-c", f"cat > {bus.folder}/input; {script} sleep 1000 & echo $! > {marks[1]}; echo $$ > {marks[0]}; wait"
        process = start(*command) if start else self.providing(bus, "hangs", *command)
        asking = bus.run("loom", "request" if start else "invoke", "--url", bus.url, "hangs", "x")
        pids = [wait_until(lambda mark=mark: mark.exists() and mark.read_text().strip(), "the command runs") for mark in marks]
        self.assertTrue(all(map(runs, pids)))
        self.addCleanup(asking.kill)
        return process, pids

    def gone(self, pids):
        wait_until(lambda: not any(map(runs, pids)), "the command and its child have ended")

    def test_its_commands_end_with_it(self):
        bus = self.home(spans=False)
        process, pids = self.busy(bus)
        self.assertEqual(0, process.stop(), process.err)
        self.gone(pids)

    def test_a_command_that_does_not_want_to_end_is_killed(self):
        bus = self.home(spans=False)
        process, pids = self.busy(bus, "trap '' TERM;")
        self.assertEqual(0, process.stop(), process.err)
        self.gone(pids)

    def test_a_second_signal_leaves_no_command_behind(self):
        bus = self.home(spans=False)
        process, pids = self.busy(bus, "trap '' TERM;")
        process.signal(signal.SIGTERM)
        process.signal(signal.SIGTERM)
        process.wait()
        self.gone(pids)

    def test_a_provider_or_responder_that_is_killed_leaves_no_command_behind(self):
        for verb in ("provide", "reply"):
            bus = self.home(spans=False)

            def start(*command, bus=bus, verb=verb):
                process = bus.run("loom", verb, "--url", bus.url, "hangs", "--", *command)
                wait_until(lambda: "providing" in process.err or "answering" in process.err, f"{verb} waits")
                return process

            process, pids = self.busy(bus, "trap '' TERM;", start if verb == "reply" else None)
            bus.kill(process)
            self.gone(pids)

    def test_commands_end_when_their_caller_has_gone_with_the_bus(self):
        bus = self.home(spans=False)
        _, pids = self.busy(bus)
        bus.kill(bus.serving)
        self.gone(pids)

    def test_the_command_is_part_of_the_trace(self):
        bus = self.home()
        self.providing(bus, "context.show", "sh", "-c", "echo $TRACEPARENT $LOOM_CAPABILITY $LOOM_CALLER",
                       options=("--kind", "tool"))
        done = bus.loom("invoke", "--id", "asker", "context.show", "--json")
        answer = json.loads(done.stdout)
        traceparent, capability, caller = answer["payload"].split()
        self.assertEqual(answer["trace_id"], traceparent.split("-")[1])
        self.assertEqual(("context.show", "asker"), (capability, caller))
        spans = {"command" if "process.pid" in span.attributes else span.name: span for span in bus.wait_spans(6)}
        ladder = [("loom invoke", "INTERNAL"), ("action.invoke", "CLIENT"), ("action.dispatch", "SERVER"),
                  ("bridge.forward", "CLIENT"), ("agent.on_action", "SERVER"), ("command", "CLIENT")]
        for (parent, _), (name, kind) in zip(ladder, ladder[1:]):
            self.assertEqual(spans[parent].span_id, spans[name].parent_id)
            self.assertEqual(kind, spans[name].kind)
        self.assertEqual(spans["command"].span_id, traceparent.split("-")[2])
        self.assertEqual("execute_tool", spans["agent.on_action"].attributes["gen_ai.operation.name"])
        self.assertEqual(spans["agent.on_action"].attributes["thread_id"], spans["agent.on_action"].attributes["gen_ai.conversation.id"])
        for name in ("action.invoke", "action.dispatch", "bridge.forward"):
            self.assertFalse([key for key in spans[name].attributes if key.startswith("gen_ai.")], name)

    def test_a_failing_command_is_an_error_with_its_exit_code_and_last_words(self):
        bus = self.home(spans=False)
        self.providing(bus, "fail.now", "sh", "-c", "echo first >&2; echo oops >&2; exit 3")
        done = bus.loom("invoke", "fail.now", code=1)
        self.assertIn("fail.now: error (exit_3): oops", done.stderr)
        answer = json.loads(bus.loom("invoke", "fail.now", "--json", code=1).stdout)
        self.assertEqual(("error", "exit_3", "oops"), (answer["outcome"], answer["code"], answer["text"]))

    def test_a_provider_that_validates_refuses_what_its_schemas_do_not_allow(self):
        bus = self.home(spans=False)
        for name, text in ("in", '{"type": "integer", "minimum": 1}'), ("out", '{"type": "string"}'), ("bad", '{"type": "strnig"}'):
            (bus.folder / f"{name}.json").write_text(text)
        self.providing(bus, "text.times", "sh", "-c", '[ $(cat) = 7 ] && echo 7 || echo \'"x"\'', options=(
            "--input-schema", "in.json", "--output-schema", "out.json", "--validate", "--metadata", "team=sky", "-m", "tier=free=yes"))
        self.assertEqual('"x"\n', bus.loom("invoke", "text.times", "5").stdout)
        refused = bus.loom("invoke", "text.times", "0", code=1).stderr
        self.assertIn("text.times: error (invalid_input): at the top: Expected number greater than or equal to 1", refused)
        self.assertIn("error (invalid_output)", bus.loom("invoke", "text.times", "7", code=1).stderr)
        cap, = json.loads(bus.loom("caps", "--json", *self.control(bus)).stdout)["capabilities"]
        self.assertEqual({"team": "sky", "tier": "free=yes"}, cap["metadata"])
        bad = bus.loom("provide", "--input-schema", "bad.json", "a.b", "--", "true", code=1).stderr
        self.assertIn('cannot provide "a.b": capability "a.b": its input_schema is not JSON Schema: at /type', bad)
        self.assertIn("KEY=VALUE", bus.loom("provide", "-m", "team", "a.b", "--", "true", code=2).stderr)

    def test_what_nobody_provides_is_told_at_once(self):
        bus = self.home(spans=False)
        done = bus.loom("invoke", "nobody.home", "--deadline", "1h", code=5)
        self.assertIn("no_responders", done.stderr)

    def test_a_command_that_takes_too_long_is_ended(self):
        bus = self.home(spans=False)
        mark = bus.folder / "pid"
        self.providing(bus, "slow", "sh", "-c", f"echo $$ > {mark}; exec sleep 1000")
        done = bus.loom("invoke", "slow", "--deadline", "300ms", code=4)
        self.assertIn("timeout", done.stderr)
        pid = int(mark.read_text())
        wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "the command was killed")

    def test_chunks_come_as_they_are_printed(self):
        bus = self.home(spans=False)
        gate = bus.folder / "gate"
        os.mkfifo(gate)
        self.providing(bus, "count", "sh", "-c", f"echo one; read x < {gate}; echo two")
        caller = bus.run("loom", "invoke", "--url", bus.url, "count", "--stream")
        wait_until(lambda: "one" in caller.out, "the first chunk is there before the command has ended")
        gate.write_text("go\n")
        self.assertEqual(0, caller.wait())
        self.assertEqual("one\ntwo\n", caller.out)

    def test_more_output_than_a_message_holds_goes_in_chunks_or_is_refused(self):
        bus = self.home(spans=False)
        self.providing(bus, "much", "head", "-c", "3000000", "/dev/zero")
        self.assertIn("output_too_large", bus.loom("invoke", "much", code=1).stderr)
        self.assertEqual(3000000, len(bus.loom("invoke", "much", "--stream").stdout))

    def test_the_directory_lists_agents_capabilities_and_topics(self):
        bus = self.home(spans=False)
        schema = bus.folder / "schema.json"
        schema.write_text('{"type": "string"}')
        provider = self.providing(bus, "text.upper", "tr", "a-z", "A-Z", options=(
            "--id", "shouter", "--version", "1.2.0", "--kind", "tool", "--description", "Upper case", "--input-schema", schema))
        listener = self.agent(bus, "listener").subscribe("news.*")
        bus.loom("pub", "news.today", "x")
        listener.wait_events(1)
        bus.loom("invoke", "text.upper", "x")

        agents = {a["agent"]: a for a in json.loads(bus.loom("agents", *self.control(bus), "--json").stdout)["agents"]}
        self.assertLessEqual({"shouter", "listener"}, set(agents))
        self.assertEqual("active", agents["shouter"]["state"])
        self.assertEqual([{"name": "text.upper", "version": "1.2.0"}], agents["shouter"]["capabilities"])
        self.assertEqual(["news.*"], [s["filter"] for s in agents["listener"]["subscriptions"]])
        self.assertIn("listener", bus.loom("agents", *self.control(bus), "--topic", "news.x").stdout)
        self.assertNotIn("shouter", bus.loom("agents", *self.control(bus), "--topic", "news.x").stdout)
        self.assertIn("shouter", bus.loom("agents", *self.control(bus), "--capability", "text.upper").stdout)

        [cap] = json.loads(bus.loom("caps", *self.control(bus), "text.upper", "--json").stdout)["capabilities"]
        self.assertEqual(("1.2.0", "tool", "Upper case", {"type": "string"}),
                         (cap["version"], cap["kind"], cap["description"], cap["input_schema"]))
        self.assertEqual([("shouter", "1", "0")], [(p["agent"], p["calls"], p["errors"]) for p in cap["providers"]])
        topics = json.loads(bus.loom("topics", *self.control(bus), "news.>", "--json").stdout)["topics"]
        self.assertEqual([("news.today", "1", "1")], [(t["topic"], t["published"], t["delivered"]) for t in topics])
        self.assertIn('not found: "nobody"', bus.loom("agents", *self.control(bus), "nobody", code=5).stderr)

        bus.kill(provider)
        wait_until(lambda: "shouter" not in bus.loom("agents", *self.control(bus)).stdout, "the provider has left")
        self.assertNotIn("text.upper", bus.loom("caps", *self.control(bus)).stdout)

    def test_who_comes_and_goes_is_news_on_system_agents(self):
        bus = self.home(spans=False)
        watcher = self.agent(bus, "watcher").subscribe("system.agents")
        passing = bus.agent("passing")
        passing.close()
        events = watcher.wait_events(2)
        self.assertEqual([("agent.registered", "passing"), ("agent.unregistered", "passing")],
                         [(event.type, json.loads(event.payload)["agent"]) for event in events])

    def test_a_request_gets_the_first_answer(self):
        bus = self.home(spans=False)
        self.agent(bus, "clock").subscribe("time.now")  # hears it, and says nothing
        done = bus.loom("request", "time.now", "--timeout", "200ms", code=4)
        self.assertIn("no reply on", done.stderr)


@in_both_homes
class Calls(Actions):
    """The same on the wire, where a client does as it likes."""

    def test_a_call_goes_to_the_provider_and_its_result_back(self):
        bus, provider, caller = self.pair()
        provider.provide("math.add", version="1.0")
        call_id = caller.call("math.add", b"1 2", headers={"unit": "m"}, content_type="text/plain")
        call = provider.wait_call()
        self.assertEqual(("math.add", "1.0", b"1 2"), (call.capability, call.version, call.envelope.payload))
        self.assertEqual(("caller", {"unit": "m"}, "text/plain"),
                         (call.envelope.sender, call.envelope.headers, call.envelope.content_type))
        self.assertTrue(25000 < call.deadline_ms <= 30000, call.deadline_ms)
        provider.answer(call.call_id, payload=b"3")
        self.assertEqual((OK, b"3"), caller.wait_result(call_id)[:2])
        self.assert_outcomes(bus, ok=1)

    def test_the_providers_error_is_the_callers(self):
        bus, provider, caller = self.pair("fails")
        call_id = caller.call("fails")
        provider.answer(provider.wait_call().call_id, ERROR, b"details", "not_found", "there is no such thing")
        self.assertEqual((ERROR, b"details", "not_found", "there is no such thing"), caller.wait_result(call_id))

    def test_every_outcome_that_a_provider_may_give_reaches_the_caller(self):
        bus, provider, caller = self.pair("anything")
        for outcome in range(7):
            call_id = caller.call("anything")
            provider.answer(provider.wait_call().call_id, outcome)
            self.ended(caller, call_id, outcome)
        self.assert_outcomes(bus, **dict.fromkeys(wire.OUTCOMES, 1))

    def test_an_agent_may_call_itself(self):
        bus = self.bus_of_calls()
        alone = self.agent(bus, "alone").provide("echo")
        self.served(alone, alone, "echo")

    def test_what_nobody_provides_is_told_at_once(self):
        bus, provider, caller = self.pair()
        started = time.monotonic()
        self.ended(caller, caller.call("nobody.home", deadline_ms=3_600_000), NO_RESPONDERS, "no_provider")
        self.assert_soon(started)

    def test_a_call_without_an_id_gets_one(self):
        bus, provider, caller = self.pair("echo")
        caller.call("echo", call_id=b"")
        provider.answer(provider.wait_call().call_id, payload=b"x")
        [(call_id, [result])] = caller.wait(lambda: list(caller.results.items()), "the result")
        self.assertEqual((16, OK), (len(call_id), result.outcome))

    def test_calls_that_overtake_each_other_keep_their_results(self):
        bus, provider, caller = self.pair("echo")
        wanted = {caller.call("echo", b"%d" % n): b"%d" % n for n in range(50)}
        provider.wait(lambda: len(provider.calls) == 50, "all calls")
        for call in reversed(provider.calls):
            provider.answer(call.call_id, payload=call.envelope.payload)
        for call_id, payload in wanted.items():
            self.assertEqual((OK, payload), caller.wait_result(call_id)[:2])


@in_both_homes
class Versions(Actions):
    def version_of(self, caller, providers, **asked):
        """Who a call goes to, and in which version."""
        call_id = caller.call("it", **asked)
        hit = caller.wait(lambda: next((p for p in providers if p.calls or p.pump(0)), None), "the call reaches one of them")
        call = hit.wait_call()
        hit.answer(call.call_id)
        self.assertEqual(OK, caller.wait_result(call_id).outcome)
        return call.version

    def test_without_a_version_the_highest_is_called(self):
        bus, provider, caller = self.pair()
        for version in ("1.9", "1.10", "1.10-rc.1", "0.99"):
            provider.provide("it", version)
        self.assertEqual("1.10", self.version_of(caller, [provider]))
        provider.provide("it", "2")
        self.assertEqual("2", self.version_of(caller, [provider]))

    def test_a_version_is_taken_by_its_letter(self):
        bus, provider, caller = self.pair()
        for version in ("1.0", "1.00", "1.1"):
            provider.provide("it", version)
        for version in ("1.0", "1.00", "1.1"):
            self.assertEqual(version, self.version_of(caller, [provider], version=version))

    def test_a_version_that_nobody_provides_is_told_at_once(self):
        bus, provider, caller = self.pair()
        provider.provide("it", "1.0")
        self.ended(caller, caller.call("it", version="1"), NO_RESPONDERS, "no_provider")

    def test_a_capability_without_a_version_has_version_0(self):
        bus, provider, caller = self.pair("it")
        self.assertEqual("0", self.version_of(caller, [provider], version="0"))

    def test_the_highest_version_is_looked_for_among_all_providers(self):
        bus, first, caller = self.pair()
        second = self.agent(bus, "second").provide("it", "1.3")
        first.provide("it", "1.2")
        self.assertEqual("1.3", self.version_of(caller, [first, second]))
        self.assertEqual(wire.OK, second.request(wire.PROVIDE, name="it", version="1.3", withdraw=True)["status"])
        self.assertEqual("1.2", self.version_of(caller, [first, second]))


@in_both_homes
class Providers(Actions):
    """Several of one capability, and their going."""

    def test_calls_go_to_whoever_has_fewest_open(self):
        bus, first, caller = self.pair("it")
        others = [self.agent(bus, f"other-{n}").provide("it") for n in range(2)]
        ids = [caller.call("it") for _ in range(9)]
        everybody = [first, *others]
        for provider in everybody:
            provider.wait(lambda provider=provider: len(provider.calls) == 3, "its third of the calls")
        for call in others[0].calls:  # now it has none, and the next three are for it
            others[0].answer(call.call_id)
        self.through(others[0])
        others[0].calls.clear()
        ids += [caller.call("it") for _ in range(3)]
        others[0].wait(lambda: len(others[0].calls) == 3, "all three")
        for provider in everybody:
            for call in provider.calls:
                provider.answer(call.call_id)
        for call_id in ids:
            self.assertEqual(OK, caller.wait_result(call_id).outcome)

    def test_what_is_withdrawn_is_not_called_but_finishes_what_it_has(self):
        bus, provider, caller = self.pair("it")
        running = caller.call("it")
        call = provider.wait_call()
        self.assertEqual(wire.OK, provider.request(wire.PROVIDE, name="it", withdraw=True)["status"])
        self.ended(caller, caller.call("it"), NO_RESPONDERS)
        provider.answer(call.call_id, payload=b"still")
        self.assertEqual((OK, b"still"), caller.wait_result(running)[:2])
        self.assertEqual(wire.ENOTFOUND, provider.request(wire.PROVIDE, name="it", withdraw=True)["status"])

    def goes(self, bus, leave):
        """All that leave() ends: what the provider offered, and the call it was working on."""
        caller = self.agent(bus, "caller")
        provider = self.agent(bus, "provider")
        for n in range(20):
            provider.provide(f"it.{n}")
        running = caller.call("it.0")
        provider.wait_call()
        started = time.monotonic()
        leave(provider)
        self.ended(caller, running, ERROR, "provider_gone")
        self.assert_soon(started)
        self.ended(caller, caller.call("it.19"), NO_RESPONDERS)
        return provider

    def test_a_provider_that_says_goodbye_takes_everything_along(self):
        bus = self.bus_of_calls()
        self.goes(bus, lambda provider: provider.send(wire.BYE, {"status": 0}))
        self.assertEqual(0, self.actions(bus)["capabilities"])

    def test_a_provider_whose_connection_closes_takes_everything_along(self):
        bus = self.bus_of_calls()
        self.goes(bus, lambda provider: provider.close())
        self.assertEqual(0, self.actions(bus)["capabilities"])

    def test_a_provider_that_is_replaced_takes_everything_along(self):
        bus = self.bus_of_calls()
        older = self.goes(bus, lambda _: self.agent(bus, "provider").provide("other"))
        self.assertEqual(wire.EREPLACED, older.wait_end()[1])
        self.assertEqual(1, self.actions(bus)["capabilities"])

    def test_a_provider_that_breaks_the_protocol_takes_everything_along(self):
        bus = self.bus_of_calls()
        self.goes(bus, lambda provider: provider.send(99, 0))

    def test_a_killed_provider_process_is_noticed_at_once(self):
        bus = self.bus_of_calls()
        mark = bus.folder / "pid"
        victim = bus.run("loom", "provide", "--url", bus.url, "hangs", "--", "sh", "-c", f"echo $$ > {mark}; exec sleep 1000")
        wait_until(lambda: "providing" in victim.err, "it provides")
        caller = self.agent(bus, "caller")
        call_id = caller.call("hangs")
        pid = wait_until(lambda: mark.exists() and mark.read_text().strip(), "the command runs")
        started = time.monotonic()
        bus.kill(victim)
        self.ended(caller, call_id, ERROR, "provider_gone")
        self.assert_soon(started)
        wait_until(lambda: not runs(pid), "the command has ended")

    def test_a_caller_that_leaves_has_its_calls_cancelled(self):
        bus, provider, caller = self.pair("it")
        for _ in range(3):
            caller.call("it")
        provider.wait(lambda: len(provider.calls) == 3, "the calls")
        caller.close()
        provider.wait(lambda: len(provider.cancels) == 3, "the cancels")
        self.assertEqual({call.call_id for call in provider.calls}, {call_id for call_id, _ in provider.cancels})
        self.assert_outcomes(bus, cancelled=3)

    def test_bad_capabilities_are_refused_and_nothing_is_left_of_them(self):
        bus, provider, caller = self.pair()
        for status, fields in (
                (wire.EINVAL, {"name": ""}), (wire.EINVAL, {"name": "a b"}), (wire.EINVAL, {"name": "a.*"}),
                (wire.EINVAL, {"name": "it", "kind": "robot"}), (wire.EDENIED, {"name": "system.it"})):
            with self.subTest(fields=str(fields)[:60]):
                ack = provider.request(wire.PROVIDE, **fields)
                self.assertEqual(status, ack["status"], ack)
                self.assertTrue(ack["text"])
        self.assertEqual(0, self.actions(bus)["capabilities"])
        provider.provide("it", "v" * 64, input_schema="x" * 16384, output_schema="x" * 16384, description="x" * 4096,
                         metadata={"%02d" % n: "y" * 500 for n in range(32)})

    def test_a_field_over_its_limit_ends_the_session_and_no_other(self):
        bus, provider, caller = self.pair("it")
        for number, fields in enumerate(({"name": "x" * 257}, {"version": "1" * 65}, {"description": "x" * 4097},
                                         {"kind": "x" * 17}, {"input_schema": "x" * 16385}, {"output_schema": "x" * 16385},
                                         {"metadata": {str(n): "x" for n in range(33)}}, {"metadata": {"x": "y" * 17000}},
                                         {"metadata": {"x": 1}}, {"metadata": [1]}, {"withdraw": 1}, {"request": "1"})):
            with self.subTest(fields=str(fields)[:60]):
                stranger = self.agent(bus, f"stranger-{number}")
                stranger.send(wire.PROVIDE, {"request": 1, "name": "it", **fields})
                self.assertEqual((wire.ERROR, wire.EMALFORMED), stranger.wait_end()[:2])
        self.assertEqual(1, self.actions(bus)["capabilities"])
        self.served(provider, caller, "it")

    def test_an_agent_cannot_provide_without_end(self):
        bus, provider, caller = self.pair()
        for n in range(1000):
            provider.send(wire.PROVIDE, {"request": 0, "name": f"it.{n}"})
        self.assertEqual(wire.EFULL, provider.request(wire.PROVIDE, name="more")["status"])
        self.assertEqual(1000, self.actions(bus)["capabilities"])
        provider.close()
        wait_until(lambda: self.actions(bus)["capabilities"] == 0, "all of them have gone")


if __name__ == "__main__":
    unittest.main()
