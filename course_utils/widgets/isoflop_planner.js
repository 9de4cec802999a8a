// All arithmetic is done here too, so that a hand that drags never waits; Python says the sentence.

/** A count as Python's `count` says it, 1.25 billion, and a number with three digits that count. */
function digits3(x) {
  if (x < 1e-9) return "0";
  const rounded = Number(x.toPrecision(3));
  return rounded >= 100 ? rounded.toLocaleString("en", { maximumFractionDigits: 0 }) : String(rounded);
}

function inWords(x) {
  for (const [word, size] of [["trillion", 1e12], ["billion", 1e9], ["million", 1e6], ["thousand", 1e3]])
    if (Number(x.toPrecision(3)) >= size) return `${digits3(x / size)} ${word}`;
  return digits3(x);
}

const servedTokens = (served) => (served ? 10 ** served : 0);

/** The loss of each size at a budget, 10 to its power; Infinity where its use alone costs more. */
const lossesOf = ([e, a, b, alpha, beta], sizes, budget, served) => sizes.map((n) => {
  const d = (10 ** budget / n - 2 * servedTokens(served)) / 6;
  return d > 0 ? e + a / n ** alpha + b / Math.max(d, 1e-9) ** beta : Infinity;
});

/** The least FLOPs for which some size reaches the loss. */
const leastPrice = ([e, a, b, alpha, beta], sizes, loss, served) => Math.min(...sizes.map((n) => {
  const left = loss - e - a / n ** alpha;
  return left > 0 ? n * (6 * (b / left) ** (1 / beta) + 2 * servedTokens(served)) : Infinity;
}));

const argmin = (values) => values.reduce((least, value, i) => (value < values[least] ? i : least), 0);

const SPAN = 0.6; // nats from the bottom to the top of the picture

