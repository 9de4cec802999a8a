// Python reads the text; to walk through what was read needs no model and is done here.

const GATES = [["input gate", "i", "lets the candidate in"], ["forget gate", "f", "keeps the cell state"],
  ["candidate", "g", "what could come in"], ["output gate", "o", "lets the cell state out"]];

/** The next cell state: what is kept of the one before, and what is let in. */
const carry = (before, i, f, g) => f * before + i * g;

function render(context) {
  const view = viewOf(context, "Gate scope"), { state } = view, { cells, bytes } = view.fixed;
  let data; // what was read
  let scale; // the largest state of each cell in this text

  // ---- the parts of the page ----------------------------------------------------------------------

  const low = element("b"), high = element("b");
  const strips = textStrips(view, { prompt: "A text for the LSTM to read", names: cells.map(([cell]) => cell), nameWidth: 44,
    label: "The text and its cells. Left and right move on by a byte, up and down change the cell.",
    legend: ["The state of the cell in focus is between ", low, colourScale(), high, " in this text. Each strip has its own scale."],
    fields: (cell) => data.ids.map((_, t) => ({ start: t, width: 1, colour: cividis((cellState(t, cell) / scale[cell] + 1) / 2) })),
    moved(row) {
      if (row !== null) [state.cell] = cells[row];
      drawFocus();
    },
    turn: (by) => choose(clamp(row() + by, 0, cells.length - 1)) });
  const items = cells.map(([cell, what, r]) => element("div", { class: "gs-cell cw-option", role: "option" },
    element("b", {}, `cell ${cell}`), element("span", {}, what), element("small", {}, `r = ${r}`)));
  const list = element("div", { class: "gs-cells", role: "listbox", "aria-label": "The cell in focus" }, ...items);
  chooser(list, { items: () => items, current: row, choose });
  const title = heading(), gates = element("div", { class: "gs-gates" }), sums = element("div", { class: "gs-sums" });
  const following = element("div", { class: "gs-next" });
  const columns = element("div", { class: "gs-columns" },
    element("div", {}, heading("Cells, and what each follows"), list),
    element("div", {}, title, gates, sums),
    element("div", {}, heading("What the model expects next"), following));

  function row() { return cells.findIndex(([cell]) => cell === state.cell); }

  function choose(i) {
    view.ask({ cell: cells[i][0] });
    drawFocus();
  }

  // ---- drawing ------------------------------------------------------------------------------------

  function draw() {
    const { ids, gates, cell_state, hidden_state, top, likeliest } = view.shown;
    data = { ids, gates: floatsOf(gates), cellState: floatsOf(cell_state), hiddenState: floatsOf(hidden_state),
      top: floatsOf(top), likeliest: bytesOf(likeliest) };
    scale = cells.map((_, cell) => Math.max(1e-9, ...ids.map((_, t) => Math.abs(cellState(t, cell)))));
    strips.draw();
  }

  const cellState = (t, cell) => data.cellState[t * cells.length + cell];
  const hiddenState = (t, cell) => data.hiddenState[t * cells.length + cell];
  const gatesAt = (t, cell) => [...data.gates.slice(4 * (t * cells.length + cell), 4 * (t * cells.length + cell) + 4)];

  function drawFocus() {
    const at = row(), t = strips.focus(), [cell] = cells[at];
    strips.mark(at);
    low.textContent = signed(-scale[at]);
    high.textContent = signed(scale[at]);
    markChosen(list, items, at);
    title.replaceChildren(...(t ? [`Cell ${cell} after byte ${t} of ${data.ids.length - 1}, `, mono(bytes[data.ids[t]])]
      : [`Cell ${cell} before the text, after a line break`]));
    drawGates(t, at);
    drawNext(t);
  }

  const bar = (from, to, kind = "") => element("span", { class: `cw-track ${kind}`, "aria-hidden": "true" },
    element("i", { style: `left: ${100 * from}%; width: ${100 * (to - from)}%` }));
  const letter = (name) => element("i", { class: "cw-mono" }, name);
  const sum = (name, says, numbers, result) => quiet(`${name} `, letter(says), ` = ${numbers} = `, element("b", {}, signed(result)));

  function drawGates(t, cell) {
    const [i, f, g, o] = gatesAt(t, cell), before = t ? cellState(t - 1, cell) : 0, now = cellState(t, cell);
    gates.replaceChildren(...GATES.flatMap(([name, symbol, does], k) => {
      const x = [i, f, g, o][k], isSigned = k === 2; // the candidate alone may be negative
      return [element("span", {}, name, " ", letter(symbol)),
        isSigned ? bar(0.5 + Math.min(x, 0) / 2, 0.5 + Math.max(x, 0) / 2, "gs-both") : bar(0, x),
        element("b", {}, signed(x)), element("small", {}, does)];
    }));
    sums.replaceChildren(
      sum("cell state", "c", `f · c before + i · g = ${signed(f)} · ${signed(before)} + ${signed(i)} · ${signed(g)}`, now),
      sum("hidden state", "h", `o · tanh c = ${signed(o)} · ${signed(Math.tanh(now))}`, hiddenState(t, cell)));
  }

  /** The likeliest bytes after t, and all others in one, so that the bars add up to 1. */
  function expected(t) {
    const n = data.top.length / data.ids.length, top = [...data.top.slice(n * t, n * t + n)];
    return { ids: [...data.likeliest.slice(n * t, n * t + n)], top, others: bytes.length - n,
      rest: Math.max(0, 1 - top.reduce((sum, p) => sum + p, 0)) };
  }

  function drawNext(t) {
    const { ids, top, others, rest } = expected(t);
    const line = (name, p, kind) => [name, bar(0, p, kind), element("b", {}, percent(p))];
    following.replaceChildren(...ids.flatMap((id, k) => line(mono(bytes[id]), top[k])),
      ...line(element("span", {}, `the other ${others}`), rest, "cw-rest"));
  }

  function tables() {
    const at = row(), t = strips.focus(), from = Math.max(0, t - 19), { ids, top, others, rest } = expected(t);
    const numbers = (t, cell) => [...gatesAt(t, cell), cellState(t, cell), hiddenState(t, cell)].map((x) => signed(x));
    const head = ["i", "f", "g", "o", "cell state", "hidden state"];
    return [
      { caption: `All cells at byte ${t}`, head: ["Cell", "Follows", ...head],
        rows: cells.map(([cell, what], i) => [String(cell), what, ...numbers(t, i)]) },
      { caption: `Cell ${cells[at][0]}, bytes ${from} to ${t}`, head: ["Byte", ...head],
        rows: [...data.ids.slice(from, t + 1)].map((id, k) => [visible(bytes[id]), ...numbers(from + k, at)]) },
      { caption: "Expected next", head: ["Byte", "Probability"],
        rows: [...ids.map((id, k) => [visible(bytes[id]), percent(top[k])]), [`the other ${others}`, percent(rest)]] },
    ];
  }

  return view.start({ body: [...strips.nodes, columns], draw, tables });
}

export default { render };
