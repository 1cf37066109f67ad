"""The experiment on choosing `beta` runs from end to end, and its shares and predictions are what they say."""

import json

import numpy as np

from hopfax.memory.phase import thresholds


def test_the_experiment_accounts_for_every_query_and_key(tmp_path):
    from experiments.calibration import figures, run

    run.main(["--smoke", "--results", str(tmp_path)])
    result = json.loads((tmp_path / "seed0.json").read_text(encoding="utf-8"))
    digits = result["sets"]["digits"]
    for measured in (*digits["contestants"].values(), *digits["sweep"]):
        for kind in ("noise 0.5", "half"):
            np.testing.assert_allclose(
                sum(measured[kind][name] for name in ("global", "subset", "pattern")), 1
            )
            assert measured[kind]["recalled"] <= measured[kind]["pattern"]
    for head in result["attention"]:
        np.testing.assert_allclose(sum(head[name] for name in ("own", "other", "subset", "average")), 1)
    # A standardised set has total variance d, so 1/sqrt(d) is an effective sqrt(d).
    usual = digits["contestants"]["1/sqrt(d), standardised, distance"]
    np.testing.assert_allclose(usual["effective"], 8, rtol=1e-5)
    figures.draw(result, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 0


def test_regimes_change_at_the_spinodal_and_at_coexistence():
    from experiments.calibration.measure import predicted

    limits = thresholds(100)
    kinds = [
        predicted(beta * (1 + slip), 100)
        for beta in (limits.spinodal, limits.coexistence)
        for slip in (-0.01, 0.01)
    ]
    assert kinds == ["averaging", "metastable", "metastable", "single pattern"]
