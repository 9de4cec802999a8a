// All layers cross at once; to choose a layer or a point needs no kernel, which only says the sentence anew.

const FINGER = 22; // px: points so near to a press are under it, and further presses take them in turn

/** Of all points, those within reach of a press, the nearest first; if there is none, the nearest. */
function under(points, x, y, reach) {
  const far = ([px, py]) => Math.hypot(px - x, py - y);
  const near = range(points.length).sort((i, j) => far(points[i]) - far(points[j]));
  const hit = near.filter((i) => far(points[i]) <= reach);
  return hit.length ? hit : near.slice(0, 1);
}

/** The square that holds some points: its centre, and half of its side. */
function boxOf(points) {
  const ends = [0, 1].map((axis) => points.map((point) => point[axis])).map((all) => [Math.min(...all), Math.max(...all)]);
  return { centre: ends.map(([low, high]) => (low + high) / 2), half: Math.max(1e-3, ...ends.map(([low, high]) => (high - low) / 2)) };
}

function render(context) {
  const view = viewOf(context, "Meaning map"), { fixed, state } = view;
  const { looks, kinds, labels, sentences, shares, others, alike, together } = fixed;
  const n = sentences.length, layers = shares.length, last = layers - 1, all = floatsOf(fixed.map);
  const at = (layer, i) => [all[2 * (layer * n + i)], all[2 * (layer * n + i) + 1]];
  const boxes = range(layers).map((layer) => boxOf(range(n).map((i) => at(layer, i))));
  const widest = Math.max(...boxes.map(({ half }) => half));

  // ---- the parts of the page ----------------------------------------------------------------------

  const look = (i) => looks[labels[i]];
  const mark = (i, kind = "") => element("span", { class: `cw-mark ${kind}`, style: `--line: ${look(i)[0]}`, "aria-hidden": "true" }, look(i)[1]);
  const dots = range(n).map((i) => mark(i, "mm-dot cw-dot"));
  const tie = svg("line", { class: "mm-tie" });
  const cross = range(2).map(() => svg("line", {})); // through the mean of all
  const plot = element("div", { class: "mm-plot", role: "group", tabindex: 0, onkeydown: onKey, onclick: onPress,
    "aria-label": "The map. Left and right go from point to point across it, up and down go up and down." },
    svg("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" }, ...cross, tie), ...dots);
  const axes = quiet(), legend = element("p", { class: "cw-legend cw-quiet" },
    ...kinds.flatMap((kind, k) => (kind || kinds.length > 1 ? [mark(labels.indexOf(k)), ...visible(kind)] : [])));
  const items = sentences.map(([before, word, after], i) => element("div", { class: "mm-line cw-option", role: "option", dir: "ltr",
    "aria-label": [kinds[labels[i]], spoken(before + word + after)].filter(Boolean).join(": ") }, mark(i),
    element("span", { class: "mm-before" }, element("bdi", { dir: "ltr" }, before)), element("span", { class: "mm-word" }, ...visible(word)),
    element("span", { class: "mm-after" }, element("bdi", {}, after))));
  const list = element("div", { class: "mm-list", role: "listbox", "aria-label": "The sentences" }, ...items);
  chooser(list, { items: () => items, current: () => state.chosen, choose });
  const read = element("div", { class: "mm-read" });
  const layer = slider(view, "layer", { label: "layer", say: named, ask });
  const chance = element("div", { class: "mm-chance cw-plot", "aria-hidden": "true" }), verdict = element("p");
  const ticks = element("div", { class: "mm-ticks cw-axis", "aria-hidden": "true" },
    ...range(layers).filter((l) => l % Math.ceil(layers / 13) === 0).map((l) => element("span", { style: `left: ${part(l)}%` }, String(l))));

  function named(l) { return l === 0 ? "0, what goes into the first block" : l === last ? `${l}, the last` : String(l); }
  function part(l) { return last ? (100 * l) / last : 50; }

  // ---- hands --------------------------------------------------------------------------------------

  function ask(changes) {
    view.ask(changes);
    draw();
  }

  function choose(i) {
    ask({ chosen: i });
    const { offsetTop, offsetHeight } = items[i];
    list.scrollTop = clamp(list.scrollTop, offsetTop + offsetHeight - list.clientHeight, offsetTop);
  }

  const places = () => range(n).map((i) => at(state.layer, i));

  /** Each point is reached by left and right, and each by up and down. */
  function onKey(event) {
    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowDown: [1, -1], ArrowUp: [1, 1], Home: [0, -n], End: [0, n] };
    if (!(event.key in steps) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault(); // or the page scrolls
    const [axis, by] = steps[event.key], points = places();
    const order = range(n).sort((i, j) => points[i][axis] - points[j][axis] || i - j);
    choose(order[clamp(order.indexOf(state.chosen) + by, 0, n - 1)]);
  }

  function onPress(event) {
    const { left, top, width } = plot.getBoundingClientRect(), points = places().map(onPlot).map((xy) => xy.map((x) => (x * width) / 100));
    const hit = under(points, event.clientX - left, event.clientY - top, FINGER);
    choose(hit[(hit.indexOf(state.chosen) + 1) % hit.length]);
  }

  // ---- eyes ---------------------------------------------------------------------------------------

  /** A place of the map in percent of the picture, from its upper left. */
  function onPlot([x, y]) {
    const { centre, half } = boxes[state.layer], scale = 46 / (state.scale === fixed.specs.scale.options[0] ? widest : half);
    return [50 + (x - centre[0]) * scale, 50 - (y - centre[1]) * scale];
  }
  const place = (line, [x1, y1], [x2, y2]) => Object.entries({ x1, y1, x2, y2 }).forEach(([name, value]) => line.setAttribute(name, value));
  const whole = ([before, word, after]) => [element("bdi", {}, before), element("mark", {}, ...visible(word)), element("bdi", {}, after)];
  const labelOf = (i) => (kinds[labels[i]] ? [" ", mark(i), " ", ...visible(kinds[labels[i]])] : [" ", mark(i)]);

  function draw() {
    const { layer: l, chosen: i } = state, points = places().map(onPlot), [x, y] = onPlot([0, 0]);
    points.forEach(([x, y], k) => {
      Object.assign(dots[k].style, { left: `${x}%`, top: `${y}%` });
      dots[k].classList.toggle("mm-chosen", k === i);
    });
    place(cross[0], [0, y], [100, y]);
    place(cross[1], [x, 0], [x, 100]);
    place(tie, points[i], points[others[l][i][0]]);
    const onTop = points.filter(([px, py]) => Math.hypot(px - points[i][0], py - points[i][1]) < 0.5).length - 1;
    axes.textContent = `Principal components of layer ${l}: across ${percent(shares[l][0])} of the variance, up ${percent(shares[l][1])}. ` +
      `The other ${percent(1 - shares[l][0] - shares[l][1])} can’t be seen here. The dotted line goes to the nearest neighbour.` +
      (onTop ? ` ${plural(onTop, "other")} lie${onTop === 1 ? "s" : ""} on the chosen point: press it again for the next.` : "");
    markChosen(list, items, i);
    read.replaceChildren(element("p", { class: "mm-sentence" }, ...whole(sentences[i]), ...labelOf(i)),
      quiet("Nearest in all dimensions, by cosine:"),
      ...others[l][i].map((k, rank) => quiet(`${alike[l][i][rank].toFixed(2)} `, ...whole(sentences[k]), ...labelOf(k))));
    if (together.length) drawChance(l);
  }

  function drawChance(l) {
    const [accuracy, commonest, shuffled, low, high] = together[l], y = (share) => 100 * (1 - share);
    const half = last ? 50 / last : 50;
    chance.replaceChildren(svg("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none" },
      ...together.map(([, , , low, high], k) => svg("rect", { x: part(k) - half, width: 2 * half, y: y(high), height: y(low) - y(high) })),
      svg("line", { class: "mm-commonest", x1: 0, x2: 100, y1: y(commonest), y2: y(commonest) }),
      svg("line", { class: "mm-now", x1: part(l), x2: part(l), y1: 0, y2: 100 }),
      svg("polyline", { points: together.map(([share], k) => `${part(k)},${y(share)}`).join(" ") })),
    ...together.map(([share], k) => element("span", { class: "cw-dot cw-mark", style: `left: ${part(k)}%; top: ${y(share)}%; --line: #0072b2` }, "●")));
    verdict.replaceChildren(element("b", {}, `${percent(accuracy)} `), `have a nearest neighbour of their own label at layer ${l}. By chance: `,
      element("b", {}, percent(commonest)), " by always saying the commoner label (dashed), ", element("b", {}, percent(shuffled)),
      ` with labels shuffled (grey: ${percent(low)} to ${percent(high)} in 95 of 100 shuffles).`);
  }

  function tables() {
    const l = state.layer;
    const found = [{ caption: `Occurrences at layer ${l}`, head: ["Label", "Sentence", "Across", "Up", "Nearest", "Cosine"],
      rows: sentences.map((sentence, i) => [visible(kinds[labels[i]]), sentence.join(""), ...at(l, i).map((x) => signed(x, 3)),
        `row ${others[l][i][0] + 1}`, alike[l][i][0].toFixed(2)]) }];
    if (together.length) found.push({ caption: "Nearest neighbours of the same label, by layer",
      head: ["Layer", "Same label", "Commoner label", "Labels shuffled", "95 of 100 shuffles"],
      rows: together.map(([accuracy, commonest, shuffled, low, high], k) =>
        [String(k), percent(accuracy), percent(commonest), percent(shuffled), `${percent(low)} to ${percent(high)}`]) });
    return found;
  }

  const shown = together.length ? [element("div", { class: "mm-shares cw-axis", "aria-hidden": "true" },
    ...[0, 0.5, 1].map((share) => element("span", { style: `top: ${100 * (1 - share)}%` }, `${100 * share} %`))), chance] : [];
  return view.start({ draw, tables, body: [
    element("div", { class: "mm-layers" }, ...shown,
      element("span", { "aria-hidden": "true" }, element("b", {}, "Layer")), layer, element("div", { class: "mm-second" }, ticks)),
    ...(together.length ? [verdict] : []),
    element("div", { class: "mm-columns" },
      element("div", {}, plot, element("div", { class: "mm-under" }, legend, axes,
        labelled("Scale", select(view, "scale", ask)))),
      element("div", { class: "mm-read" }, read, list))] });
}

export default { render };
