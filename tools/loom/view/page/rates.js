// SPDX-License-Identifier: Apache-2.0
// What a total grew by each second, from one look to the next. No DOM here.

export class Rates {
  #before = new Map();
  #now = new Map();
  #beforeMs = 0;
  #nowMs = 0;

  /** Begins a look at all totals. */
  look(nowMs = performance.now()) {
    this.#before = this.#now;
    this.#beforeMs = this.#nowMs;
    this.#now = new Map();
    this.#nowMs = nowMs;
  }

  /** Per second since the look before; 0 for what was not there then, or began anew. */
  of(key, total) {
    const was = this.#before.get(key);
    this.#now.set(key, total);
    return was === undefined || total < was || this.#nowMs <= this.#beforeMs ? 0 : ((total - was) * 1000) / (this.#nowMs - this.#beforeMs);
  }
}
