"""The order of imports that docs/architecture.md states: nothing upward, no circle, figures and programs on top."""

import ast
import inspect
import re
from pathlib import Path

import hopfax

PACKAGE = Path(inspect.getfile(hopfax)).parent
PAGE = (Path(__file__).parents[1] / "docs" / "architecture.md").read_text(encoding="utf-8")
ORDER = re.search(r"<!-- order -->\n```text\n(.*?)```", PAGE, re.DOTALL)[1].split()
MODULES = {".".join(p.relative_to(PACKAGE).with_suffix("").parts): p for p in PACKAGE.rglob("*.py")}
SOURCES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}
PROGRAMS = ("__init__", "__main__")  # the face of the package, and `python -m hopfax`


def imported(name: str) -> set[str]:
    """The modules of hopfax that a module imports, inside functions too."""
    package = name.split(".")[:-1]
    imported = set()
    for node in ast.walk(SOURCES[name]):
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").startswith("hopfax")):
            base = package[: len(package) - node.level + 1] if node.level else []
            path = [*base, *(node.module or "").removeprefix("hopfax").strip(".").split(".")]
            here = ".".join(filter(None, path))
            for alias in node.names:
                inner = f"{here}.{alias.name}".strip(".")
                imported.add(inner if inner in MODULES or f"{inner}.__init__" in MODULES else here)
    imported.discard("")  # names of the package itself, such as its version
    return {f"{module}.__init__" if f"{module}.__init__" in MODULES else module for module in imported}


def test_every_module_has_a_place_in_the_order():
    assert {name.split(".")[0] for name in MODULES} - set(PROGRAMS) == set(ORDER)


def test_nothing_is_imported_upward():
    floor = {room: place for place, room in enumerate(ORDER)}
    upward = [
        f"{name} imports {other}"
        for name in MODULES
        if name not in PROGRAMS
        for other in imported(name)
        if floor[other.split(".")[0]] > floor[name.split(".")[0]]
    ]
    assert upward == []


def test_no_modules_import_each_other_in_a_circle():
    edges = {name: {other for other in imported(name) if not other.endswith("__init__")} for name in MODULES}
    remaining = dict(edges)
    while free := [name for name, others in remaining.items() if not others & remaining.keys()]:
        remaining = {name: others for name, others in remaining.items() if name not in free}
    assert remaining == {}


def test_only_figures_and_programs_import_matplotlib():
    def imports_matplotlib(tree):
        names = [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and not n.level]
        names += [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
        return any(name.split(".")[0] == "matplotlib" for name in names)

    drawing = {name.split(".")[0] for name, tree in SOURCES.items() if imports_matplotlib(tree)}
    assert drawing <= {"figures", "apps"}


def test_no_public_class_has_the_name_of_another():
    homes = {}
    for name, tree in SOURCES.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(name)
    assert {name: where for name, where in homes.items() if len(where) > 1} == {}


def test_no_function_has_more_than_eight_arguments():
    """Commands and estimators are not counted: their arguments are options, flat as scikit-learn asks."""
    long = [
        f"{name}: {node.name}"
        for name, tree in SOURCES.items()
        if not name.startswith(("apps.cli", "interop.sklearn"))
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and len(arguments(node)) > 8
    ]
    assert long == []


def arguments(node: ast.FunctionDef) -> list[str]:
    names = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    return [name for name in names if name not in ("self", "cls")]
