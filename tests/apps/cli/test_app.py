"""The command line: errors in one line, JSON on request, and a fast start."""

import json
import os
import subprocess
import sys

import pytest

import hopfax
from hopfax.apps.cli import run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "nonsense"),
        (["train"], "--out"),
        (["train", "--out", "OUT", "--wrong"], "--wrong"),
        (["train", "--out", "OUT", "--epochs", "many"], "--epochs"),
        (["train", "--out", "OUT", "--epochs", "0"], "epochs"),
        (["train", "--out", "OUT", "--data", "digits", "--layers", "64,ten"], "whole numbers"),
        (["train", "--out", "OUT", "--data", "digits"], "64 pixels"),
        (["train", "--out", "OUT", "--data", "cats"], "digits, mnist"),
        (["train", "--out", "OUT", "--model", "HUM"], "HAM-EO-DEQ"),
        (["train", "--out", "OUT", "--recipe", "v3"], "goemaere2023"),
        (["train", "--out", "FILE", "--data", "digits", "--layers", "64,10"], "writable"),
        (["evaluate", "OUT"], "--resume"),
        (["data", "fetch", "cats"], "digits, mnist"),
        (["info", "--json", "OUT/no/such.json"], "writable"),
    ],
)
def test_mistakes_are_reported_in_one_line_with_exit_code_2(arguments, message, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    places = {"OUT": str(tmp_path / "out"), "FILE": str(tmp_path / "file")}
    filled = [a.replace("OUT", places["OUT"]) if a != "FILE" else places["FILE"] for a in arguments]
    assert run(filled) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert message in printed.err


def test_a_damaged_data_set_is_named(tmp_path, capsys, monkeypatch):
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "train-images-idx3-ubyte").write_bytes(b"half")
    monkeypatch.setenv("HOPFAX_DATA", str(tmp_path))
    assert run(["train", "--out", str(tmp_path / "out")]) == 2
    printed = capsys.readouterr().err
    assert "train-images-idx3-ubyte" in printed
    assert printed.count("\n") == 1


@pytest.mark.parametrize("arguments", [["info"], ["data", "list"], ["data", "fetch", "digits"]])
def test_json_is_alone_on_standard_output(arguments, capsys):
    assert run([*arguments, "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)
    assert run(arguments) == 0
    assert "digits" in capsys.readouterr().out


def test_json_to_a_file(tmp_path, capsys):
    assert run(["data", "list", "--json", str(tmp_path / "list.json")]) == 0
    rows = json.loads((tmp_path / "list.json").read_text())["data"]
    assert {"digits", "mnist", "fashion-mnist"} <= {row["name"] for row in rows}
    assert "digits" in capsys.readouterr().out


@pytest.mark.parametrize("module", ["hopfax", "hopfax.apps.cli"])
def test_help_of_the_module(module):
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"], capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == 0
    assert "train" in done.stdout


def test_version(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"hopfax {hopfax.__version__}\n"


FAST = """
import os, sys
from hopfax.apps.cli import run

assert run(["--help"]) == run(["train", "--help"]) == run(["--version"]) == 0
assert run(["trian"]) == 2
os.environ |= {"_HOPFAX_COMPLETE": "complete_bash", "COMP_WORDS": "hopfax ev", "COMP_CWORD": "1"}
try:
    run([])
except SystemExit as ended:
    assert not ended.code
slow = {"jax", "numpy", "scipy", "equinox", "matplotlib"} & sys.modules.keys()
assert not slow, slow
"""


def test_help_typing_errors_and_completion_import_neither_jax_nor_numpy():
    done = subprocess.run([sys.executable, "-c", FAST], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_without_the_extra_one_line_says_what_to_install(package):
    program = f"import sys; sys.modules[{package!r}] = None; from hopfax.apps.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert f"{package}, which is not installed" in done.stderr
    assert "pip install 'hopfax[apps]'" in done.stderr
