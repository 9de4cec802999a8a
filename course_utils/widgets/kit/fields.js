// The fields of a form. A field for an entry of the state is given the view, the name of the entry, and
// `ask(changes)`, which a change of it calls; it follows the state.

const heading = (...words) => element("h4", { class: "cw-heading" }, ...words);
const quiet = (...words) => element("p", { class: "cw-quiet" }, ...words);
const line = (...nodes) => element("div", { class: "cw-line" }, ...nodes);
const button = (text, onclick, attributes = {}) => element("button", { type: "button", onclick, ...attributes }, text);

/**
 * A control with its name above it, and its value, if that is shown: in a span, since an <output> would be what
 * the label names, and spoken once more after a slider that says it. `kind` "cw-wide" takes the width that is left.
 */
const field = (name, control, kind = "") =>
  element("label", { class: `cw-field ${kind}` }, element("span", {}, ...[name].flat()), control);

/** A control with its name before it. */
const labelled = (name, control) => element("label", { class: "cw-line" }, name, control);

/** A button that has nothing to do now; `disabled` would take the keyboard from under the hand. */
const setIdle = (button, idle) => button.setAttribute("aria-disabled", String(idle));

/** A text of several lines. */
function textArea(view, name, ask = view.ask, attributes = {}) {
  const area = element("textarea", { class: "cw-text", rows: 2, spellcheck: "false", dir: "auto",
    oninput: () => ask({ [name]: area.value }), ...attributes });
  view.follow(name, (text) => { area.value = text; });
  return area;
}

/** Buttons with texts to try, { what it is: text }. */
const exampleButtons = (examples, use) => Object.entries(examples).map(([name, text]) => button(name, () => use(text)));

/** Options of a select: { value: name }, or [value, ...]. */
const options = (named) => (Array.isArray(named) ? named.map((value) => [value, value]) : Object.entries(named))
  .map(([value, name]) => element("option", { value }, String(name)));

/** One of the options that Python declared; `named`, { value: name }, has other words for them. */
function select(view, name, ask = view.ask, named = {}) {
  const values = view.fixed.specs[name].options;
  const box = element("select", { onchange: () => ask({ [name]: values[box.selectedIndex] }) },
    ...values.map((value) => element("option", { value }, String(named[value] ?? value))));
  view.follow(name, (value) => { box.selectedIndex = values.indexOf(value); });
  return box;
}

/**
 * A slider over the options that Python declared, or from its min to its max by `step`. With `redraw` the page
 * draws what it can while the hand holds it, and asks when it lets go; without, it asks at each step.
 * say(value): in words, for a screen reader.
 */
function slider(view, name, { label, say = String, step = 1, redraw = null, ask = view.ask }) {
  const { options: stops, min, max } = view.fixed.specs[name];
  const value = () => (stops ? stops[input.value] : Number(input.value));
  const input = element("input", { type: "range", class: "cw-slider", "aria-label": label,
    ...(stops ? { min: 0, max: stops.length - 1, step: 1 } : { min, max, step }),
    oninput() {
      if (!redraw) return ask({ [name]: value() });
      view.state[name] = value();
      redraw();
    },
    onchange: () => redraw && ask({ [name]: value() }) });
  view.follow(name, (now) => {
    input.value = stops ? stops.indexOf(now) : now;
    input.setAttribute("aria-valuetext", say(now));
  });
  return input;
}

/** A number to type, from the least to the most that Python declared. What is not allowed is not asked for. */
function numberField(view, name, ask = view.ask, attributes = {}) {
  const { min, max } = view.fixed.specs[name];
  const input = element("input", { type: "number", class: "cw-number", min, max, step: 1,
    oninput: () => { if (input.value !== "" && input.checkValidity()) ask({ [name]: Number(input.value) }); },
    onchange: () => { if (input.value === "" || !input.checkValidity()) input.value = view.state[name]; }, ...attributes });
  // not while it is typed: “1.” would become “1”
  view.follow(name, (now) => { if (input.value === "" || Number(input.value) !== now) input.value = now; });
  return input;
}

/** A box to tick, with its name. */
function tickBox(name, onchange, ...before) {
  const input = element("input", { type: "checkbox", onchange: () => onchange(input.checked) });
  return { input, label: element("label", { class: "cw-box" }, input, ...before, name) };
}

/** A box for each of the options that Python declared, of which some are chosen; `mark(option)` stands before its name. */
function tickBoxes(view, name, ask, mark, named = {}) {
  const values = view.fixed.specs[name].options;
  const boxes = values.map((value) => tickBox(named[value] ?? value, () =>
    ask({ [name]: values.filter((_, i) => boxes[i].input.checked) }), mark(value)));
  view.follow(name, (chosen) => values.forEach((value, i) => { boxes[i].input.checked = chosen.includes(value); }));
  return boxes.map(({ label }) => label);
}
