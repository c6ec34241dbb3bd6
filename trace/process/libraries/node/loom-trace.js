// SPDX-License-Identifier: Apache-2.0
'use strict';
/* Spans of a Node.js program that Loom started, as lines on standard error (FORMAT.md).
 *
 *     const { tracer, traceSpan, traceSpanSync, traceMethod } = require('loom-trace');
 *     await traceSpan('query_database', { query_type: 'SELECT' }, async () => …);
 *
 * One file, no dependencies, Node 16 and later. Nothing here throws into the program; what a span costs is some microseconds.
 * The current span follows asynchronous calls (AsyncLocalStorage); each worker thread has its own, and lines of its own. */

const { AsyncLocalStorage, AsyncResource } = require('async_hooks');
const { randomFillSync } = require('crypto');
const fs = require('fs');
const { performance } = require('perf_hooks');
const tty = require('tty');
const { isMap, isPromise } = require('util').types; // which no proxy can see

const LINE_MAX = 262144; // bytes, marker and line feed included; lines are ASCII
const ATTRIBUTES_MAX = 128;
const EVENTS_MAX = 128;
const STRING_MAX = 16384; // characters
const ITEMS_MAX = 1000; // of one value, nested ones included
const DEPTH_MAX = 8;
const NAME_MAX = 1024;
const KEY_MAX = 256;
const ERRORS_MAX = 10; // complaints in the life of a process
const BUFFER_MAX = 1 << 20; // bytes that may wait for a reader
const BUFFER_WRITE = 32768; // bytes at which they are written although a root span is open
const WRITE_AFTER_MS = 10; // since the last write
const WRITE_MAX = 4096; // PIPE_BUF of Linux: what a pipe keeps in one piece
const READER_WAIT_MS = 50;
const EXIT_WAIT_MS = 500;
const NESTED_MAX = 1000; // spans that nobody ends must not pile up

const STATUSES = new Set(['unset', 'ok', 'error']);
const KINDS = new Set(['internal', 'server', 'client', 'producer', 'consumer']);
const CONTEXT_VARIABLES = [
  'TRACEPARENT', 'TRACESTATE', 'BAGGAGE', 'B3', 'X_B3_TRACEID', 'X_B3_SPANID', 'X_B3_PARENTSPANID', 'X_B3_SAMPLED', 'X_B3_FLAGS',
  'X_TRACE_ID', 'X_SPAN_ID', 'OTEL_TRACEPARENT', 'LOOM_TRACE_ID', 'LOOM_SPAN_ID', 'LOOM_TRACE_BAGGAGE',
];

// ---- the stream ----

/* Lines on their way to standard error. */
class Output {
  constructor() {
    this.lines = [];
    this.size = 0;
    this.writtenMs = 0;
    this.blocked = false; // the last write found no reader
    this.torn = false; // our last line has no end
    this.gone = false; // there is no reader any more
    this.lost = 0;
    this.errors = 0;
    this.timer = null;
    this.sleeper = null;
    this.later = () => {
      this.timer = null;
      this.flush(0);
    };
  }

  add(line, nowMs, isRoot) {
    if (this.size + line.length > BUFFER_MAX) {
      this.flush(0);
      if (this.size + line.length > BUFFER_MAX) {
        this.lost++;
        return;
      }
    }
    this.lines.push(line);
    this.size += line.length;
    if (isRoot || this.size >= BUFFER_WRITE || nowMs - this.writtenMs >= WRITE_AFTER_MS) {
      this.flush(this.blocked ? 0 : READER_WAIT_MS);
    } else if (this.timer === null) {
      this.timer = setTimeout(this.later, WRITE_AFTER_MS);
      this.timer.unref();
    }
  }

  complain(text) {
    if (this.errors < ERRORS_MAX) {
      this.errors++;
      this.lines.push(errorLine(text));
      this.flush(0);
    }
  }

