"""The reference of the command line, made from the commands."""

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
    return "## " + text.partition("## ")[2].replace("```console", "```sh")
