// Questions come without their key; an answer brings back whether it was right, and why.

/** Text with `code` in it. */
const withCode = (text) => text.split("`").map((part, i) => (i % 2 ? element("code", {}, part) : part));

/**
 * Make an anchor jump to a cell of a notebook beside this one, with JupyterLab's own handler of links, which
 * opens the notebook and scrolls to cells that are not in the page yet. Elsewhere the text has to do.
 */
function jump(model, anchor, { file, cell }) {
  const { resolver, linkHandler } = model.widget_manager?.rendermime ?? {};
  if (!file || !resolver || !linkHandler) return;
  anchor.setAttribute("href", `${file}#cell-id=${cell}`); // without it no key reaches the anchor
  resolver.resolveUrl(file).then((path) => linkHandler.handleLink(anchor, path, `#cell-id=${cell}`));
}

/** A core path, and old questions if there are some, on one line; each folds out below it. */
function stripOf(view, path, cards) {
  const strip = element("div", { class: "qz-strip" }), panels = [];
  function fold(...content) {
    const panel = element("div", { class: "qz-panel", id: freshId(), hidden: true }, ...content);
    const toggle = button("", () => {
      panel.hidden = !panel.hidden;
      toggle.setAttribute("aria-expanded", String(!panel.hidden));
    }, { "aria-expanded": "false", "aria-controls": panel.id });
    strip.append(toggle);
    panels.push(panel);
    return toggle;
  }
  function link(place) {
    const anchor = element("a", {}, place.text);
    jump(view.model, anchor, place);
    return anchor;
  }
  const old = cards.length ? fold(quiet("What you fetch back from memory stays longer than what you read again."), ...cards) : null;
  fold(
    element("ul", {}, ...path.exercises.map((stop) =>
      element("li", {}, stop.done ? "✓ " : "○ ", link(stop), stop.done ? ", done" : ""))),
    ...path.found_last.map((found) => element("p", {}, found)),
  ).append(element("strong", {}, "Core path: "), path.state);
  if (path.next) strip.append(element("span", {}, "Go on: ", link(path.next)));
  return {
    nodes: [strip, ...panels],
    draw() {
      const answered = view.shown.questions.filter(({ marks }) => marks.some(Boolean)).length;
      old?.replaceChildren(element("strong", {}, "Three old questions: "),
        answered ? `${answered} of ${cards.length} answered.` : "two minutes.");
    },
  };
}

function render(context) {
  const { title, note, questions, path } = context.model.get("fixed");
  const view = viewOf(context, path?.label ?? title);

  const cards = questions.map((question, number) => {
    const name = freshId();
    const inputs = question.choices.map((_, i) => element("input", { type: "radio", name, value: String(i) }));
    const marks = inputs.map(() => element("span", { class: "qz-mark" }));
    const whys = inputs.map(() => element("p", { class: "qz-why" }));
    const rows = inputs.map((input, i) => element("div", { class: "qz-row" },
      element("label", { class: "qz-choice" }, input, element("span", {}, ...withCode(question.choices[i])), marks[i]),
      whys[i]));
    const answer = button("Answer", () => {
      const choice = inputs.findIndex((input) => input.checked);
      if (choice < 0) said.textContent = "Choose one first.";
      else view.tell({ question: number, choice });
    });
    const said = element("p", { class: "qz-said", role: "status", "aria-live": "polite", tabindex: "-1" });
    const again = element("p", { class: "qz-again" });
    return { inputs, marks, whys, rows, answer, said, again, node: element("fieldset", { class: "qz-card" },
      element("legend", {}, `${number + 1}. `, ...withCode(question.ask)), ...rows,
      line(answer, said), again) };
  });

  const nodes = cards.map(({ node }) => node);
  const strip = path && stripOf(view, path, nodes);

  function draw() {
    strip?.draw();
    view.shown.questions.forEach((question, number) => {
      const { inputs, marks, whys, rows, answer, said, again } = cards[number];
      inputs.forEach((input, i) => {
        const mark = question.marks[i];
        rows[i].dataset.mark = mark;
        marks[i].textContent = { right: "✓ right", wrong: "✗ not this one" }[mark] ?? "";
        whys[i].replaceChildren(...withCode(question.whys[i]));
        whys[i].hidden = !question.whys[i];
        input.disabled = question.solved;
        if (mark === "right") input.checked = true;
      });
      const focused = answer === answer.getRootNode().activeElement;
      answer.hidden = question.solved;
      if (focused && question.solved) said.focus(); // or the keyboard would be back at the page's top
      const wrong = question.marks.filter((mark) => mark === "wrong").length;
      const news = question.solved ? "Right. Under each choice stands why." :
        wrong > 1 ? `Not this one (${wrong} tried). Read why, and try another.` :
        wrong ? "Not this one. Read why, and try another." : "";
      if (said.textContent !== news) said.textContent = news;
      again.hidden = !question.again;
      if (question.again && !again.hasChildNodes()) {
        const anchor = element("a", {}, question.again.text);
        jump(view.model, anchor, question.again);
        again.append("Look again: ", anchor);
      }
    });
  }

  function tables() {
    return [{ caption: title, head: ["Question", "Choice", "Answered", "Why"],
      rows: view.shown.questions.flatMap(({ marks, whys }, number) => questions[number].choices.map((choice, i) =>
        [withCode(questions[number].ask), withCode(choice), marks[i], withCode(whys[i])])) }];
  }

  const body = [...(strip ? strip.nodes : [heading(title), ...nodes]), ...(note ? [quiet(note)] : [])];
  return view.start({ body, draw, tables });
}

export default { render };