  flush(waitMs) {
    const lines = this.lines;
    let at = 0;
    while (at < lines.length || (this.lost > 0 && !this.blocked)) {
      if (this.lost > 0 && !this.blocked) {
        if (!this.report()) {
          break;
        }
        continue;
      }
      let data = lines[at];
      let next = at + 1;
      while (next < lines.length && data.length + lines[next].length <= WRITE_MAX) {
        data += lines[next++];
      }
      const done = this.write(data, waitMs);
      if (done === 0) {
        break;
      }
      if (done < data.length) {
        this.lost += countSpans(data.slice(data.lastIndexOf('\n', done - 1) + 1)); // the last that is out is torn
      }
      at = next;
    }
    lines.splice(0, this.gone ? lines.length : at);
    this.size = 0;
    for (const line of lines) {
      this.size += line.length;
    }
    this.writtenMs = performance.now();
  }

  /* Whether the number of those that are lost is written. */
  report() {
    const lost = this.gone ? 0 : this.lost;
    const line = errorLine(`${lost} spans lost: standard error was not read`);
    if (lost > 0 && this.write(line, 0) < line.length) {
      return false;
    }
    this.lost = 0;
    return true;
  }

  /* The end of the process: what can not be written is counted now, or never. A pipe that is full may have room for a short line. */
  finish() {
    this.flush(EXIT_WAIT_MS);
    if (this.lines.length > 0 || this.lost > 0) {
      this.lost += countSpans(this.lines.join(''));
      this.lines = [];
      this.report();
    }
  }

  /* How many bytes of data have been written. Standard error may be non-blocking, as whoever started us left it. */
  write(data, waitMs) {
    const prefix = this.torn ? 1 : 0;
    const out = this.torn ? '\n' + data : data;
    const until = performance.now() + waitMs;
    let done = 0;
    this.blocked = false;
    while (done < out.length && !this.gone && !this.blocked) {
      try {
        done += fs.writeSync(2, done === 0 ? out : out.slice(done), null, 'latin1');
      } catch (error) {
        this.gone = error.code !== 'EAGAIN' && error.code !== 'EINTR';
        this.blocked = error.code === 'EAGAIN' && !this.waitUntil(done > 0 ? until + READER_WAIT_MS : until);
      }
    }
    this.torn = done === 0 ? this.torn : done > prefix && done < out.length;
    return Math.max(0, done - prefix);
  }

  /* A moment's sleep; false: it is too late for one. */
  waitUntil(deadlineMs) {
    if (performance.now() >= deadlineMs) {
      return false;
    }
    try {
      this.sleeper = this.sleeper || new Int32Array(new SharedArrayBuffer(4));
      Atomics.wait(this.sleeper, 0, 0, 1);
    } catch {
      return false; // a thread that may not wait
    }
    return true;
  }
}

const output = new Output();

function countSpans(lines) {
  return `\n${lines}`.split('\n__LOOM_TRACE__:').length - 1;
}

function errorLine(text) {
  const plain = String(text).replace(/\s+/g, ' ').replace(/[^\x20-\x7e]/g, '?');
  return `__LOOM_TRACE_ERROR__: ${plain.slice(0, 1000)}\n`;
}

function complain(text) {
  try {
    output.complain(text);
  } catch { /* standard error is what we would complain on */ }
}

/* Writes what waits. Returns when it is written, or the reader has been waited for half a second. */
function flush() {
  try {
    output.flush(EXIT_WAIT_MS);
  } catch { /* nothing to be done at the end */ }
}

process.on('exit', () => {
  try {
    output.finish();
  } catch { /* nothing to be done at the end */ }
});

// ---- JSON ----

const NOT_ASCII = /[^\x00-\x7f]/; // eslint-disable-line no-control-regex
const LONE = /\p{Surrogate}/gu;

function escapeUnit(unit) {
  return '\\u' + unit.charCodeAt(0).toString(16).padStart(4, '0');
}

/* A JSON string in ASCII, cut at STRING_MAX; lone surrogates become U+FFFD. */
function quote(text) {
  if (text.length > STRING_MAX) {
    text = text.slice(0, STRING_MAX);
  }
  if (!NOT_ASCII.test(text)) {
    return JSON.stringify(text);
  }
  return JSON.stringify(text.replace(LONE, '\ufffd')).replace(/[^\x00-\x7f]/g, escapeUnit); // eslint-disable-line no-control-regex
}

