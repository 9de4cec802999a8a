// All is counted here, so that it needs no kernel, the sentence too: on a page without one it still tells the truth.

const PAGE = 10; // documents of the list
const TOGETHER = "all together";

/** The 95 % interval of a share of which k of n were seen, as in Python. */
function wilson(k, n) {
  const z = 1.96, middle = k + z * z / 2, width = z * Math.sqrt(k * (n - k) / n + z * z / 4);
  return [(middle - width) / (n + z * z), (middle + width) / (n + z * z)];
}

const inPercent = (p) => (100 * p + 1e-9).toFixed(1);

function withInterval(k, n) {
  if (!n) return "none";
  const [low, high] = wilson(k, n);
  return `${inPercent(k / n)} % (${inPercent(low)} to ${inPercent(high)})`;
}

/** Whether each document is removed, by the filters that act and by hand. */
const removals = ({ documents, filters: names }, { keep, drop, filters }) => documents.map(({ reasons }, i) =>
  drop.includes(i) || (!keep.includes(i) && names.some((name, f) => reasons[f] && filters.includes(name))));

/** What is removed, right and missed by each filter and by all together, as `Counts` in Python. */
function countsOf(fixed, state) {
  const { documents, filters } = fixed, all = removals(fixed, state);
  const counts = (removed, isTask) => {
    const some = documents.filter((_, i) => removed(i)), task = documents.filter(isTask);
    return { removed: some.length, known: some.filter(({ truth }) => truth !== null).length,
      right: some.filter(({ truth }) => truth).length, should: task.length, found: some.filter(isTask).length };
  };
  return [...filters.map((name, f) => counts((i) => documents[i].reasons[f] && !state.keep.includes(i), ({ truth }) => truth === name)),
    counts((i) => all[i], ({ truth }) => truth)];
}

/** As `describe` in Python says it. */
function sentenceOf({ documents, filters, knows }, state, all) {
  const overruled = state.keep.length + state.drop.length, hands = overruled ? ` and ${plural(overruled, "verdict")} of yours` : "";
  const said = `With ${state.filters.length} of ${plural(filters.length, "filter")}${hands} ` +
    `${all.removed} of ${plural(documents.length, "document")} are removed`;
  return knows ? `${said}: of these ${withInterval(all.right, all.known)} should go, and of the ${all.should} that should go ` +
    `${withInterval(all.found, all.should)} are removed.` : `${said}; what should go is not known.`;
}

