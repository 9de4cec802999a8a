"""Small models that the course trained itself: each with its recipe, the log of the run, and its weights."""