function textOf(value) {
  try {
    return String(value);
  } catch {
    return unprintable(value);
  }
}

function unprintable(value) {
  let type = typeof value;
  try {
    type = value.constructor.name || type;
  } catch { /* its type will do */ }
  return `<unprintable ${type}>`;
}

function numberText(value) {
  return Number.isFinite(value) ? String(value) : `"${value}"`;
}

function bigintText(value) {
  return BigInt.asIntN(64, value) === value ? String(value) : quote(String(value));
}

/* Any value as JSON text, but for functions and undefined, which are null. state: {items, path}. */
function encode(value, state) {
  switch (typeof value) {
    case 'string': return quote(value);
    case 'number': return numberText(value);
    case 'boolean': return value ? 'true' : 'false';
    case 'bigint': return bigintText(value);
    case 'undefined': return 'null';
    case 'symbol': return quote(value.toString());
    case 'function': return quote(`[function ${value.name || 'anonymous'}]`);
    default: return value === null ? 'null' : encodeObject(value, state);
  }
}

function encodeObject(value, state) {
  if (value instanceof Date) {
    return quote(Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString());
  }
  if (value instanceof Error) {
    return quote(`${errorType(value)}: ${textOf(value.message)}`);
  }
  if (value instanceof RegExp || value instanceof WeakMap || value instanceof WeakSet || value instanceof Promise) {
    return quote(textOf(value));
  }
  if (value instanceof String || value instanceof Number || value instanceof Boolean) {
    return encode(value.valueOf(), state);
  }
  if (value instanceof Uint8Array || value instanceof ArrayBuffer || value instanceof DataView) {
    const bytes = value instanceof ArrayBuffer ? Buffer.from(value) : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    return quote(bytes.subarray(0, (STRING_MAX * 3) / 4).toString('base64'));
  }
  if (state.path.includes(value)) {
    return '"[circular]"';
  }
  if (state.path.length === DEPTH_MAX) {
    return '"\\u2026"';
  }
  state.path.push(value);
  try {
    return encodeNested(value, state);
  } finally {
    state.path.pop();
  }
}

function encodeNested(value, state) {
  if (value instanceof Map) {
    return encodeEntries(Array.from(value, ([key, item]) => [textOf(key), item]), state);
  }
  if (Array.isArray(value) || value instanceof Set || ArrayBuffer.isView(value)) {
    const texts = [];
    for (const item of value) {
      if (state.items++ >= ITEMS_MAX) {
        break;
      }
      texts.push(guarded(item, state));
    }
    return `[${texts.join(',')}]`;
  }
  if (typeof value.toJSON === 'function') {
    return encode(value.toJSON(), state);
  }
  return encodeEntries(Object.keys(value).map((key) => [key, property(value, key)]), state);
}

function encodeEntries(entries, state) {
  const texts = new Map(); // keys that were cut may have become the same
  for (const [key, item] of entries) {
    if (item === undefined) {
      continue;
    }
    if (state.items++ >= ITEMS_MAX) {
      break;
    }
    const name = quote(key.slice(0, KEY_MAX));
    texts.set(name, `${name}:${guarded(item, state)}`);
  }
  return `{${Array.from(texts.values()).join(',')}}`;
}

function property(value, key) {
  try {
    return value[key];
  } catch {
    return unprintable(value);
  }
}

function guarded(value, state) {
  try {
    return encode(value, state);
  } catch {
    return quote(unprintable(value));
  }
}

const keys = new Map(); // what they are in JSON, colon included

function keyText(key) {
  let text = keys.get(key);
  if (text === undefined) {
    text = quote(key.length > KEY_MAX ? key.slice(0, KEY_MAX) : key) + ':';
    if (keys.size < 1024 && key.length <= KEY_MAX) {
      keys.set(key, text);
    }
  }
  return text;
}

