"""The documentation site: API pages for everything public, and the parts of its build that are ours."""

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "hopfax"
PACKAGES = [
    *("", "data", "diagnostics", "figures", "gradients", "interop", "interop/sklearn", "lagrangians"),
    *(
        "memory",
        "memory/phase",
        "networks",
        "networks/synapses",
        "parallel",
        "solvers",
        "training",
        "updates",
        "vae",
    ),
]
# Functions that have the name of their module.
LIKE_MODULES = {"relax", "objective", "newton", "digits", "mnist"}
MODULES = ["costs", "papers", "method", "memory/similarities", "memory/binary"]


@pytest.fixture
def docsite(monkeypatch):
    """Where the parts of the site's build are, without the libraries that some of them need."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    yield
    for name in [name for name in sys.modules if name.startswith("docsite")]:
        del sys.modules[name]


def documented() -> set[str]:
    """The last parts of the names that API pages show."""
    pages = [path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "api").glob("*.md")]
    return {
        name.split(".")[-1] for page in pages for name in re.findall(r"^::: ([\w.]+)$", page, re.MULTILINE)
    }


def exported(package: str) -> set[str]:
    """Classes and functions that a package offers by `import X as X`."""
    tree = ast.parse((SOURCE / package / "__init__.py").read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    own = [node for node in imports if node.level or str(node.module).startswith("hopfax")]
    names = {alias.asname for node in own for alias in node.names}
    modules = {path.stem for path in (SOURCE / package).iterdir()}
    return {
        name for name in names if name and not name.startswith("_") and name not in modules - LIKE_MODULES
    }


def test_everything_exported_has_its_place_in_the_api_pages():
    shown = documented()
    missing = {package: {n for n in exported(package) if not n.isupper()} - shown for package in PACKAGES}
    assert {package: names for package, names in missing.items() if names} == {}


def test_everything_public_in_a_module_has_its_place_in_the_api_pages():
    shown, missing = documented(), {}
    for module in MODULES:
        tree = ast.parse((SOURCE / f"{module}.py").read_text(encoding="utf-8"))
        kinds = (ast.ClassDef, ast.FunctionDef)
        public = {
            node.name for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")
        }
        missing[module] = public - {"check_signs"} - shown  # shared among modules, of no use to others
    assert {module: names for module, names in missing.items() if names} == {}


def test_every_page_from_outside_docs_has_its_place_in_the_navigation(docsite):
    from docsite import outside

    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {outside.site_path(path) for path in outside.shown(ROOT) if path.endswith(".md")}
    assert {page for page in pages if f": {page}\n" not in navigation} == set()


def test_links_that_leave_docs_stay_in_the_site(docsite):
    from docsite import outside

    relinked = lambda text, origin: outside.relinked(text, origin, ROOT)
    assert relinked("[a](../experiments/deep)", "docs/choosing.md") == "[a](experiments/deep/README.md)"
    assert (
        relinked("[a](../../experiments/deep)", "docs/courses/x.md") == "[a](../experiments/deep/README.md)"
    )
    assert relinked("[a](../../docs/limits.md#b)", "experiments/deep/README.md") == "[a](../../limits.md#b)"
    assert relinked("[a](../src/hopfax/ham.py)", "docs/index.md") == "a"
    assert relinked("[a](https://b.c) and `x[a](y)`", "docs/index.md") == "[a](https://b.c) and `x[a](y)`"


def test_tables_come_from_where_they_are_stored(docsite):
    from docsite import tables

    table = tables.inserted("<!-- table: benchmarks/results/recall.json -->", "docs/performance.md", ROOT)
    assert re.search(r"^\| PyTorch \| [\d.]+ \| [\d.]+ to [\d.]+ \|$", table, re.MULTILINE)
    table = tables.inserted('<!-- table: experiments/deep/README.md "run" -->', "docs/results.md", ROOT)
    assert table.startswith("| run |")


def test_a_table_of_a_page_is_named_and_not_the_first_one_that_stands_there(docsite, tmp_path):
    from docsite import tables

    files, numbers = (
        "| file | what |\n| --- | --- |\n| a | b |\n",
        "| row | loss |\n| --- | --- |\n| a | 1 |\n",
    )
    (tmp_path / "page.md").write_text(f"{files}\ntext\n\n{numbers}", encoding="utf-8")
    inserted = lambda mark: tables.inserted(f"<!-- table: page.md{mark} -->", "docs/results.md", tmp_path)
    assert inserted(' "row"') == numbers
    with pytest.raises(ValueError, match='no table whose first heading is "loss"'):
        inserted(' "loss"')
    with pytest.raises(ValueError, match="must name its table"):
        inserted("")


def test_models_and_sizes_in_tables_are_one_word(docsite):
    from docsite.names import unbroken

    one = lambda name: f'<span class="name">{name}</span>'
    cell = '<td><a href="7-HAM-EO.html">7-HAM-EO-DEQ</a>, 784-512-10, a well-known -97.2</td>'
    marked = (
        f'<td><a href="7-HAM-EO.html">{one("7-HAM-EO-DEQ")}</a>, {one("784-512-10")}, a well-known -97.2</td>'
    )
    assert unbroken(f"<p>HAM-EO</p>{cell}") == f"<p>HAM-EO</p>{marked}"
    assert unbroken("<thead><th>HAM</th></thead>") == f"<thead><th>{one('HAM')}</th></thead>"


def test_every_table_that_a_page_asks_for_is_there(docsite):
    from docsite import tables

    for path in (ROOT / "docs").rglob("*.md"):
        origin = path.relative_to(ROOT).as_posix()
        assert "<!-- table" not in tables.inserted(path.read_text(encoding="utf-8"), origin, ROOT)


def test_the_page_of_commands_has_all_of_them_in_the_order_of_the_help(docsite):
    from docsite import commands

    from hopfax.apps.cli.app import PANELS

    page = commands.inserted("above\n<!-- commands -->\n")
    assert page.startswith("above\n## `hopfax demo`")
    headings = re.findall(r"^## `hopfax (\w+)`$", page, re.MULTILINE)
    assert headings == [name for names in PANELS.values() for name in names]
    assert re.search(r"^\* `--recipe NAME`: goemaere2023: .*\n\n    goemaere2024: ", page, re.MULTILINE)
    assert commands.inserted("no mark") == "no mark"


def test_docstrings_become_markdown(docsite):
    pytest.importorskip("griffe")
    from docsite.docstrings import as_markdown

    one_line = as_markdown("Formula.\nArgs: `x` a number.\nRaises: `ValueError`.")
    assert one_line == "Formula.\n\n**Args:** `x` a number.\n\n**Raises:** `ValueError`."
    entries = as_markdown(
        "Formula.\n\nArgs:\n    x: a number\n        or two.\n    y, z: others.\nSource: [a]."
    )
    assert "- `x`: a number\n      or two.\n- `y, z`: others." in entries
    assert entries.endswith("**Source:** [a].")


def test_citations_are_linked_outside_code_and_refused_where_unknown(docsite):
    pytest.importorskip("pybtex")
    from docsite import citations

    known = citations.labels(ROOT / "docs" / "references.bib")
    linked = citations.linked("<p>[krotov2021] <code>[krotov2021]</code></p>", known, "b/")
    assert linked.count("<a ") == 1
    assert 'href="b/#krotov2021">[Krotov 2021]</a>' in linked
    with pytest.raises(ValueError, match="nobody1900"):
        citations.linked("[nobody1900]", known, "b/")


def test_formulas_are_drawn(docsite):
    pytest.importorskip("latex2mathml")
    from docsite import formulas

    assert "<msup>" in formulas.drawn(r'<span class="arithmatex">\(x^2\)</span>')
