// A text in lines, byte by byte, with a strip below each line for each of several readers. One byte is in
// focus: the state has `text` and `focus`, which is null while the kernel reads a new text.

const COLUMN = 14, STRIP = 14; // pixels of a byte, and of a strip's height

/** Pieces of text in lines of at most `columns` bytes: { pieces, start, width } each. */
function wrap(pieces, columns) {
  const lines = [];
  let at = 0;
  for (const [text, width] of pieces) {
    let line = lines.at(-1);
    if (!line || line.width + width > columns) lines.push((line = { pieces: [], start: at, width: 0 }));
    line.pieces.push({ text, width, start: at });
    line.width += width;
    at += width;
  }
  return lines;
}

/**
 * The text field, its examples, the strips and the buttons that move on, as `nodes`.
 *   prompt, label: what the text field and the strips are called; legend: nodes
 *   names: of the strips; nameWidth: their pixels, fewer where there is less room
 *   fields(row): the fields of a strip, [{ start, width, colour }, ...] in bytes
 *   moved(row): draw what follows from the byte in focus; `row` of the strip that was pressed, else null
 *   turn(by): at the keys up and down; where they do nothing it is left out
 */
function textStrips(view, { prompt, label, legend, names, nameWidth, fields, moved, turn }) {
  const { state } = view;
  let lines = [], columns = 0;

  const text = textArea(view, "text", read);
  const strips = element("div", { class: "cw-strips", tabindex: "0", role: "group", dir: "ltr", "aria-label": label,
    style: `--column: ${COLUMN}px; --strip: ${STRIP}px`,
    onkeydown: onKey, onpointerdown: onPointer, onpointermove: (event) => strips.hasPointerCapture(event.pointerId) && onPointer(event),
    onpointerup: () => view.ask(), onpointercancel: () => view.ask() });
  const back = button("◀ byte", () => go(focus() - 1), { "aria-label": "one byte back" });
  const on = button("byte ▶", () => go(focus() + 1), { "aria-label": "one byte on" });
  const nodes = [field(prompt, text), line(...exampleButtons(view.fixed.examples, (example) => read({ text: example }))),
    view.notice, strips, line(back, on, element("span", { class: "cw-legend cw-quiet" }, ...legend))];

  const focus = () => state.focus ?? view.shown.focus;
  const count = () => view.shown.pieces.reduce((sum, [, width]) => sum + width, 0);
  const within = (byte) => clamp(byte, 0, Math.max(count() - 1, 0));

  function read({ text }) { view.ask({ text, focus: null }); }

  /** The walk is drawn at once; the kernel is told for the sentence. */
  function go(byte) {
    if (state.focus === null) return;
    view.ask({ focus: within(byte) });
    drawFocus();
  }

  function onKey(event) {
    const sideways = { ArrowLeft: focus() - 1, ArrowRight: focus() + 1, Home: 0, End: count() - 1 };
    const upDown = turn ? { ArrowUp: -1, ArrowDown: 1 } : {};
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in sideways) go(sideways[event.key]);
    else if (event.key in upDown) turn(upDown[event.key]);
    else return;
    event.preventDefault(); // or the page scrolls
  }

  /** A press picks a byte and a strip, and goes on doing so while it moves. */
  function onPointer(event) {
    if (state.focus === null || !lines.length) return;
    const line = lines.find(({ root }) => event.clientY < root.getBoundingClientRect().bottom) ?? lines.at(-1);
    if (event.type === "pointerdown") strips.setPointerCapture?.(event.pointerId);
    const box = line.picture.getBoundingClientRect(), row = Math.floor((event.clientY - box.top) / STRIP);
    state.focus = line.start + clamp(Math.floor((event.clientX - box.left) / COLUMN), 0, line.width - 1);
    drawFocus(row >= 0 && row < names.length ? row : null);
  }

  const taken = () => Math.min(nameWidth, strips.clientWidth / 8); // by the names
  const fitting = () => Math.max(8, Math.floor((strips.clientWidth - taken() - 14) / COLUMN));

  function draw() {
    columns = fitting();
    strips.style.setProperty("--names", `${taken()}px`);
    const painted = names.map((_, row) => fields(row));
    lines = wrap(view.shown.pieces, columns).map((line) => {
      const picture = element("canvas", { class: "cw-picture", "aria-hidden": "true" });
      const pen = sheet(picture, line.width * COLUMN, names.length * STRIP), end = line.start + line.width;
      painted.forEach((all, row) => {
        for (const { start, width, colour } of all) {
          const from = Math.max(start, line.start), to = Math.min(start + width, end);
          if (from >= to) continue;
          pen.fillStyle = css(colour);
          const gap = width > 1 && to === start + width ? 1 : 0; // one that goes on in the next line stays open
          pen.fillRect((from - line.start) * COLUMN, row * STRIP, (to - from) * COLUMN - gap, STRIP - 1);
        }
      });
      const characters = line.pieces.map(({ text, width }) => element("span", { style: `--width: ${width}` }, ...visible(text)));
      const column = element("i", { class: "cw-column", hidden: true });
      const chosen = turn ? [element("i", { class: "cw-chosen" })] : [];
      const root = element("div", { class: "cw-row" },
        element("div", { class: "cw-names", "aria-hidden": "true" }, ...names.map((name) => element("span", {}, String(name)))),
        element("div", {}, element("div", { class: "cw-characters" }, ...characters), picture, ...chosen, column));
      return { ...line, root, picture, column };
    });
    strips.replaceChildren(...lines.map(({ root }) => root));
    drawFocus();
  }

  function drawFocus(row = null) {
    const at = focus();
    for (const { start, width, column } of lines) {
      column.hidden = at < start || at >= start + width;
      column.style.left = `${(at - start) * COLUMN}px`;
    }
    setIdle(back, at === 0);
    setIdle(on, at >= count() - 1);
    moved(row);
  }

  /** Mark the strip in focus: its name, and a line round it. */
  function mark(row) {
    for (const { root } of lines)
      root.querySelectorAll(".cw-names span").forEach((name, i) => name.classList.toggle("cw-on", i === row));
    strips.style.setProperty("--chosen", row);
  }

  view.onResize(strips, () => { if (fitting() !== columns) draw(); });
  return { nodes, draw, mark, focus };
}
