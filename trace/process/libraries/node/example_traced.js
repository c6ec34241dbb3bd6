// SPDX-License-Identifier: Apache-2.0
'use strict';
/* Nested spans in every form:  LOOM_TRACE=1 node example_traced.js */

const { traceFunction, traceSpan, traceSpanSync, tracer } = require('./loom-trace');

const parse = traceFunction(function parse(line) {
  return line.split(' ').map(Number);
});

const total = traceFunction('total', async (numbers) => {
  await new Promise((resolve) => setTimeout(resolve, 1));
  return numbers.reduce((sum, number) => sum + number, 0);
});

async function main() {
  await traceSpan('report', { source: 'example' }, async () => {
    const lines = await traceSpan('query_database', { query_type: 'SELECT' }, async (span) => {
      const found = ['1 2 3', '4 5', '6'];
      span.setAttribute('rows_returned', found.length);
      return found;
    });
    const rows = traceSpanSync('parse_data', { format: 'text' }, () => lines.map(parse));
    const sums = await Promise.all(rows.map(total));

    const span = tracer.startSpan('process_data', { input_size: sums.length });
    try {
      console.log(sums.reduce((a, b) => a + b) / sums.length);
      tracer.endSpan(span, 'ok');
    } catch (error) {
      tracer.endSpan(span, 'error', error);
      throw error;
    }
  });
}

main();
