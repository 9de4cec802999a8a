// Steps of what the kernel makes one after another, a few a request: the page asks on until it has the one that it
// wants. To go back and forth through what is made needs no kernel. The state has `step`; `shown` has `written`, the
// steps that are made, and `n_steps`, those that there are in all, as far as is known.

/**
 * Buttons that go from step to step, as `buttons`, and a slider, `scrub`.
 *   all: the name of the button that makes the rest. drawStep(): draw the step `now()`. also(step): what else is asked.
 *   go(step) asks for a step; `go(now())` for no more than there is.
 */
function stepper(view, { all, drawStep, also = () => ({}) }) {
  const { state } = view;
  let wanted = 0; // the step that is asked for

  const back = button("◀ Back", () => go(now() - 1)), on = button("Step ▶", () => go(now() + 1));
  const write = button(all, () => go(Infinity), { class: "cw-main" }), again = button("Start over", () => go(0));
  const scrub = element("input", { type: "range", class: "cw-slider", min: 0, "aria-label": "step", oninput: () => go(Number(scrub.value)) });
  const progress = element("span", { class: "cw-quiet" });

  /** Something else to write, from its first step, or up to `step`. */
  function begin(changes, step = 0) {
    wanted = step;
    view.ask({ ...changes, step: null });
  }

  function go(step) {
    wanted = Math.max(step, 0);
    if (state.step === null) return; // the answer to `begin` is on its way, and goes on from here
    const next = Math.min(wanted, view.shown.n_steps);
    view.ask({ step: next, ...also(next) });
    show();
  }

  /** The step that is shown: what was asked for, as far as it is made. */
  const now = () => Math.min(state.step ?? view.shown.step, view.shown.written);

  /** At all news. */
  function draw({ isReply, isLast }) {
    const { n_steps, step, problem } = view.shown;
    scrub.max = n_steps;
    show();
    if (isReply && isLast && step < Math.min(wanted, n_steps) && !problem) go(wanted);
  }

  function show() {
    const { n_steps, step } = view.shown, at = now();
    scrub.value = state.step ?? step;
    scrub.setAttribute("aria-valuetext", `step ${at} of ${n_steps}`);
    progress.textContent = `Step ${at} of ${n_steps}`;
    for (const one of [back, again]) setIdle(one, at === 0);
    for (const one of [on, write]) setIdle(one, at === n_steps);
    drawStep();
  }

  return { buttons: line(write, back, on, again, progress), scrub, begin, go, now, draw };
}
