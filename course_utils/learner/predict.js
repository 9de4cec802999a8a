function render(context) {
  const view = viewOf(context, "Prediction");
  return view.start(chipBoard(view));
}

export default { render };
