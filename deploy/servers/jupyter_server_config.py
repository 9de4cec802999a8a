"""A student's server on the hub: what `course.py lab` does, in the student's home folder."""

import os
from pathlib import Path

from course_utils.classroom import places, release
from course_utils.classroom.outputs import pre_save_hook

work = Path.home() / "my_work"
for message in release.copy_chapters(places.notebooks(), work):
    print(message, flush=True)
os.environ["COURSE_WORK"] = str(work)  # where the kernels keep the learner's progress

c = get_config()  # noqa: F821 (the loader puts it here)
c.ServerApp.root_dir = str(work)
c.ServerApp.jpserver_extensions = {
    "jupyterlab_jupytext": False,  # for authors only
    # these are the teacher's, and would list what lies beside a student's work
    "nbgrader.server_extensions.formgrader": False,
    "nbgrader.server_extensions.create_assignment": False,
}
c.LabApp.extension_manager = "readonly"  # nothing is asked of the network
c.ContentsManager.pre_save_hook = pre_save_hook
