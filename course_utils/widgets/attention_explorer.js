// The kernel sends every weight once as a byte, and the row in view exactly. What is hidden, combined or
// hovered over is computed here from the bytes, so that nothing waits. Maps and arcs are drawn on canvas.

const FULL = 254, MASKED = 255; // as in attention_arrays.py: a byte is 254 times the root of a weight
const WEIGHTS = Float32Array.from({ length: 256 }, (_, byte) => (byte === MASKED ? NaN : (byte / FULL) ** 2));

// ---- arithmetic: masked keys are NaN; Python does the same, and a test compares them ----------------

/** The entropy in bits of a row of weights, divided by its sum first; 0 for a row of zeros. */
function rowEntropy(row) {
  let sum = 0, bits = 0;
  for (const w of row) if (w > 0) sum += w;
  for (const w of row) if (w > 0) bits -= (w / sum) * Math.log2(w / sum);
  return bits;
}

/** Rows of several heads as one: their mean, or the largest of each. Masked is what is masked in all. */
function combined(rows, how) {
  if (rows.length === 1) return rows[0];
  const result = new Float32Array(rows[0].length);
  for (let i = 0; i < result.length; i++) {
    let sum = 0, largest = 0, masked = true;
    for (const row of rows) {
      if (Number.isNaN(row[i])) continue;
      masked = false;
      sum += row[i];
      largest = Math.max(largest, row[i]);
    }
    result[i] = masked ? NaN : how === "max" ? largest : sum / rows.length;
  }
  return result;
}

/** Rows of nKeys each, with some keys at 0, and on request the others divided by what is left. */
function without(rows, nKeys, hidden, renormalise) {
  if (!hidden.length) return rows;
  const result = Float32Array.from(rows);
  for (let start = 0; start < result.length; start += nKeys) {
    for (const key of hidden) if (result[start + key] > 0) result[start + key] = 0;
    if (!renormalise) continue;
    let left = 0;
    for (let i = start; i < start + nKeys; i++) if (result[i] > 0) left += result[i];
    if (left > 0) for (let i = start; i < start + nKeys; i++) result[i] /= left;
  }
  return result;
}

/** Maps (n, nQueries, nKeys) of bytes made at most `side` wide and high: each cell the largest of its block. */
function pooled(bytes, n, nQueries, nKeys, side) {
  const high = Math.ceil(nQueries / side), wide = Math.ceil(nKeys / side);
  const rows = Math.ceil(nQueries / high), columns = Math.ceil(nKeys / wide);
  if (high === 1 && wide === 1) return { bytes, rows, columns };
  const result = new Uint8Array(n * rows * columns).fill(MASKED);
  let at = 0;
  for (let map = 0; map < n; map++) {
    for (let query = 0; query < nQueries; query++) {
      const row = (map * rows + Math.floor(query / high)) * columns;
      for (let column = 0; column < columns; column++) {
        const end = at + Math.min(wide, nKeys - column * wide);
        let largest = result[row + column] === MASKED ? -1 : result[row + column];
        for (; at < end; at++) if (bytes[at] !== MASKED && bytes[at] > largest) largest = bytes[at];
        if (largest >= 0) result[row + column] = largest;
      }
    }
  }
  return { bytes: result, rows, columns };
}

// ---- pictures -------------------------------------------------------------------------------------

// cividis of the root of a weight as RGBA, by byte; a masked cell is clear, and what lies below shows
const COLOURS = Uint32Array.from({ length: 256 }, (_, byte) => {
  const [r, g, b] = cividis(byte / FULL);
  return byte === MASKED ? 0 : (255 << 24) | (b << 16) | (g << 8) | r;
});
const ARC = "43, 140, 196"; // seen on white and on black
const ticks = [0, 0.01, 0.05, 0.25, 0.5, 1];

function picture(bytes, width, height) {
  const canvas = new OffscreenCanvas(width, height);
  const pixels = new ImageData(width, height);
  const colours = new Uint32Array(pixels.data.buffer);
  for (let i = 0; i < bytes.length; i++) colours[i] = COLOURS[bytes[i]];
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas;
}

