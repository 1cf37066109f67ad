"""What reads files, each with small valid files to damage: for fuzzing in the tests and by `tools/fuzz.py`."""

import gzip
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import scipy.io

from hopfax import Memory, chain, load_model, save_model
from hopfax.apps.cli.arrays import read_rows
from hopfax.data import read_idx
from hopfax.data.formats import parse_cifar, parse_street_view
from hopfax.lagrangians import Tanh
from hopfax.memory.files import read_memory
from hopfax.networks.files import DESCRIPTION, WEIGHTS
from hopfax.training.architecture import Architecture
from hopfax.training.checkpoint import load_checkpoint, save_checkpoint
from hopfax.training.classifier import ClassificationMetrics, read_recipe
from hopfax.training.job import RESULT
from hopfax.training.metrics import MetricsFile
from hopfax.training.recipes import SETTINGS, goemaere2023

OWN = (ValueError, OSError)  # a `DataError` is among the first
SLACK = 4 * 2**20  # bytes that a reader may need for itself
TIMES = 64  # so many times its size may a file take in memory while it is read


class Reader(NamedTuple):
    """`read` is given an empty folder and the content of a damaged file."""

    valid: bytes
    read: Callable[[Path, bytes], object]


def attempt(reader: Reader, content: bytes) -> None:
    """Read `content`; what is not one of hopfax's own errors gets through."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            reader.read(Path(folder), content)
        except OWN:
            return


def as_file(name: str, read: Callable[[Path], object]) -> Callable[[Path, bytes], object]:
    def call(folder: Path, content: bytes) -> object:
        (folder / name).write_bytes(content)
        return read(folder / name)

    return call


def in_model(name: str) -> Callable[[Path, bytes], object]:
    """Reading a model of which one file is damaged."""

    def call(folder: Path, content: bytes) -> object:
        for other, whole in MODEL.items():
            (folder / other).write_bytes(content if other == name else whole)
        return load_model(folder)

    return call


def written(write: Callable[[Path], object]) -> bytes:
    """What a function writes to a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        write(path)
        return path.read_bytes()


def _model() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        save_model(chain((2, 3, 2), key=jr.key(0)), folder)
        return {name: (Path(folder) / name).read_bytes() for name in (DESCRIPTION, WEIGHTS)}


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _mat() -> bytes:
    stream = io.BytesIO()
    variables = {"X": np.ones((32, 32, 3, 1), np.uint8), "y": np.ones((1, 1), np.uint8)}
    scipy.io.savemat(stream, variables, do_compression=True)
    return stream.getvalue()


MODEL = _model()
TREE = {"a": jnp.zeros((2, 3), jnp.float32), "key": jr.key(1)}
IDX = b"\0\0\x08\x02" + (3).to_bytes(4, "big") + (4).to_bytes(4, "big") + bytes(range(12))
RUN = json.dumps({"config": {**goemaere2023().config(), "data": "digits", "train_examples": 9}}).encode()
ROW = (
    b'{"epoch": 1, "step": 2, "loss": 0.5, "train_accuracy": 1.0, '
    b'"mean_steps": 3.0, "did_not_converge": 0, "seconds": 1.0}\n'
)
SETTING = json.dumps(SETTINGS.to_dict(Architecture(input=Tanh(2.0), weight_scale=1.5))).encode()

READERS = {
    "idx": Reader(IDX, as_file("x", read_idx)),
    "idx, gzipped": Reader(gzip.compress(IDX, mtime=0), as_file("x", read_idx)),
    "cifar": Reader(bytes(2 * 3073), lambda _, content: parse_cifar(content, "x")),
    "svhn": Reader(_mat(), lambda _, content: parse_street_view(content, "x")),
    "model.json": Reader(MODEL[DESCRIPTION], in_model(DESCRIPTION)),
    "weights.safetensors": Reader(MODEL[WEIGHTS], in_model(WEIGHTS)),
    "memory": Reader(
        written(Memory.store(np.eye(3, dtype=np.float32), 9.0, values=np.eye(3)).save),
        as_file("x", read_memory),
    ),
    "checkpoint": Reader(
        written(lambda path: save_checkpoint(path, TREE, {"config": {}, "rows": []})),
        as_file("x", lambda path: load_checkpoint(path, TREE)),
    ),
    "npy": Reader(_npy(np.eye(3)), as_file("x.npy", read_rows)),
    "csv": Reader(b"1.0,2.5,-3e4\n4,nan,6\n", as_file("x.csv", lambda path: read_rows(path, missing=True))),
    "metrics.jsonl": Reader(
        2 * ROW, as_file("x", lambda path: MetricsFile(path, ClassificationMetrics).read())
    ),
    "run.json": Reader(RUN, as_file(RESULT, lambda path: read_recipe(path.parent))),
    "settings": Reader(SETTING, lambda _, content: SETTINGS.from_dict(json.loads(content))),
}
