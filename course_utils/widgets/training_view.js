// The kernel is busy while it trains: nothing is asked of it here, what it reports is drawn.

const two = (x) => x.toFixed(2);

function render(context) {
  const view = viewOf(context, "Training"), { title, evaluated, unit, span } = view.fixed;
  const names = ["step", "loss", "evaluation", "speed", "left"];
  const stats = Object.fromEntries(names.map((name) => [name, { name: element("small"), value: element("b") }]));
  const bar = element("progress", { class: "tv-bar", "aria-label": "steps done" });
  const plot = element("div", { class: "tv-plot cw-plot", "aria-hidden": "true" });
  const high = element("span"), low = element("span"), last = element("span");
  const legend = element("p", { class: "cw-quiet cw-legend" });

  function fill(stat, name, value) {
    stats[stat].name.textContent = name;
    stats[stat].value.textContent = value ?? "–";
  }

  function draw() {
    const { step, steps, curve, evaluations, ended, speed, left } = view.shown;
    bar.max = steps;
    bar.value = step;
    fill("step", `of ${plural(steps, "step")}`, grouped(step));
    fill("loss", `training loss, bits a ${unit}`, curve.length ? two(curve.at(-1)[1]) : null);
    fill("evaluation", evaluated, evaluations.length ? two(evaluations.at(-1)[1]) : null);
    fill("speed", `${unit}s a second`, speed === null ? null : grouped(Math.round(speed)));
    fill("left", ended ? "it has ended" : "left", left === null || ended ? null : lasting(left));

    const values = [...curve, ...evaluations].map(([, bits]) => bits);
    legend.replaceChildren(element("span", { class: "tv-line", "aria-hidden": "true" }), `training loss, bits a ${unit}`,
      ...(evaluations.length ? [element("span", { class: "cw-mark tv-mark", "aria-hidden": "true" }, "◆"), evaluated] : []),
      values.length ? "" : ": the curve begins with the first step");
    last.textContent = `step ${grouped(steps)}`;
    if (!values.length) return plot.replaceChildren();
    const least = Math.min(...values), bottom = Math.max(least - 0.05, Math.min(least, 0)); // bits are not below 0
    const top = Math.min(Math.max(...values), bottom + span) + 0.05;
    const x = (at) => (100 * at) / steps, y = (bits) => (100 * (top - bits)) / (top - bottom);
    high.textContent = `${two(top)} bits`;
    low.textContent = two(bottom);
    const line = (points) => points.map(([at, bits]) => `${x(at)},${y(bits)}`).join(" ");
    plot.replaceChildren(
      svg("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none" },
        svg("polyline", { class: "tv-loss", points: line(curve) }),
        svg("polyline", { class: "tv-evaluation", points: line(evaluations) })),
      ...evaluations.slice(-100).filter(([, bits]) => bits <= top).map(([at, bits]) =>
        element("span", { class: "cw-dot cw-mark tv-mark tv-dot", style: `left: ${x(at)}%; top: ${y(bits)}%` }, "◆")));
  }

  function tables() {
    const { curve, evaluations } = view.shown;
    const every = Math.ceil(curve.length / 30) || 1;
    return [
      { caption: "Training loss", head: ["Step", `Bits a ${unit}`],
        rows: curve.filter((_, i) => i % every === 0).map(([at, bits]) => [grouped(Math.round(at)), bits.toFixed(3)]) },
      { caption: evaluated, head: ["Step", "Value"],
        rows: evaluations.slice(-100).map(([at, value]) => [grouped(at), value.toFixed(3)]) },
    ];
  }

  return view.start({ draw, tables, body: [heading(title), bar,
    element("div", { class: "tv-stats" }, ...Object.values(stats).map(({ name, value }) => element("div", {}, value, name))),
    element("div", { class: "tv-picture" },
      element("div", { class: "tv-axis", "aria-hidden": "true" }, high, low), plot,
      element("div", { class: "tv-under", "aria-hidden": "true" }, element("span", {}, "step 0"), last)),
    legend] });
}

export default { render };
