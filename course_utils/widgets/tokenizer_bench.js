// One row of chips a tokenizer. All cutting is done in the kernel; the page only asks and draws.

function render({ model, el }) {
  const start = model.get("shown");
  const { stops, examples } = start;
  const state = { text: start.text, merges: start.merges };
  let chosen = { row: 0, token: 0 };
  let under = "id"; // what stands below each token

  const text = element("textarea", { class: "tb-text", rows: 2, spellcheck: "false", dir: "auto",
    oninput: () => ask({ text: text.value }) });
  const buttons = Object.entries(examples).map(([name, example]) =>
    element("button", { type: "button", onclick: () => { text.value = example; ask({ text: example }); } }, name));
  const slider = element("input", { type: "range", min: 0, max: stops.length - 1, step: 1,
    "aria-label": "merges of our own BPE", oninput: () => ask({ merges: stops[slider.value] }) });
  const learnt = element("output", { class: "tb-learnt" });
  const below = element("select", { onchange: () => { under = below.value; drawRows(); } },
    element("option", { value: "id" }, "its id"), element("option", { value: "bytes" }, "its bytes"));
  const notice = element("p", { class: "tb-quiet", hidden: true });
  const rows = start.rows.map((row, i) => {
    const head = element("h4", { class: "tb-heading" });
    const chips = element("div", { class: "tb-chips", role: "listbox", "aria-label": `Tokens of ${row.name}` });
    const one = { head, chips, items: [], root: element("div", {}, head, chips) };
    chooser(chips, { items: () => one.items, current: () => (chosen.row === i ? chosen.token : -1),
      choose: (token) => { chosen = { row: i, token }; drawRows(); } });
    return one;
  });
  const detail = element("p", { class: "tb-detail", role: "status", "aria-live": "polite" });
  const costs = element("div", { class: "tb-scroll" });
  const body = element("div", { class: "tb" },
    element("label", { class: "tb-field" }, "A text to cut up", text),
    element("div", { class: "tb-line" }, ...buttons),
    notice,
    element("div", { class: "tb-line" },
      element("label", { class: "tb-field tb-wide" }, "Merges of our own BPE", slider),
      element("label", { class: "tb-field" }, "Below each token", below)),
    learnt, ...rows.map(({ root }) => root), detail,
    element("h4", { class: "tb-heading", hidden: !languages().length }, "Tokens for the same verse in each language"),
    costs);

  const view = frame({ model, el, label: "Tokenizer bench", body, draw, tables });

  function languages() { return Object.keys(model.get("shown").rows[0].costs); }

  function ask(changes) {
    Object.assign(state, changes);
    view.ask(state);
  }

  function draw(shown, mine) {
    if (!mine) {
      Object.assign(state, { text: shown.text, merges: shown.merges });
      text.value = shown.text;
      slider.value = stops.indexOf(shown.merges);
    }
    slider.setAttribute("aria-valuetext", `${shown.merges} merges`);
    learnt.replaceChildren(`${grouped(shown.merges)} of ${grouped(stops.at(-1))} merges: a vocabulary of ` +
      `${grouped(256 + shown.merges)}. `, ...(shown.last.length ? ["The last one made ", ...joined(shown.last), "."]
        : ["Every byte is a token."]));
    notice.textContent = shown.notice;
    notice.hidden = !shown.notice;
    drawRows();
    drawCosts(shown.rows);
  }

  const token = (text) => element("b", { class: "tb-token" }, ...visible(text));
  const joined = ([first, second]) => [token(first + second), " from ", token(first), " and ", token(second)];

  function drawRows() {
    const shown = model.get("shown");
    shown.rows.forEach((row, i) => {
      const { head, chips } = rows[i];
      head.replaceChildren(element("span", { class: "tb-key", style: `background: ${row.colour}` }), row.name,
        element("small", {}, ` ${grouped(row.count)} token${row.count === 1 ? "" : "s"}` +
          (row.count ? `, ${(shown.bytes / row.count).toFixed(2)} bytes of text each` : "")));
      rows[i].items = row.tokens.map((one, at) => element("span", { class: "tb-chip", role: "option",
        style: `--tint: ${row.colour}`, "aria-label": inWords(one, at) },
        element("span", { class: "tb-token" }, ...visible(one.text)), element("small", {}, String(one[under]))));
      const more = row.count - row.tokens.length;
      chips.replaceChildren(...rows[i].items,
        ...(more ? [element("span", { class: "tb-quiet" }, `and ${grouped(more)} more`)] : []));
      markChosen(chips, rows[i].items, chosen.row === i ? Math.min(chosen.token, row.tokens.length - 1) : -1);
    });
    const row = shown.rows[chosen.row];
    const at = Math.min(chosen.token, row.tokens.length - 1);
    detail.replaceChildren(...(at < 0 ? ["Type something: there is nothing to cut up."] : inDetail(row, at)));
  }

  const inWords = (one, at) => `token ${at + 1}: ${spoken(one.text)}, id ${one.id}`;

  function inDetail(row, at) {
    const one = row.tokens[at];
    return [`${row.name}, token ${at + 1}: `, token(one.text), ` has the id ${grouped(one.id)} and the bytes `,
      element("span", { class: "tb-token" }, one.bytes || "none"),
      ...(one.from.length ? ["; merged from ", token(one.from[0]), " and ", token(one.from[1])] : []), "."];
  }

  function drawCosts(all) {
    const names = languages();
    if (!names.length) return;
    const times = all.map(({ costs }) => names.map((name) => costs[name] / costs[names[0]]));
    const most = Math.max(...times.flat());
    costs.replaceChildren(element("table", { class: "tb-costs" },
      element("thead", {}, element("tr", {}, element("td", {}),
        ...all.map((row) => element("th", { scope: "col" },
          element("span", { class: "tb-key", style: `background: ${row.colour}` }), row.name)))),
      element("tbody", {}, ...names.map((name, j) => element("tr", {},
        element("th", { scope: "row" }, name),
        ...all.map((row, i) => element("td", {},
          element("i", { class: "tb-bar", "aria-hidden": "true",
            style: `width: calc(${times[i][j] / most} * (100% - var(--tb-label))); background: ${row.colour}` }),
          element("b", {}, `${times[i][j].toFixed(2)} ×`),
          element("small", {}, ` ${row.costs[name].toFixed(1)} tokens`))))))));
  }

  function tables(shown) {
    const names = languages();
    return [
      ...shown.rows.map((row) => ({ caption: `Tokens of ${row.name}`, head: ["Token", "Id", "Bytes"],
        rows: row.tokens.slice(0, 40).map((one) => [visible(one.text), String(one.id), one.bytes]) })),
      { caption: "Tokens a verse", head: ["Language", ...shown.rows.map(({ name }) => name)],
        rows: names.map((name) => [name, ...shown.rows.map(({ costs }) => costs[name].toFixed(2))]) },
    ];
  }

  view.update();
  return view.close;
}

export default { render };