/** A canvas of so many CSS pixels, cleared, ready to draw on in CSS pixels. */
function sheet(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.ceil(width * ratio);
  canvas.height = Math.ceil(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.imageSmoothingEnabled = false;
  return context;
}

/** Fine diagonal lines: what is masked. */
function hatch(context) {
  const tile = new OffscreenCanvas(6, 6), lines = tile.getContext("2d");
  lines.strokeStyle = "rgba(128, 128, 128, 0.75)";
  lines.beginPath();
  for (const x of [-6, 0, 6]) { lines.moveTo(x, 6); lines.lineTo(x + 6, 0); }
  lines.stroke();
  return context.createPattern(tile, "repeat");
}

// ---- the explorer -----------------------------------------------------------------------------------

const WINDOW = 32; // queries and keys of the map when zoomed in
const SMALL = 48; // pixels of a small map, at most; the same in Python
const LONG = 64; // tokens of a text whose lines stand close, and which scrolls
const IN_TABLE = 40; // keys of a row that the table lists one by one
const COMBINED = { one: "one head", mean: "mean of the chosen heads", max: "largest of the chosen heads" };
const HOWS = { ablate: "ablate (all weights 0)", uniform: "force to uniform", diagonal: "force to the diagonal",
  previous: "force to the previous token", swap: "swap with another head" };
const inSigns = (text) => visible(text).map((node) => node.textContent).join(""); // one node a token, not three

function render({ model, el }) {
  const given = model.get("given");
  const state = {};
  let hovered = null; // { query, key } under the pointer
  let key = 0; // the key that the heat map's cursor is on
  let zoomed = false;
  let chips = { queries: [], keys: [] };
  let drawnFor = null; // the attention that the chips are of

  const adopt = ({ attention, layer, head, chosen, combine, query, hide, renormalise, edits }) => Object.assign(state,
    { attention, layer, head, chosen: [...chosen], combine, query, hide: [...hide], renormalise, edits });
  adopt(model.get("shown"));
  const now = () => given[state.attention];
  const nQueries = () => now().tokens.length, nKeys = () => now().keys.length;
  const heads = () => (state.combine === "one" ? [state.head] : state.chosen);
  const hidden = () => [...new Set(state.hide.flatMap((name) => now().sinks[name] ?? []))];

  // ---- the parts of the page --------------------------------------------------------------------

  const options = (values) => Object.entries(values).map(([value, name]) => element("option", { value }, name));
  const choice = (values, change) => {
    const select = element("select", { onchange: () => change(select.value) }, ...options(values));
    return select;
  };
  const field = (name, control) => element("label", { class: "ae-field" }, name, control);
  const numbers = (n) => Object.fromEntries(Array.from({ length: n }, (_, i) => [i, i]));

  const attentions = choice(Object.fromEntries(Object.keys(given).map((name) => [name, name])),
    (attention) => turnTo(attention));
  const layers = choice({}, (layer) => ask({ layer: Number(layer) }));
  const headList = choice({}, (head) => chooseHead(Number(head)));
  const combine = choice(COMBINED, (how) =>
    ask({ combine: how, chosen: how === "one" || state.chosen.length > 1 ? state.chosen : allHeads() }));
  const all = element("button", { type: "button", onclick: () => ask({ chosen: allHeads() }) }, "Choose all");
  const hides = element("fieldset", { class: "ae-line" });
  const warning = element("p", { class: "cw-problem", hidden: true });

  const arcs = element("canvas", { class: "ae-arcs", "aria-hidden": "true" });
  const queryRow = element("div", { class: "ae-tokens", role: "listbox" });
  const keyRow = element("div", { class: "ae-tokens", role: "listbox", "aria-label": "Keys" });
  const sentence = element("div", { class: "ae-sentence" }, arcs, keyRow, queryRow);

  const grid = element("canvas", { class: "ae-canvas", tabindex: "0", role: "group" });
  const inGrid = element("div", { class: "ae-frame" });
  const gridPlace = element("div", { class: "ae-place" }, grid, inGrid);
  const entropies = element("div", { class: "ae-entropies", role: "listbox", "aria-multiselectable": "true" });

  const map = element("canvas", { class: "ae-canvas", tabindex: "0", role: "group" });
  const inMap = element("div", { class: "ae-frame" }), atKey = element("div", { class: "ae-frame ae-cell" });
  const rowNames = element("div", { class: "ae-row-names", "aria-hidden": "true" });
  const columnNames = element("div", { class: "ae-column-names", "aria-hidden": "true" });
  const cell = element("p", { class: "ae-readout", role: "status", "aria-live": "polite" });
  const zoom = element("button", { type: "button", "aria-pressed": "false", onclick: () => {
    zoomed = !zoomed;
    zoom.setAttribute("aria-pressed", String(zoomed));
    drawMap();
  } }, `Zoom to ${WINDOW} × ${WINDOW} round the focus`);
  const mapTitle = element("h4", { class: "ae-heading" });
  const caption = element("p", { class: "ae-caption" });

  const hows = choice(HOWS, () => { otherField.hidden = hows.value !== "swap"; });
  const other = choice({}, () => {});
  const otherField = field("Other head", other);
  const edits = element("ul", { class: "ae-edits", "aria-label": "Edits" });
  const prediction = element("div", { class: "ae-scroll" });
  const operate = element("div", { class: "ae-operate" },
    element("h4", { class: "ae-heading" }, "Change a head, and see the prediction change"),
    element("div", { class: "ae-line" }, field("What to do to the head in view", hows), otherField,
      element("button", { type: "button", onclick: addEdits }, "Do it"),
      element("button", { type: "button", onclick: () => ask({ edits: [] }) }, "Undo all")),
    edits, prediction);

  const body = element("div", { class: "ae" },
    element("div", { class: "ae-line" }, ...(Object.keys(given).length > 1 ? [field("Attention", attentions)] : []),
      field("Layer", layers), field("Head", headList), field("Show", combine), all),
    warning, sentence,
    element("div", { class: "ae-columns" },
      element("div", {}, element("h4", { class: "ae-heading" }, "All heads: a row a layer, a column a head"),
        gridPlace,
        element("h4", { class: "ae-heading" }, "Entropy of this row in bits, by head of the layer"), entropies),
      element("div", {}, mapTitle,
        element("div", { class: "ae-map" }, element("span", { class: "ae-corner" }, "query ↓ key →"), columnNames,
          rowNames, element("div", { class: "ae-place" }, map, inMap, atKey)),
        element("div", { class: "ae-legend" }, ...legend()), caption, cell, zoom)),
    hides, operate);

  const view = frame({ model, el, label: "Attention explorer", body, draw, tables });

  function legend() {
    const stops = Array.from({ length: 13 }, (_, i) => css(cividis(i / 12))).join(", ");
    return [
      element("span", { class: "ae-scale", role: "img", "aria-label": "dark: 0, bright: 1",
        style: `background: linear-gradient(90deg, ${stops})` }, ...ticks.map((w) => element("span",
        { style: `left: ${100 * Math.sqrt(w)}%` }, w === 0 ? "0" : `${100 * w} %`))),
      element("span", { class: "ae-key ae-hatched" }), "masked: may not attend",
    ];
  }

  // ---- asking -------------------------------------------------------------------------------------

  function ask(changes) {
    Object.assign(state, changes);
    hovered = null;
    key = strongest(rowOf(state.query) ?? []);
    redraw();
    view.ask(state);
  }

  const allHeads = () => Array.from({ length: now().n_heads }, (_, head) => head);

  function turnTo(attention) {
    const { tokens, layers: { length } } = given[attention];
    ask({ attention, layer: Math.min(state.layer, length - 1), head: 0, chosen: [0], combine: "one", hide: [],
      query: Math.min(state.query, tokens.length - 1) });
  }

  function chooseHead(head, layer = state.layer, toggle = false) {
    if (state.combine === "one") return ask({ head, layer, chosen: [head] });
    const others = state.chosen.filter((chosen) => chosen !== head);
    const chosen = !toggle ? state.chosen : others.length === state.chosen.length ? [...others, head] : others;
    ask({ head, layer, chosen: chosen.length ? chosen : state.chosen });
  }

  function addEdits() {
    const name = Object.keys(given).length > 1 ? { attention: state.attention } : {};
    const made = heads().map((head) => ({ ...name, layer: state.layer, head, how: hows.value,
      ...(hows.value === "swap" ? { with: Number(other.value) } : {}) }));
    const touched = (edit) => [edit.head, edit.with].filter((head) => head !== undefined)
      .map((head) => `${edit.attention}/${edit.layer}/${head}`);
    const anew = new Set(made.flatMap(touched)); // the last edit of a head is the one that counts
    ask({ edits: [...state.edits.filter((edit) => !touched(edit).some((head) => anew.has(head))), ...made] });
  }

  // ---- weights --------------------------------------------------------------------------------------

  const asBytes = (data) => data && new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

  /** The bytes of a layer as it is now: "layers" in full, "small" pooled. */
  function bytesOf(kind, layer) {
    const fresh = model.get("fresh");
    return asBytes((fresh.attention === state.attention && fresh[kind][layer]) || now()[kind][layer]);
  }

  const decode = (bytes) => Float32Array.from(bytes, (byte) => WEIGHTS[byte]);

  /** The rows of one query, a head each: exact if the kernel has sent them, else as good as a byte; or null. */
  function rowsOf(query) {
    const shown = model.get("shown"), n = nKeys();
    const exact = ["attention", "layer", "query"].every((name) => shown[name] === state[name]) && query === state.query
      && JSON.stringify(shown.edits) === JSON.stringify(state.edits);
    if (exact) {
      const floats = new Float32Array(shown.row.buffer.slice(shown.row.byteOffset, shown.row.byteOffset + shown.row.byteLength));
      return allHeads().map((head) => floats.subarray(head * n, (head + 1) * n));
    }
    const bytes = bytesOf("layers", state.layer);
    if (!bytes) return null;
    return allHeads().map((head) => {
      const start = (head * nQueries() + query) * n;
      return decode(bytes.subarray(start, start + n));
    });
  }

  function rowOf(query, rows = rowsOf(query)) {
    return rows && without(combined(heads().map((head) => rows[head]), state.combine), nKeys(), hidden(), state.renormalise);
  }

  const strongest = (row) => row.reduce((best, w, i) => (w > (row[best] || 0) ? i : best), 0);

  // ---- drawing: the page ----------------------------------------------------------------------------

  function draw(shown, mine) {
    if (!mine) adopt(shown);
    state.edits = shown.edits; // what the kernel refused is gone
    if (drawnFor !== state.attention) fillNames();
    operate.hidden = !shown.predicts;
    warning.textContent = now().warnings.join(" ");
    warning.hidden = !warning.textContent;
    drawEdits(shown);
    redraw();
  }

  /** What changes with the attention in view: the tokens, and how many layers and heads there are. */
  function fillNames() {
    drawnFor = state.attention;
    const { tokens, keys, cross, n_heads, sinks } = now();
    layers.replaceChildren(...options(numbers(now().layers.length)));
    headList.replaceChildren(...options(numbers(n_heads)));
    other.replaceChildren(...options(numbers(n_heads)));
    const chip = (text, i) => element("span", { class: "ae-chip", role: "option", "aria-label": `${i}: ${spoken(text)}` }, inSigns(text));
    chips.queries = tokens.map(chip);
    chips.keys = cross ? keys.map(chip) : chips.queries;
    queryRow.replaceChildren(...chips.queries);
    queryRow.setAttribute("aria-label", cross ? "Queries" : "Tokens: the one chosen is the query");
    keyRow.hidden = !cross;
    keyRow.replaceChildren(...(cross ? chips.keys : []));
    hides.replaceChildren(element("legend", {}, "Hide keys that take much and mean little"),
      ...Object.keys(sinks).map((name) => tick(name, (on) =>
        ask({ hide: on ? [...state.hide, name] : state.hide.filter((hidden) => hidden !== name) }))),
      tick("divide the others by what is left", (on) => ask({ renormalise: on })));
    entropies.replaceChildren(...allHeads().map((head) => element("span", { class: "ae-chip", role: "option" })));
    sentence.classList.toggle("ae-cross", cross);
    sentence.classList.toggle("ae-long", Math.max(tokens.length, keys.length) > LONG);
    key = strongest(rowOf(state.query) ?? []);
    measure();
  }

  function tick(name, change) {
    const box = element("input", { type: "checkbox", name, onchange: () => change(box.checked) });
    return element("label", { class: "ae-box" }, box, name);
  }

  function drawEdits(shown) {
    edits.replaceChildren(...shown.edits_in_words.map((words, i) => element("li", {}, words,
      element("button", { type: "button", "aria-label": `Undo: ${words}`,
        onclick: () => ask({ edits: state.edits.filter((_, at) => at !== i) }) }, "Undo"))));
    const before = new Map(shown.intact), after = new Map(shown.prediction);
    const changed = state.edits.length > 0;
    const bar = (p, kind) => (p === undefined ? ["not listed"] : [element("i", { class: `ae-bar ae-${kind}`,
      "aria-hidden": "true", style: `width: ${100 * p}px` }), percent(p)]);
    prediction.replaceChildren(element("table", {}, element("thead", {}, element("tr", {},
      ...["Prediction", "intact", ...(changed ? ["with the edits"] : [])].map((name) => element("th", { scope: "col" }, name)))),
    element("tbody", {}, ...[...new Set([...after.keys(), ...before.keys()])].map((label) => element("tr", {},
      element("th", { scope: "row" }, ...visible(label)), element("td", {}, ...bar(before.get(label), "before")),
      ...(changed ? [element("td", {}, ...bar(after.get(label), "after"))] : []))))));
  }

  /** All that follows from the state, without the kernel. */
  function redraw() {
    attentions.value = state.attention;
    layers.value = state.layer;
    headList.value = state.head;
    combine.value = state.combine;
    all.hidden = state.combine === "one";
    for (const box of hides.querySelectorAll("input"))
      box.checked = state.hide.includes(box.name) || (state.renormalise && box.name === "divide the others by what is left");
    markChosen(queryRow, chips.queries, state.query);
    keepInView();
    drawGrid();
    drawMap();
    drawRow();
  }

  // ---- drawing: the sentence --------------------------------------------------------------------------

  let places = null; // where each chip lies on the canvas behind them

  function measure() {
    const origin = sentence.getBoundingClientRect();
    const box = (chip) => {
      const { left, top, width, height } = chip.getBoundingClientRect();
      return { x: left - origin.left + width / 2, left: left - origin.left,
        top: top - origin.top + sentence.scrollTop, width, height };
    };
    arcs.style.height = "0"; // or the canvas itself would keep the height of an earlier width
    places = origin.width ? { width: sentence.clientWidth, height: sentence.scrollHeight,
      queries: chips.queries.map(box), keys: now().cross ? chips.keys.map(box) : null } : null;
  }

  /** A long text scrolls to its query, without moving the page. */
  function keepInView() {
    if (!places) return;
    const { top, height } = places.queries[state.query], room = sentence.clientHeight;
    if (top < sentence.scrollTop) sentence.scrollTop = top - 40;
    if (top + height > sentence.scrollTop + room) sentence.scrollTop = top + height + 8 - room;
  }

  /** What hovering changes: the arcs, the frames in the map, the numbers. */
  function drawRow() {
    const query = hovered?.query ?? state.query;
    const rows = rowsOf(query), row = rows && rowOf(query, rows);
    drawArcs(query, row);
    drawFrames(query, hovered?.key ?? key);
    drawCell(query, hovered?.key ?? key, row);
    if (rows) drawEntropies(rows);
  }

  function drawArcs(query, row) {
    if (!places || !row) return;
    const context = sheet(arcs, places.width, places.height);
    const from = places.queries[query], keys = places.keys ?? places.queries;
    row.forEach((w, i) => {
      if (!(w > 0.002)) return; // as good as nothing
      const to = keys[i], strength = Math.sqrt(Math.min(w, 1)); // as in the maps
      context.fillStyle = `rgba(${ARC}, ${0.6 * strength})`;
      context.fillRect(to.left, to.top, to.width, to.height);
      context.strokeStyle = `rgba(${ARC}, ${strength})`;
      context.lineWidth = 0.75 + 5 * Math.min(w, 1);
      context.beginPath();
      if (places.keys) {
        const bottom = to.top + to.height, middle = (bottom + from.top) / 2;
        context.moveTo(from.x, from.top);
        context.bezierCurveTo(from.x, middle, to.x, middle, to.x, bottom);
      } else {
        const rise = Math.min(14 + 0.12 * Math.abs(from.x - to.x), 46);
        const top = Math.min(from.top, to.top) - rise;
        context.moveTo(from.x, from.top);
        if (i === query) context.bezierCurveTo(from.x - 16, from.top - 24, from.x + 16, from.top - 24, from.x, from.top);
        else context.bezierCurveTo(from.x, top, to.x, top, to.x, to.top);
      }
      context.stroke();
    });
    context.strokeStyle = "#e69f00";
    context.lineWidth = 3;
    context.strokeRect(from.left + 1, from.top + 1, from.width - 2, from.height - 2);
  }

  function drawEntropies(rows) {
    [...entropies.children].forEach((chip, head) => {
      const bits = without(rows[head], nKeys(), hidden(), false);
      chip.textContent = `${head}: ${rowEntropy(bits).toFixed(2)}`;
      chip.setAttribute("aria-selected", String(heads().includes(head)));
      chip.classList.toggle("ae-cursor", head === state.head);
      chip.id ||= freshId();
    });
    entropies.setAttribute("aria-label", `Heads of layer ${state.layer}, with the entropy of the row in bits`);
    entropies.setAttribute("aria-activedescendant", entropies.children[state.head].id);
  }

  // ---- drawing: all heads -------------------------------------------------------------------------------

  const GAP = 4;
  const cellSize = () => Math.max(14, Math.min(56, Math.floor(gridPlace.clientWidth / now().n_heads) - GAP));
  let smallMaps = { of: null };

  /** One picture of all heads of all layers; made anew only when weights changed. */
  function allMaps() {
    const fresh = model.get("fresh");
    if (smallMaps.of === fresh && smallMaps.attention === state.attention) return smallMaps;
    const { n_heads, layers: all } = now();
    const parts = all.map((_, layer) => {
      const bytes = bytesOf("layers", layer);
      if (bytes && !now().small[layer]) return pooled(bytes, n_heads, nQueries(), nKeys(), SMALL);
      const size = (n) => Math.ceil(n / Math.ceil(n / SMALL));
      return { bytes: bytesOf("small", layer), rows: size(nQueries()), columns: size(nKeys()) };
    });
    const { rows, columns } = parts[0];
    smallMaps = { of: fresh, attention: state.attention, rows, columns,
      pictures: parts.map(({ bytes }) => picture(bytes, columns, rows * n_heads)) };
    return smallMaps;
  }

  function drawGrid() {
    if (!gridPlace.clientWidth) return;
    const { n_heads, layers: { length: n_layers } } = now();
    const step = cellSize() + GAP;
    const context = sheet(grid, n_heads * step, n_layers * step);
    const { pictures, rows, columns } = allMaps();
    context.imageSmoothingEnabled = columns > step;
    context.fillStyle = hatch(context);
    pictures.forEach((maps, layer) => allHeads().forEach((head) => {
      const at = [head * step + GAP / 2, layer * step + GAP / 2, step - GAP, step - GAP];
      context.fillRect(...at);
      context.drawImage(maps, 0, head * rows, columns, rows, ...at);
    }));
    for (const { layer, head, with: second, attention } of state.edits) {
      if ((attention ?? state.attention) !== state.attention) continue;
      for (const one of [head, second].filter((h) => h !== undefined)) mark(context, one * step, layer * step, step);
    }
    context.strokeStyle = "#e69f00";
    context.lineWidth = 3;
    for (const head of heads()) context.strokeRect(head * step + 1.5, state.layer * step + 1.5, step - 3, step - 3);
    Object.assign(inGrid.style, { left: `${state.head * step}px`, top: `${state.layer * step}px`, width: `${step}px`, height: `${step}px` });
    grid.setAttribute("aria-label", `All heads: layer ${state.layer}, head ${state.head}. Arrow keys choose` +
      (state.combine === "one" ? "" : ", the space bar adds or removes a head"));
  }

  /** A head with an edit has a corner folded. */
  function mark(context, x, y, step) {
    const size = Math.max(8, step / 3);
    context.beginPath();
    context.moveTo(x + step - 2, y + 2);
    context.lineTo(x + step - 2 - size, y + 2);
    context.lineTo(x + step - 2, y + 2 + size);
    context.closePath();
    const before = context.fillStyle;
    context.fillStyle = "#d55e00";
    context.fill();
    context.fillStyle = before;
  }

  // ---- drawing: the heat map ----------------------------------------------------------------------------

  let box = null; // what the map shows: { c: pixels a cell, q0, k0, nq, nk }

  function drawMap() {
    const width = map.parentElement.parentElement.clientWidth - 110;
    if (width < 50) return;
    const large = Math.max(nQueries(), nKeys()) > WINDOW;
    zoom.hidden = !large;
    const part = (n, at) => (zoomed && large && n > WINDOW
      ? [Math.max(0, Math.min(at - WINDOW / 2, n - WINDOW)), WINDOW] : [0, n]);
    const [q0, nq] = part(nQueries(), state.query), [k0, nk] = part(nKeys(), key);
    const fit = Math.min(width / nk, 512 / nq, 34), c = fit > 4 ? Math.floor(fit) : fit;
    box = { c, q0, k0, nq, nk };
    const context = sheet(map, nk * c, nq * c);
    context.fillStyle = hatch(context);
    context.fillRect(0, 0, nk * c, nq * c);
    for (const k of hidden()) context.clearRect((k - k0) * c, 0, c, nq * c);
    context.imageSmoothingEnabled = c < 1;
    context.drawImage(wholeMap(), k0, q0, nk, nq, 0, 0, nk * c, nq * c);
    names(rowNames, now().tokens, q0, nq, (at) => `top: ${(at + 0.5) * c}px`);
    names(columnNames, now().keys, k0, nk, (at) => `left: ${(at + 0.5) * c}px`);
    const which = state.combine === "one" ? `head ${state.head}` : `${state.combine} of heads ${[...state.chosen].sort((a, b) => a - b).join(", ")}`;
    mapTitle.textContent = `Layer ${state.layer}, ${which}`;
    const edited = state.edits.some((edit) => edit.layer === state.layer &&
      (edit.attention ?? state.attention) === state.attention && heads().some((head) => head === edit.head || head === edit.with));
    caption.textContent = `A row a query, a column a key. ${now().caption[0].toUpperCase()}${now().caption.slice(1)}.` +
      (state.hide.length ? ` Hidden: ${state.hide.join(", ")}; the others ${state.renormalise ? "are divided by what is left of each row" : "are as they were"}.` : "") +
      (state.combine === "max" ? " Rows of largest weights need not sum to 1." : "") +
      (edited ? " The weights are those of the edit." : "") +
      (state.edits.length ? " Heads without an edit are drawn as in the intact model." : "");
    map.setAttribute("aria-label", "Heat map. Up and down choose the query, left and right move to a key");
  }

  /** The map in view, a pixel a cell. */
  function wholeMap() {
    const bytes = bytesOf("layers", state.layer), size = nQueries() * nKeys();
    if (!bytes) return new OffscreenCanvas(nKeys(), nQueries()); // the kernel is about to send it
    const maps = heads().map((head) => bytes.subarray(head * size, (head + 1) * size));
    if (maps.length === 1 && !hidden().length) return picture(maps[0], nKeys(), nQueries());
    const weights = without(combined(maps.map(decode), state.combine), nKeys(), hidden(), state.renormalise);
    const codes = Uint8Array.from(weights, (w) => (w >= 0 ? Math.round(Math.sqrt(Math.min(w, 1)) * FULL) : MASKED));
    const away = new Set(hidden());
    for (let i = 0; i < codes.length; i++) if (away.has(i % nKeys())) codes[i] = MASKED; // clear: nothing below
    return picture(codes, nKeys(), nQueries());
  }

  /** As many names as there is room for, and always that of the row or column in focus. */
  function names(where, texts, start, n, style) {
    const every = Math.ceil(13 / box.c);
    where.style.setProperty(where === rowNames ? "height" : "width", `${n * box.c}px`);
    where.replaceChildren(...Array.from({ length: n }, (_, at) => at).filter((at) => at % every === 0)
      .map((at) => element("span", { style: style(at) }, inSigns(texts[start + at]))));
  }

  function drawFrames(query, key) {
    if (!box) return;
    const { c, q0, k0, nq, nk } = box;
    const inside = query >= q0 && query < q0 + nq;
    inMap.hidden = !inside;
    atKey.hidden = !inside || key < k0 || key >= k0 + nk;
    const edge = Math.max(c, 4);
    Object.assign(inMap.style, { left: "-2px", top: `${(query - q0 + 0.5) * c - edge / 2 - 2}px`, width: `${nk * c + 4}px`, height: `${edge + 4}px` });
    Object.assign(atKey.style, { left: `${(key - k0 + 0.5) * c - edge / 2 - 2}px`, top: inMap.style.top, width: `${edge + 4}px`, height: `${edge + 4}px` });
  }

  function drawCell(query, key, row) {
    const name = (text, i) => [element("b", { class: "ae-token" }, inSigns(text)), ` (${i})`];
    const w = row?.[key];
    const says = w === undefined ? "is on its way from the kernel" : Number.isNaN(w) ? "is masked: it may not attend"
      : hidden().includes(key) ? "is hidden" : percent(w);
    cell.replaceChildren("Query ", ...name(now().tokens[query], query), " → key ", ...name(now().keys[key], key), `: ${says}`);
  }

  // ---- hands ----------------------------------------------------------------------------------------------

  chooser(queryRow, { items: () => chips.queries, current: () => state.query, choose: (query) => ask({ query }) });
  chooser(keyRow, { items: () => chips.keys, current: () => key, choose: (to) => { key = to; drawRow(); } });
  chooser(entropies, { items: () => [...entropies.children], current: () => state.head, choose: (head) => chooseHead(head) });
  const toggleBySpace = (event) => {
    if (event.key !== " " || state.combine === "one") return;
    event.preventDefault();
    chooseHead(state.head, state.layer, true);
  };
  for (const list of [entropies, grid]) list.addEventListener("keydown", toggleBySpace);
  entropies.addEventListener("click", (event) => {
    if (state.combine !== "one" && event.target.closest(".ae-chip")) chooseHead(state.head, state.layer, true);
  });

  const clamp = (at, n) => Math.min(Math.max(at, 0), n - 1);
  const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  function arrows(canvas, move) {
    canvas.addEventListener("keydown", (event) => {
      if (!(event.key in ARROWS) || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      move(...ARROWS[event.key]);
    });
  }
  arrows(grid, (down, right) =>
    chooseHead(clamp(state.head + right, now().n_heads), clamp(state.layer + down, now().layers.length)));
  arrows(map, (down, right) => {
    if (down) return ask({ query: clamp(state.query + down, nQueries()) });
    key = clamp(key + right, nKeys());
    if (zoomed) drawMap();
    drawRow();
  });

  grid.addEventListener("click", (event) => {
    const step = cellSize() + GAP;
    chooseHead(clamp(Math.floor(event.offsetX / step), now().n_heads),
      clamp(Math.floor(event.offsetY / step), now().layers.length), true);
  });
  const under = (event) => ({ query: box.q0 + clamp(Math.floor(event.offsetY / box.c), box.nq),
    key: box.k0 + clamp(Math.floor(event.offsetX / box.c), box.nk) });
  const hover = (to) => { hovered = to; drawRow(); };
  map.addEventListener("pointermove", (event) => { if (event.pointerType !== "touch") hover(under(event)); });
  map.addEventListener("pointerleave", () => hover(null));
  map.addEventListener("click", (event) => {
    const at = under(event);
    ask({ query: at.query });
    key = at.key;
    drawRow();
  });
  queryRow.addEventListener("pointerover", (event) => {
    const query = chips.queries.indexOf(event.target);
    if (query >= 0 && event.pointerType !== "touch") hover({ query });
  });
  queryRow.addEventListener("pointerleave", () => hover(null));

  // ---- the table ------------------------------------------------------------------------------------------

  function tables(shown) {
    const rows = rowsOf(state.query), row = rows && rowOf(state.query, rows);
    if (!row) return [];
    const order = Array.from(row.keys()).sort((a, b) => (row[b] || 0) - (row[a] || 0) || a - b);
    const listed = nKeys() <= IN_TABLE ? Array.from(row.keys()) : order.slice(0, IN_TABLE);
    const rest = order.slice(listed.length);
    const number = (w, i) => (Number.isNaN(w) ? "masked" : hidden().includes(i) ? "hidden" : w.toFixed(6));
    return [
      { caption: `What query ${state.query} attends to`, head: ["Position", "Key", "Weight"],
        rows: [...listed.map((i) => [String(i), visible(now().keys[i]), number(row[i], i)]),
          ...(rest.length ? [["", `${rest.length} others`, rest.reduce((sum, i) => sum + (row[i] || 0), 0).toFixed(6)]] : [])] },
      { caption: `This row by head of layer ${state.layer}`, head: ["Head", "Entropy in bits", "Strongest key", "Weight"],
        rows: rows.map((one, head) => [String(head), rowEntropy(one).toFixed(4), visible(now().keys[strongest(one)]), (one[strongest(one)] || 0).toFixed(6)]) },
      ...(shown.predicts ? [{ caption: "Prediction", head: ["Label", "Intact", "With the edits"],
        rows: [...new Set([...shown.prediction, ...shown.intact].map(([label]) => label))].map((label) =>
          [visible(label), ...[shown.intact, shown.prediction].map((pairs) => new Map(pairs).get(label)?.toFixed(6) ?? "not listed")]) }] : []),
    ];
  }

  // ---- begin ----------------------------------------------------------------------------------------------

  otherField.hidden = true;
  let widthNow = 0;
  const resized = new ResizeObserver(() => {
    if (body.clientWidth === widthNow) return;
    widthNow = body.clientWidth;
    measure();
    redraw();
  });
  resized.observe(body);
  view.update();
  return () => { resized.disconnect(); view.close(); };
}

export default { render };
