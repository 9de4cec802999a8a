"""The site of the chapters: Sphinx with MyST-NB, formulas as MathML, and nothing fetched from anywhere."""

import json
import re
import shutil
from html import escape
from importlib import import_module
from pathlib import Path

import nbformat
from docutils import nodes
from latex2mathml.converter import convert
from nbformat import NotebookNode
from sphinx.application import Sphinx

from course_utils.widgets.base import Widget

HERE = Path(__file__).parent
TITLE = "The LLM Workbook"
NOTE = (
    "<p class='course-note'>This page needs no Python: its widgets answer here, or say that they can’t. Its "
    "exercises you solve <a href='index.html#on-your-own-computer'>on your own computer</a>, free of charge "
    "and without an account.</p>"
)
FOLDS = {"source": "Code", "output": "What came true"}  # what MyST-NB folds, and how its line reads
OPEN = "Open in JupyterLab, Colab or VS Code"
SETTINGS = {
    "project": TITLE,
    "html_title": TITLE,
    "html_theme": "furo",
    "extensions": ["myst_nb", "course_utils.classroom.book.site"],
    "nb_execution_mode": "off",
    "nb_merge_streams": True,
    "nb_code_prompt_show": "{type}",
    "nb_code_prompt_hide": "{type}",
    "myst_enable_extensions": ["dollarmath", "amsmath"],
    "myst_heading_anchors": 3,
    "html_math_renderer": "mathml",
    "html_static_path": [str(HERE / name) for name in ("book.css", "host.js")],
    "html_css_files": ["book.css"],
    "html_copy_source": False,
    "html_show_sphinx": False,
    "html_show_copyright": False,  # the front page names the licences
    "html_show_search_summary": False,  # it would be fetched, which a page read from disk may not
    "suppress_warnings": ["myst.xref_missing", "myst.header", "misc.highlighting_failure"],
}


def build(
    chapters: dict[str, NotebookNode],
    recorded: dict[str, list[dict]],
    readme: Path,
    folder: Path,
    repository: str | None = None,
) -> None:
    """Write the site into `folder`: pages by name, what was recorded of their widgets, and a front page."""
    source = folder / ".source"
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    for name, nb in chapters.items():
        nbformat.write(nb, source / f"{name}.ipynb")
    names = "\n".join(chapters)
    toctree = f"## Chapters\n\n```{{toctree}}\n:maxdepth: 1\n\n{names}\n```\n"
    title, what_it_is, more = front_page(readme, source).split("\n\n", maxsplit=2)
    here = (
        f"**Here you read it, its widgets alive and nothing to install: [begin]({next(iter(chapters))}). "
        "To write and run code, [get it on your own computer](#on-your-own-computer), free of charge.**"
    )
    own = on_your_own_computer(section_of(readme, "What you need"), repository or "")
    (source / "index.md").write_text("\n\n".join([title, what_it_is, here, more, own, toctree]), "utf-8")
    living = {name: [one for one in records if "traits" in one] for name, records in recorded.items()}
    kinds = {name: sorted({(one["kind"], one["module"]) for one in some}) for name, some in living.items()}
    settings = SETTINGS | {
        "course_live": {name: [kind for kind, _ in some] for name, some in kinds.items()},
        "course_repository": repository or "",
    }
    Sphinx(source, None, folder, folder / ".doctrees", "html", settings, status=None).build()
    live = folder / "_static" / "live"
    live.mkdir(parents=True, exist_ok=True)
    for kind, module in {pair for some in kinds.values() for pair in some}:
        (live / f"{kind}.js").write_text(script_of(kind, module), "utf-8")
    for name, records in recorded.items():
        (live / f"{name}.js").write_text(f"courseBook.records = {json.dumps(records)};\n", "utf-8")
    for work in (source, folder / ".doctrees"):
        shutil.rmtree(work)


def front_page(readme: Path, source: Path) -> str:
    """What the README says of the course, without how it is started; its pictures are copied."""
    text = readme.read_text("utf-8").partition("\n## What you need")[0]
    text = re.sub(r"\n## (Start|Chapters)\n.*?(?=\n## )", "", text, flags=re.DOTALL)
    for picture in re.findall(r"!\[[^]]*\]\((?!https?:)([^)\s]+)[^)]*\)", text):
        (source / picture).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(readme.parent / picture, source / picture)
    return text


