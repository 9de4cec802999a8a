// Guesses are judged here, so that a player never waits; Python keeps them and computes the bounds.

const AXIS = 6; // bits at the right end of the chart
const LETTER = /\p{L}/u;

function render(context) {
  const view = viewOf(context, "Shannon’s game");
  let { shown } = view;
  let play = null; // { key, text, ranks, wrong, shown } of the passage on the page
  let waiting = false; // for the next passage, or for the other text

  // ---- the parts of the page --------------------------------------------------------------------

  const group = freshId();
  const texts = view.fixed.texts.map((name) => element("input", { type: "radio", name: group, value: name,
    onchange: () => go(name, "One moment: the first time, the models must count this text.") }));
  const place = heading();
  const given = element("span", { class: "sg-context" });
  const cells = element("span", {});
  const input = element("input", { class: "sg-input", type: "text", autocomplete: "off", autocapitalize: "off",
    autocorrect: "off", spellcheck: "false", placeholder: "?" });
  const page = element("div", { class: "sg-page", dir: "ltr", onclick: () => input.focus() },
    given, cells, input);
  const says = element("p", { class: "sg-says", role: "status", "aria-live": "polite" });
  const keys = element("div", { class: "sg-keys", role: "group", "aria-label": "Characters to choose from" });
  const showMe = button("Show me", giveUp), known = button("I know this one", discard);
  const next = button("Next passage", () => waiting || go("next"), { class: "cw-main" });
  const chart = element("div");
  const caption = quiet();

  const choice = element("fieldset", { class: "sg-texts" }, element("legend", {}, "You and the models play"),
    ...texts.map((radio) => element("label", {}, radio, ` ${radio.value}`)));
  const body = [choice, element("div", {}, place, page, says, keys),
    line(next, showMe, known, quiet("Show me: the commonest characters are tried for you, and each counts. " +
      "I know this one: its guesses don’t count.")), view.notice,
    element("div", {}, heading("Bits a character, you beside the models"), chart, caption)];

  // ---- playing ----------------------------------------------------------------------------------

  const hidden = () => [...(shown.passage?.hidden ?? "")];
  const finished = () => !shown.passage || play.ranks.length === hidden().length;
  const named = (c) => ({ " ": "the blank", "\n": "the line break" }[c] ?? `“${c}”`);
  const guesses = (n) => `${n} ${n === 1 ? "guess" : "guesses"}`;
  const say = (sentence) => { says.textContent = sentence.charAt(0).toUpperCase() + sentence.slice(1); };

  /** Python has nothing to decide about a guess: it is told how far the play has come. */
  function tell(more = {}) {
    view.send({ text: shown.text, passage: play?.key ?? "", ranks: play?.ranks ?? [], wrong: play?.wrong ?? "",
      shown: play?.shown ?? 0, known: false, go: "", ...more });
  }

  /** Ask for another passage or text. Until it is there nothing else is asked, which could replace this. */
  function go(where, sentence = "", known = false) {
    waiting = choice.disabled = true;
    say(sentence);
    tell({ go: where, known });
    input.focus();
  }

  function discard() {
    if (!waiting) go("next", "Discarded: the guesses of that passage don’t count.", true);
  }

  function guess(c) {
    if (waiting) return;
    if (finished()) return say("This passage is finished: press Enter, or “Next passage”. Not counted.");
    if (shown.alphabet === shown.alphabet.toLowerCase()) c = c.toLowerCase();
    if (!shown.alphabet.includes(c)) return say(refused(c));
    if (play.wrong.includes(c)) return say(`${named(c)} was wrong already, and isn’t asked again. Not counted.`);
    const right = hidden()[play.ranks.length];
    if (c === right) {
      hit(play.wrong.length + 1);
    } else {
      play.wrong += c;
      say(`Not ${named(c)}. ${guesses(play.wrong.length)} so far.`);
    }
    tell();
    redraw();
  }

  function hit(rank) {
    const right = hidden()[play.ranks.length];
    play.ranks.push(rank);
    play.wrong = "";
    say(`${named(right)} is right, after ${guesses(rank)}.` + (!finished() ? "" :
      ` Passage finished: ${play.ranks.length} characters in ` +
      `${guesses(play.ranks.reduce((sum, n) => sum + n, 0))}. Enter goes on to the next.`));
  }

  const refused = (c) => shown.alphabet.length === 27
    ? `${named(c)} is none of the 27: a to z, and the blank for all that stands between letters. Not counted.`
    : `${named(c)} never occurs in the training text. Not counted.`;

  /** The commonest untried characters are tried for the player; each of them is a guess. */
  function giveUp() {
    if (waiting || finished()) return;
    const right = hidden()[play.ranks.length];
    const tried = [...shown.alphabet].filter((c) => !play.wrong.includes(c));
    const more = tried.indexOf(right) + 1;
    play.shown += 1;
    hit(play.wrong.length + more);
    say(`It was ${named(right)}: tried from the commonest on, ${guesses(more)} more, which ${more === 1 ? "counts" : "count"}. ` + says.textContent);
    tell();
    redraw();
    input.focus();
  }

  // ---- the keys ---------------------------------------------------------------------------------

  input.addEventListener("keydown", (event) => {
    const types = event.key.length === 1 || event.key === "Enter";
    if (!types || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.repeat) {
      event.preventDefault();
      return say("A held key repeats itself: press it once for each guess. The repeats are not counted.");
    }
    if (event.key !== "Enter" || event.shiftKey) return; // all other characters arrive as input
    event.preventDefault();
    if (!waiting && finished() && shown.passage) go("next");
    else guess("\n");
  });
  input.addEventListener("paste", (event) => {
    const pasted = event.clipboardData.getData("text");
    event.preventDefault(); // a text field would turn its line breaks into blanks
    take(pasted);
  });
  // A dead key or an input method ends in compositionend; until then its text is not meant yet.
  input.addEventListener("input", (event) => event.isComposing || takeTyped());
  input.addEventListener("compositionend", takeTyped);

  function takeTyped() {
    const typed = input.value;
    input.value = "";
    take(typed);
  }

  function take(text) {
    const characters = [...text.normalize("NFC")];
    if (characters.length === 1) guess(characters[0]);
    else if (characters.length) say(`${characters.length} characters came at once: guess one at a time. Not counted.`);
  }

  // ---- drawing ----------------------------------------------------------------------------------

  function draw({ isLast }) {
    ({ shown } = view);
    const { passage } = shown;
    // The page may be ahead of Python, never behind; another view or game may be ahead of the page.
    if (!play || play.key !== passage?.key || play.text !== shown.text || shown.ranks.length > play.ranks.length) {
      play = { key: passage?.key, text: shown.text, ranks: [...shown.ranks], wrong: shown.wrong, shown: shown.shownHere };
      given.replaceChildren(...withBreaks(passage?.context ?? ""));
    }
    if (isLast) waiting = choice.disabled = false;
    texts.forEach((radio) => { radio.checked = radio.value === shown.text; });
    redraw();
  }

  function redraw() {
    const letters = hidden();
    place.textContent = shown.passage
      ? `${shown.passage.place}: ${play.ranks.length} of ${letters.length} characters guessed`
      : "All passages are played: there is no other text that you have not seen.";
    cells.replaceChildren(...play.ranks.flatMap((rank, i) => [
      element("span", { class: rank === 1 ? "sg-cell sg-first" : "sg-cell" },
        element("b", {}, ...visible(letters[i])), element("i", {}, String(rank))),
      ...(letters[i] === "\n" ? [element("br")] : [])]));
    input.setAttribute("aria-label", finished() ? "Passage finished: Enter goes on to the next"
      : `Guess character ${play.ranks.length + 1} of ${letters.length}: type one key`);
    input.placeholder = finished() ? "⏎" : "?";
    page.hidden = !shown.passage;
    next.hidden = !finished() || !shown.passage;
    showMe.disabled = finished();
    known.disabled = !shown.passage;
    drawKeys();
    drawChart();
  }

  /** All characters by kind; wrong ones struck through. For touch and mouse: the keyboard needs none of them. */
  function drawKeys() {
    const kind = (c) => (c === " " || c === "\n" ? 0 : !LETTER.test(c) ? 2 : c === c.toLowerCase() ? 1 : 3);
    const sorted = [...shown.alphabet].sort((a, b) => kind(a) - kind(b) || (a < b ? -1 : 1));
    keys.replaceChildren(...sorted.map((c) => {
      const wrong = play.wrong.includes(c);
      const face = element(wrong ? "s" : "span", {}, ...visible(c));
      return element("button", { type: "button", tabindex: "-1", class: wrong ? "sg-key sg-wrong" : "sg-key",
        disabled: wrong || finished(), onmousedown: (event) => event.preventDefault(), // the cursor stays
        "aria-label": wrong ? `${spoken(c)}, wrong` : spoken(c),
        onclick: () => guess(c) }, face);
    }));
  }

  /** Bits of each model for all characters guessed, those of this page included. */
  function modelBits() {
    const bits = floatsOf(shown.bits);
    const n = shown.before.n + play.ranks.length, width = hidden().length;
    return shown.models.map((_, i) => n && (shown.before.sums[i] +
      bits.slice(i * width, i * width + play.ranks.length).reduce((sum, b) => sum + b, 0)) / n);
  }

  const guessed = () => shown.before.n + play.ranks.length;
  const across = (bits) => `${(100 * Math.min(bits, AXIS)) / AXIS}%`;

  function drawChart() {
    const n = guessed();
    const row = (name, value, ...marks) => element("div", { class: "sg-row" },
      element("span", { class: "sg-name" }, name), element("span", { class: "sg-track" }, ...marks),
      element("span", { class: "sg-value" }, value));
    const models = modelBits().map((bits, i) => row(shown.models[i], n ? bits.toFixed(2) : "–",
      ...(n ? [element("i", { class: "sg-model", style: `left: ${across(bits)}` })] : [])));
    chart.replaceChildren(...models, you(n, row),
      element("div", { class: "sg-row sg-axis", "aria-hidden": "true" }, element("span", {}),
        element("span", { class: "sg-track" }, ...range(AXIS + 1).map((bits) =>
          element("span", { style: `left: ${across(bits)}` }, bits === AXIS ? `${bits} bits` : String(bits)))), element("span", {})));
    caption.textContent = shown.human ? `You: Shannon’s lower to upper bound from ${shown.human.n} guessed characters; ` +
      "the thin line is where chance may have moved them (bootstrap, 95\u00a0%). The upper bound contains " +
      `+${shown.human.added.toFixed(2)} bits for the small sample (Miller and Madow). ` + (shown.human.pooled
        ? `${shown.human.pooled} ranks were averaged with neighbours, so that no later guess is right more often than an earlier one.`
        : "No rank had to be averaged: no later guess was right more often than an earlier one.")
      : "You and the models are measured on the same characters. From few guesses the upper bound comes out too " +
        `low: yours is shown from ${view.fixed.enough} on.`;
  }

  function you(n, row) {
    const human = shown.human;
    if (!human) {
      return row("you", "", element("span", { class: "sg-few", style: `width: ${(100 * n) / view.fixed.enough}%` }),
        element("b", { class: "sg-too-few" }, `too few: ${n} of ${view.fixed.enough}`));
    }
    const [lower, upper] = human.bounds, [[low], [, high]] = human.interval;
    const bar = (name, from, to) => element("i", { class: name,
      style: `left: ${across(from)}; width: calc(${across(to)} - ${across(from)})` });
    return row("you", `${lower.toFixed(2)} to ${upper.toFixed(2)}`, bar("sg-interval", low, high), bar("sg-bounds", lower, upper));
  }

  function tables() {
    const n = guessed(), { human, models, counts } = shown;
    const bounds = human ? [["you, lower bound", human.bounds[0], human.interval[0]],
      ["you, upper bound", human.bounds[1], human.interval[1]]].map(([name, value, [low, high]]) =>
      [name, value.toFixed(2), `${low.toFixed(2)} to ${high.toFixed(2)}`])
      : [["you", `too few: ${n} of ${view.fixed.enough}`, "–"]];
    return [
      { caption: `Bits a character on the same ${n} characters`, head: ["Player", "Bits", "95 % interval"],
        rows: [...modelBits().map((bits, i) => [models[i], n ? bits.toFixed(2) : "–", "–"]), ...bounds] },
      { caption: "Guesses until a character was right", head: ["Guesses", "Characters"],
        rows: counts.flatMap((count, i) => (count ? [[String(i + 1), String(count)]] : [])) },
    ];
  }

  return view.start({ body, draw, tables });
}

export default { render };
