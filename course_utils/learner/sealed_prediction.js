function render(context) {
  const view = viewOf(context, "Sealed prediction"), board = chipBoard(view);
  const seal = element("p", { class: "sp-seal" });
  let running = false;
  const run = button("Run it", start, { class: "sp-run cw-main" });
  const done = () => view.shown.result >= 0;
  const ready = () => view.shown.placed && !done() && !running;
  const why = () => (done() ? "It was run, and the bet is settled." : running ? "It is running." : "Place the bet first: a prediction comes before its run.");

  function start() {
    if (!ready()) return view.say(why());
    running = true;
    setIdle(run, true);
    view.send({ run: true });
  }

  function draw(how) {
    if (how.isReply) running = false;
    board.draw(how);
    const { placed, came } = view.shown;
    setIdle(run, !ready());
    run.textContent = done() ? "Run and settled" : "Run it";
    seal.replaceChildren(...(placed ? ["Sealed as ", mono(view.shown.seal), ". ", came === null ? "" : `The run came to ${came}.`]
      : ["Once placed, the bet is sealed: its sha256 stands here, and only then can the run start."]));
  }

  const tables = () => [...board.tables(), { caption: "The seal", head: ["sealed as", "came"],
    rows: [[view.shown.seal || "not yet", view.shown.came ?? "not yet"]] }];
  return view.start({ body: [...board.body, seal, line(run)], draw, tables });
}

export default { render };
