// SPDX-License-Identifier: Apache-2.0
// A JSON Schema (https://json-schema.org) as the fields of a form. What a form cannot say becomes a field of JSON text, so
// nothing a schema allows is out of reach. No DOM here.

const DEPTH_MAX = 8, FIELDS_MAX = 200;

function resolve(schema, root) {
  for (let i = 0; i < DEPTH_MAX && typeof schema?.$ref === "string" && schema.$ref.startsWith("#/"); i++) {
    const { $ref, ...rest } = schema;
    const found = $ref.slice(2).split("/").map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~")).reduce((at, part) => at?.[part], root);
    schema = { ...found, ...rest };
  }
  return schema;
}

/** The one type besides null; undefined: several, or none is said. */
function typeOf(schema) {
  const types = [schema.type].flat().filter((type) => type !== undefined && type !== "null");
  if (types.length === 1) return types[0];
  if (types.length > 1) return undefined;
  return schema.properties !== undefined ? "object" : schema.items !== undefined ? "array" : undefined;
}

function fieldOf(schema, root, name, required, depth, budget) {
  schema = resolve(schema, root);
  const about = { name, required, title: schema?.title ?? name, description: schema?.description ?? "", initial: schema?.default };
  budget.left -= 1;
  if (schema === null || typeof schema !== "object" || depth > DEPTH_MAX || budget.left < 0) return { ...about, kind: "json" };
  if ("const" in schema) return { ...about, kind: "choice", options: [schema.const], initial: schema.const };
  if (Array.isArray(schema.enum) && schema.enum.length > 0) return { ...about, kind: "choice", options: schema.enum };
  if (schema.anyOf || schema.oneOf || schema.allOf || schema.not || schema.if || schema.$ref) return { ...about, kind: "json" };
  const type = typeOf(schema);
  if (type === "object" && schema.properties && Object.keys(schema.properties).length > 0) {
    const needed = new Set(Array.isArray(schema.required) ? schema.required : []);
    return { ...about, kind: "object", fields: Object.entries(schema.properties).map(([key, value]) => fieldOf(value, root, key, needed.has(key), depth + 1, budget)) };
  }
  if (type === "array" && schema.items && !Array.isArray(schema.items)) {
    return { ...about, kind: "array", item: fieldOf(schema.items, root, "", true, depth + 1, budget), min: schema.minItems ?? 0, max: schema.maxItems };
  }
  if (type === "string") return { ...about, kind: "string", min: schema.minLength, max: schema.maxLength, pattern: schema.pattern, format: schema.format };
  if (type === "number" || type === "integer") {
    return { ...about, kind: type, min: schema.minimum, max: schema.maximum, above: schema.exclusiveMinimum, below: schema.exclusiveMaximum, step: schema.multipleOf };
  }
  return type === "boolean" ? { ...about, kind: "boolean" } : { ...about, kind: "json" };
}

/** What is wrong with the text of a number, or of a text; "": nothing. */
export function numberProblem({ kind, min, max, above, below, step }, text) {
  const value = Number(text), steps = value / step;
  if (kind === "integer" && !Number.isInteger(value)) return "This is a whole number.";
  if (/^-?\d+$/.test(text) && BigInt(text) !== BigInt(value)) return "A form would round this number: write it as JSON.";
  if (value < min || value <= above) return `This is ${above === undefined ? `${min} or more` : `more than ${above}`}.`;
  if (value > max || value >= below) return `This is ${below === undefined ? `${max} or less` : `less than ${below}`}.`;
  return Math.abs(steps - Math.round(steps)) > 1e-9 * Math.max(1, Math.abs(steps)) ? `This is a multiple of ${step}.` : "";
}

export function textProblem({ min, max, pattern }, text) {
  const { length } = [...text]; // in code points, as JSON Schema counts
  if (length < min) return `This has ${min} characters or more.`;
  if (length > max) return `This has ${max} characters or less.`;
  try {
    return typeof pattern === "string" && !new RegExp(pattern, "u").test(text) ? `This has to match ${pattern}` : "";
  } catch { // that is no pattern of ours
    return "";
  }
}

/** The bounds of a number, in words. */
export function boundsOf({ min, max, above, below, step }) {
  return [[min, "from"], [above, "more than"], [max, "to"], [below, "less than"], [step, "in steps of"]].filter(([value]) => value !== undefined).map(([value, word]) => `${word} ${value}`).join(", ");
}

/** The field at the top for the text of a schema; null: there is no schema that says anything. */
export function fieldsOf(text) {
  let schema;
  try {
    schema = JSON.parse(text);
  } catch {
    return null;
  }
  const field = schema !== null && typeof schema === "object" ? fieldOf(schema, schema, "", true, 0, { left: FIELDS_MAX }) : null;
  return field?.kind === "json" ? null : field;
}
