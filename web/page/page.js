// The page: one event stream feeds the status tiles and a card per metric.
import { bars, clock, day, el, figures, legend, SERIES, spark, timeChart } from "./chart.js";

const WATCHED = 500;     // rows of a metric that the stream sends
const BARS = 12;         // bars of a chart
const POINTS = 300;      // windows of a time chart
const FEW = 8, MANY = 100; // rows of a table that are rendered, at first and when asked for more

const $ = (id) => document.getElementById(id);

// parse reads JSON and keeps whole numbers that a double cannot hold, where the browser tells their digits.
const parse = (text) => JSON.parse(text, (_, v, context) =>
  typeof v === "number" && !Number.isSafeInteger(v) && /^-?\d+$/.test(context?.source ?? "") ? BigInt(context.source) : v);

// ---- values

const isTime = (type) => /^(TIMESTAMP|DATE)/.test(type);
const isNumber = (type) => /^(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|DECIMAL|DOUBLE|FLOAT)/.test(type) && !type.endsWith("[]");
const formats = new Map();

function numberText(value, type) {
  if (!formats.has(type)) {
    const scale = /^DECIMAL\(\d+,\s*(\d+)\)/.exec(type)?.[1];
    formats.set(type, new Intl.NumberFormat("en", scale ? { minimumFractionDigits: +scale, maximumFractionDigits: +scale } : { maximumFractionDigits: 4 }));
  }
  return formats.get(type).format(value);
}

function text(value, type, seconds = true) {
  if (value === null || value === undefined) return "–";
  if (isNumber(type)) return numberText(value, type);
  if (type === "DATE") return value;
  if (isTime(type)) return `${day(value)} ${clock(value, seconds)}`;
  if (typeof value === "object") return JSON.stringify(value, (_, v) => (typeof v === "bigint" ? String(v) : v));
  return String(value);
}

function compare(a, b) { // NULL last, whichever the direction; numbers, BigInts and texts by themselves
  return a < b ? -1 : a > b ? 1 : 0;
}

function sorted(rows, { column, descending }) {
  const direction = descending ? -1 : 1;
  return rows.toSorted((a, b) => {
    const x = a[column], y = b[column];
    if (x === null || y === null) return (x === null) - (y === null);
    return direction * compare(x, y);
  });
}

// ---- a card per metric

class Card {
  constructor(root) {
    this.root = root;
    this.name = root.dataset.metric;
    this.columns = JSON.parse(root.dataset.columns);
    this.time = this.columns.find((c) => isTime(c.type));
    this.numbers = this.columns.filter((c) => isNumber(c.type));
    this.dimensions = this.columns.filter((c) => c !== this.time && !this.numbers.includes(c));
    this.measure = this.numbers[0];
    this.kind = !this.measure ? "table" : this.time ? "time" : this.dimensions.length ? "bars" : "figures";
    this.mode = this.kind === "table" ? "table" : "chart";
    this.rows = null;
    this.shown = FEW;
    this.body = root.querySelector(".body");
    if (this.columns.length > 5) root.classList.add("wide");
    this.tools();
  }

  // watch is what the stream shall send: the newest windows, or the largest values.
  get watch() {
    const order = this.time ? `${this.time.name} desc` : this.measure && this.dimensions.length ? `${this.measure.name} desc` : "";
    const params = new URLSearchParams({ limit: WATCHED, every_ms: 500, ...(order && { order }) });
    return `${this.name}?${params}`;
  }

  tools() {
    if (this.kind === "table" || this.kind === "figures") return;
    this.toggle = el("button", { type: "button" }, "Table");
    this.toggle.onclick = () => { this.mode = this.mode === "chart" ? "table" : "chart"; this.render(); };
    this.root.querySelector(".tools").append(this.toggle);
    if (this.numbers.length < 2) return;
    this.select = el("select", { class: "measure", "aria-label": `Column of ${this.name} to draw` }, ...this.numbers.map((c) => el("option", {}, c.name)));
    this.select.onchange = () => this.choose(this.select.selectedIndex);
    this.root.querySelector("header").append(this.select);
  }