/* The members of a JSON object: {text, dropped}. */
function attributesText(attributes, sizeMax) {
  let text = '';
  let count = 0;
  let dropped = 0;
  for (const key in attributes) {
    const value = attributes[key]; // our own object: no getters
    if (value === undefined || value === null || key === '' || (key.length > KEY_MAX && key.slice(0, KEY_MAX) in attributes)) {
      continue;
    }
    if (count === ATTRIBUTES_MAX) {
      dropped++;
      continue;
    }
    const member = keyText(key) + (typeof value === 'string' ? quote(value)
      : typeof value === 'number' ? numberText(value) : guarded(value, { items: 0, path: [] }));
    if (text.length + member.length > sizeMax) {
      dropped++;
      continue;
    }
    text = count++ === 0 ? member : `${text},${member}`;
  }
  return { text, dropped };
}

// ---- times ----

let origin = performance.timeOrigin; // of performance.now(), in Unix milliseconds
let second = -1; // the last one that was written
let secondText = '';

/* The clock may have been set since the process started. */
function alignOrigin() {
  const difference = Date.now() - (origin + performance.now());
  if (difference > 20 || difference < -20) {
    origin += difference;
  }
}

function timeText(unixMs) {
  const seconds = Math.floor(unixMs / 1000);
  if (seconds !== second) {
    second = seconds;
    secondText = new Date(seconds * 1000).toISOString().slice(0, 20);
  }
  const micros = Math.floor((unixMs - seconds * 1000) * 1000);
  return secondText + String(1000000 + micros).slice(1) + 'Z';
}

// ---- ids ----

const pool = Buffer.alloc(4096);
let poolAt = pool.length;

function newId(size) {
  for (;;) {
    if (poolAt + size > pool.length) {
      randomFillSync(pool);
      poolAt = 0;
    }
    const id = pool.toString('hex', poolAt, poolAt + size);
    poolAt += size;
    if (!/^0+$/.test(id)) {
      return id;
    }
  }
}

// ---- spans ----

/* What is current: the span of the innermost traceSpan(), and spans that were started by hand since. */
class Scope {
  constructor(span, manual, outer) {
    this.span = span;
    this.manual = manual;
    this.outer = outer; // the scope of the manual span before
    this.depth = outer === null ? 0 : outer.depth + 1;
  }

  current() {
    for (let scope = this; scope !== null; scope = scope.outer) {
      if (scope.manual !== null && scope.manual.endMs === 0) {
        return scope.manual;
      }
    }
    return this.span;
  }
}

const storage = new AsyncLocalStorage();

/* One operation. attributes may be changed until it ends. */
class Span {
  constructor(name, attributes, parent, tracer) {
    this.name = name;
    this.attributes = attributes;
    this.spanId = newId(8);
    this.status = 'unset';
    this.statusMessage = undefined;
    this.kind = 'internal';
    this.events = null;
    this.droppedEvents = 0;
    this.endMs = 0;
    this.parent = parent;
    if (parent === null) {
      this.traceId = tracer.traceId;
      this.parentId = tracer.parentSpanId;
      this.recording = tracer.enabled && tracer.keeps(this.spanId);
      alignOrigin();
    } else {
      this.traceId = parent.traceId;
      this.parentId = parent.spanId;
      this.recording = parent.recording;
    }
    this.startMs = origin + performance.now();
    this.clockMs = this.startMs - origin;
  }

  setAttribute(key, value) {
    if (this.endMs === 0) {
      this.attributes[textOf(key)] = value;
    }
    return this;
  }

  setAttributes(attributes) {
    if (this.endMs === 0) {
      copyInto(this.attributes, attributes);
    }
    return this;
  }

  /* status: 'ok', 'error' or 'unset'; what it is set to counts before what ends the span says. */
  setStatus(status, message) {
    if (this.endMs === 0) {
      this.status = statusOf(status);
      this.statusMessage = message;
    }
    return this;
  }

  addEvent(name, attributes) {
    if (this.endMs !== 0 || !this.recording) {
      return this;
    }
    this.events = this.events || [];
    if (this.events.length >= EVENTS_MAX) {
      this.droppedEvents++;
    } else {
      this.events.push({ name, timeMs: this.now(), attributes: copyInto({}, attributes) });
    }
    return this;
  }

