// Drawing: sparkline, time chart, bars, figures. Each function returns or fills elements and knows nothing
// of where rows come from.

const SVG = "http://www.w3.org/2000/svg";
export const SERIES = 6; // lines of a time chart at the most

export function el(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  e.append(...children);
  return e;
}

function svg(name, attributes = {}, ...children) {
  const e = document.createElementNS(SVG, name);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  e.append(...children);
  return e;
}

const path = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

// spark fills box with a line of the values, stretched over its whole width.
export function spark(box, values) {
  if (values.length < 2) return box.replaceChildren();
  const top = Math.max(...values, 1);
  const points = values.map((v, i) => [(i * 100) / (values.length - 1), 38 - (v / top) * 34]);
  box.replaceChildren(svg("svg", { viewBox: "0 0 100 40", preserveAspectRatio: "none", role: "img", "aria-label": `Posts per second over the last ${values.length} seconds, ${Math.max(...values)} at the most` },
    svg("path", { class: "area", d: `${path(points)}L100 40L0 40Z` }),
    svg("path", { class: "curve", d: path(points) })));
}

// niceStep is 1, 2 or 5 times a power of ten.
function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough || 1));
  return [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
}

function valueTicks(low, high) {
  const step = niceStep((high - low) / 4 || 1);
  const ticks = [];
  for (let v = Math.floor(low / step) * step; v < high + step; v += step) ticks.push(v);
  return ticks;
}

const DAY = 86400e3;
export const clock = (t, seconds) => new Date(t).toISOString().slice(11, seconds ? 19 : 16);
export const day = (t) => new Date(t).toISOString().slice(0, 10);

function timeLabel(t, span) {
  if (span > 3 * DAY) return day(t).slice(5);
  if (span > DAY / 2) return `${day(t).slice(5)} ${clock(t)}`;
  return clock(t, span < 600e3);
}

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

// timeChart draws series, [{name, points: [[time, value], …]}] in order of time, into a box of its own.
// format writes a value in full. What is under the pointer in the old box, if any, is shown in the new one.
export function timeChart(series, format, label, old) {
  const box = el("div", { class: "plot" });
  box.pointer = old?.pointer ?? null;
  const draw = () => {
    const width = box.clientWidth, height = box.clientHeight;
    if (width < 40 || height < 40) return;
    box.replaceChildren(plot(series, width, height, label));
    hover(box, series, width, height, format);
  };
  new ResizeObserver(draw).observe(box);
  return box;
}

const LEFT = 44, BOTTOM = 22, TOP = 10, RIGHT = 8;

function scales(series, width, height) {
  const points = series.flatMap((s) => s.points);
  const times = points.map((p) => p[0]), values = points.map((p) => p[1]);
  const from = Math.min(...times), to = Math.max(...times);
  const ticks = valueTicks(Math.min(0, ...values), Math.max(...values, 0));
  const low = ticks[0], high = ticks.at(-1);
  return {
    from, to, ticks,
    x: (t) => (to === from ? (LEFT + width - RIGHT) / 2 : LEFT + ((t - from) / (to - from)) * (width - LEFT - RIGHT)),
    y: (v) => height - BOTTOM - ((v - low) / (high - low || 1)) * (height - BOTTOM - TOP),
  };
}

function plot(series, width, height, label) {
  const s = scales(series, width, height);
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  for (const v of s.ticks) {
    picture.append(svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: s.y(v), y2: s.y(v) }),
      svg("text", { x: LEFT - 8, y: s.y(v) + 4, "text-anchor": "end" }, compact.format(v)));
  }
  const marks = s.to === s.from ? 1 : Math.max(2, Math.min(5, Math.floor((width - LEFT) / 110)));
  for (let i = 0; i < marks; i++) {
    const t = marks === 1 ? s.from : s.from + ((s.to - s.from) * i) / (marks - 1);
    const anchor = marks === 1 ? "middle" : i === 0 ? "start" : i === marks - 1 ? "end" : "middle";
    picture.append(svg("text", { x: s.x(t), y: height - 5, "text-anchor": anchor }, timeLabel(t, s.to - s.from)));
  }
  series.forEach((one, i) => {
    const points = one.points.map(([t, v]) => [s.x(t), s.y(v)]);
    const group = svg("g", { class: `s${i}` });
    if (series.length === 1 && points.length > 1) {
      group.append(svg("path", { class: "area", d: `${path(points)}L${points.at(-1)[0]} ${s.y(0)}L${points[0][0]} ${s.y(0)}Z` }));
    }
    group.append(svg("path", { class: "curve", d: path(points) }));
    if (points.length <= 24) for (const [x, y] of points) group.append(svg("circle", { class: "point", cx: x, cy: y, r: 3 }));
    picture.append(group);
  });
  return picture;
}

// hover shows the values at the time under the pointer.
function hover(box, series, width, height, format) {
  const times = [...new Set(series.flatMap((s) => s.points.map((p) => p[0])))];
  const s = scales(series, width, height);
  const tip = el("div", { class: "tip", hidden: "" });
  const cross = svg("line", { class: "cross", y1: TOP, y2: height - BOTTOM, visibility: "hidden" });
  box.firstChild.append(cross);
  box.append(tip);
  box.onpointerleave = () => { box.pointer = null; tip.hidden = true; cross.setAttribute("visibility", "hidden"); };
  box.onpointermove = (event) => show(box.pointer = event.clientX - box.getBoundingClientRect().left);
  const show = (x) => {
    const t = times.reduce((a, b) => (Math.abs(s.x(b) - x) < Math.abs(s.x(a) - x) ? b : a));
    cross.setAttribute("x1", s.x(t)); cross.setAttribute("x2", s.x(t)); cross.setAttribute("visibility", "visible");
    const lines = series.map((one, i) => [one.name, one.points.find((p) => p[0] === t), i]).filter(([, p]) => p);
    tip.replaceChildren(el("p", { class: "when" }, `${day(t)} ${clock(t, true)}`),
      ...lines.map(([name, p, i]) => el("p", {}, el("span", { class: `key s${i}` }, name), format(p[1]))));
    tip.hidden = false;
    tip.style.left = `${Math.max(0, Math.min(width - tip.offsetWidth, s.x(t) + (x > width / 2 ? -tip.offsetWidth - 12 : 12)))}px`;
  };
  if (box.pointer !== null) show(box.pointer);
}

export const legend = (series, rest) => el("div", { class: "legend" },
  ...series.map((s, i) => el("span", { class: `key s${i}` }, s.name)), ...(rest > 0 ? [`and ${rest} more`] : []));

// bars draws one bar per entry [label, value, text], in their order.
export function bars(entries, label) {
  const top = Math.max(...entries.map((e) => Math.abs(Number(e[1]))), 0);
  return el("ul", { class: "bars", "aria-label": label }, ...entries.map(([name, value, text]) => {
    const bar = el("div", { class: "bar" });
    bar.style.width = `${top ? (Math.abs(Number(value)) / top) * 100 : 0}%`;
    return el("li", {}, el("span", { class: "label", title: name }, name), bar, el("span", { class: "value" }, text));
  }));
}

// figures shows a single row as large numbers.
export const figures = (entries) => el("dl", { class: "figures" },
  ...entries.map(([name, text]) => el("div", {}, el("dt", {}, name), el("dd", {}, text))));
