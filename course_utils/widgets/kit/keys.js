// Keys and touch.

/**
 * One tab stop for a list of items: arrow keys, Home and End move in it, a click or a touch picks.
 * `items()` gives the elements now, `current()` the index of the chosen one, `choose(i, event)` is told.
 */
function chooser(container, { items, current, choose }) {
  const steps = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1 };
  container.tabIndex = 0;
  container.addEventListener("keydown", (event) => {
    const last = items().length - 1;
    const to = { Home: 0, End: last }[event.key] ?? (event.key in steps ? current() + steps[event.key] : null);
    if (to === null || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault(); // or the page scrolls
    if (last >= 0) choose(Math.min(Math.max(to, 0), last), event);
  });
  container.addEventListener("click", (event) => {
    const i = items().findIndex((item) => item.contains(event.target));
    if (i >= 0) choose(i, event);
  });
}

/** Mark item i as the chosen one, for eyes and for screen readers. */
function markChosen(container, items, i) {
  items.forEach((item, at) => {
    item.id ||= freshId();
    item.setAttribute("aria-selected", String(at === i));
  });
  if (items[i]) container.setAttribute("aria-activedescendant", items[i].id);
  else container.removeAttribute("aria-activedescendant");
}