  /* The event and error.type of the OpenTelemetry conventions, and the status: error. Anything may have been thrown. */
  recordException(error) {
    if (this.endMs !== 0 || !this.recording) {
      return this;
    }
    try {
      const isObject = typeof error === 'object' && error !== null;
      const type = isObject ? errorType(error) : typeof error;
      const message = isObject && 'message' in error ? textOf(error.message) : textOf(error);
      const stack = isObject && typeof error.stack === 'string' ? error.stack : undefined;
      this.addEvent('exception', { 'exception.type': type, 'exception.message': message, 'exception.stacktrace': stack });
      this.attributes['error.type'] = this.attributes['error.type'] || type;
      this.status = 'error';
      this.statusMessage = message;
    } catch (failure) {
      this.status = 'error';
      complain(`Failed to record an exception: ${textOf(failure)}`);
    }
    return this;
  }

  /* Ends and writes it; a second time does nothing. The first of: what setStatus() said, status, 'ok'. */
  end(status) {
    if (this.endMs !== 0) {
      return;
    }
    this.endMs = this.now();
    if (this.status === 'unset') {
      this.status = status === undefined ? 'ok' : statusOf(status);
    }
    if (this.recording) {
      try {
        output.add(lineOf(this), this.endMs - this.startMs + this.clockMs, this.parent === null || this.parent.endMs !== 0);
      } catch (failure) {
        complain(`Failed to export span ${textOf(this.name)}: ${textOf(failure)}`);
      }
    }
    this.attributes = {}; // nothing is kept after it is written
    this.events = null;
    this.parent = null;
  }

  now() {
    return this.startMs + (performance.now() - this.clockMs);
  }

  /* Of this span, for a header or a variable; null when the trace's id is neither hex nor a UUID. */
  get traceparent() {
    const traceId = hexId(this.traceId);
    return traceId ? `00-${traceId}-${this.spanId}-${this.recording ? '01' : '00'}` : null;
  }
}

function statusOf(status) {
  const text = typeof status === 'string' ? status.toLowerCase() : '';
  if (STATUSES.has(text)) {
    return text;
  }
  complain(`${textOf(status)} is no status: ok, error or unset`);
  return 'unset';
}

function errorType(error) {
  const name = textOf(error.name || '');
  const constructor = error.constructor && error.constructor.name;
  return (name && name !== 'Error' ? name : constructor) || name || 'Error';
}

/* Attributes of the caller, whose getters may throw, into an object of our own. */
function copyInto(to, from) {
  if (from === null || from === undefined) {
    return to;
  }
  if (typeof from !== 'object') {
    complain(`attributes are no object: ${textOf(from)}`);
    return to;
  }
  try {
    for (const key of isMap(from) ? from.keys() : Object.keys(from)) {
      const name = textOf(key);
      if (name === '__proto__') { // an assignment would be of another kind
        Object.defineProperty(to, name, { value: undefined, writable: true, enumerable: true, configurable: true });
      }
      to[name] = isMap(from) ? from.get(key) : property(from, key);
    }
  } catch (failure) {
    complain(`attributes cannot be read: ${textOf(failure)}`);
  }
  return to;
}

function rareMembers(span, dropped, events) {
  let text = '';
  if (span.status === 'error' && span.statusMessage !== undefined && span.statusMessage !== null) {
    text += `,"status_message":${quote(textOf(span.statusMessage))}`;
  }
  if (span.kind !== 'internal' && KINDS.has(span.kind)) {
    text += `,"kind":"${span.kind}"`;
  }
  if (events !== '') {
    text += `,"events":[${events}]`;
  }
  if (dropped > 0) {
    text += `,"dropped_attributes":${dropped}`;
  }
  return span.droppedEvents > 0 ? `${text},"dropped_events":${span.droppedEvents}` : text;
}

function eventText(event) {
  const name = quote(textOf(event.name).slice(0, NAME_MAX) || 'unnamed');
  return `{"name":${name},"time":"${timeText(event.timeMs)}","attributes":{${attributesText(event.attributes, LINE_MAX).text}}}`;
}

let headId = null; // the last trace id, and how a line of it begins
let head = '';

