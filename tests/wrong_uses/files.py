"""Wrong uses of data, and files that are unreadable, damaged or hostile."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from safetensors.numpy import save_file

import hopfax
from hopfax import Interaction, Memory, data, load_model, save_model
from hopfax.apps.cli.arrays import read_rows
from hopfax.data import DataError, DataFile, Dataset, MissingDataError, Source, validation_split
from hopfax.training.checkpoint import load_checkpoint, read_metadata, save_checkpoint
from hopfax.training.classifier import ClassificationMetrics, read_recipe
from hopfax.training.metrics import MetricsFile
from hopfax.training.recipes import SETTINGS
from hopfax.training.run_folder import open_run_folder

from .networks import LAYERS, tiny
from .table import Row

IMAGES, LABELS = np.zeros((4, 6), np.float32), np.zeros(4, np.int32)


def dataset(images=IMAGES, labels=LABELS, **options) -> Dataset:
    return Dataset("small", images, labels, IMAGES, LABELS, **{"image_shape": (2, 3), **options})


def source(name="small", digest="0" * 64, mirror="https://example.org/") -> Source:
    file = DataFile("train-images", 1, digest)
    return Source(name=name, description="", files=(file, file, file, file), mirrors=(mirror,))


def with_file(name: str, content: bytes | str, use: Callable[[Path], object]) -> Callable[[Path], object]:
    """A call of `use` on a file with this content."""

    def call(folder: Path) -> object:
        path = folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return use(path)

    return call


def with_array(name: str, array: np.ndarray, use: Callable[[Path], object]) -> Callable[[Path], object]:
    def call(folder: Path) -> object:
        np.save(folder / name, array, allow_pickle=array.dtype == object)
        return use(folder / name)

    return call


def with_model(change: Callable[[dict, Path], object]) -> Callable[[Path], object]:
    """A call of `load_model` on a saved model with a changed description."""

    def call(folder: Path) -> object:
        save_model(tiny(), folder)
        description = json.loads((folder / "model.json").read_text())
        change(description, folder)
        (folder / "model.json").write_text(json.dumps(description))
        return load_model(folder)

    return call


def with_weights(change: Callable[[dict], object]) -> Callable[[Path], object]:
    """A call of `load_model` on a saved model with changed weights."""

    def call(folder: Path) -> object:
        from safetensors.numpy import load_file

        save_model(tiny(), folder)
        arrays = load_file(folder / "weights.safetensors")
        change(arrays)
        save_file(arrays, folder / "weights.safetensors")
        return load_model(folder)

    return call


def with_tensors(
    use: Callable[[Path], object], about: dict | None = None, **tensors
) -> Callable[[Path], object]:
    def call(folder: Path) -> object:
        save_file({name: np.asarray(value) for name, value in tensors.items()}, folder / "file", about)
        return use(folder / "file")

    return call


def checkpoint(template) -> Callable[[Path], object]:
    """A call that loads a checkpoint of two numbers into another tree."""

    def call(folder: Path) -> object:
        save_checkpoint(folder / "c", {"a": jnp.zeros(2)}, {})
        return load_checkpoint(folder / "c", template)

    return call


ABOUT = {"format": "hopfax memory", "version": "1", "similarity": "dot"}
ROWS_2 = np.eye(2, dtype=np.float32)
BOMB = b"\0\0\x08\x03" + b"\xff" * 12 + b"x"

ROWS = [
    Row(
        "records with half a label",
        lambda _: data.CifarRecords(label_bytes=0.5),
        ValueError,
        r"CifarRecords\(label_bytes=0\.5\)",
    ),
    Row(
        "data set of raw pixels",
        lambda _: dataset(np.zeros((4, 6), np.uint8)),
        DataError,
        r"train_images.*float32.*uint8.*divide",
    ),
    Row(
        "data set with values above one",
        lambda _: dataset(IMAGES + 255),
        DataError,
        r"train_images.*\[0, 1\].*255",
    ),
    Row("data set with NaN", lambda _: dataset(IMAGES * np.nan), DataError, r"train_images.*nan"),
    Row("data set with another image shape", lambda _: dataset(image_shape=(3, 3)), DataError, r"\(n, 9\)"),
    Row(
        "data set with labels from one",
        lambda _: dataset(labels=LABELS + 10),
        DataError,
        r"train_labels.*\[0, 10\)",
    ),
    Row(
        "data set with a label missing",
        lambda _: dataset(labels=LABELS[:3]),
        DataError,
        r"train_labels.*4 images",
    ),
    Row(
        "data set with long labels",
        lambda _: dataset(labels=LABELS.astype(np.int64)),
        DataError,
        r"int32.*int64",
    ),
    Row(
        "data set of lists", lambda _: dataset(IMAGES.tolist()), DataError, r"train_images.*NumPy array.*list"
    ),
    Row("data set with no classes", lambda _: dataset(classes=0), DataError, r"classes.*at least 1.*0"),
    Row(
        "validation split of everything",
        lambda _: validation_split(dataset(), 4),
        ValueError,
        r"size.*between 1 and 3.*got 4",
    ),
    Row(
        "validation split of half an example",
        lambda _: validation_split(dataset(), 1.5),
        ValueError,
        r"size=1\.5.*whole",
    ),
    Row(
        "validation split with a negative seed",
        lambda _: validation_split(dataset(), 1, -1),
        ValueError,
        r"seed.*-1",
    ),
    Row("unknown data set", lambda _: data.load("mnsit"), ValueError, r"'mnsit'.*digits, mnist"),
    Row("data set by number", lambda _: data.load(3), ValueError, r"3.*digits, mnist"),
    Row(
        "data set that is missing",
        lambda d: data.load_source(source(), d, download=False),
        MissingDataError,
        r"train-images not found.*HOPFAX_DATA",
    ),
    Row(
        "source with a path as its name",
        lambda _: source(name="../x"),
        ValueError,
        r"'\.\./x'.*plain file name",
    ),
    Row("source with a short hash", lambda _: source(digest="abc"), ValueError, r"'abc'.*SHA-256"),
    Row(
        "source without https",
        lambda _: source(mirror="http://example.org/"),
        ValueError,
        r"http://example\.org/.*https",
    ),
    Row("missing idx file", lambda d: data.read_idx(d / "x"), DataError, r"cannot be read.*FileNotFound"),
    Row("idx file that is a folder", lambda d: data.read_idx(d), DataError, r"cannot be read"),
    Row("empty idx file", with_file("x", b"", data.read_idx), DataError, r"begins with nothing"),
    Row("idx file of text", with_file("x", "hello", data.read_idx), DataError, r"not an idx file"),
    Row(
        "idx file of floats",
        with_file("x", b"\0\0\x0d\x01\0\0\0\1abcd", data.read_idx),
        DataError,
        r"unsigned bytes",
    ),
    Row(
        "idx file that ends inside its header",
        with_file("x", b"\0\0\x08\x02\0\0\0\1", data.read_idx),
        DataError,
        r"ends inside its header",
    ),
    Row(
        "idx file that is too short",
        with_file("x", b"\0\0\x08\x01\0\0\0\5abc", data.read_idx),
        DataError,
        r"announces 5 bytes.*only 3",
    ),
    Row(
        "idx file that is too long",
        with_file("x", b"\0\0\x08\x01\0\0\0\1abc", data.read_idx),
        DataError,
        r"announces 1 bytes.*more",
    ),
    Row(
        "idx file of no images",
        with_file("x", b"\0\0\x08\x01\0\0\0\0", data.read_idx),
        DataError,
        r"is empty",
    ),
    Row(
        "idx file that announces an enormous array",
        with_file("x", BOMB, data.read_idx),
        DataError,
        r"announces \d{20,} bytes",
    ),
    Row(
        "idx file that unpacks to too much",
        with_file("x", gzip.compress(b"\0\0\x08\x01\0\0\0\1" + bytes(10**6)), data.read_idx),
        DataError,
        r"announces 1 bytes.*more",
    ),
    Row(
        "idx file that is half a gzip file",
        with_file("x", gzip.compress(b"\0\0\x08\x01\0\0\0\x64" + bytes(range(100)))[:60], data.read_idx),
        DataError,
        r"cannot be read",
    ),
    Row("missing model", load_model, ValueError, r"model\.json.*cannot be read.*FileNotFound"),
    Row(
        "model that is not JSON",
        with_file("model.json", "{", lambda p: load_model(p.parent)),
        ValueError,
        r"model\.json.*JSONDecodeError",
    ),
    Row(
        "model that is a list",
        with_file("model.json", "[]", lambda p: load_model(p.parent)),
        ValueError,
        r"schema None, expected 1",
    ),
    Row(
        "model nested too deeply",
        with_file("model.json", "[" * 10**5, lambda p: load_model(p.parent)),
        ValueError,
        r"model\.json.*cannot be read",
    ),
    Row(
        "model of a later version",
        with_model(lambda d, _: d.update(schema=99)),
        ValueError,
        r"schema 99, expected 1.*hopfax that wrote it",
    ),
    Row(
        "model with an unknown network",
        with_model(lambda d, _: d.update(network="os.system")),
        ValueError,
        r"'os\.system'.*HAM, CHN",
    ),
    Row(
        "model with unknown neurons",
        with_model(lambda d, _: d["layers"][0]["lagrangian"].update(kind="eval")),
        ValueError,
        r"'input'.*'eval'.*known are",
    ),
    Row(
        "model without layers",
        with_model(lambda d, _: d.pop("layers")),
        ValueError,
        r"malformed.*KeyError 'layers'",
    ),
    Row(
        "model with layers of text", with_model(lambda d, _: d.update(layers="abc")), ValueError, r"malformed"
    ),
    Row(
        "model with a shape of text",
        with_model(lambda d, _: d["layers"][0].update(shape="no")),
        ValueError,
        r"shape=\('n', 'o'\)",
    ),
    Row(
        "model with an infinite slope",
        with_model(lambda d, _: d["layers"][0]["lagrangian"].update(slope=float("inf"))),
        ValueError,
        r"slope.*finite",
    ),
    Row(
        "model with an unknown parameter",
        with_model(lambda d, _: d["layers"][0]["lagrangian"].update(x=1)),
        ValueError,
        r"Sigmoid has the fields.*'x'",
    ),
    Row(
        "model with a synapse of three layers",
        with_model(lambda d, _: d["synapses"][0]["synapse"]["layers"].append("input")),
        ValueError,
        r"Dense.*joins two layers, got 3",
    ),
    Row(
        "model with a synapse to nowhere",
        with_model(lambda d, _: d["synapses"][0]["synapse"].update(layers=["input", "x"])),
        ValueError,
        r"unknown layer 'x'",
    ),
    Row(
        "model with no weights file",
        with_model(lambda _, folder: (folder / "weights.safetensors").unlink()),
        ValueError,
        r"weights\.safetensors.*cannot be read",
    ),
    Row(
        "model with damaged weights",
        with_model(lambda _, folder: (folder / "weights.safetensors").write_bytes(b"\xff" * 99)),
        ValueError,
        r"weights\.safetensors.*cannot be read.*SafetensorError",
    ),
    Row(
        "model with a weight missing",
        with_weights(lambda a: a.pop("synapses.input-hidden.weight")),
        ValueError,
        r"lacks synapses\.input-hidden\.weight, of shape \[2, 3\]",
    ),
    Row(
        "model with an unexpected weight",
        with_weights(lambda a: a.update(x=np.zeros(1))),
        ValueError,
        r"entries that the model lacks: x",
    ),
    Row(
        "model with a weight of a wrong shape",
        with_weights(lambda a: a.update({"synapses.input-hidden.weight": np.zeros((3, 2), np.float32)})),
        ValueError,
        r"\[2, 3\].*\[3, 2\]",
    ),
    Row(
        "model with integer weights",
        with_weights(lambda a: a.update({"synapses.input-hidden.weight": np.zeros((2, 3), np.int32)})),
        ValueError,
        r"floating point.*int32",
    ),
    Row(
        "model with a weight that is NaN",
        with_weights(
            lambda a: a.update({"synapses.input-hidden.weight": np.full((2, 3), np.nan, np.float32)})
        ),
        ValueError,
        r"synapses\.input-hidden\.weight.*NaN",
    ),
    Row(
        "saving an interaction",
        lambda d: save_model(
            hopfax.HAM(LAYERS, [Interaction(("a", "b"), lambda a, b: jnp.sum(a) * jnp.sum(b))]), d
        ),
        ValueError,
        r"'a-b' cannot be saved.*Interaction",
    ),
    Row("saving something that is not a network", lambda d: save_model("HAM", d), ValueError, r"model='HAM'"),
    Row(
        "missing memory file",
        lambda d: Memory.load(d / "x"),
        FileNotFoundError,
        r"does not exist.*Memory\.save",
    ),
    Row("memory file that is a folder", lambda d: Memory.load(d), (ValueError, OSError), r"os error|folder"),
    Row(
        "damaged memory file",
        with_file("x", b"\xff" * 99, Memory.load),
        ValueError,
        r"not a safetensors file",
    ),
    Row(
        "memory file of another format",
        with_tensors(Memory.load, patterns=ROWS_2),
        ValueError,
        r"format is None",
    ),
    Row(
        "memory file with an unknown similarity",
        with_tensors(Memory.load, {**ABOUT, "similarity": "eval"}, patterns=ROWS_2, beta=1.0),
        ValueError,
        r"similarity is 'eval'",
    ),
    Row(
        "memory file with NaN",
        with_tensors(Memory.load, ABOUT, patterns=ROWS_2 * np.nan, beta=1.0),
        ValueError,
        r"not all finite",
    ),
    Row(
        "memory file with a negative beta",
        with_tensors(Memory.load, ABOUT, patterns=ROWS_2, beta=-1.0),
        ValueError,
        r"beta is -1\.0, not positive",
    ),
    Row(
        "memory file with a vector for beta",
        with_tensors(Memory.load, ABOUT, patterns=ROWS_2, beta=np.ones(3)),
        ValueError,
        r"shapes.*\(3,\)",
    ),
    Row(
        "memory file with one pattern",
        with_tensors(Memory.load, ABOUT, patterns=ROWS_2[:1], beta=1.0),
        ValueError,
        r"two patterns or more",
    ),
    Row(
        "memory file with empty patterns",
        with_tensors(Memory.load, ABOUT, patterns=np.zeros((2, 0)), beta=1.0),
        ValueError,
        r"\(2, 0\)",
    ),
    Row(
        "memory file with the wrong number of values",
        with_tensors(Memory.load, ABOUT, patterns=ROWS_2, beta=1.0, values=np.zeros((3, 1))),
        ValueError,
        r"values, of shape \(3, 1\)",
    ),
    Row(
        "memory file loaded in chunks of zero",
        lambda d: (Memory.store(ROWS_2, 5.0).save(d / "m"), Memory.load(d / "m", chunk=0)),
        ValueError,
        r"`chunk=0`.*at least 1",
    ),
    Row(
        "saving a memory into a missing folder",
        lambda d: Memory.store(ROWS_2, 5.0).save(d / "no" / "m"),
        OSError,
        r"no",
    ),
    Row(
        "damaged checkpoint",
        with_file("c", b"\xff" * 99, lambda p: load_checkpoint(p, {})),
        ValueError,
        r"no whole checkpoint.*remove it",
    ),
    Row("missing checkpoint", lambda d: load_checkpoint(d / "c", {}), (ValueError, OSError), r"c"),
    Row(
        "checkpoint without metadata",
        with_tensors(read_metadata, x=np.zeros(1)),
        ValueError,
        r"no whole checkpoint.*hopfax",
    ),
    Row(
        "checkpoint with metadata that is not JSON",
        with_tensors(read_metadata, {"hopfax": "{"}, x=np.zeros(1)),
        ValueError,
        r"no whole checkpoint",
    ),
    Row(
        "checkpoint with metadata that is a list",
        with_tensors(read_metadata, {"hopfax": "[]"}, x=np.zeros(1)),
        ValueError,
        r"no whole checkpoint",
    ),
    Row(
        "checkpoint of another shape",
        checkpoint({"a": jnp.zeros(3)}),
        ValueError,
        r"a should be float32\[3\], is float32\[2\]",
    ),
    Row(
        "checkpoint of another tree",
        checkpoint({"b": jnp.zeros(2)}),
        ValueError,
        r"a is not expected; b is missing",
    ),
    Row(
        "folder in use",
        with_file("x", b"", lambda p: open_run_folder(p.parent, resume=False).__enter__()),
        ValueError,
        r"not empty.*--resume",
    ),
    Row(
        "folder that is a file",
        with_file("x", b"", lambda p: open_run_folder(p, resume=False).__enter__()),
        (ValueError, OSError),
        r"x",
    ),
    Row(
        "metrics that are not JSON",
        with_file("m", "{", lambda p: MetricsFile(p, ClassificationMetrics).read()),
        ValueError,
        r"line 1: Expecting",
    ),
    Row(
        "metrics with another field",
        with_file("m", '{"a": 1}', lambda p: MetricsFile(p, ClassificationMetrics).read()),
        ValueError,
        r"no row of metrics",
    ),
    Row(
        "metrics of a number",
        with_file("m", "3", lambda p: MetricsFile(p, ClassificationMetrics).read()),
        ValueError,
        r"line 1: 3 is no row of metrics",
    ),
    Row("run that is not finished", lambda d: read_recipe(d), ValueError, r"no run\.json.*--resume"),
    Row(
        "run file that is not JSON",
        with_file("run.json", "\xff{", lambda p: read_recipe(p.parent)),
        ValueError,
        r"run\.json.*malformed",
    ),
    Row(
        "run file that is a list",
        with_file("run.json", "[]", lambda p: read_recipe(p.parent)),
        ValueError,
        r"run\.json.*malformed",
    ),
    Row(
        "run file with a malformed recipe",
        with_file(
            "run.json",
            '{"config": {"layers": 3, "data": "x"}}',
            lambda p: read_recipe(p.parent),
        ),
        ValueError,
        r"run\.json.*no recipe",
    ),
    Row(
        "setting of an array",
        lambda _: SETTINGS.to_dict(np.zeros(2)),
        ValueError,
        r"cannot be written as a setting",
    ),
    Row(
        "setting of an unknown kind",
        lambda _: SETTINGS.from_dict({"kind": "os.system"}),
        ValueError,
        r"'os\.system' is unknown as a setting",
    ),
    Row(
        "setting with an unknown field",
        lambda _: SETTINGS.from_dict({"kind": "Tanh", "x": 1}),
        ValueError,
        r"Tanh has the fields",
    ),
    Row("missing npy file", lambda d: read_rows(d / "x.npy"), FileNotFoundError, r"is not a file"),
    Row(
        "damaged npy file", with_file("x.npy", b"\xff" * 99, read_rows), ValueError, r"cannot be read as npy"
    ),
    Row("empty npy file", with_file("x.npy", b"", read_rows), ValueError, r"cannot be read as npy"),
    Row(
        "npy file of objects",
        with_array("x.npy", np.array([None, 1], object), read_rows),
        ValueError,
        r"cannot be read as npy.*objects",
    ),
    Row(
        "npy file with three axes",
        with_array("x.npy", np.zeros((2, 2, 2)), read_rows),
        ValueError,
        r"shape \(2, 2, 2\).*matrix",
    ),
    Row(
        "npy file of text",
        with_array("x.npy", np.array([["a"]]), read_rows),
        ValueError,
        r"matrix of numbers",
    ),
    Row(
        "npy file of complex numbers",
        with_array("x.npy", np.zeros((2, 2), complex), read_rows),
        ValueError,
        r"complex",
    ),
    Row(
        "npy file with NaN",
        with_array("x.npy", np.full((2, 2), np.nan), read_rows),
        ValueError,
        r"unknown values.*in rows \[0, 1\]",
    ),
    Row("npy file with no rows", with_array("x.npy", np.zeros((0, 2)), read_rows), ValueError, r"\(0, 2\)"),
    Row(
        "csv file of words", with_file("x.csv", "a,b\nc,d\n", read_rows), ValueError, r"cannot be read as csv"
    ),
    Row(
        "csv file with a missing value",
        with_file("x.csv", "1,2\n3\n", read_rows),
        ValueError,
        r"cannot be read as csv",
    ),
    Row("empty csv file", with_file("x.csv", "", read_rows), ValueError, r"cannot be read as csv.*no rows"),
    Row(
        "csv file of bytes",
        with_file("x.csv", b"\xff\xfe\0", read_rows),
        ValueError,
        r"cannot be read as csv",
    ),
    Row(
        "patterns in a spreadsheet",
        with_file("x.xlsx", b"PK", read_rows),
        ValueError,
        r"must end in \.npy or \.csv",
    ),
]
