"""`hopfax sweep`: a run for each combination, with all results in one table and one JSON file."""

import json

from hopfax.apps.cli import run

SETTINGS = ["--data", "digits", "--layers", "64,3,10", "--epochs", "1"]


def test_a_sweep_over_seeds_and_what_it_refuses(tmp_path, capsys):
    out, results = tmp_path / "sweep", tmp_path / "results.json"
    assert run(["sweep", *SETTINGS, "--seeds", "0,1", "--out", str(out), "--json", str(results)]) == 0
    names = [f"layers=64-3-10,seed={seed},epochs=1" for seed in (0, 1)]
    assert list(json.loads(results.read_text())) == names
    assert "test accuracy" in capsys.readouterr().out
    assert run(["evaluate", str(out / names[0])]) == 0
    for wrong, match in (
        (["--seeds", "one"], "--seeds 'one'"),
        (["--betas", "0.01"], "recipe `goemaere_ep`"),
        (["--jobs", "0"], "processes=0"),
    ):
        assert run(["sweep", *SETTINGS, *wrong, "--out", str(tmp_path / "wrong")]) == 2
        assert match in capsys.readouterr().err