def section_of(readme: Path, heading: str) -> str:
    """What stands below a heading of the README."""
    return readme.read_text("utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0].strip()


def on_your_own_computer(needs: str, repository: str) -> str:
    """How a reader gets the course, in Markdown. needs: what for, as a list."""
    where = "the folder that this book was made from: ask whoever gave you the book, or the project"
    if repository:
        at = f"https://github.com/{repository}"
        where = f"the folder of [the course at GitHub]({at}): Code, Download ZIP, and unpack it"
    return f"""## On your own computer

The course is free and open source (code: Apache License 2.0; text and pictures: CC BY 4.0). There is no
account, and nothing that you do is uploaded.

1. Get {where}.
2. In that folder run `python3 course.py lab`; on Windows, `py course.py lab`. The first start says what it
   fetches, and fetches it.
3. JupyterLab opens in your browser. Choose a chapter.

What you need:

{needs}"""


def script_of(kind: str, module: str) -> str:
    """A kind of widget as a script: no module, which a page read from disk may not load."""
    classes = [one for one in vars(import_module(module)).values() if isinstance(one, type)]
    widget = next(one for one in classes if issubclass(one, Widget) and one._widget == kind)
    code, export, _ = widget._esm.rpartition("export default { render }")
    if not export:
        raise ValueError(f"{kind}.js must end in `export default {{ render }};`")
    return (
        f"courseBook.kinds[{json.dumps(kind)}] = () => {{\n{code}\nreturn {{ render }};\n}};\n"
        f"courseBook.styles[{json.dumps(kind)}] = {json.dumps(widget._css)};\n"
    )


# ---- as an extension of Sphinx ---------------------------------------------------------------------------


def setup(app: Sphinx) -> dict:
    """What Sphinx calls of an extension."""
    app.add_config_value("course_live", {}, "html")
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    app.add_config_value("course_repository", "", "html")
    app.connect("html-page-context", complete)
    return {"parallel_read_safe": True}


def inline(writer, node: nodes.math) -> None:
    writer.body.append(convert(node.astext()))
    raise nodes.SkipNode


def block(writer, node: nodes.math_block) -> None:
    writer.body.append(convert(node.astext(), display="block"))
    raise nodes.SkipNode


def complete(app: Sphinx, name: str, _template, context: dict, _doctree) -> None:
    """What a chapter's page has beside its text: where it runs, and the scripts of its widgets."""
    if name not in app.config.course_live:
        return
    promise, end, text = context["body"].partition("</p>")
    text = text.replace(' aria-label="Toggle hidden content"', "")  # the fold says more itself
    for folded, line in FOLDS.items():
        text = text.replace(f'admonition-title">{folded}<', f'admonition-title">{line}<')
    context["body"] = promise + end + openers(name, app.config.course_repository) + text
    app.add_js_file("host.js")
    for script in [*app.config.course_live[name], name]:
        app.add_js_file(f"live/{script}.js")


def openers(name: str, repository: str) -> str:
    """How to open a chapter where Python runs. A link is followed only when it is pressed."""
    file, at = f"<code>{name}.ipynb</code>", f"github.com/{escape(repository)}"
    folder = "<a href='index.html#on-your-own-computer'>the course’s folder</a>"
    lab = f"in {folder}, run <code>python3 course.py lab</code>, and open {file}."
    copy = f'upload <a href="{name}.ipynb" download>{file}</a>'
    colab = (
        f"{copy}; before its first cell install the course, by the cell “In Google Colab” in "
        f"<code>docs/elsewhere.md</code> of {folder}."
    )
    code = f"open {folder} in its container, which it offers, and {file} in <code>my_work</code>."
    if repository:
        lab = f"<code>git clone https://{at}</code>; then, {lab}"
        solved = f"colab.research.google.com/github/{escape(repository)}/blob/main/notebooks/{name}.ipynb"
        colab = (
            f'{copy}, or <a href="https://{solved}">open it with its exercises solved</a>; before its first '
            f'cell run <a href="https://{at}/blob/main/docs/elsewhere.md#in-google-colab">the cell for '
            "Colab</a>, which installs the course and lets its widgets be drawn."
        )
        code = f'<a href="vscode://vscode.git/clone?url=https://{at}.git">clone the course</a>; then {code}'
    items = "".join(
        f"<li><strong>{where}</strong>: {how}</li>"
        for where, how in {"JupyterLab": lab, "Colab": colab, "VS Code": code}.items()
    )
    return f"{NOTE}<details class='course course-open'><summary>{OPEN}</summary><ul>{items}</ul></details>"
