"""The configuration that `course.py lab` gives to JupyterLab's server (`--config`)."""

from course_utils.classroom.outputs import pre_save_hook

c = get_config()  # noqa: F821 (the loader puts it here)
c.ContentsManager.pre_save_hook = pre_save_hook
