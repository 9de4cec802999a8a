// The kernel takes one step a request; the page asks on until it has the step that it wants. To go back and forth
// through what is written needs no kernel, which only says the sentence, and what was expected, anew.

function render(context) {
  const view = viewOf(context, "Unmasking"), { fixed, state } = view;
  let items = []; // the boxes
  let wanted = 0; // the step that is asked for

  // ---- the parts of the page ----------------------------------------------------------------------

  const text = textArea(view, "text", begin);
  const number = (name, words) => field(words, numberField(view, name, begin));
  const heat = element("output", {});
  view.follow("temperature", (now) => { heat.textContent = ` ${now}`; });
  const temperature = slider(view, "temperature", { label: "temperature", step: 0.1, ask: begin });
  const order = select(view, "order", begin, { confidence: "the surest first", random: "random" });
  const back = button("◀ Back", () => go(now() - 1)), on = button("Step ▶", () => go(now() + 1));
  const write = button("Write", () => go(Infinity), { class: "cw-main" }), again = button("Start over", () => go(0));
  const scrub = element("input", { type: "range", class: "cw-slider", min: 0, "aria-label": "step", oninput: () => go(Number(scrub.value)) });
  const progress = element("span", { class: "cw-quiet" });
  const boxes = element("div", { class: "un-boxes", role: "listbox", dir: "ltr", "aria-label": "The places of the text" });
  chooser(boxes, { items: () => items, current: () => state.place, choose: (place) => { view.ask({ place }); mark(); } });
  const reading = element("p", { class: "un-text" }), asked = element("div", { class: "un-asked" });

  // ---- hands --------------------------------------------------------------------------------------

  /** Another text, or another way of writing it: from the first step. */
  function begin(changes) {
    wanted = 0;
    view.ask({ ...changes, step: null });
  }

  function go(step) {
    wanted = step;
    if (state.step === null) return; // the answer to `begin` is on its way, and goes on from here
    wanted = clamp(step, 0, view.shown.n_steps);
    view.ask({ step: wanted });
    drawStep();
  }

  /** The step that is shown: what was asked for, as far as it is written. */
  const now = () => Math.min(state.step ?? view.shown.step, view.shown.written);

  // ---- eyes ---------------------------------------------------------------------------------------

  function draw({ isReply, isLast }) {
    const { n_steps, places, step, problem } = view.shown;
    scrub.max = n_steps;
    if (items.length !== places.length) {
      items = places.map(() => element("div", { class: "un-box", role: "option" }, element("span"), element("small"), element("small")));
      boxes.replaceChildren(...items);
    }
    drawStep();
    if (isReply && isLast && step < wanted && !problem) go(wanted);
  }

  function drawStep() {
    const { n_steps, places, guesses, step, text_now } = view.shown, at = now();
    const expected = step === at ? new Map(guesses.map(([place, ...guess]) => [place, guess])) : new Map();
    places.forEach((place, k) => drawBox(items[k], k, place, at, n_steps, expected.get(k)));
    scrub.value = state.step ?? step;
    scrub.setAttribute("aria-valuetext", `step ${at} of ${n_steps}`);
    progress.textContent = `Step ${at} of ${n_steps}`;
    for (const one of [back, again]) setIdle(one, at === 0);
    for (const one of [on, write]) setIdle(one, at === n_steps);
    if (step === at) reading.replaceChildren(...withBreaks(text_now));
    mark();
  }

  /** A box has its token, the number of its step, and its probability; an open one what is expected there. */
  function drawBox(box, k, [token, filled, p], at, n_steps, guess) {
    const isOpen = filled === null || filled > at, [name, number, chance] = box.children;
    const colour = filled && !isOpen ? cividis(filled / n_steps) : null;
    box.className = `un-box ${isOpen ? "un-open" : filled ? "un-written" : ""} ${filled && filled === at ? "un-last" : ""}`;
    box.style.background = colour ? css(colour) : "";
    box.style.color = colour ? inkOn(colour) : "";
    name.replaceChildren(...(isOpen ? (guess ? visible(guess[0]) : ["▁"]) : visible(token)));
    number.textContent = isOpen ? "?" : filled ? String(filled) : "";
    chance.textContent = isOpen ? (guess ? short(guess[1]) : "") : filled ? short(p) : "";
    box.setAttribute("aria-label", `place ${k + 1}: ${isOpen ? `open${guess ? `, expected ${spoken(guess[0])}, ${percent(guess[1])}` : ""}` :
      filled ? `${spoken(token)}, step ${filled}, ${percent(p)}` : `${spoken(token)}, given`}`);
  }

  const short = (p) => (p < 0.005 ? "<1" : String(Math.round(100 * p))) + "%";

  function mark() {
    const { places, step, expected, place } = view.shown, k = Math.min(state.place, places.length - 1);
    markChosen(boxes, items, k);
    if (step !== now() || place !== k) return; // the kernel is about to say it
    const [token, filled, p] = places[k], isWritten = filled && filled <= step;
    const head = [`Place ${k + 1}: `, ...(filled === 0 ? [mono(token), " was given."] : isWritten ?
      [mono(token), ` was written in step ${filled}, where the model gave it ${percent(p)}. It expected then`] : ["open. The model expects"])];
    const rest = Math.max(0, 1 - expected.reduce((sum, [, p]) => sum + p, 0));
    const bar = (name, p, kind = "") => [name, element("span", { class: `cw-track ${kind}`, "aria-hidden": "true" },
      element("i", { style: `left: 0; width: ${100 * p}%` })), element("b", {}, percent(p))];
    asked.replaceChildren(element("p", {}, ...head), ...(expected.length ? [element("div", { class: "un-bars" },
      ...expected.flatMap(([token, p]) => bar(mono(token), p)), ...bar(element("span", {}, "all others"), rest, "cw-rest"))] : []));
  }

  function tables() {
    const at = now();
    return [{ caption: `The text after step ${at}`, head: ["Place", "Token", "Step", "Probability"],
      rows: view.shown.places.map(([token, filled, p], k) => [String(k + 1),
        ...(filled === null || filled > at ? ["▁", "open", ""] : [visible(token), filled ? String(filled) : "given", filled ? percent(p) : ""])]) }];
  }

  return view.start({ draw, tables, body: [
    line(field(`A text; ${fixed.mask} stands for one token`, text, "cw-wide"), number("more", "Masks after it")),
    line(...exampleButtons(fixed.examples, ([text, more]) => begin({ text, more }))),
    line(field("Order", order), field(["Temperature", heat], temperature), number("at_once", "Places a step"), number("seed", "Seed")),
    view.notice,
    line(write, back, on, again, progress), scrub, boxes,
    element("p", { class: "cw-legend cw-quiet" }, "Under each token: its step, and the probability that the model gave it. First ", colourScale(),
      " last. Dashed: open, with what the model expects there by itself."),
    reading, asked] });
}

export default { render };
