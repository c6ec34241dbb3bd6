// SPDX-License-Identifier: Apache-2.0
// Numbers and times for people. Durations are in nanoseconds.

const UNITS = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"], [1, "ns"]];

export function duration(ns) {
  if (ns >= 59.95e9) {
    const seconds = Math.round(ns / 1e9);
    return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  }
  const [size, unit] = UNITS.find(([size]) => ns >= size * 0.9995) ?? UNITS[3];
  const value = ns / size;
  return `${value >= 99.95 || size === 1 ? value.toFixed(0) : value >= 9.995 ? value.toFixed(1) : value.toFixed(2)} ${unit}`;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

/** In the reader's zone; the day only when it is not today. */
export function time(ms) {
  const date = new Date(ms);
  return date.toDateString() === new Date().toDateString() ? clock.format(date) : `${day.format(date)} ${clock.format(date)}`;
}

const whole = new Intl.NumberFormat();

export function count(n) {
  return whole.format(n);
}

/** Of messages or bytes, as the unit says it. */
export function credit(n, unit) {
  return Number.isSafeInteger(n) ? unit(n) : "no limit";
}

/** "1 span", "2 spans". */
export function several(n, word) {
  return `${count(n)} ${word}${n === 1 ? "" : "s"}`;
}

export function bytes(n) {
  const [size, unit] = [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [1024, "KiB"], [1, "B"]].find(([size]) => n >= size) ?? [1, "B"];
  return `${size === 1 || n / size >= 100 ? Math.round(n / size) : (n / size).toFixed(1)} ${unit}`;
}

export function rate(perSecond) {
  if (perSecond >= 1e6) return `${(perSecond / 1e6).toFixed(1)} M/s`;
  if (perSecond >= 1e3) return `${(perSecond / 1e3).toFixed(1)} k/s`;
  return `${perSecond >= 10 || perSecond === 0 ? perSecond.toFixed(0) : perSecond.toFixed(1)}/s`;
}
