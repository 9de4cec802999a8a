"""What a learner does and what is kept of it: exercises and their checks, quizzes, predictions, progress."""
