// The kernel sends every weight once as a byte, and the row in view exactly. What is hidden, combined or
// hovered over is computed here from the bytes, so that nothing waits.

const SMALL = 48; // pixels of a small map, at most; the same in Python
const IN_TABLE = 40; // keys of a row that the table lists one by one
const COMBINED = { one: "one head", mean: "mean of the chosen heads", max: "largest of the chosen heads" };
const HOWS = { ablate: "ablate (all weights 0)", uniform: "force to uniform", diagonal: "force to the diagonal",
  previous: "force to the previous token", swap: "swap with another head" };
const RENORMALISE = "divide the others by what is left";

function render(context) {
  const view = viewOf(context, "Attention explorer"), { state } = view, { attentions } = view.fixed;
  const several = Object.keys(attentions).length > 1;
  let hovered = null; // { query, key } under the pointer
  let key = null; // the key that the heat map's cursor was moved to; by itself it is on the strongest
  let filled = null; // the attention that the names are of
  let small = {}; // the pictures of all heads, and what they were made of

  const now = () => attentions[state.attention];
  const fresh = () => view.model.get("fresh");
  const nKeys = () => now().keys.length;
  const heads = () => (state.combine === "one" ? [state.head] : state.chosen);
  const hidden = () => [...new Set(state.hide.flatMap((name) => now().sinks[name] ?? []))];

  // ---- the parts of the page --------------------------------------------------------------------

  const numbers = (n) => options(range(n));
  const choice = (change = () => {}) => {
    const box = element("select", { onchange: () => change(box.selectedIndex) });
    return box;
  };

  const layers = choice((layer) => ask({ layer })), headList = choice((head) => chooseHead(head));
  const combine = select(view, "combine", ({ combine: how }) =>
    ask({ combine: how, chosen: how === "one" || state.chosen.length > 1 ? state.chosen : range(now().n_heads) }), COMBINED);
  const all = button("Choose all heads", () => ask({ chosen: range(now().n_heads) }));
  const warning = element("p", { class: "cw-problem", hidden: true });
  const sentence = sentencePart({ query: (query) => ask({ query }), key: moveTo,
    hover: (query) => hover(query === null ? null : { query, key: null }) });
  const grid = gridPart({
    move: (down, right) => chooseHead(within(state.head + right, now().n_heads), within(state.layer + down, now().layers.length)),
    pick: (head, layer) => chooseHead(head, layer, true), toggle: () => chooseHead(state.head, state.layer, true) });
  const entropies = element("div", { class: "ae-entropies", role: "listbox", "aria-multiselectable": "true" });
  const allHeads = element("div", {}, heading("All heads: a row a layer, a column a head"), grid.root,
    heading("Entropy of this row in bits, by head of the layer"), entropies);
  const map = mapPart({
    move: (down, right) => (down ? ask({ query: within(state.query + down, now().tokens.length) }) : moveTo(within(keyInFocus() + right, nKeys()))),
    pick: (at) => { ask({ query: at.query }); moveTo(at.key); }, hover });
  const mapTitle = heading();
  const caption = element("p", { class: "cw-quiet ae-caption" });
  const cell = element("p", { class: "ae-readout", role: "status", "aria-live": "polite" });
  const masked = element("span", {}, element("i", { class: "ae-hatched" }), "masked: may not attend");
  const hides = element("fieldset", { class: "cw-line" });
  const hows = choice(() => { otherField.hidden = hows.value !== "swap"; });
  hows.append(...options(HOWS));
  const other = choice(), otherField = field("Other head", other);
  const edits = element("ul", { class: "ae-edits", "aria-label": "Edits" });
  const prediction = element("div", { class: "cw-scroll" });
  const undoAll = button("Undo all", () => ask({ edits: [] }));
  const operate = element("div", { class: "ae-operate" }, heading("Change a head, and see the prediction change"),
    line(field("What to do to the head in view", hows), otherField, button("Do it", addEdits), undoAll),
    edits, prediction);
  otherField.hidden = true;
  const left = element("div", {}, allHeads, operate);

  const body = [
    line(...(several ? [field("Attention", select(view, "attention", ({ attention }) => turnTo(attention)))] : []),
      field("Layer", layers), field("Head", headList), field("Show", combine), all),
    warning, sentence.root,
    element("div", { class: "cw-columns ae-columns" },
      left,
      element("div", {}, mapTitle, map.root, colourLegend(masked), caption, cell, map.zoom)),
    hides];

  // ---- hands --------------------------------------------------------------------------------------

  function ask(changes) {
    view.ask(changes);
    hovered = null;
    key = null;
    redraw();
  }

  function turnTo(attention) {
    const { tokens, layers: { length } } = attentions[attention];
    ask({ attention, layer: Math.min(state.layer, length - 1), head: 0, chosen: [0], combine: "one", hide: [],
      query: Math.min(state.query, tokens.length - 1) });
  }

  /** Alone, a head is chosen by going to it; of several, `toggle` adds it or takes it away. */
  function chooseHead(head, layer = state.layer, toggle = false) {
    if (state.combine === "one") return ask({ head, layer, chosen: [head] });
    const others = state.chosen.filter((one) => one !== head);
    const chosen = others.length === state.chosen.length ? [...others, head] : others;
    ask({ head, layer, chosen: toggle && chosen.length ? chosen : state.chosen });
  }

  function moveTo(to) {
    key = to;
    drawMap();
    drawRow();
  }

  function hover(at) {
    hovered = at;
    drawRow();
  }

  chooser(entropies, { items: () => [...entropies.children], current: () => state.head, choose: (head) => chooseHead(head) });
  entropies.addEventListener("keydown", (event) => {
    if (event.key !== " ") return;
    event.preventDefault();
    chooseHead(state.head, state.layer, true);
  });
  entropies.addEventListener("click", (event) => {
    if (state.combine !== "one" && event.target !== entropies) chooseHead(state.head, state.layer, true);
  });

  function addEdits() {
    const made = heads().map((head) => ({ ...(several && { attention: state.attention }), layer: state.layer, head,
      how: hows.value, ...(hows.value === "swap" && { with: other.selectedIndex }) }));
    const touched = (edit) => [edit.head, edit.with ?? edit.head].map((head) => `${edit.attention}/${edit.layer}/${head}`);
    const anew = new Set(made.flatMap(touched)); // the last edit of a head is the one that counts
    ask({ edits: [...state.edits.filter((edit) => !touched(edit).some((head) => anew.has(head))), ...made] });
  }

  // ---- weights --------------------------------------------------------------------------------------

  /** The bytes of a layer as it is now: "layers" in full, or "small". Null if the kernel has yet to send them. */
  function layerBytes(kind, layer) {
    const bytes = (fresh().attention === state.attention && fresh()[kind][layer]) || now()[kind][layer];
    return bytes && bytesOf(bytes);
  }

  /** What a query attends to, head by head: exact if the kernel has sent it, else as good as a byte; or null. */
  function rowsOf(query) {
    const { shown } = view, n = nKeys();
    const isExact = shown.row && query === shown.query && ["attention", "layer"].every((name) => state[name] === shown[name]) &&
      JSON.stringify(state.edits) === JSON.stringify(shown.edits);
    if (isExact) {
      const floats = floatsOf(shown.row);
      return range(now().n_heads).map((head) => floats.subarray(head * n, (head + 1) * n));
    }
    const bytes = layerBytes("layers", state.layer);
    return bytes && range(now().n_heads).map((head) => {
      const start = (head * now().tokens.length + query) * n;
      return decoded(bytes.subarray(start, start + n));
    });
  }

  const inView = (weights) =>
    without(combined(heads().map((head) => weights[head]), state.combine), nKeys(), hidden(), state.renormalise);

  function rowOf(query) {
    const rows = rowsOf(query);
    return rows && inView(rows);
  }

  const keyInFocus = () => key ?? strongest(rowOf(state.query) ?? []);

  // ---- drawing ------------------------------------------------------------------------------------

  function draw() {
    operate.hidden = !view.shown.predicts;
    drawEdits(view.shown);
    redraw();
  }

  /** What changes with the attention in view: the names, and how many layers and heads there are. */
  function fill() {
    filled = state.attention;
    const { n_heads, sinks, warnings, cross } = now();
    layers.replaceChildren(...numbers(now().layers.length));
    headList.replaceChildren(...numbers(n_heads));
    other.replaceChildren(...numbers(n_heads));
    hows.querySelector("[value=previous]").disabled = cross;
    warning.textContent = warnings.join(" ");
    warning.hidden = !warnings.length;
    masked.hidden = !now().masked;
    allHeads.hidden = now().layers.length * n_heads === 1;
    left.hidden = allHeads.hidden && operate.hidden;
    const box = (name, change) => {
      const { input, label } = tickBox(name, change);
      input.name = name;
      return label;
    };
    hides.replaceChildren(element("legend", {}, "Hide keys"),
      ...Object.keys(sinks).map((name) => box(name, (on) =>
        ask({ hide: [...state.hide.filter((one) => one !== name), ...(on ? [name] : [])] }))),
      box(RENORMALISE, (renormalise) => ask({ renormalise })));
    entropies.replaceChildren(...range(n_heads).map(() => element("span", { class: "ae-chip", role: "option", id: freshId() })));
    sentence.fill(now());
    sentence.measure();
  }

  function drawEdits(shown) {
    const undone = [...edits.querySelectorAll("button")].indexOf(document.activeElement);
    edits.replaceChildren(...Object.entries(shown.edits_in_words).map(([words, places]) => element("li", {}, words,
      button("Undo", () => ask({ edits: shown.edits.filter((_, at) => !places.includes(at)) }), { "aria-label": `Undo: ${words}` }))));
    // the button under the hand has gone: the next one, or the one for all, takes its place
    if (undone >= 0) (edits.querySelectorAll("button")[undone] ?? undoAll).focus();
    const columns = [["intact", shown.intact], ...(shown.edits.length ? [["edited", shown.prediction]] : [])];
    const bar = (name, p) => (p === undefined ? ["not listed"]
      : [element("i", { class: `ae-bar ae-${name}`, "aria-hidden": "true", style: `width: ${100 * p}px` }), percent(p)]);
    prediction.replaceChildren(tableOf({ head: ["Prediction", ...columns.map(([name]) => name)],
      rows: labels(shown).map((label) => [visible(label), ...columns.map(([name, pairs]) => bar(name, new Map(pairs).get(label)))]) }));
  }

  const labels = ({ prediction, intact }) => [...new Set([...prediction, ...intact].map(([label]) => label))];

  /** All that follows from the state, without the kernel. */
  function redraw() {
    if (filled !== state.attention) fill();
    layers.selectedIndex = state.layer;
    headList.selectedIndex = state.head;
    all.hidden = state.combine === "one";
    for (const box of hides.querySelectorAll("input"))
      box.checked = box.name === RENORMALISE ? state.renormalise : state.hide.includes(box.name);
    if (!view.root.clientWidth) return; // not in the page yet
    sentence.choose(state.query, keyInFocus());
    drawGrid();
    drawMap();
    drawRow();
  }

  /** What hovering changes: the arcs, the frames in the map, the numbers. */
  function drawRow() {
    const query = hovered?.query ?? state.query;
    const rows = rowsOf(query), row = rows && inView(rows);
    const at = (hovered ? hovered.key : key) ?? strongest(row ?? []);
    sentence.draw(query, row);
    map.point(query, at);
    drawCell(query, at, row);
    if (rows) drawEntropies(rows);
  }

  function drawCell(query, at, row) {
    const name = (text, i) => [element("b", { class: "cw-mono" }, inSigns(text)), ` (${i})`];
    cell.replaceChildren("Query ", ...name(now().tokens[query], query), " → key ", ...name(now().keys[at], at), ": ",
      !row ? "on its way from the kernel" : Number.isNaN(row[at]) ? "masked, it may not attend"
        : hidden().includes(at) ? "hidden" : percent(row[at]));
  }

  function drawEntropies(rows) {
    [...entropies.children].forEach((chip, head) => {
      chip.textContent = `${head}: ${rowEntropy(without(rows[head], nKeys(), hidden(), false)).toFixed(2)}`;
      chip.setAttribute("aria-selected", String(heads().includes(head)));
    });
    entropies.setAttribute("aria-label", `Heads of layer ${state.layer}, with the entropy of the row in bits`);
    entropies.setAttribute("aria-activedescendant", entropies.children[state.head].id);
  }

  function drawGrid() {
    const { n_heads } = now();
    const edited = state.edits.filter((edit) => (edit.attention ?? state.attention) === state.attention)
      .flatMap((edit) => [edit.head, edit.with ?? edit.head].map((head) => [edit.layer, head]));
    const several = state.combine === "one" ? "" : ", the space bar adds or removes one";
    grid.draw({ ...smallMaps(), n_heads, head: state.head, layer: state.layer, heads: heads(), edited,
      label: `All heads: layer ${state.layer}, head ${state.head}. Arrow keys choose${several}` });
  }

  /** Pictures of all heads, made anew only when weights changed. */
  function smallMaps() {
    if (small.fresh === fresh() && small.attention === state.attention) return small;
    const { n_heads, tokens, keys } = now(), side = (n) => Math.ceil(n / Math.ceil(n / SMALL));
    const [rows, columns] = [side(tokens.length), side(keys.length)];
    const maps = range(now().layers.length).map((layer) => {
      const bytes = layerBytes("small", layer) ?? pooled(layerBytes("layers", layer), n_heads, tokens.length, keys.length, SMALL).bytes;
      return picture(bytes, columns, rows * n_heads);
    });
    small = { fresh: fresh(), attention: state.attention, maps, rows, columns };
    return small;
  }

  function drawMap() {
    const { tokens, keys } = now();
    map.draw({ image: largeMap(), tokens, keys, hidden: hidden(), query: state.query, key: keyInFocus() });
    const which = state.combine === "one" ? `head ${state.head}`
      : `${state.combine} of heads ${[...state.chosen].sort((a, b) => a - b).join(", ")}`;
    mapTitle.textContent = `Layer ${state.layer}, ${which}`;
    caption.textContent = [
      `A row a query, a column a key. ${now().caption[0].toUpperCase()}${now().caption.slice(1)}.`,
      state.hide.length && `Hidden (blank): ${state.hide.join(", ")}; the others are ` +
        (state.renormalise ? "divided by what is left of their row." : "as they were."),
      state.combine === "max" && "A row of largest weights need not sum to 1.",
      state.edits.length && "Heads with a folded corner are drawn as edited, all others as in the intact model.",
    ].filter(Boolean).join(" ");
  }

  /** The map in view, a pixel a cell; what is hidden is as clear as what is masked. */
  function largeMap() {
    const [width, height] = [nKeys(), now().tokens.length], size = width * height;
    const bytes = layerBytes("layers", state.layer);
    if (!bytes) return new OffscreenCanvas(width, height);
    const maps = heads().map((head) => bytes.subarray(head * size, (head + 1) * size));
    if (maps.length === 1 && !state.hide.length) return picture(maps[0], width, height);
    const weights = without(combined(maps.map(decoded), state.combine), width, hidden(), state.renormalise);
    for (const key of hidden()) for (let i = key; i < size; i += width) weights[i] = NaN;
    return picture(encoded(weights), width, height);
  }

  // ---- the table ------------------------------------------------------------------------------------

  function tables() {
    const { shown } = view;
    const rows = rowsOf(state.query), row = rowOf(state.query);
    if (!row) return [];
    const largestFirst = range(row.length).sort((a, b) => (row[b] || 0) - (row[a] || 0) || a - b);
    const listed = row.length <= IN_TABLE ? range(row.length) : largestFirst.slice(0, IN_TABLE);
    const others = largestFirst.slice(listed.length);
    const weight = (i) => (Number.isNaN(row[i]) ? "masked" : hidden().includes(i) ? "hidden" : row[i].toFixed(6));
    const probability = (pairs, label) => new Map(pairs).get(label)?.toFixed(6) ?? "not listed";
    return [
      { caption: `What query ${state.query} attends to`, head: ["Position", "Key", "Weight"],
        rows: [...listed.map((i) => [String(i), inSigns(now().keys[i]), weight(i)]),
          ...(others.length ? [["", `${others.length} others`, others.reduce((sum, i) => sum + (row[i] || 0), 0).toFixed(6)]] : [])] },
      { caption: `This row by head of layer ${state.layer}`, head: ["Head", "Entropy in bits", "Strongest key", "Weight"],
        rows: rows.map((one) => without(one, nKeys(), hidden(), false)).map((one, head) => {
          const best = strongest(one), has = one[best] > 0;
          return [String(head), rowEntropy(one).toFixed(4), has ? inSigns(now().keys[best]) : "none", (has ? one[best] : 0).toFixed(6)];
        }) },
      ...(shown.predicts ? [{ caption: "Prediction", head: ["Label", "Intact", "With the edits"],
        rows: labels(shown).map((label) => [inSigns(label), probability(shown.intact, label), probability(shown.prediction, label)]) }] : []),
    ];
  }

  // ---- begin ----------------------------------------------------------------------------------------

  let width = 0;
  view.onResize(view.root, () => {
    if (view.root.clientWidth === width) return;
    width = view.root.clientWidth;
    sentence.measure();
    redraw();
  });
  return view.start({ body, draw, tables });
}

export default { render };