function assemble(span, attributes, events) {
  if (headId !== span.traceId) {
    headId = span.traceId;
    head = `__LOOM_TRACE__:{"trace_id":${quote(headId)},"span_id":"`;
  }
  const parent = span.parentId ? `,"parent_id":${quote(span.parentId)}` : '';
  const name = typeof span.name === 'string' && span.name.length > 0 && span.name.length <= NAME_MAX
    ? span.name : textOf(span.name).slice(0, NAME_MAX) || 'unnamed';
  return `${head}${span.spanId}"${parent},"name":${quote(name)},"start_time":"${timeText(span.startMs)}","end_time":"${
    timeText(span.endMs)}","attributes":{${attributes.text}},"status":"${span.status}"${
    rareMembers(span, attributes.dropped, events)}}\n`;
}

function lineOf(span) {
  const events = span.events === null ? '' : span.events.map(eventText).join(',');
  const line = assemble(span, attributesText(span.attributes, LINE_MAX), events);
  if (line.length <= LINE_MAX) {
    return line;
  }
  span.droppedEvents += span.events === null ? 0 : span.events.length;
  if (span.statusMessage !== undefined) {
    span.statusMessage = textOf(span.statusMessage).slice(0, NAME_MAX);
  }
  return assemble(span, attributesText(span.attributes, LINE_MAX / 2), '');
}

// ---- what the program was told ----

