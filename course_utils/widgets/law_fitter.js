// The fit is made here too, so that a hand that drags a point never waits; Python says the sentence.

const mean = (values) => sum(values) / values.length;

/** [floor, factor, exponent] of the best law through points, x as logarithms: as in Python. */
function fitLaw(x, loss, withFloor, floors) {
  const least = Math.min(...loss), middle = mean(x), apart = x.map((one) => one - middle);
  const square = apart.reduce((sum, one) => sum + one * one, 0);
  let best = [Infinity];
  for (const tried of withFloor ? range(floors).map((i) => (least * i) / floors) : [0]) {
    const y = loss.map((one) => Math.log(one - tried));
    const slope = y.reduce((sum, one, i) => sum + one * apart[i], 0) / square, height = mean(y) - slope * middle;
    const misses = y.reduce((sum, one, i) => sum + (one - height - slope * x[i]) ** 2, 0);
    if (misses < best[0]) best = [misses, tried, Math.exp(height), -slope];
  }
  return best.slice(1);
}

const lawAt = ([floor, factor, exponent], x) => floor + factor * x ** -exponent;

/** The law of the points that are left in, and the intervals of its refits to points drawn with replacement. */
function fitted({ x, losses, out, floor, draws, floors, at, level }) {
  const left = range(x.length).filter((i) => !out.includes(i)), logs = left.map((i) => Math.log(x[i]));
  const loss = left.map((i) => losses[i]), law = fitLaw(logs, loss, floor, floors), laws = [];
  for (let row = 0; row < draws.length; row += x.length) {
    const drawn = left.map((_, i) => Math.floor(draws[row + i] * left.length));
    if (new Set(drawn.map((i) => logs[i])).size >= 3)
      laws.push(fitLaw(drawn.map((i) => logs[i]), drawn.map((i) => loss[i]), floor, floors));
  }
  const interval = (values) => [(1 - level) / 2, (1 + level) / 2].map((q) => quantile(values, q));
  return { law, there: lawAt(law, at), floor: interval(laws.map((one) => one[0])),
    exponent: interval(laws.map((one) => one[2])), range: interval(laws.map((one) => lawAt(one, at))) };
}

