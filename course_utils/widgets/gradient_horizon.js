// The norms come from the kernel; weights, the bare product and the picture are computed here.

const sigmoid = (z) => 1 / (1 + Math.exp(-z));

/** What is left along a cell after k steps, if its forget gate always stands at sigmoid(bias). */
const product = (bias, k) => sigmoid(bias) ** k;

/** A share as a fraction that can be taken in; the same as in Python. */
function beside(share) {
  if (share === 0) return "0";
  if (share > 1) return share.toFixed(1);
  if (share < 1e-9) return "under 1/1,000,000,000";
  const inverse = 1 / share;
  return `1/${inverse < 9.95 ? inverse.toFixed(1) : grouped(Number(inverse.toPrecision(2)))}`;
}

const ofTheLast = (share) => `${beside(share)} ${share > 0 && share <= 1 ? "of" : "times"} the last byte’s`;

const minus = (b) => String(b).replace("-", "−");
const power = (e) => (e === 0 ? ["1"] : ["10", element("sup", {}, minus(e))]);

function scientific(x) {
  if (x === 0) return ["0"];
  const [digits, exponent] = x.toExponential(1).split("e").map(Number);
  return [`${digits.toFixed(1)} · `, ...power(exponent).filter((part) => part !== "1"), ...(exponent === 0 ? ["1"] : [])];
}