/* 32 lower-case digits of an id in hex or a UUID; null: it is neither. */
function hexId(text) {
  const digits = text.length === 32 || text.length === 36 ? text.replace(/-/g, '').toLowerCase() : '';
  return /^[0-9a-f]{32}$/.test(digits) && !/^0+$/.test(digits) ? digits : null;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/s;

/* {traceId, parentId, sampled}, or null. W3C Trace Context, 3.2. */
function parseTraceparent(text) {
  const found = TRACEPARENT.exec(text);
  if (found === null || found[1] === 'ff' || (found[1] === '00' && found[5] !== undefined)) {
    return null;
  }
  if (/^0+$/.test(found[2]) || /^0+$/.test(found[3])) {
    return null;
  }
  return { traceId: found[2], parentId: found[3], sampled: (parseInt(found[4], 16) & 1) === 1 };
}

function percentDecode(text) {
  if (!text.includes('%')) {
    return text;
  }
  const bytes = text.replace(/%([0-9a-fA-F]{2})/g, (all, digits) => String.fromCharCode(parseInt(digits, 16)));
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

const MEMBER = /^[ \t]*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*=[ \t]*([!#-+\--:<-[\]-~]*)[ \t]*$/;

/* A Map, decoded. W3C Baggage, 3.3; properties are left out, and so are members that are not valid. */
function parseBaggage(text) {
  const found = new Map();
  let count = 0;
  let size = 0;
  for (const member of text.split(',')) {
    const parts = MEMBER.exec(member.split(';', 1)[0]);
    if (parts !== null && count < 64 && size + member.length <= 8192) {
      count++;
      size += member.length + 1;
      found.set(parts[1], percentDecode(parts[2]));
    }
  }
  return found;
}

function parseSwitch(text) {
  const word = text.toLowerCase();
  return ['1', 'true', 'on', 'yes'].includes(word) ? true : ['0', 'false', 'off', 'no'].includes(word) ? false : null;
}

const TWO_56 = 2 ** 56;

/* What a program was told of its trace, and the spans it starts in it. environment: process.env by default. */
class LoomTracer {
  constructor(environment = process.env) {
    const told = (name) => (environment[name] || '').trim();
    this.enabled = true;
    this.inherited = {};
    this.fraction = 1;
    this.readContext(told);
    this.readBaggage(told);
    this.readSwitches(told);
    this.defaults = null;
    for (const name of ['tenant_id', 'org_id']) {
      if (this.baggage.get(name)) {
        this.defaults = { ...this.defaults, [name]: this.baggage.get(name) };
      }
    }
  }

  readContext(told) {
    for (const name of ['TRACEPARENT', 'OTEL_TRACEPARENT']) {
      const found = parseTraceparent(told(name));
      if (found !== null) {
        this.traceId = found.traceId;
        this.parentSpanId = found.parentId;
        this.enabled = found.sampled;
        if (name === 'TRACEPARENT' && told('TRACESTATE')) {
          this.inherited.TRACESTATE = told('TRACESTATE');
        }
        return;
      }
    }
    const usable = (id) => (/^[0-]*$/.test(id) || id.length > 256 ? null : id);
    const traceId = usable(told('LOOM_TRACE_ID'));
    this.traceId = traceId || newId(16);
    this.parentSpanId = traceId ? usable(told('LOOM_SPAN_ID')) : null;
  }

  readBaggage(told) {
    this.baggage = new Map();
    for (const name of ['BAGGAGE', 'LOOM_TRACE_BAGGAGE']) {
      this.baggage = parseBaggage(told(name));
      if (this.baggage.size > 0) {
        this.inherited.BAGGAGE = this.inherited.LOOM_TRACE_BAGGAGE = told(name);
        return;
      }
    }
  }

  readSwitches(told) {
    const wanted = parseSwitch(told('LOOM_TRACE'));
    this.enabled = this.enabled && (wanted === null ? !tty.isatty(2) : wanted) && told('OTEL_SDK_DISABLED').toLowerCase() !== 'true';
    const ratio = told('LOOM_TRACE_SAMPLE');
    if (ratio !== '') {
      const fraction = /^[0-9.eE+-]+$/.test(ratio) ? Number(ratio) : NaN;
      if (fraction >= 0 && fraction <= 1) {
        this.fraction = fraction;
      } else if (this.enabled) {
        complain(`LOOM_TRACE_SAMPLE=${ratio} is no number from 0 to 1; everything is kept`);
      }
    }
  }

  /* Whether a local root span of this id is written: its right-most 56 bits against a threshold. */
  keeps(spanId) {
    return this.fraction === 1 || (this.fraction > 0 && parseInt(spanId.slice(2), 16) >= (1 - this.fraction) * TWO_56);
  }

  start(name, attributes, parent) {
    return new Span(name, copyInto(this.defaults === null ? {} : { ...this.defaults }, attributes), parent, this);
  }

  /* Starts a span by hand. What traceSpan() starts after it in the same asynchronous flow is below it, until it ends; other
   * spans started by hand are beside it, unless they name it as parent: calls that run side by side would seem nested. */
  startSpan(name, attributes, parent) {
    const scope = storage.getStore() || null;
    const span = this.start(name, attributes, parent instanceof Span ? parent : scope === null ? null : scope.span);
    const outer = scope !== null && scope.current() !== scope.span && scope.depth < NESTED_MAX ? scope : null;
    storage.enterWith(new Scope(scope === null ? null : scope.span, span, outer));
    return span;
  }

  /* status: 'ok', 'error' or 'unset'. error, if there is one, is recorded. */
  endSpan(span, status = 'ok', error = undefined) {
    if (!(span instanceof Span)) {
      complain(`endSpan() takes a span, not ${textOf(span)}`);
      return;
    }
    if (error !== undefined) {
      span.recordException(error);
    }
    span.end(status);
  }

  async traceSpan(name, attributes, fn) {
    return settled(this, name, attributes, fn);
  }

  traceSpanSync(name, attributes, fn) {
    [attributes, fn] = typeof attributes === 'function' ? [undefined, attributes] : [attributes, fn];
    const span = this.start(name, attributes, currentSpan());
    let result;
    try {
      result = storage.run(new Scope(span, null, null), fn, span);
    } catch (error) {
      span.recordException(error).end('error');
      throw error;
    }
    if (isPromise(result) && Object.getPrototypeOf(result) === Promise.prototype) {
      return result.then((value) => {
        span.end();
        return value;
      }, (error) => {
        span.recordException(error).end('error');
        throw error;
      });
    }
    span.end();
    return result;
  }

  /* A copy of environment in which the trace is the current span's, for a process or a worker to be started. */
  childEnvironment(environment = process.env) {
    const copy = { ...environment };
    for (const name of CONTEXT_VARIABLES) {
      delete copy[name];
    }
    Object.assign(copy, this.inherited);
    const span = currentSpan();
    const { traceId, spanId, recording } = span || { traceId: this.traceId, spanId: this.parentSpanId, recording: this.enabled };
    const plain = hexId(traceId);
    if (plain !== null && /^[0-9a-f]{16}$/.test(spanId || '')) {
      copy.TRACEPARENT = `00-${plain}-${spanId}-${recording ? '01' : '00'}`;
    }
    if (recording) {
      copy.LOOM_TRACE_ID = traceId;
      if (spanId) {
        copy.LOOM_SPAN_ID = spanId;
      }
    }
    return copy;
  }
}

async function settled(owner, name, attributes, fn) {
  [attributes, fn] = typeof attributes === 'function' ? [undefined, attributes] : [attributes, fn];
  const span = owner.start(name, attributes, currentSpan());
  try {
    const result = await storage.run(new Scope(span, null, null), fn, span);
    span.end();
    return result;
  } catch (error) {
    span.recordException(error).end('error');
    throw error;
  }
}

const tracer = new LoomTracer();

/* The innermost span that has not ended, or null. */
function currentSpan() {
  const scope = storage.getStore();
  return scope === undefined ? null : scope.current();
}

/* Runs fn(span), which may be asynchronous, in a span of its own; the result is a promise of its result. attributes may be
 * left out. */
function traceSpan(name, attributes, fn) {
  return settled(tracer, name, attributes, fn);
}

/* The same at once. A promise that fn returns is waited for before the span ends. */
function traceSpanSync(name, attributes, fn) {
  return tracer.traceSpanSync(name, attributes, fn);
}

/* A function that does what fn does, in a span: traceFunction(fn), traceFunction(name, fn), traceFunction(name, attributes, fn). */
function traceFunction(name, attributes, fn) {
  [name, attributes, fn] = typeof name === 'function' ? [undefined, undefined, name]
    : typeof attributes === 'function' ? [name, undefined, attributes] : [name, attributes, fn];
  if (typeof fn !== 'function') {
    const given = fn !== undefined ? fn : attributes !== undefined ? attributes : name;
    complain(`traceFunction is for functions, not for ${textOf(given)}`);
    return given;
  }
  const spanName = name || fn.name || 'anonymous';
  const traced = function (...args) {
    return tracer.traceSpanSync(spanName, attributes, () => fn.apply(this, args));
  };
  for (const property of ['name', 'length']) {
    Object.defineProperty(traced, property, { value: fn[property], configurable: true });
  }
  return traced;
}

function decorate(name, attributes, target, key, descriptor) {
  if (typeof key === 'object' && key !== null && 'kind' in key) { // the decorators of ECMAScript
    const label = name || textOf(key.name);
    if (key.kind === 'field') {
      return (value) => (typeof value === 'function' ? traceFunction(label, attributes, value) : value);
    }
    return key.kind === 'method' ? traceFunction(label, attributes, target) : undefined;
  }
  if (descriptor !== undefined && typeof descriptor.value === 'function') { // TypeScript's experimentalDecorators
    return { ...descriptor, value: traceFunction(name || textOf(key), attributes, descriptor.value) };
  }
  complain(`traceMethod is for methods, not for ${textOf(key)}`);
  return descriptor;
}

/* A decorator: @traceMethod(), @traceMethod('load', { table: 'users' }), @traceMethod; the span has the method's name by default. */
function traceMethod(name, attributes, descriptor) {
  const bare = typeof name === 'function' || (typeof name === 'object' && name !== null);
  if (bare) {
    return decorate(undefined, undefined, name, attributes, descriptor);
  }
  return (target, key, its) => decorate(name, attributes, target, key, its);
}

/* fn, to be called later by somebody else under the span that is current now. */
function bind(fn) {
  return AsyncResource.bind(fn);
}

function childEnvironment(environment = process.env) {
  return tracer.childEnvironment(environment);
}

module.exports = {
  LoomTracer,
  Span,
  bind,
  childEnvironment,
  currentSpan,
  flush,
  traceFunction,
  traceMethod,
  traceSpan,
  traceSpanSync,
  tracer,
};
