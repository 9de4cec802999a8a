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

function render({ model, el }) {
  const { names, length, looks, biases, decades, norms } = model.get("shown");
  const all = new Float32Array(norms.buffer.slice(norms.byteOffset, norms.byteOffset + norms.byteLength));
  const curves = names.map((_, i) => all.slice(i * length, (i + 1) * length));
  const last = length - 1;
  const state = {};

  // ---- the parts of the page ----------------------------------------------------------------------

  const plot = element("div", { class: "gh-plot", "aria-hidden": "true",
    onpointerdown: point, onpointermove: (event) => event.buttons && point(event), onpointerup: () => ask() });
  const high = element("div", { class: "gh-axis", "aria-hidden": "true" });
  const distance = slider(0, last, "how many steps back", () => { state.distance = Number(distance.value); });
  const bias = slider(0, biases.length - 1, "forget bias of the bare product", () => { state.bias = biases[bias.value]; });
  const at = element("output", {}), keeps = element("output", { class: "gh-quiet" });
  const boxes = names.map(() => element("input", { type: "checkbox", onchange: () => {
    state.curves = names.filter((_, i) => boxes[i].checked);
    redraw();
    ask();
  } }));
  const cells = names.map(() => [element("td", {}), element("td", {})]);
  const dashed = [element("td", {}), element("td", {})];
  const head = element("th", { scope: "col" });
  const mark = (i) => element("span", { class: "gh-mark", "aria-hidden": "true", style: `--line: ${looks[i][0]}` }, looks[i][1]);
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => Math.round(share * last));
  const body = element("div", { class: "gh" },
    element("p", { class: "gh-quiet" }, element("b", {}, "Gradient:"), " how much the loss at the last byte changes with what was " +
      "read k steps before, beside the last byte itself. Where it is nothing, nothing is learnt from so far back. ",
    element("b", {}, "Log scale:"), " each line of the grid is ten times less."),
    element("div", { class: "gh-picture" }, high, plot,
      element("div", { class: "gh-under" }, distance,
        element("div", { class: "gh-ticks", "aria-hidden": "true" }, ...ticks.map((tick) =>
          element("span", { style: `left: ${(100 * tick) / last}%` }, String(tick)))))),
    element("label", { class: "gh-at" }, "Steps back: ", at),
    element("table", { class: "gh-grid" },
      element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "Curve"), head, element("th", { scope: "col" }, "its weight"))),
      element("tbody", {}, ...names.map((name, i) => element("tr", {}, element("th", { scope: "row" },
        element("label", { class: "gh-box" }, boxes[i], mark(i), name)), ...cells[i])),
      element("tr", {}, element("th", { scope: "row" }, element("span", { class: "gh-box" },
        element("i", { class: "gh-dash", "aria-hidden": "true" }), "the forget gate alone")), ...dashed))),
    element("label", { class: "gh-bias" }, element("span", {}, "Forget bias b of the forget gate alone"), bias, keeps));

  const view = frame({ model, el, label: "Gradient horizon", body, draw, tables });

  function slider(min, max, label, moved) {
    return element("input", { type: "range", min, max, step: 1, "aria-label": label,
      oninput: () => { moved(); redraw(); }, onchange: () => ask() });
  }

  const ask = () => view.ask({ ...state });

  function point(event) {
    if (event.type === "pointerdown") plot.setPointerCapture(event.pointerId);
    const { left, width } = plot.getBoundingClientRect();
    state.distance = Math.round(Math.min(Math.max((event.clientX - left) / width, 0), 1) * last);
    redraw();
  }

  // ---- drawing ------------------------------------------------------------------------------------

  function draw(shown, mine) {
    if (mine) return; // what it says was asked from here, and the hand may have moved on
    Object.assign(state, { distance: shown.distance, curves: [...shown.curves], bias: shown.bias });
    redraw();
  }

  const weight = (i, k) => curves[i][k] / curves[i][0];

  function redraw() {
    const { distance: k, bias: b } = state;
    const chosen = names.map((name) => state.curves.includes(name));
    const steps = Array.from({ length }, (_, step) => step);
    const lines = [...names.map((_, i) => steps.map((step) => weight(i, step))).filter((_, i) => chosen[i]),
      steps.map((step) => product(b, step))];
    const positive = lines.flat().filter((share) => share > 0);
    const top = Math.max(0, Math.ceil(Math.log10(Math.max(...positive))));
    const bottom = Math.max(-decades, Math.min(top - 1, Math.floor(Math.log10(Math.min(...positive)))));
    const y = (share) => (100 * (top - Math.log10(share))) / (top - bottom);
    // what is 0 or too little for the picture ends the line, and never comes back in it
    const points = (line) => line.map((share, step) => [(100 * step) / last, share > 0 ? y(share) : Infinity])
      .filter(([, height]) => height <= 100.01).map((pair) => pair.join(",")).join(" ");
    const shown = names.map((_, i) => i).filter((i) => chosen[i]);
    const every = Math.ceil((top - bottom) / 6);
    const grid = Array.from({ length: top - bottom + 1 }, (_, i) => bottom + i);
    plot.replaceChildren(
      svg("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none" },
        ...grid.map((e) => svg("line", { class: "gh-line", x1: 0, x2: 100, y1: y(10 ** e), y2: y(10 ** e) })),
        svg("line", { class: "gh-now", x1: (100 * k) / last, x2: (100 * k) / last, y1: 0, y2: 100 }),
        ...shown.map((i, at) => svg("polyline", { points: points(lines[at]), style: `--line: ${looks[i][0]}` })),
        svg("polyline", { class: "gh-product", points: points(lines.at(-1)) })),
      ...shown.filter((i) => weight(i, k) > 0 && y(weight(i, k)) <= 100).map((i) => element("span", { class: "gh-dot",
        style: `left: ${(100 * k) / last}%; top: ${y(weight(i, k))}%; --line: ${looks[i][0]}` }, looks[i][1])));
    high.replaceChildren(...grid.filter((e) => e % every === 0).map((e) =>
      element("span", { style: `top: ${y(10 ** e)}%` }, ...power(e))));

    distance.value = k;
    distance.setAttribute("aria-valuetext", `${k} steps back`);
    bias.value = biases.indexOf(b);
    bias.setAttribute("aria-valuetext", `bias ${b}`);
    at.textContent = String(k);
    head.textContent = `gradient ${k} step${k === 1 ? "" : "s"} back`;
    names.forEach((_, i) => {
      boxes[i].checked = chosen[i];
      cells[i][0].replaceChildren(...scientific(curves[i][k]));
      cells[i][1].textContent = ofTheLast(weight(i, k));
    });
    const kept = sigmoid(b);
    dashed[0].textContent = `σ(b)ᵏ = ${kept.toFixed(2)} to the power of ${k}`;
    dashed[1].textContent = ofTheLast(product(b, k));
    keeps.textContent = `b = ${minus(b)}: the gate stands at σ(b) = ${kept.toFixed(3)}, so a gradient halves every ` +
      `${(Math.log(0.5) / Math.log(kept)).toFixed(1)} steps.`;
  }

  function tables() {
    const every = [...new Set([0, 1, 2, 3, 5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000, state.distance, last])]
      .filter((k) => k <= last).sort((a, b) => a - b);
    return [{ caption: "Weight of a byte k steps back, beside the last byte’s",
      head: ["k", ...names, `σ(${minus(state.bias)})ᵏ`],
      rows: every.map((k) => [String(k), ...[...names.map((_, i) => weight(i, k)), product(state.bias, k)].map((share) =>
        share === 0 ? "0" : share.toPrecision(3))]) }];
  }

  view.update();
  return view.close;
}

export default { render };
