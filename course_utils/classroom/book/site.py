"""The site of the chapters: Sphinx with MyST-NB, formulas as MathML, and nothing fetched from anywhere."""

import re
import shutil
from pathlib import Path

import nbformat
from docutils import nodes
from latex2mathml.converter import convert
from nbformat import NotebookNode
from sphinx.application import Sphinx

HERE = Path(__file__).parent
TITLE = "The LLM Workbook"
SETTINGS = {
    "project": TITLE,
    "html_title": TITLE,
    "html_theme": "furo",
    "extensions": ["myst_nb", "course_utils.classroom.book.site"],
    "nb_execution_mode": "off",
    "nb_merge_streams": True,
    "myst_enable_extensions": ["dollarmath", "amsmath"],
    "myst_heading_anchors": 3,
    "html_math_renderer": "mathml",
    "html_static_path": [str(HERE / name) for name in ("book.css", "host.js")],
    "html_css_files": ["book.css"],
    "html_copy_source": False,
    "html_show_sphinx": False,
    "html_show_search_summary": False,  # it would be fetched, which a page read from disk may not
    "suppress_warnings": ["myst.xref_missing", "myst.header", "misc.highlighting_failure"],
}


def build(chapters: dict[str, NotebookNode], live: dict[str, Path], readme: Path, folder: Path) -> None:
    """Write the site into `folder`: pages by name, where each was recorded, and a front page."""
    source = folder / ".source"
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    for name, nb in chapters.items():
        for cell in nb.cells:
            if "hide-input" in cell.metadata.get("tags", []):
                cell.metadata.setdefault("mystnb", {})["code_prompt_show"] = "Show the set-up"
        nbformat.write(nb, source / f"{name}.ipynb")
    names = "\n".join(chapters)
    toctree = f"## Chapters\n\n```{{toctree}}\n:maxdepth: 1\n\n{names}\n```\n"
    (source / "index.md").write_text(f"{front_page(readme, source)}\n\n{toctree}", "utf-8")
    settings = SETTINGS | {"course_live": {name: kinds(at) for name, at in live.items()}}
    Sphinx(source, None, folder, folder / ".doctrees", "html", settings, status=None).build()
    for name, recorded in live.items():
        write_scripts(recorded, folder / "_static" / "live", name)
    for work in (source, folder / ".doctrees"):
        shutil.rmtree(work)


def front_page(readme: Path, source: Path) -> str:
    """What the README says before it comes to needs and set-up; its pictures are copied."""
    text = readme.read_text("utf-8").partition("\n## What you need")[0]
    for picture in re.findall(r"!\[[^]]*\]\((?!https?:)([^)\s]+)[^)]*\)", text):
        (source / picture).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(readme.parent / picture, source / picture)
    return text


def kinds(recorded: Path) -> list[str]:
    """The kinds of widgets that were recorded, by the names of their scripts."""
    return sorted(path.stem for path in recorded.glob("*.js"))


def write_scripts(recorded: Path, folder: Path, name: str) -> None:
    """The scripts of a page: its kinds of widgets, which pages share, and its own records."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind in recorded.glob("*.js"):
        shutil.copy(kind, folder)
    records = (recorded / "recorded.json").read_text("utf-8")
    (folder / f"{name}.js").write_text(f"courseBook.records = {records};\n", "utf-8")


# ---- as an extension of Sphinx ---------------------------------------------------------------------------


def setup(app: Sphinx) -> dict:
    """What Sphinx calls of an extension."""
    app.add_config_value("course_live", {}, "html")
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    app.connect("html-page-context", add_scripts)
    return {"parallel_read_safe": True}


def inline(writer, node: nodes.math) -> None:
    writer.body.append(convert(node.astext()))
    raise nodes.SkipNode


def block(writer, node: nodes.math_block) -> None:
    writer.body.append(convert(node.astext(), display="block"))
    raise nodes.SkipNode


def add_scripts(app: Sphinx, name: str, _template, _context, _doctree) -> None:
    """The scripts of a page whose widgets live; no modules, which a page read from disk may not load."""
    if name not in app.config.course_live:
        return
    app.add_js_file("host.js")
    for script in [*app.config.course_live[name], name]:
        app.add_js_file(f"live/{script}.js")
