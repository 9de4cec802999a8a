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


@pytest.fixture(scope="module")
def opened(request, browser, lab):
    """The notebook of the module's CELL or CELLS, on a page HEIGHT px high, run once.

    Tests leave its widgets in any state, so each begins by giving its widget the state that it needs.
    """
    module = request.module
    cells = getattr(module, "CELLS", None) or [module.CELL]
    write_notebook(lab.folder / f"{request.path.stem}.ipynb", *cells)
    viewport = {"width": 1280, "height": getattr(module, "HEIGHT", 1000)}
    with notebook(browser, lab, f"{request.path.stem}.ipynb", viewport=viewport, has_touch=True) as opened:
        opened.run_all()
        yield opened
