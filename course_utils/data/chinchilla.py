"""The runs behind Chinchilla's law: figure 4 of Hoffmann et al. 2022, as Besiroglu et al. 2024 read it off.

There is no published table. The points were taken out of the figure's vector graphics, sizes and FLOPs from
their places and losses from their colours. The file is fetched from the repository of Besiroglu et al. and
known by its hash; it names no licence, so the course doesn't ship it.
"""

import csv
import hashlib
import io
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import numpy as np
from jaxtyping import Float

from course_utils.data import assets
from course_utils.data.corpora import read_utf8
from course_utils.files import write_atomic

URL = (
    "https://raw.githubusercontent.com/epoch-research/analyzing-chinchilla/"
    "92258837425e1b5f2851d624287f0120583a3d0e/data/svg_extracted_data.csv"
)
SHA256 = "193478df4e90f040016431996c45682659306840ecdadf83cfb9cd5ca0aa1b30"
DROPPED = 5  # of the highest losses, all in the upper left corner of the figure


@dataclass(frozen=True)
class Runs:
    """Parameters n, training tokens d and the loss in nats a token, an array each."""

    n: Float[np.ndarray, " runs"]
    d: Float[np.ndarray, " runs"]
    loss: Float[np.ndarray, " runs"]


def path() -> Path:
    """The table, fetched on first use. Raises AssetError if it can't be had or is another one."""
    file = assets.cache() / "chinchilla" / "svg_extracted_data.csv"
    if file.exists() and _is_it(file.read_bytes()):
        return file
    try:
        with urllib.request.urlopen(URL, timeout=20) as answer:
            content = answer.read()
        if not _is_it(content):
            raise assets.DamagedError(
                "what came in place of Chinchilla's runs has another sha256 than it should: the network may "
                "want a log-in; try again on another"
            )
    except (OSError, HTTPException) as error:
        raise assets.AssetError(
            f"Chinchilla's runs (23 KB) could not be fetched from GitHub ({type(error).__name__}): connect "
            f"to the network, or lay the file at {URL} into {file.parent}"
        ) from None
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, content)
    except OSError as error:
        raise assets.AssetError(
            f"Chinchilla's runs could not be saved: {error}; set COURSE_CACHE to a folder that you can write "
            "to, then start again."
        ) from None
    return file


def runs() -> tuple[Runs, Runs]:
    """The 240 runs to which Besiroglu et al. fitted their law, and the 5 that they left out.

    Those have the highest losses, after the fewest tokens: their law does not hold there. With them in the
    fit, beta is 0.45 and not 0.37.
    """
    rows = list(csv.DictReader(io.StringIO(read_utf8(path()))))
    n, flops, loss = (
        np.array([float(row[name]) for row in rows]) for name in ("Model Size", "Training FLOP", "loss")
    )
    high = loss >= np.sort(loss)[-DROPPED]
    return tuple(Runs(n[chosen], (flops / n / 6)[chosen], loss[chosen]) for chosen in (~high, high))


def _is_it(content: bytes) -> bool:
    return hashlib.sha256(content).hexdigest() == SHA256
