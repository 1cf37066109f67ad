"""Loggers: what they receive of a run, with packages that only take notes."""

import json
import struct
import sys
from types import SimpleNamespace

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from hopfax import chain
from hopfax.apps.cli import run
from hopfax.data import Dataset
from hopfax.training import (
    AbstractLogger,
    Chunk,
    Classification,
    ClassifierJob,
    Trainer,
    TrainState,
    open_loggers,
    train,
)
from hopfax.training.loggers import log_chunks
from hopfax.training.recipes import Recipe

RECIPE = Recipe(layers=(4, 3, 2), model="HAM-EO", epochs=2, batch_size=4)
GENERATOR = np.random.Generator(np.random.Philox(0))
IMAGES = GENERATOR.random((16, 4), np.float32)
LABELS = (IMAGES[:, 0] > 0.5).astype(np.int32)
DATA = Dataset("rows", IMAGES, LABELS, IMAGES, LABELS, 2, image_shape=(2, 2))


class Notes(AbstractLogger):
    def __init__(self):
        self.numbers, self.closed = [], 0

    def log(self, numbers, step):
        self.numbers.append((step, dict(numbers)))

    def close(self):
        self.closed += 1


class Package:
    """Stands for a package: notes every call, by name, and gives itself for what calls give."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        def call(*args, **options):
            self.calls.append((name, args, options))
            return {"get_experiment_by_name": None, "create_experiment": "7"}.get(name, self)

        return call

    info = SimpleNamespace(run_id="r")


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """One run: two loggers, and the rows of metrics."""
    loggers, folder = [Notes(), Notes()], tmp_path_factory.mktemp("logged") / "run"
    _, rows = train(ClassifierJob(RECIPE, DATA), folder, callback=log_chunks(loggers))
    return loggers, rows


def test_every_chunk_logs_the_running_loss_and_the_last_of_an_epoch_its_metrics(logged):
    (first, second), rows = logged
    assert first.numbers == second.numbers
    assert [step for step, _ in first.numbers] == list(range(1, 9))  # a block a batch, four an epoch
    ends = [numbers for _, numbers in first.numbers if "loss" in numbers]
    assert [numbers["loss"] for numbers in ends] == [row.loss for row in rows]
    assert [numbers["running_loss"] for numbers in ends] == [row.loss for row in rows]
    assert [numbers["train_accuracy"] for numbers in ends] == [row.train_accuracy for row in rows]
    assert all("validation_accuracy" not in numbers for numbers in ends)  # nothing was held out


TRAINER = Trainer(optax.identity(), Classification(), batch_size=4)
STATE = TrainState.begin(chain([2, 2], key=jr.key(0)), TRAINER, key=jr.key(1))
AFTER = eqx.tree_at(lambda s: (s.step, s.sums.loss), STATE, (jnp.asarray(3), jnp.asarray(1.0)))
CHUNK = Chunk(TRAINER, AFTER, epoch=1, batch=2, batches=4, seconds=0.0, finite=True)
MEANS = {"running_loss": 0.5, "running_train_accuracy": 0.0, "running_mean_steps": 0.0}
MEANS |= {"running_did_not_converge": 0, "running_gradient_flagged": 0}


def logged_by(package, monkeypatch, name):
    fake = Package()
    monkeypatch.setitem(sys.modules, package, fake)
    with open_loggers([name], {"epochs": 2}) as watch:
        watch(CHUNK)
    return fake.calls


def test_tensorboard(monkeypatch):
    calls = logged_by("tensorboardX", monkeypatch, "tensorboard:runs/a")
    assert calls[0] == ("SummaryWriter", ("runs/a",), {})
    assert ("add_scalar", ("running_loss", 0.5, 3), {}) in calls
    assert [name for name, *_ in calls[-2:]] == ["flush", "close"]


def test_weights_and_biases(monkeypatch):
    calls = logged_by("wandb", monkeypatch, "wandb:digits")
    assert calls == [
        ("init", (), {"project": "digits", "config": {"epochs": 2}}),
        ("log", (MEANS,), {"step": 3}),
        ("finish", (), {}),
    ]


def test_mlflow(monkeypatch):
    calls = logged_by("mlflow", monkeypatch, "mlflow:digits")
    assert calls[1:] == [
        ("get_experiment_by_name", ("digits",), {}),
        ("create_experiment", ("digits",), {}),
        ("create_run", ("7",), {}),
        ("log_param", ("r", "epochs", 2), {}),
        *(("log_metric", ("r", name, value), {"step": 3}) for name, value in MEANS.items()),
        ("set_terminated", ("r",), {}),
    ]


def test_loggers_close_where_a_run_fails(monkeypatch):
    fake = Package()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    with pytest.raises(KeyboardInterrupt), open_loggers(["wandb:a"]):
        raise KeyboardInterrupt
    assert fake.calls[-1][0] == "finish"


@pytest.mark.parametrize("name", ["tensorboard", "tensorboard:", "csv:here", ""])
def test_other_names_are_refused(name):
    with pytest.raises(ValueError, match="tensorboard:FOLDER, wandb:PROJECT and mlflow:EXPERIMENT"):
        open_loggers([name]).__enter__()


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ValueError, match="pip install mlflow"):
        open_loggers(["mlflow:a"]).__enter__()


@pytest.mark.slow
def test_the_command_line_logs(tmp_path, monkeypatch, capsys):
    fake = Package()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    settings = ["--data", "digits", "--layers", "64,4,10", "--epochs", "1", "--batch-size", "500"]
    arguments = ["train", *settings, "--out", str(tmp_path / "run"), "--json", "-"]
    assert run([*arguments, "--log", "csv:x"]) == 2
    assert "tensorboard:FOLDER" in capsys.readouterr().err
    assert run([*arguments, "--log", "wandb:digits"]) == 0
    row = json.loads(capsys.readouterr().out)["metrics"][0]
    assert fake.calls[0][2]["config"]["layers"] == [64, 4, 10]
    assert fake.calls[-2][1][0]["loss"] == row["loss"]


def test_tensorboards_own_files(tmp_path):
    pytest.importorskip("tensorboardX")
    with open_loggers([f"tensorboard:{tmp_path}"]) as watch:
        watch(CHUNK)
    content = next(tmp_path.glob("events.out.tfevents.*")).read_bytes()
    assert b"running_loss" in content
    assert struct.pack("<f", 0.5) in content
