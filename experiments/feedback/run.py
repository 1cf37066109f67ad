"""How much of a Hopfield network is left where feedback is weak: error, sweeps, gain, completion.

    python -m experiments.feedback.run [--only two-0.1] [--smoke] [--table]

What the JSON has is not done again. The figure of the page is drawn from it.
"""

import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from experiments.classify import train_and_test
from experiments.runs import Run, by_setting, command, dataset_of, markdown, stored_result
from matplotlib.figure import Figure

import hopfax
from hopfax import Equilibrium, Method, load_model
from hopfax.data import Dataset
from hopfax.diagnostics import spectral_radius
from hopfax.figures.style import colours, new_figure
from hopfax.networks import AbstractNetwork, PartialClamp
from hopfax.solvers import Anderson, FeedForward
from hopfax.training import Recipe

from .config import DEPTHS, FEEDBACKS, runs, smoke

HERE = Path(__file__).parent
FIGURE = HERE.parents[1] / "docs" / "images" / "feedback.png"
EXAMPLES, FEW = 1000, 64  # test images that are relaxed; those whose gain is measured
# From the first step on, as when these results were stored.
SOLVER = Anderson(delay=0)
EXACT, FREE = Method(solver=SOLVER, rtol=1e-5, max_steps=500), Method(solver=SOLVER, max_steps=500)
MISSING = 0.3  # of the pixels, scattered
LEAST = 0.01  # of the images that must have a joint equilibrium for their error to be shown
TITLES = {
    "error": "test error, %",
    "converged": "converged, %",
    "feed_forward": "one pass, %",
    "change": "change by feedback, %",
    "sweeps": "sweeps",
    "gain": "gain",
    "completed": "completed, %",
    "completion": "completion / mean image",
}


def main(arguments: Sequence[str] | None = None) -> None:
    options = command(__doc__, HERE).parse_args(arguments)
    chosen = smoke if options.smoke else runs
    for run in [] if options.table else chosen(options.only):
        stored_result(run, options.results, lambda run=run: measure(run, options.runs / run.name))
    if not options.smoke:
        figure(options.results).savefig(FIGURE)
    print(table(options.results))


def measure(run: Run[Recipe], folder: Path) -> dict[str, Any]:
    """The result of training, and how the trained network differs from a feed-forward one."""
    tested = train_and_test(run, folder)
    network, data = load_model(folder), dataset_of(run.data)
    images, labels = jnp.asarray(data.test_images[:EXAMPLES]), data.test_labels[:EXAMPLES]
    equilibrium = hopfax.relax(network, {"input": images}, method=EXACT)
    feedback = beside_one_pass(network, images, labels, equilibrium)
    feedback["gain"] = gain(network, images[:FEW], {name: s[:FEW] for name, s in equilibrium.state.items()})
    return {**tested, "feedback": {**feedback, **completion(network, images, data)}}


def beside_one_pass(
    network: AbstractNetwork, images: jax.Array, labels: np.ndarray, equilibrium: Equilibrium
) -> dict[str, float]:
    """Sweeps to equilibrium, the errors at it and after one pass, and how far the hidden layers are apart."""
    passed = one_pass(network, images)
    wrong = lambda outputs: float(np.mean(np.argmax(outputs, axis=1) != labels))
    return {
        "error": wrong(equilibrium.activation["output"]),
        "feed_forward": wrong(passed["output"]),
        "change": apart(network, equilibrium.activation, passed),
        "sweeps": float(jnp.mean(equilibrium.steps)),
        "converged": float(jnp.mean(equilibrium.converged)),
    }


@eqx.filter_jit
def one_pass(network: AbstractNetwork, images: jax.Array) -> dict[str, jax.Array]:
    """The activations of one pass through the layers without feedback."""

    def one(image):
        free = network.condition({"input": image})
        return free.activations(FeedForward().states(free, image.dtype))

    return jax.vmap(one)(images)