function render(context) {
  const view = viewOf(context, "Law fitter"), { fixed, state } = view, { x, first, at, name, truth } = fixed;
  const draws = floatsOf(fixed.draws), { min, max } = { min: Math.min(...first) / 2, max: Math.max(...first) * 2 };
  /** What follows from the points that are left in, null where they are too few. */
  function find() {
    const left = x.filter((_, i) => !state.out.includes(i));
    return left.length >= 4 && new Set(left).size >= 3 ? fitted({ ...fixed, ...state, draws }) : null;
  }
  const [low, high] = [Math.log(x[0]) - 0.3, Math.log(at) + 0.3], [bottom, top] = [0.55 * Math.min(...first), 1.12 * Math.max(...first)];
  const across = (value) => (100 * (Math.log(value) - low)) / (high - low);
  const up = (loss) => (100 * Math.log(top / loss)) / Math.log(top / bottom);
  let held = false;

  // ---- the parts of the page ----------------------------------------------------------------------

  const dots = x.map((_, i) => element("span", { class: "lf-point", role: "option" }));
  const marks = element("div", { class: "lf-points", role: "listbox", "aria-label": "the points" }, ...dots);
  const curve = element("div", { "aria-hidden": "true" });
  const plot = element("div", { class: "lf-plot cw-plot", onpointermove: drag, onpointerup: drop, onpointercancel: drop }, curve, marks);
  const axis = element("div", { class: "cw-axis lf-axis", "aria-hidden": "true" });
  const under = element("div", { class: "cw-axis lf-under", "aria-hidden": "true" });
  const rest = element("div", { class: "lf-rest cw-plot", "aria-hidden": "true" });
  const height = element("input", { type: "range", class: "cw-slider", min: 0, max: 1000, step: 1, "aria-label": "loss of the chosen point",
    oninput: () => move(min * (max / min) ** (height.value / 1000)), onchange: () => view.ask() });
  const outBox = tickBox("leave this point out", (ticked) => ask({ out: ticked ? [...state.out, state.point].sort((a, b) => a - b)
    : state.out.filter((i) => i !== state.point) }));
  const floorBox = tickBox("a law with a floor", (ticked) => ask({ floor: ticked }));
  const back = button("Put all back", () => ask({ losses: [...first], out: [] }));
  const tell = button("What came there?", () => ask({ told: true }), { hidden: truth === null });
  const chosen = element("output", {}), says = element("div", { class: "cw-scroll" });
  view.follow("floor", (on) => { floorBox.input.checked = on; });
  chooser(marks, { items: () => dots, current: () => state.point, choose: (i) => { if (i !== state.point) ask({ point: i }); } });
  marks.addEventListener("pointerdown", (event) => {
    const i = dots.findIndex((dot) => dot.contains(event.target));
    if (i < 0) return;
    held = true;
    plot.setPointerCapture(event.pointerId);
    ask({ point: i });
  });

  function drag(event) {
    if (!held || !event.buttons) return;
    const { top: edge, height: all } = plot.getBoundingClientRect();
    move(top * (bottom / top) ** clamp((event.clientY - edge) / all, 0, 1));
  }

  function drop() {
    if (held) view.ask();
    held = false;
  }

  function move(loss) {
    state.losses = state.losses.map((one, i) => (i === state.point ? clamp(loss, min, max) : one));
    redraw();
  }

  function ask(changes) {
    view.ask(changes);
    redraw();
  }

  // ---- drawing ------------------------------------------------------------------------------------

  function redraw() {
    const found = find();
    const grid = range(60).map((i) => Math.exp(Math.log(x[0]) + (i / 59) * Math.log(at / x[0])));
    const line = found ? [svg("polyline", { style: "--line: #0072b2",
      points: grid.map((value) => `${across(value)},${up(lawAt(found.law, value))}`).join(" ") }),
    svg("line", { class: "lf-range", x1: across(at), x2: across(at), y1: up(found.range[0]), y2: up(found.range[1]) })] : [];
    const known = truth !== null && state.told ? [element("span", { class: "cw-dot", style: `left: ${across(at)}%; top: ${up(truth)}%` }, "★")] : [];
    curve.replaceChildren(svg("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none" },
      ...range(5).map((i) => svg("line", { class: "lf-line", x1: 0, x2: 100, y1: 25 * i, y2: 25 * i })), ...line),
    ...(found ? [element("span", { class: "cw-dot lf-there", style: `left: ${across(at)}%; top: ${clamp(up(found.there), 0, 100)}%` }, "◆")] : []), ...known);
    dots.forEach((dot, i) => {
      dot.style.left = `${across(x[i])}%`;
      dot.style.top = `${clamp(up(state.losses[i]), 0, 100)}%`;
      dot.textContent = state.out.includes(i) ? "✕" : "●";
      dot.setAttribute("aria-label", `${name} ${amount(x[i])}, loss ${state.losses[i].toFixed(3)}${state.out.includes(i) ? ", left out" : ""}`);
    });
    markChosen(marks, dots, state.point);
    axis.replaceChildren(...range(5).map((i) => element("span", { style: `top: ${25 * i}%` }, (top * (bottom / top) ** (i / 4)).toFixed(2))));
    under.replaceChildren(...[x[0], x.at(-1), at].map((value) => element("span", { style: `left: ${across(value)}%` }, amount(value))));
    drawRest(found);
    const value = state.losses[state.point];
    if (document.activeElement !== height || Math.abs(min * (max / min) ** (height.value / 1000) / value - 1) > 0.01)
      height.value = Math.round((1000 * Math.log(value / min)) / Math.log(max / min));
    height.setAttribute("aria-valuetext", value.toFixed(3));
    outBox.input.checked = state.out.includes(state.point);
    chosen.textContent = `${name} ${amount(x[state.point])}: loss ${value.toFixed(3)}`;
    setIdle(tell, state.told);
    says.replaceChildren(tableOf({ head: ["", "the law", `${Math.round(100 * fixed.level)} % of its refits`], rows: rows(found) }, { class: "lf-grid" }));
  }

  const amount = (value) => Number(value.toPrecision(3)).toLocaleString("en");
  const off = (law, i) => 100 * (state.losses[i] / lawAt(law, x[i]) - 1);

  function drawRest(found) {
    const misses = found ? x.map((_, i) => off(found.law, i)) : [], most = Math.max(1, ...misses.map(Math.abs));
    rest.replaceChildren(svg("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none" },
      svg("line", { class: "lf-zero", x1: 0, x2: 100, y1: 50, y2: 50 }),
      ...misses.map((miss, i) => svg("line", { class: state.out.includes(i) ? "lf-out" : "lf-miss", x1: across(x[i]), x2: across(x[i]), y1: 50, y2: 50 - (45 * miss) / most }))),
    element("span", { class: "lf-most" }, `residuals, up to ${most.toFixed(1)} %`));
  }

  function rows(found) {
    if (!found) return [["too few points are left", "", ""]];
    const span = ([from, to], digits) => `${from.toFixed(digits)} to ${to.toFixed(digits)}`;
    return [...(state.floor ? [["floor", found.law[0].toFixed(2), span(found.floor, 2)]] : []),
      ["exponent", found.law[2].toFixed(3), span(found.exponent, 3)],
      [`loss at ${name} ${amount(at)} ◆`, found.there.toFixed(3), span(found.range, 3)],
      ...(state.told && truth !== null ? [["what came there ★", truth.toFixed(3), ""]] : [])];
  }

  function tables() {
    const found = find();
    return [{ caption: "The law", head: ["", "the law", "of its refits"], rows: rows(found) },
      { caption: "The points", head: [name, "loss", "off the law", ""], rows: x.map((value, i) => [amount(value), state.losses[i].toFixed(3),
        found ? `${signed(off(found.law, i), 1)} %` : "", state.out.includes(i) ? "left out" : ""]) }];
  }

  return view.start({ draw: redraw, tables, body: [
    line(floorBox.label, back, tell),
    element("div", { class: "lf-picture" }, axis, plot, rest, under),
    line(chosen, outBox.label, height), says] });
}

export default { render };
