"""What axe-core finds on a page."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

# A name has the words that are seen: an experiment in this version of axe, a rule in the next.
RULES = {"label-content-name-mismatch": {"enabled": True}}
# without preload: it would fetch style sheets again, which a page read from disk may not
OPTIONS = {"resultTypes": ["violations"], "rules": RULES, "preload": False}


def violations(page: Page) -> list[str]:
    """The serious and the critical ones, a line each: the rule, the element, and what is wrong."""
    rules = Axe().run(page, options=OPTIONS).response["violations"]
    return [
        f"{rule['id']}: {node['html'][:150]}: {node['failureSummary']}"
        for rule in rules
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]
