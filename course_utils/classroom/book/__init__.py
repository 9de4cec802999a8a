"""`course.py book`: the chapters as pages that need no Python, with the widgets alive in them.

A chapter is run once more (`recording`): what its widgets sent to their pages is kept, and what they answer
on a tour of what a hand tries first (`tours`). The pages (`site`) are Sphinx's; in them a small host
(`host.js`) stands where the kernel was. All that a page needs lies beside it: it opens from a USB stick.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import nbformat

from course_utils.classroom.book import pages, site
from course_utils.classroom.release import strip_solutions

LIVES = ("alive", "on examples", "picture only")  # as `recording` calls them


def make(
    chapters: Iterable[Path],
    readme: Path,
    folder: Path,
    say: Callable[[str], None] = print,
    cache: Path | None = None,
    repository: str | None = None,
) -> None:
    """Run the chapters and write the site of them, behind what the README says first, into `folder`.

    A chapter takes up to some minutes; it is taken from `cache` if neither it nor the code has changed since.
    repository: OWNER/NAME at GitHub, for links to Colab and VS Code.
    Raises outputs.RefreshError, naming the cell, if one fails; then nothing is written.
    """
    with pages.runs(cache) as runs:
        made, recorded = {}, {}
        for path in chapters:
            nb, recorded[path.stem] = pages.run(path, runs)
            made[path.stem] = pages.page(nb)
            for life in LIVES:
                kinds = Counter(one["kind"] for one in recorded[path.stem] if one["life"] == life)
                told = ", ".join(f"{kind} ({n})" if n > 1 else kind for kind, n in sorted(kinds.items()))
                say(f"{path.stem}, {life}: {told or 'none'}")
        site.build(made, recorded, readme, folder, repository)
    for path in chapters:  # for where it is uploaded
        nbformat.write(strip_solutions(nbformat.read(path, as_version=4)), folder / path.name)
    lives = Counter(one["life"] for records in recorded.values() for one in records)
    counted = ", ".join(f"{lives[life]} {life}" for life in LIVES)
    say(f"In all {lives.total()} places of widgets: {counted}.")
    say(f"The book is in {folder}: open {folder / 'index.html'}.")
