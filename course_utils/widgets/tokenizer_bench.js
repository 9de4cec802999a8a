// One row of chips a tokenizer. All cutting is done in the kernel; the page only asks and draws.

function render(context) {
  const view = viewOf(context, "Tokenizer bench"), { fixed } = view, stops = fixed.specs.merges.options;
  let chosen = { row: 0, token: 0 };
  let under = "id"; // what stands below each token

  const text = textArea(view, "text");
  const merges = slider(view, "merges", { label: "merges of our own BPE", say: (n) => `${n} merges` });
  const learnt = element("output", { class: "cw-quiet tb-learnt" });
  const below = element("select", { onchange: () => { under = below.value; drawRows(); } }, ...options({ id: "its id", bytes: "its bytes" }));
  const rows = view.shown.rows.map((row, i) => {
    const head = heading(), chips = element("div", { class: "tb-chips", role: "listbox", "aria-label": `Tokens of ${row.name}` });
    const one = { head, chips, items: [], root: element("div", {}, head, chips) };
    chooser(chips, { items: () => one.items, current: () => (chosen.row === i ? chosen.token : -1),
      choose: (token) => { chosen = { row: i, token }; drawRows(); } });
    return one;
  });
  const detail = element("p", { class: "tb-detail", role: "status", "aria-live": "polite" });
  const costs = element("div", { class: "cw-scroll" });
  const languages = Object.keys(view.shown.rows[0].costs);

  function draw() {
    const { state, shown } = view;
    learnt.replaceChildren(`${grouped(state.merges)} of ${grouped(stops.at(-1))} merges: a vocabulary of ` +
      `${grouped(256 + state.merges)}. `, ...(shown.last.length ? ["The last one made ", ...joined(shown.last), "."]
        : ["Every byte is a token."]));
    drawRows();
    if (languages.length) drawCosts(shown.rows);
  }

  const joined = ([first, second]) => [mono(first + second), " from ", mono(first), " and ", mono(second)];
  const key = (row) => element("span", { class: "tb-key", style: `background: ${row.colour}` });

  function drawRows() {
    const { shown } = view;
    shown.rows.forEach((row, i) => {
      const { head, chips } = rows[i];
      head.replaceChildren(key(row), row.name,
        element("small", {}, ` ${plural(row.count, "token")}` +
          (row.count ? `, ${(shown.bytes / row.count).toFixed(2)} bytes of text each` : "")));
      rows[i].items = row.tokens.map((one, at) => element("span", { class: "tb-chip", role: "option",
        style: `--tint: ${row.colour}`, "aria-label": inWords(one, at) },
        mono(one.text), element("small", {}, String(one[under]))));
      const more = row.count - row.tokens.length;
      chips.replaceChildren(...rows[i].items,
        ...(more ? [element("span", { class: "cw-quiet" }, `and ${grouped(more)} more`)] : []));
      markChosen(chips, rows[i].items, chosen.row === i ? Math.min(chosen.token, row.tokens.length - 1) : -1);
    });
    const row = shown.rows[chosen.row];
    const at = Math.min(chosen.token, row.tokens.length - 1);
    detail.replaceChildren(...(at < 0 ? ["Type something: there is nothing to cut up."] : inDetail(row, at)));
  }

  const inWords = (one, at) => `token ${at + 1}: ${spoken(one.text)}, id ${one.id}`;

  function inDetail(row, at) {
    const one = row.tokens[at];
    return [`${row.name}, token ${at + 1}: `, mono(one.text), ` has the id ${grouped(one.id)} and the bytes `,
      element("span", { class: "cw-mono" }, one.bytes || "none"),
      ...(one.from.length ? ["; merged from ", mono(one.from[0]), " and ", mono(one.from[1])] : []), "."];
  }

  function drawCosts(all) {
    const times = all.map(({ costs }) => languages.map((name) => costs[name] / costs[languages[0]])), most = Math.max(...times.flat());
    const bar = (row, share) => element("i", { class: "tb-bar", "aria-hidden": "true",
      style: `width: calc(${share} * (100% - var(--tb-label))); background: ${row.colour}` });
    costs.replaceChildren(tableOf({ head: ["", ...all.map((row) => [key(row), row.name])],
      rows: languages.map((name, j) => [name, ...all.map((row, i) => [bar(row, times[i][j] / most),
        element("b", {}, `${times[i][j].toFixed(2)} ×`), element("small", {}, ` ${row.costs[name].toFixed(1)} tokens`)])]) },
    { class: "tb-costs" }));
  }

  function tables() {
    const { rows } = view.shown;
    return [
      ...rows.map((row) => ({ caption: `Tokens of ${row.name}`, head: ["Token", "Id", "Bytes"],
        rows: row.tokens.slice(0, 40).map((one) => [visible(one.text), String(one.id), one.bytes]) })),
      { caption: "Tokens a verse", head: ["Language", ...rows.map(({ name }) => name)],
        rows: languages.map((name) => [name, ...rows.map(({ costs }) => costs[name].toFixed(2))]) },
    ];
  }

  return view.start({ draw, tables, body: [field("A text to cut up", text), line(...exampleButtons(fixed.examples, (text) => view.ask({ text }))),
    view.notice, line(field("Merges of our own BPE", merges, "cw-wide"), field("Below each token", below)),
    learnt, ...rows.map(({ root }) => root), detail,
    ...(languages.length ? [heading("Tokens for the same verse in each language"), costs] : [])] });
}

export default { render };
