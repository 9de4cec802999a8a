"""nbgrader in a student's server: its exchange is the student's own, and nobody else's."""

import os
from pathlib import Path

from course_utils.classroom.exchange import COURSE

c = get_config()  # noqa: F821 (nbgrader has it)
c.CourseDirectory.course_id = COURSE
c.Exchange.root = os.environ["COURSE_EXCHANGE"]
c.Exchange.assignment_dir = str(Path.home() / "my_work")  # where JupyterLab shows it
# The root is the teacher's: nbgrader must not ask that everybody may write into it.
c.CourseDirectory.groupshared = True
