"""The inside end of the channel: what the script that runs in a sandbox has to do first."""

import json
import os
import sys
from collections.abc import Callable


def open_channel() -> tuple[dict, Callable[[dict], None]]:
    """Take the job from standard input; return it and the function that sends a message out.

    Standard input, output and error lead nowhere from here on, and the limits can no longer be raised.
    """
    import resource  # not on Windows, where this module is only looked at

    given = json.load(sys.stdin.buffer)
    way_out, nowhere = os.dup(1), os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    for name, limit in given["rlimits"].items():
        resource.setrlimit(getattr(resource, name), (limit, limit))
    first = os.getpid()

    def send(message: dict) -> None:
        if os.getpid() != first:  # an answer has forked, and its copy has come back here
            os._exit(1)
        rest = f"{given['nonce']}{json.dumps(message)}\n".encode()
        while rest:
            rest = rest[os.write(way_out, rest) :]

    send({"ready": True})
    return given["job"], send
