// The paths of all methods are computed here, as in course_utils/finetuning/simplex.py, so that dragging never waits.

const dot = (a, b) => sum(a.map((x, i) => x * b[i]));
const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const TINY = 1e-4; // added to a group's deviation

function softmax(logits) {
  const top = Math.max(...logits), powers = logits.map((z) => Math.exp(z - top)), total = sum(powers);
  return powers.map((p) => p / total);
}

const optimum = (reference, rewards, beta) => softmax(reference.map((p, i) => Math.log(p) + rewards[i] / beta));

/** E[r] - beta KL(policy || reference). */
const objective = (policy, reference, rewards, beta) =>
  dot(policy, rewards) - beta * sum(policy.map((p, i) => (p > 0 ? p * Math.log(p / reference[i]) : 0)));

/** The share of each choice (chosen, rejected): of all there can be, or of the pairs asked. */
function winsOf(rewards, asked, draws) {
  const wins = rewards.map(() => rewards.map(() => 0));
  if (asked === null) rewards.forEach((r, i) => rewards.forEach((s, j) => { if (i !== j) wins[i][j] = sigmoid(r - s); }));
  else asked.forEach(([i, j], k) => {
    const first = draws[k] < sigmoid(rewards[i] - rewards[j]);
    wins[first ? i : j][first ? j : i] += 1;
  });
  const total = sum(wins.flat());
  return wins.map((row) => row.map((share) => share / total));
}

function dpoPath(reference, wins, beta, steps) {
  const path = [reference];
  let moved = reference.map(() => 0); // the logits beside the reference's
  for (let step = 0; step < steps; step++) {
    const pull = moved.map(() => 0);
    wins.forEach((row, i) => row.forEach((share, j) => {
      const surprise = share * sigmoid(beta * (moved[j] - moved[i]));
      pull[i] += surprise;
      pull[j] -= surprise;
    }));
    moved = moved.map((z, i) => z + (2 / beta) * pull[i]);
    path.push(softmax(moved.map((z, i) => Math.log(reference[i]) + z)));
  }
  return path;
}

/** How often each answer is among the others of a group. */
const compositions = (total, parts) => (parts === 1 ? [[total]]
  : range(total + 1).flatMap((first) => compositions(total - first, parts - 1).map((rest) => [first, ...rest])));
const factorial = (n) => (n < 2 ? 1 : n * factorial(n - 1));

/** The advantage of each answer beside each group of others. */
const advantagesInGroups = (rewards, others, size, divide) => rewards.map((reward, i) => others.map((counts) => {
  const all = counts.map((n, j) => n + (i === j ? 1 : 0)), mean = dot(all, rewards) / size;
  if (!divide) return reward - mean;
  const variance = sum(all.map((n, j) => n * (rewards[j] - mean) ** 2)) / (size - 1);
  return variance > 1e-12 ? (reward - mean) / (Math.sqrt(variance) + TINY) : 0;
}));

function groupPath(reference, rewards, beta, steps, size, divide, exactKl) {
  const others = compositions(size - 1, rewards.length), path = [reference];
  const orders = others.map((counts) => counts.reduce((ways, n) => ways / factorial(n), factorial(size - 1)));
  const inGroups = advantagesInGroups(rewards, others, size, divide);
  let logits = reference.map(Math.log);
  for (let step = 0; step < steps; step++) {
    const policy = path[step];
    const chances = others.map((counts, g) => counts.reduce((chance, n, i) => chance * policy[i] ** n, orders[g]));
    const advantages = inGroups.map((row) => dot(row, chances));
    const surplus = policy.map((p, i) => Math.log(p / reference[i])), kl = dot(policy, surplus);
    logits = logits.map((z, i) => z + policy[i] * advantages[i] -
      beta * (exactKl ? policy[i] * (surplus[i] - kl) : policy[i] - reference[i]));
    path.push(softmax(logits));
  }
  return path;
}

/** The rewards of which a point of the triangle, as probabilities, is the softmax; their mean is 0. */
function rewardsAt(policy, furthest) {
  const logs = policy.map((p) => Math.log(Math.max(p, 1e-9))), mean = sum(logs) / logs.length;
  return logs.map((z) => clamp(Math.round(10 * (z - mean)) / 10, -furthest, furthest));
}

/** The probabilities of a point of the picture, from its shares of the width and the height. */
function policyAt(x, y) {
  const third = clamp(1 - y, 0, 1), second = clamp(x - third / 2, 0, 1 - third);
  return [1 - second - third, second, third];
}

