// The kernel writes in a thread and sends the text as it grows; what is asked for stays here until it is sent.

function render({ model, el }) {
  const { writers, asked: first } = model.get("shown");
  let revision = null; // of what was asked for, as this view has it in its fields
  let sent = ""; // the message that is on its way

  // ---- the fields -------------------------------------------------------------------------------

  const name = freshId();
  const radio = (value, text) => {
    const input = element("input", { type: "radio", name, value, onchange: arrange });
    return { input, label: element("label", { class: "cb-radio" }, input, text) };
  };
  const complete = radio("complete", "complete a text"), chat = radio("chat", "chat");
  const writer = element("select", { onchange: arrange },
    ...writers.map((one) => element("option", { value: one.name }, one.name)));
  const number = (attributes) => element("input", { type: "number", class: "cb-number", ...attributes });
  const fields = {
    temperature: number({ min: 0, step: 0.1 }),
    top_p: number({ min: 0, max: 1, step: 0.05 }),
    length: number({ min: 1, max: model.get("shown").most, step: 1 }),
    seed: number({ min: 0, step: 1 }),
    stop: element("input", { type: "text", class: "cb-number", spellcheck: "false", placeholder: "none" }),
  };
  const cache = element("input", { type: "checkbox" });
  const system = element("input", { type: "text", dir: "auto", placeholder: "the writer’s own" });
  const prompt = element("textarea", { class: "cb-prompt", rows: 2, spellcheck: "false", dir: "auto" });
  const promptName = element("span", {});
  const write = element("button", { type: "button", class: "cb-write", onclick: ask });
  const stop = element("button", { type: "button", onclick: halt }, "Stop");
  const fresh = element("button", { type: "button", onclick: () => view.ask({ do: "new" }) }, "New conversation");
  const field = (text, input, kind = "") => element("label", { class: `cb-field ${kind}` }, text, input);
  const systemField = field("System message: who the writer is to be", system, "cb-wide");

  // ---- what is written --------------------------------------------------------------------------

  const page = element("div", { class: "cb-page", tabindex: 0, role: "region", "aria-label": "What is written" });
  const state = element("p", { class: "cw-quiet cb-state" });
  const notice = element("p", { class: "cw-quiet cb-notice", hidden: true });
  const table = element("div", { class: "cb-scroll", tabindex: 0, role: "region", "aria-label": "The last run of each kind" });
  const body = element("div", { class: "cb" },
    element("div", { class: "cb-line" }, field("Writer", writer),
      element("div", { class: "cb-line", role: "radiogroup", "aria-label": "What it does" }, complete.label, chat.label), fresh),
    systemField,
    element("label", { class: "cb-field" }, promptName, prompt),
    element("div", { class: "cb-line" }, field("Temperature", fields.temperature), field("Top-p", fields.top_p),
      field("Most tokens", fields.length), field("Seed", fields.seed), field("Stop string", fields.stop),
      element("label", { class: "cb-radio" }, cache, "key-value cache")),
    element("div", { class: "cb-line" }, write, stop,
      element("span", { class: "cw-quiet cb-hint" }, "Enter sends, Shift+Enter begins a line, Escape stops.")),
    page, state, notice, table);

  const view = frame({ model, el, label: "Completion and chat bench", body, draw, tables });
  view.root.dataset.bench = model.get("shown").bench;

  // ---- asking -----------------------------------------------------------------------------------

  const writing = () => model.get("shown").writing;
  const numeric = (input) => (input.value.trim() === "" ? input.value : Number(input.value));

  function ask() {
    sent = prompt.value;
    const typed = [...sent], { kept } = model.get("shown"); // a longer one would choke the line to the kernel
    view.ask({ do: "write", writer: writer.value, chat: chat.input.checked, system: system.value,
      prompt: typed.slice(-kept).join(""), cut: Math.max(typed.length - kept, 0),
      temperature: numeric(fields.temperature), top_p: numeric(fields.top_p), length: numeric(fields.length),
      seed: numeric(fields.seed), stop: fields.stop.value.replaceAll("\\n", "\n"), cache: cache.checked });
  }

  function halt() {
    if (writing()) view.ask({ do: "stop" });
  }

  body.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "Escape" && writing()) {
      event.stopPropagation(); // the keyboard stays here: it would go back to the notebook
      halt();
    }
    const types = [prompt, system, ...Object.values(fields)].includes(event.target);
    if (event.key !== "Enter" || !types || event.ctrlKey || event.metaKey || event.altKey) return;
    event.stopPropagation(); // or JupyterLab runs the cell at Shift+Enter
    if (event.shiftKey) return;
    event.preventDefault();
    ask();
  });

  // ---- drawing ----------------------------------------------------------------------------------

  /** Show the fields that the writer and the mode have a use for. */
  function arrange() {
    const { chats } = writers.find((one) => one.name === writer.value);
    chat.input.disabled = !chats;
    chat.label.title = chats ? "" : `${writer.value} was not trained to chat`;
    if (!chats) complete.input.checked = true;
    const talks = chat.input.checked;
    systemField.hidden = fresh.hidden = !talks;
    promptName.textContent = talks ? "Your message" : "A text to go on from";
    write.textContent = talks ? "Send" : "Write";
    drawPage();
  }

  function adopt(asked) {
    writer.value = asked.writer;
    (asked.chat ? chat : complete).input.checked = true;
    system.value = asked.system;
    prompt.value = asked.chat ? "" : asked.prompt;
    for (const [key, input] of Object.entries(fields)) input.value = String(asked[key]).replaceAll("\n", "\\n");
    cache.checked = asked.cache;
  }

  function draw(shown, mine) {
    if (!mine && shown.revision !== revision) adopt(shown.asked);
    const { run, asked } = shown;
    if (mine && shown.revision !== revision && asked.chat && prompt.value === sent) prompt.value = "";
    if (run?.chat && shown.problem && prompt.value === "") prompt.value = asked.prompt;
    revision = shown.revision;
    write.setAttribute("aria-disabled", String(shown.writing));
    stop.setAttribute("aria-disabled", String(!shown.writing));
    page.setAttribute("aria-busy", String(shown.writing));
    notice.textContent = run?.notice ?? "";
    notice.hidden = !run?.notice;
    state.textContent = run ? inWords(run) : "Nothing is written yet.";
    table.hidden = !shown.rows.length;
    table.replaceChildren(element("table", {},
      element("thead", {}, element("tr", {}, ...shown.head.map((text) => element("th", { scope: "col" }, text)))),
      element("tbody", {}, ...shown.rows.map((row) => element("tr", {}, ...row.map((text) => element("td", {}, text)))))));
    arrange();
  }

  function inWords(run) {
    const parts = [`${grouped(run.tokens)} token${run.tokens === 1 ? "" : "s"}`];
    if (run.first !== null) parts.push(`the first after ${run.first.toFixed(3)} s`);
    if (run.speed !== null) parts.push(`${run.speed.toFixed(1)} tokens/s`);
    parts.push(run.ended_by ? `ended by ${run.ended_by}` : run.tokens ? "writing" : "reading the prompt");
    if (run.by_cell && !run.ended_by) parts.push("by a cell: interrupt the kernel to stop it");
    return parts.join(" · ");
  }

  // what no font has a shape for
  const plain = (text) => text.replace(/[\x00-\x08\x0b-\x1f\x7f]/g, sign);

  function drawPage() {
    const { run, asked, messages } = model.get("shown");
    const talks = chat.input.checked;
    const atEnd = page.scrollHeight - page.scrollTop - page.clientHeight < 40;
    const mark = writing() ? [element("span", { class: "cb-mark", "aria-hidden": "true" }, "▍")] : [];
    if (talks) {
      const open = run?.chat && run.ended_by === null
        ? [{ role: "user", content: asked.prompt }, { role: "assistant", content: run.text, mark }] : [];
      page.replaceChildren(...[...messages, ...open].map(({ role, content, mark = [] }) =>
        element("div", { class: `cb-message cb-${role}` }, element("b", {}, role === "user" ? "you" : "writer"),
          element("p", { dir: "auto" }, plain(content), ...mark))));
    } else {
      page.replaceChildren(...(run && !run.chat ? [element("p", { dir: "auto" },
        element("span", { class: "cw-quiet" }, plain(asked.prompt)), element("span", { class: "cb-new" }, plain(run.text)), ...mark)] : []));
    }
    page.hidden = !page.childElementCount;
    if (atEnd) page.scrollTop = page.scrollHeight;
  }

  function tables({ head, rows, messages }) {
    return [
      { caption: "The last run of each kind", head, rows },
      { caption: "The conversation", head: ["Who", "What"],
        rows: messages.map(({ role, content }) => [role === "user" ? "you" : "writer", plain(content)]) },
    ];
  }

  /** What nobody sees any more is not written on: the cell was run again, or the notebook closed. */
  function close() {
    const others = [...document.querySelectorAll("[data-bench]")].filter(({ dataset }) => dataset.bench === view.root.dataset.bench);
    if (writing() && others.every((root) => root === view.root)) model.send({ do: "stop" });
    view.close();
  }

  adopt(first);
  view.update();
  return close;
}

export default { render };
