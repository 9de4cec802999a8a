// What every widget shares. Joined in front of the widget's own file into one module; see base.py.
// Text from the kernel reaches the page through textContent only, never as HTML.

// ---- the DOM ------------------------------------------------------------------------------------

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
const hex = (c) => c.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0");
const sign = (c) => SIGNS[c] ?? `‹${hex(c)}›`; // as Python shows a byte that is no character

/** Nodes for a text in which no character is invisible: · blank, ⏎ line break, ‹00›. */
function visible(text) {
  if (text === "") return [element("span", { class: "cw-sign" }, "∅")];
  return text.split(/([\x00-\x20\x7f\u00a0])/).filter(Boolean).map((part) => {
    if (/^[\x00-\x20\x7f\u00a0]$/.test(part)) return element("span", { class: "cw-sign" }, sign(part));
    // A lone combining mark would sit on its neighbour; <bdi> keeps right-to-left text in its place.
    return element("bdi", {}, /^\p{M}/u.test(part) ? "◌" + part : part);
  });
}

/** The same in words, for labels that are read aloud. */
const spoken = (text) => NAMES[text] ?? text.replace(/\n/g, "⏎");

const percent = (p) => p === 0 ? "0 %" :
  p > 0 && p < 0.0005 ? "< 0.1 %" : p < 1 && p > 0.9995 ? "> 99.9 %" : `${(100 * p).toFixed(1)} %`;
const grouped = (n) => n.toLocaleString("en");

// ---- colour -------------------------------------------------------------------------------------

// cividis at 0, 1/12, ..., 1; on straight lines between these it is off by 8 of 255 at most
const CIVIDIS = [[0, 34, 78], [0, 49, 112], [42, 63, 109], [67, 78, 108], [87, 93, 109], [106, 108, 113],
  [125, 124, 120], [145, 139, 120], [165, 156, 116], [188, 174, 108], [210, 192, 96], [233, 211, 78], [254, 232, 56]];

function cividis(x) {
  const place = Math.min(Math.max(x, 0), 1) * (CIVIDIS.length - 1);
  const i = Math.min(Math.floor(place), CIVIDIS.length - 2);
  return CIVIDIS[i].map((low, c) => Math.round(low + (place - i) * (CIVIDIS[i + 1][c] - low)));
}

const css = ([r, g, b]) => `rgb(${r}, ${g}, ${b})`;

/** Black or white, whichever is read more easily on a colour (WCAG relative luminance). */
function inkOn(rgb) {
  const [r, g, b] = rgb.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
}

// ---- keys and touch -----------------------------------------------------------------------------

/**
 * One tab stop for a list of items: arrow keys, Home and End move in it, a click or a touch picks.
 * `items()` gives the elements now, `current()` the index of the chosen one, `choose(i)` is told.
 */
function chooser(container, { items, current, choose }) {
  const steps = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1 };
  container.tabIndex = 0;
  container.addEventListener("keydown", (event) => {
    const last = items().length - 1;
    const to = { Home: 0, End: last }[event.key] ?? (event.key in steps ? current() + steps[event.key] : null);
    if (to === null || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault(); // or the page scrolls
    if (last >= 0) choose(Math.min(Math.max(to, 0), last));
  });
  container.addEventListener("click", (event) => {
    const i = items().findIndex((item) => item.contains(event.target));
    if (i >= 0) choose(i);
  });
}

/** Mark item i as the chosen one, for eyes and for screen readers. */
function markChosen(container, items, i) {
  items.forEach((item, at) => {
    item.id ||= freshId();
    item.setAttribute("aria-selected", String(at === i));
  });
  if (items[i]) container.setAttribute("aria-activedescendant", items[i].id);
  else container.removeAttribute("aria-activedescendant");
}

// ---- the kernel ---------------------------------------------------------------------------------

/**
 * Latest wins: one request is on its way, and of those made meanwhile only the newest is kept.
 * A request says all that the view wants, so dropping the older ones loses nothing.
 */
