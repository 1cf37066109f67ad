"""`hopfax completion`: its JSON, its figure, and what it refuses."""

import json

import pytest

from hopfax.apps.cli import run


def test_errors_by_damage_and_method(tmp_path, capsys):
    out, names = tmp_path / "out", "mean,nearest"
    arguments = ["completion", "--methods", names, "--tested", "20", "--stored", "10", "--out", str(out)]
    assert run([*arguments, "--json", "-"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["data"] == "digits"
    assert list(result["masks"]) == ["30 %", "70 %", "top half", "centre block", "Gaussian noise"]
    for methods in result["masks"].values():
        assert list(methods) == ["mean", "nearest"]
        assert methods["nearest"]["error_per_pixel"] < methods["mean"]["error_per_pixel"]
        assert methods["mean"].keys() == {"error_per_pixel", "standard_error", "restored", "seconds"}
    assert {(row["stored"], row["images"]) for row in result["by_number"]} == {(10, "stored"), (10, "unseen")}
    assert {path.name for path in out.iterdir()} == {"completion.json", "completion.png"}


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--methods", "mean,magic", "choose from"),
        ("--tested", "0", "at least 1"),
        ("--stored", "1", "from 2 to"),
    ],
)
def test_what_is_refused(option, value, words, capsys):
    assert run(["completion", option, value]) == 2
    assert words in capsys.readouterr().err
