// SPDX-License-Identifier: Apache-2.0
'use strict';
/* What a span costs:  LOOM_TRACE=1 node bench.js 2>/dev/null  (or a pipe that is read). Prints JSON, microseconds a span: the
 * median of several rounds of spans that are roots, each a write of its own, of spans below one root, many to a write, and of
 * asynchronous ones. */

const { performance } = require('perf_hooks');
const { flush, traceSpan, traceSpanSync } = require('./loom-trace');

function roots(count) {
  for (let i = 0; i < count; i++) {
    traceSpanSync('query_database', { query_type: 'SELECT', rows: i }, () => {});
  }
}

function children(count) {
  traceSpanSync('root', () => roots(count));
}

async function promises(count) {
  await traceSpan('root', async () => {
    for (let i = 0; i < count; i++) {
      await traceSpan('query_database', { query_type: 'SELECT', rows: i }, async () => {});
    }
  });
}

async function measure(work, count, rounds) {
  const figures = [];
  for (let i = 0; i < rounds; i++) {
    const began = performance.now();
    await work(count);
    flush();
    figures.push(((performance.now() - began) / count) * 1000);
  }
  return Number(figures.sort((a, b) => a - b)[rounds >> 1].toFixed(2));
}

async function main() {
  const count = Number(process.argv[2]) || 20000;
  const rounds = 7;
  console.log(JSON.stringify({
    library: 'node',
    root_us: await measure(roots, count, rounds),
    child_us: await measure(children, count, rounds),
    async_us: await measure(promises, count, rounds),
  }));
}

main();
