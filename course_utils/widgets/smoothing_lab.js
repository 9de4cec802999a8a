// The kernel counts; every distribution is computed here from the counts, so that dragging never waits.

/**
 * Every smoothing in one form: take something from each count, and hand the sum of it to the order below.
 *   p(token) = (count - taken(count)) / total + (sum of all taken / total) * p(token) at the order below
 * levels: from order 1 up, { tokens, counts, kneser_ney } of what was counted; `counts` names one of the two.
 */
function smoothed(levels, size, counts, taken) {
  let p = new Float64Array(size).fill(1 / size); // below order 1 all tokens are alike
  levels.forEach((level, i) => {
    const total = sum(level[counts]);
    if (total === 0) return; // never counted: the order below answers
    const took = level[counts].map((count) => (count === 0 ? 0 : taken(count, total, i)));
    const passedOn = sum(took) / total;
    p = p.map((below) => passedOn * below);
    level.tokens.forEach((token, j) => { p[token] += (level[counts][j] - took[j]) / total; });
  });
  return p;
}

/** What each method takes from a count. add-k goes straight to the uniform distribution. */
function distribution(method, { levels, weights, discounts, size }, { k, discount }) {
  const longest = levels.slice(-1);
  switch (method) {
    case "mle": return smoothed(longest, size, "counts", () => 0);
    case "add_k": return smoothed(longest, size, "counts", (c, total) => (c * k * size) / (total + k * size));
    case "interpolated": return smoothed(levels, size, "counts", (c, _, i) => (1 - weights[i]) * c);
    case "absolute": return smoothed(levels, size, "counts", () => discount);
    case "kneser_ney": return smoothed(levels, size, "kneser_ney", () => discount);
    case "modified_kneser_ney":
      return smoothed(levels, size, "kneser_ney", (c, _, i) => discounts[i][Math.min(c, 3) - 1]);
  }
}

/** How much of the probability a method moved from where it was counted, and how many tokens lost or gained. */
function moved(p, mle) {
  const found = { taken: 0, losers: 0, unseen: 0, toUnseen: 0, winners: 0, toSeen: 0 };
  mle.forEach((before, i) => {
    const change = p[i] - before;
    if (before === 0) { found.unseen++; found.toUnseen += change; }
    else if (change < -1e-12) { found.losers++; found.taken -= change; }
    else if (change > 1e-12) { found.winners++; found.toSeen += change; }
  });
  return found;
}

// ---- the lab --------------------------------------------------------------------------------------

const STYLES = { // a colour and a dash for each line, and a mark that tells them apart without the colour
  add_k: ["#0072b2", "", "●"], absolute: ["#d55e00", "", "■"], kneser_ney: ["#009e73", "", "▲"],
  interpolated: ["#cc79a7", "6 4", "◆"], modified_kneser_ney: ["#7a7a00", "2 3", "★"],
};
const SETTINGS = {
  k: { sign: "k", what: "added to every count", ticks: [0.001, 0.01, 0.1, 1, 10] },
  discount: { sign: "D", what: "taken from every count", ticks: [0.05, 0.25, 0.5, 0.75, 1] },
};
const SPAN = 1; // bits from the bottom to the top of the curves: what lies higher leaves the picture
const three = (p) => p.toFixed(3);
const HARDLY = 0.0005; // less would be written 0.000

