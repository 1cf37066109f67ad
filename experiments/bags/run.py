"""Hopfield pooling of sets, beside attention pooling and mean pooling with as many weights.

    python -m experiments.bags.run [--only mnist] [--seeds 5] [--smoke] [--table]

Three tasks: bit patterns, latch sequences, and bags of MNIST images of different size. Each result is the accuracy on
test bags after the last epoch, for every seed; a seed has its own weights, order and bags. What the JSON of a task has
is not done again.
"""

import argparse
import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from experiments.backpropagation import AbstractBackpropagation
from experiments.runs import dataset_of, markdown

from hopfax.training import Trainer, TrainState, train_chunks
from hopfax.training.job import stored_or_made

from .models import POOLS, BagClassifier, build, weights
from .tasks import Bags, bit_patterns, digit_bags, latch, signals

HERE = Path(__file__).parent


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """A task and its training.

    Attributes:
        name: of the task.
        make: bags, from their number, a generator, and whether they are for the test.
        trained, tested: how many bags.
        hidden: neurons of the embedding in front of Hopfield pooling.
    """

    name: str
    make: Callable[[int, np.random.Generator, bool], Bags]
    trained: int
    tested: int
    epochs: int
    hidden: int = 32
    batch: int = 32
    learning_rate: float = 2e-3

    def json(self) -> dict[str, Any]:
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: value for name, value in fields.items() if name != "make"}


def configs() -> tuple[Config, ...]:
    """Sizes of the examples of hopfield-layers and of Ilse et al."""
    return (
        Config(name="bits", make=bits(8, 8, 8, 24), trained=2048, tested=1024, epochs=100),
        Config(name="latch", make=sequences(32, 20), trained=4096, tested=1024, epochs=20),
        Config(name="mnist", make=digits("mnist", 9, 10), trained=1000, tested=1000, epochs=60, hidden=64),
    )


def smoke() -> tuple[Config, ...]:
    """Seconds, on easier tasks."""
    options = {"trained": 512, "tested": 256, "learning_rate": 1e-2}
    return (
        Config(name="bits", make=bits(6, 2, 3, 6), epochs=12, **options),
        Config(name="latch", make=sequences(8, 6), epochs=4, **options),
        Config(name="mnist", make=digits("digits", 0, 5), epochs=6, **options),
    )


def bits(width: int, count: int, smallest: int, largest: int):
    """Bit patterns; the signals are the same for training and test."""
    chosen = signals(count, width, np.random.default_rng(43))
    return lambda bags, rng, test: bit_patterns(bags, chosen, rng, smallest=smallest, largest=largest)


def sequences(length: int, characters: int):
    """Latch sequences."""
    return lambda bags, rng, test: latch(bags, rng, length=length, characters=characters)


def digits(data: str, target: int, mean: float):
    """Bags of the training images for training, and of the test images for the test."""

    def make(bags: int, rng: np.random.Generator, test: bool) -> Bags:
        dataset = dataset_of(data)
        images, classes = (
            (dataset.test_images, dataset.test_labels)
            if test
            else (dataset.train_images, dataset.train_labels)
        )
        return digit_bags(images, classes, bags, rng, target=target, mean=mean)

    return make


class BagTask(AbstractBackpropagation):
    """The mean logistic loss; an example is the number of a bag."""

    names: ClassVar[tuple[str, ...]] = ("loss", "accuracy")
    rows: jax.Array
    members: jax.Array
    mask: jax.Array

    def draw(self, model, images, labels, key):
        chosen = images[:, 0].astype(int)
        return self.rows[self.members[chosen]], self.mask[chosen], labels

    def numbers(self, model, examples):
        *bags, labels = examples
        logits = jax.vmap(model)(*bags)
        losses = optax.sigmoid_binary_cross_entropy(logits, labels)
        return jnp.mean(losses), jnp.mean((logits > 0) == labels)


def train(config: Config, model: BagClassifier, bags: Bags, seed: int) -> tuple[BagClassifier, float]:
    """The trained model and its accuracy on the training bags in the last epoch."""
    steps = config.epochs * (len(bags.labels) // config.batch)
    optimiser = optax.adam(optax.cosine_decay_schedule(config.learning_rate, steps))
    task = BagTask(*(jnp.asarray(x) for x in (bags.rows, bags.members, bags.mask)))
    trainer = Trainer(optimiser, task, config.batch)
    state = TrainState.begin(model, trainer, key=jr.key(seed))
    numbers = np.arange(len(bags.labels), dtype=np.float32)[:, None]
    for chunk in train_chunks(trainer, state, numbers, bags.labels, epochs=config.epochs, per_epoch=1):
        model, means = chunk.state.copy().model, chunk.means()
    return model, means["accuracy"]


def accuracy(model: BagClassifier, bags: Bags) -> float:
    """The fraction of the bags whose logit has the right sign."""
    logit = lambda members, mask: model(jnp.asarray(bags.rows)[members], mask)
    logits = jax.jit(lambda *pair: jax.lax.map(lambda one: logit(*one), pair, batch_size=100))
    return float(np.mean((np.asarray(logits(bags.members, bags.mask)) > 0) == bags.labels))


def measure(config: Config, name: str, seed: int) -> dict[str, float]:
    """One model, trained from one seed."""
    training, test = (
        config.make(count, np.random.default_rng((seed, part)), bool(part))
        for part, count in enumerate((config.trained, config.tested))
    )
    model = build(name, training.rows.shape[1], config.hidden, jr.key(seed))
    model, trained = train(config, model, training, seed)
    return {"accuracy": accuracy(model, test), "train accuracy": trained, "weights": weights(model)}


def run(config: Config, seeds: int) -> dict[str, Any]:
    """Every model from every seed, with mean and standard deviation of the accuracy."""
    models = {}
    for name in POOLS:
        runs = [measure(config, name, seed) for seed in range(seeds)]
        values = [one["accuracy"] for one in runs]
        spread = float(np.std(values, ddof=1)) if seeds > 1 else None
        models[name] = {"accuracy": float(np.mean(values)), "spread": spread, "seeds": runs}
        print(f"{config.name}, {name}: {models[name]['accuracy']:.4f}, spread {spread}", flush=True)
    return {"models": models}


def table(results: Path) -> str:
    """One row for each task, in Markdown, from the JSON alone."""
    contents = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(results.glob("*.json"))]
    rows = ([result["config"]["name"], *map(_entry, result["models"].values())] for result in contents)
    return markdown(("task", *POOLS), rows)


def _entry(model: dict[str, Any]) -> str:
    spread = f" ± {100 * model['spread']:.1f}" if model["spread"] is not None else ""
    return f"{100 * model['accuracy']:.1f}{spread}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="tasks whose names begin so")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="seconds, on easier tasks")
    parser.add_argument("--table", action="store_true", help="what is stored, in Markdown, and no training")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the JSON")
    options = parser.parse_args(arguments)
    for config in [] if options.table else smoke() if options.smoke else configs():
        if config.name.startswith(options.only):
            settings = {**config.json(), "seeds": options.seeds}
            make = lambda config=config: run(config, options.seeds)
            stored_or_made(options.results / f"{config.name}.json", settings, make)
    print(table(options.results))


if __name__ == "__main__":
    main()
