# SPDX-License-Identifier: Apache-2.0
"""What was suspected by reading: races of closing and of signals in libloom, and envelopes of nearly the largest size."""


from hostile import BIN, IN_BROKER, Ended, HostileTest, Process, in_both_homes, main, wait_until, wire

ENVELOPE_MAX = (1 << 20) + 64 * 1024


class Races(HostileTest):
    """hostile_races makes one interleaving certain, and says what comes of it."""
    kind = IN_BROKER

    def interleaved(self, mode, url=None):
        home = self.home(spans=False)
        process = Process(home.folder, "races", [str(BIN.parent / "tests" / "hostile_races"), mode,
                                                 url or f"ipc://{home.folder}/nobody"], home.environment)
        self.addCleanup(process.kill)
        process.wait()
        said = (process.out.strip().splitlines() or [f"ended with {process.popen.returncode}: {process.err[:200]}"])[-1]
        self.assertNotIn(said, ("nothing waits", "no thread", "emit failed"))
        self.right(said == "safe", said)

    def test_an_agent_lives_while_another_thread_waits_for_its_connection(self):
        self.interleaved("wait_connected")

    def test_an_agent_lives_while_another_thread_flushes_it(self):
        self.interleaved("flush")

    def test_an_agent_lives_while_another_thread_runs_it(self):
        self.interleaved("run")

    def test_an_agent_lives_while_another_thread_waits_for_room_to_emit(self):
        home = self.home(spans=False)
        stalled = self.agent(home, "stalled", credit_messages=1)
        stalled.subscribe("a.b", queue_messages=1)  # whoever publishes there is held back
        self.interleaved("emit", home.url)

    def test_a_signal_handler_writes_to_no_descriptor_of_others(self):
        self.interleaved("signal")


@in_both_homes
class Stamps:
    """A foreign client leaves it to the bridge to set the sender and the hop context, and an envelope has a largest size."""

    def published(self, **fields):
        """An envelope that is as large as may be, and grows at the bridge."""
        home = self.home(spans=False)
        receiver = self.agent(home, "receiver").subscribe("flow")
        foreign = self.agent(home, "foreign-client-with-a-name")
        plain = wire.envelope("flow", bytes(1 << 20), **fields)
        room = ENVELOPE_MAX - len(plain) - 3
        envelope = b"\xdc\x00\x11" + plain[3:] + b"\xc5" + room.to_bytes(2, "big") + bytes(room)
        self.assertEqual(ENVELOPE_MAX, len(envelope))
        foreign.wait(lambda: foreign.granted > 0, "credit")
        foreign.link.send(wire.publish_frame([envelope]))
        try:
            foreign.sync()
        except (OSError, Ended):  # what was said before the end is still there to be read
            wait_until(lambda: foreign.pump() or foreign.closed, "the end of the session")
        receiver.pump(0.1)
        return foreign, receiver

    def assert_goes_on(self, foreign, receiver):
        self.right(foreign.end is None and not foreign.closed,
                   f"the session {'goes on' if foreign.end is None else f'is ended: {foreign.end}'}; "
                   f"{len(receiver.events)} delivered, notices {[notice['text'] for notice in foreign.notices]}")

    def test_an_envelope_of_the_largest_size_passes(self):
        foreign, receiver = self.published(sender="foreign-client-with-a-name", hop=wire.new_hop())
        receiver.wait_events(1)
        self.assert_goes_on(foreign, receiver)

    def test_an_envelope_that_the_senders_stamp_makes_too_large_does_not_end_the_session(self):
        self.assert_goes_on(*self.published(sender=None, hop=wire.new_hop()))

    def test_an_envelope_that_the_hop_context_makes_too_large_does_not_end_the_session(self):
        self.assert_goes_on(*self.published(sender="foreign-client-with-a-name", hop=None))

    def test_a_call_that_the_senders_stamp_makes_too_large_does_not_end_the_session(self):
        home = self.home(spans=False)
        foreign = self.agent(home, "foreign-client-with-a-name")
        plain = wire.envelope("flow", bytes(1 << 20), hop=wire.new_hop())
        room = ENVELOPE_MAX - len(plain) - 3
        envelope = b"\xdc\x00\x11" + plain[3:] + b"\xc5" + room.to_bytes(2, "big") + bytes(room)
        foreign.link.send(wire.call_frame(b"id", "flow", envelope))
        result = foreign.wait_result(b"id")
        self.right(foreign.end is None, f"the call ends with {result[:1] + result[2:]}")


del Stamps  # only in their homes

if __name__ == "__main__":
    main()
