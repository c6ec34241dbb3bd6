// SPDX-License-Identifier: Apache-2.0
'use strict';
/* The scenarios of cases.json in JavaScript: driver.js SCENARIO. */

const { AsyncResource } = require('async_hooks');
const { bind, childEnvironment, traceFunction, traceSpan, traceSpanSync, tracer } = require('loom-trace');

class ValueError extends Error {}

const scenarios = {
  async nested() {
    await traceSpan('outer', { a: 1 }, async () => {
      await traceSpan('middle', async () => traceSpanSync('inner', { deep: true }, () => {}));
      traceSpanSync('sibling', () => {});
    });
  },

  async manual() {
    const span = tracer.startSpan('process_data', { input_size: 3 });
    await traceSpan('inside', async () => {});
    tracer.endSpan(span, 'ok');
    tracer.endSpan(tracer.startSpan('failed'), 'error');
    tracer.endSpan(tracer.startSpan('open'), 'unset');
  },

  async exception() {
    try {
      await traceSpan('outer', {}, async () => {
        traceSpanSync('inner', {}, () => {
          throw new ValueError('boom');
        });
      });
    } catch (error) {
      console.log('caught', error.message);
    }
    traceSpanSync('after', () => {});
  },

  values() {
    traceSpanSync('values', {
      text: 'plain', empty: '', largest: 2n ** 63n - 1n, smallest: -(2n ** 63n), yes: true, no: false, half: 1.5,
      unicode: 'h\u00e9llo \u4e16\u754c \u{1f600}', escapes: 'a"b\\c\n\t\x01\x7f', 'with.dots': 'x', list: ['a', 'b'], numbers: [1, 2, 3],
    }, () => {});
  },

  special() {
    const circle = {};
    circle.self = circle;
    let deep = 'bottom';
    for (let i = 0; i < 12; i++) {
      deep = [deep];
    }
    traceSpanSync('special', {
      nan: NaN, inf: Infinity, minus: -Infinity, bytes: Buffer.from([0, 255]), nothing: null, neither: undefined,
      object: { a: [1, { b: null }] }, huge: 2n ** 70n, circle, deep,
    }, () => {});
  },

  own_tenant() {
    traceSpanSync('own', { tenant_id: 'mine' }, () => {});
    traceSpanSync('theirs', () => {});
  },

  events() {
    traceSpanSync('work', (span) => {
      span.setAttribute('n', 1).addEvent('cache miss', { key: 'k' }).addEvent('bare');
    });
  },

  status() {
    traceSpanSync('refused', (span) => {
      span.setStatus('error', 'no such user');
    });
  },

  function() {
    const add = traceFunction('add', { kind_of: 'sum' }, (a, b) => a + b);
    console.log(add(1, 2));
  },

  /* One that knows nothing of the flow it is called in, as a pool of its own would. */
  async thread() {
    const elsewhere = new AsyncResource('pool');
    await traceSpan('outer', async () => {
      const work = bind(() => traceSpanSync('in thread', () => {}));
      elsewhere.runInAsyncScope(work);
    });
  },

  async many() {
    await traceSpan('root', async () => {
      for (let i = 0; i < 10000; i++) {
        traceSpanSync('step', { i }, () => {});
      }
    });
  },

  roots() {
    for (let i = 0; i < 4000; i++) {
      traceSpanSync('root', { i }, () => traceSpanSync('child', () => {}));
    }
  },

  long() {
    const attributes = {};
    for (let i = 0; i < 200; i++) {
      attributes[`key${i}`] = 'x'.repeat(20000);
    }
    traceSpanSync('long', attributes, (span) => {
      for (let i = 0; i < 200; i++) {
        span.addEvent('event', { text: 'y'.repeat(20000) });
      }
    });
    traceSpanSync('n'.repeat(100000), () => {});
  },

  exits() {
    tracer.startSpan('never ends');
    for (let i = 0; i < 3; i++) {
      traceSpanSync('ended', { i }, () => {});
    }
    process.exit(3);
  },

  async uncaught() {
    await traceSpan('fails', async () => {
      throw new Error('not caught');
    });
  },

  twice() {
    const span = tracer.startSpan('once');
    tracer.endSpan(span);
    tracer.endSpan(span, 'error');
    span.setAttribute('late', 1).addEvent('late');
  },

  environment() {
    traceSpanSync('parent', () => {
      const environment = childEnvironment();
      for (const name of ['TRACEPARENT', 'TRACESTATE', 'LOOM_TRACE_ID', 'LOOM_SPAN_ID', 'BAGGAGE', 'LOOM_TRACE_BAGGAGE']) {
        console.log(`${name}=${environment[name] || '-'}`);
      }
    });
  },
};

scenarios[process.argv[2]]();