def apart(network: AbstractNetwork, first: dict[str, jax.Array], second: dict[str, jax.Array]) -> float:
    """`|g - g'| / |g|` over the hidden layers, the mean over the images."""
    hidden = [name for name in network.order if name not in ("input", "output")]
    joined = lambda g: jnp.concatenate([g[name] for name in hidden], axis=1)
    norm = lambda x: jnp.linalg.norm(x, axis=1)
    return float(jnp.mean(norm(joined(first) - joined(second)) / norm(joined(first))))


def gain(network: AbstractNetwork, images: jax.Array, states: dict[str, jax.Array]) -> float:
    """The spectral radius of the synchronous map at equilibrium: how much of a change comes back, mean over images."""

    def one(image, states):
        return spectral_radius(network, {"input": image}, states, hopfax.Synchronous(), key=jr.key(0))

    return float(jnp.mean(eqx.filter_jit(jax.vmap(one))(images, states)))


def completion(network: AbstractNetwork, images: jax.Array, data: Dataset) -> dict[str, float | None]:
    """The share of images with a joint equilibrium; their error in missing pixels over that of the mean image."""
    known = jr.uniform(jr.key(0), images.shape) > MISSING
    equilibrium = hopfax.relax(network, {"input": PartialClamp(images, known)}, method=FREE)
    counted = ~known & equilibrium.converged[:, None]
    error = lambda guess: float(np.sum(np.square(guess - np.asarray(images)), where=counted))
    completed, mean = (
        error(x) for x in (np.clip(equilibrium.activation["input"], 0, 1), data.train_images.mean(0))
    )
    return {
        "completion": completed / mean if mean else None,
        "completed": float(np.mean(equilibrium.converged)),
    }


def table(results: Path) -> str:
    """One row for each depth and feedback, in Markdown: the error of each seed, and medians of the rest."""
    head = ("hidden layers", "feedback", *TITLES.values())
    groups = by_setting(results)
    return markdown(head, (_row(name, groups[name]) for name in _names() if name in groups))


def _names() -> list[str]:
    return [f"{depth}-{feedback}" for depth in DEPTHS for feedback in FEEDBACKS]


def _row(name: str, group: Sequence[dict[str, Any]]) -> list[Any]:
    values = medians(group)
    errors = ", ".join(f"{100 * (1 - result['test_accuracy']):.2f}" for result in group)
    percent = lambda key: f"{100 * values[key]:.1f}"
    numbers = [percent(key) for key in ("converged", "feed_forward", "change")]
    numbers += [f"{values['sweeps']:.1f}", f"{values['gain']:.2f}", percent("completed")]
    completion = f"{values['completion']:.1f}" if values["completed"] > LEAST else ""
    return [*name.split("-"), errors, *numbers, completion]


def medians(group: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Over the seeds; the error is that of the whole test set."""
    known = lambda key: [x for result in group if (x := result["feedback"][key]) is not None]
    median = lambda key: statistics.median(known(key) or [math.nan])
    error = statistics.median(1 - result["test_accuracy"] for result in group)
    return {**{key: median(key) for key in TITLES if key != "error"}, "error": error}


def figure(results: Path) -> Figure:
    """Error, sweeps, gain and change against feedback, one curve for each depth, medians over the seeds."""
    drawn, groups = new_figure(8.0, 5.2), by_setting(results)
    panels = dict(zip(("error", "sweeps", "gain", "change"), drawn.subplots(2, 2).flat, strict=True))
    for depth, colour in zip(DEPTHS, colours("depths", DEPTHS), strict=True):
        values = {x: medians(groups[f"{depth}-{x}"]) for x in FEEDBACKS if f"{depth}-{x}" in groups}
        for key, axes in panels.items():
            scale = 100 if key in ("error", "change") else 1
            heights = [scale * one[key] for one in values.values()]
            axes.plot(list(values), heights, "o-", color=colour, label=f"{depth} hidden")
            axes.set(xscale="log", xlabel="feedback", ylabel=TITLES[key])
    panels["error"].legend(frameon=False)
    return drawn


if __name__ == "__main__":
    main()
