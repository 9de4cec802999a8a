"""What a course needs round its chapters: releasing copies, storing outputs, grading, export."""