  choose(index) {
    this.measure = this.numbers[index];
    this.render();
    if (this.kind === "bars" && !this.complete) connect(); // other rows are the largest now
  }

  get complete() { return this.rows !== null && this.total === this.rows.length; }

  snapshot(event) {
    Object.assign(this, { columns: event.columns, rows: event.rows, total: event.total });
    this.news();
  }

  change(event) {
    if (this.rows === null) return;
    for (const e of event.edits) this.rows.splice(e.at, e.delete, ...e.insert);
    this.total = event.total;
    this.news();
  }

  news() {
    this.trouble(null);
    if (this.order && !this.complete) this.fetchSorted(2000);
    schedule(this);
  }

  trouble(message) {
    const line = this.root.querySelector(".trouble");
    line.hidden = message === null;
    line.textContent = message ?? "";
    this.root.classList.toggle("stale", message !== null);
  }

  render() {
    if (this.rows === null) return;
    if (this.toggle) this.toggle.textContent = this.mode === "chart" ? "Table" : "Chart";
    if (this.select) this.select.hidden = this.mode !== "chart";
    if (!this.rows.length) this.body.replaceChildren(el("p", { class: "none" }, "No rows yet"));
    else if (this.mode === "table") this.table();
    else this[`draw_${this.kind}`]();
    this.count();
  }

  count() {
    const n = this.total ?? `more than ${this.rows.length}`;
    this.root.querySelector(".count").textContent = this.total === 1 ? "1 row" : `${typeof n === "number" ? n.toLocaleString("en") : n} rows`;
  }

  label(row) {
    return this.dimensions.map((c) => (typeof row[c.name] === "boolean" ? (row[c.name] ? c.name : `not ${c.name}`) : row[c.name] === null ? "(none)" : text(row[c.name], c.type))).join(" · ");
  }

