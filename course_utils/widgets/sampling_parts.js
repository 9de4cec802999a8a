// Parts of the sampling lab's page: a box for a number, the list of samplers, the curve. They draw what they
// are given and tell what was done to them; none knows of the kernel.

const STOPS = 200; // places of a slider, at most
const POINTS = 200; // of a curve: more can't be told apart
const DEEPEST = -15; // the lowest power of ten that the curve shows
const PLOT = 230, LINE = 26; // pixels: the height of the curve, and of each sampler's line below it

// What Python's samplers take.
const ALLOWED = {
  temperature: (x) => x >= 0 && x < Infinity,
  top_k: (x) => x >= 0 && Number.isInteger(x),
  top_p: (x) => x >= 0 && x <= 1,
  min_p: (x) => x >= 0 && x <= 1,
  typical: (x) => x > 0 && x < 1,
  epsilon: (x) => x > 0 && x < 1,
  eta: (x) => x > 0 && x < 1,
  repetition_penalty: (x) => x > 0 && x < Infinity,
  frequency_penalty: (x) => Number.isFinite(x),
};

/** The values at which a slider stops: evenly spread, or by equal factors. */
function stopsOf({ low, high, log }, whole) {
  const at = (t) => (log ? low * (high / low) ** t : low + (high - low) * t);
  const round = (x) => (whole ? Math.round(x) : log ? Number(x.toPrecision(2)) : Math.round(100 * x) / 100);
  return [...new Set(Array.from({ length: STOPS + 1 }, (_, i) => round(at(i / STOPS))))];
}

const nearest = (stops, value) =>
  stops.reduce((best, stop, i) => (Math.abs(stop - value) < Math.abs(stops[best] - value) ? i : best), 0);

/**
 * A box in which a number is written as people write it, 1e-5 too. take(number) uses it, or returns what would
 * be allowed; then `now()` stays. done() is told when the number is complete.
 */
function numberBox(label, { now, take, done }) {
  const problem = element("p", { class: "sa-wrong", role: "alert", hidden: true });
  const say = (words) => {
    problem.textContent = words;
    problem.hidden = !words;
    box.setAttribute("aria-invalid", String(words !== ""));
  };
  const box = element("input", { type: "text", inputmode: "decimal", autocomplete: "off", class: "cw-number", "aria-label": label,
    oninput: () => {
      const text = box.value.trim(), allowed = take(text === "" ? NaN : Number(text));
      say(allowed ? `${allowed}; got ${text === "" ? "nothing" : `“${text}”`}, ${now()} stays` : "");
    },
    onchange: () => { if (problem.hidden) done(); } });
  return { box, problem, draw() {
    if (document.activeElement === box) return; // it is being written
    box.value = now();
    say("");
  } };
}

/**
 * The samplers in their order, each with a handle, a switch, a slider and a box. steps() gives them, { name,
 * value, on }; `changed` is told of every change at once, `done` when the hand has let go.
 */
function stepsPart(settings, { steps, changed, done }) {
  const root = element("ol", { class: "sa-steps" });
  const parts = Object.fromEntries(Object.keys(settings).map((name) => [name, part(name)]));
  const stepOf = (name) => steps().find((step) => step.name === name);

  function part(name) {
    const { label, does, allowed } = settings[name];
    const stops = stopsOf(settings[name], name === "top_k");
    const set = (changes) => { Object.assign(stepOf(name), changes); changed(); };
    const handle = element("button", { type: "button", class: "sa-handle", onkeydown: (event) => {
      const by = { ArrowUp: -1, ArrowDown: 1, Home: -Infinity, End: Infinity }[event.key];
      if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault(); // or the page scrolls
      if (move(name, steps().indexOf(stepOf(name)) + by)) done();
    } }, "⠿");
    const on = element("input", { type: "checkbox", onchange: () => { set({ on: on.checked }); done(); } });
    const slider = element("input", { type: "range", class: "cw-slider", min: 0, max: stops.length - 1, step: 1, "aria-label": label,
      oninput: () => set({ value: stops[slider.value], on: true }), onchange: done });
    const number = numberBox(`${label}, as a number`, { now: () => stepOf(name).value, done, take(value) {
      if (!ALLOWED[name](value)) return `${label} is ${allowed}`;
      set({ value, on: true });
    } });
    const leaves = element("span", { class: "sa-leaves" }), caption = element("p", { class: "cw-quiet" }, does, leaves);
    const item = element("li", { class: "sa-step" }, handle,
      element("label", { class: "cw-box sa-switch" }, on, label), slider, number.box, number.problem, caption);
    drag(handle, name);
    return { item, draw(step, place, words) {
      on.checked = step.on;
      item.classList.toggle("sa-off", !step.on);
      slider.value = nearest(stops, step.value);
      slider.setAttribute("aria-valuetext", String(step.value));
      handle.setAttribute("aria-label", `Move ${label}, step ${place + 1} of ${steps().length}, with the arrow keys`);
      number.draw();
      leaves.textContent = words;
    } };
  }

  /** Bring a sampler to a place. The others are moved round it: moved itself, it would lose the hand on it. */
  function move(name, to) {
    const { item } = parts[name], from = steps().indexOf(stepOf(name));
    to = clamp(to, 0, steps().length - 1);
    steps().splice(to, 0, ...steps().splice(from, 1));
    for (let i = from; i < to; i++) item.before(item.nextElementSibling);
    for (let i = from; i > to; i--) item.after(item.previousElementSibling);
    if (to !== from) changed();
    return to !== from;
  }

  function drag(handle, name) {
    let moved = null; // whether the drag in progress has moved it
    handle.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      handle.setPointerCapture(event.pointerId);
      moved = false;
    });
    handle.addEventListener("pointermove", ({ clientY }) => {
      if (moved === null) return;
      const others = [...root.children].filter((item) => item !== parts[name].item).map((item) => item.getBoundingClientRect());
      if (move(name, others.filter(({ top, height }) => top + height / 2 < clientY).length)) moved = true;
    });
    handle.addEventListener("lostpointercapture", () => {
      if (moved) done();
      moved = null;
    });
  }

  return { root,
    /** Lay the samplers in their order; not while a hand is on one. */
    arrange() { root.append(...steps().map(({ name }) => parts[name].item)); },
    /** words: by name, what each leaves. */
    draw(words) { steps().forEach((step, place) => parts[step.name].draw(step, place, words[step.name])); } };
}

