// A token's id is its place in the sentence; sentinels and the mask follow, as in Python. What an objective makes of
// the sentence is computed here, so that it follows the hand; the kernel draws, and says the sentence.

const OBJECTIVES = {
  "span corruption": ["Span corruption", "T5", "a sentinel for each span; writes only what is hidden"],
  "infilling": ["Infilling", "BART", "one mask for each span"],
  "token masking": ["Token masking", "BART", "a mask for each token"],
  "token deletion": ["Token deletion", "BART", "leaves no trace"],
  "prefix LM": ["Prefix LM", "", "writes how it goes on"],
};

/** Hidden places as spans [first, after the last], and inserted masks as spans of length 0. */
function spansOf(hidden, masks) {
  const spans = masks.map((place) => [place, place]);
  for (const start of hidden.filter((place) => !hidden.includes(place - 1))) {
    let end = start + 1;
    while (hidden.includes(end)) end++;
    spans.push([start, end]);
  }
  return spans.sort(([start, end], [otherStart, otherEnd]) => start - otherStart || end - otherEnd);
}

/** The n tokens 0 to n - 1 as each objective has them: { name: [source, target] }, without ends. */
function corruptions(n, spans, cut, sentinels, mask) {
  const ids = range(n), hidden = new Set(spans.flatMap(([start, end]) => range(end - start).map((i) => start + i)));
  const filled = spans.filter(([start, end]) => start < end);
  const inserted = (some, sign) => { // a sign in the place of each of these spans
    const ends = [0, ...some.map(([, end]) => end)], starts = [...some.map(([start]) => start), n];
    return starts.flatMap((start, i) => [...ids.slice(ends[i], start), ...(i < some.length ? [sign(i)] : [])]);
  };
  return {
    "span corruption": [inserted(filled, (i) => sentinels[i]), filled.flatMap(([start, end], i) => [sentinels[i], ...ids.slice(start, end)])],
    "infilling": [inserted(spans, () => mask), ids],
    "token masking": [ids.map((id) => (hidden.has(id) ? mask : id)), ids],
    "token deletion": [ids.filter((id) => !hidden.has(id)), ids],
    "prefix LM": [ids.slice(0, cut), ids.slice(cut)],
  };
}

/** The inverse of span corruption: each sentinel of the source gives way to what follows it in the target. */
function putTogether(source, target, sentinels) {
  const spans = new Map();
  let span;
  for (const id of target) {
    if (sentinels.includes(id)) spans.set(id, (span = []));
    else span.push(id);
  }
  return source.flatMap((id) => spans.get(id) ?? [id]);
}

