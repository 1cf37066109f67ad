"""What `mkdocs build` calls: pages from outside docs/, tables from stored results, commands, formulas, citations."""

from pathlib import Path

from docsite import citations, commands, formulas, names, outside, tables
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ROOT = Path(__file__).parent.parent
REFERENCES = ROOT / "docs" / "references.bib"
BIBLIOGRAPHY = "bibliography.md"


def on_files(files, config):
    """Show the pages of the experiments, their figures and results, and the files about taking part."""
    for path in outside.shown(ROOT):
        files.append(File.generated(config, outside.site_path(path), abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Insert tables and references, and make links that leave docs/ stay in the site."""
    origin = outside.repository_path(page.file.src_uri)
    try:
        markdown = commands.inserted(tables.inserted(markdown, origin, ROOT))
    except (ValueError, OSError) as error:
        raise PluginError(f"{page.file.src_uri}: {error}") from error
    if page.file.src_uri == BIBLIOGRAPHY:
        markdown += citations.listed(REFERENCES)
    return outside.relinked(markdown, origin, ROOT)


def on_page_content(html, page, config, files):
    """Formulas as MathML, citations as links into the bibliography, names in tables as one word."""
    to = files.get_file_from_path(BIBLIOGRAPHY).url_relative_to(page.file)
    try:
        return names.unbroken(citations.linked(formulas.drawn(html), citations.labels(REFERENCES), to))
    except ValueError as error:
        raise PluginError(f"{page.file.src_uri}: {error}") from error
