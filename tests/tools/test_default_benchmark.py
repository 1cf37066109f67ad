"""`benchmarks/default.py` on its smallest network, and what it keeps of an earlier run."""

import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_the_default_is_compared_with_the_fastest_and_nothing_is_measured_twice(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import default

    path = tmp_path / "default.json"
    monkeypatch.setattr(sys, "argv", ["default.py", "--only", "modern", "--batches", "2", "--rounds", "2"])
    sys.argv += ["--json", str(path)]
    monkeypatch.setattr(default, "SOLVERS", {name: default.SOLVERS[name] for name in ("default", "Picard")})
    default.main()
    first = json.loads(path.read_text(encoding="utf-8"))
    assert [row["rtol"] for row in first["rows"]] == list(default.TOLERANCES)
    for row in first["rows"]:
        assert row["converged"]["default"] == 2
        assert row["over the fastest"] == pytest.approx(
            row["milliseconds"]["default"] / row["milliseconds"][row["fastest"]]
        )
    default.main()
    assert json.loads(path.read_text(encoding="utf-8"))["rows"] == first["rows"]