function render(context) {
  const view = viewOf(context, "IsoFLOP planner"), { fixed, state } = view, { low, perDecade, level, currency } = fixed;
  const last = fixed.specs.size.max, sizes = range(last + 1).map((i) => 10 ** (low + i / perDecade));
  const numbers = new Float64Array(bytesOf(fixed.laws).slice().buffer);
  const laws = range(numbers.length / 5).map((i) => [...numbers.slice(5 * i, 5 * i + 5)]), law = laws[0];

  // ---- the parts of the page ----------------------------------------------------------------------

  const power = (e) => `10^${e}`;
  const budget = slider(view, "budget", { redraw, label: "budget", say: (b) => `${power(b)} FLOPs` });
  const served = slider(view, "served", { redraw, label: "tokens to be served",
    say: (s) => (s ? `${inWords(servedTokens(s))} tokens` : "none") });
  const size = slider(view, "size", { redraw, label: "parameters", say: (i) => `${inWords(sizes[i])} parameters` });
  const price = numberField(view, "price", (changes) => { view.ask(changes); redraw(); },
    { step: "any", "aria-label": `price of 10^18 FLOPs, ${currency}` });
  const budgetSays = element("output", { class: "ip-says" }), servedSays = element("output", { class: "ip-says" });
  const plot = element("div", { class: "ip-plot cw-plot", "aria-hidden": "true",
    onpointerdown: point, onpointermove: (event) => plot.hasPointerCapture(event.pointerId) && point(event),
    onpointerup: () => view.ask(), onpointercancel: () => view.ask() });
  const high = element("div", { class: "ip-axis cw-axis", "aria-hidden": "true" });
  const grid = element("div", { class: "cw-scroll" });
  const decades = range((last / perDecade) + 1);

  function point(event) {
    if (event.type === "pointerdown") plot.setPointerCapture(event.pointerId);
    const { left, width } = plot.getBoundingClientRect();
    state.size = Math.round(clamp((event.clientX - left) / width, 0, 1) * last);
    size.value = state.size;
    redraw();
  }

  // ---- drawing ------------------------------------------------------------------------------------

  function found() {
    const losses = lossesOf(law, sizes, state.budget, state.served), best = argmin(losses);
    const bests = laws.map((one) => argmin(lossesOf(one, sizes, state.budget, state.served)));
    const [from, to] = [(1 - level) / 2, (1 + level) / 2].map((q) => Math.round(quantile(bests, q)));
    return { losses, best, from, to };
  }

  const tokensOf = (i) => (10 ** state.budget / sizes[i] - 2 * servedTokens(state.served)) / 6;

  function redraw() {
    const { losses, best, from, to } = found(), x = (i) => (100 * i) / last, bottom = losses[best] - 0.1;
    const y = (loss) => (100 * (bottom + SPAN - loss)) / SPAN;
    const points = (curve) => curve.map((loss, i) => [x(i), y(loss)]).filter(([, height]) => height > -20)
      .map((pair) => pair.join(",")).join(" ");
    const others = [[state.budget - 1, "2 4"], [state.budget + 1, "8 4"]].map(([b, dash]) =>
      svg("polyline", { points: points(lossesOf(law, sizes, b, state.served)), "stroke-dasharray": dash, class: "ip-other" }));
    const seen = losses[state.size] < bottom + SPAN;
    const dot = (i, sign, name) => element("span", { class: `cw-dot ${name}`, style: `left: ${x(i)}%; top: ${y(losses[i])}%` }, sign);
    plot.replaceChildren(
      svg("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none" },
        svg("rect", { class: "ip-band", x: x(from), width: Math.max(x(to) - x(from), 0.3), y: 0, height: 100 }),
        ...range(6).map((i) => svg("line", { class: "ip-line", x1: 0, x2: 100, y1: 100 * i / 6, y2: 100 * i / 6 })),
        ...others, svg("polyline", { points: points(losses), style: "--line: #0072b2" }),
        svg("line", { class: "ip-now", x1: x(state.size), x2: x(state.size), y1: 0, y2: 100 })),
      ...(Number.isFinite(losses[best]) ? [dot(best, "★", "ip-best")] : []),
      ...(seen && state.size !== best ? [dot(state.size, "●", "ip-yours")] : []));
    high.replaceChildren(...(Number.isFinite(bottom) ? range(6).map((i) =>
      element("span", { style: `top: ${100 * i / 6}%` }, (bottom + SPAN - i * SPAN / 6).toFixed(1))) : []));
    budgetSays.textContent = `${power(state.budget)} FLOPs: ${currency}${digits3(10 ** (state.budget - 18) * state.price)}`;
    servedSays.textContent = state.served ? `${inWords(servedTokens(state.served))} tokens` : "none";
    grid.replaceChildren(tableOf({ head: ["", "parameters", "tokens", "tokens a parameter", "loss", "to be had for"],
      rows: rows(losses, best, from, to) }, { class: "ip-grid" }));
  }

  function rows(losses, best, from, to) {
    const row = (name, i, more, had) => {
      const d = tokensOf(i), loss = losses[i];
      return Number.isFinite(loss) ? [name, `${inWords(sizes[i])}${more}`, inWords(d), digits3(d / sizes[i]), loss.toFixed(3), had(loss)]
        : [name, inWords(sizes[i]), "none: the use costs it all", "", "", ""];
    };
    const interval = laws.length > 1 ? ` (${Math.round(100 * level)} %: ${inWords(sizes[from])} to ${inWords(sizes[to])})` : "";
    const share = (loss) => `${Math.round(100 * leastPrice(law, sizes, loss, state.served) / 10 ** state.budget)} % of the budget`;
    return [row("★ best", best, interval, () => "the budget"), row("● yours", state.size, "", share)];
  }

  function tables() {
    const { losses, best, from, to } = found();
    const every = [...new Set([...range(last / 10 + 1).map((i) => 10 * i), best, state.size])].sort((a, b) => a - b);
    return [{ caption: "The best size, and yours", head: ["", "parameters", "tokens", "a parameter", "loss", "to be had for"],
      rows: rows(losses, best, from, to) },
    { caption: `Loss by size at ${power(state.budget)} FLOPs`, head: ["parameters", "tokens", "loss"],
      rows: every.filter((i) => Number.isFinite(losses[i])).map((i) => [inWords(sizes[i]), inWords(tokensOf(i)), losses[i].toFixed(3)]) }];
  }

  return view.start({ draw: redraw, tables, body: [
    element("div", { class: "ip-knobs" },
      field("Budget for training and use", budget), budgetSays,
      field("Tokens to be served", served), servedSays,
      labelled(`Price of 10^18 FLOPs, ${currency}`, price)),
    element("div", { class: "ip-picture" }, high, plot,
      element("div", { class: "ip-under" }, size,
        element("div", { class: "ip-ticks cw-axis", "aria-hidden": "true" }, ...decades.map((i) =>
          element("span", { style: `left: ${100 * i * perDecade / last}%` }, power(low + i)))),
        quiet("Parameters. The solid curve is your budget; dotted, a tenth of it; dashed, ten times as much. The band holds " +
          `the best sizes of ${Math.round(100 * level)} % of the law’s refits; loss in nats a token.`))),
    grid] });
}

export default { render };