function render(context) {
  const view = viewOf(context, "Corruption builder"), { state } = view, { tokens, draws } = view.fixed;
  const n = tokens.length, sentinels = range(view.fixed.sentinels.length).map((i) => n + i);
  const mask = n + sentinels.length, end = mask + 1, names = [...tokens, ...view.fixed.sentinels, view.fixed.mask, view.fixed.end];
  const hidden = () => state.hidden ?? view.shown.hidden, masks = () => state.masks ?? view.shown.masks; // null while the kernel draws
  const within = (place, hidden) => hidden.includes(place - 1) && hidden.includes(place); // a span, not before it
  let sweep = null; // what a drag, or Shift and the arrow keys, began with

  // ---- the parts of the page ----------------------------------------------------------------------

  const gaps = [...tokens, ""].map(() => element("span", { class: "cb-gap cw-mono", "aria-hidden": "true", hidden: true }, view.fixed.mask));
  const chips = [...tokens, view.fixed.end].map((token, i) => element("span",
    { class: `cb-chip ${i === n ? "cb-end" : ""}`, role: "option", id: freshId() }, ...visible(token)));
  const sentence = element("div", { class: "cb-sentence cw-mono", role: "listbox", "aria-multiselectable": "true", "aria-orientation": "horizontal", dir: "ltr",
    "aria-label": "The sentence. Left and right go from token to token, Space hides one, with Shift several, 0 inserts a mask before it.",
    onpointerdown: begin, onpointermove: drag, onpointerup: release, onpointercancel: release },
    ...chips.map((chip, i) => element("span", { class: "cb-place", role: "presentation" }, gaps[i], chip)));
  chooser(sentence, { items: () => chips, current: () => state.focus, choose(place, event) {
    if (event.type === "click") return sweep?.dragged || toggle(place);
    if (!event.shiftKey) return go(place);
    sweep ??= { from: state.focus, hidden: hidden(), hides: true };
    change({ focus: place, hidden: swept(place) });
  } });
  sentence.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " ") toggle(state.focus);
    else if (event.key === "0" || event.key === "Insert") toggleMask();
    else return;
    event.preventDefault(); // or the page scrolls
  });

  const anew = (changes) => { sweep = null; view.ask({ ...changes, hidden: null, masks: null }); };
  const draw = button("Draw spans", () => anew({ draw: (state.draw + 1) % draws }), { class: "cw-main" });
  const rates = view.fixed.specs.rate.options, share = (rate) => `${Math.round(100 * rate)} %`;
  const rate = slider(view, "rate", { label: "share of tokens that is hidden", say: share, redraw: sayRule, ask: anew });
  const mean = slider(view, "mean", { label: "mean length of a span", say: (length) => plural(length, "token"), redraw: sayRule, ask: anew });
  const rateNow = element("span"), meanNow = element("span");
  const insert = button("", toggleMask, { class: "cb-insert" });
  const none = button("Hide nothing", () => { sweep = null; change({ hidden: [], masks: [] }); });
  const cutAt = slider(view, "cut", { label: "tokens that prefix LM reads", say: (cut) => plural(cut, "token"), redraw });
  const cutNow = element("span"), howItGoesOn = quiet();
  const remark = element("p", { class: "cw-quiet", role: "status" });
  const rows = Object.entries(OBJECTIVES).map(([name, [title, whose, how]]) => {
    const cell = (words) => element("div", { class: "cb-cell" }, element("span", { class: "cb-label" }, words));
    const parts = { name, reads: cell("the encoder reads"), writes: cell("the decoder writes"), cost: element("div", { class: "cb-cost" }) };
    const head = element("div", { class: "cb-name" }, element("b", {}, title), " ", element("small", {}, whose),
      ...(name === "prefix LM" ? [howItGoesOn, field(["cut after ", cutNow], cutAt)] : [quiet(how)]));
    parts.root = element("div", { class: "cb-row", role: "group", "aria-label": title }, head, parts.reads, parts.writes, parts.cost);
    return parts;
  });
  const head = element("div", { class: "cb-row cb-head", "aria-hidden": "true" }, element("small", {}, `${view.fixed.end} is the end`),
    ...["The encoder reads", "The decoder must write", "Tokens to write"].map((title) => element("span", {}, title)));
  const panel = element("div", { class: "cb-panel", id: freshId(), hidden: true });
  const together = button("Put together again", () => { view.ask({ together: !state.together }); redraw(); },
    { "aria-expanded": "false", "aria-controls": panel.id });

  // ---- the hand -----------------------------------------------------------------------------------

  /** What is changed by hand is drawn at once; the kernel is told for the sentence. */
  function change(changes) {
    const now = { hidden: hidden(), masks: masks(), ...changes };
    now.masks = now.masks.filter((place) => !within(place, now.hidden));
    view.ask(now);
    redraw();
  }

  function go(focus) {
    sweep = null;
    view.ask({ focus });
    redraw();
  }

  function toggle(place) {
    sweep = null;
    const without = hidden().filter((one) => one !== place);
    const isNew = without.length === hidden().length && place < n;
    change({ focus: place, hidden: isNew ? [...without, place].sort((a, b) => a - b) : without });
  }

  /** Insert a mask before the token in focus, or take it away. */
  function toggleMask() {
    const place = state.focus, without = masks().filter((one) => one !== place);
    change({ masks: without.length === masks().length ? [...without, place].sort((a, b) => a - b) : without });
  }

  /** The hidden places when the hand has swept from where it began to this one: all hidden, or all uncovered. */
  function swept(place) {
    const from = Math.min(sweep.from, place), to = Math.max(sweep.from, place);
    return range(n).filter((i) => (i >= from && i <= to ? sweep.hides : sweep.hidden.includes(i)));
  }

  function begin(event) {
    const from = chips.findIndex((chip) => chip.contains(event.target));
    sweep = from >= 0 && event.isPrimary ? { from, hidden: hidden(), hides: !hidden().includes(from), held: true } : null;
  }

  function drag({ clientX, clientY, buttons }) {
    if (!sweep?.held || !buttons) return;
    const place = chips.findIndex((chip) => chip.contains(document.elementFromPoint(clientX, clientY)));
    if (place < 0 || (place === sweep.from && !sweep.dragged)) return;
    sweep.dragged = true;
    state.hidden = swept(place);
    state.masks = masks().filter((one) => !within(one, state.hidden));
    state.focus = place;
    redraw();
  }

  function release() {
    if (!sweep?.held) return;
    sweep.held = false;
    if (sweep.dragged) view.ask();
  }

  // ---- drawing ------------------------------------------------------------------------------------

  function sayRule() {
    rateNow.textContent = share(state.rate);
    meanNow.textContent = String(state.mean);
  }

  /** A token of a source or a target. What is hidden is bold and underlined wherever it is to be written. */
  function chip(id, isHidden) {
    const kind = id === end ? "cb-end" : id === mask ? "cb-mask" : sentinels.includes(id) ? "cb-sentinel" : isHidden ? "cb-hidden" : "";
    return element("span", { class: `cb-token ${kind}` }, ...visible(names[id]));
  }

  const fill = (cell, ids, isHidden) => cell.replaceChildren(cell.firstChild,
    element("span", { class: "cb-count" }, String(ids.length + 1)),
    element("span", { class: "cb-tokens cw-mono", dir: "ltr" }, ...[...ids, end].map((id) => chip(id, isHidden(id)))));

  const now = () => corruptions(n, spansOf(hidden(), masks()), state.cut, sentinels, mask);
  const costOf = (target) => (target.length + 1) / (n + 1);

  function drawRow({ name, reads, writes, cost }, [source, target]) {
    const given = new Set(source);
    fill(reads, source, () => false);
    fill(writes, target, (id) => !given.has(id));
    cost.replaceChildren(element("span", { class: "cw-track", "aria-hidden": "true" }, element("i", { style: `width: ${100 * costOf(target)}%` })),
      element("span", {}, `${target.length + 1} of ${n + 1}`, element("span", { class: "cb-label" }, " tokens to write"), ": ",
        element("b", {}, share(costOf(target)))));
  }

  function drawPanel({ "span corruption": [source, target] }) {
    const spans = source.flatMap((id) => sentinels.includes(id) ? [chip(id), element("span", {}, "→"),
      ...putTogether([id], target, sentinels).map((one) => chip(one, true))] : [chip(id)]);
    const all = putTogether(source, target, sentinels), equal = all.length === n && all.every((id, i) => id === i);
    panel.replaceChildren(
      element("p", {}, element("b", {}, "Span corruption: "), "in the source, each sentinel gives way to what the target has after it."),
      element("div", { class: "cb-tokens cw-mono", dir: "ltr" }, ...spans),
      element("p", {}, element("b", {}, equal ? `✓ All ${n} tokens equal the text: ` : "✗ This is not the text: "),
        equal ? "source and target together lose nothing, and nothing is written twice." : "something is lost."),
      quiet("For infilling, masking and deletion the target is the whole text, so there is nothing to put together. Their source alone " +
        "has no inverse: masking still says where and how many, infilling only where, deletion neither. Prefix LM: target after source."));
  }

  function redraw() {
    const covered = hidden(), inserted = masks(), made = now(), at = state.focus;
    chips.forEach((chip, i) => {
      const isHidden = covered.includes(i), before = inserted.includes(i);
      gaps[i].hidden = !before;
      chip.classList.toggle("cb-hidden", isHidden);
      chip.classList.toggle("cb-at", i === at);
      chip.setAttribute("aria-selected", String(isHidden));
      chip.setAttribute("aria-label", [i < n ? spoken(tokens[i]) : "the end, never hidden", ...(isHidden ? ["hidden"] : []),
        ...(before ? ["a mask inserted before it"] : [])].join(", "));
    });
    sentence.setAttribute("aria-activedescendant", chips[at].id);
    insert.replaceChildren(inserted.includes(at) ? "Take out the mask before “" : "Insert a mask before “", ...visible(at < n ? tokens[at] : view.fixed.end), "”");
    setIdle(insert, within(at, covered));
    setIdle(none, !covered.length && !inserted.length);
    remark.textContent = inserted.length
      ? "An inserted mask stands for no token: infilling asks whether any is missing. Span corruption can’t: a span of T5’s has one at least."
      : !covered.length ? "Nothing is hidden: span corruption has nothing to write, BART's three copy. Click or drag over tokens to hide them."
      : "Click or drag over tokens to hide them. Keys: ← → go, Space hides, Shift with ← → hides several, 0 inserts a mask.";
    sayRule();
    cutNow.textContent = String(state.cut);
    howItGoesOn.textContent = state.cut ? OBJECTIVES["prefix LM"][2] : "next-token prediction";
    for (const row of rows) drawRow(row, made[row.name]);
    together.setAttribute("aria-expanded", String(state.together));
    panel.hidden = !state.together;
    if (state.together) drawPanel(made);
  }

  function tables() {
    const words = (ids) => [...ids, end].flatMap((id) => [...visible(names[id]), " "]);
    return [{ caption: "What each objective makes of the sentence; ends are counted",
      head: ["objective", "the encoder reads", "tokens", "the decoder writes", "tokens", "beside writing it all"],
      rows: Object.entries(now()).map(([name, [source, target]]) => [OBJECTIVES[name][0], words(source), String(source.length + 1),
        words(target), String(target.length + 1), percent(costOf(target))]) }];
  }

  return view.start({ draw: redraw, tables, body: [
    sentence, remark,
    line(draw, field(["hidden: ", rateNow], rate, "cb-rule"), field(["mean span: ", meanNow], mean, "cb-rule"), insert, none),
    element("div", { class: "cb-rows" }, head, ...rows.map(({ root }) => root)),
    line(together), panel] });
}

export default { render };
