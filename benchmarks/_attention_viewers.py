"""The attention explorer beside bertviz and CircuitsVis, 12 layers of 12 heads, in one Chromium.

Each peer is drawn at its best: alone in a plain page from this machine, in a fresh browser, with what it
would fetch from outside (require.js, d3, jQuery) taken from npm packages. Neither the making of its page in
Python nor its libraries are counted. The explorer is drawn where learners meet it, in JupyterLab with its
kernel: from Ctrl+Enter on, with its still picture, with everything that the server sends counted, and its
nodes with the table shown. Hover is what each offers: over a token for bertviz and the explorer, whose arcs
change, and over a head for CircuitsVis ("hover to view"), whose large map changes.

It takes up to an hour. Nearly all of that is the peers at 128 and 256 tokens; one that is not drawn within
LIMIT seconds is given up, and its line says so.
"""

import contextlib
import functools
import http.server
import os
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import NamedTuple

from exhibits import CLOCK, exhibits
from gallery import Specimen
from harness import chromium
from playwright.sync_api import Error

LENGTHS = (32, 128, 256)
HOVERS = 3  # a page
LIMIT = 400  # seconds
PACKAGES = ["bertviz==1.4.1", "circuitsvis==1.43.3", "importlib-metadata==8.7.0", "zipp==3.23.0"]
SCRIPTS = {  # what bertviz asks of a server outside: (npm package, file in it)
    "require.min.js": ("requirejs@2.3.6", "package/require.js"),
    "d3.min.js": ("d3@5.7.0", "package/dist/d3.min.js"),
    "jquery.min.js": ("jquery@2.2.4", "package/dist/jquery.min.js"),
}
WEIGHTS = """\
import numpy as np
raw = np.random.default_rng(0).exponential(size=(12, 12, T, T)).astype(np.float32) ** 3
raw *= np.tri(T, dtype=np.float32)
weights, tokens = raw / raw.sum(-1, keepdims=True), [f" word{t}" for t in range(T)]
"""
EXPLORER = """\
from course_utils.widgets.attention_explorer import AttentionExplorer
T = {T}
{weights}
made = AttentionExplorer(tokens, weights, mask=np.tri(T, dtype=bool), scale=0.125)
"""


class Peer(NamedTuple):
    """Another viewer, alone in a page. ready: true once it begins to be drawn. hover: point at place i."""

    make: str  # Python: the page in HTML, from weights and tokens
    ready: str
    hover: str


PEERS = {
    "bertviz": Peer(
        """
from bertviz import head_view
page = head_view([torch.tensor(layer)[None] for layer in weights], tokens, html_action="return").data
library = 0
""",
        "document.querySelector('#attention line')",
        """(i) => document.querySelectorAll("#left .background")[i]
          .dispatchEvent(new MouseEvent("mouseover", { bubbles: true }))""",
    ),
    "CircuitsVis": Peer(
        """
import circuitsvis
from circuitsvis.attention import attention_heads
page = attention_heads(weights.reshape(-1, T, T), tokens, mask_upper_tri=True).local_src
library = (Path(circuitsvis.__file__).parent / "dist/cdn/iife.js").stat().st_size
""",
        "document.querySelectorAll('canvas').length > 144",
        """(i) => document.querySelectorAll("h4")[i + 1].parentElement
          .dispatchEvent(new MouseEvent("mouseover", { bubbles: true }))""",
    ),
}
MAKE_PAGE = """
import sys
from pathlib import Path
import torch
T, file = int(sys.argv[1]), Path(sys.argv[2])
{weights}
{make}
file.write_text('<!doctype html><meta charset="utf-8"><body>' + page, encoding="utf-8")
print(file.stat().st_size - library)
"""
# Resolves with the time of the last paint before the page was quiet for so long.
QUIET = """
window.quiet = (ms) => new Promise((done) => {
  let last = 0, timer;
  const observer = new MutationObserver(changed);
  async function changed() {
    clearTimeout(timer);
    last = await window.painted();
    clearTimeout(timer);
    timer = setTimeout(() => { observer.disconnect(); done(last); }, ms);
  }
  observer.observe(document, { subtree: true, childList: true, attributes: true });
  changed();
});
"""
REACTED = """async ([hover, i]) => {
  await window.frame();
  const start = performance.now();
  eval(hover)(i);
  return (await window.afterPaint()) - start;
}"""


class MissingPeers(Exception):
    """The peers aren't available on this machine."""


@dataclass
class Measured:
    """Of one viewer at one length: seconds, and what it takes."""

    bytes: int
    nodes: int | None = None
    draws: list[float] = field(default_factory=list)
    hovers: list[float] = field(default_factory=list)
    gave_up: str = ""


