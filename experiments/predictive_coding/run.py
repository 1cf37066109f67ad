"""Predictive coding beside backpropagation of the same network, on MNIST.

    python -m experiments.predictive_coding.run [--only errors] [--seeds 3] [--epochs 10] [--smoke] [--table]

784-256-256-10 with tanh, squared error, Adam. Five rules from equal first weights and batches: backpropagation;
predictive coding with the output clamped, inferred in the states and in the errors; and the gradient at a weak nudge,
inferred in both. Writes one JSON for each run; what is there is not done again.
"""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from experiments.backpropagation import AbstractBackpropagation
from experiments.runs import by_setting, dataset_of, markdown
from jaxtyping import Array

from hopfax import HAM, Method
from hopfax.costs import SquaredError
from hopfax.data import Dataset
from hopfax.gradients import EquilibriumPropagation, PredictiveCoding
from hopfax.gradients.base import AbstractGradient
from hopfax.networks import Prediction, predictive_coding
from hopfax.solvers import FeedForward
from hopfax.training import Classification, Trainer, TrainState, fit
from hopfax.training.job import stored_or_made
from hopfax.training.task import AbstractTask
from hopfax.updates import AbstractUpdate, Coloured, Damped, ErrorOptimisation

HERE = Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Config:
    """One run."""

    rule: str
    data: str = "mnist"
    layers: tuple[int, ...] = (784, 256, 256, 10)
    epochs: int = 10
    batch: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    rtol: float = 1e-4
    sweeps: int = 50
    beta: float = 0.1
    seed: int = 0

    @property
    def name(self) -> str:
        return f"{self.rule}-seed{self.seed}"

    def stored(self) -> dict[str, Any]:
        """The settings in types that JSON has."""
        return {**dataclasses.asdict(self), "layers": list(self.layers), "steps": STEPS}


class Backpropagation(AbstractBackpropagation):
    """The same cost of the feed-forward pass."""

    names: ClassVar[tuple[str, ...]] = ("loss",)
    classes: int = eqx.field(static=True)

    def numbers(self, model: HAM, examples: tuple[Array, Array]) -> tuple[Array]:
        images, labels = examples
        errors = feed_forward(model, images) - jax.nn.one_hot(labels, self.classes)
        return (0.5 * jnp.mean(jnp.sum(jnp.square(errors), axis=1)),)


def feed_forward(model: HAM, images: Array) -> Array:
    """The outputs of the network, which are those of the equilibrium with the input clamped."""
    for synapse in model.synapses.values():
        images = jax.vmap(cast(Prediction, synapse).predict)(images)
    return images


# With the settings of the other rules the weights grow where the output is clamped, until inference does not converge.
CLAMPED = {"learning_rate": 5e-4, "weight_decay": 0.1, "rtol": 1e-3}
# Larger steps in the errors are rejected where the output is clamped, once the derivative of the output has grown.
STEPS = {"states": 0.2, "errors": 0.05}


def task(config: Config) -> AbstractTask:
    """What is trained by the rule of a run."""
    if config.rule == "backpropagation":
        return Backpropagation(config.layers[-1])
    inference, _, kind = config.rule.partition("-")
    step = STEPS[inference]
    updates: dict[str, AbstractUpdate] = {
        "states": Damped(Coloured(), step),
        "errors": ErrorOptimisation(step),
    }
    gradients: dict[str, AbstractGradient] = {
        "clamped": PredictiveCoding(),
        "nudged": EquilibriumPropagation(config.beta),
    }
    # A residual is a step of the update.
    method = Method(
        update=updates[inference],
        gradient=gradients[kind],
        rtol=step * config.rtol,
        max_steps=config.sweeps,
        start=FeedForward(),
    )
    return Classification(method, SquaredError())


RULES = ("backpropagation", "errors-clamped", "states-clamped", "errors-nudged", "states-nudged")


def measure(config: Config, data: Dataset) -> dict[str, Any]:
    """Train, and test after each epoch."""
    model = predictive_coding(config.layers, key=jr.key(config.seed))
    batches = len(data.train_labels) // config.batch
    schedule = optax.cosine_decay_schedule(config.learning_rate, config.epochs * batches)
    trainer = Trainer(optax.adamw(schedule, weight_decay=config.weight_decay), task(config), config.batch)
    state = TrainState.begin(model, trainer, key=jr.key(config.seed + 1))
    images, labels = jnp.asarray(data.test_images), jnp.asarray(data.test_labels)
    error = eqx.filter_jit(lambda m: jnp.mean(jnp.argmax(feed_forward(m, images), axis=1) != labels))
    epochs = []
    for after, means in fit(trainer, state, data.train_images, data.train_labels, epochs=config.epochs):
        epochs.append({**means, "test_error": float(error(after.model))})
        print(f"{config.name}: " + ", ".join(f"{k} {v:.4g}" for k, v in epochs[-1].items()), flush=True)
    return {"name": config.name, "test_error": epochs[-1]["test_error"], "epochs": epochs}


def table(results: Path) -> str:
    """One row for each rule and its seeds, in Markdown, from the JSON alone."""
    groups = by_setting(results)
    rows = (_row(rule, groups[rule]) for rule in RULES if rule in groups)
    return markdown(("rule", "test error, %, of each seed", "mean", "seconds an epoch"), rows)


def _row(rule: str, group: Sequence[dict[str, Any]]) -> list[str]:
    errors = [100 * result["test_error"] for result in group]
    seconds = min(epoch["seconds"] for result in group for epoch in result["epochs"])
    listed = ", ".join(f"{error:.2f}" for error in errors)
    return [rule, listed, f"{sum(errors) / len(errors):.2f}", f"{seconds:.1f}"]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="rules whose names begin so")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--smoke", action="store_true", help="seconds on small digits, to see that it runs")
    parser.add_argument("--table", action="store_true", help="what is stored, in Markdown, and no training")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the JSON")
    options = parser.parse_args(arguments)
    if options.table:
        print(table(options.results))
        return
    small = (
        {"data": "digits", "layers": (64, 32, 32, 10), "epochs": 3, "learning_rate": 0.01}
        if options.smoke
        else {}
    )
    for seed in range(1 if options.smoke else options.seeds):
        for rule in (rule for rule in RULES if rule.startswith(options.only)):
            own = CLAMPED if rule.endswith("clamped") else {}
            config = Config(rule, **{"epochs": options.epochs, "seed": seed, **own, **small})
            make = lambda config=config: measure(config, dataset_of(config.data))
            stored_or_made(options.results / f"{config.name}.json", config.stored(), make)


if __name__ == "__main__":
    main()
