"""A real JupyterLab in a real Chromium, on loopback only: what the browser tests and the pictures use."""

import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
from playwright.sync_api import Browser, Locator, Page, Playwright, TimeoutError

from course_utils.classroom.outputs import QUIET_THREADS
from course_utils.commands import browsers

ROOT = Path(__file__).parents[2]
ARTEFACTS = ROOT / "artefacts"
CLASSROOM = ROOT / "course_utils" / "classroom"
PATIENCE = 60_000  # ms; only a hang may reach it
LIGHT = "css:light="  # no look into shadow trees, for which Playwright goes through all nodes of the page
LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Nothing listens there, so what is asked of another machine fails; a route would turn the cache off as well.
NOWHERE = {"server": "http://127.0.0.1:9", "bypass": "127.0.0.1,localhost,[::1]"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Lab:
    """A running JupyterLab server on `folder`."""

    folder: Path
    url: str
    token: str

    def api(self, method: str, path: str, content: object = None) -> object:
        request = urllib.request.Request(
            f"{self.url}/api/{path}",
            method=method,
            headers={"Authorization": f"token {self.token}"},
            data=None if content is None else json.dumps(content).encode(),
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            body = answer.read()
        return json.loads(body) if body else None

    def start_kernel(self, folder: str = "") -> str:
        """A kernel in this folder, for notebooks that share one. Returns its id."""
        return self.api("POST", "kernels", {"name": "python3", "path": folder})["id"]

    def kernel(self, name: str) -> str:
        """The id of a notebook's kernel, which is started if there is none."""
        for session in self.api("GET", "sessions"):
            if session["path"] == name:
                return session["kernel"]["id"]
        self.share(kernel := self.start_kernel(), name)
        return kernel

    def share(self, kernel: str, name: str) -> None:
        """The notebook gets this kernel when it is opened."""
        session = {"path": name, "name": name, "type": "notebook", "kernel": {"id": kernel}}
        self.api("POST", "sessions", session)

    def stop_kernels(self, name: str | None = None) -> None:
        """Shut down all kernels, or a notebook's, and their sessions, as the next morning finds them."""
        for session in self.api("GET", "sessions"):
            if name not in (None, session["path"]):
                continue
            try:
                self.api("DELETE", f"sessions/{session['id']}")
            except urllib.error.HTTPError as error:
                if error.code != 404:  # gone already: two sessions had one kernel
                    raise


@contextlib.contextmanager
def running_lab(folder: Path, **variables: str) -> Iterator[Lab]:
    """JupyterLab as `course.py lab` starts it, with settings of its own, none of the user's.

    `variables` are added to its environment, which its kernels inherit.
    """
    port, token = free_port(), secrets.token_hex(16)
    home = folder / ".jupyter-home"
    env = os.environ | {
        **QUIET_THREADS,
        "JUPYTER_TOKEN": token,
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "IPYTHONDIR": str(home / "ipython"),
        **variables,
    }
    # a save by JupyterLab's own clock, while a test saves, makes it ask which of the two files shall stay
    documents = home / "settings" / "@jupyterlab" / "docmanager-extension" / "plugin.jupyterlab-settings"
    documents.parent.mkdir(parents=True)
    documents.write_text('{"autosave": false}', encoding="utf-8")
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"]
    command += [f"--port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder}"]
    command += [f"--config={CLASSROOM / 'jupyter_server_config.py'}"]
    command += [
        f"--LabApp.app_settings_dir={CLASSROOM / 'lab_settings'}",
        "--LabApp.extension_manager=readonly",
        "--LabApp.expose_app_in_browser=True",  # as `jupyterapp`, for Notebook.switch
    ]
    command += ["--ServerApp.jpserver_extensions={'jupyterlab_jupytext': False}"]
    log = (folder / "server.log").open("wb")
    server = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log)
    lab = Lab(folder, f"http://127.0.0.1:{port}", token)
    try:
        for _ in range(300):
            if server.poll() is not None:
                raise RuntimeError(
                    f"JupyterLab stopped:\n{(folder / 'server.log').read_text('utf-8')[-3000:]}"
                )
            try:
                lab.api("GET", "status")
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.2)
        yield lab
        lab.stop_kernels()
    finally:
        server.terminate()
        server.wait(20)
        log.close()


