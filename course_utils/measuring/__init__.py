"""How good is a model? Bits, probes, the chart of all chapters, and how a measurement is shown."""
