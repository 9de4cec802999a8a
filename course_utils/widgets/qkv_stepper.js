// All of attention is computed here from the embeddings, so that a change is seen at once, without the kernel.

// ---- the arithmetic -------------------------------------------------------------------------------

const transposed = (m) => m[0].map((_, j) => m.map((row) => row[j]));
const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
const product = (a, b) => a.map((row) => transposed(b).map((column) => dot(row, column)));
const each = (m, f) => m.map((row, i) => row.map((x, j) => f(x, i, j)));

function softmax(row) {
  const most = Math.max(...row), exps = row.map((x) => Math.exp(x - most));
  const sum = exps.reduce((a, b) => a + b);
  return exps.map((x) => x / sum);
}

/** Every matrix by its name, from the embeddings x and the three matrices. */
function attention(x, { W_q, W_k, W_v }, causal) {
  const q = product(x, W_q), k = product(x, W_k), v = product(x, W_v);
  const scores = product(q, transposed(k));
  const scaled = each(scores, (s) => s / Math.sqrt(q[0].length));
  const masked = each(scaled, (s, i, j) => (causal && j > i ? -Infinity : s));
  const weights = masked.map(softmax);
  return { x, W_q, W_k, W_v, q, k, v, scores, scaled, masked, weights, output: product(weights, v) };
}

const row = (name, i, m) => m[name][i].map((_, j) => [name, i, j]);
const column = (name, j, m) => m[name].map((_, i) => [name, i, j]);

/** The cells that a cell is made of, [matrix, row, column] each. */
function sources([name, i, j], m) {
  const projected = { q: "W_q", k: "W_k", v: "W_v" }[name];
  if (projected) return [...row("x", i, m), ...column(projected, j, m)];
  switch (name) {
    case "scores": return [...row("q", i, m), ...row("k", j, m)];
    case "scaled": return [["scores", i, j]];
    case "masked": return [["scaled", i, j]];
    case "weights": return row("masked", i, m);
    case "output": return [...row("weights", i, m), ...column("v", j, m)];
    default: return [];
  }
}

/** At most so many digits after the point, and a proper minus sign, as `written` in Python has it. */
function written(number, digits = 3) {
  if (!Number.isFinite(number)) return number > 0 ? "∞" : "−∞";
  const text = String(Number(Math.abs(number).toFixed(digits)));
  return number < 0 && text !== "0" ? `−${text}` : text;
}

/** The same with all digits, so that points stand below each other. */
const aligned = (x, digits) => {
  const text = written(x, digits);
  return Number.isFinite(x) ? text.replace(/[\d.]+/, Math.abs(x).toFixed(digits)) : text;
};

const bracketed = (x) => (x < 0 ? `(${written(x)})` : written(x));
const terms = (a, b) => a.map((x, i) => `${bracketed(x)} × ${bracketed(b[i])}`).join(" + ");

