// The kernel writes one token of each answer a request; kit/steps.js goes from token to token.

const MOST_BITS = 8; // where the colours end

function render(context) {
  const view = viewOf(context, "Before and after"), { fixed, state } = view, { names } = fixed;

  // ---- the parts of the page ----------------------------------------------------------------------

  const prompt = textArea(view, "prompt", begin);
  const number = (name, words) => field(words, numberField(view, name, begin));
  const heat = element("span", {});
  view.follow("temperature", (now) => { heat.textContent = ` ${now}`; });
  const temperature = slider(view, "temperature", { label: "temperature", step: 0.1, ask: begin });
  const stop = element("input", { type: "text", class: "cw-number", spellcheck: "false", placeholder: "none",
    maxlength: fixed.most_stop, oninput: () => begin({ stop: lineBreaks(stop.value) }) });
  view.follow("stop", (now) => { if (lineBreaks(stop.value) !== now) stop.value = now.replaceAll("\n", "\\n"); });
  const steps = stepper(view, { all: "Write", drawStep });
  const halt = button("Stop", () => steps.go(steps.now()));
  const sides = names.map((name) => {
    const answer = element("p", { class: "ba-answer", dir: "auto" }), ending = quiet();
    return { answer, ending, root: element("div", {}, heading(...visible(name)), answer, ending) };
  });
  const table = element("div", { class: "cw-scroll ba-table" });

  // ---- hands --------------------------------------------------------------------------------------

  /** Another prompt, or another way of answering it: from the first token. */
  function begin(changes) { steps.begin(changes); }

  /** In a field of one line a line break is typed as \n. */
  function lineBreaks(text) { return text.replaceAll("\\n", "\n"); }

  // ---- eyes ---------------------------------------------------------------------------------------

  function drawStep() {
    const { both, likely, step } = view.shown, at = steps.now();
    both.forEach(({ tokens, ended }, k) => {
      const { answer, ending } = sides[k], shown = tokens.slice(0, at), isWhole = ended && at >= tokens.length;
      answer.replaceChildren(...shown.map(tokenOf));
      ending.textContent = at === 0 ? "Nothing is written yet." :
        `${plural(shown.length, "token")}${isWhole ? `, ended by ${ended}` : ""}`;
    });
    setIdle(halt, state.step === null || state.step <= at);
    table.replaceChildren(tableOf(likelyTable(likely.length && step === at ? likely : null)));
  }

  /** A token, on the colour of what the other model finds. */
  function tokenOf([text, , bits]) {
    const colour = bits === null ? null : cividis(bits / MOST_BITS);
    return element("bdi", colour ? { style: `background: ${css(colour)}; color: ${inkOn(colour)}` } : {}, readable(text));
  }

  /** Rows are readers, columns are answers; of each answer the reader that finds it likelier is marked. */
  function likelyTable(likely) {
    const cell = (row, k) => {
      if (!likely?.[row][k]) return likely ? "–" : "…";
      const [bits, n] = likely[row][k], mark = bits < likely[1 - row][k]?.[0] ? [" ", element("small", {}, "◀ likelier")] : [];
      return [element("b", {}, (bits / n).toFixed(2)), ...mark, element("br"), element("small", {}, `${plural(n, "token")}, ${bits.toFixed(1)} bits`)];
    };
    return { head: ["", ...names.map((name) => ["the answer of ", ...visible(name)])],
      rows: names.map((name, row) => [[...visible(name), " finds"], ...names.map((_, k) => cell(row, k))]) };
  }

  function tables() {
    const { both } = view.shown, inBits = (bits) => (bits === null ? "–" : bits.toFixed(2));
    const written = both.map(({ tokens }) => tokens.slice(0, steps.now()));
    return [{ caption: "The answers", head: ["Who", "What"],
      rows: written.map((tokens, k) => [visible(names[k]), tokens.map(([text]) => readable(text)).join("")]) },
    ...written.map((tokens, k) => ({ caption: `${readable(names[k])}: bits of each token`, head: ["Token", "Its own", "The other’s"],
      rows: tokens.map(([text, own, other]) => [readable(text), inBits(own), inBits(other)]) }))];
  }

  return view.start({ draw: steps.draw, tables, body: [
    field("A prompt", prompt, "cw-wide"),
    line(...exampleButtons(fixed.examples, (prompt) => begin({ prompt }))),
    line(field(["Temperature", heat], temperature), number("seed", "Seed"), number("length", "Most tokens"), field("Stop string", stop)),
    view.notice,
    line(steps.buttons, halt), steps.scrub,
    element("div", { class: "cw-columns ba-answers" }, ...sides.map(({ root }) => root)),
    element("p", { class: "cw-legend cw-quiet" }, "On each token, where writing rests, what the other model finds of it: 0 ", colourScale(),
      ` ${MOST_BITS} bits and more. ${fixed.end} is the end.`),
    element("div", {}, heading(fixed.caption), table)] });
}

export default { render };
