// Python cuts the texts into tokens; which of them carry loss follows from their kinds, and is drawn here.

const withLabels = (tokens, { learnt, forgotten }) => tokens.filter(([, kind]) => !forgotten.includes(kind))
  .map(([text, kind]) => [text, kind, learnt.includes(kind)]);

function render(context) {
  const view = viewOf(context, "Mask viewer"), { state } = view, { labellings } = view.fixed;
  const row = element("div", { class: "mv-row", role: "group", "aria-label": "The tokens, each above its label" });
  const count = element("output", { class: "mv-count" }), follows = element("p");
  const labels = select(view, "labels", (changes) => { view.ask(changes); draw(); });
  const answer = element("input", { type: "text", dir: "auto", oninput: () => view.ask({ answer: answer.value }) });
  view.follow("answer", (text) => { answer.value = text; });
  const tokens = () => withLabels(view.shown.tokens, labellings[state.labels]);

  function draw() {
    const all = tokens(), learnt = all.filter(([, , label]) => label).length;
    row.replaceChildren(...all.map(([text, kind, label]) =>
      element("span", { class: `mv-token ${label ? "mv-learnt" : ""}`, title: kind },
        mono(text), element("small", {}, ...(label ? visible(text) : ["−100"])))));
    count.textContent = `${learnt} of ${plural(all.length, "token")} carry loss`;
    follows.textContent = `So ${labellings[state.labels].follows}.`;
  }

  const tables = () => [{ caption: "Tokens and labels", head: ["Token", "Part of", "Label"],
    rows: tokens().map(([text, kind, label]) => [visible(text), kind, label ? visible(text) : "−100"]) }];

  return view.start({ draw, tables, body: [
    quiet("Above, what the model reads; below, what the loss asks it to predict there. ", element("b", {}, "−100"),
      " asks for nothing. (The loss itself moves the labels by one: each token is predicted from those before it.)"),
    field("A question", textArea(view, "question")), view.notice,
    line(field("Its answer", answer, "cw-wide"), field("Labels", labels)), count, row, follows] });
}

export default { render };
