"""`hopfax train` on the digits: its files and numbers, and a run that is killed."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from hopfax.apps.cli import run

KEYS = {
    "test_accuracy",
    "iterations_mean",
    "iterations_std",
    "did_not_converge",
    "seconds_per_epoch",
    "epochs",
    "seed",
}
EPOCHS = 30
SETTINGS = ["--data", "digits", "--layers", "64,16,10", "--model", "HAM-EO", "--batch-size", "50"]

OTHERS = (
    (["--layers", "64,17,10"], "--layers 64,17,10 is not the setting"),
    (["--data", "mnist"], "--data mnist is not the setting"),
    (["--model", "HAM"], "--model HAM is not the setting"),
    (["--no-shuffle"], "--no-shuffle"),
    (["--gradient", "implicit"], "--gradient implicit is not the setting"),
    (["--recipe", "low_feedback"], "--recipe low_feedback is not the setting"),
)


def test_train_then_evaluate_give_the_same_numbers(tmp_path, capsys):
    out = str(tmp_path / "run")
    assert run(["train", *SETTINGS, "--epochs", "8", "--out", out, "--json", "-"]) == 0
    trained = json.loads(capsys.readouterr().out)
    assert trained.keys() >= KEYS
    assert len(trained["seconds_per_epoch"]) == trained["epochs"] == 8
    assert trained["test_accuracy"] > 0.5
    assert run(["evaluate", out, "--json", "-"]) == 0
    evaluated = json.loads(capsys.readouterr().out)
    assert all(evaluated[key] == trained[key] for key in KEYS & evaluated.keys())
    assert run(["evaluate", out]) == 0
    assert f"{trained['did_not_converge']} of 297 test images did not converge" in capsys.readouterr().out
    assert run(["train", *SETTINGS, "--epochs", "8", "--out", out]) == 2
    assert "--resume" in capsys.readouterr().err
    assert run(["train", *SETTINGS, "--epochs", "9", "--out", out, "--resume"]) == 2
    assert "--epochs 9 is not the setting of the run" in capsys.readouterr().err
    for other, message in OTHERS:
        assert run(["train", *other, "--out", out, "--resume"]) == 2
        assert message in capsys.readouterr().err
    assert run(["train", *SETTINGS, "--recipe", "goemaere2023", "--out", out, "--resume"]) == 0


def test_a_recipe_with_its_gradient_and_with_another(tmp_path, capsys):
    settings = ["train", "--data", "digits", "--layers", "64,12,10", "--epochs", "1", "--json", "-"]
    folders = [str(tmp_path / name) for name in ("best", "refused")]
    assert run([*settings, "--recipe", "low_feedback", "--gradient", "implicit", "--out", folders[0]]) == 0
    trained = json.loads(capsys.readouterr().out)
    assert run(["evaluate", folders[0], "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["test_accuracy"] == trained["test_accuracy"]
    assert run([*settings, "--recipe", "goemaere2023", "--gradient", "ep", "--out", folders[1]]) == 2
    assert "recipe `goemaere_ep`" in capsys.readouterr().err
    assert run([*settings, "--recipe", "goemaere2023", "--beta", "0.1", "--out", folders[1]]) == 2
    assert "--gradient ep" in capsys.readouterr().err


@pytest.mark.slow
def test_augmented_and_standardised_images(tmp_path, capsys):
    """What the network does with its images is in its files; the images that are tested are not changed."""
    out = str(tmp_path / "run")
    options = ["--recipe", "conv", "--augment", "crop:1,flip", "--standardise"]
    settings = [
        "--data",
        "digits",
        "--layers",
        "64,8,10",
        "--epochs",
        "1",
        "--batch-size",
        "500",
        "--json",
        "-",
    ]
    assert run(["train", *settings, *options, "--out", out]) == 0
    trained = json.loads(capsys.readouterr().out)
    config = json.loads((tmp_path / "run" / "run.json").read_text())["config"]
    assert [part["kind"] for part in config["augmentation"]["augmentations"]] == [
        "RandomCrop",
        "HorizontalFlip",
    ]
    assert config["architecture"]["input"]["kind"] == "StandardisedInput"
    assert run(["evaluate", out, "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["test_accuracy"] == trained["test_accuracy"]
    assert run(["train", *options, "--out", out, "--resume"]) == 0
    for other in (["--augment", "flip"], ["--recipe", "goemaere2024"]):
        assert run(["train", *other, "--out", out, "--resume"]) == 2
        assert f"{other[0]}" in capsys.readouterr().err


def command(out, *more):
    settings = [*SETTINGS, "--epochs", str(EPOCHS), "--checkpoint-chunks", "7", "--out", str(out), *more]
    return [sys.executable, "-m", "hopfax.apps.cli", "train", *settings]


def rows(out):
    """The metrics without the seconds, which always differ."""
    path = out / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [{key: value for key, value in json.loads(line).items() if key != "seconds"} for line in lines]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_run_that_is_killed_ends_with_the_same_bits(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(command(whole), check=True, capture_output=True)
    with subprocess.Popen(command(killed), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as victim:
        while len(rows(killed)) < 3 and victim.poll() is None:
            time.sleep(0.002)
        victim.send_signal(signal.SIGKILL)
    assert victim.returncode == -signal.SIGKILL
    assert 3 <= len(rows(killed)) < EPOCHS
    assert not (killed / "model.json").exists()
    subprocess.run(command(killed, "--resume"), check=True, capture_output=True)
    assert (killed / "weights.safetensors").read_bytes() == (whole / "weights.safetensors").read_bytes()
    assert rows(killed) == rows(whole)
    results = [json.loads((folder / "run.json").read_text()) for folder in (whole, killed)]
    for key in ("test_accuracy", "iterations_mean", "iterations_std", "did_not_converge"):
        assert results[0][key] == results[1][key]


@pytest.mark.slow
@pytest.mark.parametrize("of_network", [["--layers", "64,8"], ["--layers", "64,12", "--components", "3"]])
def test_a_network_that_completes_images_is_trained_resumed_and_evaluated(of_network, tmp_path, capsys):
    out, data = str(tmp_path / "run"), ["--data", "digits"]
    settings = ["--task", "completion", *data, *of_network, "--batch-size", "500", "--epochs", "1"]
    assert run(["train", *settings, "--out", out, "--json", "-"]) == 0
    trained = json.loads(capsys.readouterr().out)["completion"]
    assert set(trained) == {"top half", "30 % of pixels"}
    assert set(trained["top half"]) == {"mean", "black", "white", "noise"}
    assert run(["evaluate", out, "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["completion"] == trained
    assert run(["train", *settings, "--out", out, "--resume"]) == 0
    assert "top half" in capsys.readouterr().out
    queries, filled = tmp_path / "queries.npy", tmp_path / "filled.npy"
    rows_with_holes = np.where(np.arange(64) % 3 == 0, np.nan, np.full((2, 64), 0.25))
    np.save(queries, rows_with_holes)
    recall = ["recall", "--network", out, "--queries", str(queries), "--out", str(filled)]
    assert run(recall) == 0
    assert "0 of 2 queries did not converge" in capsys.readouterr().out
    known = ~np.isnan(rows_with_holes)
    assert np.all(np.isfinite(np.load(filled)))
    np.testing.assert_array_equal(np.load(filled)[known], rows_with_holes[known])
    others = ["--layers 64,9", "--task classification", "--gradient ep", "--seed 3"]
    for other in others:
        assert run(["train", "--out", out, "--resume", *other.split()]) == 2
        assert f"{other} is not the setting" in capsys.readouterr().err
