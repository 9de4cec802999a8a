// Python asks the models; to walk through what they found needs none of them and is done here.

const COLUMN = 14, STRIP = 16; // pixels of a byte, and of a model's strip

const TYPED = 20_000; // characters that are sent at most; Python keeps fewer and says so

function render({ model, el }) {
  let data = model.get("shown");
  const { examples, most } = data, names = Object.keys(data.readers);
  const state = { text: data.text, focus: data.focus }; // what is asked for
  let lines = [], columns = 0, reading = false; // whether a new text is on its way

  // ---- the parts of the page ----------------------------------------------------------------------

  const text = element("textarea", { class: "su-text", rows: 2, spellcheck: "false", dir: "auto",
    oninput: () => ask({ text: text.value, focus: 0 }) });
  const buttons = Object.entries(examples).map(([name, example]) => element("button", { type: "button",
    onclick: () => { text.value = example; ask({ text: example, focus: 0 }); } }, name));
  const notice = element("p", { class: "su-quiet", hidden: true });
  const strips = element("div", { class: "su-strips", tabindex: "0", role: "group", dir: "ltr",
    style: `--column: ${COLUMN}px; --strip: ${STRIP}px`,
    "aria-label": "The text and each model's surprise. Left and right move on by a byte.",
    onkeydown: onKey, onpointerdown: onPointer, onpointermove: (event) => event.buttons && onPointer(event),
    onpointerup: () => ask({}) });
  const back = element("button", { type: "button", "aria-label": "one byte back", onclick: () => go(data.focus - 1) }, "◀ byte");
  const on = element("button", { type: "button", "aria-label": "one byte on", onclick: () => go(data.focus + 1) }, "byte ▶");
  const found = element("div", { class: "su-scroll" });
  const body = element("div", { class: "su" },
    element("label", { class: "su-field" }, "A text for the models to read", text),
    element("div", { class: "su-line" }, ...buttons),
    notice, strips,
    element("div", { class: "su-line" }, back, on,
      element("span", { class: "su-legend su-quiet" }, "0 bits a byte ",
        element("span", { class: "su-scale", role: "img", "aria-label": "from dark blue over grey to yellow",
          style: `background: linear-gradient(to right, ${CIVIDIS.map(css).join(", ")})` }), ` ${most} and more`)),
    found);

  const view = frame({ model, el, label: "Surprise line", body, draw, tables });

  // ---- asking and moving --------------------------------------------------------------------------

  function ask(changes) {
    Object.assign(state, changes);
    if ("text" in changes) reading = true;
    else if (!reading) walk();
    const kept = state.text.slice(-TYPED);
    view.ask({ ...state, text: kept, cut: state.text.length - kept.length });
  }

  function walk() {
    data = { ...data, focus: state.focus };
    drawFocus();
  }

  const bytes = () => data.pieces.reduce((sum, [, width]) => sum + width, 0);

  function go(focus) {
    if (!reading) ask({ focus: clamp(focus, 0, Math.max(bytes() - 1, 0)) });
  }

  function onKey(event) {
    const to = { ArrowLeft: data.focus - 1, ArrowRight: data.focus + 1, Home: 0, End: bytes() - 1 }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault(); // or the page scrolls
    go(to);
  }

  /** A press picks a byte, and goes on doing so while it moves. */
  function onPointer(event) {
    if (reading || !lines.length) return;
    const line = lines.find(({ root }) => event.clientY < root.getBoundingClientRect().bottom) ?? lines.at(-1);
    if (event.type === "pointerdown") strips.setPointerCapture?.(event.pointerId);
    const at = Math.floor((event.clientX - line.picture.getBoundingClientRect().left) / COLUMN);
    state.focus = line.start + clamp(at, 0, line.width - 1);
    walk();
  }

  // ---- drawing ------------------------------------------------------------------------------------

  function draw(shown, mine, last) {
    data = mine && !last ? { ...shown, focus: state.focus } : shown; // keys have moved on
    if (last || !mine) reading = false;
    if (!mine) {
      Object.assign(state, { text: data.text, focus: data.focus });
      text.value = data.text;
    }
    notice.textContent = shown.notice;
    notice.hidden = !shown.notice;
    layOut();
  }

  /** A model's tokens as { start, width, bits, text, guess, p }. */
  function tokens(name) {
    let at = 0;
    return data.readers[name].map(([width, text, bits, guess, p]) => {
      const token = { start: at, width, bits, text, guess, p };
      at += width;
      return token;
    });
  }

  const inFocus = (name) => tokens(name).find(({ start, width }) => data.focus < start + width);

  /** The text in lines that fit, and below each a strip a model, a field a token. */
  function layOut() {
    columns = fitting();
    const read = names.map(tokens), sharp = window.devicePixelRatio || 1;
    lines = wrap(data.pieces, columns).map((line) => {
      const width = line.width * COLUMN, height = names.length * STRIP;
      const picture = element("canvas", { class: "su-picture", width: width * sharp, height: height * sharp,
        style: `width: ${width}px; height: ${height}px`, "aria-hidden": "true" });
      const pen = picture.getContext("2d");
      pen.scale(sharp, sharp);
      read.forEach((found, row) => {
        for (const { start, width, bits } of found) {
          const from = Math.max(start, line.start), to = Math.min(start + width, line.start + line.width);
          if (from >= to) continue;
          pen.fillStyle = css(cividis(bits / width / most));
          const border = to === start + width ? 1 : 0; // a token that goes on in the next line stays open
          pen.fillRect((from - line.start) * COLUMN, row * STRIP, (to - from) * COLUMN - border, STRIP - 1);
        }
      });
      const characters = line.pieces.map(({ text, width }) => element("span", { style: `--width: ${width}` }, ...visible(text)));
      const column = element("i", { class: "su-column", hidden: true });
      const root = element("div", { class: "su-row" },
        element("div", { class: "su-names", "aria-hidden": "true" }, ...names.map((name) => element("span", {}, name))),
        element("div", { class: "su-block" }, element("div", { class: "su-characters" }, ...characters), picture, column));
      return { ...line, root, picture, column };
    });
    strips.replaceChildren(...lines.map(({ root }) => root));
    drawFocus();
  }

  function fitting() {
    const names = parseFloat(getComputedStyle(strips).getPropertyValue("--names"));
    return Math.max(8, Math.floor((strips.clientWidth - names - 14) / COLUMN));
  }

  function drawFocus() {
    const n = bytes();
    for (const { start, width, column } of lines) {
      column.hidden = data.focus < start || data.focus >= start + width;
      column.style.left = `${(data.focus - start) * COLUMN}px`;
    }
    back.setAttribute("aria-disabled", String(data.focus === 0));
    on.setAttribute("aria-disabled", String(data.focus >= n - 1));
    const head = ["", "Bits a byte", "Bits in all", "Token in focus", "Its bits", "Likeliest in its place"];
    found.replaceChildren(element("table", { class: "su-found" },
      element("thead", {}, element("tr", {}, ...head.map((name) => element("th", {}, name)))),
      element("tbody", {}, ...names.map((name) => element("tr", {},
        ...sums(name, n).map((cell, i) => element(i ? "td" : "th", {}, ...[cell].flat())))))));
  }

  function sums(name, n) {
    const all = data.readers[name].reduce((sum, [, , bits]) => sum + bits, 0), token = n ? inFocus(name) : null;
    if (!token) return [name, "", "", "", "", ""];
    return [name, (all / n).toFixed(2), all.toFixed(1), mono(token.text), token.bits.toFixed(1),
      [mono(token.guess), ` ${percent(token.p)}`]];
  }

  const mono = (text) => element("span", { class: "su-mono" }, ...visible(text));

  function tables() {
    const from = data.focus - 10, to = data.focus + 10;
    return names.map((name) => ({ caption: `${name}, from byte ${Math.max(from, 0)} on`,
      head: ["Token", "Bytes", "Bits", "Likeliest in its place"],
      rows: tokens(name).filter(({ start, width }) => start + width > from && start <= to).map(({ text, width, bits, guess, p }) =>
        [visible(text), String(width), bits.toFixed(2), [...visible(guess), ` ${percent(p)}`]]) }));
  }

  // ---- begin --------------------------------------------------------------------------------------

  const resized = new ResizeObserver(() => { if (fitting() !== columns) layOut(); });
  resized.observe(strips);
  view.update();
  return () => { resized.disconnect(); view.close(); };
}

export default { render };
