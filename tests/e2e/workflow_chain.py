# SPDX-License-Identifier: Apache-2.0
"""What the traces of demos/workflow have to be: who is below whom, with which attributes. Functions over spans.Span.

The hops of the bus between two agents are left out of the comparison here; tests/integration/test_actions.py has them."""

from exec_chain import assert_one_trace, chain, expect

HOPS = ("action.invoke", "action.dispatch", "bridge.forward", "agent.on_action",
        "agent.emit", "bridge.publish", "eventbus.publish", "agent.on_event")
REQUESTS = ("action.retry", "http.action", "GET", "GET /prices/{item}")  # may fail in an order that goes well
SUB = "workflow.sub_workflow"
STEP = "workflow.step.execute"
REQUEST = ("POST /v1/actions/{capability}", "SERVER", "loom-gateway")
OK, ERROR = 1, 2


def own(found):
    """The spans that are no hops of the bus, by the nearest such span above them: {parent or None: [span …]}."""
    by_id = {span.span_id: span for span in found}
    children = {}
    for span in sorted(found, key=lambda span: span.start_ns):
        if span.name in HOPS:
            continue
        above = by_id.get(span.parent_id)
        while above is not None and above.name in HOPS:
            above = by_id.get(above.parent_id)
        children.setdefault(above and above.span_id, []).append(span)
    return children


def tree(found):
    """The trace as nested lists: [name, child …], where a step's name has its node_id."""
    children = own(found)

    def grow(span):
        node = f":{span.attributes['node_id']}" if span.name == STEP else ""
        return [span.name + node, *(grow(child) for child in children.get(span.span_id, []))]

    return [grow(root) for root in children[None]]


def http(route, attempts=1):
    return [["http.action", ["GET", [f"GET /{route}"]]] for _ in range(attempts)]


def price(attempts=1):
    return [f"{STEP}:price", *(["action.retry", action] for action in http("prices/{item}", attempts))]


def request(item, *inside):
    return [[f"order {item}", [REQUEST[0], ["api.request", ["workflow.execute", *inside, ["queue.process_message"]]]]]]


SHIP = [f"{STEP}:ship", [SUB, [f"{STEP}:rate", *http("rates/{country}")], [f"{STEP}:label", ["transform.action"]]]]
TOTAL = [f"{STEP}:total", ["transform.action"]]
TREES = {"tea": request("tea", price(), TOTAL, SHIP), "honey": request("honey", price(2), TOTAL, SHIP),
         "unicorn": request("unicorn", price()), "ice": request("ice", price(3))}


def traces(written):
    """{item: its spans}."""
    roots = {span.name.removeprefix("order "): span for span in written if not span.parent_id}
    return {item: [span for span in written if span.trace_id == root.trace_id] for item, root in roots.items()}


def named(found, name):
    return sorted((span for span in found if span.name == name), key=lambda span: span.start_ns)


def assert_shape(item, found):
    assert_one_trace(found)
    expect(tree(found) == TREES[item], f"the tree is {tree(found)}", found)
    server, = named(found, REQUEST[0])
    expect((server.kind, server.service) == REQUEST[1:], f"{server.kind} {server.service}", found)
    expect([span.name for span in chain(found, server)] == [f"order {item}", REQUEST[0]], "the gateway's parent", found)


def assert_attributes(found):
    """The ids that every span of the workflow has, and what each kind has besides."""
    api, = named(found, "api.request")
    execution = api.attributes["execution_id"]
    for span in found:
        if not span.name.startswith(("workflow.", "api.", "http.", "transform.", "action.retry", "queue.")):
            continue
        below = any(above.name == SUB for above in chain(found, span))
        ids = {key: span.attributes.get(key) for key in ("tenant_id", "workflow_id", "execution_id")}
        expect(ids == {"tenant_id": "acme", "workflow_id": "shipping" if below else "order", "execution_id": execution},
               f"{span.name}: {ids}", found)
        expect(span.attributes.get("component"), f"{span.name} has no component", found)
    types = {"price": "http", "total": "transform", "ship": "workflow", "rate": "http", "label": "transform"}
    for step in named(found, STEP) + named(found, "http.action") + named(found, "transform.action"):
        expect(types[step.attributes["node_id"]] == step.attributes["node_type"], f"{step.name}: {step.attributes}", found)
    for step in named(found, STEP):
        expect(("step.started", {"node_id": step.attributes["node_id"]}) in step.events, f"events: {step.events}", found)
    for sub in named(found, SUB):
        part = [sub.attributes[key] for key in ("parent_workflow_id", "child_workflow_id", "depth")]
        expect(part == ["order", "shipping", 1], f"{SUB}: {part}", found)
    message, = named(found, "queue.process_message")
    expect((message.kind, message.attributes["queue.name"]) == ("CONSUMER", "workflow.finished"), "the message", found)
    expect(message.attributes["queue.message_id"], "the message has no id", found)


def assert_http(found, statuses):
    """Client and server of each request, in their order: (status, resend)."""
    for name, kind, url in (("GET", "CLIENT", "url.full"), ("GET /prices/{item}", "SERVER", "url.path")):
        calls = [span for span in named(found, name) if "/prices/" in span.attributes[url]]
        expect([span.attributes["http.response.status_code"] for span in calls] == statuses, f"{name}: statuses", found)
        expect({span.kind for span in calls} == {kind}, f"{name}: kind", found)
        if kind == "CLIENT":
            resends = [span.attributes.get("http.request.resend_count", 0) for span in calls]
            expect(resends == list(range(len(statuses))), f"resends {resends}", found)


def assert_retries(found, needed):
    retries = named(found, "action.retry")
    got = [tuple(span.attributes[key] for key in ("action_name", "attempt", "retry_count", "retry_needed")) for span in retries]
    expect(got == [("http.action", n + 1, n, failed) for n, failed in enumerate(needed)], f"action.retry: {got}", found)
    expect([span.status for span in retries] == [ERROR if failed else OK for failed in needed], "action.retry: status", found)


def assert_failed(found, code):
    """Everything of the workflow on the way up from the request that failed has its code; the caller has 502."""
    last = named(found, "http.action")[-1]
    for span in chain(found, last):
        if span.name in ("http.action", STEP, "workflow.execute", "api.request", "action.retry"):
            expect((span.status, span.attributes.get("error.type")) == (ERROR, code), f"{span.name}: {span.attributes}", found)
            types = [event["exception.type"] for name, event in span.events if name == "exception"]
            expect(types == [code], f"{span.name}: exceptions {types}", found)
    server, = named(found, REQUEST[0])
    expect(server.attributes["http.response.status_code"] == 502, "the caller's status", found)


def assert_done(found):
    failed = [span.name for span in found if span.status == ERROR and span.name not in (*REQUESTS, *HOPS)]
    expect(failed == [], f"failed: {failed}", found)
    server, = named(found, REQUEST[0])
    expect(server.attributes["http.response.status_code"] == 200, "the caller's status", found)
