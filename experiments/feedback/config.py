"""The same networks with more and less feedback, from feed-forward ones nearly to symmetric ones."""

import dataclasses
from collections.abc import Iterator

from experiments.runs import Run

from hopfax.gradients import Implicit
from hopfax.training.recipes import Recipe, low_feedback

FEEDBACKS = (0.01, 0.03, 0.1, 0.3, 1.0)
DEPTHS = {"one": (784, 512, 10), "two": (784, 512, 512, 10)}
SEEDS, EPOCHS = 3, 5


def runs(only: str = "") -> Iterator[Run]:
    """All feedbacks at both depths, seed by seed; those whose names begin with `only`."""
    for seed in range(SEEDS):
        for depth, layers in DEPTHS.items():
            for feedback in FEEDBACKS:
                name = f"{depth}-{feedback}-seed{seed}"
                if name.startswith(only):
                    yield Run(name, dataclasses.replace(recipe(layers, feedback), seed=seed))


def smoke(only: str = "") -> Iterator[Run]:
    """Seconds on small digits, to see that it runs."""
    for feedback in (0.1, 1.0):
        small = dataclasses.replace(recipe((64, 16, 10), feedback), epochs=1)
        yield Run(f"one-{feedback}-seed0", small, "digits")


def recipe(layers: tuple[int, ...], feedback: float) -> Recipe:
    """Our recipe with smaller first weights and the implicit gradient, exact at every feedback.

    With the first weights of the recipe the states grow without end where the feedback is large.
    """
    plain = low_feedback(layers)
    neurons = dataclasses.replace(plain.architecture, weight_scale=0.5, feedback=feedback)
    return dataclasses.replace(plain, architecture=neurons, gradient=Implicit(), epochs=EPOCHS)