def chromium(playwright: Playwright) -> Browser:
    """The machine's own Chromium or Chrome if there is one, else the one that playwright installed."""
    found = browsers.find()
    quiet = [
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
    ]
    as_root = ["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
    return playwright.chromium.launch(
        executable_path=found or None, args=[*quiet, *as_root, "--disable-gpu", "--disable-quic"]
    )


# The contrast of every text below a node with what it stands on, as WCAG defines it.
CONTRASTS = """(root) => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const known = new Map();
  const luminance = (colours) => {  // of colours with their opacity, painted one over the other on white
    const key = colours.join();
    if (known.has(key)) return known.get(key);
    canvas.globalAlpha = 1; canvas.fillStyle = '#fff'; canvas.fillRect(0, 0, 1, 1);
    for (const [colour, alpha] of colours) {
      canvas.globalAlpha = alpha; canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    }
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    known.set(key, 0.2126 * r + 0.7152 * g + 0.0722 * b);
    return known.get(key);
  };
  const behind = new Map([[null, [[], 1]]]); // a node: the backgrounds below its text, and its opacity
  const stack = (node) => {
    if (!behind.has(node)) {
      const [colours, opacity] = stack(node.parentElement), style = getComputedStyle(node);
      behind.set(node, [[...colours, [style.backgroundColor, 1]], opacity * style.opacity]);
    }
    return behind.get(node);
  };
  return [...root.querySelectorAll('*')].flatMap((node) => {
    const text = [...node.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data).join('').trim();
    if (!text || !node.getClientRects().length || node.disabled || node.tagName === 'OPTION') return [];
    const [back, opacity] = stack(node);
    const [a, b] = [luminance(back), luminance([...back, [getComputedStyle(node).color, opacity]])];
    return [{ text, ratio: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) }];
  });
}"""

CLEAR = """() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestExecute({
  code: "import ipywidgets; ipywidgets.Widget.close_all(); get_ipython().reset()" }).done.then(() => null)"""
SWITCH = """async (path) => {
  const old = jupyterapp.shell.currentWidget;
  const opened = await jupyterapp.commands.execute("docmanager:open", { path, factory: "Notebook" });
  old.dispose(); // asks nothing about what is not saved
  jupyterapp.shell.activateById(opened.id); // so the keys go to it, as to the first
  await opened.sessionContext.ready;
}"""


@dataclass
class Notebook:
    """A notebook open in JupyterLab, and every address that its page asked for outside this machine."""

    lab: Lab
    page: Page
    name: str
    view: str = "doc"  # or "lab", as a learner has it: beside the list of files
    refused: list[str] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return self.lab.folder / self.name

    def open(self) -> "Notebook":
        try:
            self._visit()
        except TimeoutError:
            # Jupyter looks for free ports before the kernel takes them, and another program may be quicker.
            if "Address already in use" not in (self.lab.folder / "server.log").read_text("utf-8"):
                raise
            self.lab.stop_kernels()
            self._visit()
        return self

    def _visit(self) -> None:
        # `reset` drops the layout of an earlier visit; `doc` shows the notebook alone
        self.page.goto(f"{self.lab.url}/{self.view}/tree/{self.name}?reset&token={self.lab.token}")
        self.page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=PATIENCE)
        self.page.get_by_text("| Idle").wait_for(timeout=PATIENCE)  # in the status bar

    def switch(self, name: str) -> None:
        """Another notebook in the place of this one, on the same page. Its kernel, which both may share, is
        left without names and widgets, or the page would ask it for all that were ever made."""
        if any(session["path"] == self.name for session in self.lab.api("GET", "sessions")):
            self.page.evaluate(CLEAR)
        self.name = name
        self.page.evaluate(SWITCH, name)
        self.page.get_by_text("| Idle").wait_for(timeout=PATIENCE)

    def run_all(self) -> None:
        self.page.evaluate(
            "document.querySelectorAll('.jp-InputPrompt').forEach((p) => (p.textContent = ''))"
        )
        self.menu("Run", "Run All Cells")
        self.wait_until_run()

    def wait_until_run(self) -> None:
        """Until every code cell has its number."""
        self.page.wait_for_function(
            """[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')]
                .every((prompt) => /^\\[\\d+\\]:$/.test(prompt.textContent))""",
            timeout=PATIENCE,
        )

    def menu(self, *path: str) -> None:
        self.page.get_by_role("menuitem", name=path[0], exact=True).click()
        for item in path[1:]:
            self.page.locator(".lm-Menu-item", has_text=item).first.click()

    def theme(self, name: str) -> None:
        self.menu("Settings", "Theme", f"JupyterLab {name}")
        light = "true" if name == "Light" else "false"
        self.page.locator(f'body[data-jp-theme-light="{light}"]').wait_for(state="attached", timeout=PATIENCE)
        # JupyterLab veils the page while a theme comes; a picture taken through it is dim
        self.page.locator("#jupyterlab-splash").wait_for(state="detached", timeout=PATIENCE)

    def widget(self, i: int = 0) -> Locator:
        """The i-th live widget of the page, once it has nothing more to ask of the kernel."""
        widget = self.page.locator(f"{LIGHT}.course-widget").nth(i)
        self.settled(widget)
        return widget

    def settled(self, widget: Locator, timeout: float = PATIENCE) -> None:
        widget.and_(self.page.locator(f'{LIGHT}[data-state="idle"]')).wait_for(timeout=timeout)

    def save(self) -> None:
        """Save, and wait until the server has written the file."""
        with self.page.expect_response(
            lambda answer: answer.request.method == "PUT" and "/api/contents/" in answer.url, timeout=PATIENCE
        ):
            self.page.keyboard.press("Control+s")

    def outputs_kept(self) -> list[int]:
        """How many bytes of outputs each cell of the saved notebook keeps."""
        cells = json.loads(self.path.read_text(encoding="utf-8"))["cells"]
        return [len(json.dumps(cell["outputs"])) for cell in cells]

    def tab_to(self, selector: str) -> None:
        """Press Tab until the keyboard is on a control of a widget that the selector fits."""
        for _ in range(40):
            self.page.keyboard.press("Tab")
            if self.page.evaluate(
                "(wanted, at = document.activeElement) => at.closest('.course-widget') && at.matches(wanted)",
                selector,
            ):
                return
        raise AssertionError(f"no way to {selector} by the Tab key")

    def screenshot(self, name: str, of: Locator | None = None) -> Path:
        """A picture for people to look at, all of it if it is taller than the page, kept in artefacts/."""
        ARTEFACTS.mkdir(exist_ok=True)
        file, usual = ARTEFACTS / f"{name}.png", self.page.viewport_size
        frame = 250  # px of JupyterLab's menus and of the cell above
        taller = of and of.bounding_box()["height"] + frame > usual["height"]
        if taller:
            self.page.set_viewport_size(usual | {"height": round(of.bounding_box()["height"]) + frame})
        (of or self.page).screenshot(path=file)
        if taller:
            self.page.set_viewport_size(usual)
        return file


