// The kernel writes some tokens a request; kit/steps.js goes from token to token. All weights cross as bytes, and the
// row of the token in focus exactly, so that moving the focus, or choosing a head, is drawn at once.

const IN_TABLE = 40; // tokens of the source that the table lists one by one

function render(context) {
  const view = viewOf(context, "Translator with cross-attention"), { fixed, state } = view, { tasks, n_heads } = fixed;
  let hovered = null; // the output token under the pointer
  let key = null; // the source token that was chosen; by itself it is the strongest
  let filled = ""; // what the tokens on the page are

  // ---- the parts of the page ----------------------------------------------------------------------

  const text = element("textarea", { class: "cw-text", rows: 2, spellcheck: "false", dir: "auto", oninput: markEdited,
    onkeydown: (event) => { if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); translate(); } } });
  view.follow("text", (now) => { text.value = now; });
  const task = select(view, "task", (changes) => translate(changes), tasks);
  const go = button("Translate", () => translate());
  const steps = stepper(view, { all: "Write all", drawStep: drawAll, also });
  const layer = select(view, "layer", look), head = select(view, "head", look, { mean: "mean of all heads" });
  const rows = sentencePart({ query: (place) => focus(place), key: (at) => { key = at; drawRow(); }, hover: (at) => { hovered = at; drawRow(); } },
    ["Source", "Written"]);
  const reading = element("p", { class: "tr-text", dir: "auto" });
  const readout = element("p", { class: "tr-readout cw-quiet", role: "status", "aria-live": "polite" });
  const asked = element("div", {});
  const freely = button("Take back what you put in", () => write([]));
  const map = mapPart({ move: (down, right) => (down ? focus(within(place() + down, steps.now())) : (key = within(keyInFocus() + right, nKeys()), drawRow())),
    pick: (at) => { focus(at.query); key = at.key; drawRow(); }, hover: (at) => { hovered = at?.query ?? null; drawRow(); } }, "written ↓ source →");
  const mapTitle = heading();

  const nKeys = () => view.shown.source.length;
  const place = () => clamp(state.place, 0, Math.max(steps.now() - 1, 0));

  // ---- hands --------------------------------------------------------------------------------------

  /** What stands in the field, from its beginning to its end. */
  function translate(changes = {}) {
    key = null;
    steps.begin({ text: text.value, forced: [], ...changes }, Infinity);
    markEdited();
  }

  /** The target anew from where a token was put in. */
  function write(forced) {
    key = null;
    steps.begin({ forced }, Infinity);
  }

  /** The focus goes along with what is written. */
  function also(step) {
    key = null;
    return { place: Math.max(step - 1, 0) };
  }

  const force = (at, id) => write([...view.shown.ids.slice(0, at), id]);

  function focus(place) {
    hovered = key = null;
    view.ask({ place });
    drawRow();
  }

  function look(changes) {
    view.ask(changes);
    drawAll();
  }

  // ---- weights ------------------------------------------------------------------------------------

  /** The map in view, target x source, or null if the kernel has yet to send the layer. */
  function weightsInView() {
    const bytes = view.model.get("weights")[state.layer];
    if (!bytes) return null;
    const size = view.shown.written * nKeys(), all = bytesOf(bytes);
    const heads = state.head === "mean" ? range(n_heads) : [state.head];
    return combined(heads.map((one) => decoded(all.subarray(one * size, (one + 1) * size))), "mean");
  }

  /** What the token at a place looks at: exact if the kernel has sent it. */
  function rowOf(at) {
    const { shown } = view;
    if (shown.row && ["layer", "head"].every((name) => state[name] === shown[name]) && at === shown.place) return floatsOf(shown.row);
    return weights && weights.subarray(at * nKeys(), (at + 1) * nKeys());
  }

  const keyInFocus = () => key ?? strongest(rowOf(hovered ?? place()) ?? [0]);

  // ---- eyes ---------------------------------------------------------------------------------------

  let weights = null;

  function draw(news) {
    // what was refused is asked for no more
    if (view.shown.problem && news.isReply && news.isLast) state.text = view.shown.text;
    steps.draw(news);
    markEdited();
  }

  function markEdited() {
    go.classList.toggle("cw-main", text.value !== state.text);
    setIdle(go, text.value === state.text);
  }

  function drawAll() {
    weights = weightsInView();
    fill();
    if (!view.root.clientWidth) return; // not in the page yet
    drawMap();
    drawRow();
  }

  /** The tokens, made anew only where they are others. */
  function fill() {
    const { source, target, p, by_hand, changed, text_now, step } = view.shown, n = steps.now();
    const tokens = target.slice(0, n);
    const notes = tokens.map((_, i) => ({ text: `${short(p[i])}${by_hand.includes(i) ? " ✎" : ""}`,
      words: [percent(p[i]), ...(by_hand.includes(i) ? ["put in by hand"] : []), ...(changed.includes(i) ? ["changed"] : [])].join(", "),
      kind: `${by_hand.includes(i) ? "tr-forced" : ""} ${changed.includes(i) ? "tr-changed" : ""}` }));
    const now = JSON.stringify([source, tokens, notes]);
    if (now !== filled) {
      rows.fill({ tokens, keys: source, cross: true, notes, first: 1 });
      rows.measure();
      filled = now;
    }
    if (step === n) reading.replaceChildren(...(text_now ? withBreaks(text_now) : [quietText("Nothing is written yet.")]));
    setIdle(freely, !by_hand.length);
  }

  const quietText = (words) => element("span", { class: "cw-quiet" }, words);

  function drawMap() {
    const n = steps.now(), { source, target } = view.shown;
    mapTitle.textContent = `All that is written: layer ${state.layer}, ${state.head === "mean" ? "mean of all heads" : `head ${state.head}`}`;
    mapBox.hidden = !n || !weights;
    if (mapBox.hidden) return;
    map.draw({ image: picture(encoded(weights.subarray(0, n * nKeys())), nKeys(), n), tokens: target.slice(0, n), keys: source,
      hidden: [], query: place(), key: keyInFocus() });
  }

  /** What a move of the focus changes: the arcs, the frames in the map, the numbers. */
  function drawRow() {
    const n = steps.now(), at = clamp(hovered ?? place(), 0, Math.max(n - 1, 0)), row = n ? rowOf(at) : null, to = keyInFocus();
    rows.choose(place(), to);
    rows.draw(at, row);
    if (n) map.point(at, to);
    drawReadout(at, to, row);
    drawCandidates();
  }

  function drawReadout(at, to, row) {
    const { source, target } = view.shown;
    if (!row) return readout.replaceChildren(steps.now() ? "The weights are on their way." : "Step writes the first token.");
    readout.replaceChildren(mono(target[at]), ` (${at + 1}) looks at `, mono(source[to]), ` (${to + 1}) with ${percent(row[to])}.`);
  }

  function drawCandidates() {
    const { candidates, target, p, ids, step } = view.shown, at = place();
    asked.hidden = !steps.now();
    if (asked.hidden || step !== steps.now() || view.shown.place !== at) return; // the kernel is about to say it
    const held = [...asked.querySelectorAll("button")].indexOf(document.activeElement);
    const named = candidates.map(([id, token, p]) => [button("", () => force(at, id), { class: "tr-candidate", "aria-pressed": String(id === ids[at]),
      "aria-label": `write ${spoken(token)} here` }), p, token]);
    for (const [node, , token] of named) node.append(mono(token));
    asked.replaceChildren(heading(`Token ${at + 1}: `, mono(target[at]), ` ${percent(p[at])}`),
      quiet("What might stand here. Press one: it is put in, and the rest is written anew after it."), bars(named));
    asked.querySelectorAll("button")[held]?.focus(); // the one under the hand
  }

  // ---- the table ----------------------------------------------------------------------------------

  function tables() {
    const { source, target, p, by_hand, changed } = view.shown, n = steps.now(), row = n ? rowOf(place()) : null;
    const largestFirst = range(source.length).sort((a, b) => (row ? row[b] - row[a] : 0) || a - b), listed = largestFirst.slice(0, IN_TABLE);
    const others = largestFirst.slice(IN_TABLE);
    return [
      { caption: "What is written", head: ["Place", "Token", "Probability", "Looks most at", "Weight", ""],
        rows: range(n).map((at) => {
          const one = rowOf(at), best = one && strongest(one);
          return [String(at + 1), inSigns(target[at]), percent(p[at]), one ? `${inSigns(source[best])} (${best + 1})` : "", one ? percent(one[best]) : "",
            [...(by_hand.includes(at) ? ["put in by hand"] : []), ...(changed.includes(at) ? ["changed"] : [])].join(", ")];
        }) },
      { caption: row ? `Where token ${place() + 1} looks` : "The source", head: ["Place", "Source token", "Weight"],
        rows: [...listed.map((i) => [String(i + 1), inSigns(source[i]), row ? percent(row[i]) : ""]),
          ...(others.length ? [["", `${others.length} others`, row ? percent(others.reduce((sum, i) => sum + row[i], 0)) : ""]] : [])] },
    ];
  }

  // ---- begin --------------------------------------------------------------------------------------

  const mapBox = element("div", {}, mapTitle, map.root, colourLegend(""), map.zoom);
  let width = 0;
  view.onResize(view.root, () => {
    if (view.root.clientWidth === width) return;
    width = view.root.clientWidth;
    rows.measure();
    drawAll();
  });
  return view.start({ draw, tables, body: [
    field("A verse; Enter translates it", text),
    line(field("Task", task), go, ...exampleButtons(fixed.examples, ([task, verse]) => { text.value = verse; translate({ task }); })),
    view.notice,
    line(steps.buttons, steps.scrub),
    reading,
    rows.root,
    element("p", { class: "cw-legend cw-quiet" }, "Under each token: the probability that the model gave it. ",
      element("span", { class: "tr-forced" }, "✎ put in by you"), element("span", { class: "tr-changed" }, "not in the translation before")),
    line(field("Layer", layer), field("Head", head), readout),
    element("div", { class: "cw-columns tr-columns" }, element("div", { class: "tr-asked" }, asked, freely), mapBox)] });
}

export default { render };
