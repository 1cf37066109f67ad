"""One network that classifies and draws: the label is part of what is completed.

    python -m experiments.generation.run [--data mnist] [--table]

The visible layer has the pixels and one neuron for each class. In training, pixels, the label or both are missing at
random, and the squared error of what is missing is the cost, at equilibrium and by the implicit gradient. Then the
image is clamped and the label free, or the label clamped and the pixels free. What is stored is not trained again.
"""

import argparse
import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from experiments.runs import markdown
from jaxtyping import Array, Bool, Float

import hopfax
from hopfax import Method
from hopfax.data import Dataset, load
from hopfax.figures import images_figure
from hopfax.networks import HAM, PartialClamp
from hopfax.training import CompletionJob, CompletionRecipe, FromGaussian, TrainState, fit
from hopfax.training.job import read_result, stored_or_made
from hopfax.training.masks import AbstractMasks, ScatteredPixels

HERE = Path(__file__).parent
FIGURE = HERE.parents[1] / "docs" / "images" / "generation.png"
TESTED, STARTS = 1000, 8  # test images; random starts of each class
FRACTIONS = (0.0, 0.02, 0.05, 0.1, 0.3)  # of the pixels that are known beside the label
EXACT = Method(rtol=1e-4, max_steps=500)
SHOWN = 0.05


@dataclasses.dataclass(frozen=True)
class Config:
    """Sizes and training."""

    data: str = "mnist"
    hidden: int = 512
    factors: int = 512
    epochs: int = 4
    batch: int = 64
    seed: int = 0


class PixelsOrLabel(AbstractMasks):
    """For two images of five only the label is missing, for one all pixels are, and for two random pixels.

    In the last case half of the labels are missing too.

    Args:
        pixels: of an image; the elements after them are the label.
        scattered: how many pixels are missing in the last case.
    """

    pixels: int = eqx.field(static=True)
    scattered: ScatteredPixels = ScatteredPixels()

    def check(self, shape: tuple[int, ...]) -> None:
        return

    def draw(self, key: Array, shape: tuple[int, ...]) -> Bool[Array, "..."]:
        kind_key, pixel_key, label_key = jr.split(key, 3)
        kind = jr.randint(kind_key, (), 0, 5)
        scattered = self.scattered.draw(pixel_key, (self.pixels,))
        image = jnp.where(kind < 2, True, jnp.where(kind == 2, False, scattered))
        label = jnp.where(kind < 2, False, (kind == 2) | jr.bernoulli(label_key))
        return jnp.concatenate([image, jnp.full(shape[0] - self.pixels, label)])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--epochs", type=int, default=Config.epochs)
    parser.add_argument("--hidden", type=int, default=Config.hidden)
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--figure", type=Path, default=FIGURE)
    parser.add_argument("--table", action="store_true", help="what is stored, in Markdown, and no training")
    options = parser.parse_args(arguments)
    path = options.results / f"{options.data}.json"
    if not options.table:
        config = Config(options.data, options.hidden, epochs=options.epochs)
        stored_or_made(path, dataclasses.asdict(config), lambda: measure(config, options.figure))
    print(table(read_result(path)))


def measure(config: Config, figure: Path) -> dict[str, Any]:
    """The numbers of a network that is trained here; its pictures go to `figure`."""
    data = load(config.data)
    network, metrics = train(config, data)
    pictures = drawn(network, data, jr.key(1))
    images_figure(rows_of_pictures(network, data, pictures[0])).savefig(figure)
    return {
        "metrics": metrics,
        "classification": classification(network, data),
        "drawing": drawing(network, data, pictures),
        "completion": [completion(network, data, fraction) for fraction in FRACTIONS],
    }


def with_labels(images: np.ndarray, labels: np.ndarray, classes: int) -> Float[np.ndarray, "images visible"]:
    """Rows of pixels followed by the one-hot label."""
    return np.concatenate([images, np.eye(classes, dtype=np.float32)[labels]], axis=1)


def train(config: Config, data: Dataset) -> tuple[HAM, list[dict[str, float]]]:
    """The network after the last epoch, and the means of each epoch."""
    rows = with_labels(data.train_images, data.train_labels, data.classes)
    size = rows.shape[1]
    recipe = CompletionRecipe(
        layers=(size, config.hidden),
        initialisation=FromGaussian(min(config.factors, size)),
        masks=PixelsOrLabel(data.train_images.shape[1]),
        epochs=config.epochs,
        batch_size=config.batch,
        seed=config.seed,
    )
    test = with_labels(data.test_images, data.test_labels, data.classes)
    joint = Dataset(config.data, rows, data.train_labels, test, data.test_labels, image_shape=(size,))
    trainer = CompletionJob(recipe, joint).trainer()
    begin = TrainState.begin(recipe.network(joint), trainer, key=jr.key(config.seed))
    epochs = []
    for state, means in fit(trainer, begin, rows, data.train_labels, epochs=config.epochs):
        print({name: round(value, 4) for name, value in means.items()}, flush=True)
        epochs.append((state.model, means))
    return epochs[-1][0], [means for _, means in epochs]


@eqx.filter_jit
def relaxed(network: HAM, rows: Array, known: Array, guess: Array) -> tuple[Array, Array]:
    """The visible activations at equilibrium with the known elements clamped, and which examples converged."""
    start = {"visible": jnp.where(known, rows, guess)}
    equilibrium = hopfax.relax(network, {"visible": PartialClamp(rows, known)}, start=start, method=EXACT)
    return equilibrium.activation["visible"], equilibrium.converged


