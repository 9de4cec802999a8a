// Python asks the models; to walk through what they found needs none of them and is done here.

function render(context) {
  const view = viewOf(context, "Surprise line"), { max_bits } = view.fixed;
  const names = Object.keys(view.shown.readers);
  const found = element("div", { class: "cw-scroll" });
  const strips = textStrips(view, { prompt: "A text for the models to read", names, nameWidth: 124,
    label: "The text and each model's surprise. Left and right move on by a byte.",
    legend: ["0 bits a byte ", colourScale(), ` ${max_bits} and more`],
    fields: (row) => tokens(names[row]).map(({ start, width, bits }) =>
      ({ start, width, colour: cividis(bits / width / max_bits) })),
    moved: drawFound });

  /** A model's tokens as { start, width, bits, text, guess, p }. */
  function tokens(name) {
    let start = 0;
    return view.shown.readers[name].map(([width, text, bits, guess, p]) =>
      ({ start: (start += width) - width, width, bits, text, guess, p }));
  }

  function drawFound() {
    found.replaceChildren(tableOf({ rows: names.map(sums),
      head: ["", "Bits a byte", "Bits in all", "Token in focus", "Its bits", "Likeliest in its place"] }, { class: "su-found" }));
  }

  function sums(name) {
    const all = tokens(name), here = all.find(({ start, width }) => strips.focus() < start + width);
    if (!here) return [name, "", "", "", "", ""];
    const total = all.reduce((sum, { bits }) => sum + bits, 0), n = all.at(-1).start + all.at(-1).width;
    return [name, (total / n).toFixed(2), total.toFixed(1), mono(here.text), here.bits.toFixed(1),
      [mono(here.guess), ` ${percent(here.p)}`]];
  }

  function tables() {
    const from = strips.focus() - 10, to = strips.focus() + 10;
    return names.map((name) => ({ caption: `${name}, from byte ${Math.max(from, 0)} on`,
      head: ["Token", "Bytes", "Bits", "Likeliest in its place"],
      rows: tokens(name).filter(({ start, width }) => start + width > from && start <= to).map(({ text, width, bits, guess, p }) =>
        [visible(text), String(width), bits.toFixed(2), [...visible(guess), ` ${percent(p)}`]]) }));
  }

  return view.start({ body: [...strips.nodes, found], draw: strips.draw, tables });
}

export default { render };
