// Periods, audits and generations: what is installed, whether live and batch agreed, and what is being built.
import { el } from "./chart.js";
import { count, parse, plural, text } from "./values.js";

const PACE = 5000;  // between two looks
const SHOWN = 12;   // periods
const $ = (id) => document.getElementById(id);

// operate keeps the sections up to date, if this Pinflow runs a batch.
export function operate() {
  if (!$("periods")) return;
  look();
  setInterval(() => { if (!document.hidden) look(); }, PACE);
}

let looking = false;

async function look() {
  if (looking) return;
  looking = true;
  try {
    const [status, audits, generations] = await Promise.all(["batch/status", "audit", "generations"].map(ask));
    if (audits) showAlarm(audits);
    if (status) showPeriods(status);
    if (generations) showGenerations(generations.generations);
  } finally {
    looking = false;
  }
}

// ask returns null if there is no answer just now: the next look asks again.
async function ask(path) {
  try {
    const answer = await fetch(`api/${path}`);
    return answer.ok ? parse(await answer.text()) : null;
  } catch {
    return null;
  }
}

function showAlarm({ differing, comparisons, last }) {
  const standing = comparisons.filter((c) => c.standing);
  const failed = last && !last.ok ? last.findings.length + (last.more_findings ?? 0) : 0;
  const alarm = $("alarm");
  alarm.hidden = !standing.length && !failed;
  const words = [];
  if (standing.length) {
    const periods = [...new Set(standing.map((c) => c.period))];
    words.push(`Live and batch differed in ${plural(differing, "row")} of ${periods.slice(0, 3).join(", ")}${periods.length > 3 ? " and others" : ""}. The batch's rows are shown.`,
      `See which: api/audit. When it is clear why: pinflow audit --acknowledge ${periods[0]}.`);
  }
  if (failed) words.push(`The last audit, of ${text(last.ended_at, "TIMESTAMPTZ")}, has ${plural(failed, "finding")}: api/audit.`);
  if (alarm.textContent !== words.join(" ")) alarm.textContent = words.join(" "); // screen readers hear changes only
}

function showPeriods(status) {
  const rows = status.periods.slice(0, SHOWN).map((p) => el("tr", p.standing ? { class: "differs" } : {},
    el("td", {}, p.period),
    el("td", {}, text(p.installed_at, "TIMESTAMPTZ")),
    el("td", { class: "number" }, count(p.records)),
    el("td", { class: "number" }, p.not_compared ? "–" : count(p.rows)),
    el("td", { class: "number" }, p.not_compared ? "–" : count(p.differing)),
    el("td", { class: "reason" }, verdict(p))));
  $("periods").querySelector("tbody").replaceChildren(...rows);
  $("periods").querySelector(".count").textContent = plural(status.installed, "period") + " installed";
  const next = [];
  if (status.running) next.push(working(status.running.what, status.running.work));
  if (status.failed) next.push(`The last batch failed: ${status.failed}`);
  if (status.next) next.push(`Next: ${status.next}${status.waits ? `; ${status.waits}` : ""}`);
  $("next").textContent = next.join(" · ");
  $("next").dataset.tone = status.failed ? "bad" : "";
}

function verdict(p) {
  if (p.not_compared) return `Not compared: ${p.not_compared}`;
  if (p.differing === 0) return "Live and batch agree";
  return p.acknowledged ? "Differed, acknowledged" : p.standing ? "Differs" : "Differed, settled";
}

function working(what, work) {
  const of = work.total ? ` ${count(work.done)} of ${count(work.total)}` : "";
  const rows = work.rows ? `, ${plural(work.rows, "record")}` : "";
  return `Running: ${what}${work.step ? `, ${work.step}` : ""}${of}${rows}`;
}

function showGenerations(all) {
  const section = $("generations");
  section.hidden = all.length < 2 && !all.some((g) => g.building);
  section.querySelector("tbody").replaceChildren(...all.toReversed().map((g) => el("tr", {},
    el("td", {}, el("code", {}, g.generation)),
    el("td", {}, text(g.made_at, "TIMESTAMPTZ")),
    el("td", { class: "number" }, count(g.installed_periods)),
    el("td", { class: "reason" }, g.current ? "Shown" : g.building ? working("building", g.building) : g.behind ? `${plural(g.behind, "record")} behind` : "Complete"),
    el("td", {}, g.building?.total ? el("progress", { max: Number(g.building.total), value: Number(g.building.done), "aria-label": `Building ${g.generation}` }) : ""))));
}

// lookUp makes the forms of models with a key show the row of a key.
export function lookUp() {
  for (const form of document.querySelectorAll("form[data-model]")) {
    form.onsubmit = async (event) => {
      event.preventDefault();
      const key = [...form.querySelectorAll("input")].map((i) => encodeURIComponent(i.value));
      const out = form.nextElementSibling;
      const answer = await fetch(`api/models/${form.dataset.model}/${key.join("/")}`).catch(() => null);
      const found = answer && parse(await answer.text());
      out.hidden = false;
      if (!answer?.ok) {
        out.replaceChildren(el("p", { class: "sub" }, found ? [found.detail, found.hint].filter(Boolean).join(" ") : "No answer"));
        return;
      }
      out.replaceChildren(el("table", {}, el("tbody", {}, ...found.columns.map((c) =>
        el("tr", {}, el("td", { class: "null" }, c.name), el("td", {}, text(found.row[c.name], c.type)))))));
    };
  }
}
