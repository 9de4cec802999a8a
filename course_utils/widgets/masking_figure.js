// What is masked and what the models answer comes from the kernel, for all chosen places; to go from place to
// place needs nothing more of it.

const NAME_WIDTH = 118, ARROW_HEIGHT = 50; // pixels: of the rows' names, and the height of the arrows

/** The pixels of a column: what is longest in it, within bounds. */
function widthOf({ piece, sees, both }) {
  const answers = (both?.[0] ?? []).map(([token]) => 8 * token.length + 52);
  return Math.round(clamp(Math.max(8 * piece.length + 14, 8 * sees.length + 14, ...answers), 42, 150));
}

/** Places in lines of at most so many pixels: [{ place, left, width }, ...] each. */
function inLines(widths, room) {
  const lines = [[]];
  let left = 0;
  widths.forEach((width, place) => {
    if (left + width > room && lines.at(-1).length) { lines.push([]); left = 0; }
    lines.at(-1).push({ place, left, width });
    left += width;
  });
  return lines;
}

/** As few lines as that, of nearly one length, and wider by up to a third where there is room. */
function balanced(widths, room) {
  const { length } = inLines(widths, room);
  let least = widths.reduce((sum, width) => sum + width, 0) / length;
  while (inLines(widths, least).length > length) least += 8;
  const lines = inLines(widths, least), longest = Math.max(...lines.map((line) => line.at(-1).left + line.at(-1).width));
  const times = clamp(room / longest, 1, 4 / 3);
  return lines.map((line) => line.map(({ place, left, width }) => ({ place, left: times * left, width: times * width })));
}

/** A share without decimals, for narrow columns; 0 % and 100 % are for what can't and must be. */
const roughly = (p) => (p > 0 && p < 0.005 ? "< 1 %" : p < 1 && p > 0.995 ? "> 99 %" : `${Math.round(100 * p)} %`);
const nats = (answer) => answer.at(-1).toFixed(2);

