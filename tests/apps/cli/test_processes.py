"""A run of two processes, and what happens when one of them is killed."""

import json
import signal
import socket
import subprocess
import sys
import textwrap
import time

import pytest

from hopfax.apps.cli import run

EPOCHS = 40
SETTINGS = ["--data", "digits", "--layers", "64,8,10", "--model", "HAM-EO", "--batch-size", "360"]
SETTINGS += ["--epochs", str(EPOCHS), "--checkpoint-chunks", "1", "--learning-rate", "0.001"]


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def start(out, address, process_id):
    joined = ["--coordinator", address, "--processes", "2", "--process-id", str(process_id)]
    command = [sys.executable, "-m", "hopfax.apps.cli", "train", *SETTINGS, "--out", str(out), *joined]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def rows(out):
    path = out / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_when_one_of_two_processes_is_killed_the_other_reports_it_and_a_single_one_can_resume(
    tmp_path, capsys
):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    address = free_address()
    with start(killed, address, 0) as first, start(killed, address, 1) as second:
        while len(rows(killed)) < 2 and first.poll() is None and second.poll() is None:
            time.sleep(0.01)
        second.send_signal(signal.SIGKILL)
        _, errors = first.communicate(timeout=300)
    assert first.returncode == 1, errors
    assert "process 0 of 2 has lost another one" in errors
    assert "--resume" in errors
    assert 2 <= len(rows(killed)) < EPOCHS
    assert run(["train", *SETTINGS, "--out", str(killed), "--resume"]) == 0
    assert run(["train", *SETTINGS, "--out", str(whole)]) == 0
    for one, other in zip(rows(whole), rows(killed), strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-3)
    assert rows(whole)[0]["loss"] == pytest.approx(rows(killed)[0]["loss"], rel=1e-6)


def test_a_process_joins_under_slurm_and_is_refused_outside():
    """A cluster of one process, with the variables that `srun` sets."""
    program = """
        import os, jax
        from hopfax.parallel.processes import exit_process, is_primary, join
        try:
            join()
        except ValueError as error:
            assert "srun" in str(error), error
        settings = {"JOB_ID": os.getpid(), "STEP_NODELIST": "localhost", "NTASKS": 1, "PROCID": 0, "LOCALID": 0}
        os.environ.update({f"SLURM_{name}": str(value) for name, value in settings.items()})
        join()
        assert jax.distributed.is_initialized() and jax.process_count() == 1 and is_primary()
        exit_process(0)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_options_that_do_not_fit_together_are_refused(tmp_path, capsys):
    settings = ["train", "--data", "digits", "--layers", "64,8,10", "--out", str(tmp_path / "run")]
    for options, match in (
        (["--processes", "2"], "give all three"),
        (["--coordinator", "nowhere", "--processes", "2", "--process-id", "0"], "HOST:PORT"),
        (["--coordinator", "a:1", "--processes", "2", "--process-id", "2"], "[0, 2)"),
        (["--devices", "99"], "JAX sees"),
    ):
        assert run([*settings, *options]) == 2
        assert match in capsys.readouterr().err
    assert not (tmp_path / "run").exists() or not list((tmp_path / "run").iterdir())