  draw_bars() {
    const { name, type } = this.measure;
    const rows = sorted(this.rows, { column: name, descending: true });
    const entries = rows.slice(0, BARS).map((r) => [this.label(r), r[name] ?? 0, text(r[name], type)]);
    const more = this.total === null ? "more" : this.total - entries.length;
    const scroll = el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `${this.name}, bars` }, bars(entries, `${name} by ${this.dimensions.map((c) => c.name).join(", ")}`));
    if (more) scroll.append(this.rest(more));
    this.replace(scroll);
  }

  // rest says how many rows are not drawn, and where they are.
  rest(more) {
    return el("p", { class: "sub more" }, `${more.toLocaleString("en")} more in the `, el("a", { href: `api/metrics/${this.name}?format=csv` }, "CSV"));
  }

  draw_time() {
    const { name, type } = this.measure;
    const groups = new Map();
    for (const row of this.rows) {
      if (row[name] === null || row[this.time.name] === null) continue;
      const key = this.label(row);
      if (!groups.has(key)) groups.set(key, { name: key || name, points: [], sum: 0 });
      const group = groups.get(key);
      group.points.push([Date.parse(row[this.time.name]), Number(row[name])]);
      group.sum += Number(row[name]);
    }
    const all = [...groups.values()].sort((a, b) => b.sum - a.sum);
    const series = all.slice(0, SERIES);
    for (const s of series) s.points = s.points.sort((a, b) => a[0] - b[0]).slice(-POINTS);
    if (!series.length) return this.body.replaceChildren(el("p", { class: "none" }, "No values yet"));
    const box = timeChart(series, (v) => numberText(v, type), `${name} over ${this.time.name}; the table has the values`);
    this.replace(box, ...(this.dimensions.length ? [legend(series, all.length - series.length)] : []));
  }

  draw_figures() {
    this.replace(figures(this.numbers.map((c) => [c.name, text(this.rows[0][c.name], c.type)])));
  }

  // replace puts new content in place and keeps where the old was scrolled to.
  replace(...content) {
    const old = this.body.querySelector(".scroll");
    const at = old ? [old.scrollLeft, old.scrollTop, document.activeElement === old] : null;
    this.body.replaceChildren(...content);
    const now = this.body.querySelector(".scroll");
    if (at && now) {
      [now.scrollLeft, now.scrollTop] = at;
      if (at[2]) now.focus({ preventScroll: true });
    }
  }

  table() {
    const scroll = this.body.querySelector(".scroll.of-table") ?? this.newTable();
    const rows = !this.order ? this.rows : this.complete ? sorted(this.rows, this.order) : this.sortedRows ?? sorted(this.rows, this.order);
    const visible = rows.slice(0, this.shown);
    const seconds = visible.some((row) => this.columns.some((c) => isTime(c.type) && Date.parse(row[c.name]) % 60e3));
    scroll.querySelector("tbody").replaceChildren(...visible.map((row) => el("tr", {}, ...this.columns.map((c) => {
      const cell = el("td", isNumber(c.type) ? { class: "number" } : {}, text(row[c.name], c.type, seconds));
      if (row[c.name] === null) cell.classList.add("null");
      return cell;
    }))));
    for (const th of scroll.querySelectorAll("th")) {
      th.removeAttribute("aria-sort");
      if (th.dataset.column === this.order?.column) th.setAttribute("aria-sort", this.order.descending ? "descending" : "ascending");
    }
    const more = this.total === null ? "more" : this.total - visible.length;
    const button = scroll.querySelector("button.more");
    button.hidden = this.shown === MANY || rows.length <= FEW;
    button.textContent = `${Math.min(rows.length, MANY) - visible.length} more`;
    const rest = scroll.querySelector("p.more");
    rest.hidden = !button.hidden || !more;
    rest.replaceWith(Object.assign(this.rest(more), { hidden: rest.hidden }));
  }

  newTable() {
    const head = el("tr", {}, ...this.columns.map((c) => {
      const button = el("button", { type: "button" }, c.name);
      button.onclick = () => this.sortBy(c.name);
      return el("th", { scope: "col", "data-column": c.name, ...(isNumber(c.type) && { class: "number" }) }, button);
    }));
    const more = el("button", { type: "button", class: "more" });
    more.onclick = () => { this.shown = MANY; this.render(); };
    const scroll = el("div", { class: "scroll of-table", tabindex: 0, role: "region", "aria-label": `${this.name}, table` },
      el("table", {}, el("thead", {}, head), el("tbody")), more, el("p", { class: "more" }));
    this.body.replaceChildren(scroll);
    return scroll;
  }

  sortBy(column) {
    const same = this.order?.column === column;
    this.order = { column, descending: same ? !this.order.descending : this.numbers.some((c) => c.name === column) };
    this.sortedRows = null;
    if (!this.complete) this.fetchSorted(0);
    this.render();
  }

  // fetchSorted asks for the first rows in the table's order: the stream has others. At most every pause ms.
  async fetchSorted(pause) {
    if (this.fetching || Date.now() - (this.fetchedAt ?? 0) < pause) return;
    this.fetching = true;
    const { column, descending } = this.order;
    try {
      const params = new URLSearchParams({ order: descending ? `${column} desc` : column, limit: MANY });
      const answer = await fetch(`api/metrics/${this.name}?${params}`);
      if (answer.ok && this.order.column === column && this.order.descending === descending) this.sortedRows = parse(await answer.text()).rows;
    } catch { /* the stream tells that the connection is gone */ }
    this.fetching = false;
    this.fetchedAt = Date.now();
    if (this.order.column !== column || this.order.descending !== descending) return this.fetchSorted(0);
    schedule(this);
  }
}

const cards = new Map([...document.querySelectorAll(".card")].map((root) => [root.dataset.metric, new Card(root)]));

// ---- drawing once a frame, and not while nobody looks

const dirty = new Set();

function schedule(card) {
  if (!dirty.size && !document.hidden) requestAnimationFrame(flush);
  dirty.add(card);
}

function flush() {
  for (const card of dirty) card.render();
  dirty.clear();
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) flush(); });