function render(context) {
  const view = viewOf(context, "Masked language modelling"), { state } = view;
  const { sentences, rows, rate, expected, draws } = view.fixed;
  const anew = (changes) => view.ask({ own: null, focus: null, ...changes });
  const pieces = () => view.shown.pieces, at = () => state.focus ?? view.shown.focus;

  // ---- the parts of the page ----------------------------------------------------------------------

  const text = textArea(view, "text", anew, { rows: 1 });
  const which = element("span", { role: "status" });
  const step = (by) => {
    const to = sentences.indexOf(state.text) + by;
    if (to >= 0 && to < sentences.length) anew({ text: sentences[to] });
  };
  const back = button("◀ Sentence", () => step(-1)), on = button("Sentence ▶", () => step(1));
  const drawn = element("span", { class: "cw-quiet", role: "status" });
  const draw = button("Draw a new mask", () => anew({ draw: (state.draw + 1) % draws }), { class: "cw-main" });
  const mine = button("", () => toggle(at()));
  const figure = element("div", { class: "mf-figure", role: "listbox", "aria-orientation": "horizontal", style: `--names: ${NAME_WIDTH}px`,
    "aria-label": "The pieces of the sentence. Left and right go from one to the next, Space masks it, or uncovers it." });
  const panels = element("div", { class: "mf-panels cw-columns" });
  const shares = element("div", { class: "mf-bars" });
  let columns = [];
  chooser(figure, { items: () => columns, current: at, choose: go });
  figure.addEventListener("keydown", (event) => {
    if (event.key !== " ") return;
    event.preventDefault(); // or the page scrolls
    toggle(at());
  });
  view.onResize(figure, redraw);
  let drawnNow = ""; // what the rows show

  /** The walk is drawn at once; the kernel is told for the sentence. */
  function go(focus) {
    if (state.focus === null) return; // the kernel reads another sentence
    view.ask({ focus });
    redraw();
  }

  /** Mask a piece, or uncover it; what was chosen by chance too. */
  function toggle(place) {
    if (state.own === null || pieces()[place].special) return;
    const own = state.own.includes(place) ? state.own.filter((one) => one !== place) : [...state.own, place];
    view.ask({ own, focus: place });
  }

  // ---- the rows -----------------------------------------------------------------------------------

  function column(one, place, width) {
    const { piece, special, how, sees, label, both } = one, byHand = view.shown.own.includes(place);
    const chosen = how ? [byHand ? "✓ you" : "✓"] : [special ? "never" : byHand ? "– you" : "–"];
    const top = (both?.[0] ?? []).map(([token, p]) => element("span", { class: token === piece ? "mf-right" : "" },
      mono(token), ` ${roughly(p)}`));
    return element("div", { class: `mf-column ${how && `mf-${how}`} ${special ? "mf-special" : ""}`, role: "option",
      style: `width: ${width}px`, "aria-label": inWords(one), id: freshId(), "aria-selected": String(place === at()) },
      element("span", { class: "mf-piece cw-mono", onclick: (event) => {
        if (special) return;
        event.stopPropagation(); // the press has more to say than which column it was in
        toggle(place);
      } }, element("span", {}, ...visible(piece))),
      element("span", {}, ...chosen),
      element("span", { class: "mf-sees" }, mono(sees), element("small", {}, how)),
      element("span", {}),
      element("span", {}, how ? mono(piece) : "−100", ...(how ? [element("small", {}, String(label))] : [])),
      element("span", { class: "mf-top" }, ...top),
      element("span", {}, both ? nats(both) : ""));
  }

  function inWords({ piece, special, how, sees, both }) {
    if (!how) return `${spoken(piece)}, ${special ? "special, never chosen" : "not chosen"}, label −100`;
    const [[token, p]] = both[0];
    return `${spoken(piece)}, chosen, ${how}: the model sees ${spoken(sees)}, answers ${spoken(token)}, ${percent(p)}, ` +
      `loss ${nats(both)} nats`;
  }

  /** To the place in focus from each token of its line and, if there are more lines, from their ends; and in the
   *  other lines a stub to each place that is asked. Solid from the left, dashed from the right. */
  function arrows(line, width) {
    const middle = ({ left, width }) => NAME_WIDTH + left + width / 2, all = pieces();
    const to = all[at()].how && line.find(({ place }) => place === at());
    const paths = [];
    const add = (side, kind, parts) => paths.push(svg("path", { class: `mf-${side < 0 ? "before" : "after"} ${kind}`, d: parts.join(" ") }));
    for (const side of [-1, 1]) {
      const head = (x) => `M ${x + side * 3} 36 l ${side * 9} -5 l 0 10 z`;
      const others = to ? [] : line.filter(({ place }) => all[place].how).map(middle);
      add(side, "mf-stub", others.map((x) => `M ${x + side * 24} 36 L ${x + side * 11} 36`));
      add(side, "mf-stub mf-head", others.map(head));
      if (!to || !all[to.place + side]) continue;
      const x = middle(to), from = line.filter(({ place }) => (place - to.place) * side > 0).map(middle);
      const more = all[(side < 0 ? line[0] : line.at(-1)).place + side] ? [`M ${side < 0 ? NAME_WIDTH - 8 : width + 16} 36 L ${x + side * 11} 36`] : [];
      add(side, "", [...from.map((start) => `M ${start} 2 C ${start} 28, ${x + side * 50} 36, ${x + side * 11} 36`), ...more]);
      add(side, "mf-head", [head(x)]);
    }
    return svg("svg", { class: "mf-arrows", width, height: ARROW_HEIGHT, "aria-hidden": "true" }, ...paths);
  }

  function drawLines() {
    const lines = balanced(pieces().map(widthOf), Math.max(figure.clientWidth - NAME_WIDTH - 6, 150));
    columns = [];
    figure.replaceChildren(...lines.map((line) => {
      const made = line.map(({ place, width }) => column(pieces()[place], place, width));
      columns.push(...made);
      const here = line.some(({ place }) => place === at()) && pieces()[at()].how;
      const asked = line.some(({ place }) => pieces()[place].how); // or there is nothing below the labels
      const sides = here ? `reads ${at()} on the left, ${pieces().length - 1 - at()} on the right` : "";
      const names = element("div", { class: "mf-names", "aria-hidden": "true" },
        ...[...rows.slice(0, 3), sides, ...rows.slice(3)].map((name) => element("span", {}, name)));
      return element("div", { class: `mf-line ${asked ? "" : "mf-idle"}`, role: "presentation" }, names, ...made,
        ...(asked ? [arrows(line, NAME_WIDTH + line.at(-1).left + line.at(-1).width)] : []));
    }));
    figure.setAttribute("aria-activedescendant", columns[at()].id);
  }

  // ---- below --------------------------------------------------------------------------------------

  const bar = (name, share, ...more) => [name, element("span", { class: "cw-track", "aria-hidden": "true" },
    element("i", { style: `width: ${100 * share}%` }), ...more), element("span", {}, percent(share))];

  function panel(title, answer, context, note) {
    const [top, p] = answer, { piece } = pieces()[at()];
    const found = top.some(([token]) => token === piece) ? top : [...top, [piece, p]];
    const bars = found.flatMap(([token, share]) => [
      ...bar(element("span", { class: token === piece ? "mf-right" : "" }, mono(token)), share),
      element("span", {}, token === piece ? "✓ stood there" : "")]);
    return element("div", {}, heading(title, element("small", {}, ` · loss ${nats(answer)} nats`)),
      element("p", { class: "mf-context" }, ...context), element("div", { class: "mf-bars" }, ...bars), quiet(note));
  }

  /** What stands round the place in focus, as the model reads it; or, from the left alone, covered on the right. */
  function around(covered) {
    const seen = pieces().map(({ sees }) => sees), i = at(), near = 9;
    const before = seen.slice(Math.max(0, i - near), i), after = seen.slice(i + 1, i + 1 + near);
    const words = (some) => element("span", { class: "cw-mono" }, ...some.flatMap((piece) => [...visible(piece), " "]));
    const gap = element("span", { class: "mf-gap cw-mono" }, ...visible(covered ? "?" : seen[i]));
    const rest = covered ? [element("span", { class: "mf-covered", role: "img", "aria-label": "covered" }, "▒".repeat(12))]
      : [words(after), i + 1 + near < seen.length ? "…" : ""];
    return [i > near ? "… " : "", words(before), gap, " ", ...rest];
  }

  function drawPanels() {
    const { both, left, special } = pieces()[at()];
    if (!both) return panels.replaceChildren(quiet(!pieces().some(({ how }) => how)
      ? "Nothing is chosen here: the sentence has no loss, and nothing is learnt from it this time. Draw anew, or mask a piece yourself."
      : special ? "A special piece is never chosen: its label is −100, and no loss is taken here."
      : "Not chosen: its label is −100, no loss is taken here, and nothing is learnt from it. Space, or a click on the piece, masks it."));
    panels.replaceChildren(
      panel("The model, from both sides", both, around(false), "It reads all that stands in the row “what the model sees”."),
      panel("Counts, from the left alone", left, around(true),
        "An n-gram of the same pieces, counted on fewer texts. It reads at most two pieces on the left; a better one would read " +
        "further back, but none that writes from left to right reads what is covered."));
  }

  function drawShares() {
    const named = { chosen: rate, ...expected }, found = view.shown.statistics;
    shares.replaceChildren(...Object.entries(named).flatMap(([name, is]) => [
      ...bar(name === "chosen" ? "chosen, of all pieces" : `${name}, of the chosen`, found[name],
        element("i", { class: "mf-tick", style: `left: ${100 * is}%` })),
      element("span", { class: "cw-quiet" }, `the rule: ${Math.round(100 * is)} %`)]));
  }

  // ---- all ----------------------------------------------------------------------------------------

  function redraw() {
    const i = sentences.indexOf(state.text), { how, special } = pieces()[at()];
    which.textContent = i < 0 ? "a sentence of your own" : `${i + 1} of ${sentences.length}`;
    setIdle(back, i <= 0);
    setIdle(on, i === sentences.length - 1);
    drawn.textContent = `draw ${grouped(state.draw + 1)} of ${grouped(draws)}`;
    mine.replaceChildren(how ? "Uncover “" : "Mask “", ...visible(pieces()[at()].piece), "”");
    setIdle(mine, special);
    drawShares();
    const now = JSON.stringify([pieces(), view.shown.own, at(), figure.clientWidth]);
    if (now === drawnNow) return; // drawing it anew would take a piece from under a click
    drawnNow = now;
    drawLines();
    drawPanels();
  }

  function tables() {
    const answers = (answer) => (answer ? answer[0].flatMap(([token, p], i) =>
      [i ? ", " : "", ...visible(token), ` ${percent(p)}`]) : "");
    return [{ caption: "The figure", head: [...rows, "from the left alone", "its loss", `times chosen in ${grouped(draws)}`],
      rows: pieces().map(({ piece, special, how, sees, label, times, both, left }) => [visible(piece),
        how || (special ? "never" : "no"), visible(sees), how ? String(label) : "−100", answers(both), both ? nats(both) : "",
        answers(left), left ? nats(left) : "", String(times)]) },
    { caption: `${grouped(draws)} corruptions of this sentence`, head: ["", "share", "the rule"],
      rows: Object.entries({ chosen: rate, ...expected }).map(([name, is]) =>
        [name, percent(view.shown.statistics[name]), percent(is)]) }];
  }

  return view.start({ draw: redraw, tables, body: [
    line(back, which, on, draw, drawn, mine), field("The sentence", text), view.notice, figure,
    quiet("A click on a piece, or Space, masks it or uncovers it; arrow keys lead from place to place."), panels,
    element("div", {}, heading(`${grouped(draws)} corruptions of this sentence`), shares)] });
}

export default { render };
