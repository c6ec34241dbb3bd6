// SPDX-License-Identifier: Apache-2.0
// Contrast of both themes, computed from the style sheet (WCAG 2.2 AA): text 4.5:1 (1.4.3), parts of the page that have to be
// seen 3:1 (1.4.11). Usage: node --test test_view_contrast.mjs, VIEW_PAGE names the folder.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

const sheet = readFileSync(`${process.env.VIEW_PAGE}/style.css`, "utf8");

function tokensOf(selector) {
  const [, body] = sheet.match(new RegExp(`${selector.replace(/[[\]().]/g, "\\$&")} \\{([^}]*)\\}`)) ?? assert.fail(`no rule ${selector}`);
  return Object.fromEntries([...body.matchAll(/(--[\w-]+): ([^;]+);/g)].map(([, name, value]) => [name, value]));
}

const light = tokensOf(":root"), dark = { ...light, ...tokensOf(':root[data-theme="dark"]') };
const themes = { light, dark };

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255);
const mix = (top, below, part) => top.map((value, i) => value * part + below[i] * (1 - part));

function hsl(hue, chroma, lightness) {
  const a = chroma * Math.min(lightness, 1 - lightness);
  return [0, 8, 4].map((n) => { const k = (n + hue / 30) % 12; return lightness - a * Math.max(-1, Math.min(k - 3, 9 - k, 1)); });
}

function luminance(color) {
  const [r, g, b] = color.map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a, b) {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}

function holds(theme, what, front, behind, least) {
  const found = contrast(front, behind);
  assert.ok(found >= least, `${theme}: ${what} has a contrast of ${found.toFixed(2)}, and needs ${least}`);
}

const rules = [...sheet.replace(/\/\*[^]*?\*\//g, "").matchAll(/([^{}]+)\{([^{}]*)\}/g)].map(([, selector, body]) => ({ selector: selector.trim(), body }))
  .filter(({ selector }) => !selector.startsWith(":root") && !selector.includes(":disabled"));
const tokenIn = (body, property) => body.match(new RegExp(`(?:^|[;\\s])${property}: var\\((--[\\w-]+)\\)`))?.[1];
const GROUNDS = ["--ground", "--raised", "--accent-ground"]; // of the page, of a table, of a row that is chosen or under the mouse

test("the dark theme is the same, chosen by the system or by the button", () => {
  assert.deepEqual(tokensOf(':root:not([data-theme="light"])'), tokensOf(':root[data-theme="dark"]'));
});

for (const [name, tokens] of Object.entries(themes)) {
  const color = (token) => rgb(tokens[token]);

  test(`text of the ${name} theme can be read`, () => {
    let checked = 0;
    for (const ground of GROUNDS) holds(name, `text on ${ground}`, color("--text"), color(ground), 4.5);
    for (const { selector, body } of rules) {
      const front = tokenIn(body, "color") ?? (selector.includes("text") ? tokenIn(body, "fill") : undefined), own = tokenIn(body, "background");
      if (front === undefined) continue;
      for (const ground of own ? [own] : GROUNDS) {
        holds(name, `${selector} (${front} on ${ground})`, color(front), color(ground), 4.5);
        checked++;
      }
    }
    assert.ok(checked > 60, `only ${checked} pairs were found: does this test still read the style sheet?`);
    for (const kind of ["warn", "bad"]) holds(name, `the verdict in a ${kind} agent`, color(`--${kind}`), color(`--${kind}-ground`), 4.5);
    for (const kind of ["warn", "bad"]) holds(name, `the name of a ${kind} agent`, color("--text"), color(`--${kind}-ground`), 4.5);
  });

  test(`what is drawn in the ${name} theme can be seen`, () => {
    for (const ground of ["--ground", "--raised"]) {
      holds(name, `the edge of a control on ${ground}`, color("--edge"), color(ground), 3);
      for (const token of ["--accent", "--bad", "--warn"]) holds(name, `focus, borders and marks: ${token} on ${ground}`, color(token), color(ground), 3);
      for (const token of ["--accent", "--bad"]) holds(name, `a line of the flow, ${token} on ${ground}`, mix(color(token), color(ground), 0.75), color(ground), 3);
    }
    for (const ground of ["--raised", "--accent-ground"]) {
      for (let hue = 0; hue < 360; hue += 5) {
        holds(name, `a bar of hue ${hue} on ${ground}`, hsl(hue, parseFloat(tokens["--bar-chroma"]) / 100, parseFloat(tokens["--bar-light"]) / 100), color(ground), 3);
      }
    }
  });
}

test("what shows by its edge alone uses the token for edges", () => {
  const of = (selector) => rules.find((rule) => rule.selector === selector)?.body ?? assert.fail(`no rule ${selector}`);
  assert.match(of("button, input, select, textarea"), /border: 1px solid var\(--edge\)/);
  assert.match(of(".edge.still"), /stroke: var\(--edge\)/);
  assert.match(of(".edge"), /opacity: 0.75/);
  assert.match(of(".flow .node rect, .flow rect.node"), /stroke: var\(--edge\)/);
});