// ---- status tiles

const whole = new Intl.NumberFormat("en");

function showStatus(s) {
  heard = Date.now();
  state(s.ready ? "live" : "wait", s.ready ? "Live" : "Starting…");
  $("rate").textContent = s.posts_per_second > 0 && s.posts_per_second < 10 ? s.posts_per_second.toFixed(1) : whole.format(Math.round(s.posts_per_second));
  spark($("spark"), s.history);
  $("counted").textContent = whole.format(s.counted);
  const topics = new Set(s.partitions.map((p) => p.topic)).size;
  $("positions").textContent = `${plural(topics, "topic")}, ${plural(s.partitions.length, "partition")}`;
  showLag(s);
  $("rejected").textContent = s.rejected === null ? "–" : whole.format(s.rejected);
  $("rejected").dataset.tone = s.rejected ? "warn" : "";
  $("rejects-link").textContent = s.rejected ? "See which, and why" : "None so far";
  const empty = s.counted === 0 && !s.lag;
  $("start").hidden = !empty;
  document.body.classList.toggle("empty", empty);
}

function showLag({ counted, lag, delay_seconds: delay }) {
  const fresh = $("fresh");
  if (lag === 0 && counted === 0) {
    fresh.dataset.tone = "";
    fresh.textContent = "–";
    $("lag").textContent = "Nothing posted yet";
    return;
  }
  fresh.dataset.tone = lag === null ? "" : delay < 3 ? "good" : delay < 30 ? "warn" : "bad";
  fresh.textContent = lag === null ? "–" : delay < 1 ? "Up to date" : duration(delay) + " behind";
  $("lag").textContent = lag === null ? "Journal's end unknown" : lag ? `${plural(lag, "record")} to count` : "All are counted";
}

const plural = (n, noun) => `${whole.format(n)} ${noun}${n === 1 ? "" : "s"}`;
const duration = (s) => (s < 120 ? `${Math.round(s)} s` : s < 7200 ? `${Math.round(s / 60)} min` : `${Math.round(s / 3600)} h`);

function state(name, words) {
  const s = $("state");
  if (s.textContent !== words) s.textContent = words; // screen readers hear changes only
  s.dataset.state = name;
}

// ---- the stream

let stream, retry, wait = 1000, heard = Date.now();

function connect() {
  clearTimeout(retry);
  stream?.close();
  const params = new URLSearchParams([...cards.values()].map((c) => ["watch", c.watch]));
  stream = new EventSource(`api/events?${params}`);
  stream.onopen = () => { wait = 1000; heard = Date.now(); };
  stream.onerror = () => {
    state("down", "Reconnecting…");
    if (stream.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    retry = setTimeout(connect, wait);
    wait = Math.min(wait * 2, 15000);
  };
  const on = (event, f) => stream.addEventListener(event, (e) => f(parse(e.data)));
  on("status", showStatus);
  on("snapshot", (e) => cards.get(e.metric)?.snapshot(e));
  on("change", (e) => cards.get(e.metric)?.change(e));
  on("problem", (p) => {
    const card = cards.get(p.instance.split("/").pop());
    if (card) card.trouble(`Can't be read just now. ${p.detail ?? ""}`);
    else state("down", "Status unknown");
  });
}

setInterval(() => { if (Date.now() - heard > 8000 && stream.readyState === EventSource.OPEN) state("wait", "Waiting for news…"); }, 1000);
addEventListener("pagehide", () => stream.close());
addEventListener("pageshow", (e) => { if (e.persisted) connect(); });

// ---- how to post a first record

for (const code of document.querySelectorAll("code[data-route]")) {
  const url = new URL(code.dataset.route, document.baseURI);
  const quoted = code.dataset.example.replaceAll("'", `'\\''`);
  code.textContent = `curl ${url} -H 'Content-Type: application/json' -d '${quoted}'`;
}

for (const button of document.querySelectorAll(".copy")) {
  button.onclick = async () => {
    const code = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch { // not allowed outside https and localhost
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  };
}

connect();
