# SPDX-License-Identifier: Apache-2.0
"""What only the Node.js library has: promises side by side, decorators, workers, both kinds of modules, values of any kind."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import textwrap
import unittest

HERE = pathlib.Path(__file__).resolve().parent / "libraries"
LIBRARY = HERE.parents[2] / "trace/process/libraries/node"
sys.path.insert(0, str(HERE))
import lines  # noqa: E402  beside the drivers

SKIPPED = 77
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
REQUIRE = "const { LoomTracer, bind, childEnvironment, currentSpan, flush, traceFunction, traceMethod, traceSpan, traceSpanSync, tracer } = require('loom-trace');\n"


class Node(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="loom-node-")))

    def run_code(self, code, code_is=0, name="main.js", require=REQUIRE, **environment):
        env = {key: value for key, value in os.environ.items() if not key.startswith(("LOOM_", "OTEL_", "TRACE"))}
        env |= {"NODE_PATH": str(LIBRARY), "LOOM_TRACE_ID": TRACE, "LOOM_SPAN_ID": PARENT, **environment}
        (self.folder / name).write_text(require + textwrap.dedent(code))
        done = subprocess.run(["node", name], env=env, capture_output=True, timeout=60, cwd=self.folder)
        self.assertEqual(code_is, done.returncode, done.stderr.decode())
        found = lines.read(done.stderr)
        found.out = done.stdout.decode()
        return found

    def test_the_examples_of_the_first_document_run_unchanged(self):
        shutil.copy(LIBRARY / "loom-trace.js", self.folder)
        found = self.run_code('''
            const data = '{"a": 1}';
            const executeQuery = async (text) => [text];
            const processData = async (text) => text.length;
            async function main() {
            const { tracer, traceSpan, traceSpanSync } = require('./loom-trace');

            // Async tracing (recommended)
            await traceSpan('query_database', { query_type: 'SELECT' }, async () => {
              return await executeQuery('SELECT * FROM users');
            });

            // Sync tracing
            const result = traceSpanSync('parse_data', { format: 'json' }, () => {
              return JSON.parse(data);
            });

            // Manual span management
            const span = tracer.startSpan('process_data', { input_size: data.length });
            try {
              const processed = await processData(data);
              tracer.endSpan(span, 'ok');
            } catch (e) {
              tracer.endSpan(span, 'error');
              throw e;
            }
            }
            const assert = require('assert');
            main().then(() => {
            // Node.js
            process.env.LOOM_TRACE_ID = 'test-trace-123';
            process.env.LOOM_SPAN_ID = 'test-span-456';
            const { LoomTracer } = require('./loom-trace');
            const tracer = new LoomTracer();
            assert(tracer.traceId === 'test-trace-123');
            });
            ''', require="")
        self.assertEqual([{"query_type": "SELECT"}, {"format": "json"}, {"input_size": 8}], [span["attributes"] for span in found.spans])

    def test_promises_that_run_side_by_side_do_not_mix(self):
        found = self.run_code('''
            const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
            const step = (i) => traceSpan(`step ${i}`, async () => {
              const span = tracer.startSpan(`by hand ${i}`);
              await sleep(i % 3);
              await traceSpan(`inner ${i}`, () => sleep(i % 5));
              tracer.endSpan(span);
              traceSpanSync(`last ${i}`, () => {});
            });
            const bare = async (i) => {
              const span = tracer.startSpan(`bare ${i}`);
              await sleep(i % 3);
              await traceSpan(`below ${i}`, () => sleep(1));
              tracer.endSpan(span);
            };
            traceSpan('main', async () => {
              await Promise.all(Array.from({ length: 20 }, (_, i) => step(i)));
              await Promise.all(Array.from({ length: 20 }, (_, i) => bare(i)));
              traceSpanSync('end', () => {});
            });
            ''')
        self.assertEqual(122, len(found.spans))
        for i in range(20):
            self.assertEqual(("main", f"step {i}", f"by hand {i}", f"step {i}"),
                             tuple(found.parents[f"{name} {i}"] for name in ("step", "by hand", "inner", "last")))
            self.assertEqual(("main", f"bare {i}"), (found.parents[f"bare {i}"], found.parents[f"below {i}"]))
        self.assertEqual("main", found.parents["end"])

    def test_spans_by_hand(self):
        found = self.run_code('''
            const outer = tracer.startSpan('outer');
            const beside = tracer.startSpan('beside');
            const below = tracer.startSpan('below', {}, outer);
            traceSpanSync('innermost', () => {});
            tracer.endSpan(below);
            tracer.endSpan(beside);
            traceSpanSync('in outer', () => {});
            tracer.endSpan(outer, 'error', new RangeError('r'));
            traceSpanSync('free', () => {});
            tracer.endSpan(null);
            tracer.endSpan(tracer.startSpan('x'), 'done');
            ''')
        self.assertEqual({"outer": None, "beside": None, "below": "outer", "innermost": "below", "in outer": "outer", "free": None, "x": None},
                         found.parents)
        self.assertEqual("RangeError", found.by_name["outer"]["events"][0]["attributes"]["exception.type"])
        self.assertEqual(2, len(found.errors))

    def test_names_of_attributes_may_be_anything(self):
        found = self.run_code('''
            const span = tracer.startSpan('work');
            span.setAttribute({ toString() { throw new Error('no'); } }, 1).setAttribute(Symbol('s'), 2).setAttributes(5).addEvent('e', 5);
            span.end();
            ''')
        self.assertEqual({"<unprintable Object>": 1, "Symbol(s)": 2}, found.spans[0]["attributes"])

    def test_errors_of_every_kind_go_on_unchanged(self):
        found = self.run_code('''
            const assert = require('assert');
            class Odd extends Error { get message() { throw new Error('no'); } }
            const thrown = [new TypeError('t'), 'text', null, undefined, 5n, { code: 'E' }, Symbol('s'), new Odd(), Object.create(null)];
            (async () => {
              for (const [i, error] of thrown.entries()) {
                try { traceSpanSync(`sync ${i}`, () => { throw error; }); assert.fail(); } catch (e) { assert.strictEqual(e, error); }
                await traceSpan(`async ${i}`, async () => { throw error; }).then(assert.fail, (e) => assert.strictEqual(e, error));
                await traceSpanSync(`mixed ${i}`, () => Promise.reject(error)).then(assert.fail, (e) => assert.strictEqual(e, error));
              }
              console.log('all');
            })();
            ''')
        self.assertEqual("all\n", found.out)
        self.assertEqual({"error"}, {span["status"] for span in found.spans})
        self.assertEqual(27, len(found.spans))
        self.assertEqual("TypeError", found.by_name["sync 0"]["attributes"]["error.type"])
        self.assertEqual("string", found.by_name["async 1"]["attributes"]["error.type"])

    def test_an_uncaught_rejection_ends_the_program_as_ever(self):
        found = self.run_code("traceSpanSync('work', () => Promise.reject(new Error('nobody')));", code_is=1)
        self.assertEqual("error", found.by_name["work"]["status"])
        self.assertIn("nobody", found.rest)

    def test_decorators_of_both_kinds_and_wrappers(self):
        found = self.run_code('''
            class Thing {
              constructor() { this.n = 1; }
              one(add) { return this.n + add; }
              async two() { throw new Error('e'); }
            }
            // what TypeScript's experimentalDecorators compile to
            const legacy = (decorator, key) => {
              const descriptor = Object.getOwnPropertyDescriptor(Thing.prototype, key);
              Object.defineProperty(Thing.prototype, key, decorator(Thing.prototype, key, descriptor) || descriptor);
            };
            legacy(traceMethod(), 'one');
            legacy(traceMethod('second', { a: 1 }), 'two');
            // what those of ECMAScript compile to
            const three = traceMethod()(function three() { return this.n + 2; }, { kind: 'method', name: 'three' });
            const bare = traceMethod(function bare() { return 4; }, { kind: 'method', name: 'bare' });
            const field = traceMethod('field')(undefined, { kind: 'field', name: 'f' })((x) => x + 1);
            const thing = new Thing();
            const wrapped = traceFunction(function wrapped(a, b) { return a * b; });
            console.log(thing.one(1), three.call(thing), bare(), field(4), wrapped(2, 3), wrapped.name, wrapped.length, traceFunction(5));
            thing.two().catch((e) => console.log(e.message));
            ''')
        self.assertEqual("2 3 4 5 6 wrapped 2 5\ne\n", found.out)
        self.assertEqual({"one", "second", "three", "bare", "field", "wrapped"}, set(found.by_name))
        self.assertEqual(("error", 1), (found.by_name["second"]["status"], found.by_name["second"]["attributes"]["a"]))

    def test_values_of_every_kind_are_written(self):
        found = self.run_code(r'''
            const bad = { get a() { throw new Error('no'); }, b: 1 };
            const proxy = new Proxy({}, { get() { throw new Error('no'); }, ownKeys() { throw new Error('no'); }, getPrototypeOf() { throw new Error('no'); } });
            const revoked = Proxy.revocable({}, {}); revoked.revoke();
            class Point { constructor() { this.x = 1; } toJSON() { return { json: this.x }; } }
            let deep = []; for (let i = 0; i < 5000; i++) deep = [deep];
            traceSpanSync('values', {
              bad, proxy, revoked: revoked.proxy, point: new Point(), deep, map: new Map([[1, 'a'], ['b', new Map()]]), set: new Set([1, 'x']),
              date: new Date(0), invalid: new Date(NaN), error: new RangeError('r'), regexp: /x/g, symbol: Symbol('s'), fn() {}, arrow: () => 1,
              typed: new Float64Array([1.5, NaN]), bytes: new Uint8Array([255]), buffer: new ArrayBuffer(1), huge: 10n ** 5000n, url: new URL('http://a/b'),
              lone: 'a\ud800b', pair: '\ud83d\ude00', minus: -0, exp: 1e300, big: 1e21, weak: new WeakMap(), boxed: new String('s'), nul: 'a\0b',
              holes: [, undefined, null], undef: { a: undefined }, none: Object.create(null), many: new Array(5000).fill(1), '': 'no name', args: (function () { return arguments; })(1),
              promise: Promise.resolve(), nested: { bad }, __proto__: { inherited: 1 }, ['k'.repeat(300)]: 1, tojson: { toJSON() { throw new Error('no'); } },
            }, () => {});
            traceSpanSync(Symbol('name'), () => {});
            traceSpanSync('', null, () => {});
            traceSpanSync('bad attributes', 'text', () => {});
            traceSpanSync('getter', { get a() { throw new Error('no'); } }, (span) => span.addEvent(proxy, bad).setAttributes(proxy).setAttribute(Symbol('k'), 1));
            traceSpanSync('map', new Map([['a', 1], [2, 'b']]), () => revoked.proxy);
            traceSpanSync('proto', JSON.parse('{"__proto__": {"x": 1}}'), () => {});
            ''')
        values = found.by_name["values"]["attributes"]
        for name, value in {"bad": {"a": "<unprintable Object>", "b": 1}, "point": {"json": 1}, "map": {"1": "a", "b": {}}, "set": [1, "x"],
                            "date": "1970-01-01T00:00:00.000Z", "invalid": "Invalid Date", "error": "RangeError: r", "regexp": "/x/g", "symbol": "Symbol(s)",
                            "fn": "[function fn]", "typed": [1.5, "NaN"], "bytes": "/w==", "buffer": "AA==", "url": "http://a/b", "lone": "a\ufffdb",
                            "pair": "\U0001f600", "minus": 0, "boxed": "s", "nul": "a\0b", "holes": [None, None, None], "undef": {}, "none": {},
                            "nested": {"bad": {"a": "<unprintable Object>", "b": 1}}, "k" * 256: 1, "tojson": "<unprintable Object>"}.items():
            self.assertEqual(value, values[name], name)
        self.assertEqual(1000, len(values["many"]))
        self.assertNotIn("", values)
        self.assertEqual({"a": 1, "2": "b"}, found.by_name["map"]["attributes"])
        self.assertEqual({"__proto__": {"x": 1}}, found.by_name["proto"]["attributes"])
        self.assertEqual(7, len(found.spans))

    def test_workers_and_clusters(self):
        found = self.run_code('''
            const { Worker, isMainThread } = require('worker_threads');
            if (isMainThread) {
              traceSpan('main', async () => {
                await Promise.all([1, 2, 3].map((n) => new Promise((resolve, reject) => {
                  new Worker(__filename, { env: childEnvironment() }).on('exit', resolve).on('error', reject);
                })));
              });
            } else {
              traceSpanSync('worker', () => { for (let i = 0; i < 100; i++) traceSpanSync('step', { i }, () => {}); });
            }
            ''')
        self.assertEqual(304, len(found.spans))
        self.assertEqual({"worker": "main", "step": "worker", "main": None}, found.parents)
        found = self.run_code('''
            const cluster = require('cluster');
            if (cluster.isPrimary) {
              traceSpan('primary', async () => {
                await Promise.all([1, 2].map(() => new Promise((resolve) => cluster.fork(childEnvironment()).on('exit', resolve))));
              });
            } else {
              traceSpanSync('forked', () => traceSpanSync('inside', () => {}));
              process.disconnect();
            }
            ''')
        self.assertEqual({"forked": "primary", "inside": "forked", "primary": None}, found.parents)
        self.assertEqual(5, len(found.spans))

    def test_modules_of_both_kinds(self):
        (self.folder / "node_modules").mkdir()
        (self.folder / "node_modules/loom-trace").symlink_to(LIBRARY)
        found = self.run_code('''
            import { traceSpanSync } from 'loom-trace';
            import loomTrace from 'loom-trace';
            import { createRequire } from 'module';
            if (createRequire(import.meta.url)('loom-trace').tracer !== loomTrace.tracer) throw new Error('two tracers');
            await loomTrace.traceSpan('outer', async () => traceSpanSync('inner', () => {}));
            ''', name="main.mjs", require="")
        self.assertEqual({"inner": "outer", "outer": None}, found.parents)

    def test_a_span_that_ends_long_before_its_parent_is_written_soon(self):
        found = self.run_code('''
            const fs = require('fs');
            const { spawnSync } = require('child_process');
            traceSpan('outer', async () => {
              for (let i = 0; i < 3; i++) traceSpanSync('early', () => {});
              await new Promise((resolve) => setTimeout(resolve, 100));
              process.kill(process.pid, 'SIGKILL');
            });
            ''', code_is=-9)
        self.assertEqual(["early"] * 3, [span["name"] for span in found.spans])

    def test_memory_does_not_grow(self):
        found = self.run_code('''
            const used = () => { global.gc && global.gc(); return process.memoryUsage().heapUsed; };
            const open = []; // spans that nobody ends, and ones that many flows share
            for (let i = 0; i < 5000; i++) tracer.startSpan('open');
            const before = used();
            for (let i = 0; i < 200000; i++) tracer.startSpan('open', { text: 'x'.repeat(100) + i });
            console.log(used() - before < 20e6);
            ''', NODE_OPTIONS="--max-old-space-size=64")
        self.assertEqual("true\n", found.out)


if __name__ == "__main__":
    if shutil.which("node") is None:
        print("skipped: there is no node")
        sys.exit(SKIPPED)
    unittest.main()
