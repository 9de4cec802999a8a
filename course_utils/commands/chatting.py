"""`course.py chat`: a chat page, and OpenAI's chat completions, until Ctrl-C."""

import asyncio
import contextlib
import webbrowser
from pathlib import Path


def chat(folder: Path | None, work: Path, port: int, browser: bool) -> None:
    """Serve the model of `folder`, those in the learner's folder `work`, and the course's. Raises ValueError
    for a folder without a model, and if another program takes the port first."""
    from course_utils.serving.offers import on_offer
    from course_utils.serving.server import serve
    from course_utils.weights.making_recipe import SHIPPED

    offers = on_offer(work, folder, SHIPPED.values())
    url = f"http://127.0.0.1:{port}/"

    def started() -> None:
        print(f"Chat with {' or '.join(offers.names)} on {url}; Ctrl-C stops it.", flush=True)
        print(f"Programs find OpenAI's chat completions on {url}v1, with any key.", flush=True)
        if browser:
            webbrowser.open(url)

    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve(offers, port, started))
    except OSError as error:
        raise ValueError(
            f"port {port} can't be used ({error.strerror}): name another, or leave --port out"
        ) from None
