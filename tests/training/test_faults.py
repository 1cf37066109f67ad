"""Runs that are killed, or meet a full disk, a read-only folder, a clock set back, or another run in their folder."""

import errno
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from hopfax import Memory
from hopfax._internal import files
from hopfax.apps.cli import run
from hopfax.data import Dataset
from hopfax.training import ClassifierJob, train
from hopfax.training.recipes import Recipe
from hopfax.training.run_folder import open_run_folder
from hopfax.vae import VAEConfig
from hopfax.vae.run import VAEJob

TOOL = Path(__file__).parents[2] / "tools" / "kill_training.py"
RECIPE = Recipe(layers=(4, 3, 2), batch_size=4, epochs=2)
IMAGES = np.random.Generator(np.random.Philox(0)).random((12, 4), np.float32)
LABELS = np.arange(12, dtype=np.int32) % 2
DATA = Dataset("small", IMAGES, LABELS, IMAGES, LABELS, classes=2, image_shape=(2, 2))


class Full:
    """A disk that is full for everything but the first few files."""

    def __init__(self, room: int):
        self.room, self.write = room, files.os.fsync

    def __call__(self, descriptor: int) -> None:
        self.room -= 1
        if self.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.write(descriptor)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


def trained(folder, **options):
    return train(ClassifierJob(RECIPE, DATA), folder, checkpoint_chunks=1, **options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run that nothing happened to."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    trained(folder)
    return folder


def assert_same_weights(a, b):
    first, second = (load_file(folder / "checkpoint.safetensors") for folder in (a, b))
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])


@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_as_if_it_had_not_been():
    command = [sys.executable, str(TOOL), "--kills", "3", "--epochs", "2"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("room", [0, 1, 4, 9])
def test_a_full_disk_is_told_and_the_run_goes_on_when_there_is_room(room, whole, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", Full(room))
        with pytest.raises(OSError, match=r"No space left on device") as raised:
            trained(tmp_path / "run")
    assert raised.value.errno == errno.ENOSPC
    assert {path.suffix for path in (tmp_path / "run").iterdir()} <= {"", ".safetensors", ".jsonl"}
    trained(tmp_path / "run", resume=True)
    assert_same_weights(whole, tmp_path / "run")


def test_a_full_disk_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "file"
    files.write_atomic(path, b"old")
    monkeypatch.setattr(files.os, "fsync", Full(0))
    with pytest.raises(OSError, match=r"file is unchanged.*file"):
        files.write_atomic(path, b"new")
    assert contents(tmp_path) == {"file": b"old"}


def test_a_clock_set_back_changes_nothing(whole, tmp_path, monkeypatch):
    times = iter(range(10**9, 0, -86400))
    monkeypatch.setattr(time, "time", lambda: float(next(times)))
    trained(tmp_path / "run")
    assert_same_weights(whole, tmp_path / "run")


@pytest.fixture
def read_only():
    """A folder that nobody may write to, not even root, who becomes somebody else."""
    me = os.geteuid()
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o555)
    if me == 0:
        os.seteuid(65534)
    yield folder
    os.seteuid(me)
    folder.rmdir()


def test_a_read_only_folder_is_told(read_only):
    with pytest.raises(PermissionError, match="run"):
        trained(read_only / "run")
    with pytest.raises(PermissionError, match="lock"):
        trained(read_only)
    with pytest.raises(PermissionError, match="vae"):
        train(VAEJob(VAEConfig(pixels=4, batch_size=2), DATA), read_only / "vae")
    assert contents(read_only) == {}


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        trained(tmp_path / "file" / "run")
    assert contents(tmp_path) == {"file": b""}


def test_two_runs_do_not_share_a_folder(tmp_path):
    with open_run_folder(tmp_path, resume=False):
        for resume in (False, True):
            with pytest.raises(ValueError, match=r"used by another run.*another folder"):
                trained(tmp_path, resume=resume)
            with pytest.raises(ValueError, match=r"used by another run.*another folder"):
                train(VAEJob(VAEConfig(pixels=4, batch_size=2), DATA), tmp_path, resume=resume)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("command", ["train --layers 64,10", "vae train"])
def test_the_command_line_refuses_a_folder_that_another_run_holds(command, tmp_path, capsys):
    with open_run_folder(tmp_path, resume=False):
        assert run([*command.split(), "--data", "digits", "--out", str(tmp_path)]) == 2
    assert "used by another run" in capsys.readouterr().err


def test_a_lock_ends_with_its_process(tmp_path):
    """However that ended: here without a chance to clean up."""
    hold = "import os, pathlib, sys\nfrom hopfax.training.run_folder import open_run_folder\n"
    hold += "open_run_folder(pathlib.Path(sys.argv[1]), resume=False).__enter__()\nos._exit(3)"
    assert subprocess.run([sys.executable, "-c", hold, str(tmp_path)]).returncode == 3
    with open_run_folder(tmp_path, resume=False):
        pass


def test_what_a_killed_run_had_half_written_is_removed(tmp_path):
    for name in (
        ".checkpoint.safetensors.ab_12xyz.part",
        ".run.json.ab_12xyz.part",
        ".notes.ab_12xyz",
        "mine",
    ):
        (tmp_path / name).write_bytes(b"x")
    with open_run_folder(tmp_path, resume=True):
        assert set(contents(tmp_path)) == {".notes.ab_12xyz", "mine"}


def test_a_memory_is_saved_whole_or_not_at_all(tmp_path, monkeypatch):
    memory = Memory.store(np.eye(3, dtype=np.float32), 9.0)
    memory.save(tmp_path / "memory")
    before = contents(tmp_path)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("hopfax._internal.files.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        memory.save(tmp_path / "memory")
    assert contents(tmp_path) == before


def test_the_tool_tells_a_difference(whole, tmp_path):
    """A weight that differs in its last bit."""
    specification = importlib.util.spec_from_file_location("kill_training", TOOL)
    tool = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(tool)
    assert tool.same(whole, whole)
    other = tmp_path / "other"
    trained(other, stop_after=1)
    assert not tool.same(whole, other)
