"""Which cell a name comes from, where the core path is done first and what is off it later.

Not followed is what a function reads when another cell calls it later.
"""

import ast
import re

OFF = re.compile(
    r"^##+ (\d+ · )?Deeper|[Oo]ff the core path|Not on the core path|core path ends here", re.MULTILINE
)


def code_cells(nb):
    """(number, source, whether it is on the core path) of each code cell.

    Off the path is what follows a cell of text that says so or is headed Deeper, up to the next section that
    is tagged "core", but for the exercises of the path.
    """
    number, is_off = -1, False
    for cell in nb.cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "code":
            number += 1
            yield number, cell.source, not is_off or "core" in tags
        elif cell.cell_type == "markdown" and "core" in tags:
            is_off = False
        elif OFF.search(cell.source):
            is_off = True


class Names(ast.NodeVisitor):
    """The names that a cell takes from others, and those that it sets."""

    def __init__(self, source):
        self.read, self.late, self.set, self.inner = set(), set(), {}, []
        self.visit(ast.parse(source))
        self.read |= self.late - self.set.keys()  # a function is called once its cell has been run

    def visit_Name(self, node):
        if isinstance(node.ctx, ast.Store):
            if not self.inner:
                self.set[node.id] = ""
        elif not any(node.id in names for names, _ in self.inner):
            if any(is_late for _, is_late in self.inner):
                self.late.add(node.id)
            elif node.id not in self.set:
                self.read.add(node.id)

    def within(self, node, names, is_late):
        self.inner.append((names, is_late))
        self.generic_visit(node)
        self.inner.pop()

    def visit_FunctionDef(self, node):
        if not self.inner:
            self.set[node.name] = ""
        arguments = {one.arg for one in ast.walk(node) if isinstance(one, ast.arg)}
        self.within(node, arguments | stored(node), is_late=True)

    visit_ClassDef = visit_FunctionDef

    def visit_Lambda(self, node):
        self.within(node, {one.arg for one in ast.walk(node.args) if isinstance(one, ast.arg)}, is_late=True)

    def visit_comprehension_of(self, node):
        self.within(node, stored(node), is_late=False)

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_comprehension_of

    def visit_ExceptHandler(self, node):
        if node.name and not self.inner:
            self.set[node.name] = ""
        self.generic_visit(node)

    def visit_Assign(self, node):
        self.visit(node.value)
        for target in node.targets:
            self.visit(target)

    def visit_For(self, node):
        for part in (node.iter, node.target, *node.body, *node.orelse):
            self.visit(part)

    def visit_Import(self, node):
        for name in node.names:  # the same import in two cells is the same thing
            self.set[(name.asname or name.name).split(".")[0]] = f"{getattr(node, 'module', '')} {name.name}"

    visit_ImportFrom = visit_Import


def stored(node):
    """The names that are set anywhere in a function or a comprehension."""
    inside = [one for one in ast.walk(node) if one is not node]
    functions = {one.name for one in inside if isinstance(one, ast.FunctionDef)}
    return functions | {
        one.id for one in inside if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)
    }


def origins(cells):
    """{(cell, name it takes): where from}: the cell that set it last, or what is imported under it."""
    last, found = {}, {}
    for number, names in cells:
        found |= {(number, name): last[name] for name in names.read if name in last}
        last |= {name: imported or number for name, imported in names.set.items()}
    return found


def taken_from_elsewhere(nb):
    """What would be another thing, or be missing, had the core path been done first: a line each."""
    cells = [(number, Names(source), is_core) for number, source, is_core in code_cells(nb)]
    in_order = origins([(number, names) for number, names, _ in cells])
    core_first = origins(
        [(n, names) for core in (True, False) for n, names, is_core in cells if is_core is core]
    )
    return [
        f"cell {number}: {name} of cell {cell} is that of {core_first.get((number, name))}"
        for (number, name), cell in in_order.items()
        if core_first.get((number, name)) != cell
    ]
