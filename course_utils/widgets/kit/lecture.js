// A lecture: what was planned is shown step by step, in large type, by one key.

/**
 * The line of a lecture, [] if none is planned: where it is, what is said there, and its buttons. Page Down
 * and Page Up, which a presenter's remote sends, go on and back from anywhere in the widget.
 */
function lectureOf(steps, root, ask) {
  if (!steps.length) return [];
  let at = 0;
  const place = element("p", { class: "cw-step", role: "status", "aria-live": "polite" });
  const back = button("Back", () => go(at - 1)), next = button("Next", () => go(at + 1));
  const whole = button("Full screen", () => (document.fullscreenElement ? document.exitFullscreen() : root.requestFullscreen()));
  function go(to) {
    if (to === at || !steps[to]) return;
    at = to;
    show();
    ask(steps[at].state);
  }
  function show() {
    place.textContent = `${at + 1} of ${steps.length}${steps[at].say ? `: ${steps[at].say}` : ""}`;
    setIdle(back, at === 0);
    setIdle(next, at === steps.length - 1);
  }
  root.classList.add("cw-lecture");
  root.addEventListener("keydown", (event) => {
    const by = { PageDown: 1, PageUp: -1 }[event.key];
    if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault(); // or the page scrolls
    go(at + by);
  });
  show();
  return [line(back, next, place, whole)];
}
