"""One JupyterLab server and one browser for all browser tests."""

import pytest
from harness import PATIENCE, chromium, notebook, running_lab, write_notebook
from playwright.sync_api import expect, sync_playwright

expect.set_options(timeout=PATIENCE)  # the machine may be busy; only a hang may reach it


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    with running_lab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        browser = chromium(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def desk(browser, lab):
    """A page on which the notebooks of many modules are opened in turn, all with its kernel: a page and a
    kernel of their own would take each of them eight times as long."""
    write_notebook(lab.folder / "desk.ipynb", "")
    with notebook(browser, lab, "desk.ipynb", has_touch=True) as desk:
        yield desk


@pytest.fixture(scope="module")
def laid(request, lab, desk):
    """The notebook of the module's CELL or CELLS, on a page HEIGHT px high."""
    module, name = request.module, f"{request.path.stem}.ipynb"
    write_notebook(lab.folder / name, *(getattr(module, "CELLS", None) or [module.CELL]))
    lab.share(lab.kernel("desk.ipynb"), name)
    desk.page.set_viewport_size({"width": 1280, "height": getattr(module, "HEIGHT", 1000)})
    desk.switch(name)
    yield desk
    assert not desk.refused, f"another machine was asked for {desk.refused}"


@pytest.fixture(scope="module")
def opened(laid):
    """The same, run once. Tests leave its widgets in any state, so each begins by giving its own the state
    that it needs."""
    laid.run_all()
    return laid
