// The kernel writes in a thread and sends the text as it grows; what is asked for stays here until it is sent.

function render(context) {
  const view = viewOf(context, "Completion and chat bench"), { writers, most, kept, head, bench } = view.fixed;
  let revision = null; // of what was asked for, as this view has it in its fields
  let sent = ""; // the message that is on its way

  // ---- the fields -------------------------------------------------------------------------------

  const name = freshId();
  const radio = (value, text) => {
    const input = element("input", { type: "radio", name, value, onchange: arrange });
    return { input, label: element("label", { class: "cw-box" }, input, text) };
  };
  const complete = radio("complete", "complete a text"), chat = radio("chat", "chat");
  const writer = element("select", { onchange: arrange }, ...options(writers.map((one) => one.name)));
  const number = (attributes) => element("input", { type: "number", class: "cw-number", ...attributes });
  const fields = {
    temperature: number({ min: 0, step: 0.1 }),
    top_p: number({ min: 0, max: 1, step: 0.05 }),
    length: number({ min: 1, max: most, step: 1 }),
    seed: number({ min: 0, step: 1 }),
    stop: element("input", { type: "text", class: "cw-number", spellcheck: "false", placeholder: "none" }),
  };
  const cache = tickBox("key-value cache", () => {});
  const system = element("input", { type: "text", dir: "auto", placeholder: "the writer’s own" });
  const prompt = element("textarea", { class: "cw-text", rows: 2, spellcheck: "false", dir: "auto" });
  const promptName = element("span", {});
  const write = button("", ask, { class: "cb-write" }), stop = button("Stop", halt);
  const fresh = button("New conversation", () => view.send({ do: "new" }));
  const systemField = field("System message: who the writer is to be", system);

  // ---- what is written --------------------------------------------------------------------------

  const page = element("div", { class: "cb-page", tabindex: 0, role: "region", "aria-label": "What is written" });
  const progress = element("p", { class: "cw-quiet cb-state" });
  const table = element("div", { class: "cw-scroll cb-scroll", tabindex: 0, role: "region", "aria-label": "The last run of each kind" });
  const body = [
    line(field("Writer", writer),
      element("div", { class: "cw-line", role: "radiogroup", "aria-label": "What it does" }, complete.label, chat.label), fresh),
    systemField, field(promptName, prompt),
    line(field("Temperature", fields.temperature), field("Top-p", fields.top_p), field("Most tokens", fields.length),
      field("Seed", fields.seed), field("Stop string", fields.stop), cache.label),
    line(write, stop, element("span", { class: "cw-quiet" }, "Enter sends, Shift+Enter begins a line, Escape stops.")),
    page, progress, view.notice, table];
  view.root.dataset.bench = bench;

  // ---- asking -----------------------------------------------------------------------------------

  const writing = () => view.shown.writing;
  const numeric = (input) => (input.value.trim() === "" ? input.value : Number(input.value));

  function ask() {
    sent = prompt.value;
    const typed = [...sent]; // a longer one would choke the line to the kernel
    view.send({ do: "write", writer: writer.value, chat: chat.input.checked, system: system.value,
      prompt: typed.slice(-kept).join(""), cut: Math.max(typed.length - kept, 0),
      temperature: numeric(fields.temperature), top_p: numeric(fields.top_p), length: numeric(fields.length),
      seed: numeric(fields.seed), stop: fields.stop.value.replaceAll("\\n", "\n"), cache: cache.input.checked });
  }

  function halt() {
    if (writing()) view.send({ do: "stop" });
  }

  for (const node of body) node.addEventListener("keydown", (event) => {
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
    cache.input.checked = asked.cache;
  }

  function draw({ isReply }) {
    const { shown } = view, { run, asked } = shown;
    if (!isReply && shown.revision !== revision) adopt(asked);
    if (isReply && shown.revision !== revision && asked.chat && prompt.value === sent) prompt.value = "";
    if (run?.chat && run.failed && prompt.value === "") prompt.value = asked.prompt;
    revision = shown.revision;
    setIdle(write, shown.writing);
    setIdle(stop, !shown.writing);
    page.setAttribute("aria-busy", String(shown.writing));
    progress.textContent = run ? inWords(run) : "Nothing is written yet.";
    table.hidden = !shown.rows.length;
    table.replaceChildren(tableOf({ head, rows: shown.rows }));
    arrange();
  }

  function inWords(run) {
    const parts = [plural(run.tokens, "token")];
    if (run.first !== null) parts.push(`the first after ${run.first.toFixed(3)} s`);
    if (run.speed !== null) parts.push(`${run.speed.toFixed(1)} tokens/s`);
    parts.push(run.ended_by ? `ended by ${run.ended_by}` : run.tokens ? "writing" : "reading the prompt");
    if (run.by_cell && !run.ended_by) parts.push("by a cell: interrupt the kernel to stop it");
    return parts.join(" · ");
  }

  // what no font has a shape for
  const plain = (text) => text.replace(/[\x00-\x08\x0b-\x1f\x7f]/g, sign);

  function drawPage() {
    const { run, asked, messages } = view.shown;
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
        element("span", { class: "cb-given" }, plain(asked.prompt)), element("span", { class: "cb-new" }, plain(run.text)), ...mark)] : []));
    }
    page.hidden = !page.childElementCount;
    if (atEnd) page.scrollTop = page.scrollHeight;
  }

  function tables() {
    const { rows, messages } = view.shown;
    return [
      { caption: "The last run of each kind", head, rows },
      { caption: "The conversation", head: ["Who", "What"],
        rows: messages.map(({ role, content }) => [role === "user" ? "you" : "writer", plain(content)]) },
    ];
  }

  /** What nobody sees any more is not written on: the cell was run again, or the notebook closed. */
  function close() {
    const others = [...document.querySelectorAll("[data-bench]")].filter(({ dataset }) => dataset.bench === bench);
    if (writing() && others.every((root) => root === view.root)) view.model.send({ do: "stop" });
    closeView();
  }

  const closeView = view.start({ body, draw, tables });
  return close;
}

export default { render };
