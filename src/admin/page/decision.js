// Why a request went where it went, in words.
import { count, h, percent, short, table, took, usd, when } from "./format.js";

const AFFINITY = {
  new: "It begins a conversation.", same: "The conversation's own tier suits it.", kept: "The conversation kept its model.",
  escalated: "The task outgrew the conversation's model.", deescalated: "A cheaper model suffices, and changing to it pays.",
  forced: "The conversation's model could not serve it, or was not allowed to.", aside: "It is no part of the conversation.",
};
const PARTS = {
  answer: "answered", rejected_draft: "draft, thrown away", verification: "judged the draft", shadow: "compared", retried: "repeated", tool_round: "called tools",
  hedge_loser: "not needed in the end", cancelled: "hung up on", failed: "failed",
};

/** The decision in a few words. */
export function badges(row) {
  const all = [];
  const add = (text, kind = "") => all.push(h(`span.badge${kind}`, {}, text));
  if (row.cache === "hit") add("cache hit", ".good");
  if (row.cache === "semantic") add("like an earlier one", ".good");
  if (row.cache === "coalesced") add("shared call", ".good");
  if (row.cascade === "accepted") add("draft kept", ".good");
  if (row.cascade === "deferred") add("draft thrown away", ".dear");
  const moved = { escalated: "moved up", deescalated: "moved down", forced: "moved", kept: "kept its model" }[row.affinity];
  if (moved) add(moved);
  if (row.class && row.class !== "main") add(row.class);
  if (row.outcome !== "ok") add(row.outcome.replace("_", " "), row.outcome === "cancelled" ? ".dear" : ".bad");
  return all;
}

function reasons(row) {
  const steps = [];
  const planned = row.planned_model ? `${row.planned_provider}:${row.planned_model}` : null;
  if (row.tier === "direct") steps.push(`The caller named the model${planned ? `: ${planned}` : ""}.`);
  else if (row.tier === "none") steps.push("It was refused before a tier was chosen.");
  else steps.push(`Graded ${row.tier}${row.reason ? ` (${row.reason})` : ""}${planned ? `, which is bound to ${planned}` : ""}.`);
  if (row.affinity) steps.push(AFFINITY[row.affinity] ?? row.affinity);
  if (row.cache === "hit") steps.push("It had been answered before: the answer was replayed, and no model was asked.");
  if (row.cache === "semantic") steps.push("One like it had been answered before: that answer was replayed, and no model was asked.");
  if (row.cache === "coalesced") steps.push("The same request was under way: both got its answer.");
  const sure = row.confidence_ppm == null ? "" : ` Confidence ${percent(row.confidence_ppm / 1e6)}, needed ${percent(row.threshold_ppm / 1e6)}.`;
  if (row.cascade === "accepted") steps.push(`The small model's draft was kept (${row.cascade_reason}).${sure}`);
  if (row.cascade === "deferred") steps.push(`The small model's draft was not good enough (${row.cascade_reason}), so the big model answered.${sure}`);
  if (row.cascade === "skipped") steps.push(`Nobody drafted (${row.cascade_reason}).`);
  if (row.compressed) steps.push(`About ${short(row.compressed)} tokens of the prompt were left out.`);
  const ends = { ok: "Answered to the end.", cancelled: "The caller left before the end.", cut: "The answer broke off.", upstream_error: "The provider failed.", refused: "It was refused.", client_error: "The request could not be served as it was.", internal_error: "A fault of the gateway's own." };
  steps.push((ends[row.outcome] ?? row.outcome) + (row.status && row.outcome !== "ok" ? ` Status ${row.status}.` : ""));
  return steps;
}

function bill(row) {
  const dollars = (pico) => usd(pico / 1e12);
  const lines = [["Cost", row.priced ? dollars(row.cost) : `${dollars(row.cost)} and ${short(row.unpriced_tokens)} tokens of unknown price`]];
  if (row.baseline_known) lines.push(["Baseline", dollars(row.baseline)]);
  for (const [name, key] of [["Saved by the tier", "saved_tier"], ["Saved by the draft", "saved_cascade"], ["Saved by the cache", "saved_prompt_cache"], ["Saved by the provider's cache", "saved_provider_cache"], ["Saved by compression", "saved_compression"], ["Dearer tier", "extra_tier"], ["Thrown away", "extra_deferral"], ["Comparison", "extra_shadow"], ["Writing the provider's cache", "extra_provider_cache"]]) {
    if (row[key]) lines.push([name, dollars(row[key])]);
  }
  lines.push(["Took", took(row.total_us / 1000) + (row.first_byte_us == null ? "" : `, first piece after ${took(row.first_byte_us / 1000)}`)]);
  return h("dl", {}, lines.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

/** The whole story; `choose` leads to the conversation. */
export function explain(row, choose) {
  const attempts = h("table");
  table(attempts, ["Upstream call", "Part", "End", "In", "Cached", "Out", "Took", "Cost"], row.attempts.map((a) => [
    `${a.provider}:${a.model}`, PARTS[a.part] ?? a.part, a.ended === "status" ? `status ${a.status}` : a.ended,
    count(a.input + a.cache_write + a.cache_write_1h), count(a.cache_read), count(a.output), took(a.total_us / 1000),
    a.cost == null ? "–" : usd(a.cost / 1e12) + (a.estimated ? " (est.)" : "")]), 3);
  const about = [row.client && `client ${row.client}`, row.tenant && `tenant ${row.tenant}`, row.dialect, row.stream ? "stream" : "whole", when(row.at), row.request_id && `request ${row.request_id}`];
  return h("div.why", {},
    h("div", {}, h("h3", {}, "Decision"), h("ol", {}, reasons(row).map((text) => h("li", {}, text)))),
    h("div", {}, h("h3", {}, "Bill"), bill(row)),
    row.attempts.length > 0 && h("div.attempts.scroll", { tabindex: 0, role: "region", "aria-label": `Upstream calls of ${when(row.at)}, number ${row.id}` }, attempts),
    row.tool_runs?.length > 0 && h("div.attempts", {}, h("h3", {}, "Tools"), row.tool_runs.map((r) => `${r.server}.${r.tool}: ${r.outcome}, ${took(r.total_us / 1000)}`).join("; ")),
    row.ask && h("div.attempts", {}, h("h3", {}, "Asked"), row.ask),
    h("p.ids", {}, about.filter(Boolean).join(" · "),
      row.session && choose && h("button.plain", { type: "button", onclick: () => choose(row.session) }, "Show the conversation")));
}
