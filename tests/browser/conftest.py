"""One JupyterLab server and one browser for all browser tests."""

import pytest
from harness import PATIENCE, chromium, running_lab
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
