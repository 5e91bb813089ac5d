// The page at /docs, made from openapi.json. What the document says is only ever put in as text.

const methods = ["get", "post", "put", "patch", "delete"];
const most = 400_000; // characters of an answer that are shown
let doc = {};

const $ = (id) => document.getElementById(id);

// el makes an element: properties, then children (elements or text).
function el(name, props = {}, ...children) {
  const e = document.createElement(name);
  for (const [key, v] of Object.entries(props)) {
    if (v === undefined || v === false) continue;
    if (key === "data") Object.assign(e.dataset, v);
    else if (key.startsWith("on")) e.addEventListener(key.slice(2), v);
    else e.setAttribute(key, v === true ? "" : v);
  }
  e.append(...children.filter((c) => c !== null && c !== undefined && c !== ""));
  return e;
}

// prose is paragraphs, with `code` as code.
function prose(text) {
  const paragraphs = (text || "").trim().split(/\n\s*\n/).filter(Boolean);
  return el("div", { class: "prose" }, ...paragraphs.map((p) =>
    el("p", {}, ...p.split(/(`[^`]+`)/).map((part) => (/^`.+`$/.test(part) ? el("code", {}, part.slice(1, -1)) : part)))));
}

/* Schemas */

const refName = (ref) => decodeURIComponent(ref.split("/").pop().replaceAll("~1", "/").replaceAll("~0", "~"));

function resolve(schema) {
  for (let i = 0; schema && schema.$ref && i < 20; i++) {
    schema = schema.$ref.split("/").slice(1).reduce((at, step) => at?.[decodeURIComponent(step).replaceAll("~1", "/").replaceAll("~0", "~")], doc);
  }
  return schema === true || !schema ? {} : schema;
}

function typeOf(schema) {
  if (!schema || schema === true) return "anything";
  if (schema.$ref) return refName(schema.$ref);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((v) => JSON.stringify(v)).join(" | ");
  for (const [key, word] of [["oneOf", " or "], ["anyOf", " or "], ["allOf", " and "]]) {
    if (schema[key]) return schema[key].map(typeOf).join(word);
  }
  const types = [schema.type].flat().filter(Boolean);
  if (!types.length) return schema.properties ? "object" : "anything";
  return types.map((t) => (t === "array" ? `array of ${typeOf(schema.items)}` : t)).join(" or ") + (schema.format ? ` (${schema.format})` : "");
}

const rules = { minimum: "≥", exclusiveMinimum: ">", maximum: "≤", exclusiveMaximum: "<", multipleOf: "a multiple of", minLength: "length ≥", maxLength: "length ≤",
  pattern: "matches", minItems: "items ≥", maxItems: "items ≤", uniqueItems: "no item twice", default: "default" };

function rulesOf(schema) {
  return Object.entries(rules).filter(([key]) => schema?.[key] !== undefined && schema[key] !== false)
    .map(([key, word]) => (schema[key] === true ? word : `${word} ${schema[key]}`)).join(", ");
}

// describe shows a value's type, its rules, and what it is made of.
function describe(schema, seen = []) {
  const about = el("div", {}, el("span", { class: "type" }, typeOf(schema)));
  const rule = rulesOf(schema);
  if (rule) about.append(" ", el("span", { class: "note" }, rule));
  if (schema?.description) about.append(el("div", { class: "note" }, schema.description));
  for (const part of partsOf(schema)) {
    const name = part.$ref ? refName(part.$ref) : "fields";
    if (seen.includes(name)) continue;
    const box = el("details", { class: "within" }, el("summary", {}, name));
    // Made when first opened: schemas may go round in circles.
    box.addEventListener("toggle", () => { if (box.children.length === 1) box.append(fields(resolve(part), [...seen, name].filter((n) => n !== "fields"))); }, { once: true });
    about.append(box);
  }
  return about;
}

// partsOf lists the schemas within one that have fields.
function partsOf(schema, depth = 0) {
  if (!schema || schema === true || depth > 4) return [];
  const inner = [schema.oneOf, schema.anyOf, schema.allOf, schema.items].flat().filter(Boolean);
  const own = resolve(schema).properties ? [schema] : [];
  const all = own.concat(inner.flatMap((s) => partsOf(s, depth + 1)));
  return all.filter((s, i) => !s.$ref || all.findIndex((o) => o.$ref === s.$ref) === i);
}

// fields is a table of an object's properties.
function fields(schema, seen = []) {
  const rows = Object.entries(schema.properties || {}).map(([name, property]) => {
    const first = el("td", {}, name);
    if (schema.required?.includes(name)) first.append(el("span", { class: "required", title: "required" }, "*"));
    return el("tr", {}, first, el("td", {}, describe(property, seen)));
  });
  return rows.length ? el("table", { class: "fields" }, el("tbody", {}, ...rows)) : describe(schema, seen);
}

// example makes a value that a schema might allow.
function example(schema, depth = 0) {
  const s = resolve(schema);
  if (depth > 6) return null;
  if (s.examples?.length) return s.examples[0];
  for (const v of [s.example, s.default, s.const, s.enum?.[0]]) if (v !== undefined) return v;
  const of = s.oneOf || s.anyOf;
  if (of) return example(of[0], depth + 1);
  if (s.allOf) return Object.assign({}, ...s.allOf.map((p) => example(p, depth + 1)));
  switch ([s.type].flat()[0] ?? (s.properties ? "object" : "")) {
    case "object": return Object.fromEntries(Object.entries(s.properties || {}).filter(([, p]) => !resolve(p).readOnly).map(([k, p]) => [k, example(p, depth + 1)]));
    case "array": return [example(s.items, depth + 1)];
    case "string": return s.format === "date-time" ? new Date().toISOString() : "string".padEnd(s.minLength || 0, ".");
    case "integer": case "number": return s.minimum ?? 0;
    case "boolean": return true;
  }
  return null;
}

function exampleText(content, media) {
  if (media.includes("ndjson")) {
    const line = JSON.stringify(example(content["application/json"]?.schema ?? content[media].schema));
    return `${line}\n${line}\n`;
  }
  const v = content[media].example ?? example(content[media].schema);
  return typeof v === "string" ? v : JSON.stringify(v, null, 2);
}

/* Operations */

function operationsOf() {
  const all = [];
  for (const [path, item] of Object.entries(doc.paths || {})) {
    for (const method of methods) if (item[method]) {
      const op = item[method];
      all.push({ method, path, op, params: [...(item.parameters || []), ...(op.parameters || [])].map(resolve), tag: op.tags?.[0] || "Other",
        id: op.operationId || `${method}-${path}` });
    }
  }
  return all;
}

const badge = (method) => el("span", { class: "method", data: { method } }, method.toUpperCase());

function operation(o) {
  const inside = el("div", { class: "inside" });
  const box = el("details", { class: "operation", id: `op-${o.id}` },
    el("summary", {}, badge(o.method), el("span", { class: "path" }, o.path), el("span", { class: "name" }, o.op.summary)), inside);
  box.addEventListener("toggle", () => { if (!inside.children.length) fill(inside, o); });
  return box;
}

function fill(inside, o) {
  if (o.op.description) inside.append(prose(o.op.description));
  const scope = o.op.security?.[0]?.key?.[0];
  if (o.op.security?.length) inside.append(el("p", { class: "note" }, scope ? `Takes a key with the scope ${scope}, where keys are needed.` : "Takes any key, where keys are needed."));
  if (o.params.length) {
    inside.append(section("Parameters", el("table", { class: "fields" }, el("tbody", {}, ...o.params.map((p) =>
      el("tr", {}, el("td", {}, p.name, p.required ? el("span", { class: "required", title: "required" }, "*") : ""),
        el("td", {}, el("span", { class: "note" }, p.in), " ", describe(p.schema), p.description ? el("div", { class: "note" }, p.description) : "")))))));
  }
  const content = o.op.requestBody?.content;
  if (content) {
    inside.append(section("Request body", ...Object.entries(content).map(([media, c]) => el("div", {}, el("code", {}, media), " ", describe(c.schema)))));
  }
  inside.append(tryIt(o));
  inside.append(section("Answers", el("div", { class: "responses" }, ...Object.entries(o.op.responses || {}).map(([status, r]) => response(status, resolve(r))))));
}

const section = (title, ...children) => el("section", {}, el("h3", {}, title), ...children);

function response(status, r) {
  const about = Object.entries(r.content || {}).map(([media, c]) => el("div", {}, el("code", {}, media), " ", describe(c.schema)));
  for (const [name, h] of Object.entries(r.headers || {})) about.push(el("div", {}, el("code", {}, name), " ", el("span", { class: "note" }, h.description || "")));
  return el("details", { class: "response" }, el("summary", {}, el("span", { class: "status", data: { class: status[0] } }, status), r.description || ""), el("div", {}, ...about));
}

/* Trying it */

function tryIt(o) {
  const inputs = o.params.map((p) => ({ p, input: el("input", { placeholder: p.schema?.default ?? "", autocomplete: "off", required: p.required, spellcheck: "false" }) }));
  const content = o.op.requestBody?.content;
  const form = el("form", { class: "try" }, el("h3", {}, "Try it"));
  if (inputs.length) form.append(el("div", { class: "inputs" }, ...inputs.map(({ p, input }) => el("label", {}, `${p.name} (${p.in})`, input))));
  let media, body;
  if (content) {
    media = el("select", {}, ...Object.keys(content).map((m) => el("option", { value: m }, m)));
    body = el("textarea", { spellcheck: "false", rows: 10 });
    const show = () => { body.value = exampleText(content, media.value); body.rows = Math.min(18, body.value.split("\n").length + 1); };
    media.addEventListener("change", show);
    show();
    form.append(el("label", { class: "choose" }, "Content type", media), el("label", {}, "Body", body));
  }
  const send = el("button", { class: "primary" }, "Send");
  const stop = el("button", { type: "button", hidden: true }, "Stop");
  const copy = el("button", { type: "button" }, "Copy as curl");
  const out = el("div", { class: "out", "aria-live": "polite" });
  form.append(el("div", { class: "actions" }, send, stop, copy), out);
  const request = () => build(o, inputs, media?.value, body?.value);
  copy.addEventListener("click", async () => {
    const command = curl(request());
    try { await navigator.clipboard.writeText(command); copy.textContent = "Copied"; } catch { out.replaceChildren(el("pre", {}, command)); }
    setTimeout(() => { copy.textContent = "Copy as curl"; }, 1500);
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const control = new AbortController();
    stop.onclick = () => control.abort();
    send.disabled = true; stop.hidden = false;
    try { await run(request(), control.signal, out); } catch (err) {
      if (err.name !== "AbortError") out.append(el("p", { class: "note", role: "alert" }, `There was no answer: ${err.message}`));
    }
    send.disabled = false; stop.hidden = true;
  });
  return form;
}

function build(o, inputs, media, body) {
  const url = new URL(o.path.slice(1).replace(/\{([^}]+)\}/g, (_, name) => encodeURIComponent(inputs.find(({ p }) => p.in === "path" && p.name === name)?.input.value ?? "")), document.baseURI);
  const headers = {};
  for (const { p, input } of inputs) {
    if (input.value === "") continue;
    if (p.in === "query") url.searchParams.append(p.name, input.value);
    if (p.in === "header") headers[p.name] = input.value;
  }
  if (media) headers["Content-Type"] = media;
  if ($("key").value) headers.Authorization = `Bearer ${$("key").value}`;
  return { url: url.href, method: o.method.toUpperCase(), headers, body };
}

const quote = (s) => `'${s.replaceAll("'", `'\\''`)}'`;

function curl(r) {
  const parts = [`curl -X ${r.method} ${quote(r.url)}`];
  for (const [name, v] of Object.entries(r.headers)) parts.push(`-H ${quote(`${name}: ${name === "Authorization" ? "Bearer $PINFLOW_KEY" : v}`)}`.replace("'Authorization: Bearer $PINFLOW_KEY'", '"Authorization: Bearer $PINFLOW_KEY"'));
  if (r.body !== undefined) parts.push(`--data-binary ${quote(r.body)}`);
  return parts.join(" \\\n  ");
}

// run sends a request and shows the answer as it comes, which of events has no end.
async function run(r, signal, out) {
  const start = performance.now();
  const resp = await fetch(r.url, { method: r.method, headers: r.headers, body: r.body, signal, cache: "no-store" });
  const took = Math.round(performance.now() - start);
  const pre = el("pre", { tabindex: "0" });
  const type = resp.headers.get("Content-Type") || "";
  const told = ["Retry-After", "Allow"].filter((h) => resp.headers.get(h)).map((h) => ` · ${h}: ${resp.headers.get(h)}`).join("");
  out.replaceChildren(el("div", {}, el("span", { class: "status", data: { class: String(resp.status)[0] } }, `${resp.status} ${resp.statusText}`),
    el("span", { class: "note" }, ` · ${took} ms · ${type}${told}`)), pre);
  const decoder = new TextDecoder();
  let text = "";
  for (const reader = resp.body.getReader(); text.length < most;) {
    const { done, value } = await reader.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
    if (type.includes("event-stream")) { pre.textContent = text.slice(-most); pre.scrollTop = pre.scrollHeight; }
  }
  if (text.length >= most) text = `${text.slice(0, most)}\n… (more is not shown)`;
  pre.textContent = /json/.test(type) ? pretty(text) : text;
}

// pretty indents JSON, unless it holds a number that may have more digits than a script's numbers.
function pretty(text) {
  if (/\d{16}/.test(text)) return text;
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
}

/* The page */

function render() {
  $("about").textContent = doc.info?.description || "";
  $("access").hidden = !doc.components?.securitySchemes;
  $("access").addEventListener("submit", (e) => e.preventDefault());
  const all = operationsOf();
  const tags = [...new Set([...(doc.tags || []).map((t) => t.name), ...all.map((o) => o.tag)])];
  const rank = (tag) => ({ Post: 0, Status: 2 })[tag] ?? 1;
  tags.sort((a, b) => rank(a) - rank(b));
  for (const tag of tags) {
    const list = all.filter((o) => o.tag === tag);
    if (!list.length) continue;
    $("operations").append(el("section", { class: "group" }, el("h2", {}, tag), ...list.map(operation)));
    $("index").append(el("div", {}, el("h3", {}, tag), ...list.map((o) => el("a", { href: `#op-${o.id}` }, badge(o.method), el("span", { title: o.path }, o.op.summary || o.path)))));
  }
  const schemas = Object.entries(doc.components?.schemas || {});
  $("schemas").hidden = !schemas.length;
  for (const [name, schema] of schemas) {
    const box = el("details", { class: "schema", id: `schema-${name}` }, el("summary", {}, el("span", { class: "path" }, name), el("span", { class: "name" }, schema.description || "")));
    box.addEventListener("toggle", () => { if (box.children.length === 1) box.append(el("div", { class: "inside" }, fields(schema, [name]))); });
    $("schemas").append(box);
  }
  $("find").addEventListener("input", find);
  addEventListener("hashchange", openTarget);
  openTarget();
  if (!location.hash) document.querySelector(".operation")?.setAttribute("open", "");
}

function openTarget() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target?.tagName === "DETAILS") { target.open = true; target.scrollIntoView(); }
}

function find() {
  const words = $("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  const has = (e) => words.every((w) => e.textContent.toLowerCase().includes(w));
  for (const op of document.querySelectorAll(".operation")) op.hidden = !has(op.firstElementChild);
  for (const link of document.querySelectorAll("#index a")) link.hidden = document.getElementById(decodeURIComponent(link.hash.slice(1)))?.hidden ?? false;
  for (const group of document.querySelectorAll(".group, #index > div")) group.hidden = !group.querySelector(".operation:not([hidden]), a:not([hidden])");
}

try {
  const resp = await fetch("openapi.json");
  if (!resp.ok) throw new Error(`it is answered with ${resp.status}`);
  doc = await resp.json();
  render();
} catch (err) {
  $("trouble").textContent = `openapi.json cannot be read: ${err.message}`;
  $("trouble").hidden = false;
}
