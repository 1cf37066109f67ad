"""`hopfax sweep`: a run for each combination, told in one table and one JSON file."""

import json

from hopfax.apps.cli import run

SETTINGS = ["--data", "digits", "--layers", "64,3,10", "--epochs", "1"]


def test_a_sweep_over_seeds_and_sizes_and_what_it_is_refused(tmp_path, capsys):
    out, found = tmp_path / "sweep", tmp_path / "found.json"
    assert run(["sweep", *SETTINGS, "--seeds", "0,1", "--out", str(out), "--json", str(found)]) == 0
    names = [f"layers=64-3-10,seed={seed},epochs=1" for seed in (0, 1)]
    assert list(json.loads(found.read_text())) == names
    assert "test accuracy" in capsys.readouterr().out
    assert run(["evaluate", str(out / names[0])]) == 0
    for wrong, match in (
        (["--seeds", "one"], "--seeds 'one'"),
        (["--betas", "0.01"], "recipe `goemaere_ep`"),
        (["--jobs", "0"], "processes=0"),
    ):
        assert run(["sweep", *SETTINGS, *wrong, "--out", str(tmp_path / "wrong")]) == 2
        assert match in capsys.readouterr().err
