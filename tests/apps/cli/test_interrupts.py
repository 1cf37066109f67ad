"""Ctrl-C: a run ends at a safe point, says how to go on, and goes on by its folder alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hopfax.apps.cli import interrupts, run, vae_training
from hopfax.training.metrics import MetricsFile

TOOL = Path(__file__).parents[3] / "tools" / "interrupt_training.py"
TRAIN = ["train", "--data", "digits", "--layers", "64,8,10", "--model", "HAM-EO", "--batch-size", "300"]
VAE = ["vae", "train", "--data", "digits", "--model", "feedforward", "--hidden", "4", "--latents", "2"]


def rows(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [{name: x for name, x in json.loads(line).items() if name != "seconds"} for line in lines]


def interrupt(arguments, folder, monkeypatch, capsys):
    """Run the command until its second epoch is done. Returns: what it printed on standard error."""
    append = MetricsFile.append

    def append_and_ask(self, row):
        append(self, row)
        if row.epoch == 2:
            assert interrupts._run.ask_to_end()

    with monkeypatch.context() as patched:
        patched.setattr(MetricsFile, "append", append_and_ask)
        assert run([*arguments, "--out", str(folder)]) == 130
    return capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("start", [TRAIN, VAE], ids=["train", "vae"])
def test_an_interrupted_run_goes_on_by_its_folder_alone(start, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        vae_training, "_draw_figures", lambda *_: []
    )  # they are drawn in the tests of `hopfax vae`
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    command = start[: start.index("--data")]
    assert run([*start, "--epochs", "3", "--seed", "5", "--out", str(whole)]) == 0
    line = interrupt([*start, "--epochs", "3", "--seed", "5"], parts, monkeypatch, capsys)
    assert line.count("\n") == 1
    assert str(parts / "checkpoint.safetensors") in line
    assert line.strip().endswith(f"hopfax {' '.join(command)} --out {parts} --resume")
    assert len(rows(parts)) == 2
    assert run([*command, "--out", str(parts), "--seed", "6", "--resume"]) == 2
    assert "--seed 6 is not the setting" in capsys.readouterr().err
    assert run([*command, "--out", str(parts), "--resume"]) == 0
    assert rows(parts) == rows(whole)


def test_a_run_without_a_safe_point_ahead_ends_at_once():
    asked = interrupts._Run()
    assert not asked.ask_to_end()
    asked.reach_safe_point(more=True)
    assert asked.ask_to_end()
    with pytest.raises(interrupts.Interrupted, match="interrupted"):
        asked.reach_safe_point(more=False)
    assert not asked.ask_to_end()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals on this system")
def test_ctrl_c_in_a_terminal_and_by_a_signal_at_random_moments():
    command = [sys.executable, str(TOOL), "--times", "3", "--latest", "12"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
