// The kernel asks the model, takes the steps of the search and lists the rows. The page draws them and moves
// among them, and says each time all that is wanted: which nodes are open, which is chosen, how to search.

const nats = (x) => (x === null ? "−∞" : signed(x));
const aToken = (x, n) => nats(x === null ? x : x / n);
const surprise = ({ log_p, n }) => (log_p === null ? "∞" : Math.abs(log_p / n / Math.LN2).toFixed(2)); // bits a token
const same = (one, other) => one.length === other.length && one.every((id, i) => id === other[i]);

const VERDICTS = { beam: "kept", finished: "finished", pruned: "pruned" };
const NAMED = { greedy: "Greedy", best: "Best of the search so far", yours: "Your path, to the chosen row" };

function render(context) {
  const view = viewOf(context, "Token tree and beam search"), { fixed, state } = view, { shapes } = fixed;
  const longest = fixed.specs.steps.max;
  let items = []; // the elements of the rows
  let drawn = ""; // how the search was that the tree shows

  /** A slider with its value behind its name. */
  function dial(name, label, step) {
    const said = element("span", {});
    view.follow(name, (value) => { said.textContent = value; });
    return field([`${label} `, said], slider(view, name, { label, step, ask }));
  }
  const stepsButton = (name, steps) => button(name, () => ask({ steps: steps() }));
  const back = stepsButton("Back", () => Math.max(0, state.steps - 1));
  const step = stepsButton("Step", () => Math.min(longest, state.steps + 1));
  const all = stepsButton("To the end", () => longest);
  const again = stepsButton("Start over", () => 0);
  const progress = element("span", { class: "cw-quiet" });
  const tree = element("div", { class: "tt-tree", role: "tree", tabindex: 0, "aria-label": "Continuations of the prompt" });
  const mark = ([kind, words]) => element("span", { class: `tt-mark tt-${kind}` }, `${shapes[kind]} ${words}`);
  const legend = element("p", { class: "cw-legend" }, ...[["beam", "in the beam"], ["pruned", "pruned at this step"],
    ["finished", "finished"], ["greedy", "greedy path"], ["best", "best so far"]].map(mark));
  const ranking = element("div", { class: "cw-scroll" });
  const texts = element("div", { class: "cw-scroll" });

  // ---- hands --------------------------------------------------------------------------------------

  function ask(changes) {
    view.ask(changes);
    markRow();
    if ("at" in changes) reveal();
  }

  const rows = () => view.shown.rows;
  const isChosen = (row) => row.kind === state.at && same(row.path, state.chosen);
  const at = () => rows().findIndex(isChosen);
  const choose = (row) => ask({ chosen: row.path, at: row.kind });

  /** Open a node or close it; where tokens are not shown, show some more. */
  function turn(row, open = !row.open || "hidden" in row) {
    if (row.kind === "problem" || row.open === null) return;
    const others = state.wanted.filter(([path]) => !same(path, row.path));
    ask({ chosen: row.path, at: row.kind, wanted: [...others, [row.path, open ? row.more : 0]] });
  }

  const KEYS = {
    ArrowDown: (i, all) => i + 1 < all.length && choose(all[i + 1]),
    ArrowUp: (i, all) => i > 0 && choose(all[i - 1]),
    Home: () => ask({ chosen: [], at: "node" }),
    End: (i, all) => choose(all.at(-1)),
    ArrowRight: (i, all) => (all[i].open ? KEYS.ArrowDown(i, all) : turn(all[i], true)),
    ArrowLeft(i, all) {
      if (all[i].open) turn(all[i], false);
      else if (all[i].kind !== "node") ask({ at: "node" });
      else ask({ chosen: all[i].path.slice(0, -1), at: "node" });
    },
    Enter: (i, all) => turn(all[i]),
    " ": (i, all) => turn(all[i]),
  };
  tree.addEventListener("keydown", (event) => {
    if (!KEYS[event.key] || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    event.preventDefault(); // or the page scrolls
    if (at() < 0) choose(rows()[0]); // the chosen row is among those that are not on the page
    else KEYS[event.key](at(), rows());
  });
  tree.addEventListener("click", (event) => {
    const row = rows()[items.findIndex((item) => item.contains(event.target))];
    if (!row) return;
    if (row.kind === "rest" || event.target.closest(".tt-turn")) turn(row);
    else choose(row);
  });

  // ---- eyes ---------------------------------------------------------------------------------------

  function draw() {
    const { shown } = view;
    for (const one of [back, again]) setIdle(one, shown.steps === 0);
    for (const one of [step, all]) setIdle(one, shown.over);
    progress.textContent = `Step ${shown.steps} of at most ${longest}${shown.over ? ": the search is over" : ""}`;
    items = shown.rows.map(drawRow);
    const hidden = (n, where) => (n ? [element("p", { class: "tt-hidden cw-quiet" }, `${grouped(n)} more rows ${where}`)] : []);
    tree.replaceChildren(...hidden(shown.above, "above"), ...items, ...hidden(shown.below, "below"));
    markRow();
    const searched = [shown.steps, shown.width, shown.length_penalty].join();
    const best = shown.rows.findLastIndex(({ marks }) => marks?.some(([kind]) => kind === "best"));
    if (!drawn || searched === drawn || best < 0) reveal();
    else tree.scrollTop = items[best].offsetTop - tree.clientHeight / 2;
    drawn = searched;
    drawTables(shown);
  }

  function drawRow(row) {
    const level = row.path.length + (row.kind === "node" ? 1 : 2);
    const isToken = row.kind === "node" && level > 1;
    const cells = [element("span", { class: "tt-token", style: `--level: ${level - 1}` },
      element("span", { class: "tt-turn" }, row.kind === "rest" ? "+" : row.open ? "▾" : row.open === false ? "▸" : ""),
      ...(isToken ? shortened(row.token) : row.kind === "node" ? visible(row.token) : [row.token]))];
    if ("p" in row) cells.push(element("span", { class: "tt-p" }, element("i", { style: `width: calc(${row.p} * (100% - 62px))` }), percent(row.p)));
    if (isToken) {
      cells.push(element("span", {}, nats(row.log_p)), element("span", {}, aToken(row.log_p, row.path.length)),
        element("span", {}, grouped(row.rank)));
    }
    if (row.kind === "node") {
      cells.push(element("span", { class: "tt-marks" },
        ...row.marks.map(mark),
        ...(row.hidden ? [element("span", { class: "tt-unseen" }, unseen(row))] : [])));
    }
    const item = element("div", { class: `tt-row tt-${row.kind}`, role: "treeitem", id: freshId(), "aria-level": level,
      "aria-posinset": row.place[0], "aria-setsize": row.place[1], "aria-label": inWords(row, isToken) }, ...cells);
    if (row.kind === "node" && row.open !== null) item.setAttribute("aria-expanded", String(row.open));
    return item;
  }

  /** A long token, such as a row of dashes, by its beginning. */
  const shortened = (token) => [...visible(token.slice(0, 24)), ...(token.length > 24 ? ["…"] : [])];

  const unseen = ({ hidden: [n, p] }) => `not shown: ${grouped(n)} others, ${percent(p)}`;

  function inWords(row, isToken) {
    if (row.kind === "problem") return row.token;
    if (row.kind === "rest") return `${row.token}, ${percent(row.p)} together; Enter shows more of them`;
    const words = [...row.marks.map(([, words]) => words), ...(row.hidden ? [`${unseen(row)}; Enter shows them`] : [])];
    if (!isToken) return [`the prompt: ${spoken(row.token)}`, ...words].join(", ");
    return [spoken(row.token), percent(row.p), `rank ${row.rank}`, `log p ${nats(row.log_p)} nats`, ...words].join(", ");
  }

  const markRow = () => markChosen(tree, items, at());

  /** Scroll the tree, and never the page, until the chosen row is in sight. */
  function reveal() {
    if (at() < 0) return;
    const { offsetTop, offsetHeight } = items[at()];
    if (offsetTop < tree.scrollTop) tree.scrollTop = offsetTop;
    else tree.scrollTop = Math.max(tree.scrollTop, offsetTop + offsetHeight - tree.clientHeight);
  }

  // A line may break after a sign for a blank, as it would after the blank.
  const text = ({ text }) => element("bdi", { class: "tt-text" }, text.replace(/[·⏎]/g, "$&\u200b"));

  function drawTables(shown) {
    ranking.replaceChildren(shown.ranking.length ? tableOf({
      caption: `Step ${shown.steps}, by score: log p / tokens^${shown.length_penalty}`, head: ["", "Text", "log p", "Score"],
      rows: shown.ranking.map((one) => [mark([one.kind, VERDICTS[one.kind]]), text(one), nats(one.log_p), nats(one.score)]) })
      : quiet("“Step” lets the beam search write one token."));
    texts.replaceChildren(shown.texts.length ? tableOf({
      caption: "Log-probability of whole texts", head: ["", "Text", "Tokens", "log p, nats", "a token", "surprise a token, bits"],
      rows: shown.texts.map((one) => [`${shapes[one.kind] ?? "▸"} ${NAMED[one.kind]}`, text(one), String(one.n),
        nats(one.log_p), aToken(one.log_p, one.n), surprise(one)]) })
      : quiet("Choose a token: the log-probability of your path is compared here."));
  }

  function tables() {
    const cells = (row) => [String(row.path.length + (row.kind === "node" ? 0 : 1)),
      row.kind === "node" ? shortened(row.token) : row.token, "p" in row ? percent(row.p) : "",
      ...(row.kind === "node" && row.path.length ? [nats(row.log_p), aToken(row.log_p, row.path.length), grouped(row.rank),
        row.marks.map(([, words]) => words).join("; ")] : ["", "", "", ""])];
    return [{ caption: "Rows of the tree", head: ["Depth", "Token", "p", "log p, nats", "nats a token", "Rank", "Marks"],
      rows: rows().map(cells) }];
  }

  return view.start({ draw, tables, body: [
    quiet("Choose a row by arrow keys, click or touch; the right arrow, Enter or ▸ opens it. ",
      "log p is that of the whole path after the prompt, in nats; “a token” is its mean."),
    line(dial("width", "Width of the beam", 1), dial("length_penalty", "Length penalty", 0.25), back, step, all, again, progress),
    view.notice,
    element("div", {},
      element("div", { class: "tt-row tt-head", "aria-hidden": "true" },
        ...["token", "p", "log p", "a token", "rank", ""].map((name) => element("span", {}, name))), tree),
    legend,
    element("div", { class: "tt-columns cw-columns" }, ranking, texts)] });
}

export default { render };
