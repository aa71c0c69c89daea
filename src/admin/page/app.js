// The dashboard: asks the admin port for figures every few seconds and shows them.
import { bars, count, h, percent, recent, short, table, took, usd, when } from "./format.js";
import { confidence, forget, spend, stacked } from "./charts.js";
import { explain, badges } from "./decision.js";

const EVERY = 4000;
const PAGE = 30;
const TIERS = ["simple", "medium", "complex", "reasoning", "direct"];
const CAUSES = {
  tier: "Cheaper tier", cascade: "Drafts kept", prompt_cache: "Answered before", provider_cache: "Providers' caches",
  compression: "Compression", deferral: "Drafts thrown away", shadow: "Comparisons",
};
const $ = (id) => document.getElementById(id);
const state = { range: "24h", mode: "sum", session: null, calls: [], open: new Set(), last: null, older: false };

async function ask(path) {
  const answer = await fetch(path, { headers: { accept: "application/json" }, cache: "no-store" });
  if (answer.status === 401) location.assign("/login");
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
  return answer.json();
}

function notice(text) {
  $("notice").hidden = !text;
  $("notice").textContent = text ?? "";
}

function figures(told) {
  const { total, cascade, cache } = told;
  const net = total.baseline - total.cost;
  const drafts = cascade.kept + cascade.deferred;
  const served = cache.hit + cache.semantic + cache.coalesced;
  const looked = served + cache.miss;
  const figure = (name, value, note, kind = "") =>
    h("div", {}, h("dt", {}, name), h("dd", {}, h(`span.value${kind}`, {}, value)), h("dd.note", {}, note));
  $("figures").replaceChildren(
    figure("Spent", usd(total.cost), total.unpriced_tokens ? `${short(total.unpriced_tokens)} tokens of unknown price` : "every token priced"),
    figure("Baseline", usd(total.baseline), "what was asked for"),
    figure("Saved, net", usd(net), total.baseline > 0 ? `${percent(net / total.baseline, 1)} of baseline` : "nothing yet", net < 0 ? ".dear" : net > 0 ? ".good" : ""),
    figure("Requests", count(total.calls), total.calls ? `${percent(total.ok / total.calls, 1)} answered` : "none yet"),
    figure("Drafts kept", drafts ? percent(cascade.kept / drafts) : "–", drafts ? `of ${count(drafts)} drafts` : "no drafts"),
    figure("Answered from cache", looked ? percent(served / looked) : "–", looked ? `of ${count(looked)} that may be` : "none that may be"),
  );
}

function money(told) {
  const empty = told.series.length ? null : "No requests in this time yet.";
  spend($("spend"), $("spend-key"), told.series, told.step_ms, state.mode === "sum", empty);
  table($("spend-t"), ["From", "Requests", "Spent", "Baseline", "Saved, net"],
    told.series.filter((p) => p.calls).map((p) => [when(p.at).slice(0, 16), count(p.calls), usd(p.cost), usd(p.baseline), usd(p.baseline - p.cost)]));
  const { saved, extra } = told.total;
  const rows = [
    ...Object.entries(saved).map(([cause, amount]) => [CAUSES[cause] ?? cause, amount, "var(--saved)"]),
    ...Object.entries(extra).filter(([, amount]) => amount > 0).map(([cause, amount]) => [
      cause === "tier" ? "Dearer tier" : cause === "provider_cache" ? "Writing providers' caches" : CAUSES[cause] ?? cause, -amount, "var(--extra)"]),
  ];
  const longest = Math.max(...rows.map(([, amount]) => Math.abs(amount)), 1e-12);
  const net = told.total.baseline - told.total.cost;
  bars($("causes"), "Savings by cause, and what was spent on top", [
    ...rows.map(([name, amount, colour]) => [name, Math.abs(amount) / longest, usd(amount), colour]),
    ["Net", 0, usd(net), "", "total"],
  ]);
}

function tiers(told) {
  const names = TIERS.filter((tier) => told.tiers.some((group) => group.key === tier));
  const at = told.series.map((p) => p.at);
  const rows = names.map((name) => told.series.map((p) => p.tiers?.[name] ?? 0));
  stacked($("tiers"), "tiers", at, names, rows, told.step_ms, names.length && at.length ? null : "No requests in this time yet.");
  const all = told.tiers.reduce((sum, group) => sum + group.calls, 0);
  const known = TIERS.flatMap((name) => told.tiers.find((group) => group.key === name) ?? []);
  bars($("tiers-t"), "Requests by tier", known.map((group) => [
    h("span", {}, h("i.swatch", { style: { background: `var(--${group.key})` }, "aria-hidden": "true" }), group.key),
    all ? group.calls / all : 0, `${count(group.calls)} · ${usd(group.cost)}`, `var(--${group.key})`]));
}

