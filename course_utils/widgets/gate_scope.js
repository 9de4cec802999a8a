// Python reads the text; to walk through what was read needs no model and is done here.

const COLUMN = 14, STRIP = 12; // pixels of a byte, and of a strip's height
const TYPED = 20_000; // characters that are sent at most; Python keeps fewer and says so
const GATES = [["input gate", "i", "lets the candidate in"], ["forget gate", "f", "keeps what the cell held"],
  ["candidate", "g", "what could come in"], ["output gate", "o", "shows what the cell holds"]];

/** What a cell holds next: what it keeps of the value before, and what it lets in. */
const carry = (before, i, f, g) => f * before + i * g;

const floats = ({ buffer, byteOffset, byteLength }) =>
  new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength));
const signed = (x) => (Math.abs(x) < 0.005 ? "0.00" : x.toFixed(2).replace("-", "−"));

function render({ model, el }) {
  let data = decode(model.get("shown"));
  const { cells, examples } = data;
  // what is asked for; focus is null while a new text is on its way, whose end will be in focus
  const state = { text: data.text, cell: data.cell, focus: data.focus };
  let lines = [], columns = 0;

  // ---- the parts of the page ----------------------------------------------------------------------

  const text = element("textarea", { class: "gs-text", rows: 2, spellcheck: "false", dir: "auto",
    oninput: () => ask({ text: text.value, focus: null }) });
  const buttons = Object.entries(examples).map(([name, example]) => element("button", { type: "button",
    onclick: () => { text.value = example; ask({ text: example, focus: null }); } }, name));
  const notice = element("p", { class: "gs-quiet", hidden: true });
  const strips = element("div", { class: "gs-strips", tabindex: "0", role: "group", dir: "ltr",
    style: `--column: ${COLUMN}px; --strip: ${STRIP}px; --cells: ${cells.length}`,
    "aria-label": "The text and its cells. Left and right move on by a byte, up and down change the cell.",
    onkeydown: onKey, onpointerdown: onPointer, onpointermove: (event) => event.buttons && onPointer(event),
    onpointerup: () => ask({}) });
  const back = element("button", { type: "button", "aria-label": "one byte back", onclick: () => go(data.focus - 1) }, "◀ byte");
  const on = element("button", { type: "button", "aria-label": "one byte on", onclick: () => go(data.focus + 1) }, "byte ▶");
  const low = element("b", {}), high = element("b", {});
  const items = cells.map(([cell, what, r]) => element("div", { class: "gs-cell", role: "option" },
    element("b", {}, `cell ${cell}`), element("span", {}, what), element("small", {}, `r = ${r.replace("-", "−")}`)));
  const list = element("div", { class: "gs-cells", role: "listbox", "aria-label": "The cell in focus" }, ...items);
  chooser(list, { items: () => items, current: row, choose: (i) => ask({ cell: cells[i][0] }) });
  const heading = element("h4", { class: "gs-heading" });
  const gates = element("div", { class: "gs-gates" });
  const sums = element("div", { class: "gs-sums" });
  const following = element("div", { class: "gs-next" });
  const body = element("div", { class: "gs" },
    element("label", { class: "gs-field" }, "A text for the LSTM to read", text),
    element("div", { class: "gs-line" }, ...buttons),
    notice, strips,
    element("div", { class: "gs-line" }, back, on,
      element("span", { class: "gs-legend gs-quiet" }, "The cell in focus holds ", low,
        element("span", { class: "gs-scale", role: "img", "aria-label": "from dark blue over grey to yellow",
          style: `background: linear-gradient(to right, ${CIVIDIS.map(css).join(", ")})` }), high,
        " at most, in this text. Each strip has its own scale.")),
    element("div", { class: "gs-columns" },
      element("div", {}, element("h4", { class: "gs-heading" }, "Cells, and what each follows"), list),
      element("div", {}, heading, gates, sums),
      element("div", {}, element("h4", { class: "gs-heading" }, "What the model expects next"), following)));

  const view = frame({ model, el, label: "Gate scope", body, draw, tables });

  // ---- asking and moving --------------------------------------------------------------------------

  function row() { return cells.findIndex(([cell]) => cell === data.cell); }

  /** The walk is drawn at once; the kernel is told for the sentence, and asked to read a new text. */
  function ask(changes) {
    Object.assign(state, changes);
    if (!("text" in changes)) walk();
    const kept = state.text.slice(-TYPED);
    view.ask({ ...state, text: kept, cut: state.text.length - kept.length });
  }

  function walk() {
    Object.assign(data, { cell: state.cell, focus: state.focus ?? data.focus });
    drawFocus();
  }

  function go(focus) {
    if (state.focus !== null) ask({ focus: clamp(focus, 0, data.ids.length - 1) });
  }

  function onKey(event) {
    const sideways = { ArrowLeft: data.focus - 1, ArrowRight: data.focus + 1, Home: 0, End: data.ids.length - 1 };
    const upDown = { ArrowUp: -1, ArrowDown: 1 };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in sideways) go(sideways[event.key]);
    else if (event.key in upDown) ask({ cell: cells[clamp(row() + upDown[event.key], 0, cells.length - 1)][0] });
    else return;
    event.preventDefault(); // or the page scrolls
  }

  /** A press picks a byte and a cell, and goes on doing so while it moves. */
  function onPointer(event) {
    if (state.focus === null) return;
    const line = lines.find(({ root }) => event.clientY < root.getBoundingClientRect().bottom) ?? lines.at(-1);
    if (event.type === "pointerdown") strips.setPointerCapture?.(event.pointerId);
    const box = line.picture.getBoundingClientRect();
    const at = clamp(Math.floor((event.clientX - box.left) / COLUMN), 0, line.width - 1);
    const strip = Math.floor((event.clientY - box.top) / STRIP);
    state.focus = line.start + at;
    if (strip >= 0 && strip < cells.length) [state.cell] = cells[strip];
    walk();
  }

  // ---- drawing ------------------------------------------------------------------------------------

  function decode(shown) {
    return { ...shown, gates: floats(shown.gates), values: floats(shown.values), shows: floats(shown.shows),
      top: floats(shown.top), likeliest: new Uint8Array(shown.likeliest.buffer.slice(
        shown.likeliest.byteOffset, shown.likeliest.byteOffset + shown.likeliest.byteLength)) };
  }

  function draw(shown, mine, last) {
    data = decode(shown);
    if (mine) data = { ...data, cell: state.cell, focus: state.focus ?? data.focus }; // keys have moved on
    else {
      Object.assign(state, { text: data.text, cell: data.cell });
      text.value = data.text;
    }
    if (last || !mine) state.focus = data.focus;
    notice.textContent = shown.notice;
    notice.hidden = !shown.notice;
    layOut();
  }

  const value = (t, cell) => data.values[t * cells.length + cell];

  /** The text in lines that fit, and below each line a strip a cell: one pixel a byte, stretched by CSS. */
  function layOut() {
    columns = Math.max(8, Math.floor((strips.clientWidth - 60) / COLUMN));
    const scale = cells.map((_, cell) => Math.max(1e-9, ...data.ids.map((_, t) => Math.abs(value(t, cell)))));
    data.scale = scale;
    lines = wrap(data.pieces, columns).map((line) => {
      const picture = element("canvas", { class: "gs-picture", width: line.width, height: cells.length,
        style: `width: ${line.width * COLUMN}px; height: ${cells.length * STRIP}px`, "aria-hidden": "true" });
      const pixels = new ImageData(line.width, cells.length);
      for (let cell = 0; cell < cells.length; cell++)
        for (let x = 0; x < line.width; x++)
          pixels.data.set([...cividis((value(line.start + x, cell) / scale[cell] + 1) / 2), 255], 4 * (cell * line.width + x));
      picture.getContext("2d").putImageData(pixels, 0, 0);
      const characters = line.pieces.map(({ text, width, start }) => element("span",
        { style: `--width: ${width}`, class: start === 0 ? "gs-start" : "" }, ...visible(text)));
      const column = element("i", { class: "gs-column", hidden: true }), strip = element("i", { class: "gs-strip" });
      const root = element("div", { class: "gs-row" },
        element("div", { class: "gs-names", "aria-hidden": "true" }, ...cells.map(([cell]) => element("span", {}, String(cell)))),
        element("div", { class: "gs-block" },
          element("div", { class: "gs-characters" }, ...characters), picture, strip, column));
      return { ...line, root, picture, column, strip };
    });
    strips.replaceChildren(...lines.map(({ root }) => root));
    drawFocus();
  }

  function drawFocus() {
    const at = row(), t = data.focus, last = data.ids.length - 1;
    for (const { start, width, root, column, strip } of lines) {
      column.hidden = t < start || t >= start + width;
      column.style.left = `${(t - start) * COLUMN}px`;
      strip.style.top = `calc(var(--text) + ${at * STRIP}px)`;
      strip.style.width = `${width * COLUMN}px`;
      root.querySelectorAll(".gs-names span").forEach((name, i) => name.classList.toggle("gs-on", i === at));
    }
    back.setAttribute("aria-disabled", String(t === 0));
    on.setAttribute("aria-disabled", String(t === last));
    low.textContent = signed(-data.scale[at]);
    high.textContent = signed(data.scale[at]);
    markChosen(list, items, at);
    const [cell] = cells[at];
    heading.replaceChildren(...(t ? [`Cell ${cell} after byte ${t} of ${last}, `, byte(data.ids[t])]
      : [`Cell ${cell} before the text, after a line break`]));
    drawGates(t, at);
    drawNext(t);
  }

  const byte = (id) => element("span", { class: "gs-mono" }, ...visible(data.bytes[id]));
  const gatesAt = (t, cell) => [...data.gates.slice(4 * (t * cells.length + cell), 4 * (t * cells.length + cell) + 4)];

  function drawGates(t, cell) {
    const [i, f, g, o] = gatesAt(t, cell), before = t ? value(t - 1, cell) : 0, now = value(t, cell);
    gates.replaceChildren(...GATES.flatMap(([name, letter, does], k) => {
      const x = [i, f, g, o][k], both = k === 2; // the candidate alone may be negative
      const from = both ? 50 + 50 * Math.min(x, 0) : 0, length = both ? 50 * Math.abs(x) : 100 * x;
      return [element("span", {}, name, " ", element("i", { class: "gs-mono" }, letter)),
        element("span", { class: both ? "gs-track gs-both" : "gs-track", "aria-hidden": "true" },
          element("i", { style: `left: ${from}%; width: ${length}%` })),
        element("b", {}, signed(x)), element("small", {}, does)];
    }));
    sums.replaceChildren(
      element("p", {}, "holds ", element("i", { class: "gs-mono" }, "c"), ` = f · c before + i · g = ${signed(f)} · ` +
        `${signed(before)} + ${signed(i)} · ${signed(g)} = `, element("b", {}, signed(now))),
      element("p", {}, "shows ", element("i", { class: "gs-mono" }, "h"), ` = o · tanh c = ${signed(o)} · ` +
        `${signed(Math.tanh(now))} = `, element("b", {}, signed(data.shows[t * cells.length + cell]))));
  }

  /** The likeliest bytes after t, and all others in one, so that the bars add up to 1. */
  function expected(t) {
    const n = data.top.length / data.ids.length;
    const top = [...data.top.slice(n * t, n * t + n)];
    return { ids: [...data.likeliest.slice(n * t, n * t + n)], top, others: data.bytes.length - n,
      rest: Math.max(0, 1 - top.reduce((sum, p) => sum + p, 0)) };
  }

  function drawNext(t) {
    const { ids, top, others, rest } = expected(t);
    const bar = (name, p, kind) => [name, element("span", { class: `gs-track ${kind}`, "aria-hidden": "true" },
      element("i", { style: `left: 0; width: ${100 * p}%` })), element("b", {}, percent(p))];
    following.replaceChildren(...ids.flatMap((id, k) => bar(byte(id), top[k], "")),
      ...bar(element("span", {}, `the other ${others}`), rest, "gs-rest"));
  }

  function tables() {
    const at = row(), t = data.focus, from = Math.max(0, t - 19);
    const { ids, top, others, rest } = expected(t);
    const numbers = (t, cell) => [...gatesAt(t, cell), value(t, cell), data.shows[t * cells.length + cell]].map(signed);
    const columns = ["i", "f", "g", "o", "holds", "shows"];
    return [
      { caption: `All cells at byte ${t}`, head: ["Cell", "Follows", ...columns],
        rows: cells.map(([cell, what], i) => [String(cell), what, ...numbers(t, i)]) },
      { caption: `Cell ${cells[at][0]}, bytes ${from} to ${t}`, head: ["Byte", ...columns],
        rows: [...data.ids.slice(from, t + 1)].map((id, k) => [visible(data.bytes[id]), ...numbers(from + k, at)]) },
      { caption: "Expected next", head: ["Byte", "Probability"],
        rows: [...ids.map((id, k) => [visible(data.bytes[id]), percent(top[k])]), [`the other ${others}`, percent(rest)]] },
    ];
  }

  // ---- begin --------------------------------------------------------------------------------------

  const resized = new ResizeObserver(() => {
    if (Math.max(8, Math.floor((strips.clientWidth - 60) / COLUMN)) !== columns) layOut();
  });
  resized.observe(strips);
  view.update();
  return () => { resized.disconnect(); view.close(); };
}

export default { render };