function render(context) {
  const view = viewOf(context, "Smoothing lab"), { fixed, state } = view, { names, settings, instead, unit, specs } = fixed;
  let magnify = 1;

  // ---- the parts of the page --------------------------------------------------------------------

  const text = textArea(view, "context", view.ask, { rows: 1 });
  const order = select(view, "order", view.ask, Object.fromEntries(specs.order.options.map((n) =>
    [n, `${n}: looks at ${plural(n - 1, unit)}`])));
  const tries = Object.entries(fixed.examples).map(([what, example]) =>
    element("button", { type: "button", onclick: () => view.ask({ context: example }) }, `${what}: `, mono(example)));
  const boxes = tickBoxes(view, "methods", (changes) => { view.ask(changes); redraw(); }, mark, names);
  const larger = button("Magnify 10 ×", () => {
    magnify = magnify === 1 ? 10 : 1;
    larger.setAttribute("aria-pressed", String(magnify > 1));
    redraw();
  }, { "aria-pressed": "false" });
  const looksAt = heading();
  const grid = element("div", { class: "cw-scroll", tabindex: "0", role: "region", "aria-label": "The methods side by side" });
  const panels = Object.fromEntries(Object.keys(SETTINGS).map((setting) => [setting, panel(setting)]));

  function key(kind) {
    return element("i", { class: `sl-key sl-${kind}`, role: "img", "aria-label": `(hatched: ${kind})` });
  }
  function mark(method) {
    return element("span", { class: "cw-mark", "aria-hidden": "true", style: `--line: ${STYLES[method][0]}` }, STYLES[method][2]);
  }

  /** A slider under the curve of what the held-out text costs at each of its stops. */
  function panel(setting) {
    const { sign, what, ticks } = SETTINGS[setting], stops = specs[setting].options, last = stops.length - 1;
    const title = heading(), plot = element("div", { class: "sl-plot cw-plot", "aria-hidden": "true" });
    const high = element("span"), low = element("span");
    const knob = slider(view, setting, { label: `${sign}, ${what}`, say: (value) => `${sign} = ${value}`, redraw });
    const root = element("div", { class: "sl-panel" }, title,
      element("div", { class: "sl-axis", "aria-hidden": "true" }, high, low), plot, knob,
      element("div", { class: "sl-ticks cw-axis", "aria-hidden": "true" }, ...ticks.map((tick) => element("span",
        { style: `left: ${(100 * stops.indexOf(tick)) / last}%` }, String(tick)))));
    return { root, title, plot, high, low, sign, what, stops, last };
  }

  // ---- drawing ----------------------------------------------------------------------------------

  /** The numbers of all that is drawn, from the counts and where the sliders stand now. */
  function compute() {
    const data = { ...view.shown, size: fixed.tokens.length }, { counts } = data.levels.at(-1);
    const total = sum(counts);
    const mle = total ? distribution("mle", data, state) : null;
    const methods = state.methods.map((method) => {
      const p = distribution(method, data, state);
      const costs = data.held_out[method], setting = settings[method];
      const bits = costs[setting ? panels[setting].stops.indexOf(state[setting]) : 0];
      return { method, p, bits, setting, moved: mle && moved(p, mle), total: sum(p) };
    });
    return { methods, mle, total, seen: counts.length };
  }

  const over = (p, ids) => ids.reduce((mass, i) => mass + p[i], 0);
  const strength = ({ method, setting }) =>
    setting ? `${SETTINGS[setting].sign} = ${state[setting]}` : instead[method];

  function inWords({ moved: m }) {
    if (!m) return "nothing was counted here, so nothing moved";
    const losers = plural(m.losers, `seen ${unit}`), unseen = plural(m.unseen, "unseen one");
    return m.losers === 0 ? "nothing moved"
      : m.taken < HARDLY ? `under 0.001 moved, from ${losers}`
      : m.toSeen < HARDLY ? `${three(m.taken)} taken from ${losers} and given to ${unseen}`
      : `${three(m.taken)} taken from ${losers}; ${three(m.toSeen)} of it given to ` +
        `${plural(m.winners, "other seen one")}, ${three(m.toUnseen)} to ${unseen}`;
  }

  function redraw() {
    const now = compute();
    drawHeading(now);
    drawGrid(now);
    for (const setting of Object.keys(panels)) drawPanel(setting, now.methods);
  }

  const used = () => (view.shown.used.length ? ["“", ...view.shown.used.flatMap(visible), "”"] : ["nothing"]);

  function drawHeading({ total, seen }) {
    looksAt.replaceChildren(`Order ${state.order} looks at `, element("span", { class: "cw-mono" }, ...used()),
      element("small", {}, total
        ? ` counted ${plural(total, "time")}, with ${plural(seen, `different ${unit}`)} next`
        : " never counted: maximum likelihood has no answer (0 / 0), and there is nothing to take from"));
  }

  function drawGrid({ methods, mle }) {
    if (!methods.length) return grid.replaceChildren(element("p", {}, "Tick a method."));
    const { rows } = view.shown;
    const most = Math.max(...rows.flatMap(({ ids }) => [mle ? over(mle, ids) : 0, ...methods.map(({ p }) => over(p, ids))]));
    const scale = magnify / most;
    const line = (className, head, cell) => element("tr", { class: className },
      element("th", { scope: "row" }, ...head), ...methods.map((m) => element("td", {}, ...cell(m))));
    grid.replaceChildren(element("table", { class: "sl-grid" },
      element("thead", {}, element("tr", {}, element("td", {}), ...methods.map((m) =>
        element("th", { scope: "col" }, mark(m.method), names[m.method], element("small", {}, ` ${strength(m)}`))))),
      ...[["seen", "came after "], ["unseen", "never came after "]].map(([what, title]) => element("tbody", {},
        element("tr", { class: "sl-group" }, element("th", { scope: "rowgroup", colspan: methods.length + 1 }, title, ...used())),
        ...rows.filter((row) => row.what === what).map(({ name, ids, rest }) =>
          line(rest ? "sl-rest" : "sl-token", rest ? [name] : visible(name), ({ p }) =>
            [bar(over(p, ids), mle ? over(mle, ids) : null, scale), element("span", {}, percent(over(p, ids)))])))),
      element("tbody", { class: "sl-sums" },
        line("sl-sum", ["sum of all"], ({ total }) => [three(total)]),
        line("sl-moved", ["moved"], (m) => [inWords(m)]),
        line("sl-cost", ["held-out text"], ({ bits }) =>
          [element("b", {}, `${three(bits)} bits per ${unit}`), ` perplexity ${(2 ** bits).toFixed(2)}`]))));
  }

  /** One probability beside what was counted: kept, then hatched what was taken from it or given to it. */
  function bar(p, before, scale) {
    const kept = before === null ? p : Math.min(p, before);
    const part = (kind, from, to) => element("i",
      { class: `sl-${kind}`, style: `left: ${100 * scale * from}%; width: ${100 * scale * (to - from)}%` });
    const parts = [part("kept", 0, kept)];
    if (before !== null && p < before) parts.push(part("taken", p, before));
    if (before !== null && p > before) parts.push(part("given", before, p));
    if (before) parts.push(part("counted", 0, before));
    const cut = scale * Math.max(p, before ?? 0) > 1.0001;
    return element("span", { class: cut ? "sl-bar sl-cut" : "sl-bar", "aria-hidden": "true" }, ...parts);
  }

  function drawPanel(setting, methods) {
    const { root, title, plot, high, low, sign, what, stops, last } = panels[setting], { held_out } = view.shown;
    const own = methods.filter((m) => m.setting === setting), still = methods.filter((m) => !m.setting);
    root.hidden = !own.length;
    if (root.hidden) return;
    const at = stops.indexOf(state[setting]);
    const bottom = Math.min(...methods.flatMap(({ method }) => held_out[method])) - 0.02;
    const top = Math.min(bottom + SPAN, Math.max(...methods.flatMap(({ method }) => held_out[method])) + 0.02);
    const y = (bits) => (100 * (top - bits)) / (top - bottom);
    const curves = [...own, ...still].map(({ method }) => {
      const costs = held_out[method];
      const points = (costs.length > 1 ? costs : [costs[0], costs[0]])
        .map((bits, i, all) => `${(100 * i) / (all.length - 1)},${y(bits)}`).join(" ");
      const [colour, dash] = STYLES[method];
      return svg("polyline", { points, style: `--line: ${colour}`, "stroke-dasharray": dash });
    });
    const dots = [...own, ...still].map(({ method, bits, setting }) => element("span", { class: "cw-dot cw-mark",
      style: `left: ${setting ? (100 * at) / last : 100}%; top: ${y(bits)}%; --line: ${STYLES[method][0]}`,
      hidden: bits > top }, STYLES[method][2]));
    plot.replaceChildren(
      svg("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none" },
        svg("line", { class: "sl-now", x1: (100 * at) / last, x2: (100 * at) / last, y1: 0, y2: 100 }), ...curves), ...dots);
    high.textContent = `${top.toFixed(2)} bits`;
    low.textContent = `${bottom.toFixed(2)}`;
    title.replaceChildren(`${sign} = ${state[setting]}, ${what}`, ...own.flatMap(({ method, bits }) => {
      const costs = held_out[method], best = costs.indexOf(Math.min(...costs));
      return [element("small", {}, mark(method), ` ${three(bits)} bits per ${unit}, lowest at ${sign} = ${stops[best]}`)];
    }));
  }

  function tables() {
    const { methods, mle } = compute(), { rows } = view.shown;
    const columns = [...(mle ? [["maximum likelihood", mle]] : []), ...methods.map(({ method, p }) => [names[method], p])];
    const digits = (p) => p.toFixed(6);
    return [
      { caption: `Probability of what comes next, order ${state.order}`, head: [`Next ${unit}`, ...columns.map(([name]) => name)],
        rows: [...rows.map(({ name, ids, rest }) =>
          [rest ? name : visible(name), ...columns.map(([, p]) => digits(over(p, ids)))]),
        ["sum of all", ...columns.map(([, p]) => digits(sum(p)))]] },
      { caption: `What each method moves, and what ${fixed.held_out_name} costs`,
        head: ["Method", "Strength", "Moved", `Bits a ${unit}`, "Perplexity"],
        rows: methods.map((m) => [names[m.method], strength(m), inWords(m), three(m.bits), (2 ** m.bits).toFixed(3)]) },
    ];
  }

  return view.start({ draw: redraw, tables, body: [
    line(field("Type any text. What would come next?", text, "cw-wide"), field("Order", order)),
    line("Try one that is", ...tries), view.notice,
    quiet(element("b", {}, "Maximum likelihood"), ` gives each ${unit} its share of the counts, and nothing to a ${unit} that never came. `,
      element("b", {}, "Smoothing"), " takes some of it from what was seen ", key("taken"), " and gives it to what was not ", key("given"),
      ". Add-k shares it out evenly; the others ask shorter contexts. Kneser-Ney asks them in how many different places a ",
      `${unit} came, not how often. `,
      element("b", {}, "Held-out text"), ` (${fixed.held_out_name}) was not counted: the fewer bits it costs, the better the guesses.`),
    element("fieldset", { class: "sl-methods cw-line" }, element("legend", {}, "Methods"), ...boxes, larger),
    looksAt, grid, element("div", { class: "sl-panels" }, ...Object.values(panels).map(({ root }) => root))] });
}

export default { render };
