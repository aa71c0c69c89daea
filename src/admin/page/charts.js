// Charts, drawn by uPlot. Each has its figures as a table or as text beside it.
import { clock, day, h, usd } from "./format.js";

export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

const charts = new Map();

/** Draws into an element, or says there why nothing can be drawn. A chart of the same shape is only given new data. */
function draw(element, shape, options, data, empty) {
  const old = charts.get(element);
  if (empty) {
    old?.chart.destroy();
    charts.delete(element);
    element.replaceChildren(h("p.empty", {}, empty));
    return;
  }
  const theme = colour("card");
  if (old && old.shape === shape && old.theme === theme) {
    old.chart.setData(data);
    return;
  }
  old?.chart.destroy();
  element.replaceChildren();
  const size = () => ({ width: element.clientWidth, height: element.clientHeight });
  const chart = new uPlot({ ...options, ...size() }, data, element);
  charts.set(element, { chart, shape, theme, size });
}

addEventListener("resize", () => {
  for (const { chart, size } of charts.values()) chart.setSize(size());
});

/** Themes change colours, which a canvas does not notice. */
export function forget() {
  for (const { chart } of charts.values()) chart.destroy();
  charts.clear();
}

const axis = (more) => ({
  stroke: colour("quiet"),
  font: "12px system-ui, sans-serif",
  grid: { stroke: colour("line"), width: 1 },
  ticks: { show: false },
  ...more,
});

function times(step) {
  const label = step >= 12 * 3600e3 ? (at) => day(at).slice(5) : clock;
  return axis({
    grid: { show: false },
    space: 70,
    values: (_, splits) => {
      const span = splits.length > 1 ? (splits.at(-1) - splits[0]) / (splits.length - 1) : 0;
      return splits.map((at) => (span >= 43200 ? day(at * 1000).slice(5) : label(at * 1000)));
    },
  });
}

const tip = (at, step) => (step >= 12 * 3600e3 ? day(at) : `${day(at)} ${clock(at)}`);

/** What both lines are at one moment, beside the chart; without one, in all. */
function key(element, u, points, step, index) {
  const last = index ?? u.data[0].length - 1;
  const [base, spent] = [u.data[1][last], u.data[2][last]];
  const item = (kind, name, amount) => h("li", {}, h("i" + kind, { "aria-hidden": "true" }), name, " ", h("b", {}, usd(amount)));
  element.replaceChildren(
    item(".base", "Baseline", base), item("", "Spent", spent), item(".gap", "Saved", base - spent),
    h("li", {}, index == null ? "" : tip(points[index].at, step)));
}

export function spend(element, legend, points, step, added, empty) {
  let [spent, base] = [0, 0];
  const data = [[], [], []];
  for (const point of points) {
    spent = (added ? spent : 0) + point.cost;
    base = (added ? base : 0) + point.baseline;
    data[0].push(point.at / 1000);
    data[1].push(base);
    data[2].push(spent);
  }
  legend.replaceChildren();
  const width = { width: 2, points: { show: points.length < 3, size: 6 } };
  draw(element, `spend ${added} ${step} ${points.length < 3}`, {
    padding: [10, 8, 0, 0],
    legend: { show: false },
    cursor: { points: { size: 7 }, drag: { x: false, y: false }, y: false },
    scales: { y: { range: (_, low, high) => [Math.min(0, low), high > 0 ? high * 1.06 : 1] } },
    axes: [times(step), axis({ size: 64, values: (_, splits) => splits.map(usd) })],
    series: [
      {},
      { label: "Baseline", stroke: colour("base"), dash: [6, 4], ...width },
      { label: "Spent", stroke: colour("spent"), ...width },
    ],
    bands: [{ series: [1, 2], fill: colour("gap") }],
    hooks: { setCursor: [(u) => { if (added || u.cursor.idx != null) key(legend, u, points, step, u.cursor.idx); }] },
  }, data, empty);
  const chart = charts.get(element)?.chart;
  if (chart && added) key(legend, chart, points, step, chart.cursor.idx);
  else if (chart) legend.replaceChildren(h("li", {}, h("i.base", { "aria-hidden": "true" }), "Baseline"), h("li", {}, h("i", { "aria-hidden": "true" }), "Spent"));
}

/** Counts over time, one upon the other. */
export function stacked(element, kind, at, names, rows, step, empty) {
  const sums = at.map(() => 0);
  const piled = rows.map((row) => row.map((n, i) => (sums[i] += n)));
  const bars = uPlot.paths.bars({ size: [0.82, 26], radius: 0.12 });
  const own = (u, n, index) => (index == null || n == null ? "–" : String(n));
  draw(element, `${kind} ${names.join()} ${step}`, {
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: { y: { range: (_, low, high) => [0, Math.max(1, high * 1.05)] } },
    axes: [times(step), axis({ size: 44, space: 36, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 1e5, 1e6] })],
    // The highest pile first, so that the lower ones stand before it.
    series: [{}, ...names.map((name) => ({ label: name, fill: colour(name), width: 0, paths: bars, points: { show: false }, value: own })).reverse()],
  }, [at.map((t) => t / 1000), ...piled.reverse()], empty);
}

/** How sure the cascade was of its drafts: kept ones before all. */
export function confidence(element, bins, empty) {
  const paths = uPlot.paths.bars({ size: [0.86, 60], radius: 0.1 });
  const all = bins.map((bin) => bin.kept + bin.deferred);
  draw(element, "confidence", {
    padding: [8, 20, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: false, range: () => [0, 100] }, y: { range: (_, low, high) => [0, Math.max(1, high * 1.05)] } },
    axes: [
      axis({ grid: { show: false }, splits: () => [0, 20, 40, 60, 80, 100], values: (_, splits) => splits.map((x) => x + " %") }),
      axis({ size: 44, space: 36, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 1e4, 1e5] }),
    ],
    series: [
      {},
      { label: "all", fill: colour("extra"), width: 0, paths, points: { show: false } },
      { label: "kept", fill: colour("saved"), width: 0, paths, points: { show: false } },
    ],
  }, [bins.map((bin) => bin.from * 100 + 5), all, bins.map((bin) => bin.kept)], empty);
}
