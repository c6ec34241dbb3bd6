# SPDX-License-Identifier: Apache-2.0
"""What only the Python library has: tasks, generators, threads, values of any kind, interpreters, forks."""

import os
import pathlib
import subprocess
import sys
import tempfile
import textwrap
import unittest

HERE = pathlib.Path(__file__).resolve().parent / "libraries"
LIBRARY = HERE.parents[2] / "trace/process/libraries/python"
sys.path.insert(0, str(HERE))
import lines  # noqa: E402  beside the drivers

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Python(unittest.TestCase):
    def run_code(self, code, code_is=0, **environment):
        env = {name: value for name, value in os.environ.items() if not name.startswith(("LOOM_", "OTEL_", "TRACE"))}
        env |= {"PYTHONPATH": str(LIBRARY), "LOOM_TRACE_ID": TRACE, "LOOM_SPAN_ID": PARENT, **environment}
        done = subprocess.run([os.environ.get("LOOM_LIBRARY_PYTHON", sys.executable), "-B", "-c", textwrap.dedent(code)],
                              env=env, capture_output=True, timeout=60)
        self.assertEqual(code_is, done.returncode, done.stderr.decode())
        found = lines.read(done.stderr)
        found.out = done.stdout.decode()
        return found

    def test_the_examples_of_the_first_document_run_unchanged(self):
        found = self.run_code('''
            data = [3, 1, 2]
            def execute_query(text): return [text]
            def process_data(numbers): return sorted(numbers)

            from loom_trace import tracer, trace_span

            # Context manager (recommended)
            with trace_span("query_database", query_type="SELECT"):
                result = execute_query("SELECT * FROM users")

            # Manual span management
            span = tracer.start_span("process_data", input_size=len(data))
            try:
                processed = process_data(data)
                tracer.end_span(span, status="ok")
            except Exception as e:
                tracer.end_span(span, status="error")
                raise

            # Python
            from loom_trace import LoomTracer
            import os

            os.environ["LOOM_TRACE_ID"] = "test-trace-123"
            os.environ["LOOM_SPAN_ID"] = "test-span-456"
            tracer = LoomTracer()
            assert tracer.trace_id == "test-trace-123"
            ''')
        self.assertEqual([{"query_type": "SELECT"}, {"input_size": 3}], [span["attributes"] for span in found.spans])

    def test_names_and_attributes_may_be_keywords(self):
        found = self.run_code('''
            from loom_trace import trace_function, trace_span, tracer
            tracer.end_span(span=tracer.start_span(name="by hand", n=3), status="ok")
            with trace_span("block", attributes={"a": 1, "http.route": "/"}, b=2): pass
            with tracer.trace_span(name="of a tracer", attributes={"a": 1}) as span:
                span.set_attributes(attributes={"d": 4})
                span.add_event("event", attributes={"e": 5})
            @trace_function(name="function", attributes={"c": 3})
            def function(): pass
            function()
            trace_span(name="decorated", attributes={"c": 3})(function)()
            with trace_span("text", attributes="text", name="other"): pass
            try: trace_span(n=1)
            except TypeError as error: print(error)
            ''', LOOM_TRACE_BAGGAGE="tenant_id=acme")
        self.assertEqual("a span needs a name\n", found.out)
        self.assertEqual([("by hand", {"n": 3}), ("block", {"a": 1, "http.route": "/", "b": 2}), ("of a tracer", {"a": 1, "d": 4}),
                          ("function", {"c": 3}), ("function", {"c": 3}), ("decorated", {"c": 3}), ("text", {"attributes": "text", "name": "other"})],
                         [(span["name"], {key: value for key, value in span["attributes"].items() if key != "tenant_id"}) for span in found.spans])
        self.assertEqual({"acme"}, {span["attributes"]["tenant_id"] for span in found.spans})
        self.assertEqual({"e": 5}, found.by_name["of a tracer"]["events"][0]["attributes"])

    def test_what_are_no_attributes_is_told_and_not_raised(self):
        found = self.run_code('''
            from loom_trace import trace_function, trace_span
            with trace_span("work", 5) as span:
                span.set_attribute([], 1).set_attribute(None, 2)
                span.set_attributes(5).set_attributes([1]).set_attributes(None)
                span.add_event("event", 5)
            assert trace_function("f", 5)(lambda: 3)() == 3
            assert trace_span("g", 5)(lambda: 4)() == 4
            ''')
        self.assertEqual(["work", "f", "g"], [span["name"] for span in found.spans])
        self.assertEqual(["attributes are no mapping: 5", "an attribute's name is text, not []"], found.errors[:2])
        self.assertEqual(7, len(found.errors), found.errors)

    def test_a_span_ended_by_hand_in_an_except_clause_has_the_exception(self):
        found = self.run_code('''
            from loom_trace import tracer
            span = tracer.start_span("work")
            try:
                1 / 0
            except Exception as e:
                tracer.end_span(span, status="error")
            ''')
        self.assertEqual("ZeroDivisionError", found.spans[0]["attributes"]["error.type"])
        self.assertIn("ZeroDivisionError", found.spans[0]["events"][0]["attributes"]["exception.stacktrace"])

    def test_tasks_that_run_side_by_side_do_not_mix(self):
        found = self.run_code('''
            import asyncio
            from loom_trace import trace_function, trace_span, tracer

            @trace_function
            async def step(name):
                span = tracer.start_span("by hand " + name)
                await asyncio.sleep(0.001)
                async with trace_span("inner " + name):
                    await asyncio.sleep(0.001)
                tracer.end_span(span)
                return name

            async def main():
                with trace_span("main"):
                    print(*await asyncio.gather(*[step(str(i)) for i in range(20)]))

            asyncio.run(main())
            ''')
        self.assertEqual(" ".join(map(str, range(20))) + "\n", found.out)
        by_id = {span["span_id"]: span for span in found.spans}
        for span in found.spans:
            if span["name"].startswith("inner "):
                by_hand = by_id[span["parent_id"]]
                self.assertEqual(span["name"].replace("inner", "by hand"), by_hand["name"])
                self.assertEqual("step", by_id[by_hand["parent_id"]]["name"])
                self.assertEqual("main", by_id[by_id[by_hand["parent_id"]]["parent_id"]]["name"])
        self.assertEqual(61, len(found.spans))

    def test_a_cancelled_task_is_an_error(self):
        found = self.run_code('''
            import asyncio
            from loom_trace import trace_function

            @trace_function()
            async def forever():
                await asyncio.sleep(1000)

            async def main():
                task = asyncio.ensure_future(forever())
                await asyncio.sleep(0)
                task.cancel()
                try:
                    await task
                except asyncio.CancelledError:
                    print("cancelled")
            asyncio.run(main())
            ''')
        self.assertEqual(("error", "cancelled\n"), (found.spans[0]["status"], found.out))

    def test_generators(self):
        found = self.run_code('''
            from loom_trace import trace_function, trace_span, current_span

            @trace_function
            def numbers(n):
                for i in range(n):
                    with trace_span("make %d" % i):
                        pass
                    got = yield i
                    if got:
                        print("got", got)
                return "all"

            with trace_span("outer"):
                for i in numbers(2):
                    with trace_span("use %d" % i):
                        pass
                assert current_span().name == "outer"
                closed = numbers(9)
                next(closed)
                closed.close()
                sent = numbers(2)
                next(sent)
                sent.send("mail")
                thrown = numbers(3)
                next(thrown)
                try:
                    thrown.throw(KeyError("k"))
                except KeyError:
                    print("thrown")
                def outer():
                    print((yield from numbers(1)))
                list(outer())
            ''')
        self.assertEqual("got mail\nthrown\nall\n", found.out)
        parents = found.parents
        self.assertEqual(("numbers", "outer", "outer"), (parents["make 1"], parents["use 1"], parents["numbers"]))
        statuses = [span["status"] for span in found.spans if span["name"] == "numbers"]
        self.assertEqual(["error", "ok", "ok", "ok", "ok"], sorted(statuses))

    def test_asynchronous_generators(self):
        found = self.run_code('''
            import asyncio
            from loom_trace import trace_function, trace_span

            @trace_function("numbers", {"n": 1})
            async def numbers(n):
                for i in range(n):
                    await asyncio.sleep(0)
                    with trace_span("make %d" % i):
                        pass
                    yield i

            async def main():
                with trace_span("outer"):
                    async for i in numbers(2):
                        async with trace_span("use %d" % i):
                            pass
                    early = numbers(5)
                    await early.__anext__()
                    await early.aclose()
                    bad = numbers(5)
                    await bad.__anext__()
                    try:
                        await bad.athrow(ValueError("v"))
                    except ValueError:
                        print("thrown")
            asyncio.run(main())
            ''')
        parents = found.parents
        self.assertEqual(("numbers", "outer", "outer"), (parents["make 1"], parents["use 1"], parents["numbers"]))
        self.assertEqual(["error", "ok", "ok"], sorted(span["status"] for span in found.spans if span["name"] == "numbers"))

    def test_whatever_can_be_decorated(self):
        found = self.run_code('''
            import functools, inspect
            from loom_trace import trace_function, trace_span

            class Thing:
                @trace_function
                def method(self): return 1
                @classmethod
                @trace_function()
                def of_class(cls): return 2
                @trace_function(name="static one")
                @staticmethod
                def of_none(): return 3
                @property
                @trace_function()
                def value(self): return 4

            @trace_span("as decorator", n=5)
            def plain():
                "what it is"
                return 5

            @trace_function()
            async def later(): pass

            @trace_function
            def raising(): raise LookupError("no")

            assert trace_function(int) is int
            thing = Thing()
            print(thing.method(), Thing.of_class(), Thing.of_none(), thing.value, plain(), plain.__doc__, plain.__name__)
            print(trace_function(functools.partial(max, 3))(9), inspect.iscoroutinefunction(later))
            try: raising()
            except LookupError: print("raised")
            def recursive(n): return n and traced(n - 1)
            traced = trace_function(recursive)
            traced(3)
            ''')
        self.assertEqual("1 2 3 4 5 what it is plain\n9 True\nraised\n", found.out)
        self.assertEqual({"Thing.method", "Thing.of_class", "static one", "Thing.value", "as decorator", "partial", "raising",
                          "recursive"}, set(found.by_name))
        self.assertEqual(1, len(found.errors))

    def test_values_of_every_kind_are_written(self):
        found = self.run_code(r'''
            import collections, datetime, decimal, enum, fractions, os, pathlib, sys, uuid
            from loom_trace import trace_span

            class Bad:
                def __str__(self): raise RuntimeError("no")
                __repr__ = __str__
            class Worse:
                def __str__(self): return 5
            class Tricky(str):
                def __str__(self): raise RuntimeError("no")
                def encode(self, *a): raise RuntimeError("no")
            class Number(int):
                def __repr__(self): return "not a number"
            class Wild(dict):
                def items(self): raise RuntimeError("no")
            class Colour(enum.Enum): RED = 1
            class Level(enum.IntEnum): HIGH = 7
            Point = collections.namedtuple("Point", "x y")
            deep = []
            for _ in range(5000): deep = [deep]
            circle = [1]; circle.append(circle)
            with trace_span("values", {
                    "bad": Bad(), "worse": Worse(), "tricky": Tricky("t"), "number": Number(5), "wild": Wild(), "colour": Colour.RED,
                    "level": Level.HIGH, "point": Point(1, 2), "deep": deep, "circle": circle, "set": {1}, "frozen": frozenset([2]),
                    "date": datetime.date(2026, 1, 2), "time": datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
                    "decimal": decimal.Decimal("1.10"), "fraction": fractions.Fraction(1, 3), "path": pathlib.PurePosixPath("/x"),
                    "error": ValueError("v"), "huge": 10**5000, "lone": "a\ud800b", "pair": "\ud83d\ude00", "view": memoryview(b"ab"),
                    "array": bytearray(b"ab"), "complex": 1 + 2j, "range": range(3), "type": int, "none": None, "ellipsis": ...,
                    "uuid": uuid.UUID(int=1), "deque": collections.deque([1]), "generator": (i for i in "ab"), "big": list(range(5000)),
                    "nul": "a\0b", "minus zero": -0.0, "tiny": 5e-324, "exp": 1e300, "": "no name", 5: "five", None: "none", "bad key": {Bad(): 1}}):
                pass
            with trace_span("k" * 5000 + "\ud800", **{"name": "n", "self": "s", "attributes": "a", "parent": "p", "x" * 300: 1}) as span:
                span.set_attribute(Bad(), 1)
                span.attributes["later"] = Bad
            with trace_span(5): pass
            with trace_span(""): pass
            with trace_span("bad attributes", 5): pass
            with trace_span("bad kind") as span: span.kind = ["x"]; span.add_event(None, n=Bad())
            ''')
        values = found.by_name["values"]["attributes"]
        for name, value in {"bad": "<unprintable Bad>", "worse": "<unprintable Worse>", "tricky": "t", "number": 5, "wild": "<unprintable Wild>",
                            "colour": "Colour.RED", "level": 7, "point": [1, 2], "circle": [1, "[circular]"], "set": [1], "frozen": [2],
                            "date": "2026-01-02", "time": "2026-01-02T03:04:05+00:00", "decimal": "1.10", "fraction": "1/3", "path": "/x",
                            "error": "ValueError: v", "lone": "a\ufffdb", "pair": "\U0001f600", "view": "YWI=", "array": "YWI=", "complex": "(1+2j)",
                            "type": "<class 'int'>", "nul": "a\0b", "tiny": 5e-324, "5": "five", "None": "none", "deque": [1],
                            "bad key": {"<unprintable Bad>": 1}}.items():
            self.assertEqual(value, values[name], name)
        self.assertEqual(1000, len(values["big"]))
        self.assertNotIn("", values)
        self.assertEqual(6, len(found.spans))

    def test_threads(self):
        found = self.run_code('''
            import threading
            from concurrent.futures import ThreadPoolExecutor
            from loom_trace import bind, trace_span

            def work(i):
                with trace_span("work", i=i):
                    with trace_span("inside", i=i):
                        pass
            with trace_span("outer"):
                with ThreadPoolExecutor(8) as pool:
                    list(pool.map(bind(work), range(2000)))
                with trace_span("after"): pass
            stranger = threading.Thread(target=work, args=(-1,)); stranger.start(); stranger.join()
            ''')
        ids = {span["span_id"]: span for span in found.spans}
        self.assertEqual(4004, len(ids))
        for span in found.spans:
            if span["name"] == "inside":
                self.assertEqual(("work", span["attributes"]), (ids[span["parent_id"]]["name"], ids[span["parent_id"]]["attributes"]))
            elif span["name"] == "work":
                outer = ids.get(span["parent_id"])
                self.assertEqual(span["attributes"]["i"] == -1, outer is None)

    def test_processes_of_multiprocessing_do_not_repeat_spans(self):
        for method in ("fork", "spawn"):
            with self.subTest(method):
                path = self.enterContext(tempfile.TemporaryDirectory())
                script = pathlib.Path(path) / "main.py"
                script.write_text(textwrap.dedent(f'''
                    import multiprocessing
                    from loom_trace import trace_span
                    def work(i):
                        with trace_span("work", i=i): pass
                    if __name__ == "__main__":
                        with trace_span("outer"):
                            with trace_span("before"): pass
                            with multiprocessing.get_context("{method}").Pool(3) as pool:
                                pool.map(work, range(20))
                    '''))
                found = self.run_code(f"import runpy, sys; sys.argv = [{str(script)!r}]; runpy.run_path({str(script)!r}, run_name='__main__')"
                                      if method == "fork" else f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, {str(script)!r}]))")
                self.assertEqual(22, len(found.spans))
                self.assertEqual(22, len({span["span_id"] for span in found.spans}))

    def test_interpreters_inside_the_process(self):
        found = self.run_code('''
            try:
                import _xxsubinterpreters as interpreters
            except ImportError:
                import _interpreters as interpreters
            from loom_trace import trace_span
            with trace_span("main"):
                for i in range(3):
                    other = interpreters.create()
                    interpreters.run_string(other, "from loom_trace import trace_span\\nwith trace_span('sub'): pass\\n")
                    interpreters.destroy(other)
            ''')
        self.assertEqual(["sub"] * 3 + ["main"], [span["name"] for span in found.spans])

    def test_signal_handlers_and_finalizers_may_make_spans(self):
        found = self.run_code('''
            import gc, signal, time
            from loom_trace import trace_span
            class Noisy:
                def __del__(self):
                    with trace_span("finalizer"): pass
            def on_alarm(*_):
                with trace_span("handler"): pass
            signal.signal(signal.SIGALRM, on_alarm)
            signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
            end = time.monotonic() + 0.5
            while time.monotonic() < end:
                with trace_span("work", a=Noisy()):
                    Noisy()
            signal.setitimer(signal.ITIMER_REAL, 0)
            print("done")
            ''')
        self.assertEqual("done\n", found.out)
        self.assertLessEqual({"finalizer", "handler", "work"}, set(found.by_name))

    def test_spans_that_nobody_ends_do_not_pile_up(self):
        found = self.run_code('''
            import resource
            from loom_trace import tracer
            for i in range(2000): tracer.start_span("open")
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            for i in range(200000): tracer.start_span("open", text="x" * 100 + str(i))
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20000)
            ''')
        self.assertEqual("True\n", found.out)
        self.assertEqual([], found.spans)

    def test_ending_what_is_no_span_and_statuses_that_are_none_are_told(self):
        found = self.run_code('''
            from loom_trace import tracer
            tracer.end_span(None)
            tracer.end_span(tracer.start_span("a"), status="done")
            tracer.end_span(tracer.start_span("b"), status="ERROR")
            for _ in range(50): tracer.end_span(5)
            ''')
        self.assertEqual(["unset", "error"], [span["status"] for span in found.spans])
        self.assertEqual(10, len(found.errors))
        self.assertIn("done is no status: ok, error or unset", found.errors)

    def test_exits_and_what_ends_a_program(self):
        for ending, code, status in (("sys.exit(0)", 0, "ok"), ("sys.exit()", 0, "ok"), ("sys.exit('no')", 1, "error"), ("sys.exit(4)", 4, "error"),
                                     ("raise KeyboardInterrupt", -2, "error")):
            with self.subTest(ending):
                found = self.run_code(f"import sys\nfrom loom_trace import trace_span\nwith trace_span('work'): {ending}", code_is=code)
                self.assertEqual(status, found.spans[0]["status"])
        found = self.run_code("import os\nfrom loom_trace import trace_span\nwith trace_span('work'): pass\nos._exit(3)", code_is=3)
        self.assertEqual(["work"], [span["name"] for span in found.spans])

    def test_the_locale_does_not_matter(self):
        for locale in ("C", "tr_TR.UTF-8", "de_DE.UTF-8"):
            found = self.run_code("import locale\nfrom loom_trace import trace_span\ntry: locale.setlocale(locale.LC_ALL, '')\nexcept locale.Error: pass\n"
                                  "with trace_span('w\u0131rk', half=0.5): pass", LC_ALL=locale, PYTHONIOENCODING="ascii")
            self.assertEqual(("w\u0131rk", {"half": 0.5}), (found.spans[0]["name"], found.spans[0]["attributes"]))


if __name__ == "__main__":
    unittest.main()
