// What is drawn follows from the logs and the state, so that a hand never waits; Python says the sentence. Of logs that
// may grow the kernel is asked again while somebody looks.

const AGAIN = 2000; // ms
const DRAWN = 600; // points of a curve
const DASHES = ["", "7 3", "2 3", "9 3 2 3", "4 2", "1 2", "12 4", "6 2 1 2"];

/** The mean of the last `window` points at each, over those that are known. */
function smoothed(curve, window) {
  let total = 0, n = 0;
  return [...curve].map((value, i) => {
    const old = curve[i - window];
    if (!Number.isNaN(value)) { total += value; n += 1; }
    if (old !== undefined && !Number.isNaN(old)) { total -= old; n -= 1; }
    return n ? total / n : NaN;
  });
}

/** Where a step stands on an axis, null if it isn't known. Seconds lie on straight lines between those that are. */
function along({ ends, clock }, x, step) {
  if (!ends[x]) return null;
  if (x !== "seconds") return (step * ends[x]) / ends.steps;
  const i = Math.max(clock.findIndex(([at]) => at >= step), 1), [[from, early], [to, late]] = [clock[i - 1], clock[i]];
  return to === from ? late : early + ((step - from) / (to - from)) * (late - early);
}

/** A number with three digits that count, 10,000 and more by powers of ten. */
const brief = (x) => (x >= 1e4 ? x.toExponential(1).replace(".0e", "e").replace("e+", "e") : String(Number(x.toPrecision(3))));

