// All numbers are here, so that a hand that picks one never waits; Python says the sentence.

function render(context) {
  const view = viewOf(context, "Report card"), { fixed, state } = view, { models, looks, page: size } = fixed;
  const measures = fixed.specs.measure.options;
  const bits = models.flatMap(({ numbers }) => numbers.filter(({ unit }) => unit === "bits").map(({ value }) => value)), most = Math.max(...bits, 1e-9);
  const numberOf = (model, measure) => model.numbers.find((number) => number.measure === measure);
  const chosen = () => models.find(({ name }) => name === state.model);
  const bars = measures.flatMap((measure) => models.map((model, k) => ({ measure, model, k, number: numberOf(model, measure) })).filter(({ number }) => number));

  // ---- the parts of the page ----------------------------------------------------------------------

  const items = bars.map(({ model, k, measure, number }) => element("div", { class: "cw-option rc-bar", role: "option",
    "aria-label": `${spoken(readable(measure))}, ${spoken(readable(model.name))}: ${number.says}` },
  element("span", { class: "rc-name" }, named(model.name)), track(number, k), element("span", { class: "rc-says" }, number.says)));
  const list = element("div", { class: "rc-list", role: "listbox", "aria-label": "the numbers" }, ...measures.flatMap((measure) => [
    element("div", { class: "rc-measure", role: "presentation" }, named(measure)), ...items.filter((_, i) => bars[i].measure === measure)]));
  const title = element("h4", { class: "cw-heading" }), comes = element("p"), notSaid = element("p");
  const model = select(view, "model", ask), failures = element("ul", { class: "rc-failures" });
  const back = button("◀ Examples", () => turn(-1), { "aria-label": "examples before" }), on = button("Examples ▶", () => turn(1), { "aria-label": "more examples" });
  const place = element("span", { class: "cw-quiet" }), examples = element("div");
  const text = element("textarea", { class: "cw-text", rows: 8, readonly: true, spellcheck: "false", "aria-label": "the card in Markdown", hidden: true }, fixed.markdown);
  const asText = button("As Markdown", () => {
    text.hidden = !text.hidden;
    asText.setAttribute("aria-expanded", String(!text.hidden));
    if (!text.hidden) text.select();
  }, { "aria-expanded": "false" });
  chooser(list, { items: () => items, current: () => bars.findIndex(isChosen), choose: (i) => ask({ measure: bars[i].measure, model: bars[i].model.name }) });

  /** A bar, with its interval and what guessing reaches. */
  function track({ value, unit, low, high, chance }, k) {
    const width = (x) => clamp(100 * x / (unit === "bits" ? most : 1), 0, 100);
    return element("span", { class: "cw-track rc-track", "aria-hidden": "true", style: `--line: ${looks[k]}` }, element("i", { style: `left: 0; width: ${width(value)}%` }),
      ...(low === null || high === null ? [] : [element("i", { class: "rc-interval", style: `left: ${width(low)}%; width: ${width(high) - width(low)}%` })]),
      ...(chance === null ? [] : [element("i", { class: "rc-chance", style: `left: ${width(chance)}%` })]));
  }

  // ---- hands --------------------------------------------------------------------------------------

  function ask(changes) {
    if ("model" in changes && changes.model !== state.model) changes = { ...changes, page: 0 };
    view.ask(changes);
    draw();
  }

  const pages = () => Math.ceil(chosen().examples.length / size);

  function turn(by) {
    if (state.page + by >= 0 && state.page + by < pages()) ask({ page: state.page + by });
  }

  // ---- eyes ---------------------------------------------------------------------------------------

  function isChosen({ measure, model: { name } }) { return measure === state.measure && name === state.model; }

  function draw() {
    const item = items[bars.findIndex(isChosen)];
    markChosen(list, items, items.indexOf(item));
    if (item) list.scrollTop = clamp(list.scrollTop, item.offsetTop + item.offsetHeight - list.clientHeight, item.offsetTop);
    const { name, failures: known, examples: all } = chosen(), number = numberOf(chosen(), state.measure);
    title.replaceChildren(named(state.measure), ", ", named(name), number ? `: ${number.says}` : ": not measured");
    comes.replaceChildren(...(number ? [element("b", {}, "Where it comes from: "), readable(number.comes)] : ["This model was not asked that."]));
    notSaid.replaceChildren(...(number ? [element("b", {}, "What it does not say: "), readable(number.not_said)] : []));
    failures.replaceChildren(...(known.length ? known : ["none is noted"]).map((failure) => element("li", {}, readable(failure))));
    setIdle(back, state.page === 0);
    setIdle(on, state.page + 1 >= pages());
    place.textContent = all.length ? `${plural(all.length, "example")}, ${size * state.page + 1} to ${Math.min(size * (state.page + 1), all.length)}` : "no examples";
    examples.replaceChildren(...shownExamples().flatMap(([asked, answered]) => [element("p", { class: "rc-asked" }, named(asked)), element("p", { class: "rc-answer" }, named(answered))]));
  }

  const shownExamples = () => chosen().examples.slice(size * state.page, size * (state.page + 1));

  function tables() {
    return [{ caption: "All numbers", head: ["Measure", "Model", "Value, 95 % interval, chance", "n"],
      rows: bars.map(({ measure, model: { name }, number }) => [named(measure), named(name), number.says, number.n === null ? "" : grouped(number.n)]) },
    { caption: `Examples: ${readable(state.model)}`, head: ["Asked", "Answered"], rows: shownExamples().map((pair) => pair.map(named)) }];
  }

  return view.start({ draw, tables, body: [
    quiet("Pick a number, and below it stands where it comes from. A thin line is the 95 % interval, a dashed one what guessing reaches. Of bits per byte fewer are better."),
    list, element("div", { class: "rc-about" }, title, comes, notSaid),
    element("div", { class: "cw-columns rc-below" },
      element("div", {}, field("Known failures of", model), failures),
      element("div", {}, line(heading("What it says"), back, on, place), examples)),
    line(asText), text] });
}

export default { render };
