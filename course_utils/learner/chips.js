// The chips of a prediction, for every widget in which one bets. They are moved here; Python hears of them when
// the bet is placed.

const CHIPS = 100;
const bits = (chips) => (chips === 0 ? "∞" : (0 - Math.log2(chips / CHIPS) || 0).toFixed(2)) + " bits";
const some = (n) => plural(n, "chip");

/** What `view.start` is to show, draw and list: the options of `fixed`, with the chips, the bet and the result. */
function chipBoard(view) {
  const { question, options } = view.fixed;
  let chips = [], placed = false, locked = false; // locked from the click on: the bet may be on its way
  const inHand = () => CHIPS - chips.reduce((sum, n) => sum + n, 0);

  // ---- the parts of the page --------------------------------------------------------------------

  const title = element("h4", { class: "cw-heading pr-question", id: freshId(), dir: "auto" }, question);
  const rule = quiet("Lower an option to take chips into your hand; raise another to lay them down. On the right stands " +
    "what you pay if that option comes true.");
  const sliders = options.map((option, i) => element("input", { type: "range", min: "0", max: String(CHIPS),
    step: "1", class: "pr-slider", "aria-label": option, oninput: () => lay(i, sliders[i].valueAsNumber) }));
  const step = (i, by, text) => button(text, () => lay(i, chips[i] + by), { class: "pr-step", tabindex: "-1",
    "aria-label": `${by > 0 ? "one chip more on" : "one chip less on"} ${options[i]}` });
  const counts = options.map(() => element("span", { class: "pr-count" }));
  const costs = options.map(() => element("span", { class: "pr-cost cw-quiet" }));
  const names = options.map((option) => element("span", { class: "pr-name", dir: "auto" }, option));
  const rows = options.map((_, i) => element("div", { class: "pr-row" },
    names[i], step(i, -1, "−"), sliders[i], step(i, 1, "+"), counts[i], costs[i]));
  const takeBack = button("Take all back", () => spread(options.map(() => 0)));
  const evenly = button("Spread the rest evenly", () => {
    const each = Math.floor(inHand() / options.length), left = inHand() % options.length;
    spread(chips.map((n, i) => n + each + (i < left ? 1 : 0)));
  });
  const place = button("", bet, { class: "pr-place cw-main" });
  const hand = element("span", { class: "pr-hand" });

  const body = element("div", { class: "cw-body", role: "group", "aria-labelledby": title.id },
    title, rule, element("div", {}, ...rows), line(place, hand, takeBack, evenly));

  // ---- moving chips -----------------------------------------------------------------------------

  function lay(i, wanted) {
    if (locked) return;
    const most = chips[i] + inHand();
    chips[i] = clamp(Math.round(wanted), 0, most);
    drawChips();
    sayHand(wanted > most ? "No chip is left in your hand: lower another option first." : "");
  }

  function spread(all) {
    if (locked) return;
    chips = all;
    drawChips();
    sayHand();
  }

  function sayHand(refusal) {
    view.say(refusal || (inHand() ? `${some(inHand())} in your hand: a bet is of all ${CHIPS}.` :
      `All ${CHIPS} chips lie on the options: the bet can be placed.`));
  }

  function bet() {
    if (locked) return;
    if (inHand()) return sayHand(`${some(inHand())} still in your hand: lay them down before you bet.`);
    locked = true;
    drawChips();
    view.send({ chips });
  }

  // ---- drawing ----------------------------------------------------------------------------------

  function draw() {
    const { shown } = view;
    // another view's answer, or a settlement, must not move the chips of an open bet
    if (shown.placed || !chips.length) chips = [...shown.chips];
    placed = locked = shown.placed;
    drawChips();
    rows.forEach((row, i) => row.classList.toggle("pr-true", i === shown.result));
    names.forEach((name, i) => name.replaceChildren(options[i],
      ...(i === shown.result ? [element("small", {}, "✓ came true")] : [])));
  }

  function drawChips() {
    chips.forEach((n, i) => {
      sliders[i].value = n;
      sliders[i].disabled = locked;
      sliders[i].style.setProperty("--pr-share", `${n}%`);
      sliders[i].setAttribute("aria-valuetext", `${some(n)}, costs ${bits(n)} if true, ${inHand()} in hand`);
      counts[i].textContent = some(n);
      costs[i].textContent = bits(n);
    });
    hand.textContent = locked ? "" : `In your hand: ${some(inHand())}`;
    hand.classList.toggle("pr-some", inHand() > 0);
    place.textContent = placed ? "Bet placed, locked" : "Place the bet";
    setIdle(place, locked || inHand() > 0);
    for (const node of [rule, takeBack, evenly]) node.hidden = locked;
    for (const one of body.querySelectorAll(".pr-step")) one.hidden = locked;
  }

  function tables() {
    return [{ caption: question, head: ["Option", "Chips", "Bits if it comes true", ""],
      rows: options.map((option, i) =>
        [option, String(chips[i]), bits(chips[i]), i === view.shown.result ? "came true" : ""]) }];
  }

  return { body: [body], draw, tables };
}
