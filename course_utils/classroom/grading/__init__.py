"""Grading: code that nobody has read runs in a sandbox, and the verdict on it is reached outside."""