function drafts({ cascade }) {
  const all = cascade.kept + cascade.deferred;
  const certified = cascade.families.filter((family) => family.certified).map((family) => family.name);
  $("cascade-body").replaceChildren(...(!all ? [] : [
    h("p.statement", {}, h("b", {}, `${percent(cascade.kept / all)} kept`), ` of ${count(all)}; `,
      cascade.expected == null ? "" : [h("b", {}, percent(cascade.expected, 1)), " of those expected to be good enough"],
      h("span.quiet", {}, certified.length
        ? `Certified for ${certified.join(", ")}, from ${count(cascade.labels)} labels.`
        : `No promise is certified yet (${count(cascade.labels)} labels): the expectation is the judge's own.`)),
  ]));
  confidence($("cascade"), cascade.bins, all ? null : "No drafts in this time. The cascade asks a small model first and keeps its answer when that is good enough.");
  table($("cascade-t"), ["Confidence", "Kept", "Deferred"],
    cascade.bins.map((bin) => [`${Math.round(bin.from * 100)}–${Math.round(bin.from * 100) + 10} %`, count(bin.kept), count(bin.deferred)]), 1,
    "Drafts by how sure the judge was of them");
}

function caches({ cache, total }) {
  const known = [["Hits", cache.hit, "var(--saved)"], ["Like an earlier one", cache.semantic, "var(--complex)"], ["Shared a call under way", cache.coalesced, "var(--medium)"], ["Misses", cache.miss, "var(--base)"], ["Not looked up", cache.bypass, "var(--line)"]];
  const most = Math.max(...known.map(([, n]) => n), 1);
  bars($("cache"), "What the prompt cache did", known.filter(([name, n]) => n || name === "Hits" || name === "Misses").map(([name, n, colour]) => [name, n / most, count(n), colour]));
  const input = total.input + total.cache_read + total.cache_write;
  $("cache-body").replaceChildren(h("p.statement", {}, h("b", {}, percent(input ? total.cache_read / input : null, 1)), " of input was read from providers' caches",
    h("span.quiet", {}, `${short(total.cache_read)} tokens read, ${short(total.cache_write)} written, ${short(total.input)} plain; ${short(total.output)} answered.`)));
}

function providers(told) {
  const rows = told.providers.map((p) => {
    const failed = p.calls ? p.failed / p.calls : 0;
    const [word, kind] = !p.calls ? ["quiet", ""] : failed > 0.2 ? ["failing", ".bad"] : failed > 0.02 ? ["some errors", ".dear"] : ["healthy", ".good"];
    return [p.name, h(`span.badge${kind}`, {}, word), count(p.calls), percent(failed, 1), took(p.p50_ms), took(p.p95_ms), usd(p.cost), p.last ? recent(p.last, told.now) : "–"];
  });
  if (!rows.length) return void $("providers").replaceChildren(h("caption", {}, "No provider is configured."));
  table($("providers"), ["Provider", "State", "Upstream calls", "Failed", "Median", "95 of 100 within", "Spent", "Last call"], rows, 2);
  for (const row of $("providers").rows) row.cells[1].classList.remove("num");
}

// === the latest requests ===

function call(row) {
  const id = row.id;
  const saved = (row.baseline - row.cost) / 1e12;
  const open = state.open.has(id);
  const toggle = h("button.row", { type: "button", "aria-expanded": String(open), "aria-controls": `more-${id}`, "data-id": id, onclick: () => {
    state.open.has(id) ? state.open.delete(id) : state.open.add(id);
    latest();
  } }, recent(row.at, state.last.now));
  const model = row.requested_model && row.requested_model !== row.model ? [h("span.quiet", {}, `${row.requested_model} → `), row.model || "nobody"] : [row.model || row.requested_model || "–"];
  const known = TIERS.includes(row.tier);
  return [
    h("tr.call", {},
      h("td", {}, toggle),
      h("td", {}, h("span.badge" + (known ? ".tier" : ""), { style: known ? { color: `color-mix(in srgb, var(--${row.tier}) 55%, var(--text))` } : {} }, row.tier)),
      h("td.model", {}, model),
      h("td.what", {}, h("div", {}, badges(row))),
      h("td.num.opt", {}, `${short(row.answer_input + row.answer_cache_read + row.answer_cache_write + row.answer_cache_write_1h)} → ${short(row.answer_output)}`),
      h("td.num.opt", {}, took(row.total_us / 1000)),
      h("td.num.cost", {}, row.priced ? usd(row.cost / 1e12) : "unpriced"),
      h("td.num.opt", {}, row.baseline_known ? usd(saved) : "–")),
    open && h("tr.more-of", { id: `more-${id}` }, h("td", { colspan: 8 }, explain(row, state.session ? null : choose))),
  ];
}

