"""The exercises, a module for a topic; beside it stand, as Markdown, its hints and worked examples."""

import course_utils.learner.checks  # noqa: F401 - first: it imports every module of this folder