/** The equation of a cell: in letters, and with the numbers put in, as a chain of equal things. */
function equation([name, i, j], m, causal) {
  const value = m[name][i][j];
  const d = m.q[0].length, at = `${name}[${i}, ${j}]`;
  const projected = { q: "W_q", k: "W_k", v: "W_v" }[name];
  const chain = (letters, ...numbers) => {
    const exact = [value, ...sources([name, i, j], m).map(([n, r, c]) => m[n][r][c])]
      .every((x) => !Number.isFinite(x) || Math.abs(Number(x.toFixed(3)) - x) < 1e-12);
    const last = written(value);
    return { at, letters, numbers: [...numbers.map((n) => `= ${n}`), `${exact && name !== "weights" ? "=" : "≈"} ${last}`] };
  };
  if (projected) {
    return chain(`x[${i}] · column ${j} of ${projected}`, terms(m.x[i], m[projected].map((r) => r[j])));
  }
  switch (name) {
    case "scores": return chain(`q[${i}] · k[${j}]`, terms(m.q[i], m.k[j]));
    case "scaled": return chain(`scores[${i}, ${j}] / √d, with d = ${d}`, `${written(m.scores[i][j])} / ${written(Math.sqrt(d))}`);
    case "masked": return value === -Infinity
      ? { at, letters: `hidden: key ${j} comes after query ${i}`, numbers: ["= −∞"] }
      : chain(causal ? `scaled[${i}, ${j}]: key ${j} does not come after query ${i}` : `scaled[${i}, ${j}]: there is no mask`);
    case "weights": {
      const most = Math.max(...m.masked[i]), shift = most > 20 ? most : 0; // exp of more can't be read
      const exp = (x) => `exp(${written(x)}${shift ? ` − ${written(shift)}` : ""})`;
      const exps = m.masked[i].map((x) => Math.exp(x - shift));
      return chain(`exp(masked[${i}, ${j}]) / the sum of exp(masked[${i}])`,
        `${exp(m.masked[i][j])} / (${m.masked[i].map(exp).join(" + ")})`,
        `${written(exps[j])} / (${exps.map((x) => written(x)).join(" + ")})`);
    }
    case "output": return chain(`weights[${i}] · column ${j} of v`, terms(m.weights[i], m.v.map((r) => r[j])));
    case "x": return { at, letters: "an embedding number: change it below", numbers: [`= ${written(value)}`] };
    default: return { at, letters: "a parameter, the same for all tokens: training finds it", numbers: [`= ${written(value)}`] };
  }
}

// ---- the stepper ----------------------------------------------------------------------------------

// what a step shows: names of matrices, signs between them, and a list where lines stand below each other
const SCENES = [
  ["x"],
  ["x", [["@", "W_q", "=", "q"], ["@", "W_k", "=", "k"], ["@", "W_v", "=", "v"]]],
  ["q", "@", "k", ".T =", "scores"],
  ["scores", "/ √d =", "scaled"],
  ["scaled", "→", "masked"],
  ["masked", "softmax →", "weights"],
  ["weights", "@", "v", "=", "output"],
];
const BETWEEN = ["scores", "scaled", "masked", "weights"]; // a row a query, a column a key