function render(context) {
  const view = viewOf(context, "Gradient horizon"), { fixed, state } = view, { looks, decades } = fixed;
  const names = fixed.specs.curves.options, last = fixed.specs.distance.max, length = last + 1;
  const all = floatsOf(fixed.norms), curves = names.map((_, i) => all.slice(i * length, (i + 1) * length));
  const weight = (i, k) => curves[i][k] / curves[i][0];

  // ---- the parts of the page ----------------------------------------------------------------------

  const distance = slider(view, "distance", { redraw, label: "how many steps back", say: (k) => `${k} steps back` });
  const bias = slider(view, "bias", { redraw, label: "forget bias of the bare product", say: (b) => `bias ${b}` });
  const plot = element("div", { class: "gh-plot cw-plot", "aria-hidden": "true",
    onpointerdown: point, onpointermove: (event) => plot.hasPointerCapture(event.pointerId) && point(event),
    onpointerup: () => view.ask(), onpointercancel: () => view.ask() });
  const high = element("div", { class: "gh-axis cw-axis", "aria-hidden": "true" });
  const at = element("span", {}), keeps = element("span", { class: "cw-quiet" });
  const mark = ([colour, sign]) => element("span", { class: "cw-mark", "aria-hidden": "true", style: `--line: ${colour}` }, sign);
  const boxes = tickBoxes(view, "curves", ask, (name) => mark(looks[names.indexOf(name)]));
  const dash = element("span", { class: "cw-box" }, element("i", { class: "gh-dash", "aria-hidden": "true" }), "the forget gate alone");
  const grid = element("div", { class: "cw-scroll" });
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => Math.round(share * last));

  function point(event) {
    if (event.type === "pointerdown") plot.setPointerCapture(event.pointerId);
    const { left, width } = plot.getBoundingClientRect();
    state.distance = Math.round(clamp((event.clientX - left) / width, 0, 1) * last);
    distance.value = state.distance;
    redraw();
  }

  function ask(changes) {
    view.ask(changes);
    redraw();
  }

  // ---- drawing ------------------------------------------------------------------------------------

  function redraw() {
    const { distance: k, bias: b } = state;
    const shown = range(names.length).filter((i) => state.curves.includes(names[i]));
    const lines = [...shown.map((i) => range(length).map((step) => weight(i, step))), range(length).map((step) => product(b, step))];
    const positive = lines.flat().filter((share) => share > 0);
    const top = Math.max(0, Math.ceil(Math.log10(Math.max(...positive))));
    const bottom = Math.max(-decades, Math.min(top - 1, Math.floor(Math.log10(Math.min(...positive)))));
    const y = (share) => (100 * (top - Math.log10(share))) / (top - bottom), x = (step) => (100 * step) / last;
    // what is 0 or too little for the picture ends the line, and never comes back in it
    const points = (line) => line.map((share, step) => [x(step), share > 0 ? y(share) : Infinity])
      .filter(([, height]) => height <= 100.01).map((pair) => pair.join(",")).join(" ");
    const every = Math.ceil((top - bottom) / 6), decadeLines = range(top - bottom + 1).map((i) => bottom + i);
    plot.replaceChildren(
      svg("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none" },
        ...decadeLines.map((e) => svg("line", { class: "gh-line", x1: 0, x2: 100, y1: y(10 ** e), y2: y(10 ** e) })),
        svg("line", { class: "gh-now", x1: x(k), x2: x(k), y1: 0, y2: 100 }),
        ...shown.map((i, at) => svg("polyline", { points: points(lines[at]), style: `--line: ${looks[i][0]}` })),
        svg("polyline", { class: "gh-product", points: points(lines.at(-1)) })),
      ...shown.filter((i) => weight(i, k) > 0 && y(weight(i, k)) <= 100).map((i) => element("span", { class: "gh-dot cw-dot cw-mark",
        style: `left: ${x(k)}%; top: ${y(weight(i, k))}%; --line: ${looks[i][0]}` }, looks[i][1])));
    high.replaceChildren(...decadeLines.filter((e) => e % every === 0).map((e) =>
      element("span", { style: `top: ${y(10 ** e)}%` }, ...power(e))));
    at.textContent = String(k);
    const kept = sigmoid(b);
    const rows = names.map((_, i) => [boxes[i], scientific(curves[i][k]), ofTheLast(weight(i, k))]);
    rows.push([dash, `σ(b)ᵏ = ${kept.toFixed(3)} to the power of ${k}`, ofTheLast(product(b, k))]);
    drawGrid(`gradient ${plural(k, "step")} back`, rows);
    keeps.textContent = `b = ${minus(b)}: the gate stands at σ(b) = ${kept.toFixed(3)}, so a gradient halves every ` +
      `${(Math.log(0.5) / Math.log(kept)).toFixed(1)} steps.`;
  }

  /** The boxes stay where they are: one that moved in the page would lose the keyboard. */
  function drawGrid(name, rows) {
    if (!grid.firstChild) grid.append(tableOf({ head: ["Curve", "", "its weight"], rows }, { class: "gh-grid" }));
    const cells = [...grid.querySelectorAll("tr")].map((row) => [...row.children]);
    cells[0][1].textContent = name;
    rows.forEach((row, i) => [1, 2].forEach((j) => cells[i + 1][j].replaceChildren(...[row[j]].flat())));
  }

  function tables() {
    const every = [...new Set([0, 1, 2, 3, 5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000, state.distance, last])]
      .filter((k) => k <= last).sort((a, b) => a - b);
    return [{ caption: "Weight of a byte k steps back, beside the last byte’s",
      head: ["k", ...names, `σ(${minus(state.bias)})ᵏ`],
      rows: every.map((k) => [String(k), ...[...names.map((_, i) => weight(i, k)), product(state.bias, k)].map((share) =>
        share === 0 ? "0" : share.toPrecision(3))]) }];
  }

  return view.start({ draw: redraw, tables, body: [
    quiet(element("b", {}, "Gradient:"), " how much the loss at the last byte changes with what was read k steps before, beside " +
      "the last byte itself. Where it is nothing, nothing is learnt from so far back. ",
    element("b", {}, "Log scale:"), " each line of the grid is ten times less."),
    element("div", { class: "gh-picture" }, high, plot,
      element("div", { class: "gh-under" }, distance,
        element("div", { class: "gh-ticks cw-axis", "aria-hidden": "true" }, ...ticks.map((tick) =>
          element("span", { style: `left: ${(100 * tick) / last}%` }, String(tick)))))),
    element("label", { class: "gh-at" }, "Steps back: ", at), grid,
    element("label", { class: "gh-bias" }, element("span", {}, "Forget bias b of the forget gate alone"), bias, keeps)] });
}

export default { render };
