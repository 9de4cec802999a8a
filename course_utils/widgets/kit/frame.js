// The page of a widget: what it is asked for, its body, the sentence, what went wrong, and the table.

const MAX_SENT = 20_000; // characters of a text; Python keeps fewer and says so

/**
 * What a widget's `render(context)` begins with:
 *
 *     const view = viewOf(context, "Gate scope");
 *     const text = textArea(view, "text", ask);
 *     return view.start({ body: [field("A text", text), view.notice], draw, tables });
 *
 *   fixed, shown: what the kernel sent, once and last. state: what this view asks for, which may be ahead of
 *     `shown`; its entries are those that Python declared, and null is one that Python is to choose.
 *   ask(changes): change the state and ask the kernel for what follows. send(request): ask for something else;
 *     of requests that wait for a busy kernel the newest is kept. tell(event): each of these arrives.
 *   follow(name, set): keep a field at an entry of the state. onResize(node, f): until the view is closed.
 *   notice: the place of what Python has to add. say(text): a sentence of the page's own.
 *   start({ body, draw, tables, sentence }): show the nodes `body`, draw now and at all news, and return what closes it.
 *     draw({ isReply, isLast }): the news answer what the hand did in this view, and it may have moved on since;
 *     nothing newer is asked for. tables(): [{ caption, head, rows }, ...] for "Show as table".
 *     sentence(): Python's, from a page that can say it too, and goes on to where no kernel answers.
 */
