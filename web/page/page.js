// The page: one event stream feeds the status tiles and a card per metric.
import { Card } from "./card.js";
import { spark } from "./chart.js";
import { lookUp, operate } from "./operate.js";
import { showRejects } from "./rejects.js";
import { count, duration, parse, plural } from "./values.js";

const $ = (id) => document.getElementById(id);

const cards = new Map([...document.querySelectorAll(".card[data-metric]")].map((root) => [root.dataset.metric, new Card(root, () => connect())]));

// ---- status tiles

function showStatus(s) {
  heard = Date.now();
  if (s.generation !== document.body.dataset.generation) return again();
  state(s.ready ? "live" : "wait", s.ready ? "Live" : "Starting…");
  $("rate").textContent = s.posts_per_second > 0 && s.posts_per_second < 10 ? s.posts_per_second.toFixed(1) : count(Math.round(s.posts_per_second));
  spark($("spark"), s.history);
  $("counted").textContent = count(s.counted);
  const topics = new Set(s.partitions.map((p) => p.topic)).size;
  $("positions").textContent = `${plural(topics, "topic")}, ${plural(s.partitions.length, "partition")}`;
  showLag(s);
  $("rejected").textContent = s.rejected === null ? "–" : count(s.rejected);
  $("rejected").dataset.tone = s.rejected ? "warn" : "";
  $("rejects-link").textContent = s.rejected ? "See which, and why" : "None so far";
  showRejects($("rejects"), s.rejected);
  const empty = s.counted === 0 && !s.lag;
  $("start").hidden = !empty;
  document.body.classList.toggle("empty", empty);
}

function showLag({ counted, lag, delay_seconds: delay, partitions }) {
  const fresh = $("fresh");
  const stopped = partitions.find((p) => p.stopped);
  if (stopped) {
    fresh.dataset.tone = "bad";
    fresh.textContent = "Stopped";
    $("lag").textContent = `${stopped.topic}:${stopped.partition} is not counted any further; /api/status says why`;
    return;
  }
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

// again loads the page anew: another definition is shown, with other metrics.
function again() {
  stream?.close();
  location.reload();
}

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
    retry = setTimeout(reconnect, wait);
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

// reconnect first looks whether the metrics that this page watches are still there.
async function reconnect() {
  const answer = await fetch("api/metrics").catch(() => null);
  if (answer?.status === 401) return again(); // the sign-in is over: the page asks for a key
  const list = answer?.ok ? await answer.json().catch(() => null) : null;
  if (list && list.generation !== document.body.dataset.generation) again();
  else connect();
}

setInterval(() => { if (Date.now() - heard > 8000 && stream.readyState === EventSource.OPEN) state("wait", "Waiting for news…"); }, 1000);
addEventListener("pagehide", () => stream.close());
addEventListener("pageshow", (e) => { if (e.persisted) connect(); });

// ---- how to post a first record

for (const code of document.querySelectorAll("code[data-route]")) {
  const url = new URL(code.dataset.route, document.baseURI);
  const quoted = code.dataset.example.replaceAll("'", `'\\''`);
  const key = $("sign-out") ? ` -H "Authorization: Bearer $PINFLOW_KEY"` : ""; // who has signed in knows that keys are needed
  code.textContent = `curl ${url}${key} -H 'Content-Type: application/json' -d '${quoted}'`;
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

$("sign-out")?.addEventListener("click", async () => {
  await fetch("session", { method: "DELETE" });
  again();
});

lookUp();
operate();
connect();
