# SPDX-License-Identifier: Apache-2.0
"""What the traces of demos/exec have to be: from an agent's call down to system calls, every parent as it should be.

Functions over spans.Span, as in ladder.py; and how the demo is told to use a container."""

import podman
import spans

CALL = [("loom invoke", "INTERNAL", "loom-cli"), ("action.invoke", "CLIENT", "loom-cli"),
        ("action.dispatch", "SERVER", "loom-broker"), ("bridge.forward", "CLIENT", "loom-bridge"),
        ("agent.on_action", "SERVER", "loom-cli"), ("loom", "CLIENT", "loom-cli"), ("tool", "CLIENT", "loom-exec")]
STEPS = {"read_orders", "load_database", "query_database", "archive"}  # of the tool, below its span `report`
REPORT = [*CALL, ("report", "INTERNAL", "loom-exec")]
ARCHIVE = [*REPORT, ("archive", "INTERNAL", "loom-exec"), ("gzip", "CLIENT", "loom-exec"),
           ("process: gzip", "INTERNAL", "loom-exec")]
OF_THE_HOST = ("/usr", "/lib", "/lib64", "/bin")  # what Python and gzip need, for an image that has nothing


class BrokenChain(AssertionError):
    def __init__(self, problem, found):
        super().__init__(f"{problem}\n{spans.draw(found)}")


def chain(found, span):
    """From the root down to span, which has to be in one piece and inside of its parents' time."""
    by_id = {s.span_id: s for s in found}
    way = [span]
    while way[0].parent_id:
        if way[0].parent_id not in by_id or len(way) > len(found):
            raise BrokenChain(f"{way[0].name} hangs in the air", found)
        way.insert(0, by_id[way[0].parent_id])
    return way


def shape(way):
    return [(span.name, span.kind, span.service) for span in way]


def expect(condition, problem, found):
    if not condition:
        raise BrokenChain(problem, found)


def assert_one_trace(found):
    expect(len({span.trace_id for span in found}) == 1, "more than one trace", found)
    expect(len({span.span_id for span in found}) == len(found), "two spans of one id", found)
    expect(sum(not span.parent_id for span in found) == 1, "not one root", found)
    for span in found:
        chain(found, span)


def assert_tool(found):
    """The tool's own spans, nested below the command that it is."""
    report, = (span for span in found if span.name == "report")
    expect(shape(chain(found, report)) == REPORT, "the way to the tool's span", found)
    steps = {span.name for span in found if span.parent_id == report.span_id}
    expect(steps == STEPS, f"the steps are {steps}", found)
    for span in found:
        if span.parent_id == report.span_id:
            expect(report.start_ns <= span.start_ns <= span.end_ns <= report.end_ns, f"{span.name} is outside of report", found)
    query, = (span for span in found if span.name == "query_database")
    expect(query.attributes["db.response.returned_rows"] == 4, f"attributes: {query.attributes}", found)


def assert_report(found):
    """System calls of the tool's process and of the process that it starts."""
    assert_one_trace(found)
    assert_tool(found)
    python, gzip = (next(s for s in found if s.name.startswith(f"process: {name}")) for name in ("python", "gzip"))
    expect(shape(chain(found, python))[:-1] == CALL, "the way to the tool's process", found)
    expect(gzip.parent_id == python.span_id, "gzip is not a child of the tool", found)
    expect(gzip.attributes["process.parent_pid"] == python.attributes["process.pid"], "pids", found)
    started = [s for s in found if s.name == "syscall: execve" and s.parent_id == gzip.span_id and s.attributes["syscall.result"] == 0]
    expect(len(started) == 1 and started[0].attributes["process.command_args"][0].endswith("gzip"), "execve of gzip", found)
    waited = [s for s in found if s.name == "syscall: wait4" and s.attributes["syscall.result"] == gzip.attributes["process.pid"]]
    expect([s.parent_id for s in waited] == [python.span_id], "the tool's wait for gzip", found)


def assert_archive(found, in_container=False):
    """System calls below a span of the tool; with a container between, every span inside says which."""
    assert_one_trace(found)
    assert_tool(found)
    opened = [s for s in found if s.name == "syscall: openat" and s.attributes["file.path"].endswith("orders.csv")]
    expect(len(opened) == 1, f"{len(opened)} opens of the orders", found)
    way = chain(found, opened[0])
    expect(shape(way) == [*ARCHIVE, ("syscall: openat", "INTERNAL", "loom-exec")], f"the way is {shape(way)}", found)
    expect(opened[0].attributes["syscall.result"] >= 0, "it was not opened", found)
    command, inside = way[len(CALL) - 1], way[len(CALL):]
    ids = {span.attributes.get("container.id") for span in (command, *inside)}
    if in_container:
        expect(len(ids) == 1 and len(ids.pop() or "") == 64, "the container's id", found)
        expect(all(span.attributes["container.source"] is True for span in inside), "container.source", found)
    else:
        expect(ids == {None}, f"containers {ids}", found)


def traces(written):
    """Those of orders.report and orders.archive, which are called in this order."""
    roots = sorted((span for span in written if span.name == "loom invoke"), key=lambda span: span.start_ns)
    if len(roots) != 2:
        raise BrokenChain(f"{len(roots)} traces", written)
    return [[span for span in written if span.trace_id == root.trace_id] for root in roots]


def container_options(engine):
    """Of run.sh, for the image that engine has made with OF_THE_HOST as mounts."""
    mounts = [f"--run-arg=--volume={path}:{path}:ro" for path in OF_THE_HOST]
    limits = [f"--run-arg={limit}" for limit in podman.PODMAN_LIMITS]
    arguments = (*engine.exec_options(), "--flush-timeout=10s", *limits, *mounts)
    return ["--image", podman.IMAGE, *(word for argument in arguments for word in ("--exec-arg", argument))]