function render(context) {
  const view = viewOf(context, "QKV stepper"), { state } = view;
  const { tokens, causal, matrices, start, max_number: largest } = view.fixed;
  const steps = Object.entries(view.fixed.steps);
  const said = [
    "Each token is a row of numbers, its embedding. Choose one of them and change it: all that follows will follow.",
    "Three matrices make three vectors of each row: a query (what it looks for), a key (what it offers) and a value (what it hands over).",
    "Each query meets each key, row by row: one dot product a cell.",
    "A sum of d products has d times the variance of one; the division by √d takes that back.",
    causal ? "No query sees a later key: its score becomes −∞, of which exp makes 0."
      : "There is no mask here: every query sees every key.",
    "exp of each score, divided by the sum of its row: positive, and each row sums to 1.",
    "Each query gets the mean of the values, with its weights.",
  ];
  let edited = [0, 0]; // the embedding number that the field changes
  let m = {}, grids = {};
  let drawn = ""; // the verdict on the learner's function that is drawn

  // ---- the parts of the page --------------------------------------------------------------------

  const tabs = steps.map(([name], i) => element("span", { role: "tab", class: "qs-tab" }, `${i + 1} ${name}`));
  const bar = element("div", { class: "qs-tabs", role: "tablist", "aria-label": "Steps of attention" }, ...tabs);
  chooser(bar, { items: () => tabs, current: () => state.step, choose: (i) => go(i) });
  const back = button("◀ Back", () => go(state.step - 1)), next = button("Next ▶", () => go(state.step + 1));
  const caption = element("p");
  const scene = element("div", { class: "qs-scene" });
  const sum = element("div", { class: "qs-sum", role: "status", "aria-live": "polite" });
  const fieldName = element("span");
  const number = element("input", { type: "number", min: -largest, max: largest, class: "cw-number cw-mono",
    oninput: () => {
      if (number.value !== "" && Math.abs(Number(number.value)) <= largest) edit(Number(number.value));
    } });
  const differs = button("", () => {
    const { at } = view.shown.yours;
    ask({ step: stepOf(at[0]), cell: at });
  }, { hidden: true });
  const body = [line(back, next, bar), caption, scene, sum,
    line(labelled(fieldName, number), button("Reset the numbers", () => ask({ x: start })), differs)];

  // ---- asking -----------------------------------------------------------------------------------

  function ask(changes) {
    view.ask(changes);
    redraw();
  }

  /** Show a step, with the cell in focus in the matrix that it makes: the same row, so the query stays. */
  function go(step) {
    if (step < 0 || step >= steps.length) return;
    const [name] = steps[step][1], [was, i, j] = state.cell;
    ask({ step, cell: [name, was.startsWith("W") ? 0 : i, Math.min(j, m[name][0].length - 1)] });
  }

  function edit(number) {
    const [i, j] = edited;
    ask({ x: each(state.x, (x, r, c) => (r === i && c === j ? number : x)) });
  }

  // ---- drawing ----------------------------------------------------------------------------------

  function draw({ isReply }) {
    const verdict = JSON.stringify(view.shown.yours);
    // what this view asked for stands there already; drawing it anew would take a cell from under a click
    if (!isReply || verdict !== drawn || view.shown.problem) redraw();
    drawn = verdict;
  }

  function redraw() {
    m = attention(state.x, matrices, causal);
    if (state.cell[0] === "x") edited = state.cell.slice(1);
    const { at } = view.shown.yours;
    const wrong = at ? stepOf(at[0]) : -1;
    tabs.forEach((tab, i) => {
      tab.replaceChildren(`${i + 1} ${steps[i][0]}`, ...(i === wrong ? [" ✗"] : []));
      tab.toggleAttribute("data-wrong", i === wrong);
    });
    markChosen(bar, tabs, state.step);
    setIdle(back, state.step === 0);
    setIdle(next, state.step === steps.length - 1);
    caption.textContent = said[state.step];
    drawScene();
    drawSum();
    const [row, column] = edited;
    fieldName.replaceChildren(`Change x[${row}, ${column}], of “`, ...visible(tokens[row]), `” (−${largest} to ${largest})`);
    // not while it is typed: “1.” would become “1”
    if (number.value === "" || Number(number.value) !== m.x[row][column]) number.value = m.x[row][column];
    number.step = Number.isInteger(10 * m.x[row][column]) ? 0.1 : "any"; // of the arrow keys; it would refuse 0.25
    differs.hidden = !at;
    if (at) differs.textContent = `✗ Go to where your function differs first: ${at[0]}[${at[1]}, ${at[2]}]`;
  }

  const stepOf = (name) => steps.findIndex(([, names]) => names.includes(name));
  const same = (a, b) => a.every((part, i) => part === b[i]);

  function drawScene() {
    const focused = Object.keys(grids).find((name) => grids[name] === document.activeElement);
    grids = {};
    const from = sources(state.cell, m);
    const part = (item) => Array.isArray(item) ? element("div", { class: "qs-stack" }, ...item.map((line) =>
      element("div", { class: "qs-row" }, ...line.map(part)))) :
      item in m ? grid(item, from) : element("span", { class: "qs-sign" }, item);
    scene.replaceChildren(...SCENES[state.step].map(part));
    (grids[focused] ?? (focused && grids[state.cell[0]]))?.focus({ preventScroll: true });
  }

  /** One matrix: a table with one tab stop, in which the arrow keys go from cell to cell. */
  function grid(name, from) {
    const most = Math.max(...m[name].flat().filter(Number.isFinite).map(Math.abs), 1e-9);
    const label = (i) => [`${i} `, ...visible(tokens[i])];
    const digits = Math.max(...m[name].flat().map((x) => (written(x, 2).split(".")[1] ?? "").length));
    const cells = each(m[name], (x, i, j) => element("td", { role: "gridcell", id: freshId(),
      class: from.some((cell) => same(cell, [name, i, j])) ? "qs-from" : "",
      "aria-selected": String(same(state.cell, [name, i, j])), "aria-label": inWords(name, i, j),
      "data-wrong": Boolean(view.shown.yours.at && same(view.shown.yours.at, [name, i, j])),
      style: tint(name, x, most) }, aligned(x, digits)));
    const table = element("table", { class: "qs-grid", role: "grid", tabindex: 0, "aria-label": name,
      onkeydown: (event) => keys(event, name),
      onclick: (event) => {
        const i = cells.findIndex((line) => line.some((td) => td.contains(event.target)));
        if (i >= 0) pick(name, i, cells[i].findIndex((td) => td.contains(event.target)));
      } },
      element("caption", {}, name, element("small", {}, ` ${m[name].length} × ${m[name][0].length}`)),
      element("tr", {}, element("td", { role: "presentation" }), ...m[name][0].map((_, j) =>
        element("th", { scope: "col" }, ...(BETWEEN.includes(name) ? label(j) : [String(j)])))),
      ...cells.map((line, i) => element("tr", {},
        element("th", { scope: "row" }, ...(name.startsWith("W") ? [String(i)] : label(i))), ...line)));
    if (name === state.cell[0]) table.setAttribute("aria-activedescendant", cells[state.cell[1]][state.cell[2]].id);
    return (grids[name] = table);
  }

  /** Weights are shares, on the sequential scale; other numbers have a sign, and so two colours. */
  function tint(name, x, most) {
    if (name === "weights") return `background: ${css(cividis(x))}; color: ${inkOn(cividis(x))}`;
    if (!Number.isFinite(x)) return "";
    const colour = x < 0 ? "--cw-orange" : "--cw-blue";
    return `background: color-mix(in srgb, var(${colour}) ${Math.round((40 * Math.abs(x)) / most)}%, var(--cw-paper))`;
  }

  const inWords = (name, i, j) => `${name}[${i}, ${j}], ` +
    (BETWEEN.includes(name) ? `query ${spoken(tokens[i])}, key ${spoken(tokens[j])}, `
      : name.startsWith("W") ? "" : `${spoken(tokens[i])}, `) + written(m[name][i][j]);

  function pick(name, i, j) {
    ask({ cell: [name, i, j] });
    grids[name]?.focus({ preventScroll: true });
  }

  function keys(event, name) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const [own, i, j] = state.cell;
    if (event.key === "Enter" && own === "x") return number.focus();
    const last = { row: m[name].length - 1, column: m[name][0].length - 1 };
    const to = { ArrowUp: [i - 1, j], ArrowDown: [i + 1, j], ArrowLeft: [i, j - 1], ArrowRight: [i, j + 1],
      Home: [i, 0], End: [i, last.column] }[event.key];
    if (!to) return;
    event.preventDefault(); // or the page scrolls
    if (own !== name) return pick(name, 0, 0);
    pick(name, clamp(to[0], 0, last.row), clamp(to[1], 0, last.column));
  }

  function drawSum() {
    const { at, letters, numbers } = equation(state.cell, m, causal);
    sum.replaceChildren(element("p", {}, element("b", { class: "cw-mono" }, at), " = ", letters),
      ...numbers.map((line) => element("p", { class: "cw-mono" }, line)),
      ...(view.shown.yours.at && same(view.shown.yours.at, state.cell)
        ? [element("p", { class: "cw-mono" }, `✗ your function: ${view.shown.yours.got}`)] : []));
  }

  function tables() {
    const names = [...SCENES[state.step].flat(2)].filter((name) => name in m);
    return names.map((name) => ({ caption: name,
      head: ["", ...m[name][0].map((_, j) => (BETWEEN.includes(name) ? visible(tokens[j]) : String(j)))],
      rows: m[name].map((line, i) => [name.startsWith("W") ? String(i) : visible(tokens[i]),
        ...line.map((x) => written(x, 6))]) }));
  }

  return view.start({ body, draw, tables });
}

export default { render };
