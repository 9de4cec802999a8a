// Stands where the kernel was: each widget of a page gets what was recorded of it.
const courseBook = { kinds: {}, styles: {}, records: [] };

const NOT_KEPT = "This page has no Python, and this was not tried when it was made: what you see is still the answer " +
  "before. For this one, open the chapter in JupyterLab.";
const STILL = "Still the answer before: ";
const TRIED = "This page has no Python. This widget answers to what was tried when the page was made";
const NO_RUN = "The run needs Python: open the chapter in JupyterLab, place your bet there, and start it.";
const NO_SEAL = "nothing, on a page without Python";
const DRAWN_ONLY = "Drawn by this page alone; JupyterLab says it in a sentence as well.";
const ITS_OWN = "Here each passage counts by itself, and nothing is kept; bounds for you need JupyterLab.";

/** A request as a text that does not depend on the order of its entries. */
function keyOf(value) {
  if (Array.isArray(value)) return `[${value.map(keyOf)}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{${Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${keyOf(value[name])}`)}}`;
}

/** A recorded value with its bytes as the kernel would have sent them. */
function unpacked(value) {
  if (Array.isArray(value)) return value.map(unpacked);
  if (value === null || typeof value !== "object") return value;
  if (typeof value.bytes === "string" && Object.keys(value).length === 1)
    return new DataView(Uint8Array.from(atob(value.bytes), (c) => c.charCodeAt(0)).buffer);
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, unpacked(one)]));
}

const pick = (from, names) => Object.fromEntries(names.filter((name) => name in from).map((name) => [name, from[name]]));

/** What the browser keeps under a name; nothing, where it may keep nothing. */
const kept = {
  get(name) {
    try { return JSON.parse(localStorage.getItem(`llm-workbook:${name}`)); } catch { return null; }
  },
  set(name, value) {
    try { localStorage.setItem(`llm-workbook:${name}`, JSON.stringify(value)); } catch { /* the page works without */ }
  },
};

// ---- who answers ---------------------------------------------------------------------------------------------
// Each takes a record and gives { begin, answer }: the traits at the beginning, and those that a request changes.

/** A bet: chips are locked, paid for in bits, and kept in this browser. A run that would settle it needs Python. */
function bet({ traits, id, came_true: cameTrue }) {
  const bits = (share) => (share > 0 ? `${Math.abs(Math.log2(share)).toFixed(2)} bits` : "infinitely many bits");
  const { shown: recorded } = traits; // at the chapter's end, when the result was known
  const shown = { ...recorded, sentence: recorded.sentence.replace(/ The result has been shown already.*/, "") };
  function placed(chips) {
    const sentence = cameTrue === null ? "Your chips lie; this chapter does not say what came true." :
      `${chips[cameTrue]} of your 100 chips were on what came true: ${bits(chips[cameTrue] / 100)}. ` +
      `Uniform guessing: ${bits(1 / chips.length)}. Your bet is kept in this browser only.`;
    const seal = "seal" in shown ? { seal: NO_SEAL } : {};
    return { shown: { ...shown, ...seal, chips, placed: true, result: cameTrue ?? -1, sentence, problem: "" } };
  }
  const { options } = traits.fixed, found = kept.get(`bet ${id}`) ?? {};
  const before = options.map((option) => found[option]); // unless this edition has other options
  const isBet = Object.keys(found).length === options.length && before.every(Number.isInteger);
  return { begin: { ...traits, ...(isBet ? placed(before) : { shown }) }, answer({ chips }, now) {
    if (!chips) return { shown: { ...now.shown, problem: NO_RUN } };
    kept.set(`bet ${id}`, Object.fromEntries(options.map((option, i) => [option, chips[i]])));
    return placed(chips);
  } };
}

/** The game judges guesses itself; it asks for the next passage, and for the other text. */
function game({ traits, rounds }) {
  const at = Object.fromEntries(Object.keys(rounds).map((text) => [text, 0]));
  let shown = unpacked(rounds[traits.shown.text][0]);
  return { begin: { ...traits, shown: { ...shown, sentence: ITS_OWN } }, answer({ text, go }) {
    const other = go in rounds ? go : text;
    if (go === "next") at[text] = (at[text] + 1) % rounds[text].length;
    if (go) shown = unpacked(rounds[other][at[other]]);
    return { shown: { ...shown, sentence: ITS_OWN } };
  } };
}

/** All others: what the page draws by itself is free, and the rest was asked when the book was made. */
function examples({ traits, answers, free, after, refined, sentences }) {
  const names = Object.keys(traits.fixed.specs), first = pick(traits.shown, names);
  const stateOf = (shown) => keyOf(pick(shown, names));
  const sentenceOf = new Map(sentences.map(([changes, sentence]) => [stateOf({ ...first, ...changes }), sentence]));
  let answerOf = null; // read when it is asked for first: pages open sooner

  /** What an answer depends on: all that is not free, and for what Python is to choose, that from which it follows. */
  function keyTo(request) {
    const missing = Object.keys(after).filter((name) => !(name in request));
    const wanted = new Set([...names.filter((name) => !free.includes(name)), ...missing.flatMap((name) => after[name])]);
    return keyOf(pick(request, [...wanted]));
  }

  /** Of something else to be written: that alone from which it follows, wherever the hand was before. */
  function keyOfNew(request) {
    const missing = Object.keys(after).filter((name) => !(name in request));
    return missing.length && `new ${keyOf(pick(request, [...new Set(missing.flatMap((name) => after[name]))]))}`;
  }

  /** Each answer is recorded by what it changes beside the one before. */
  function readAnswers() {
    const found = new Map();
    let last = pick(traits, Object.keys(traits).filter((name) => name !== "fixed"));
    for (const [request, { shown, ...changes }] of answers) {
      last = { ...last, ...unpacked(changes), shown: { ...last.shown, ...unpacked(shown ?? {}) } };
      for (const key of [keyTo(request), keyTo(pick(last.shown, names)), keyOfNew(request)])
        if (key && !found.has(key)) found.set(key, last);
    }
    return found;
  }

  return { begin: traits, answer(request, now) {
    answerOf ??= readAnswers();
    const found = answerOf.get(keyTo(request)) ?? answerOf.get(keyOfNew(request));
    if (!found)
      return { shown: { ...now.shown, problem: NOT_KEPT, sentence: STILL + now.shown.sentence.replace(STILL, "") } };
    const shown = { ...found.shown, ...pick(request, free) };
    if (stateOf(shown) === stateOf(found.shown)) return { ...found, shown };
    return { ...found, shown: { ...shown, ...refined, notice: "", sentence: sentenceOf.get(stateOf(shown)) ?? DRAWN_ONLY } };
  } };
}

// ---- on the page ---------------------------------------------------------------------------------------------

/** What anywidget calls a model: traits, those who listen to them, and requests that are answered. */
function modelOf(record) {
  const play = { ...record, traits: unpacked(record.traits) };
  const { begin, answer } = ("came_true" in record ? bet : "rounds" in record ? game : examples)(play);
  const values = { ...begin }, listeners = {};
  function take(id, news) {
    Object.assign(values, news, { shown: { ...news.shown, answers: id } });
    Object.keys(news).forEach((name) => (listeners[`change:${name}`] ?? []).forEach((listener) => listener()));
  }
  return {
    get: (name) => values[name],
    set: (name, value) => { values[name] = value; },
    save_changes() {},
    on: (event, listener) => (listeners[event] ??= []).push(listener),
    off: (event, listener) => { listeners[event] = (listeners[event] ?? []).filter((one) => one !== listener); },
    send: ({ id, ...request }) => setTimeout(() => take(id, answer(request, values))), // as from a kernel: not at once
    offer: (changes) => take("", answer({ ...pick(begin.shown, Object.keys(begin.fixed.specs)), ...changes }, values)),
  };
}

/** What the page can answer, said before it is asked; of texts a choice, if the widget has none on its buttons. */
function offered({ free, offers, traits }, model) {
  const label = document.createElement(offers.texts ? "label" : "p");
  label.className = "course-offer";
  const typed = Object.entries(traits.fixed.specs).some(([name, { text }]) => text && !free.includes(name));
  label.append(`${TRIED}${typed ? ", not to a text of your own" : ""}.`);
  if (!offers.texts) return label;
  const { name, texts } = offers, choice = document.createElement("select");
  choice.append(...texts.map((text) => new Option(text ? `“${text}”` : "nothing")));
  choice.addEventListener("change", () => model.offer({ [name]: texts[choice.selectedIndex] }));
  label.append(" Texts that it knows: ", choice);
  return label;
}

/** What a widget refuses stands at its top, where the hand is; it keeps in sight while the widget is. */
function raiseProblem(el) {
  const problem = el.querySelector(".course-widget > .cw-problem");
  problem.setAttribute("role", "status"); // an example missing is no alarm
  problem.parentNode.prepend(problem);
}

/**
 * What follows a bet in its section tells what came true: it waits for the bet, or until it is asked for. A search
 * in the page finds it all the same, where a browser knows "until-found".
 */
function holdBack(el, model, name) {
  const cell = el.closest("div.cell"), held = document.createElement("div"), offer = document.createElement("p");
  if (!cell || kept.get(name) || model.get("shown").placed) return;
  const isNextHeading = (one) => one.tagName === "SECTION" || one.querySelector("[id^=cell-]");
  while (cell.nextElementSibling && !isNextHeading(cell.nextElementSibling)) held.append(cell.nextElementSibling);
  if (!held.firstChild) return;
  const button = Object.assign(document.createElement("button"), { textContent: "Show it without a bet" });
  function show() {
    held.hidden = false;
    offer.remove();
    held.querySelectorAll("details.below-input").forEach((one) => (one.open = true));
  }
  held.className = "course-held";
  held.hidden = "until-found";
  held.tabIndex = -1;
  held.addEventListener("beforematch", show);
  offer.className = "course-hold";
  offer.append("Place your bet: what follows tells what came true. ", button);
  button.addEventListener("click", () => (kept.set(name, true), show(), held.focus()));
  model.on("change:shown", () => model.get("shown").placed && show());
  cell.after(offer, held);
}

/** Beside each line the hands that may have written it; the truth is told when all are chosen. */
function playWhose(list) {
  const truth = list.dataset.truth, hands = [...new Set(truth)].sort().reverse();
  const lines = [...list.children], told = Object.assign(document.createElement("p"), { role: "status" });
  const chosen = () => lines.map((line) => line.querySelector("input:checked")?.value ?? "");
  function tell() {
    const guess = chosen(), left = guess.filter((hand) => !hand).length;
    const right = guess.filter((hand, i) => hand === truth[i]).length;
    told.textContent = left ? `Choose for each line; ${left} left.` : `${right} of ${truth.length} right.`;
    lines.forEach((line, i) => (line.dataset.told = left ? "" : guess[i] === truth[i] ? "✓" : `✗ ${truth[i]}`));
  }
  lines.forEach((line, i) => {
    const choice = document.createElement("span"), text = line.textContent;
    choice.append(...hands.map((hand) => {
      const label = document.createElement("label"), radio = document.createElement("input");
      Object.assign(radio, { type: "radio", name: `whose ${i}`, value: hand, ariaLabel: `${hand}: ${text}` });
      radio.addEventListener("change", tell);
      label.append(radio, hand);
      return label;
    }));
    line.append(choice);
  });
  list.after(told);
  tell();
}

const styled = new Set();

function bringToLife(place) {
  const record = courseBook.records[place.dataset.live];
  if (!record || !courseBook.kinds[record.kind]) return; // its picture stays
  const el = document.createElement("div");
  if (!styled.has(record.kind)) {
    styled.add(record.kind);
    document.head.append(Object.assign(document.createElement("style"), { textContent: courseBook.styles[record.kind] }));
  }
  place.before(el);
  try {
    const model = modelOf(record);
    courseBook.kinds[record.kind]().render({ model, el });
    raiseProblem(el);
    if (record.life === "on examples") el.prepend(offered(record, model));
    place.remove();
    if ("came_true" in record) holdBack(el, model, `shown ${record.id}`);
    keepNames(el);
  } catch (error) {
    el.remove();
    console.error(record.kind, error);
  }
}

/**
 * What is read aloud of an option stands in it, unseen, in place of a label beside other words (WCAG 2.5.3); what
 * is seen is not read. It comes to the same words.
 */
function nameFromContent(root, names) {
  for (const one of root.querySelectorAll(":is([role=option], [role=gridcell], [role=treeitem])")) {
    if (one.hasAttribute("aria-label")) names.set(one, one.getAttribute("aria-label"));
    else if (one.querySelector(":scope > .course-unseen")) continue; // nothing is new in it
    if (!names.has(one)) continue;
    one.removeAttribute("aria-label");
    one.querySelector(":scope > .course-unseen")?.remove();
    for (const child of [...one.childNodes]) {
      const seen = child.nodeType === Node.ELEMENT_NODE ? child : document.createElement("span");
      if (seen !== child) { child.replaceWith(seen); seen.append(child); }
      seen.setAttribute("aria-hidden", "true");
    }
    const unseen = document.createElement("span");
    unseen.className = "course-unseen";
    unseen.textContent = names.get(one);
    one.append(unseen);
  }
}

function keepNames(el) {
  const names = new WeakMap(), look = () => nameFromContent(el, names);
  new MutationObserver(look).observe(el, { subtree: true, childList: true, attributeFilter: ["aria-label"] });
  look();
}

/** Answers of a quiz that were opened are open again. */
function keepQuiz(choice, i) {
  const name = `quiz ${location.pathname.split("/").pop()} ${i}`;
  if (kept.get(name)) choice.open = true;
  choice.addEventListener("toggle", () => kept.set(name, choice.open));
}

/** What scrolls sideways can be scrolled by the keyboard; what does not is no stop on its way. */
function reachScrolling() {
  for (const one of document.querySelectorAll("article :is(pre, math, .table-wrapper, .output, .cw-scroll, .cw-tables)")) {
    if (one.scrollWidth > one.clientWidth) one.tabIndex = 0;
    else one.removeAttribute("tabindex");
    markMore(one);
  }
}

/** What goes on at the right has its edge shaded. */
function markMore(one) {
  one.classList.toggle("course-more", one.scrollLeft + one.clientWidth < one.scrollWidth - 1);
}

/** What was printed wraps, unless blanks put it in columns. */
function wrapProse() {
  for (const one of document.querySelectorAll(".cell_output pre"))
    if (!/\S {2,}\S|^ /m.test(one.textContent)) one.classList.add("course-prose");
}

document.addEventListener("DOMContentLoaded", () => {
  wrapProse();
  new ResizeObserver(reachScrolling).observe(document.querySelector("article"));
  document.addEventListener("scroll", ({ target }) => target.matches?.("article *") && markMore(target), true);
  document.querySelectorAll("[data-live]").forEach(bringToLife);
  document.querySelectorAll("fieldset.course-quiz details").forEach(keepQuiz);
  document.querySelectorAll("ol.course-whose").forEach(playWhose);
});