function latest() {
  const focused = document.activeElement?.dataset?.id;
  const head = h("thead", {}, h("tr", {}, ["Time", "Tier", "Model", "Decision", "Tokens", "Took", "Cost", "Saved"].map((name, i) =>
    h(i > 3 ? "th.num" : "th", { scope: "col" }, name))));
  $("calls").replaceChildren(h("caption.unseen", {}, "The newest first. The button in the first column explains a request."), head, h("tbody", {}, state.calls.flatMap(call)));
  if (!state.calls.length) {
    $("calls").replaceChildren(h("caption", {}, "Nothing yet. Point a client at the gateway, and its requests appear here as they end."));
  }
  if (focused) $("calls").querySelector(`button[data-id="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

function conversation() {
  $("all").hidden = $("session").hidden = !state.session;
  $("latest-h").textContent = state.session ? "One conversation" : "Latest requests";
  if (!state.session) return;
  const sum = (of) => state.calls.reduce((total, row) => total + of(row), 0);
  const [cost, base] = [sum((r) => r.cost) / 1e12, sum((r) => r.baseline) / 1e12];
  const [first, last] = [state.calls.at(-1), state.calls[0]];
  $("session").replaceChildren(h("p.statement", {}, h("b", {}, `${count(state.calls.length)} requests`), `, ${usd(cost)} spent against ${usd(base)}: `,
    h("b", {}, usd(base - cost)), " saved",
    h("span.quiet", {}, first ? `${when(first.at)} to ${when(last.at)} · ${state.session}` : state.session)));
}

async function choose(session) {
  state.session = session;
  state.older = false;
  await requests();
  $("latest").focus();
  $("latest").scrollIntoView({ block: "start" });
}

async function requests(before) {
  const of = state.session ? `&session=${encodeURIComponent(state.session)}` : "";
  const most = state.session ? 200 : PAGE;
  const told = await ask(`/v1/calls?most=${most}${of}${before ? `&before=${encodeURIComponent(before)}` : ""}`);
  if (before) state.calls.push(...told.calls);
  else if (state.older) {
    const known = new Set(state.calls.map((row) => row.id));
    state.calls.unshift(...told.calls.filter((row) => !known.has(row.id)));
  } else state.calls = told.calls;
  $("more").hidden = told.calls.length < most;
  conversation();
  latest();
}

// === live ===

/** Every stretch of the range has its point, with or without calls. */
function filled({ series, since, step_ms, now }) {
  if (!series.length) return series;
  const known = new Map(series.map((point) => [point.at, point]));
  const all = [];
  for (let at = Math.floor(since / step_ms) * step_ms; at <= now; at += step_ms) {
    all.push(known.get(at) ?? { at, calls: 0, cost: 0, baseline: 0, tiers: {} });
  }
  return all;
}

function show(told) {
  told.series = filled(told);
  state.last = told;
  $("version").textContent = told.version;
  notice(told.ledger ? null : "The ledger is off: there is nothing to show but the metrics. Turn it on with [ledger] enabled = true.");
  figures(told);
  money(told);
  tiers(told);
  drafts(told);
  caches(told);
  providers(told);
}

let round = 0;
async function refresh() {
  const mine = ++round;
  clearTimeout(refresh.timer);
  try {
    const told = await ask(`/v1/dashboard?range=${state.range}`);
    if (mine !== round) return;
    show(told);
    if (told.ledger) await requests();
    $("live").className = "live on";
    $("live-text").textContent = "live";
  } catch (error) {
    $("live").className = "live off";
    $("live-text").textContent = "not connected";
    if (!state.last) notice(`The gateway does not answer: ${error.message}`);
  }
  if (mine === round && !document.hidden) refresh.timer = setTimeout(refresh, EVERY);
}

for (const input of document.querySelectorAll("#range input")) input.addEventListener("change", () => { state.range = input.value; refresh(); });
for (const input of document.querySelectorAll("#mode input")) input.addEventListener("change", () => { state.mode = input.value; if (state.last) money(state.last); });
$("all").addEventListener("click", () => choose(null));
$("more").addEventListener("click", () => { state.older = true; requests(state.calls.at(-1)?.id); });
document.addEventListener("visibilitychange", () => document.hidden || refresh());

const THEMES = ["auto", "light", "dark"];
function theme(name) {
  if (name === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  $("theme").textContent = `Theme: ${name}`;
  $("theme").dataset.theme = name;
  forget();
  if (state.last) show(state.last);
}
const kept = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
$("theme").addEventListener("click", () => {
  const next = THEMES[(THEMES.indexOf($("theme").dataset.theme) + 1) % THEMES.length];
  try { localStorage.setItem("theme", next); } catch { /* then it is not remembered */ }
  theme(next);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => theme($("theme").dataset.theme));
theme(THEMES.includes(kept()) ? kept() : "auto");
refresh();
