"""`benchmarks/gpu.py` runs from a checkout, with small sizes on the CPU, so that it is ready where there is a GPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
WITHOUT = """
import sys
for name in ("safetensors", "typer", "rich", "matplotlib", "pooch", "filelock", "joblib", "sklearn", "diffrax"):
    sys.modules[name] = None
sys.argv = sys.argv[1:]
sys.path.insert(0, "benchmarks")
import runpy
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_every_part_is_measured_without_what_a_bare_machine_lacks(tmp_path):
    command = [sys.executable, "-c", WITHOUT, "benchmarks/gpu.py", "--small", "--rounds", "2"]
    command += ["--json", str(tmp_path / "gpu.json")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "JAX_PLATFORMS": "cpu"}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    result = json.loads((tmp_path / "gpu.json").read_text())
    assert result["platform"] == "cpu"
    assert result["training"]["784-512-10"]["over floor"].keys() == {"default", "EP"}
    assert result["solvers"]["batch 64"]["over default"].keys() >= {"Picard", "checked every 20 sweeps"}
    assert all(cosine > 0.99 for cosine in result["precision"]["worst cosine of an array"].values())
    assert all(part["gigabytes per second"] > 0 for part in result["recall"].values())