function render(context) {
  const view = viewOf(context, "Run monitor"), { fixed, state } = view, { looks, window: usual } = fixed;
  const runs = () => view.shown.runs ?? fixed.runs, chosen = () => runs()[Math.min(state.run, runs().length - 1)];

  // ---- the parts of the page ----------------------------------------------------------------------

  const x = select(view, "x", ask), smooth = select(view, "smooth", ask, Object.fromEntries(fixed.specs.smooth.options.map((n) => [n, n === 1 ? "each step" : `mean of ${n} steps`])));
  const log = tickBox("logarithmic axes", (ticked) => ask({ log: ticked }));
  view.follow("log", (now) => { log.input.checked = now; });
  const group = freshId();
  const rows = looks.map((colour, i) => {
    const show = tickBox("", (ticked) => ask({ hidden: ticked ? state.hidden.filter((at) => at !== i) : [...state.hidden, i].sort() }));
    const pick = element("input", { type: "radio", name: group, onchange: () => ask({ run: i }) }), name = element("span", {});
    const sample = svg("svg", { class: "rm-sample", viewBox: "0 0 30 10", "aria-hidden": "true", style: `--line: ${colour}` },
      svg("line", { x1: 0, x2: 30, y1: 5, y2: 5, "stroke-dasharray": DASHES[i] }));
    const cells = range(6).map(() => element("td"));
    return { show, pick, name, cells, root: element("tr", {}, element("td", {}, show.label), element("td", {}, element("label", { class: "cw-box" }, pick, sample, name)), ...cells) };
  });
  const table = element("table", { class: "rm-runs" }, element("thead", {}, element("tr", {}, ...["shown", "run", "steps", `loss, last ${usual}`, "validation", "tokens a second", "left", "what happened"].map((name) => element("th", { scope: "col" }, name)))),
    element("tbody", {}, ...rows.map(({ root }) => root)));
  const [loss, bits] = ["loss, nats a token", "validation, bits"].map((name) => {
    const [top, bottom, first, last] = range(4).map(() => element("span"));
    const plot = element("div", { class: "rm-plot cw-plot", "aria-hidden": "true" });
    return { plot, top, bottom, first, last, root: element("div", { class: "rm-picture" }, element("b", {}, name),
      element("div", { class: "rm-axis", "aria-hidden": "true" }, top, bottom), plot, element("div", { class: "rm-under", "aria-hidden": "true" }, first, last)) };
  });
  const about = element("h4", { class: "cw-heading" }), notes = element("ul", { class: "rm-notes" }), none = quiet("No run has begun.");

  // ---- hands --------------------------------------------------------------------------------------

  function ask(changes) {
    view.ask(changes);
    draw();
  }

  // ---- eyes ---------------------------------------------------------------------------------------

  /** The curves of the runs that are shown: points on the axes, without those that have no place there. */
  function curves() {
    const placed = (points) => points.filter(([at, y]) => at !== null && Number.isFinite(y) && !(state.log && (at <= 0 || y <= 0)));
    return runs().map((run, i) => {
      if (state.hidden.includes(i)) return { i, run, loss: [], bits: [] };
      const curve = smoothed(floatsOf(run.curve), Math.max(Math.round(state.smooth / run.every), 1)), stride = Math.ceil(curve.length / DRAWN) || 1;
      const drawn = range(curve.length).filter((at) => at % stride === 0 || at === curve.length - 1);
      return { i, run, loss: placed(drawn.map((at) => [along(run, state.x, Math.min(run.every * (at + 0.5) + 0.5, run.ends.steps)), curve[at]])),
        bits: placed(run.evaluations.map(([step, value]) => [along(run, state.x, step), value])) };
    });
  }

  function drawPlot({ plot, top, bottom, first, last }, all, what) {
    const points = all.flatMap((one) => one[what]);
    for (const node of [top, bottom, first, last]) node.textContent = "";
    if (!points.length) return plot.replaceChildren();
    const starts = all.filter((one) => one[what].length).map((one) => one[what][0][1]), heights = points.map(([, y]) => y);
    // what lies far above where the runs began is a loss that diverges: it leaves the picture
    const high = Math.min(Math.max(...heights), 1.15 * Math.max(...starts)), least = Math.min(...heights), low = least === high ? 0.9 * high : least;
    const places = points.map(([at]) => at), from = state.log ? Math.min(...places) : 0, to = Math.max(...places);
    const scale = (value) => (state.log ? Math.log(value) : value), share = (value, a, b) => (a === b ? 50 : (100 * (scale(value) - scale(a))) / (scale(b) - scale(a)));
    const across = (at) => share(at, from, to), up = (y) => 96 - 0.92 * share(y, low, high);
    [top.textContent, bottom.textContent] = [high, low].map((y) => y.toFixed(2));
    first.textContent = brief(from);
    last.textContent = `${brief(to)} ${state.x}`;
    const mark = (run, i, step, y, sign) => {
      const at = along(run, state.x, step);
      return at === null || (state.log && at <= 0) ? [] : [element("span", { class: "cw-dot cw-mark", style: `left: ${across(at)}%; top: ${clamp(up(y), 3, 97)}%; --line: ${looks[i]}` }, sign)];
    };
    const shown = all.filter((one) => one[what].length);
    plot.replaceChildren(svg("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none" },
      ...shown.map(({ i, run, [what]: line }) => svg("polyline", { class: run === chosen() ? "rm-chosen" : "", style: `--line: ${looks[i]}`,
        "stroke-dasharray": DASHES[i], points: line.map(([at, y]) => `${across(at).toFixed(2)},${clamp(up(y), -500, 500).toFixed(2)}`).join(" ") }))),
    ...shown.flatMap(({ i, run, [what]: line }) => what === "bits" ? mark(run, i, run.evaluations.at(-1)[0], line.at(-1)[1], "◆") : [
      ...run.spikes.slice(0, 50).flatMap(([step, y]) => mark(run, i, step, y, "▲")),
      ...run.restarts.slice(0, 50).flatMap((step) => mark(run, i, step, low, "↻")),
      ...(run.ending ? mark(run, i, run.ends.steps, line.at(-1)[1], "✕") : [])]));
  }

  const happened = ({ ending, spikes, restarts, over }) => [ending && ending.split(":")[0], spikes.length && plural(spikes.length, "spike"),
    restarts.length && plural(restarts.length, "restart"), !over && "not at its end"].filter(Boolean).join(", ") || "nothing";
  const cellsOf = ({ done, loss: last, evaluations, speed, left, ...run }) => [done, last === null ? "–" : last.toFixed(3),
    evaluations.length ? evaluations.at(-1)[1].toFixed(3) : "–", speed === null ? "–" : grouped(Math.round(speed)), left ? lasting(left) : "–", happened(run)];

  function draw() {
    const all = curves();
    rows.forEach(({ show, pick, name, cells, root }, i) => {
      const run = runs()[i];
      root.hidden = !run;
      if (!run) return;
      show.input.checked = !state.hidden.includes(i);
      show.input.setAttribute("aria-label", `show ${spoken(readable(run.name))}`);
      pick.checked = run === chosen();
      name.replaceChildren(named(run.name));
      cellsOf(run).forEach((text, c) => { if (cells[c].textContent !== text) cells[c].textContent = text; });
    });
    table.hidden = !runs().length;
    none.hidden = runs().length > 0;
    about.hidden = !runs().length;
    drawPlot(loss, all, "loss");
    drawPlot(bits, all, "bits");
    const run = chosen();
    about.replaceChildren(...(run ? [named(run.name), ": what happened"] : []));
    notes.replaceChildren(...(run?.notes.length ? run.notes : run ? ["nothing stood out"] : []).map((note) => element("li", {}, readable(note))));
  }

  function tables() {
    return [{ caption: "The runs", head: ["Run", "Steps", `Loss, last ${usual}`, "Validation", "Tokens a second", "Left", "What happened"],
      rows: runs().length ? runs().map((run) => [named(run.name), ...cellsOf(run)]) : [["none", "", "", "", "", "", ""]] },
    ...curves().filter((one) => one.loss.length).slice(0, 8).map(({ run, loss: line }) => ({ caption: `${readable(run.name)}: loss`, head: [state.x, "nats a token"],
      rows: line.filter((_, i) => i % Math.ceil(line.length / 20) === 0).map(([at, y]) => [brief(at), y.toFixed(3)]) }))];
  }

  /** Ask again while somebody looks, and until all runs are over. */
  function watch() {
    let isSeen = false;
    const eye = new IntersectionObserver(([entry]) => { isSeen = entry.isIntersecting; });
    eye.observe(view.root);
    const timer = setInterval(() => {
      const isOver = runs().length > 0 && runs().every(({ over }) => over);
      if (isSeen && !document.hidden && !isOver && view.root.dataset.state === "idle") view.ask();
    }, AGAIN);
    return () => { clearInterval(timer); eye.disconnect(); };
  }

  const close = view.start({ draw, tables, body: [
    line(field("Across", x), field("Loss drawn as", smooth), log.label), view.notice,
    element("div", { class: "cw-columns rm-pictures" }, loss.root, bits.root),
    quiet("▲ a loss spike, ↻ a restart, ✕ where a run diverged or was stopped, ◆ the last validation. The thick line is the run that is chosen."),
    element("div", { class: "cw-scroll" }, table), none, element("div", {}, about, notes)] });
  const rest = fixed.asked ? watch() : () => {};
  return () => { rest(); close(); };
}

export default { render };
