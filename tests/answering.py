"""Wait for a server of the course's own."""

import time
import urllib.error
import urllib.request


def ask_until_it_answers(url):
    """JupyterLab says its address a moment before it listens there."""
    for _ in range(600):
        try:
            return urllib.request.urlopen(url)
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError):
                raise
        time.sleep(0.05)
    raise TimeoutError(url)
