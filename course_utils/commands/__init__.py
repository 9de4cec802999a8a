"""What `course.py` calls: `setting_up` and `stops` before anything is installed, all else from then on."""