/** Probability against rank, both logarithmic, and below it a line for each sampler with the ranks that it leaves. */
function curvePart(size) {
  const levels = element("div", { class: "sa-levels cw-axis" }), area = element("div", { class: "sa-area" });
  const x = (rank) => (100 * Math.log(rank)) / Math.log(size + 1);
  const tens = Array.from({ length: Math.floor(Math.log10(size)) + 1 }, (_, i) => 10 ** i);
  const root = element("div", { class: "sa-picture", "aria-hidden": "true" }, levels, area, element("div", { class: "sa-ranks cw-axis" },
    ...tens.map((rank) => element("span", { style: `left: ${x(rank)}%` }, grouped(rank)))));

  /** raw, race: before and after; steps: { name, race } of those that are on; tally: Map from a place to how often it was drawn. */
  function draw({ raw, race, steps, tally, n }) {
    const bottom = clamp(Math.floor(Math.log10(probability(raw, raw.lo))), DEEPEST, -1);
    const y = (p) => (100 * Math.log10(p)) / bottom;
    const path = (race) => {
      const first = size - race.hi + 1, last = size - race.lo;
      const ranks = new Set(Array.from({ length: POINTS + 1 }, (_, i) => Math.round(first * (last / first) ** (i / POINTS))));
      return `M${[...ranks].map((rank) => [x(rank), y(probability(race, size - rank))]).filter(([, down]) => down < 110)
        .map((pair) => pair.join(" ")).join("L")}h0`; // h0: a point alone is seen too
    };
    const dots = [...tally].map(([place, times]) => `M${x(size - place)} ${y(times / n)}h0`).join("");
    const every = Math.ceil((1 - bottom) / 6);
    const powers = Array.from({ length: 1 - bottom }, (_, i) => -i).filter((power) => power % every === 0);
    area.style.height = `${PLOT + LINE * steps.length}px`;
    area.replaceChildren(
      svg("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", style: `height: ${PLOT}px` },
        ...powers.map((power) => svg("path", { class: "sa-grid", d: `M0 ${(100 * power) / bottom}H100` })),
        svg("path", { class: "sa-was", d: path(raw) }), svg("path", { class: "sa-is", d: path(race) }),
        svg("path", { class: "sa-dots", d: dots })),
      ...steps.flatMap(({ race }, i) => line(race, PLOT + LINE * i)));
    levels.replaceChildren(
      ...powers.map((power) => element("span", { style: `top: ${(PLOT * power) / bottom}px` },
        ...(power ? ["10", element("sup", {}, `−${-power}`)] : ["1"]))),
      ...steps.map(({ name }, i) => element("span", { style: `top: ${PLOT + LINE * (i + 0.5)}px` }, name)));
  }

  /** A bar over the ranks that are left, and a line up into the curve right of the last of them. */
  function line({ lo, hi }, top) {
    const from = x(size - hi + 1), to = x(size - lo + 1), left = hi - lo;
    const edge = (at) => element("i", { class: "sa-edge", style: `left: ${at}%; height: ${top + LINE - 2}px` });
    return [element("i", { class: "sa-range", style: `left: ${from}%; width: ${to - from}%; top: ${top + LINE - 7}px` }),
      ...(left < size ? [edge(to)] : []), ...(hi < size ? [edge(from)] : []),
      element("span", { class: "sa-left", style: `top: ${top + 1}px; ${to < 80 ? `left: ${to}%` : `right: ${100 - to}%`}` },
        `${left === size ? "all " : ""}${grouped(left)} left`)];
  }

  return { root, draw };
}