@contextlib.contextmanager
def notebook(browser: Browser, lab: Lab, name: str, view: str = "doc", **page_settings) -> Iterator[Notebook]:
    """Open a notebook in a page that can reach loopback and nothing else."""
    settings = {"viewport": {"width": 1280, "height": 1000}, "proxy": NOWHERE} | page_settings
    context = browser.new_context(**settings)
    opened = Notebook(lab, context.new_page(), name, view)

    def note(asked):
        if is_outside(asked.url):
            opened.refused.append(asked.url)

    context.on("request", note)
    opened.page.on("websocket", note)
    try:
        yield opened.open()
    finally:
        context.close()
    assert not opened.refused, f"another machine was asked for {opened.refused}"


def bytes_from_the_server(page: Page) -> list[int]:
    """The bytes of each message that comes to the page by a socket: a list that grows."""
    crossed = []

    def count(event):
        data, is_text = event["response"]["payloadData"], event["response"]["opcode"] == 1
        crossed.append(len(data) if is_text else len(data) * 3 // 4)  # base64

    devtools = page.context.new_cdp_session(page)
    devtools.send("Network.enable")
    devtools.on("Network.webSocketFrameReceived", count)
    return crossed


def is_outside(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme not in ("data", "blob", "about") and parts.hostname not in LOOPBACK


def write_notebook(path: Path, *cells: str) -> Path:
    """A notebook of code cells."""
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nb.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nb, path)
    return path
