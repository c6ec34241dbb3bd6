// SPDX-License-Identifier: Apache-2.0
// A form made of the fields of a schema. Each part is {node, read, write}: read gives its value, undefined when it is left out.

import { el } from "./dom.js";
import { jsonProblem } from "./payload.js";
import { boundsOf, numberProblem, textProblem } from "./schema.js";

const ITEMS_MAX = 100; // that a form makes by itself, because a schema asks for them

let serial = 0; // of ids, for labels

function described(field, control, hint) {
  const id = `field-${++serial}`;
  control.id = id;
  return el("div", { class: "field" },
    el("label", { for: id }, field.title || "value", field.required ? el("span", { class: "required", title: "required" }, " *") : null),
    control, field.description || hint ? el("p", { class: "hint" }, field.description, hint ? ` ${hint}` : "") : null);
}

/** Has the browser say what is wrong with the value of a control, as the schema has it: its own rules are others. */
function checked(control, problemOf) {
  const check = () => control.setCustomValidity(control.value === "" ? "" : problemOf(control.value));
  control.addEventListener("input", check);
  return (value) => {
    control.value = value ?? "";
    check();
  };
}

function textPart(field) {
  const types = { email: "email", uri: "url", date: "date" };
  const input = field.max > 200 ? el("textarea", { rows: 4 }) : el("input", { type: types[field.format] ?? "text", autocomplete: "off" });
  input.required = field.required && field.min > 0;
  return { node: described(field, input, typeof field.format === "string" ? `(${field.format})` : ""), read: () => (input.value === "" && !field.required ? undefined : input.value),
           write: checked(input, (value) => textProblem(field, value)) };
}

function numberPart(field) {
  const input = el("input", { type: "number", required: field.required, min: field.min, max: field.max, step: "any", inputmode: field.kind === "integer" ? "numeric" : "decimal" });
  const hint = boundsOf(field);
  return { node: described(field, input, hint && `(${hint})`), read: () => (input.value === "" ? undefined : Number(input.value)), write: checked(input, (value) => numberProblem(field, value)) };
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

function objectPart(field, budget, top) {
  const parts = field.fields.map((child) => [child.name, partOf(child, budget)]);
  const box = !top && !field.required && field.fields.some(({ required }) => required) ? el("input", { type: "checkbox", onchange: () => use(box.checked) }) : null;
  const inside = el("fieldset", { class: "fields" }, parts.map(([, part]) => part.node));
  const use = (on) => { box.checked = on; inside.disabled = inside.hidden = !on; }; // what is left out need not be filled in
  const read = () => {
    const pairs = parts.map(([name, part]) => [name, part.read()]).filter(([, value]) => value !== undefined);
    const isLeftOut = box ? !box.checked : pairs.length === 0 && !field.required;
    return isLeftOut ? undefined : Object.fromEntries(pairs);
  };
  const write = (value) => {
    if (box) use(isObject(value));
    for (const [name, part] of parts) part.write(isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined);
  };
  if (box) use(false);
  return { read, write, node: top ? inside
    : el("fieldset", {}, el("legend", {}, box ? el("label", {}, box, " ", field.title) : field.title, field.required ? " *" : ""),
      field.description ? el("p", { class: "hint" }, field.description) : null, inside) };
}

function arrayPart(field, budget) {
  const list = el("ol", { class: "items" }), items = [];
  const add = (value) => {
    const part = partOf(field.item, budget);
    if (value !== undefined) part.write(value);
    const row = el("li", {}, part.node, el("button", { type: "button", class: "remove", "aria-label": "Remove", onclick: () => { items.splice(items.indexOf(part), 1); row.remove(); } }, "✕"));
    items.push(part);
    list.append(row);
  };
  const write = (value) => {
    items.length = 0;
    list.replaceChildren();
    for (const one of Array.isArray(value) ? value : []) add(one);
    while (items.length < field.min && budget.left-- > 0) add();
  };
  write();
  return { write, read: () => (items.length === 0 && !field.required ? undefined : items.map((part) => part.read() ?? null)),
           node: el("fieldset", {}, el("legend", {}, field.title || "list", field.required ? " *" : ""), field.description ? el("p", { class: "hint" }, field.description) : null, list,
             el("button", { type: "button", class: "add", onclick: () => { if (!(items.length >= field.max)) add(); } }, "+ Add")) };
}

const PARTS = {
  string: textPart, number: numberPart, integer: numberPart, choice: choicePart, json: jsonPart, object: objectPart, array: arrayPart,
  boolean: (field) => choicePart({ ...field, options: [true, false] }),
};

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** The part of a field. budget: of the items that are made by themselves, in all lists of a form. */
export function partOf(field, budget = { left: ITEMS_MAX }, top = false) {
  const part = PARTS[field.kind](field, budget, top);
  if (field.initial !== undefined) part.write(field.initial);
  return part;
}
