// Stands where the kernel was: each widget of a page gets what was recorded of it.
const courseBook = { kinds: {}, styles: {}, records: [] };

const NOT_KEPT = "This page has no Python. It answers to the settings that were tried when it was made; " +
  "for all others, open the chapter in JupyterLab.";
const DRAWN_ONLY = "Drawn by this page alone; JupyterLab says it in a sentence as well.";

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

/** What a bet's page would get from Python: chips are locked, and paid for in bits. */
function placed(shown, chips, cameTrue) {
  const bits = (share) => (share > 0 ? `${Math.abs(Math.log2(share)).toFixed(2)} bits` : "infinitely many bits");
  const sentence = cameTrue === null ? "Your chips lie; this chapter does not say what came true." :
    `${chips[cameTrue]} of your 100 chips were on what came true: ${bits(chips[cameTrue] / 100)}. ` +
    `Uniform guessing: ${bits(1 / chips.length)}. Nothing is kept when you leave the page.`;
  return { ...shown, chips, placed: true, result: cameTrue ?? -1, sentence, problem: "" };
}

/** What anywidget calls a model: traits, those who listen to them, and requests that are answered. */
function modelOf({ traits, answers, free, came_true: cameTrue }) {
  const values = unpacked(traits), first = { ...values }, listeners = {};
  const answerOf = new Map(answers.map(([request, changes]) => [keyOf(request), changes]));
  const tell = (event) => (listeners[event] ?? []).forEach((listener) => listener());
  function answer({ id, ...request }) {
    const changes = answerOf.get(keyOf(request));
    let news = { shown: { ...values.shown, problem: NOT_KEPT } };
    if (changes) news = { ...first, ...unpacked(changes) };
    else if (cameTrue !== undefined) news = { shown: placed(values.shown, request.chips, cameTrue) };
    else if (Object.keys(request).every((name) => free.includes(name) || keyOf(request[name]) === keyOf(values.shown[name])))
      news = { shown: { ...values.shown, ...request, problem: "", sentence: DRAWN_ONLY } };
    Object.assign(values, news, { shown: { ...news.shown, answers: id } });
    Object.keys(news).forEach((name) => tell(`change:${name}`));
  }
  return {
    get: (name) => values[name],
    set: (name, value) => { values[name] = value; },
    save_changes() {},
    on: (event, listener) => (listeners[event] ??= []).push(listener),
    off: (event, listener) => { listeners[event] = (listeners[event] ?? []).filter((one) => one !== listener); },
    send: (request) => setTimeout(() => answer(request)), // as from a kernel: not at once
  };
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
    courseBook.kinds[record.kind]().render({ model: modelOf(record), el });
    place.remove();
  } catch (error) {
    el.remove();
    console.error(record.kind, error);
  }
}

document.addEventListener("DOMContentLoaded", () => document.querySelectorAll("[data-live]").forEach(bringToLife));
