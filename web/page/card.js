// A card shows one metric: what the stream sends of it, as a chart or a table.
import { bars, el, figures, legend, SERIES, timeChart } from "./chart.js";
import { isNumber, isTime, numberText, parse, plural, sorted, text } from "./values.js";

const WATCHED = 500;     // rows of a metric that the stream sends
const BARS = 12;         // bars of a chart
const POINTS = 300;      // windows of a time chart
const FEW = 8, MANY = 100; // rows of a table that are rendered, at first and when asked for more

// Cards are drawn once a frame, and not while nobody looks.
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

// Card is made of its element. reconnect is called when the stream has to send other rows.
export class Card {
  constructor(root, reconnect) {
    this.reconnect = reconnect;
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
    if (this.kind === "bars" && !this.complete) this.reconnect(); // other rows are the largest now
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
    const words = this.total === null ? `more than ${plural(this.rows.length, "row")}` : plural(this.total, "row");
    this.root.querySelector(".count").textContent = words;
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
    if (new Set(this.rows.map((r) => r[this.time.name])).size === 1) return this.draw_window();
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
    const series = all.slice(0, SERIES).sort((a, b) => (a.name < b.name ? -1 : 1)); // so that each keeps its colour
    for (const s of series) s.points = s.points.sort((a, b) => a[0] - b[0]).slice(-POINTS);
    if (!series.length) return this.body.replaceChildren(el("p", { class: "none" }, "No values yet"));
    const box = timeChart(series, (v) => numberText(v, type), `${name} over ${this.time.name}; the table has the values`, this.body.querySelector(".plot"));
    this.replace(box, ...(this.dimensions.length ? [legend(series, all.length - series.length)] : []));
  }

  // draw_window is for a single window, of which there is no course to draw yet.
  draw_window() {
    const when = text(this.rows[0][this.time.name], this.time.type);
    if (this.dimensions.length) this.draw_bars();
    else this.draw_figures();
    this.body.prepend(el("p", { class: "sub" }, when));
  }

  draw_figures() {
    if (this.select) this.select.hidden = true; // all columns are shown
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
