"""Laws of computing on several devices: the numbers of one device, and no unnecessary communication.

A separate process computes all numbers with eight devices, since their number is fixed when JAX starts.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROUNDING = 1e-5  # float32, summed in another order and through a few sweeps


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=8"
    program, folder = Path(__file__).parent / "eight_devices.py", tmp_path_factory.mktemp("runs")
    process = subprocess.run(
        [sys.executable, str(program), str(folder)],
        env={**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    return json.loads(process.stdout)


def test_the_gradient_over_devices_is_that_of_the_whole_batch(results):
    numbers = results["one_gradient"]
    assert numbers["gradient"] < ROUNDING
    assert numbers["loss"] < ROUNDING
    assert numbers["counts"][0] == numbers["counts"][1]
    assert numbers["local_copy_is_equal"] == 0


def test_a_device_gets_its_share_of_each_batch_and_no_more(results):
    assert results["shares"]["as_on_one"] == 0
    assert results["shares"]["share"] == [3, 1, 16]  # of three batches of eight


def test_a_run_begun_on_eight_devices_continues_on_one_and_on_two(results):
    for devices in (1, 2):
        assert results["runs"][f"weights_8_then_{devices}"] < 10 * ROUNDING
        assert results["runs"][f"loss_8_then_{devices}"] < ROUNDING


def test_training_on_a_grid_is_as_on_one_device(results):
    assert results["runs"]["weights_grid"] < 10 * ROUNDING
    # The weights and the optimiser's moment; a device has half of each.
    assert results["runs"]["shards"] == [2, [8, 8]]


def test_sharded_layers_relax_and_differentiate_as_on_one_device(results):
    numbers = results["sharded_layers"]
    assert numbers["states"] < ROUNDING
    assert numbers["gradient"] < 10 * ROUNDING
    assert numbers["converged"]


def test_a_sweep_over_two_colours_has_one_all_reduce(results):
    names = ("input-hidden1", "hidden1-hidden2", "hidden2-hidden3", "hidden3-output")
    rows, columns = ["model", None], [None, "model"]
    assert [results["sharded_layers"]["specs"][name] for name in names] == [columns, rows, columns, rows]
    assert results["sharded_layers"]["collectives"] == ["all-reduce"]


def test_a_memory_sharded_over_eight_devices_recalls_as_on_one(results):
    numbers = results["sharded_memory"]
    assert numbers["states"] < ROUNDING
    assert numbers["same"]
    assert numbers["share"] == [2, 6]
    assert "rows 2 to 4 hold NaN" in numbers["error"]


@pytest.mark.skipif(importlib.util.find_spec("orbax") is None, reason="no orbax here")
def test_a_network_saved_by_eight_devices_loads_onto_two_and_onto_one(results):
    numbers = results["sharded_checkpoint"]
    assert numbers["differences"] == [0, 0]
    assert numbers["keys"] == [True, True]
    assert numbers["shard"] == [16, 32]
    unfit, used = numbers["errors"]
    assert "hidden.bias should be float32[32], is float32[64]" in unfit
    assert "exists already" in used


def test_what_does_not_divide_evenly_is_refused(results):
    devices, batch, axis, output, nowhere = results["refusals"]
    assert "[1, 8]" in devices
    assert "`batch_size=12`" in batch
    assert "`axis='model'`" in axis
    assert "'output'" in output
    assert "'nowhere'" in nowhere
