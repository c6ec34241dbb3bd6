// SPDX-License-Identifier: Apache-2.0
/** Spans of a Node.js program that Loom started, as lines on standard error. */

export type Status = 'ok' | 'error' | 'unset';
export type Kind = 'internal' | 'server' | 'client' | 'producer' | 'consumer';
/** Values of any type are written; null and undefined are left out. */
export type Attributes = { [name: string]: unknown };

export class Span {
  private constructor();
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string | null;
  /** False: it is not sampled, or nobody collects. */
  readonly recording: boolean;
  /** For a header or a variable; null when the trace's id is neither hex nor a UUID. */
  readonly traceparent: string | null;
  name: string;
  kind: Kind;
  attributes: Attributes;
  setAttribute(key: string, value: unknown): this;
  setAttributes(attributes: Attributes): this;
  setStatus(status: Status, message?: string): this;
  addEvent(name: string, attributes?: Attributes): this;
  recordException(error: unknown): this;
  /** A second time does nothing. */
  end(status?: Status): void;
}

export class LoomTracer {
  constructor(environment?: { [name: string]: string | undefined });
  readonly traceId: string;
  readonly parentSpanId: string | null;
  readonly baggage: Map<string, string>;
  readonly enabled: boolean;
  startSpan(name: string, attributes?: Attributes | null, parent?: Span): Span;
  endSpan(span: Span, status?: Status, error?: unknown): void;
  traceSpan<T>(name: string, fn: (span: Span) => T | PromiseLike<T>): Promise<T>;
  traceSpan<T>(name: string, attributes: Attributes | null | undefined, fn: (span: Span) => T | PromiseLike<T>): Promise<T>;
  traceSpanSync<T>(name: string, fn: (span: Span) => T): T;
  traceSpanSync<T>(name: string, attributes: Attributes | null | undefined, fn: (span: Span) => T): T;
  childEnvironment(environment?: { [name: string]: string | undefined }): { [name: string]: string | undefined };
}

export const tracer: LoomTracer;
export function traceSpan<T>(name: string, fn: (span: Span) => T | PromiseLike<T>): Promise<T>;
export function traceSpan<T>(name: string, attributes: Attributes | null | undefined, fn: (span: Span) => T | PromiseLike<T>): Promise<T>;
export function traceSpanSync<T>(name: string, fn: (span: Span) => T): T;
export function traceSpanSync<T>(name: string, attributes: Attributes | null | undefined, fn: (span: Span) => T): T;
export function traceFunction<F extends (...args: any[]) => any>(fn: F): F;
export function traceFunction<F extends (...args: any[]) => any>(name: string, fn: F): F;
export function traceFunction<F extends (...args: any[]) => any>(name: string, attributes: Attributes | null | undefined, fn: F): F;
/** Both kinds of decorators: ECMAScript's and those of experimentalDecorators. */
export function traceMethod(name?: string, attributes?: Attributes): (target: any, key: any, descriptor?: any) => any;
export function traceMethod(target: any, key: any, descriptor?: any): any;
/** fn, to be called later by somebody else under the span that is current now. */
export function bind<F extends (...args: any[]) => any>(fn: F): F;
export function currentSpan(): Span | null;
export function childEnvironment(environment?: { [name: string]: string | undefined }): { [name: string]: string | undefined };
export function flush(): void;
