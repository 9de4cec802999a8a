// Python counts and samples; what needs no model (the what-if, the runs one steps through) is done here.

/**
 * The distribution of one row after `more` further sightings of token i, given `seen` sightings so far.
 * Exact for plain counts, and where a discount was taken of the token before and stays as it is:
 * (count - D + more + ...) / (seen + more) is (seen * p + more) / (seen + more). Of a first sighting (of the
 * second and third too, in modified Kneser-Ney) a discount would be taken, and with add-k the sum is larger.
 */
function whatIf(probabilities, seen, i, more) {
  if (seen + more <= 0) return probabilities;
  return probabilities.map((p, at) => (seen * p + (at === i ? more : 0)) / (seen + more));
}

const FULL_COLOUR = 24; // a copied run of this length or more has the last colour
const runColour = (length) => cividis((length - 1) / (FULL_COLOUR - 1));

function render(context) {
  const view = viewOf(context, "N-gram explorer"), { fixed, state } = view, { unit, weighed } = fixed;
  let rows = view.shown.rows, pieces = [], chosenBar = 0, chosenPiece = 0, more = 0;
  const chosenRow = () => rows.findIndex((row) => row.order === state.order);

  // ---- the parts of the page --------------------------------------------------------------------

  const text = textArea(view, "context", change), models = select(view, "model", change);
  const seed = numberField(view, "seed"), length = numberField(view, "n");
  const another = button("Another one", () => view.ask({ seed: (state.seed + 1) % (fixed.specs.seed.max + 1) }));
  const plus = element("input", { type: "number", min: "0", max: "1000000", step: "1", value: "0",
    class: "cw-number", "aria-label": "how many more times",
    oninput: () => { more = Math.max(0, Math.trunc(plus.valueAsNumber) || 0); drawBars(); } });
  const putBack = button("Put back", () => setMore(0)), addHundred = button("+ 100", () => setMore(more + 100));

  const list = element("div", { class: "ng-rows", role: "listbox", "aria-label": "Orders, longest first" });
  const bars = element("div", { class: "ng-bars", role: "listbox" });
  const detail = heading(), whatIfLabel = element("span");
  const whatIfAnswer = element("p", { class: "ng-answer cw-quiet", role: "status", "aria-live": "polite" });
  const ribbon = element("div", { class: "ng-ribbon", role: "listbox", dir: "ltr",
    "aria-label": "The sampled text in runs copied from the training text" });
  const ribbonHeading = heading();
  const runInfo = element("p", { class: "ng-run", role: "status", "aria-live": "polite" });
  const uniform = element("p", { class: "cw-quiet" });
  const rowItems = rows.map(() => element("div", { class: "ng-row cw-option", role: "option" }));
  let barItems = [], pieceItems = [];

  // ---- asking -----------------------------------------------------------------------------------

  /** Another context or model: what was added by hand belonged to the old one. */
  function change(changes) {
    setMore(0);
    view.ask(changes);
  }

  function chooseRow(i) {
    chosenBar = 0;
    change({ order: rows[i].order });
    drawRows();
    drawBars();
  }

  function setMore(value) {
    more = value;
    plus.value = value;
    drawBars();
  }

  // ---- drawing ----------------------------------------------------------------------------------

  function draw() {
    rows = view.shown.rows;
    drawRows();
    drawBars();
    drawRibbon(view.shown.sample);
  }

  const chosenToken = () => rows[chosenRow()].tokens[chosenBar];

  function drawRows() {
    const at = chosenRow();
    const shares = rows[at].shares;
    rows.forEach((row, i) => {
      const item = rowItems[i];
      const share = shares?.[row.order] ?? 0;
      item.className = "ng-row" + (row.order <= state.order ? " ng-on" : "") + (row.seen ? " ng-counted" : "");
      item.replaceChildren(
        element("span", { class: "ng-order" }, String(row.order)),
        element("span", { class: "ng-used", dir: "ltr" },
          ...(row.order === 1 ? [element("i", {}, "nothing")] : row.used.map((token) =>
            mono(token)))),
        element("span", { class: "ng-seen" }, row.seen ? `${grouped(row.seen)} ×` : "never"),
        strip(row),
        ...(weighed ? [element("span", { class: "ng-share" },
          element("i", { style: `width: ${100 * share}%` }),
          element("b", {}, row.order > state.order ? "–" : percent(share)))] : []));
      item.setAttribute("aria-label", rowInWords(row) +
        (weighed && row.order <= state.order ? `, share ${percent(share)}` : ""));
    });
    markChosen(list, rowItems, at);
    uniform.textContent = shares
      ? `Left for “all ${unit}s are equally likely”: ${percent(shares[0])}` : "";
  }

  const rowInWords = (row) => `order ${row.order}, looks at ${row.used.map(spoken).join(" ") || "nothing"}, ` +
    `seen ${row.seen} times` + row.tokens.slice(0, 3).map((token, i) =>
      `, ${spoken(token)} ${percent(row.probabilities[i])}`).join("");

  /** All of one distribution on one line: as wide as it is likely, with everything that has no place last. */
  function strip(row) {
    if (row.problem) return element("span", { class: "ng-strip ng-none" }, row.problem);
    const token = chosenToken();
    const wide = row.probabilities.filter((p) => p >= 0.02).length;
    const rest = 1 - row.probabilities.slice(0, wide).reduce((sum, p) => sum + p, 0);
    return element("span", { class: "ng-strip" + (row.seen ? "" : " ng-guess") },
      ...row.tokens.slice(0, wide).map((text, i) => element("span",
        { style: `width: ${100 * row.probabilities[i]}%`, class: text === token ? "ng-same" : "" },
        ...(row.probabilities[i] > 0.035 ? [mono(text)] : []))),
      ...(rest > 0.0005 ? [element("span", { class: "ng-others", style: `width: ${100 * rest}%` },
        ...(rest > 0.16 ? [element("em", {}, "others")] : []))] : []));
  }

  function drawBars() {
    const row = rows[chosenRow()];
    const used = row.order === 1 ? ["nothing"] : ["“", ...row.used.flatMap(visible), "”"];
    detail.replaceChildren(`Order ${row.order} after `, ...used,
      element("small", {}, row.problem || (row.seen
        ? ` seen ${grouped(row.seen)} times, followed by ${grouped(row.followers)} different ${unit}s`
        : row.shares?.[0] > 0.999 ? ` never seen, so all ${unit}s are equally likely`
        : " never seen: all of this comes from shorter contexts")));
    bars.setAttribute("aria-label", `Next ${unit}s at order ${row.order}`);
    chosenBar = Math.min(chosenBar, Math.max(0, row.tokens.length - 1));
    const before = [...row.probabilities, row.others.probability];
    const after = whatIf(before, row.seen, chosenBar, more);
    const bar = (name, i, count, attributes) => element("div", attributes,
      element("span", { class: "ng-name", dir: "ltr" }, ...name),
      element("span", { class: "cw-track" },
        element("i", { class: "ng-now", style: `width: ${100 * after[i]}%` }),
        element("i", { class: "ng-was", style: `width: ${100 * before[i]}%` })),
      element("span", { class: "ng-percent" }, percent(after[i])),
      element("span", { class: "ng-count" }, `${grouped(count)} ×`));
    barItems = row.tokens.map((token, i) => bar(visible(token), i, row.counts[i] + (i === chosenBar ? more : 0),
      { class: "ng-bar cw-option", role: "option", "aria-label": `${spoken(token)}: ${percent(after[i])}, ` +
        `counted ${row.counts[i]} times` }));
    const others = bar([`the other ${grouped(row.others.tokens)} ${unit}s`], row.tokens.length, row.others.count,
      { class: "ng-bar ng-rest" });
    bars.replaceChildren(...barItems, ...(row.others.tokens ? [others] : []));
    markChosen(bars, barItems, chosenBar);

    for (const input of [plus, addHundred, putBack]) input.disabled = row.seen === 0;
    whatIfLabel.replaceChildren("What if ", mono(chosenToken() ?? ""),
      " had come next");
    whatIfAnswer.textContent = !row.seen ? "Nothing was counted here, so there is no count to change: choose an order below."
      : !more ? `Choose a ${unit} (click, or arrow keys), then a number: its count changes, and every bar with it.`
      : `${percent(before[chosenBar])} would be ${percent(after[chosenBar])}: ` +
        `(${grouped(row.seen)} × ${before[chosenBar].toFixed(4)} + ${grouped(more)}) / ${grouped(row.seen + more)}. ` +
        "A smoothing that takes a part of each count gives somewhat less to what was seen seldom. " +
        "Counts are the parameters; nobody wrote a rule. This is a what-if: the model itself stays as it is.";
  }

  function drawRibbon(sample) {
    pieces = sample.pieces;
    chosenPiece = Math.max(0, pieces.findIndex((piece) => piece.longest));
    pieceItems = pieces.map((piece) => {
      const colour = runColour(piece.length);
      const item = element("span", { class: piece.length ? "ng-piece" : "ng-piece ng-new", role: "option" },
        ...withBreaks(piece.text)); // blanks show by the colour around them
      if (piece.length) item.style.cssText = `background: ${css(colour)}; color: ${inkOn(colour)}`;
      item.classList.toggle("ng-longest", piece.longest);
      item.setAttribute("aria-label", `${piece.text}: copied run of ${piece.length}`);
      return item;
    });
    ribbon.replaceChildren(element("span", { class: "ng-given" }, ...withBreaks(sample.given)), ...pieceItems);
    ribbonHeading.textContent = sample.heading;
    drawRun();
  }

  function drawRun() {
    markChosen(ribbon, pieceItems, chosenPiece);
    const piece = pieces[chosenPiece];
    if (!piece) return runInfo.replaceChildren();
    runInfo.replaceChildren(`Run ${chosenPiece + 1} of ${pieces.length}: `,
      mono(piece.run),
      piece.length ? ` – ${piece.length} characters, copied from ${piece.title}` : " – nowhere in the training text");
  }

  function tables() {
    const row = rows[chosenRow()];
    return [
      { caption: "What each order knows", head: ["Order", "Looks at", "Seen", "Most likely next", "Share"],
        rows: rows.map((one) => [String(one.order), one.used.flatMap(visible), grouped(one.seen),
          one.tokens.slice(0, 3).flatMap((token, i) => [...visible(token), ` ${percent(one.probabilities[i])} `]),
          row.shares && one.order <= row.order ? percent(row.shares[one.order]) : "–"]) },
      { caption: `What follows at order ${row.order}`, head: ["Next", "Counted", "Probability"],
        rows: [...row.tokens.map((token, i) =>
          [visible(token), grouped(row.counts[i]), percent(row.probabilities[i])]),
        [`the other ${grouped(row.others.tokens)}`, grouped(row.others.count), percent(row.others.probability)]] },
      { caption: "The longest copied runs", head: ["Characters", "Text", "From"],
        rows: [...pieces].sort((a, b) => b.length - a.length).slice(0, 10).map((piece) =>
          [String(piece.length), visible(piece.run), piece.title]) },
    ];
  }

  // ---- begin ------------------------------------------------------------------------------------

  chooser(list, { items: () => rowItems, current: chosenRow, choose: chooseRow });
  chooser(bars, { items: () => barItems, current: () => chosenBar, choose(i) {
    chosenBar = i;
    setMore(0);
    drawRows();
  } });
  chooser(ribbon, { items: () => pieceItems, current: () => chosenPiece, choose(i) {
    chosenPiece = i;
    drawRun();
  } });
  list.append(...rowItems);
  const names = ["order", "looks at", "seen", "came next", ...(weighed ? ["share"] : [])];
  return view.start({ draw, tables, body: [
    line(field("Type any text. What would come next?", text, "cw-wide"),
      ...(fixed.specs.model.options.length > 1 ? [field("What to do about the unseen", models)] : [])),
    view.notice,
    element("div", { class: "ng-columns cw-columns" },
      element("div", { class: weighed ? "ng-left ng-weighed" : "ng-left" },
        quiet(...fixed.caption.map(([bold, text]) => element("span", {}, element("b", {}, bold), text, " "))),
        element("div", { class: "ng-head", "aria-hidden": "true" }, ...names.map((name) => element("span", {}, name))),
        list, uniform),
      element("div", { class: "ng-right" }, detail, bars, line(whatIfLabel, plus, "more times?", addHundred, putBack), whatIfAnswer)),
    element("div", { class: "ng-bottom cw-body" },
      line(ribbonHeading, labelled("seed", seed), labelled(`${unit}s`, length), another), ribbon,
      element("div", { class: "cw-legend cw-quiet" }, "copied run of 1", colourScale(), `${FULL_COLOUR} or more characters; `,
        element("u", { class: "ng-longest" }, "the longest run")), runInfo)] });
}

export default { render };
