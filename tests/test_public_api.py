"""What the package promises as a whole: names, docstrings, sources, and what importing it drags in."""

import ast
import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

import hopfax

PACKAGE = Path(inspect.getfile(hopfax)).parent
ROOT = Path(__file__).parents[1]  # the package may be installed elsewhere
REFERENCES = ROOT / "docs" / "references.bib"
FILES = {str(path.relative_to(PACKAGE)): path for path in sorted(PACKAGE.rglob("*.py"))}
PAGES = {
    str(path.relative_to(ROOT)): path
    for path in sorted(
        [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("experiments/**/*.md")]
    )
}
NAMESPACES = sorted(
    ".".join(("hopfax", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
    for path in FILES.values()
    if path.name != "__main__.py"
    and not re.search(r"/_(?!_init__)|/cli/", str(path.relative_to(PACKAGE.parent)))
)
# What a module needs that hopfax does not install.
OPTIONAL = {
    "hopfax.interop.torch": "torch",
    "hopfax.apps.play.charts": "altair",
    "hopfax.apps.play.page": "marimo",
    "hopfax.apps.play.widgets": "anywidget",
}


def offered(module: ModuleType) -> dict:
    """The public classes and functions that a module defines, or a package exports."""
    home = module.__name__.split(".")[0] if hasattr(module, "__path__") else module.__name__
    ours = lambda value: (value.__module__ + ".").startswith(home + ".")
    kind = lambda value: inspect.isclass(value) or inspect.isfunction(value)
    return {n: v for n, v in vars(module).items() if not n.startswith("_") and kind(v) and ours(v)}


def says(value) -> bool:
    """Whether there is a docstring, and not the signature that a dataclass without one is given."""
    return bool((value.__doc__ or "").strip()) and not value.__doc__.startswith(f"{value.__name__}(")


def imports(path: Path, everywhere: bool) -> set[str]:
    """The top-level packages that a file imports, inside functions too or not."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree)) if everywhere else tree.body
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    others = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return {name.split(".")[0] for name in plain | others}


@pytest.mark.parametrize("name", NAMESPACES)
def test_every_module_imports_and_everything_public_in_it_says_what_it_is(name):
    pytest.importorskip(OPTIONAL.get(name, "hopfax"))
    module = importlib.import_module(name)
    silent = [n for n, value in offered(module).items() if not says(value)]
    assert module.__doc__
    assert not silent


@pytest.mark.parametrize(
    "name",
    [
        "classical",
        "costs",
        "data",
        "gradients",
        "lagrangians",
        "separations",
        "similarities",
        "solvers",
        "synapses",
        "updates",
        "relax",
        "objective",
        "chain",
        "HAM",
        "Memory",
        "WarmStarts",
    ],
)
def test_what_the_documentation_uses_is_there_after_importing_the_package(name):
    assert hasattr(hopfax, name)


@pytest.mark.parametrize("name", [*FILES, *PAGES])
def test_every_source_cited_is_in_the_references(name):
    known = set(re.findall(r"@\w+\{(\w+),", REFERENCES.read_text(encoding="utf-8")))
    cited = set(
        re.findall(r"\[@?([a-z]+[0-9]{4}[a-z]?)\]", (FILES | PAGES)[name].read_text(encoding="utf-8"))
    )
    assert cited <= known


def test_nothing_is_pickled():
    """Loading a pickle runs whatever its author put into it."""
    unsafe = {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    found = {name: imports(path, True) & unsafe for name, path in FILES.items()}
    # joblib starts processes there, and sends them functions and settings; it is given no file.
    assert {name: each for name, each in found.items() if each} == {"launchers.py": {"joblib"}}
    assert [
        name for name, path in FILES.items() if "allow_pickle=True" in path.read_text(encoding="utf-8")
    ] == []


def test_only_modules_of_figures_import_matplotlib_on_import():
    drawing = {name for name, path in FILES.items() if "matplotlib" in imports(path, False)}
    assert drawing
    assert all(name.endswith("plots.py") for name in drawing)