function render(context) {
  const view = viewOf(context, "Simplex of preferences"), { fixed, state } = view, { names, reference, looks, corners, size, specs } = fixed;
  const entries = ["first", "second", "third"], draws = floatsOf(fixed.draws), steps = specs.step.max;
  const rewards = () => entries.map((entry) => state[entry]);
  const pairs = (n) => (n === "endless" ? "endless pairs" : plural(n, "pair"));
  const minus = (x) => x.toFixed(1).replace("-", "−");

  const sliders = entries.map((entry, i) => slider(view, entry, { step: 0.1, redraw, label: `reward of ${spoken(names[i])}`, say: minus }));
  const value = () => element("span", { class: "sp-value" });
  const said = entries.map(value);
  const beta = slider(view, "beta", { redraw, label: "beta", say: String }), betaSaid = value();
  const n = slider(view, "pairs", { redraw, label: "pairs that DPO learns from", say: pairs }), nSaid = value();
  const go = slider(view, "step", { redraw, label: "steps gone", say: (k) => plural(k, "step") }), goSaid = value();
  const mark = (look) => element("span", { class: "cw-mark", "aria-hidden": "true", style: `--line: ${look[0]}` }, look[1]);
  const boxes = tickBoxes(view, "methods", (changes) => { view.ask(changes); redraw(); }, (name) => mark(looks[name]));
  const plot = element("div", { class: "sp-plot", "aria-hidden": "true", onpointerdown: point,
    onpointermove: (event) => plot.hasPointerCapture(event.pointerId) && point(event), onpointerup: () => view.ask() });
  const ends = element("div", { class: "cw-scroll" });
  const corner = (i) => element("span", { class: `sp-corner sp-${entries[i]}` }, ...visible(names[i]));

  function point(event) {
    if (event.type === "pointerdown") plot.setPointerCapture(event.pointerId);
    const { left, top, width, height } = plot.getBoundingClientRect();
    const wanted = rewardsAt(policyAt((event.clientX - left) / width, (event.clientY - top) / height), specs.first.max);
    entries.forEach((entry, i) => {
      state[entry] = wanted[i];
      sliders[i].value = wanted[i];
    });
    redraw();
  }

  function pathOf(name) {
    const wins = () => (state.pairs === "endless" ? winsOf(rewards(), null) : winsOf(rewards(), fixed.asked.slice(0, state.pairs), draws));
    const group = (divide, exact) => groupPath(reference, rewards(), state.beta, steps, size, divide, exact);
    switch (name) {
      case "DPO": return dpoPath(reference, wins(), state.beta, steps);
      case "GRPO": return group(true, false);
      case "GRPO, undivided": return group(false, false);
      default: return group(false, true);
    }
  }

  const place = (policy) => [0, 1].map((axis) => sum(policy.map((p, i) => p * corners[i][axis])));
  function dotAt(policy, sign, kind, colour = "") {
    const [x, y] = place(policy);
    return element("span", { class: `cw-dot cw-mark ${kind}`, style: `left: ${x}%; top: ${y / 0.87}%; --line: ${colour || "currentcolor"}` }, sign);
  }

  function rows() {
    const best = optimum(reference, rewards(), state.beta);
    const now = state.methods.map((name) => [name, pathOf(name)]);
    const all = [["reference", reference], ...now.map(([name, path]) => [name, path[state.step]]), ["optimum ★", best]];
    return { best, now, rows: all.map(([name, policy]) => [name, ...policy.map(percent),
      signed(objective(policy, reference, rewards(), state.beta), 3)]) };
  }
  const head = () => ["Policy", ...names.map((name) => mono(name)), "E[r] − β KL"];

  function redraw() {
    const { best, now, rows: cells } = rows();
    const points = (path) => path.map((policy) => place(policy).join(",")).join(" ");
    plot.replaceChildren(
      svg("svg", { viewBox: "0 0 100 87" }, svg("polygon", { class: "sp-edge", points: corners.map((c) => c.join(",")).join(" ") }),
        ...now.map(([name, path]) => svg("polyline", { points: points(path.slice(0, state.step + 1)), style: `--line: ${looks[name][0]}` }))),
      dotAt(reference, "○", "sp-reference"), dotAt(softmax(rewards()), "✚", "sp-preferred"), dotAt(best, "★", "sp-best"),
      ...now.map(([name, path]) => dotAt(path[state.step], looks[name][1], "sp-end", looks[name][0])));
    said.forEach((one, i) => { one.textContent = minus(rewards()[i]); });
    betaSaid.textContent = String(state.beta);
    nSaid.textContent = pairs(state.pairs);
    goSaid.textContent = String(state.step);
    ends.replaceChildren(tableOf({ head: head(), rows: cells }));
  }

  const control = (name, input, its) => element("label", { class: "sp-control" }, element("span", {}, ...[name].flat(), " ", its), input);
  const tables = () => [{ caption: `Where each policy is after ${plural(state.step, "step")}`, head: head(), rows: rows().rows },
    { caption: "Rewards", head: ["Answer", "reward"], rows: names.map((name, i) => [mono(name), minus(rewards()[i])]) }];

  return view.start({ draw: redraw, tables, body: [
    quiet(element("b", {}, "Each point"), " is a policy over three answers, a corner one answer for certain. From ○, the reference, each " +
      "method goes as people’s preferences pull it. ✚ is what they prefer: drag it. ★ is the best trade of reward against distance."),
    element("div", { class: "sp-parts" },
      element("div", { class: "sp-picture" }, corner(2), plot, element("div", { class: "sp-base" }, corner(0), corner(1))),
      element("div", { class: "sp-controls" }, control("Steps gone", go, goSaid),
        ...sliders.map((input, i) => control(["Reward of ", mono(names[i])], input, said[i])),
        control("Beta: what it costs to leave the reference", beta, betaSaid), control("DPO learns from", n, nSaid), line(...boxes))),
    ends] });
}

export default { render };
