// A text in lines, byte by byte: for widgets that draw something below each byte.

const clamp = (x, low, high) => Math.min(Math.max(x, low), high);

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
