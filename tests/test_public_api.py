"""The package as a whole: names, docstrings, citations, and no pickles."""

import ast
import importlib.util
import inspect
import re
import subprocess
import sys
import textwrap
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
    "hopfax.apps.play.graphics": "anywidget",
    "hopfax.apps.play.page": "marimo",
}


def public(module: ModuleType) -> dict:
    """The public classes and functions that a module defines, or a package exports."""
    home = module.__name__.split(".")[0] if hasattr(module, "__path__") else module.__name__
    ours = lambda value: (value.__module__ + ".").startswith(home + ".")
    kind = lambda value: inspect.isclass(value) or inspect.isfunction(value)
    return {n: v for n, v in vars(module).items() if not n.startswith("_") and kind(v) and ours(v)}


def documented(value) -> bool:
    """Whether a docstring was written. A dataclass without one gets its signature."""
    return bool((value.__doc__ or "").strip()) and not value.__doc__.startswith(f"{value.__name__}(")


def imports(path: Path) -> set[str]:
    """The top-level packages that a file imports, inside functions too."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    others = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return {name.split(".")[0] for name in plain | others}


def test_every_module_imports_and_everything_public_in_it_has_a_docstring():
    undocumented = []
    for name in NAMESPACES:
        if name in OPTIONAL and importlib.util.find_spec(OPTIONAL[name]) is None:
            continue
        module = importlib.import_module(name)
        undocumented += [] if module.__doc__ else [name]
        undocumented += [f"{name}.{n}" for n, value in public(module).items() if not documented(value)]
    assert undocumented == []


def test_no_import_touches_a_device():
    """A process can only join others before its first array. A default value that is one would be too early."""
    program = """
        import importlib, sys
        from jax._src import xla_bridge
        for name in sys.argv[1:]:
            importlib.import_module(name)
            assert not xla_bridge.backends_are_initialized(), name
    """
    names = [name for name in NAMESPACES if name not in OPTIONAL]
    command = [sys.executable, "-c", textwrap.dedent(program), *names]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_root_has_about_twenty_five_names_and_they_are_there():
    names = [name for name in hopfax.__all__ if not isinstance(getattr(hopfax, name), ModuleType)]
    assert len(names) <= 25
    assert {"relax", "objective", "Method", "HAM", "chain", "Memory"} <= {*names}


def test_a_name_that_does_not_exist_is_refused_with_the_names_of_the_packages():
    with pytest.raises(AttributeError, match=r"no attribute 'optim'; its packages are costs, data, .* optax"):
        hopfax.optim  # noqa: B018


def test_what_the_api_pages_name_is_there_after_import_hopfax():
    """In a process of its own, where no other test has imported anything."""
    shown = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "api").glob("*.md"))
    names = sorted({"hopfax.interop.sklearn", *re.findall(r"^::: (hopfax\.[\w.]+)$", shown, re.MULTILINE)})
    elsewhere = ("torch", "relax.relax", "objective.", "digits.digits", "mnist.mnist")
    asked = [name for name in names if not any(part in name for part in elsewhere)]
    done = subprocess.run(
        [sys.executable, "-c", "import hopfax\n" + "\n".join(asked)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_every_source_cited_is_in_the_references():
    known = set(re.findall(r"@\w+\{(\w+),", REFERENCES.read_text(encoding="utf-8")))
    unknown = {}
    for name, path in (FILES | PAGES).items():
        cited = set(re.findall(r"\[@?([a-z]+[0-9]{4}[a-z]?)\]", path.read_text(encoding="utf-8")))
        unknown |= {name: cited - known} if cited - known else {}
    assert unknown == {}


def test_nothing_is_pickled():
    """Loading a pickle runs whatever its author put into it."""
    unsafe = {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    uses = {name: imports(path) & unsafe for name, path in FILES.items()}
    # joblib starts processes there, and sends them functions and settings; it is given no file.
    assert {name: used for name, used in uses.items() if used} == {"parallel/launchers.py": {"joblib"}}
    assert [n for n, path in FILES.items() if "allow_pickle=True" in path.read_text(encoding="utf-8")] == []
