"""The reference of the command line, made from the commands themselves."""

import typer
import typer.cli

MARK = "<!-- commands -->"


def inserted(markdown: str) -> str:
    """`markdown` with every command and its options at the mark, if it has one."""
    return markdown.replace(MARK, _reference()) if MARK in markdown else markdown


def _reference() -> str:
    from hopfax.apps.cli.app import app  # only now: most pages do not need it

    command = typer.main.get_command(app)
    text = typer.cli.get_docs_for_click(
        obj=command, ctx=typer.Context(command, info_name="hopfax"), name="hopfax"
    )
    return indent_paragraphs("## " + text.partition("## ")[2].replace("```console", "```sh"))


def indent_paragraphs(text: str) -> str:
    """Indent all paragraphs of the help of an option, so that they belong to its item of the list."""
    lines, in_list = [], False
    for line in text.splitlines():
        in_list = line.startswith("* ") or (in_list and not line.startswith(("#", "**", "```")))
        lines.append(f"    {line}" if in_list and line and not line.startswith("* ") else line)
    return "\n".join(lines) + "\n"
