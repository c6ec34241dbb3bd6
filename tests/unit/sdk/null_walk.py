# SPDX-License-Identifier: Apache-2.0
"""NULL never crashes: calls every function of every public header with NULL for all its pointers, and for each in turn.

    null_walk.py SOURCE_ROOT LIBRARY CC FLAGS…

Writes the calls as a C program, builds it against the shared library and runs it. Also: a call that returns LOOM_EINVAL leaves a
sentence for loom_last_error().
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(ROOT / "tools/man"))
import headers  # noqa: E402

OBJECTS = {"loom_agent": "one.agent", "loom_envelope": "one.envelope", "loom_span_processor": "one.processor",
           "loom_tracer_provider": "one.provider", "loom_tracer": "one.tracer", "loom_span": "one.span", "loom_logger": "one.logger",
           "loom_meter": "one.meter", "loom_metric": "one.metric", "loom_series": "one.series", "loom_baggage": "one.baggage",
           "loom_span_stage": "one.stage", "loom_child_environment": "one.environment", "loom_joiner": "one.joiner",
           "loom_workflow": "&one.workflow", "loom_action": "NULL", "loom_result": "NULL", "loom_thread": "NULL"}
POINTED = {"loom_capability": '&(loom_capability){.name = "a.b", .on_action = (loom_on_action)noop}',
           "loom_joiner_options": "&(loom_joiner_options){.rule = {.strategy = LOOM_JOIN_ANY}, .on_joined = on_joined}",
           "loom_join_rule": "&(loom_join_rule){.strategy = LOOM_JOIN_ANY, .deadline_ms = 1}",
           "loom_target": '&(loom_target){.topic = "a.b"}', "loom_request_options": "&(loom_request_options){.timeout_ms = 1}",
           "loom_invoke_options": "&(loom_invoke_options){.deadline_ms = 1}",
           "loom_agent_options": '&(loom_agent_options){.id = "another", .poll_mode = true}',
           "loom_contract_options": "&(loom_contract_options){.window_ms = 1, .result_ms = 1}"}
# With options NULL, and so a deadline of seconds, these wait for an answer that nobody gives.
WAITS = {("loom_agent_invoke", 3), ("loom_agent_request", 3), ("loom_agent_call_for_proposals", 3), ("loom_agent_list_agents", 1),
         ("loom_agent_list_capabilities", 1)}


def declared_type(param):
    """(type with its stars, is it a pointer) of `const char *name`, `uint8_t out[16]`, `void (*f)(void *user)`."""
    if "(*" in param:
        return re.sub(r"\(\*\s*\w*\)", "(*)", param), True
    array = re.match(r"(.*?)\s*\w+\s*\[.*\]$", param)
    if array:
        return array.group(1) + " *", True
    found = re.match(r"(.*?[\s*])\w+$", param)
    text = (found.group(1) if found else param).strip()
    return text, text.endswith("*") or text.startswith("loom_on_") or text.endswith("_fn")


def valid(kind, place):
    base = kind.replace("const ", "").strip()
    name, stars = base.rstrip("* ").replace("*", "").strip(), base.count("*")
    if "(*)" in kind or name.startswith("loom_on_") or name.endswith("_fn"):
        return f"({kind})noop"
    if stars == 0:
        return {"loom_str": '(loom_str){"a.b", 3}', "uint32_t": "1"}.get(name, f"({base}){{0}}")
    if stars == 1 and name == "char" and kind.startswith("const"):
        return '"a.b"'
    if stars == 1 and name in OBJECTS:
        return OBJECTS[name]
    if stars == 1 and name in POINTED:
        return POINTED[name]
    return "NULL" if name == "void" else f"({kind})room[{place}].bytes"


def empty(kind, pointer):
    return f"({kind})NULL" if pointer else valid(kind, 0)


def calls_of(function):
    params = [declared_type(p) for p in function.params if p != "..."]
    pointers = [i for i, (_, pointer) in enumerate(params) if pointer]
    macro = "CALL_STATUS" if function.returns == "loom_status" else "CALL"
    cast = "" if macro == "CALL_STATUS" else "(void)"
    missing = [set(pointers)] + [{i} for i in pointers if len(pointers) > 1 and (function.name, i) not in WAITS]
    for nulls in missing:
        args = [empty(*params[i]) if i in nulls else valid(params[i][0], i) for i in range(len(params))]
        shown = ", ".join("NULL" if i in nulls else "…" for i in range(len(params)))
        # in parentheses: the function, and not the macro of <loom/trace_inline.h>; half of the calls take that
        yield f'    {macro}("{function.name}({shown})", {cast}({function.name})({", ".join(args)}));'
        if function.name not in ("loom_logf",):
            yield f'    {macro}("{function.name}({shown}), inline", {cast}{function.name}({", ".join(args)}));'


def main():
    public = headers.read_all(ROOT)
    functions = [f for h in public for f in h.functions]
    declared = sum(len(re.findall(r"^LOOM_API (?!extern)", p.read_text(), re.M)) for folder in headers.FOLDERS
                   for p in (ROOT / folder / "include/loom").glob("*.h"))
    if declared != len(functions) or declared < 200:
        sys.exit(f"{declared} functions are declared, and {len(functions)} of them were read")
    parts, lines = [], []
    for number, function in enumerate(functions):
        parts.append(f"static void part_{number}(void)\n{{\n" + "\n".join(calls_of(function)) + "\n}\n")
        lines.append(f"    part_{number}();")
    includes = "".join(f"#include <{h.name}>\n" for h in public)
    source = includes + '#include "tests/unit/sdk/null_walk_fixture.h"\n\n' + "\n".join(parts) + \
        "\nint main(void)\n{\n    make_one_of_each();\n" + "\n".join(lines) + "\n    return finish();\n}\n"
    library, cc, flags = sys.argv[2], sys.argv[3], sys.argv[4:]
    with tempfile.TemporaryDirectory(prefix="loom-null-") as folder:
        path = pathlib.Path(folder)
        (path / "walk.c").write_text(source)
        folders = [f"-I{ROOT / f}/include" for f in headers.FOLDERS]
        build = [cc, "-std=gnu17", "-w", *flags, f"-I{ROOT}", *folders, str(path / "walk.c"), "-o", str(path / "walk"), library,
                 f"-Wl,-rpath,{os.path.dirname(library)}"]
        subprocess.run(build, check=True)
        env = dict(os.environ, LOOM_TELEMETRY_AUTO="0", ASAN_OPTIONS="handle_segv=0:handle_abort=0:detect_leaks=0")
        sys.exit(subprocess.run([str(path / "walk")], env=env, cwd=folder, check=False).returncode)


if __name__ == "__main__":
    main()
