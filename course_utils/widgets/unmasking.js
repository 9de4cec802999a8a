// The kernel takes one step a request, and says the sentence, and what was expected, anew; kit/steps.js goes from step
// to step.

function render(context) {
  const view = viewOf(context, "Unmasking"), { fixed, state } = view;
  let items = []; // the boxes

  // ---- the parts of the page ----------------------------------------------------------------------

  const text = textArea(view, "text", begin);
  const number = (name, words) => field(words, numberField(view, name, begin));
  const heat = element("span", {});
  view.follow("temperature", (now) => { heat.textContent = ` ${now}`; });
  const temperature = slider(view, "temperature", { label: "temperature", step: 0.1, ask: begin });
  const order = select(view, "order", begin, { confidence: "the surest first", random: "random" });
  const steps = stepper(view, { all: "Write", drawStep });
  const boxes = element("div", { class: "un-boxes", role: "listbox", dir: "ltr", "aria-label": "The places of the text" });
  chooser(boxes, { items: () => items, current: () => state.place, choose: (place) => { view.ask({ place }); mark(); } });
  const reading = element("p", { class: "un-text" }), asked = element("div", { class: "un-asked" });

  // ---- hands --------------------------------------------------------------------------------------

  /** Another text, or another way of writing it: from the first step. */
  function begin(changes) { steps.begin(changes); }

  // ---- eyes ---------------------------------------------------------------------------------------

  function draw(news) {
    const { places } = view.shown;
    if (items.length !== places.length) {
      items = places.map(() => element("div", { class: "un-box", role: "option" }, element("span"), element("small"), element("small")));
      boxes.replaceChildren(...items);
    }
    steps.draw(news);
  }

  function drawStep() {
    const { n_steps, places, guesses, step, text_now } = view.shown, at = steps.now();
    const expected = step === at ? new Map(guesses.map(([place, ...guess]) => [place, guess])) : new Map();
    places.forEach((place, k) => drawBox(items[k], k, place, at, n_steps, expected.get(k)));
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

  function mark() {
    const { places, step, expected, place } = view.shown, k = Math.min(state.place, places.length - 1);
    markChosen(boxes, items, k);
    if (step !== steps.now() || place !== k) return; // the kernel is about to say it
    const [token, filled, p] = places[k], isWritten = filled && filled <= step;
    const head = [`Place ${k + 1}: `, ...(filled === 0 ? [mono(token), " was given."] : isWritten ?
      [mono(token), ` was written in step ${filled}, where the model gave it ${percent(p)}. It expected then`] : ["open. The model expects"])];
    asked.replaceChildren(element("p", {}, ...head), ...(expected.length ? [bars(expected.map(([token, p]) => [mono(token), p]))] : []));
  }

  function tables() {
    const at = steps.now();
    return [{ caption: `The text after step ${at}`, head: ["Place", "Token", "Step", "Probability"],
      rows: view.shown.places.map(([token, filled, p], k) => [String(k + 1),
        ...(filled === null || filled > at ? ["▁", "open", ""] : [visible(token), filled ? String(filled) : "given", filled ? percent(p) : ""])]) }];
  }

  return view.start({ draw, tables, body: [
    line(field(`A text; ${fixed.mask} stands for one token`, text, "cw-wide"), number("more", "Masks after it")),
    line(...exampleButtons(fixed.examples, ([text, more]) => begin({ text, more }))),
    line(field("Order", order), field(["Temperature", heat], temperature), number("at_once", "Places a step"), number("seed", "Seed")),
    view.notice,
    steps.buttons, steps.scrub, boxes,
    element("p", { class: "cw-legend cw-quiet" }, "Under each token: its step, and the probability that the model gave it. First ", colourScale(),
      " last. Dashed: open, with what the model expects there by itself."),
    reading, asked] });
}

export default { render };