function viewOf({ model, el }, label) {
  const fixed = model.get("fixed"), names = Object.keys(fixed.specs), texts = names.filter((name) => fixed.specs[name].text);
  const state = Object.fromEntries(names.map((name) => [name, model.get("shown")[name]]));
  const followers = [], observers = [];
  let sent = ""; // the state as it was asked for last
  let seen = {}; // what was taken over last
  let isPlanned = false; // whether a step of a lecture was asked for: no hand has drawn what it changes
  let parts;

  const notice = element("p", { class: "cw-notice cw-quiet", role: "status", hidden: true });
  const sentence = element("p", { class: "cw-sentence", role: "status", "aria-live": "polite" });
  const problem = element("p", { class: "cw-problem", role: "alert", hidden: true });
  const wait = element("span", { class: "cw-wait", role: "status" });
  const tableId = freshId();
  const table = element("div", { class: "cw-tables", id: tableId, hidden: true });
  const toggle = button("Show as table", toggleTable, { "aria-expanded": "false", "aria-controls": tableId });
  const body = element("div", { class: "cw-body" });
  const root = element("section", { class: "course-widget", "aria-label": label, "data-widget": fixed.widget, "data-state": "idle" },
    body, problem, sentence, element("div", { class: "cw-foot" }, toggle,
      element("span", { class: "cw-leave cw-quiet" }, "Esc leads back to the notebook."), wait), table);

  // JupyterLab's command mode takes single letters and arrow keys as commands (d d deletes a cell). It
  // listens on the document while the event bubbles, so stopping here is enough; Ctrl, Cmd and Alt
  // combinations, Shift+Enter and Escape stay JupyterLab's. Escape gives the keyboard back to the cell: while
  // it is in here, no arrow key can lead on to the next one.
  root.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.isComposing) root.closest(".jp-Cell")?.focus();
    const jupyters = event.ctrlKey || event.metaKey || event.altKey || event.key === "Escape" ||
      (event.key === "Enter" && event.shiftKey);
    if (!jupyters) event.stopPropagation();
  });

  const kernel = requestsTo(model, (now) => {
    root.dataset.state = now === "idle" ? "idle" : "waiting";
    wait.textContent = now !== "slow" ? "" :
      "The kernel is busy or has stopped. If it has stopped, run this cell again to make it live.";
  });

  // ---- the state ------------------------------------------------------------------------------------

  function change(changes) {
    Object.assign(state, changes);
    for (const { name, set } of followers) if (name in changes) set(state[name]);
  }

  function ask(changes = {}) {
    change(changes);
    sent = JSON.stringify(state);
    kernel.ask(requestOf(state));
  }

  function askPlanned(state) {
    isPlanned = true;
    ask(state);
  }

  /** The state without what Python is to choose, and with no more of a text than can be kept. */
  function requestOf(state) {
    const request = Object.fromEntries(Object.entries(state).filter(([, value]) => value !== null));
    texts.forEach((name, i) => {
      const text = state[name];
      if (text.length <= MAX_SENT) return;
      const end = fixed.specs[name].text === "last" ? text.slice(-MAX_SENT) : text.slice(0, MAX_SENT);
      request[name] = end.replace(/^[\udc00-\udfff]|[\ud800-\udbff]$/, ""); // no half of a character
      if (i === 0) request.cut = [...text].length - [...request[name]].length; // characters, as Python counts
    });
    return request;
  }

  /**
   * What the kernel made of a request is taken over, unless the hand has moved on since. Of this view's own
   * request the texts stay as they were typed, for Python may have kept a part only. Of news that nobody asked
   * for only what has changed is taken: a busy kernel has not heard yet of what the hand did meanwhile.
   */
  function adopt(shown, isReply, isLast) {
    const before = seen, isNew = (name) => JSON.stringify(shown[name]) !== JSON.stringify(before[name]);
    if (isReply && !(isLast && JSON.stringify(state) === sent)) return;
    seen = shown;
    change(Object.fromEntries(names.filter((name) => (isReply ? !texts.includes(name) : isNew(name))).map((name) => [name, shown[name]])));
    sent = JSON.stringify(state);
  }

  // ---- drawing --------------------------------------------------------------------------------------

  function toggleTable() {
    table.hidden = !table.hidden;
    toggle.setAttribute("aria-expanded", String(!table.hidden));
    toggle.textContent = table.hidden ? "Show as table" : "Hide table";
    fillTable();
  }

  const fillTable = () => table.replaceChildren(...(table.hidden ? [] : parts.tables().map((one) => tableOf(one))));

  function update() {
    const shown = model.get("shown");
    const isReply = kernel.answered(shown.answers), isLast = kernel.idle();
    adopt(shown, isReply, isLast);
    parts.draw({ isReply: isReply && !isPlanned, isLast });
    if (isReply && isLast) isPlanned = false;
    // the same text put in again would be read aloud again
    for (const [node, text] of [[sentence, parts.sentence?.() ?? shown.sentence], [problem, shown.problem], [notice, shown.notice]])
      if (node.textContent !== text) node.textContent = text;
    problem.hidden = !shown.problem;
    notice.hidden = !shown.notice;
    fillTable();
  }

  return {
    model, fixed, state, ask, root, notice,
    get shown() { return model.get("shown"); },
    send: kernel.ask, tell: kernel.tell,
    say(text) { sentence.textContent = text; },
    follow(name, set) { followers.push({ name, set }); },
    onResize(node, f) {
      observers.push(new ResizeObserver(f));
      observers.at(-1).observe(node);
    },
    start(given) {
      parts = given;
      body.append(...lectureOf(model.get("lecture"), root, askPlanned), ...given.body);
      el.append(root);
      update();
      model.on("change:shown", update);
      return () => {
        model.off("change:shown", update);
        for (const observer of observers) observer.disconnect();
      };
    },
  };
}

/** A table from { caption, head, rows }; a cell is a string, a node, or a list of nodes. A number stays on one line. */
function tableOf({ caption, head, rows }, attributes = {}) {
  const isNumber = (cell) => typeof cell === "string" && /^[−<]? ?\d[\d.,]*(e[-+]\d+)?( ?[×%])?$/.test(cell);
  const cells = (tag, row, more = {}) => row.map((cell) =>
    element(tag, isNumber(cell) ? { class: "cw-number-cell", ...more } : more, ...[cell].flat()));
  return element("table", attributes, ...(caption ? [element("caption", {}, caption)] : []),
    element("thead", {}, element("tr", {}, ...cells("th", head, { scope: "col" }))),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...cells("td", row)))));
}
