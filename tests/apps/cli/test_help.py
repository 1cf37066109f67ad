"""The help of every command and its example, completion, and colours."""

import re
import shlex
import sys

import pytest
import typer.main

import hopfax.data
from hopfax.apps.cli import run
from hopfax.apps.cli.app import PANELS, app

COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-7]")


def commands(group, path=()):
    """All commands that are not groups, with their words."""
    for name, command in group.commands.items():
        words = (*path, name)
        if hasattr(command, "commands"):
            yield from commands(command, words)
        else:
            yield words, command


COMMANDS = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("words", list(COMMANDS), ids=" ".join)
def test_help_shows_an_example_that_the_command_understands(words, capsys):
    assert run([*words, "--help"]) == 0
    shown = " ".join(re.sub(r"[│╭╮╰╯─]", " ", capsys.readouterr().out).split())
    example = re.search(r"Example: (hopfax .*)", COMMANDS[words].help).group(1)
    assert f"Example: {example}" in shown
    first, *arguments = shlex.split(example)
    assert (first, *arguments[: len(words)]) == ("hopfax", *words)
    COMMANDS[words].make_context("hopfax", arguments[len(words) :])  # raises if it cannot be parsed


def test_help_lists_the_exit_codes(capsys):
    assert run(["--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for code in ("0 done", "1 a run failed", "2 the arguments", "130 interrupted"):
        assert code in shown


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["data", "list"]])
def test_there_are_no_escape_codes_if_the_output_is_not_a_terminal(arguments, capsys, monkeypatch):
    for name in ("FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    assert run(arguments) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_colours_on_a_terminal_unless_no_color_is_set(capsys, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert run(["train", "--help"]) == 0
    assert COLOUR.search(capsys.readouterr().out)
    monkeypatch.setenv("NO_COLOR", "1")
    for arguments in (["train", "--help"], ["data", "list"]):
        assert run(arguments) == 0
        assert not COLOUR.search(capsys.readouterr().out)


def test_completion_names_the_commands(capsys, monkeypatch):
    monkeypatch.setenv("_HOPFAX_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "hopfax ev")
    monkeypatch.setenv("COMP_CWORD", "1")
    with pytest.raises(SystemExit) as ended:
        run([])
    assert ended.value.code == 0
    assert capsys.readouterr().out.split() == ["evaluate"]


@pytest.mark.parametrize("words", ["train --data", "vae train --data", "evaluate DIR --data", "data fetch"])
def test_completion_names_the_data_sets(words, capsys, monkeypatch):
    monkeypatch.setenv("_HOPFAX_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"hopfax {words} ")
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) + 1))
    with pytest.raises(SystemExit):
        run([])
    assert capsys.readouterr().out.split() == [row.name for row in hopfax.data.available()]


def test_completion_can_be_installed(capsys):
    assert run(["--help"]) == 0
    assert "--install-completion" in capsys.readouterr().out


def test_every_command_is_in_a_panel_in_the_order_of_use():
    group = typer.main.get_command(app)
    names = group.list_commands(typer.Context(group))
    assert sorted(names) == sorted(group.commands)
    assert names[:3] == ["demo", "play", "train"]
    assert names[-2:] == ["data", "info"]
    assert all(command.rich_help_panel in PANELS for command in group.commands.values())
