// SPDX-License-Identifier: Apache-2.0
// A form made of the fields of a schema. Each part is {node, read, write}: read gives its value, undefined when it is left out.

import { el } from "./dom.js";
import { jsonProblem } from "./payload.js";

let serial = 0; // of ids, for labels

function described(field, control, hint) {
  const id = `field-${++serial}`;
  control.id = id;
  return el("div", { class: "field" },
    el("label", { for: id }, field.title || "value", field.required ? el("span", { class: "required", title: "required" }, " *") : null),
    control, field.description || hint ? el("p", { class: "hint" }, field.description, hint ? ` ${hint}` : "") : null);
}

function textPart(field) {
  const types = { email: "email", uri: "url", date: "date", time: "time" };
  const input = field.max > 200 ? el("textarea", { rows: 4 }) : el("input", { type: types[field.format] ?? "text", autocomplete: "off" });
  for (const [name, value] of Object.entries({ required: field.required && field.min > 0, minlength: field.min, maxlength: field.max, pattern: field.pattern && `.*(?:${field.pattern}).*` })) {
    if (value !== undefined && value !== false) input.setAttribute(name, value === true ? "" : value);
  }
  return { node: described(field, input, field.format && `(${field.format})`), read: () => (input.value === "" && !field.required ? undefined : input.value),
           write: (value) => { input.value = value ?? ""; } };
}

function numberPart(field) {
  const whole = field.kind === "integer";
  const input = el("input", { type: "number", required: field.required, min: field.min, max: field.max, step: field.step ?? (whole ? 1 : "any"), inputmode: whole ? "numeric" : "decimal" });
  const bounds = [field.min !== undefined ? `from ${field.min}` : "", field.max !== undefined ? `to ${field.max}` : ""].filter(Boolean).join(" ");
  return { node: described(field, input, bounds && `(${bounds})`), read: () => (input.value === "" ? undefined : Number(input.value)), write: (value) => { input.value = value ?? ""; } };
}

/** Also a boolean that may be left out: unset is not false. */
function choicePart(field) {
  const { options } = field;
  const select = el("select", { required: field.required }, field.required && field.initial !== undefined ? null : el("option", { value: "" }, field.required ? "choose …" : "(left out)"),
    options.map((option, i) => el("option", { value: i }, typeof option === "string" ? option : JSON.stringify(option))));
  return { node: described(field, select), read: () => (select.value === "" ? undefined : options[Number(select.value)]),
           write: (value) => { const at = options.findIndex((option) => JSON.stringify(option) === JSON.stringify(value)); select.value = at < 0 ? "" : at; } };
}

function jsonPart(field) {
  const area = el("textarea", { rows: 3, required: field.required, spellcheck: "false", placeholder: "JSON" });
  area.addEventListener("input", () => area.setCustomValidity(jsonProblem(area.value)));
  return { node: described(field, area, "(as JSON)"), read: () => (area.value.trim() === "" ? undefined : JSON.parse(area.value)),
           write: (value) => { area.value = value === undefined ? "" : JSON.stringify(value, null, 2); area.setCustomValidity(""); } };
}

function objectPart(field, top) {
  const parts = field.fields.map((child) => [child.name, partOf(child)]);
  const read = () => {
    const pairs = parts.map(([name, part]) => [name, part.read()]).filter(([, value]) => value !== undefined);
    return pairs.length === 0 && !field.required ? undefined : Object.fromEntries(pairs);
  };
  const write = (value) => { for (const [name, part] of parts) part.write(value?.[name]); };
  const nodes = parts.map(([, part]) => part.node);
  return { read, write, node: top ? el("div", { class: "fields" }, nodes)
    : el("fieldset", {}, el("legend", {}, field.title, field.required ? " *" : ""), field.description ? el("p", { class: "hint" }, field.description) : null, nodes) };
}

function arrayPart(field) {
  const list = el("ol", { class: "items" }), items = [];
  const add = (value) => {
    if (field.max !== undefined && items.length >= field.max) return;
    const part = partOf(field.item);
    if (value !== undefined) part.write(value);
    const row = el("li", {}, part.node, el("button", { type: "button", class: "remove", "aria-label": "Remove", onclick: () => { items.splice(items.indexOf(part), 1); row.remove(); } }, "✕"));
    items.push(part);
    list.append(row);
  };
  const write = (value) => {
    items.length = 0;
    list.replaceChildren();
    for (const one of Array.isArray(value) ? value : []) add(one);
    while (items.length < field.min) add();
  };
  write();
  return { write, read: () => (items.length === 0 && !field.required ? undefined : items.map((part) => part.read() ?? null)),
           node: el("fieldset", {}, el("legend", {}, field.title || "list", field.required ? " *" : ""), field.description ? el("p", { class: "hint" }, field.description) : null, list,
             el("button", { type: "button", class: "add", onclick: () => add() }, "+ Add")) };
}

const PARTS = {
  string: textPart, number: numberPart, integer: numberPart, choice: choicePart, json: jsonPart, object: objectPart, array: arrayPart,
  boolean: (field) => choicePart({ ...field, options: [true, false] }),
};

export function partOf(field, top = false) {
  const part = PARTS[field.kind](field, top);
  if (field.initial !== undefined) part.write(field.initial);
  return part;
}
