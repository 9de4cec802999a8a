// The spectrum comes from the kernel once; what follows from the rank alone is drawn here, and the kernel
// multiplies with the adapter and with the merged matrix.

/** How many numbers an adapter trains, and the matrix beside it, whose shape is [out, in]. */
const counts = (rank, [out, wide]) => [rank * (out + wide), out * wide];

function render(context) {
  const view = viewOf(context, "Adapter lab"), { fixed, state } = view, { shape, bytes_each } = fixed;
  const spectrum = [...floatsOf(fixed.spectrum)], kept = [...floatsOf(fixed.kept)], n = spectrum.length;
  const megabytes = (numbers) => `${((numbers * bytes_each) / 1e6).toFixed(2)} MB`;

  const rank = slider(view, "rank", { redraw: draw, label: "rank", say: (r) => `rank ${r}` });
  const alpha = slider(view, "alpha", { label: "alpha", say: (a) => `alpha ${a}`, ask: (changes) => { view.ask(changes); draw(); } });
  const rankIs = element("span"), alphaIs = element("span");
  const plot = element("div", { class: "al-plot cw-plot", "aria-hidden": "true" });
  const high = element("div", { class: "al-axis cw-axis", "aria-hidden": "true" });
  const grid = element("div", { class: "cw-scroll" });

  function draw() {
    const { rank: r, alpha: a } = state, seen = spectrum.filter((s) => s > spectrum[0] * 1e-6);
    const top = Math.log10(seen[0]), bottom = Math.min(Math.log10(seen.at(-1)), top - 1);
    const x = (i) => (100 * (i + 0.5)) / n, y = (s) => (100 * (top - Math.log10(s))) / (top - bottom);
    const points = (list) => list.map((s, i) => `${x(i)},${y(s)}`).join(" ");
    plot.replaceChildren(svg("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none" },
      svg("polyline", { points: points(seen), style: "--line: #888" }),
      svg("polyline", { class: "al-kept", points: points(seen.slice(0, r)), style: "--line: #0072b2" }),
      svg("line", { class: "al-now", x1: (100 * r) / n, x2: (100 * r) / n, y1: 0, y2: 100 })));
    high.replaceChildren(element("span", { style: "top: 0%" }, (10 ** top).toPrecision(2)),
      element("span", { style: "top: 100%" }, (10 ** bottom).toPrecision(2)));
    rankIs.textContent = `${r} of ${n}`;
    alphaIs.textContent = `${a}, so B A is multiplied by ${Number((a / r).toPrecision(3))}`;
    grid.replaceChildren(tableOf({ head: ["", "adapter", "the matrix itself"], rows: rows() }, { class: "al-grid" }));
  }

  function rows() {
    const { rank: r } = state, [few, many] = counts(r, shape), { agreement, moved } = view.shown;
    const current = r === view.shown.rank && state.alpha === view.shown.alpha;
    return [["numbers that train", `${grouped(few)} (${percent(few / many)})`, grouped(many)],
      ["gradient and AdamW’s averages", megabytes(few), megabytes(many)],
      ["of the change’s squared length", percent(kept[r - 1]), "100.0 %"],
      ["multiplications a token", `${grouped(many + few)} beside it`, `${grouped(many)}, or merged`],
      ["outputs move by", current ? percent(moved) : "…", ""],
      ["outputs beside and merged", current ? agreement : "…", ""]];
  }

  const tables = () => [{ caption: "Rank, share of the change, numbers that train", head: ["Rank", "Singular value", "Kept up to here", "Numbers"],
    rows: range(n).filter((i) => i < 16 || (i + 1) % 16 === 0 || i === n - 1).map((i) =>
      [String(i + 1), spectrum[i].toPrecision(3), percent(kept[i]), grouped(counts(i + 1, shape)[0])]) }];

  return view.start({ draw, tables, body: [
    quiet(element("b", {}, "ΔW:"), " what training changed in one matrix, ", element("bdi", {}, fixed.name), ". Its singular values, on a log scale, say how much of it lies in " +
      "each direction; an adapter of rank r can hold r of them (blue)."),
    element("div", { class: "al-picture" }, high, plot),
    element("div", { class: "al-fields" }, element("label", {}, "Rank ", rankIs, rank), element("label", {}, "Alpha ", alphaIs, alpha)), grid] });
}

export default { render };
