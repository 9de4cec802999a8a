"""Gradescope's autograder: the zip that a teacher uploads (`packing`), and what runs there (`running`)."""
