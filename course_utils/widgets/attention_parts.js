// The three pictures of the attention explorer: the text with its arcs, the grid of all heads, the heat map.
// Each draws on canvas what it is given, and tells `on` what was pointed at. None knows of the kernel.

const ARC = "43, 140, 196"; // these three are seen on white and on black
const ORANGE = "#e69f00", VERMILION = "#d55e00";
const FAINT = 0.002; // an arc of less weight is as good as none
const LONG = 64; // the lines of a longer text stand close, and it scrolls
const WINDOW = 32; // queries and keys of the heat map when zoomed in
const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

const within = (at, n) => clamp(at, 0, n - 1);
const inSigns = (text) => visible(text).map((node) => node.textContent).join(""); // one node, not one a sign
const pixels = (box) => Object.fromEntries(Object.entries(box).map(([name, value]) => [name, `${value}px`]));

// cividis of the root of a weight as RGBA, by byte; a masked cell is clear, and what lies below shows
const COLOURS = Uint32Array.from({ length: 256 }, (_, byte) => {
  const [r, g, b] = cividis(byte / FULL);
  return byte === MASKED ? 0 : (255 << 24) | (b << 16) | (g << 8) | r;
});

/** Bytes as a picture, a pixel each. */
function picture(bytes, width, height) {
  const canvas = new OffscreenCanvas(width, height), image = new ImageData(width, height);
  const colours = new Uint32Array(image.data.buffer);
  for (let i = 0; i < bytes.length; i++) colours[i] = COLOURS[bytes[i]];
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** Fine diagonal lines: what is masked. */
function hatching(context) {
  const tile = new OffscreenCanvas(6, 6), lines = tile.getContext("2d");
  lines.strokeStyle = "rgba(128, 128, 128, 0.75)";
  lines.beginPath();
  for (const x of [-6, 0, 6]) { lines.moveTo(x, 6); lines.lineTo(x + 6, 0); }
  lines.stroke();
  return context.createPattern(tile, "repeat");
}

/** Arrow keys on a canvas: move(down, right). */
function arrowKeys(canvas, move) {
  canvas.addEventListener("keydown", (event) => {
    if (!(event.key in ARROWS) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    move(...ARROWS[event.key]);
  });
}

/**
 * The text, with arcs from the query in focus to its keys. on: { query(i), key(i), hover(i or null) }.
 * names: what keys and queries are called, where they are two texts; else they have no names on the page.
 */
function sentencePart(on, names = null) {
  const arcs = element("canvas", { class: "ae-arcs", "aria-hidden": "true" });
  const [keyName, queryName] = names ?? ["Keys", "Queries"];
  const keyRow = element("div", { class: "ae-tokens", role: "listbox", dir: "ltr", "aria-label": keyName });
  const queryRow = element("div", { class: "ae-tokens", role: "listbox", dir: "ltr" });
  const named = (name, row) => (names ? [element("p", { class: "ae-side cw-quiet", "aria-hidden": "true" }, name), row] : [row]);
  const root = element("div", { class: "ae-sentence" }, arcs, ...named(keyName, keyRow), ...named(queryName, queryRow));
  let queries = [], keys = null; // the chips; keys only where they are another text
  let places = null; // where they lie on the canvas
  let focus = { query: 0, key: 0 };

  chooser(queryRow, { items: () => queries, current: () => focus.query, choose: on.query });
  chooser(keyRow, { items: () => keys ?? [], current: () => focus.key, choose: on.key });
  queryRow.addEventListener("pointerover", (event) => {
    const query = queries.indexOf(event.target.closest("[role=option]"));
    if (query >= 0 && event.pointerType !== "touch") on.hover(query);
  });
  queryRow.addEventListener("pointerleave", () => on.hover(null));

  /** first: the number of the first token. notes: of each query { text below it, words for who hears it, kind: a class }. */
  function fill(given) {
    const chip = (text, i, note = null) => element("span", { class: `ae-chip ${note?.kind ?? ""}`, role: "option",
      "aria-label": `${i + (given.first ?? 0)}: ${spoken(text)}${note ? `, ${note.words}` : ""}` }, inSigns(text), ...(note ? [element("small", {}, note.text)] : []));
    queries = given.tokens.map((text, i) => chip(text, i, given.notes?.[i]));
    keys = given.cross ? given.keys.map((text, i) => chip(text, i)) : null;
    queryRow.replaceChildren(...queries);
    queryRow.setAttribute("aria-label", keys ? queryName : "Tokens: the chosen one is the query");
    keyRow.hidden = !keys;
    keyRow.replaceChildren(...(keys ?? []));
    root.classList.toggle("ae-cross", given.cross);
    root.classList.toggle("ae-long", !names && Math.max(given.tokens.length, given.keys.length) > LONG);
  }

  /** Ask the page where the chips lie: once for a text and a width. */
  function measure() {
    arcs.style.height = "0"; // or the canvas would keep the height of an earlier width
    const origin = root.getBoundingClientRect();
    const place = (chip) => {
      const { left, top, width, height } = chip.getBoundingClientRect();
      return { left: left - origin.left, top: top - origin.top + root.scrollTop, width, height,
        middle: left - origin.left + width / 2 };
    };
    places = origin.width && { width: root.clientWidth, height: root.scrollHeight,
      queries: queries.map(place), keys: keys?.map(place) };
  }

  function choose(query, key) {
    focus = { query, key };
    markChosen(queryRow, queries, query);
    if (keys) markChosen(keyRow, keys, key);
    if (!places?.queries[query]) return;
    const { top, height } = places.queries[query]; // a long text scrolls to its query; the page stays
    if (top < root.scrollTop) root.scrollTop = top - 40;
    if (top + height > root.scrollTop + root.clientHeight) root.scrollTop = top + height + 8 - root.clientHeight;
  }

  function draw(query, row) {
    if (!places) return;
    const context = sheet(arcs, places.width, places.height), from = places.queries[query];
    if (!from) return; // nothing is written yet
    row?.forEach((w, i) => {
      if (!(w > FAINT)) return;
      const to = (places.keys ?? places.queries)[i], strength = Math.sqrt(Math.min(w, 1)); // as in the maps
      context.fillStyle = `rgba(${ARC}, ${0.6 * strength})`;
      context.fillRect(to.left, to.top, to.width, to.height);
      context.strokeStyle = `rgba(${ARC}, ${strength})`;
      context.lineWidth = 0.75 + 5 * Math.min(w, 1);
      context.beginPath();
      context.moveTo(from.middle, from.top);
      if (places.keys) {
        const bottom = to.top + to.height, half = (bottom + from.top) / 2;
        context.bezierCurveTo(from.middle, half, to.middle, half, to.middle, bottom);
      } else {
        const apart = to === from ? 16 : 0; // to itself: a loop
        const high = Math.min(from.top, to.top) - Math.min(14 + apart / 2 + 0.12 * Math.abs(from.middle - to.middle), 46);
        context.bezierCurveTo(from.middle - apart, high, to.middle + apart, high, to.middle, to.top);
      }
      context.stroke();
    });
    context.strokeStyle = ORANGE;
    context.lineWidth = 3;
    context.strokeRect(from.left + 1, from.top + 1, from.width - 2, from.height - 2);
  }

  return { root, fill, measure, choose, draw };
}

/** All heads as small maps. on: { move(down, right), pick(head, layer), toggle() }. */
function gridPart(on) {
  const GAP = 4, MARGIN = 24; // pixels between the maps, and for the numbers of the layers, as in the .css
  const canvas = element("canvas", { class: "ae-canvas", tabindex: "0", role: "group" });
  const frame = element("div", { class: "ae-frame" });
  const headNames = element("div", { class: "ae-names", "aria-hidden": "true" });
  const layerNames = element("div", { class: "ae-names", "aria-hidden": "true" });
  const root = element("div", { class: "ae-grid" }, headNames, layerNames, element("div", { class: "ae-place" }, canvas, frame));
  let step = 0, size = { n_heads: 1, n_layers: 1 };

  arrowKeys(canvas, on.move);
  canvas.addEventListener("keydown", (event) => {
    if (event.key !== " ") return;
    event.preventDefault();
    on.toggle();
  });
  canvas.addEventListener("click", (event) => on.pick(within(Math.floor(event.offsetX / step), size.n_heads),
    within(Math.floor(event.offsetY / step), size.n_layers)));

  /**
   * maps: of each layer a picture with its heads below each other, `rows` high and `columns` wide each
   * head, layer: the one under the cursor; heads: those in view; edited: [[layer, head], ...]
   */
  function draw({ maps, rows, columns, n_heads, head, layer, heads, edited, label }) {
    const n_layers = maps.length;
    size = { n_heads, n_layers };
    step = Math.max(18, Math.min(60, Math.floor((root.clientWidth - MARGIN) / n_heads)));
    number(headNames, n_heads, "width");
    number(layerNames, n_layers, "height");
    const context = sheet(canvas, n_heads * step, n_layers * step), side = step - GAP;
    context.imageSmoothingEnabled = columns > side;
    context.fillStyle = hatching(context);
    maps.forEach((layerMaps, at) => {
      for (let head = 0; head < n_heads; head++) {
        const [x, y] = [head * step + GAP / 2, at * step + GAP / 2];
        context.fillRect(x, y, side, side);
        context.drawImage(layerMaps, 0, head * rows, columns, rows, x, y, side, side);
      }
    });
    for (const [layer, head] of edited) foldCorner(context, head * step, layer * step);
    context.strokeStyle = ORANGE;
    context.lineWidth = 3;
    for (const head of heads) context.strokeRect(head * step + 1.5, layer * step + 1.5, step - 3, step - 3);
    Object.assign(frame.style, pixels({ left: head * step, top: layer * step, width: step, height: step }));
    canvas.setAttribute("aria-label", label);
  }

  function number(where, n, side) {
    where.replaceChildren(...Array.from({ length: n }, (_, i) =>
      element("span", { style: `${side}: ${step}px` }, String(i))));
  }

  /** The mark of a head that was changed. */
  function foldCorner(context, x, y) {
    const size = Math.max(8, step / 3);
    context.save();
    context.fillStyle = VERMILION;
    context.beginPath();
    context.moveTo(x + step - 2, y + 2);
    context.lineTo(x + step - 2 - size, y + 2);
    context.lineTo(x + step - 2, y + 2 + size);
    context.fill();
    context.restore();
  }

  return { root, draw };
}

/** One head large, with its names. on: { move(down, right), pick({ query, key }), hover(the same, or null) }. */
function mapPart(on, sides = "query ↓ key →") {
  const NAMES = 110; // pixels for the names of the queries, as in the .css
  const canvas = element("canvas", { class: "ae-canvas", tabindex: "0", role: "group",
    "aria-label": "Heat map: up and down choose the query, left and right move to a key" });
  const rowFrame = element("div", { class: "ae-frame" }), cellFrame = element("div", { class: "ae-frame" });
  const queryNames = element("div", { class: "ae-query-names", "aria-hidden": "true" });
  const keyNames = element("div", { class: "ae-key-names", "aria-hidden": "true" });
  const zoom = button(`Zoom to ${WINDOW} × ${WINDOW} round the focus`, () => {
    zoomed = !zoomed;
    zoom.setAttribute("aria-pressed", String(zoomed));
    draw(drawn);
    point(drawn.query, drawn.key);
  }, { "aria-pressed": "false" });
  const root = element("div", { class: "ae-map" },
    element("span", { class: "ae-corner" }, sides), keyNames, queryNames,
    element("div", { class: "ae-place" }, canvas, rowFrame, cellFrame));
  let zoomed = false, drawn = null;
  let part = null; // what is in view: cells of `cell` pixels, from query q0 and key k0 on

  arrowKeys(canvas, on.move);
  const under = (event) => ({ query: part.q0 + within(Math.floor(event.offsetY / part.cell), part.nq),
    key: part.k0 + within(Math.floor(event.offsetX / part.cell), part.nk) });
  canvas.addEventListener("pointermove", (event) => { if (event.pointerType !== "touch") on.hover(under(event)); });
  canvas.addEventListener("pointerleave", () => on.hover(null));
  canvas.addEventListener("click", (event) => on.pick(under(event)));

  /** image: a pixel a cell; tokens, keys: the names; hidden: keys that are left blank; query, key: the focus. */
  function draw(given) {
    drawn = given;
    const { image, tokens, keys, hidden, query, key } = given;
    const width = root.clientWidth - NAMES;
    if (width <= 0) return;
    zoom.hidden = Math.max(tokens.length, keys.length) <= WINDOW;
    const range = (n, at) => (!zoomed || n <= WINDOW ? [0, n]
      : [Math.max(0, Math.min(at - WINDOW / 2, n - WINDOW)), WINDOW]);
    const [q0, nq] = range(tokens.length, query), [k0, nk] = range(keys.length, key);
    const room = Math.min(width / nk, 512 / nq, 34), cell = room > 4 ? Math.floor(room) : room;
    part = { q0, nq, k0, nk, cell };
    const context = sheet(canvas, nk * cell, nq * cell);
    context.fillStyle = hatching(context);
    context.fillRect(0, 0, nk * cell, nq * cell);
    for (const k of hidden) context.clearRect((k - k0) * cell, 0, cell, nq * cell);
    context.imageSmoothingEnabled = cell < 1;
    context.drawImage(image, k0, q0, nk, nq, 0, 0, nk * cell, nq * cell);
    name(queryNames, tokens.slice(q0, q0 + nq), "top");
    name(keyNames, keys.slice(k0, k0 + nk), "left");
  }

  /** As many names as there is room for. */
  function name(where, texts, side) {
    const every = Math.ceil(13 / part.cell);
    where.replaceChildren(...texts.flatMap((text, i) => (i % every ? []
      : [element("span", { style: `${side}: ${(i + 0.5) * part.cell}px` }, inSigns(text))])));
  }

  /** Put the frames round a row and a cell. */
  function point(query, key) {
    if (!part) return;
    const { q0, nq, k0, nk, cell } = part;
    const edge = Math.max(cell, 4) + 4; // a cell of a large map would vanish under its frame
    const top = (query - q0 + 0.5) * cell - edge / 2;
    rowFrame.hidden = query < q0 || query >= q0 + nq;
    cellFrame.hidden = rowFrame.hidden || key < k0 || key >= k0 + nk;
    Object.assign(rowFrame.style, pixels({ left: -2, top, width: nk * cell + 4, height: edge }));
    Object.assign(cellFrame.style, pixels({ left: (key - k0 + 0.5) * cell - edge / 2, top, width: edge, height: edge }));
  }

  return { root, zoom, draw, point };
}

/** What the colours mean; `masked` is the part on the mask. */
function colourLegend(masked) {
  const ticks = [0, 0.01, 0.05, 0.25, 0.5, 1].map((w) => element("span", { style: `left: ${100 * Math.sqrt(w)}%` },
    w ? `${100 * w} %` : "0"));
  return element("div", { class: "ae-legend" },
    element("span", { class: "ae-scale" }, colourScale(), ...ticks),
    masked);
}