function latestWins(model, changed) {
  const view = freshId();
  let count = 0, onItsWay = null, newest = null, timer = null;
  function send(request) {
    onItsWay = `${view}/${count++}`;
    model.send({ ...request, id: onItsWay });
    clearTimeout(timer);
    timer = setTimeout(() => changed("slow"), 2000);
    changed("waiting");
  }
  return {
    ask(request) {
      if (onItsWay === null) send(request);
      else newest = request;
    },
    /** Call at each change of `shown`. True if it answers this view's own request. */
    answered(id) {
      if (id !== onItsWay || id === null) return false;
      clearTimeout(timer);
      onItsWay = null;
      const request = newest;
      newest = null;
      if (request) send(request);
      else changed("idle");
      return true;
    },
    idle: () => onItsWay === null,
  };
}

// ---- the frame ----------------------------------------------------------------------------------

/**
 * The frame round a widget: its body, the sentence (read aloud when it changes), what went wrong, the
 * table, and the talk with the kernel.
 *   draw(shown, mine, last): draw `shown`; `mine` says that it answers this view, so inputs are as they were
 *     typed; `last` that nothing newer is asked for
 *   tables(shown): [{ caption, head, rows }, ...] for "Show as table"; a cell is a string or a list of nodes
 */
function frame({ model, el, label, body, draw, tables }) {
  const sentence = element("p", { class: "cw-sentence", role: "status", "aria-live": "polite" });
  const problem = element("p", { class: "cw-problem", role: "alert", hidden: true });
  const wait = element("span", { class: "cw-wait" });
  const tableId = freshId();
  const table = element("div", { class: "cw-tables", id: tableId, hidden: true });
  const button = element("button", { type: "button", "aria-expanded": "false", "aria-controls": tableId,
    onclick: toggleTable }, "Show as table");
  const root = element("section", { class: "course-widget", "aria-label": label, "data-state": "idle" },
    body, problem, sentence, element("div", { class: "cw-foot" }, button,
      element("span", { class: "cw-leave cw-quiet" }, "Esc leads back to the notebook."), wait), table);

  // JupyterLab's command mode takes single letters and arrow keys as commands (d d deletes a cell). It
  // listens on the document while the event bubbles, so stopping here is enough; Ctrl, Cmd and Alt
  // combinations, Shift+Enter and Escape stay JupyterLab's. Escape gives the keyboard back to the cell: while
  // it is in here, no arrow key can lead on to the next one.
  root.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.isComposing) root.closest(".jp-Cell")?.focus();
    const jupyters = event.ctrlKey || event.metaKey || event.altKey || event.key === "Escape" ||
      (event.key === "Enter" && event.shiftKey);
    if (!jupyters) event.stopPropagation();
  });

  const kernel = latestWins(model, (state) => {
    root.dataset.state = state === "idle" ? "idle" : "waiting";
    wait.textContent = state !== "slow" ? "" :
      "The kernel is busy or has stopped. If it has stopped, run this cell again to make it live.";
  });

  function toggleTable() {
    table.hidden = !table.hidden;
    button.setAttribute("aria-expanded", String(!table.hidden));
    button.textContent = table.hidden ? "Show as table" : "Hide table";
    fillTable();
  }

  function fillTable() {
    if (table.hidden) return table.replaceChildren();
    const cells = (tag, row) => row.map((cell) => element(tag, {}, ...[cell].flat()));
    table.replaceChildren(...tables(model.get("shown")).map(({ caption, head, rows }) =>
      element("table", {}, element("caption", {}, caption),
        element("thead", {}, element("tr", {}, ...cells("th", head))),
        element("tbody", {}, ...rows.map((row) => element("tr", {}, ...cells("td", row)))))));
  }

  function update() {
    const shown = model.get("shown");
    const mine = kernel.answered(shown.answers);
    draw(shown, mine, kernel.idle());
    // the same text put in again would be read aloud again
    if (sentence.textContent !== shown.sentence) sentence.textContent = shown.sentence;
    if (problem.textContent !== shown.problem) problem.textContent = shown.problem;
    problem.hidden = !shown.problem;
    fillTable();
  }

  el.append(root);
  model.on("change:shown", update);
  return {
    root,
    ask: kernel.ask,
    update,
    say(text) { sentence.textContent = text; },
    close() { model.off("change:shown", update); },
  };
}
