// The kernel sends the logits once a prompt. All that follows from them, the draws too, is computed here; the
// kernel is told afterwards, for the sentence, and asked for the logits after another prompt.

const ROWS = 20; // tokens with a bar of their own

const left = ({ lo, hi }) => hi - lo;
const bits = (race) => entropy(race) / Math.LN2;

function render(context) {
  const view = viewOf(context, "Sampling lab"), { fixed, state } = view, { size, prompts, settings } = fixed;
  const mostDraws = fixed.specs.n.max;
  const names = new Map((fixed.names ?? []).entries()); // id → text, of the tokens that the kernel has named; a book names all
  let steps = []; // the samplers as the hand has set them; the kernel hears of them when it lets go
  let leftOut = []; // names of those that can't be taken
  let byAfter = false; // whether the bars are of the likeliest after
  let fresh = null, raw, beforeById, counts; // of the prompt in view
  let seen = [], wanted = ""; // ids in view, and those whose names were asked for last

  // ---- the parts of the page --------------------------------------------------------------------

  const prompt = textArea(view, "prompt", send);
  const choice = element("select", { onchange: () => { if (choice.value !== "") send({ prompt: prompts[choice.value] }); } },
    ...prompts.map((text, i) => element("option", { value: i }, text.length > 60 ? `${text.slice(0, 59)}…` : text)),
    element("option", { value: "" }, "your own"));
  view.follow("prompt", (text) => { choice.value = prompts.includes(text) ? prompts.indexOf(text) : ""; });
  const list = stepsPart(settings, { steps: () => steps, changed: redraw, done: () => ask() });
  const title = heading();
  const spread = element("table", { class: "sa-plain" });
  const order = element("select", { onchange: () => { byAfter = order.value === "after"; redraw(); } },
    ...options({ before: "likeliest before", after: "likeliest after" }));
  const rows = Array.from({ length: ROWS + 1 }, rowPart);
  const column = (name) => element("th", { scope: "col" }, name);
  const bars = element("table", { class: "sa-plain sa-bars" },
    element("thead", {}, element("tr", {}, column("token"), element("td", {}), ...["before", "after", "drawn / expected"].map(column))),
    element("tbody", {}, ...rows.map(({ root }) => root)));
  const drawButton = (n) => button(`Draw ${grouped(n)}`, () => ask({ n: Math.min(state.n + n, mostDraws) }));
  const seed = numberBox("Seed of the draws", { now: () => state.seed, done: () => ask(), take(value) {
    const { max } = fixed.specs.seed;
    if (!Number.isInteger(value) || value < 0 || value > max) return `a seed is a whole number from 0 to ${max}`;
    state.seed = value;
    redraw();
  } });
  const drawn = quiet();
  const curve = curvePart(size);
  const key = (kind) => element("i", { class: `sa-key sa-${kind}`, "aria-hidden": "true" });

  /** A token: its name, its bars, and its numbers. */
  function rowPart() {
    const name = element("th", { scope: "row" });
    const [after, before, drawn] = ["after", "before", "drawn"].map((kind) => element("i", { class: `sa-${kind}` }));
    const cells = Array.from({ length: 3 }, () => element("td", {}));
    const root = element("tr", {}, name, element("td", { class: "sa-bar", "aria-hidden": "true" },
      element("span", {}, after, before, drawn)), ...cells);
    return { root, name, after, before, drawn, cells };
  }

  // ---- asking -------------------------------------------------------------------------------------

  function ask(changes = {}) {
    Object.assign(state, changes);
    drawAll();
    send();
  }

  /** A step that is left out is none for the kernel: it would refuse it. */
  function send(changes = {}) {
    wanted = String(unnamed());
    view.ask({ ...changes, names: unnamed(), steps: steps.map((step) => ({ ...step, on: step.on && !leftOut.includes(step.name) })) });
  }

  const unnamed = () => seen.filter((id) => !names.has(id));

  // ---- what the kernel says -----------------------------------------------------------------------

  function draw({ isReply, isLast }) {
    if (view.model.get("fresh") !== fresh) load();
    view.shown.named.forEach(([id, text]) => names.set(id, text));
    // a prompt that is refused stays in its field, and the samplers go on with the one before
    if (isReply && isLast && view.shown.problem) state.prompt = view.shown.prompt;
    if (!isReply) {
      steps = state.steps.map((step) => ({ ...step }));
      list.arrange();
    }
    redraw();
  }

  function load() {
    fresh = view.model.get("fresh");
    raw = raceOf(floatsOf(fresh.logits));
    beforeById = byId(raw);
    counts = new Uint32Array(size);
    fresh.counts.forEach(([id, n]) => { counts[id] = n; });
    fresh.names.forEach(([id, text]) => names.set(id, text));
  }

  /** The probability of every token of the vocabulary. */
  function byId(race) {
    const all = new Float64Array(size);
    for (let i = race.lo; i < race.hi; i++) all[race.ids[i]] = probability(race, i);
    return all;
  }

  // ---- drawing ------------------------------------------------------------------------------------

  /** All numbers that are drawn, from the logits and the state. */
  function compute() {
    let race = raw;
    const taken = steps.map((step) => {
      const from = race, to = step.on ? SAMPLERS[step.name](from, step.value, counts) : from;
      const overflows = !Number.isFinite(to.logits[to.hi - 1]); // of a penalty that is too strong for float32
      if (!overflows) race = to;
      return { ...step, overflows, from, to: race };
    });
    const tally = new Map(), places = draws(race, state.n, state.seed);
    for (const place of places) tally.set(place, (tally.get(place) ?? 0) + 1);
    const { ids, lo, hi } = byAfter ? race : raw;
    return { race, taken, tally, rows: inRows(race, [...ids.subarray(Math.max(lo, hi - ROWS), hi)].reverse(), tally),
      last: state.n ? race.ids[places.at(-1)] : null };
  }

  /** Of these tokens, and of all others together: probability before and after, and how often drawn. */
  function inRows(race, tokens, tally) {
    const afterById = byId(race), times = new Map([...tally].map(([place, n]) => [race.ids[place], n]));
    const own = tokens.map((id) => ({ id, before: beforeById[id], after: afterById[id], times: times.get(id) ?? 0 }));
    const total = (name) => own.reduce((sum, row) => sum + row[name], 0);
    // where no other token is left, 1 − 1 may leave a trace of rounding
    const rest = (name, n) => (own.filter((row) => row[name] > 0).length < n ? Math.max(0, 1 - total(name)) : 0);
    const others = size - own.length;
    return others === 0 ? own : [...own, { others, before: rest("before", left(raw)), after: rest("after", left(race)),
      times: state.n - total("times") }];
  }

  function redraw() {
    drawAll();
    if (unnamed().length && String(unnamed()) !== wanted) send();
  }

  function drawAll() {
    const now = compute();
    leftOut = now.taken.filter(({ overflows }) => overflows).map(({ name }) => name);
    list.draw(Object.fromEntries(now.taken.map((step) => [step.name, step.on ? inWords(step) : ""])));
    seed.draw();
    drawSpread(now.race);
    drawBars(now);
    curve.draw({ raw, race: now.race, tally: now.tally, n: state.n, steps: now.taken.filter(({ on }) => on)
      .map(({ name, value, to }) => ({ name: `${settings[name].label} ${value}`, race: to })) });
    seen = now.rows.filter(({ id }) => id !== undefined).map(({ id }) => id).concat(now.last ?? []);
  }

  /** What a step leaves. */
  function inWords({ name, value, overflows, from, to }) {
    if (overflows) return "this makes a logit infinite, so the step is left out; take a weaker penalty";
    const used = name === "top_k" ? clamp(value, 1, size) : value;
    const notice = used === value ? "" : `k is from 1 to ${grouped(size)}; got ${value}: ${grouped(used)} is used; `;
    if (name === "temperature" && left(to) < left(from)) return "greedy, the likeliest alone is left, however often you draw";
    if (left(to) < left(from)) return `${notice}${plural(left(to), "token")} left, with ${percent(massLeft(from, to))} of the probability`;
    return `${notice}${left(to) === 1 ? "the 1 token stays" : `all ${grouped(left(to))} stay`}` +
      (["temperature", "repetition_penalty", "frequency_penalty"].includes(name)
        ? `, entropy ${bits(from).toFixed(2)} → ${bits(to).toFixed(2)} bits` : "");
  }

  const massLeft = (from, to) => cut(from, to.lo, to.hi).total / from.total;

  const measures = (race) => [["before", raw], ["after", race]].map(([name, race]) =>
    [name, grouped(left(race)), bits(race).toFixed(2), grouped(Number((2 ** bits(race)).toPrecision(4)))]);
  const MEASURED = ["", "tokens", "entropy in bits", "perplexity"];

  function drawSpread(race) {
    title.replaceChildren("Next token after ", element("span", { class: "cw-mono" }, "“", ...visible(fresh.prompt.slice(-80)), "”"));
    spread.replaceChildren(...[MEASURED, ...measures(race)].map((cells) => element("tr", {}, ...cells.map((cell) => element("td", {}, cell)))));
  }

  const named = (id) => (names.has(id) ? visible(names.get(id)) : [`token ${grouped(id)}`]);

  function drawBars({ rows: all, last, tally }) {
    const most = Math.max(...all.map((row) => Math.max(row.before, row.after)));
    const across = (share) => `${Math.min(100, (100 * share) / most)}%`;
    rows.forEach(({ root, name, before, after, drawn, cells }, i) => {
      const row = all[i];
      root.hidden = !row;
      if (!row) return;
      root.className = row.others ? "sa-others" : "";
      name.replaceChildren(...(row.others ? [`the other ${plural(row.others, "token")}`] : named(row.id)));
      before.style.width = across(row.before);
      after.style.width = across(row.after);
      drawn.hidden = !row.times;
      drawn.style.left = across(row.times / state.n);
      const words = [percent(row.before), row.after ? percent(row.after) : "out",
        state.n ? `${grouped(row.times)} / ${grouped(Number((state.n * row.after).toFixed(1)))}` : ""];
      cells.forEach((cell, at) => { cell.textContent = words[at]; });
    });
    drawn.replaceChildren(...(!state.n ? ["Nothing is drawn yet."] : [
      `${plural(state.n, "draw")} with seed ${state.seed}${state.n === mostDraws ? ", the most there are" : ""}: ` +
        `${plural(tally.size, "different token")}. The last: `, element("b", { class: "cw-mono" }, ...named(last)), "."]));
  }

  // ---- the table ------------------------------------------------------------------------------------

  function tables() {
    const { rows, race, taken } = compute(), digits = (p) => p.toFixed(6);
    return [
      { caption: "The next token", head: ["Rank before", "Token", "Id", "Before", "After", "Drawn", "Expected"],
        rows: rows.map((row) => [...(row.others ? ["", `the other ${plural(row.others, "token")}`, ""]
          : [grouped(size - raw.ids.indexOf(row.id)), named(row.id), String(row.id)]),
        digits(row.before), digits(row.after), grouped(row.times), (state.n * row.after).toFixed(1)]) },
      { caption: "The samplers in their order", head: ["Sampler", "Value", "Tokens left", "Share left", "Entropy in bits"],
        rows: taken.map(({ name, value, on, from, to }) => [settings[name].label, on ? String(value) : "off",
          grouped(left(to)), digits(massLeft(from, to)), bits(to).toFixed(4)]) },
      { caption: "The whole distribution", head: MEASURED, rows: measures(race) },
    ];
  }

  return view.start({ draw, tables, body: [
    line(field("Prompt", choice), field("What comes next? Type any text", prompt, "cw-wide")), view.notice,
    element("div", { class: "cw-columns sa-columns" },
      element("div", {}, heading("Samplers, from the top down"),
        quiet("Each works on what the one above it leaves. To change the order, drag ⠿, or press the arrow keys on it."), list.root),
      element("div", {}, title, spread,
        labelled(`The ${Math.min(ROWS, size)} tokens that are`, order), bars,
        element("p", { class: "cw-quiet cw-legend sa-legend" }, key("before"), "before", key("after"), "after", key("drawn"), "share drawn"),
        line(drawButton(1), drawButton(100), drawButton(1000), button("Clear", () => ask({ n: 0 })), labelled("Seed", seed.box)),
        seed.problem, drawn)),
    element("div", {}, heading("Probability against rank, both logarithmic, and the ranks that each sampler leaves"), curve.root)] });
}

export default { render };
