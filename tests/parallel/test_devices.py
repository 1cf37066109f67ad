"""Laws of work that devices share: the same numbers as on one, whatever their number, and nothing sent in vain.

One process with eight devices finds all numbers, for their count is fixed when JAX starts.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROUNDING = 1e-5  # float32, summed in another order and through a few sweeps


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=8"
    program, folder = Path(__file__).parent / "eight_devices.py", tmp_path_factory.mktemp("runs")
    done = subprocess.run(
        [sys.executable, str(program), str(folder)],
        env={**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_the_gradient_over_devices_is_that_of_the_whole_batch(found):
    numbers = found["one_gradient"]
    assert numbers["gradient"] < ROUNDING
    assert numbers["loss"] < ROUNDING
    assert numbers["counts"][0] == numbers["counts"][1]
    assert numbers["own_copy_is_equal"] == 0


def test_a_device_is_sent_its_share_of_each_batch_and_no_more(found):
    assert found["shares"]["as_on_one"] == 0
    assert found["shares"]["share"] == [3, 1, 16]  # of three batches of eight


def test_a_run_begun_on_eight_devices_goes_on_with_one_and_with_two(found):
    for devices in (1, 2):
        assert found["runs"][f"weights_8_then_{devices}"] < 10 * ROUNDING
        assert found["runs"][f"loss_8_then_{devices}"] < ROUNDING


def test_layers_spread_over_rows_and_batches_over_columns_of_a_grid_train_as_on_one(found):
    assert found["runs"]["weights_grid"] < 10 * ROUNDING
    assert found["runs"]["shards"] == [
        2,
        [8, 8],
    ]  # weights and the optimiser's moment, half of each on a device


def test_layers_spread_over_devices_relax_and_differentiate_as_on_one(found):
    numbers = found["spread_layers"]
    assert numbers["states"] < ROUNDING
    assert numbers["gradient"] < 10 * ROUNDING
    assert numbers["settled"]


def test_a_sweep_over_two_colours_exchanges_once(found):
    names = ("input-hidden1", "hidden1-hidden2", "hidden2-hidden3", "hidden3-output")
    rows, columns = ["model", None], [None, "model"]
    assert [found["spread_layers"]["specs"][name] for name in names] == [columns, rows, columns, rows]
    assert found["spread_layers"]["exchanges"] == ["all-reduce"]


def test_patterns_read_from_a_file_by_eight_devices_recall_as_on_one(found):
    numbers = found["spread_memory"]
    assert numbers["states"] < ROUNDING
    assert numbers["same"]
    assert numbers["share"] == [2, 6]
    assert "rows 2 to 4 hold NaN" in numbers["said"]


@pytest.mark.skipif(importlib.util.find_spec("orbax") is None, reason="no orbax here")
def test_a_network_saved_in_parts_by_eight_devices_is_whole_on_two_and_on_one(found):
    numbers = found["saved_in_parts"]
    assert numbers["differences"] == [0, 0]
    assert numbers["keys"] == [True, True]
    assert numbers["part"] == [16, 32]
    unfit, used = numbers["said"]
    assert "hidden.bias should be float32[32], is float32[64]" in unfit
    assert "is there already" in used


def test_what_cannot_be_shared_is_refused(found):
    devices, batch, axis, output, nowhere = found["refusals"]
    assert "[1, 8]" in devices
    assert "`batch_size=12`" in batch
    assert "`axis='model'`" in axis
    assert "'output'" in output
    assert "'nowhere'" in nowhere