function render(context) {
  const view = viewOf(context, "Data desk"), { fixed, state } = view, { documents, filters, knows } = fixed;

  // ---- the parts of the page ----------------------------------------------------------------------

  const lists = select(view, "list", ask);
  const list = element("div", { class: "dd-list", role: "listbox", "aria-label": "documents" });
  const back = button("◀ Page", () => turn(-1), { "aria-label": "page back" }), on = button("Page ▶", () => turn(1), { "aria-label": "next page" });
  const place = element("span", { class: "cw-quiet" });
  const told = tickBox("show the truth", (ticked) => ask({ told: ticked }));
  const undo = button("Take my verdicts back", () => { if (state.keep.length + state.drop.length) ask({ keep: [], drop: [] }); });
  const hands = { keep: button("Keep it", () => overrule("keep")), drop: button("Drop it", () => overrule("drop")) };
  const title = element("h4", { class: "cw-heading" }), verdict = element("p"), reasons = element("ul", { class: "dd-reasons" });
  const text = element("div", { class: "dd-text", tabindex: "0", role: "group", "aria-label": "the document", dir: "auto" });
  const acts = tickBoxes(view, "filters", ask, () => "");
  const table = element("div", { class: "cw-scroll" });
  view.follow("told", (now) => { told.input.checked = now; });
  let items = [];
  chooser(list, { items: () => items, current: () => page().indexOf(state.at), choose: (i) => ask({ at: page()[i] }) });

  // ---- hands --------------------------------------------------------------------------------------

  function ask(changes) {
    if (changes.list) {
      const [first] = listed(changes.list);
      changes = { ...changes, at: first ?? state.at, told: state.told || changes.list === "wrong" };
    }
    if (state.list === "wrong" && changes.told === false) changes = { ...changes, list: "all" };
    view.ask(changes);
    draw();
  }

  function overrule(hand) {
    const without = { keep: state.keep.filter((i) => i !== state.at), drop: state.drop.filter((i) => i !== state.at) };
    const isUndone = state[hand].includes(state.at);
    ask(isUndone ? without : { ...without, [hand]: [...without[hand], state.at].sort((a, b) => a - b) });
  }

  /** The first document of another page. */
  function turn(by) {
    const all = listed(), first = PAGE * (pageNumber() + by);
    if (all[first] !== undefined) ask({ at: all[first] });
  }

  // ---- eyes ---------------------------------------------------------------------------------------

  /** The documents of a list, by number. What is overruled stays in the list of what filters keep or remove. */
  function listed(which = state.list) {
    const goes = removals(fixed, state), byFilters = removals(fixed, { ...state, keep: [], drop: [] });
    const belongs = { all: () => true, kept: (i) => !byFilters[i], removed: (i) => byFilters[i],
      overruled: (i) => state.keep.includes(i) || state.drop.includes(i),
      wrong: (i) => documents[i].truth !== null && goes[i] !== Boolean(documents[i].truth) }[which] ??
      ((i) => documents[i].reasons[fixed.specs.list.options.indexOf(which) - (fixed.specs.list.options.length - filters.length)]);
    return range(documents.length).filter(belongs);
  }

  /** A document that has left the list is still on the desk, and the list shows those that follow it. */
  function pageNumber() {
    const all = listed(), at = all.findIndex((i) => i >= state.at);
    return Math.floor((at < 0 ? Math.max(all.length - 1, 0) : at) / PAGE);
  }

  const page = () => listed().slice(PAGE * pageNumber(), PAGE * (pageNumber() + 1));
  const byHand = (i) => (state.keep.includes(i) ? "kept by you" : state.drop.includes(i) ? "dropped by you" : "");
  const truthOf = ({ truth }) => (truth === null ? "not known" : truth === "" ? "should stay" : ["should go: ", named(truth)]);

  function draw() {
    const goes = removals(fixed, state), counts = countsOf(fixed, state), all = listed(), number = pageNumber();
    items = page().map((i) => element("div", { class: "cw-option dd-item", role: "option",
      "aria-label": `document ${i + 1}, ${spoken(documents[i].source)}: ${byHand(i) || (goes[i] ? "removed" : "kept")}` },
    element("span", { class: goes[i] ? "dd-goes" : "dd-stays" }, goes[i] ? "✕" : "✓", byHand(i) ? "✎" : ""),
    element("span", { class: "dd-source" }, `${i + 1} `, named(documents[i].source))));
    list.replaceChildren(...(items.length ? items : [quiet("No document is in this list.")]));
    markChosen(list, items, page().indexOf(state.at));
    place.textContent = all.length ? `${plural(all.length, "document")}, page ${number + 1} of ${Math.ceil(all.length / PAGE)}` : "";
    setIdle(back, number === 0);
    setIdle(on, PAGE * (number + 1) >= all.length);
    setIdle(undo, !state.keep.length && !state.drop.length);
    drawDocument(goes);
    table.replaceChildren(tableOf(filterTable(counts), { class: "dd-table" }));
    view.say(sentence());
  }

  const sentence = () => sentenceOf(fixed, state, countsOf(fixed, state).at(-1));

  function drawDocument(goes) {
    const one = documents[state.at], why = filters.map((name, f) => [name, one.reasons[f]]).filter(([, reason]) => reason);
    title.replaceChildren(`${state.at + 1} · `, named(one.source));
    verdict.replaceChildren(element("b", {}, goes[state.at] ? "✕ removed" : "✓ kept"), byHand(state.at) ? ` · ✎ ${byHand(state.at)}` : "",
      ...(state.told && knows ? [" · the truth: ", ...[truthOf(one)].flat()] : []));
    reasons.replaceChildren(...(why.length ? why.map(([name, reason]) => element("li", {}, element("b", {}, named(name)),
      state.filters.includes(name) ? ": " : " (does not act): ", readable(reason))) : [element("li", {}, "no filter has anything against it")]));
    text.replaceChildren(named(one.text), ...(one.more ? [quiet(`… and ${plural(one.more, "character")} more`)] : []));
    for (const [hand, node] of Object.entries(hands)) node.setAttribute("aria-pressed", String(state[hand].includes(state.at)));
  }

  const bar = (k, n) => {
    if (!n) return element("span", { class: "cw-quiet" }, "none");
    const [low, high] = wilson(k, n);
    return element("span", { class: "dd-share" }, element("span", { class: "cw-track", "aria-hidden": "true" },
      element("i", { class: "dd-range", style: `left: ${100 * low}%; width: ${100 * (high - low)}%` }),
      element("i", { class: "dd-value", style: `left: ${100 * k / n}%` })),
    element("span", {}, withInterval(k, n)), element("small", {}, `${k} of ${n}`));
  };

  function filterTable(counts) {
    const rows = counts.map(({ removed, known, right, should, found }, f) => [
      f < filters.length ? named(filters[f]) : element("b", {}, TOGETHER), String(removed),
      ...(knows ? [bar(right, known), bar(found, should)] : [])]);
    return { head: ["", "removes", ...(knows ? ["of these should go (precision)", "of its task it removes (recall)"] : [])], rows };
  }

  function tables() {
    const goes = removals(fixed, state), share = (k, n) => (n ? `${withInterval(k, n)}, ${k} of ${n}` : "none");
    return [{ caption: "The filters", head: ["", "acts", "removes", ...(knows ? ["precision", "recall"] : [])],
      rows: countsOf(fixed, state).map(({ removed, known, right, should, found }, f) => [f < filters.length ? named(filters[f]) : TOGETHER,
        f >= filters.length ? "" : state.filters.includes(filters[f]) ? "yes" : "no", String(removed),
        ...(knows ? [share(right, known), share(found, should)] : [])]) },
    { caption: "This page of the list", head: ["Document", "Where from", "Verdict", "Why", ...(state.told && knows ? ["Truth"] : [])],
      rows: page().map((i) => [String(i + 1), named(documents[i].source), byHand(i) || (goes[i] ? "removed" : "kept"),
        documents[i].reasons.map((reason, f) => reason && `${readable(filters[f])}: ${readable(reason)}`).filter(Boolean).join("; "),
        ...(state.told && knows ? [truthOf(documents[i])] : [])]) }];
  }

  return view.start({ draw, tables, sentence, body: [
    line(field("Show", lists), back, on, place),
    element("div", { class: "cw-columns dd-desk" }, list,
      element("div", { class: "dd-document" }, title, verdict, reasons, text, line(hands.keep, hands.drop, undo, ...(knows ? [told.label] : [])))),
    element("fieldset", { class: "cw-line" }, element("legend", {}, "Filters that act"), ...acts), table] });
}

export default { render };
