"""What is recorded of widgets for the book."""

import numpy as np

from course_utils.classroom.book import recording
from course_utils.widgets.sampling_lab import SamplingLab


def test_steps_that_are_no_number_are_recorded():
    """The sampling lab's are a chain of samplers, which its page draws by itself."""
    prompts = {"up": np.arange(4.0, dtype=np.float32), "down": np.arange(4.0, 0, -1, dtype=np.float32)}
    record = recording.recorded(SamplingLab(prompts.get, list("abcd"), list(prompts)))
    assert record["life"] == recording.EXAMPLES and "steps" in record["free"]
    assert [request["prompt"] for request, _ in record["answers"]] == ["up", "up", "down"]
