// The newest rejects, asked for when their number has changed.
import { el } from "./chart.js";
import { parse, text } from "./values.js";

const SHOWN = 20;
const PREVIEW = 300; // characters of a payload

let shown = 0, asking = false;

// showRejects fills section's table if there are rejects, number of them now.
export async function showRejects(section, number) {
  if (number === null || number === shown || asking) return;
  asking = true;
  try {
    const answer = await fetch(`api/rejects?limit=${SHOWN}`);
    if (answer.ok) {
      const { rows } = parse(await answer.text());
      section.querySelector("tbody").replaceChildren(...rows.map(line));
      section.hidden = rows.length === 0;
      shown = number;
    }
  } catch { /* the next status asks again */ }
  asking = false;
}

function line(row) {
  const payload = preview(row.payload);
  return el("tr", {},
    el("td", {}, text(row.rejected_at, "TIMESTAMPTZ")),
    el("td", {}, row.model),
    el("td", {}, `${row.topic}:${row.partition}:${row.offset}`),
    el("td", { class: "reason" }, row.reason ?? "–"),
    el("td", { title: payload }, el("code", {}, payload)));
}

function preview(base64) {
  if (base64 === null) return "–";
  const bytes = Uint8Array.from(atob(base64.slice(0, PREVIEW * 4)), (c) => c.charCodeAt(0));
  return new TextDecoder().decode(bytes).slice(0, PREVIEW);
}