def fetch(folder: Path) -> dict[str, bytes]:
    """Install the peers into `folder`/packages, and return the scripts that they load, by file name."""
    npm = shutil.which("npm")
    if npm is None:
        raise MissingPeers("npm, which has bertviz's scripts, is not installed")
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", folder / "packages"]
    try:
        subprocess.run([*install, *PACKAGES], check=True, capture_output=True, text=True)
        found = {}
        for name, (package, inner) in SCRIPTS.items():
            pack = [npm, "pack", "--silent", package]
            packed = subprocess.run(pack, cwd=folder, check=True, capture_output=True, text=True)
            with tarfile.open(folder / packed.stdout.split()[-1]) as archive:
                found[name] = archive.extractfile(inner).read()
    except subprocess.CalledProcessError as error:
        raise MissingPeers((error.stderr.strip().splitlines() or ["no message"])[-1]) from None
    return found


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """A server of files on loopback; gives its address."""
    handler = functools.partial(Quiet, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def measure_peer(playwright, peer: Peer, T: int, n: int, folder: Path, scripts: dict[str, bytes]) -> Measured:
    """Draw a peer's page n times; give up after LIMIT seconds of one."""
    make = MAKE_PAGE.format(weights=WEIGHTS, make=peer.make)
    environment = os.environ | {"PYTHONPATH": str(folder / "packages")}
    made = subprocess.run(
        [sys.executable, "-c", make, str(T), folder / "page.html"],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    measured = Measured(int(made.stdout))

    def from_npm(route):
        body = scripts.get(route.request.url.rsplit("/", 1)[1])
        route.fulfill(body=body, content_type="text/javascript") if body else route.abort()

    while len(measured.draws) < n:
        browser = chromium(playwright)
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(1000 * LIMIT)
        page.add_init_script(CLOCK + QUIET)
        page.route(lambda url: not url.startswith("http://127.0.0.1"), from_npm)
        try:
            with served(folder) as url:
                page.goto(f"{url}/page.html", wait_until="commit")
                page.wait_for_function(peer.ready)
                drawn = page.wait_for_function("quiet(1000)").json_value() / 1000
                for i in range(HOVERS):
                    measured.hovers.append(page.evaluate(REACTED, [peer.hover, i]) / 1000)
                    page.wait_for_function("quiet(300)")  # what one leaves undone must not delay the next
                measured.nodes = page.evaluate("document.querySelectorAll('body *:not(script)').length")
                measured.draws.append(drawn)  # last: `report` shows nodes and hovers of what was drawn
        except Error as error:
            measured.gave_up = f"gave up after {LIMIT} s" if "Timeout" in str(error) else "the page crashed"
            break
        finally:
            browser.close()
    return measured


def measure_explorer(browser, lab, n: int) -> Iterator[tuple[int, Measured]]:
    specimens = {
        f"T{T}": Specimen(
            EXPLORER.format(T=T, weights=WEIGHTS),
            """(root, i) => root.querySelectorAll("[role=option]")[i + 1]
              .dispatchEvent(new PointerEvent("pointerover", { bubbles: true }))""",
            "(root, i) => root.querySelectorAll('[role=option]')[i].click()",
        )
        for T in LENGTHS
    }
    for name, shown in exhibits(browser, lab, 1, n, specimens):
        draws, hovers = ([ms / 1000 for ms in times] for times in (shown.first_draw, shown.repaint))
        yield int(name[1:]), Measured(shown.bytes_over_the_wire, shown.nodes, draws, hovers)


def compare(playwright, lab, n: int, folder: Path) -> None:
    """Print the explorer and, if they can be had, the peers, at each length."""
    print(f"\nThe attention explorer beside its peers: 12 layers of 12 heads, medians of {n}, no GPU")
    print(f"{'':22}{'MB':>10}{'DOM nodes':>12}{'first draw, s':>16}{'hover, s':>12}", flush=True)
    browser = chromium(playwright)
    for T, measured in measure_explorer(browser, lab, n):
        report("attention explorer", T, measured)
    browser.close()
    try:
        scripts = fetch(folder)
    except MissingPeers as missing:
        print(f"bertviz and CircuitsVis are left out, because they can't be installed here: {missing}")
        return
    for name, peer in PEERS.items():
        for T in LENGTHS:
            report(name, T, measure_peer(playwright, peer, T, n, folder, scripts))


def report(name: str, T: int, measured: Measured) -> None:
    line = f"{name:18}{T:4}{measured.bytes / 1e6:10.2f}"
    if measured.draws:
        line += f"{measured.nodes:12,}{median(measured.draws):16.2f}{median(measured.hovers):12.3f}"
    if measured.gave_up:
        line += f"   {measured.gave_up}, with {len(measured.draws)} draws"
    print(line, flush=True)
