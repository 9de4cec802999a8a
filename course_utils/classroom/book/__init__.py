"""`course.py book`: the chapters as pages that need no Python, with the widgets alive in them.

A chapter is run once more (`recording`): what its widgets sent to their pages is kept, and what they answer
when a field or two are changed. The pages (`site`) are Sphinx's; in them a small host
(`host.js`) stands where the kernel was. All that a page needs lies beside it: it opens from a USB stick.
"""

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from course_utils.classroom.book import pages, site


def make(chapters: Iterable[Path], readme: Path, folder: Path, say: Callable[[str], None] = print) -> None:
    """Run the chapters, which takes some minutes, and write the site of them, behind what the README says
    first, into `folder`.

    Raises outputs.RefreshError, naming the cell, if one fails; then nothing is written.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as work:
        made, recorded = {}, {}
        for path in chapters:
            recorded[path.stem] = Path(work) / path.stem
            made[path.stem] = pages.page(pages.run(path, recorded[path.stem]))
            records = json.loads((recorded[path.stem] / "recorded.json").read_text(encoding="utf-8"))
            for life in ("alive", "on examples", "as it was"):
                kinds = Counter(record["kind"] for record in records if record["life"] == life)
                told = ", ".join(f"{kind} ({n})" if n > 1 else kind for kind, n in sorted(kinds.items()))
                say(f"{path.stem}, {life}: {told or 'none'}")
        site.build(made, recorded, readme, folder)
    say(f"The book is in {folder}: open {folder / 'index.html'}.")
