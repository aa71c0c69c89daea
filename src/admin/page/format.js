// How figures are written, and how elements are made.

/** Dollars as people read them: two figures behind the point, more where the amount is small. */
export function usd(amount) {
  if (amount == null || Number.isNaN(amount)) return "–";
  const size = Math.abs(amount);
  if (size === 0) return "$0.00";
  const digits = size >= 1000 ? 0 : size >= 1 ? 2 : size >= 0.1 ? 3 : size >= 0.001 ? 4 : 6;
  const text = size.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return (amount < 0 ? "−$" : "$") + text;
}

export const count = (n) => (n ?? 0).toLocaleString("en-US");

export function short(n) {
  for (const [size, unit] of [[1e9, " G"], [1e6, " M"], [1e4, " k"]]) {
    if (n >= size) return (n / (unit === " k" ? 1e3 : size)).toLocaleString("en-US", { maximumFractionDigits: 1 }) + unit;
  }
  return count(n);
}

export function percent(share, digits = 0) {
  if (share == null || !Number.isFinite(share)) return "–";
  return (share * 100).toLocaleString("en-US", { maximumFractionDigits: digits }) + " %";
}

export function took(ms) {
  if (ms == null) return "–";
  if (ms < 1000) return Math.round(ms) + " ms";
  if (ms < 60_000) return (ms / 1000).toLocaleString("en-US", { maximumFractionDigits: 1 }) + " s";
  return Math.floor(ms / 60_000) + " min " + Math.round((ms % 60_000) / 1000) + " s";
}

const pad = (n) => String(n).padStart(2, "0");
export const clock = (at) => { const d = new Date(at); return `${pad(d.getHours())}:${pad(d.getMinutes())}`; };
export const day = (at) => { const d = new Date(at); return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())}`; };
export const when = (at) => `${day(at)} ${clock(at)}:${pad(new Date(at).getSeconds())}`;
export const recent = (at, now) => (now - at < 20 * 3600e3 ? `${clock(at)}:${pad(new Date(at).getSeconds())}` : `${day(at).slice(5)} ${clock(at)}`);

/** An element: tag and classes as in a selector, attributes, children. Text is text, never markup. */
export function h(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (value == null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "style") for (const [property, to] of Object.entries(value)) element.style.setProperty(property, to);
    else element.setAttribute(key, value === true ? "" : value);
  }
  for (const child of children.flat()) if (child != null && child !== false) element.append(child);
  return element;
}

/** A table of a head and rows; cells are texts or elements, and columns from `from` on are numbers. */
export function table(element, head, rows, from = 1, caption) {
  const cell = (tag, index) => tag + (index >= from ? ".num" : "");
  element.replaceChildren(
    ...(caption ? [h("caption", {}, caption)] : []),
    h("thead", {}, h("tr", {}, head.map((text, i) => h(cell("th", i), { scope: "col" }, text)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, row.map((text, i) => (i ? h(cell("td", i), {}, text) : h("th", { scope: "row" }, text)))))),
  );
}

/** Rows with a bar each: [name, share of the longest, text, colour, class]. */
export function bars(element, caption, rows) {
  element.replaceChildren(
    h("caption.unseen", {}, caption),
    h("tbody", {}, rows.map(([name, share, text, colour, kind]) =>
      h("tr" + (kind ? "." + kind : ""), {},
        h("th", { scope: "row" }, name),
        h("td.track", { "aria-hidden": "true" }, share > 0 && h("i", { style: { width: `${Math.min(100, share * 100)}%`, background: colour } })),
        h("td.num", {}, text)))),
  );
}
