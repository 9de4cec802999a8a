// The chat page. The browser keeps the conversation, the server nothing: each answer is asked for with all of it.

const messages = []; // { role, content, note, node }: what both have said, in order
let answering = null; // the AbortController of the answer that is being written
let editing = null; // the place of the message that a new text will replace
let skipped = 0; // how many of the first messages the model does not read any more

const models = element("select", { onchange: () => { skipped = 0; } }); // another one may read more
const heat = element("input", { type: "range", class: "cw-slider", min: 0, max: 2, step: 0.1, value: 0.7,
  "aria-label": "Temperature", oninput: showHeat });
const degrees = element("span");
const log = element("section", { class: "chat-log", role: "log", "aria-label": "Conversation", tabindex: 0 });
const problem = element("p", { class: "cw-problem", role: "alert", hidden: true });
const state = element("p", { class: "cw-quiet", role: "status" });
const box = element("textarea", { rows: 3, "aria-label": "Message", dir: "auto", autofocus: true,
  placeholder: "Type a message. Enter sends it, Shift+Enter begins a line, Escape stops the answer.", oninput: showButtons });
const sendButton = element("button", { class: "cw-main" }, "Send");
const stopButton = button("Stop", stop), cancelButton = button("Don't edit", cancelEdit, { hidden: true });

function showHeat() {
  degrees.textContent = Number(heat.value).toFixed(1);
  heat.setAttribute("aria-valuetext", heat.value === "0" ? "0, greedy" : heat.value);
}

function showButtons() {
  setIdle(sendButton, answering || !box.value.trim());
  setIdle(stopButton, !answering);
  cancelButton.hidden = editing === null;
}

function complain(sentence) {
  problem.textContent = sentence;
  problem.hidden = !sentence;
}

/** All messages anew. An answer that is being written grows in its own node. */
function draw() {
  const idle = String(Boolean(answering));
  messages.forEach((message, i) => {
    const user = message.role === "user", last = i === messages.length - 1;
    message.text = element("div", { class: "chat-text" }, message.content);
    const buttons = [
      ...(user ? [button("Edit", () => edit(i), { "aria-disabled": idle })] : []),
      ...(last ? [button(user ? "Ask again" : "Regenerate", again, { "aria-disabled": idle })] : []),
    ];
    const foot = line(...buttons, ...(message.note ? [element("small", {}, message.note)] : []));
    message.node = element("article", { class: `chat-message${user ? " chat-user" : ""}` },
      element("b", {}, user ? "You" : message.model), message.text, ...(foot.childNodes.length ? [foot] : []));
    message.node.classList.toggle("chat-replaced", editing !== null && i >= editing);
  });
  log.replaceChildren(...messages.map(({ node }) => node));
  if (answering) messages.at(-1).node.setAttribute("aria-busy", "true");
  log.scrollTop = log.scrollHeight;
  showButtons();
}

function send() {
  const text = box.value;
  if (!text.trim()) return;
  if (answering) {
    state.textContent = "Your message stays in the box: send it after this answer, or stop the answer.";
    return;
  }
  if (editing !== null) {
    messages.length = editing;
    skipped = 0; // what is shorter may fit
  }
  editing = null;
  messages.push({ role: "user", content: text });
  box.value = "";
  answer();
}

function edit(i) {
  if (answering) return;
  editing = i;
  box.value = messages[i].content;
  state.textContent = "Sending replaces this message and what followed it.";
  draw();
  box.focus();
}

function cancelEdit() {
  if (editing === null) return;
  editing = null;
  box.value = state.textContent = "";
  draw();
  box.focus();
}

function again() {
  if (answering) return;
  if (messages.at(-1).role === "assistant") messages.pop();
  answer();
  box.focus(); // the button is gone
}

function stop() {
  answering?.abort();
}

function fresh() {
  stop();
  answering = null; // it ends a moment later
  messages.length = skipped = 0;
  editing = null;
  complain(state.textContent = "");
  draw();
  box.focus();
}

/** Ask for an answer to all that was said, and show it as it comes. */
async function answer() {
  const said = messages.map(({ role, content }) => ({ role, content }));
  const written = { role: "assistant", content: "", model: models.value, note: "" };
  const mine = answering = new AbortController();
  const began = performance.now();
  let first = 0, latest = 0, tokens = 0, reason = "";
  messages.push(written);
  skipped = Math.min(skipped, said.length - 1);
  complain("");
  const waiting = state.textContent = "waiting for the first token …";
  draw();
  try {
    for await (const { choices, usage } of pieces(said, written.model, mine.signal)) {
      tokens = usage?.completion_tokens ?? tokens;
      const [choice] = choices;
      reason = choice?.finish_reason ?? reason;
      if (!choice?.delta.content) continue;
      latest = performance.now();
      if (!first) { first = latest; if (state.textContent === waiting) state.textContent = "writing …"; }
      const below = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
      written.content += choice.delta.content;
      written.text.textContent = written.content;
      if (below) log.scrollTop = log.scrollHeight;
    }
  } catch (error) {
    reason = mine.signal.aborted ? "stopped" : "broken off";
    if (!mine.signal.aborted) complain(error instanceof TypeError ?
      "The server does not answer: see whether course.py chat still runs." : error.message);
  }
  if (answering === mine) answering = null;
  if (!messages.includes(written)) return; // a new conversation has begun
  if (!written.content && reason !== "stop") messages.pop();
  written.note = [
    tokens && plural(tokens, "token"),
    first && `the first after ${((first - began) / 1000).toFixed(2)} s`,
    tokens > 1 && latest > first && `${((tokens - 1) / ((latest - first) / 1000)).toFixed(1)} tokens/s`,
    reason === "length" ? "cut off at its longest" : reason !== "stop" && reason,
    skipped && `the first ${plural(skipped, "message")} not read: the model's window is full`,
  ].filter(Boolean).join(" · ");
  state.textContent = reason === "stop" || reason === "length" ? "The answer is complete." : `The answer was ${reason}.`;
  draw();
}

/** The events of an answer. When the conversation is too long for the model, its oldest messages are left out. */
async function* pieces(said, model, signal) {
  for (;;) {
    const response = await fetch("/v1/chat/completions", { method: "POST", signal,
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ model, messages: said.slice(skipped), temperature: Number(heat.value),
        stream: true, stream_options: { include_usage: true } }) });
    if (response.ok) return yield* events(response.body);
    const { error } = await response.json();
    if (error.code !== "context_length_exceeded" || skipped >= said.length - 1) throw new Error(error.message);
    skipped = Math.min(skipped + 2, said.length - 1); // a question and its answer
  }
}

/** Objects out of a stream of server-sent events. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Error("The answer broke off: the server has stopped.");
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const data = block.slice("data: ".length);
      if (data === "[DONE]") return;
      const event = JSON.parse(data);
      if (event.error) throw new Error(event.error.message);
      yield event;
    }
  }
}

box.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.isComposing) answering ? stop() : cancelEdit();
});

document.body.append(element("main", { class: "course-widget chat" },
  element("header", {},
    element("h1", {}, "Chat"),
    field("Model", models),
    field(["Temperature ", degrees], heat, "chat-temperature"),
    button("New chat", fresh)),
  log, problem,
  element("form", { onsubmit: (event) => { event.preventDefault(); send(); } },
    box, line(sendButton, stopButton, cancelButton, state))));
showHeat();
draw();
box.focus();
fetch("/v1/models").then((response) => response.json()).then(({ data }) => {
  models.append(...options(data.map(({ id }) => id)));
}).catch(() => complain("The server does not answer: start course.py chat again."));
