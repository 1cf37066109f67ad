"""`hopfax vae` on the digits: its files and numbers, and its errors."""

import json
from pathlib import Path

import pytest

from hopfax.apps.cli import run

KEYS = {"test_elbo", "test_squared_error", "parameters", "seconds", "figures", "metrics", "seconds_per_epoch"}
SMALL = ["--data", "digits", "--hidden", "8", "--latents", "2", "--epochs", "1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("vae") / "run"


@pytest.fixture(scope="module")
def result(folder):
    """The result of a model after one epoch."""
    path = folder.parent / "result.json"
    assert run(["vae", "train", *SMALL, "--out", str(folder), "--json", str(path)]) == 0
    return json.loads(path.read_text())


@pytest.mark.slow
def test_train_writes_the_numbers_and_the_figures(result, folder):
    assert result.keys() == KEYS
    assert result["parameters"] == 64 * 8 + 8 * 2 + 64 + 8 + 2
    paths = [Path(figure) for figure in result["figures"]]
    assert {path.parent for path in paths} == {folder}
    assert all(path.read_bytes()[1:4] == b"PNG" for path in paths)
    assert len(paths) == 4


@pytest.mark.slow
def test_reconstruct_gives_the_numbers_of_training(result, folder, tmp_path, capsys):
    picture = tmp_path / "r.png"
    assert run(["vae", "reconstruct", str(folder), "--out", str(picture), "--json", "-"]) == 0
    output = json.loads(capsys.readouterr().out)
    assert output["test_squared_error"] == pytest.approx(result["test_squared_error"], rel=1e-5)
    assert output["figure"] == str(picture)
    assert picture.exists()


@pytest.mark.slow
def test_sample_and_inpaint(result, folder, tmp_path, capsys):
    assert run(["vae", "sample", str(folder), "--out", str(tmp_path / "s.png")]) == 0
    capsys.readouterr()
    more = ["--out", str(tmp_path / "i.png"), "--against", str(folder), "--json", "-"]
    assert run(["vae", "inpaint", str(folder), *more]) == 0
    output = json.loads(capsys.readouterr().out)["squared_error"]
    assert output.keys() == {"top half", "30 % of pixels"}
    for row in output.values():
        assert row["once"] == row["other, once"]
        assert row["latent"] == row["other, latent"]
        assert row["relaxed"] >= 0
    assert (tmp_path / "s.png").exists()
    assert run(["vae", "inpaint", str(folder), "--out", str(tmp_path / "i.png")]) == 0
    printed = capsys.readouterr().out
    assert "0 of 297 images did not converge" in printed
    assert "i.png: a test image of each class; for each kind of corruption" in printed


@pytest.mark.slow
@pytest.mark.parametrize("command", ["evaluate", "audit"])
@pytest.mark.usefixtures("result")
def test_commands_for_networks_say_what_the_folder_of_a_vae_is(command, folder, capsys):
    assert run([command, str(folder)]) == 2
    assert f"{folder} has a variational autoencoder" in (line := capsys.readouterr().err)
    assert f"hopfax vae reconstruct {folder}" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--model", "x", "--out", "OUT"], "unknown model 'x'; choose one of"),
        (["train", "--gradient", "x", "--out", "OUT"], "give ep or implicit"),
        (["train", "--epochs", "0", "--out", "OUT"], "at least 1"),
        (["sample", "OUT", "--out", "OUT/x.jpg"], "must end in .png"),
        (["sample", "OUT", "--out", "OUT/x.png"], "no finished run"),
    ],
)
def test_mistakes_are_reported_in_one_line(arguments, message, tmp_path, capsys):
    assert run(["vae", *(part.replace("OUT", str(tmp_path)) for part in arguments)]) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
