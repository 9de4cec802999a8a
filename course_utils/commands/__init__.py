"""What `course.py` calls, once everything is installed."""
