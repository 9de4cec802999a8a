// Nodes of the page, and text in them. What comes from the kernel reaches the page through textContent only,
// never as HTML.

/** element("button", { class: "x", onclick: f, "aria-label": "…" }, "text", child, ...) */
function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (typeof value === "boolean") node.toggleAttribute(name, value);
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

// The name of SVG's namespace looks like an address; the parser knows it without our writing one.
const SVG = new DOMParser().parseFromString("<svg></svg>", "text/html").body.firstChild.namespaceURI;

function svg(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

let ids = 0;
const freshId = () => `course-widget-${Math.random().toString(36).slice(2)}-${ids++}`;

const SIGNS = { " ": "·", "\n": "⏎", "\t": "⇥", "\u00a0": "⍽" };
const NAMES = { " ": "blank", "\n": "line break", "\t": "tab", "": "empty text" };
// blanks, control characters, and what turns the direction of the text after it
const UNSEEN = "[\\x00-\\x20\\x7f\\u00a0\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]";
const AT_UNSEEN = new RegExp(`(${UNSEEN})`), IS_UNSEEN = new RegExp(`^${UNSEEN}$`);
const hex = (c) => c.charCodeAt(0).toString(16).toUpperCase();
const sign = (c) => SIGNS[c] ?? `‹${hex(c).padStart(2, "0")}›`; // as Python shows it

/** Nodes for a text in which no character is invisible: · blank, ⏎ line break, ‹00›. */
function visible(text) {
  if (text === "") return [element("span", { class: "cw-sign" }, "∅")];
  return text.split(AT_UNSEEN).filter(Boolean).map((part) => {
    if (IS_UNSEEN.test(part)) return element("span", { class: "cw-sign" }, sign(part));
    // A lone combining mark would sit on its neighbour; <bdi> keeps right-to-left text in its place.
    return element("bdi", {}, /^\p{M}/u.test(part) ? "◌" + part : part);
  });
}

/** The same in one node, in the type of code. */
const mono = (text) => element("span", { class: "cw-mono" }, ...visible(text));

/** Text that keeps its line breaks, each behind a ⏎. */
const withBreaks = (text) => text.split(/(\n)/).filter(Boolean).flatMap((part) =>
  part === "\n" ? [element("span", { class: "cw-sign" }, "⏎"), element("br")] : [element("bdi", {}, part)]);

/** A text in one string: blanks stay blanks, and a line break breaks the line where lines may break. */
const readable = (text) => text === "" ? "∅" :
  text.split("").map((c) => c === " " ? c : c === "\n" ? "⏎\n" : IS_UNSEEN.test(c) ? sign(c) : c).join("");

/** The same in one node: a name of several words. */
const named = (text) => element("bdi", {}, readable(text));

/** The same in words, for labels that are read aloud. */
const spoken = (text) => (Object.hasOwn(NAMES, text) ? NAMES[text] : text.replace(/\n/g, "⏎"));

const percent = (p) =>
  p > 0 && p < 0.0005 ? "< 0.1 %" : p < 1 && p > 0.9995 ? "> 99.9 %" : `${(100 * p).toFixed(1)} %`;
const short = (p) => (p < 0.005 ? "<1" : String(Math.round(100 * p))) + "%"; // under a token

/** Names, as nodes, with bars of their probabilities, and a bar for all that are not named: [[name, p], ...]. */
function bars(named) {
  const bar = (name, p, kind = "") => [name, element("span", { class: `cw-track ${kind}`, "aria-hidden": "true" },
    element("i", { style: `left: 0; width: ${100 * p}%` })), element("b", {}, percent(p))];
  const rest = Math.max(0, 1 - named.reduce((sum, [, p]) => sum + p, 0));
  return element("div", { class: "cw-bars" }, ...named.flatMap((one) => bar(...one)),
    ...bar(element("span", {}, "all others"), rest, "cw-rest"));
}
const grouped = (n) => n.toLocaleString("en");

/** Seconds as a person says them: "8 s", "2 min 5 s", "3 h 0 min". */
function lasting(seconds) {
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : whole < 3600 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${Math.floor(whole / 3600)} h ${Math.floor(whole / 60) % 60} min`;
}

const plural = (n, noun) => `${grouped(n)} ${noun}${n === 1 ? "" : "s"}`;

/** A number with so many decimals and a true minus sign, and no minus before a zero. */
const signed = (x, digits = 2) => {
  const text = x.toFixed(digits);
  return Number(text) ? text.replace("-", "−") : text.replace("-", "");
};

const sum = (numbers) => numbers.reduce((total, x) => total + x, 0);

/** As NumPy's: on a straight line between the two values beside it. */
function quantile(values, q) {
  const sorted = [...values].sort((x, y) => x - y), place = q * (sorted.length - 1), i = Math.floor(place);
  return sorted[i] + (place - i) * ((sorted[i + 1] ?? sorted[i]) - sorted[i]);
}

const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
const range = (n) => Array.from({ length: n }, (_, i) => i);