def read(network: HAM, images: Array, classes: int) -> tuple[Array, Array]:
    """Pixels clamped, label free: the class that the network reads in each image, and which converged."""
    pixels = images.shape[1]
    rows = jnp.concatenate([images, jnp.zeros((len(images), classes))], axis=1)
    known = jnp.broadcast_to(jnp.arange(rows.shape[1]) < pixels, rows.shape)
    visible, converged = relaxed(network, rows, known, jnp.full_like(rows, 1 / classes))
    return jnp.argmax(visible[:, pixels:], axis=1), converged


def classification(network: HAM, data: Dataset) -> dict[str, float]:
    """The share of test images that are read as a wrong class, and the share that converged."""
    labels, converged = read(network, jnp.asarray(data.test_images), data.classes)
    return {"error": float(jnp.mean(labels != data.test_labels)), "converged": float(jnp.mean(converged))}


def drawn(network: HAM, data: Dataset, key: Array) -> tuple[Array, Array, float]:
    """Label clamped, pixels free: (classes, starts, pixels) from noise; the seconds of one picture."""
    pixels, classes = data.test_images.shape[1], data.classes
    labels = np.repeat(np.arange(classes), STARTS)
    rows = jnp.asarray(with_labels(np.zeros((len(labels), pixels), np.float32), labels, classes))
    known = jnp.broadcast_to(jnp.arange(rows.shape[1]) >= pixels, rows.shape)
    arguments = rows, known, jr.uniform(key, rows.shape)
    jax.block_until_ready(relaxed(network, *arguments))
    start = time.perf_counter()
    visible, converged = jax.block_until_ready(relaxed(network, *arguments))
    seconds = (time.perf_counter() - start) / len(labels)
    shape = (classes, STARTS)
    return visible[:, :pixels].reshape(*shape, pixels), converged.reshape(shape), seconds


def class_means(data: Dataset) -> Float[np.ndarray, "classes pixels"]:
    return np.stack([data.train_images[data.train_labels == label].mean(0) for label in range(data.classes)])


def drawing(network: HAM, data: Dataset, pictures: tuple[Array, Array, float]) -> dict[str, float]:
    """How the pictures from the label alone differ: from the mean of the class, and from start to start.

    All are squared distances over that of a test image from the mean of its class, means over classes.
    """
    images, converged, seconds = pictures
    means = class_means(data)
    spread = np.mean(np.sum((data.test_images - means[data.test_labels]) ** 2, axis=1))
    distance = lambda a, b: float(jnp.mean(jnp.sum((a - b) ** 2, axis=-1)) / spread)
    labels, _ = read(network, images.reshape(-1, images.shape[-1]), data.classes)
    right = labels.reshape(converged.shape) == jnp.arange(data.classes)[:, None]
    return {
        "converged": float(jnp.mean(converged)),
        "from the class mean": distance(images, means[:, None]),
        "from start to start": distance(images, images.mean(axis=1, keepdims=True)),
        "read as its class": float(jnp.mean(right)),
        "milliseconds": 1000 * seconds,
    }


def completed(network: HAM, data: Dataset, fraction: float, labels: np.ndarray | None) -> tuple[Array, ...]:
    """Test images with this fraction of their pixels known, and the labels, or none: images, masks, converged."""
    images = data.test_images[:TESTED]
    pixels, classes = images.shape[1], data.classes
    rows = jnp.asarray(with_labels(images, data.test_labels[:TESTED] if labels is None else labels, classes))
    pixel = jr.uniform(jr.key(2), images.shape) < fraction
    label = jnp.full((len(images), classes), labels is not None)
    known = jnp.concatenate([pixel, label], axis=1)
    visible, converged = relaxed(network, rows, known, jr.uniform(jr.key(3), rows.shape))
    return visible[:, :pixels], pixel, converged


def completion(network: HAM, data: Dataset, fraction: float) -> dict[str, float]:
    """Squared error, summed over the missing pixels, with the label, without it, and with a wrong one."""
    images, labels = data.test_images[:TESTED], data.test_labels[:TESTED]
    labels_of = {"label": labels, "no label": None, "wrong label": (labels + 1) % data.classes}
    row = {"known": fraction}
    for name, chosen in labels_of.items():
        filled, known, converged = completed(network, data, fraction, chosen)
        row[name] = float(jnp.mean(jnp.sum(jnp.where(known, 0, (filled - images) ** 2), axis=1)))
        row[f"{name}, converged"] = float(jnp.mean(converged))
    means = class_means(data)[labels]
    row["class mean"] = float(np.mean(np.sum(np.where(known, 0, (means - images) ** 2), axis=1)))
    return row


def rows_of_pictures(network: HAM, data: Dataset, images: Array) -> list[tuple[str, np.ndarray]]:
    """One digit of each class: its mean, the label alone from two starts, the label and some pixels, the image."""
    first = np.array([int(np.argmax(data.test_labels == label)) for label in range(data.classes)])
    first = first if (first < TESTED).all() else np.arange(data.classes)
    filled, known, _ = completed(network, data, SHOWN, data.test_labels[:TESTED])
    square = lambda rows: np.asarray(rows).reshape(-1, *data.image_shape)
    seen = np.where(np.asarray(known)[first], data.test_images[first], np.nan)
    return [
        ("mean of the class", square(class_means(data))),
        ("label, first start", square(images[:, 0])),
        ("label, second start", square(images[:, 1])),
        (f"{SHOWN:.0%} of the pixels", square(seen)),
        ("these and the label", square(filled[first])),
        ("test image", square(data.test_images[first])),
    ]


def table(result: dict[str, Any]) -> str:
    """The errors of completion, in Markdown."""
    names = ("label", "no label", "wrong label", "class mean")
    rows = (
        [f"{100 * row['known']:.0f} %", *(f"{row[name]:.1f}" for name in names)]
        for row in result["completion"]
    )
    return markdown(("known pixels", *names), rows)


if __name__ == "__main__":
    main()
