# SPDX-License-Identifier: Apache-2.0
"""The ladder: each hop of a message is one span, whose parent is the span of the hop before it.

Pure functions over spans.Span. The expectation is written down here and nowhere derived from the code under test."""

from dataclasses import dataclass

from spans import draw

# What users of the bus search for; every span that a message leaves behind carries them.
SEARCHABLE = ("agent_id", "topic", "event_id", "thread_id", "correlation_id")


@dataclass(frozen=True)
class Rung:
    name: str
    kind: str
    service: str
    link_to: int | None = None  # index of the rung that the one link of this span points to


class BrokenLadder(AssertionError):
    """Says which rule is broken, and draws the trace."""

    def __init__(self, problem, spans):
        super().__init__(f"{problem}\n{draw(spans)}")


def hop(sender, receiver, first):
    """The five spans of one event from sender to receiver; first is the index of the first of them."""
    return [
        Rung("agent.emit", "PRODUCER", sender),
        Rung("bridge.publish", "CONSUMER", "loom-bridge"),
        Rung("eventbus.publish", "INTERNAL", "loom-broker"),
        Rung("bridge.forward", "PRODUCER", "loom-bridge"),
        Rung("agent.on_event", "CONSUMER", receiver, link_to=first),  # the creation context is the agent.emit
    ]


def trace_test():
    """One reading of the trace-test demo: sensor to processor to output."""
    ladder = [Rung("sensor.emit_data", "INTERNAL", "agent-sensor")]
    ladder += hop("agent-sensor", "agent-processor", first=1)
    ladder += hop("agent-processor", "agent-output", first=6)
    return ladder


def assert_one_tree(spans):
    """One trace id, no id twice, exactly one root, every parent present."""
    if not spans:
        raise BrokenLadder("the trace has no spans", spans)
    ids = [span.span_id for span in spans]
    if len({span.trace_id for span in spans}) != 1:
        raise BrokenLadder("the spans belong to more than one trace", spans)
    twice = {span_id for span_id in ids if ids.count(span_id) > 1}
    if twice:
        raise BrokenLadder(f"span ids used twice: {', '.join(sorted(twice))}", spans)
    orphans = [span for span in spans if span.parent_id and span.parent_id not in ids]
    if orphans:
        raise BrokenLadder(f"orphans: {', '.join(span.name for span in orphans)}", spans)
    roots = [span for span in spans if not span.parent_id]
    if len(roots) != 1:
        raise BrokenLadder(f"{len(roots)} roots instead of one", spans)


def _climb(spans):
    """The spans from the root down, each the only child of the one before it."""
    children = {}
    for span in spans:
        children.setdefault(span.parent_id, []).append(span)
    climbed, parent_id = [], ""
    while children.get(parent_id):
        if len(children[parent_id]) > 1:
            names = ", ".join(span.name for span in children[parent_id])
            raise BrokenLadder(f"a star, not a ladder: {climbed[-1].name} has the children {names}", spans)
        climbed.append(children[parent_id][0])
        parent_id = climbed[-1].span_id
    return climbed


def assert_ladder(spans, expected):
    """Exactly the expected rungs, each the only child of the one before it. Returns the spans from the root down."""
    assert_one_tree(spans)
    climbed = _climb(spans)
    for depth, (span, rung) in enumerate(zip(climbed, expected), start=1):
        for what in ("name", "kind", "service"):
            got, wanted = getattr(span, what), getattr(rung, what)
            if got != wanted:
                raise BrokenLadder(f"rung {depth}, {rung.name}: {what} is {got}, not {wanted}", spans)
        _assert_links(span, rung, climbed, spans)
    if len(climbed) != len(expected):
        raise BrokenLadder(f"{len(climbed)} spans instead of {len(expected)}", spans)
    return climbed


def _assert_links(span, rung, climbed, spans):
    wanted = [] if rung.link_to is None else [(span.trace_id, climbed[rung.link_to].span_id)]
    got = [(link.trace_id, link.span_id) for link in span.links]
    if got != wanted:
        raise BrokenLadder(f"{rung.name} of {rung.service}: links are {got}, not {wanted}", spans)


def assert_searchable(climbed, expected):
    """Every span of a message names the message; a hop keeps its event_id, and the next hop has another."""
    events = []
    for span, rung in zip(climbed, expected):
        if not rung.name.startswith(("agent.", "bridge.", "eventbus.")):
            continue  # the user's own span
        missing = [key for key in SEARCHABLE if not span.attributes.get(key)]
        if missing:
            raise BrokenLadder(f"{span.name} of {span.service} lacks {', '.join(missing)}", climbed)
        if span.attributes.get("messaging.system") != "loom":
            raise BrokenLadder(f"{span.name} of {span.service} lacks messaging.system=loom", climbed)
        if rung.name == "agent.emit":
            events.append(span.attributes["event_id"])
        elif not events or span.attributes["event_id"] != events[-1]:
            raise BrokenLadder(f"{span.name} of {span.service} has the event_id of another message", climbed)
    if len(set(events)) != len(events):
        raise BrokenLadder("two messages share one event_id", climbed)


def assert_nothing_odd(spans):
    """Jaeger warns about nothing: clocks agree, because every resource names its host; no parent is missing."""
    for span in spans:
        if not span.resource.get("host.name"):
            raise BrokenLadder(f"{span.name} of {span.service} has no host.name", spans)
        if span.warnings:
            raise BrokenLadder(f"Jaeger warns about {span.name} of {span.service}: {'; '.join(span.warnings)}", spans)
