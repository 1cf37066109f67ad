"""Where the time of a training step of a deep network goes, and how far it is from what its sweeps cost.

    python benchmarks/deep_step.py --network runs/five --network runs/seven

Each folder is of `hopfax train`; its own recipe is taken, on batches of its own data set. The floor is what a step
cannot do without: as many forward sweeps as the mean example needs, each at the cost of a sweep in a compiled loop of
nothing else; the backward sweeps likewise; and the step without sweeps (input product, gradients, optimiser). What a
step takes beyond it is the batch waiting for its slowest example, and watching.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from common import arguments, interleaved, write

import hopfax
from hopfax.gradients import RecurrentBackprop
from hopfax.training import Trainer, TrainState, make_step
from hopfax.training.classifier import make_trainer, read_recipe
from hopfax.training.recipes import Recipe
from hopfax.updates.problem import Problem

BATCHES, SWEEPS = 8, 20


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument(
        "--network", type=Path, action="append", required=True, help="folder of a finished run"
    )
    options = parser.parse_args()
    write("deep_step", {path.name: _of(path, options.rounds) for path in options.network}, options.json)


def _of(folder: Path, rounds: int) -> dict[str, Any]:
    recipe, data = read_recipe(folder)
    model, dataset = hopfax.load_model(folder), hopfax.data.load(data)
    pixels, labels = (jnp.asarray(x) for x in (dataset.train_images, dataset.train_labels))
    size = recipe.batch_size
    batches = [(pixels[i : i + size], labels[i : i + size]) for i in range(0, BATCHES * size, size)]
    mean, slowest = _sweeps_needed(model, recipe, batches)
    trainer = make_trainer(recipe, len(labels))
    calls = {
        "step": _stepping(model, trainer, batches),
        "step without sweeps": _stepping(model, _without_sweeps(trainer), batches),
        **_sweeping(model, recipe, batches[0][0]),
    }
    times = interleaved(calls, max(rounds // 10, 5))
    per = {name: times[name]["median"] / BATCHES for name in ("step", "step without sweeps")}
    forward, backward = (times[name]["median"] / SWEEPS for name in ("forward", "backward"))
    terms = _backward_steps(recipe)
    # The step without sweeps has one of each.
    floor = per["step without sweeps"] + (mean - 1) * forward + (terms - 1) * backward
    parts = {
        **per,
        "one forward sweep": forward,
        "one backward sweep": backward,
        "floor": floor,
    }
    return {
        "layers": list(recipe.layers),
        "model": recipe.model,
        "sweeps, mean": mean,
        "sweeps, slowest of a batch, mean": slowest,
        "backward sweeps": terms,
        "milliseconds": parts,
        "step over floor": per["step"] / floor,
    }


def _sweeps_needed(model, recipe: Recipe, batches: Sequence[Any]) -> tuple[float, float]:
    sweeps = jnp.stack(
        [
            hopfax.relax(model, {"input": images}, method=recipe.method).statistics.evaluations
            for images, _ in batches
        ]
    )
    return float(jnp.mean(sweeps)), float(jnp.mean(jnp.max(sweeps, axis=1)))


def _stepping(model, trainer: Trainer, batches: Sequence[Any]) -> Callable[[], Any]:
    """All batches in turn, each a training step from the same state."""
    state = TrainState.begin(model, trainer, key=jr.key(0))
    step = eqx.filter_jit(make_step(trainer))
    return lambda: jax.block_until_ready([eqx.filter(step(state, *batch), eqx.is_array) for batch in batches])


def _without_sweeps(trainer: Trainer) -> Trainer:
    """One sweep forward and one backward."""
    once = dataclasses.replace(trainer.task.method, gradient=RecurrentBackprop(1), rtol=jnp.inf, max_steps=0)
    return dataclasses.replace(trainer, method=once)


def _backward_steps(recipe: Recipe) -> int:
    gradient = recipe.method.gradient
    return gradient.steps if isinstance(gradient, RecurrentBackprop) else 1


def _sweeping(model, recipe: Recipe, images) -> dict[str, Callable[[], Any]]:
    """So many sweeps of a batch, forward and through the transposed Jacobian, in a loop of nothing else."""
    update = recipe.method.update

    def problem_of(image):
        return Problem(model.condition({"input": image}), update)

    def forward(image):
        problem = problem_of(image)
        start = problem.restrict(problem.model.zeros())
        return jax.lax.fori_loop(0, SWEEPS, lambda _, z: problem.image(z), start)

    def backward(image):
        problem = problem_of(image)
        # At zero the Jacobian may be the same for all images, and the batch would be worked on as one.
        point = problem.image(problem.image(problem.restrict(problem.model.zeros())))
        _, pull = jax.vjp(problem.image, point)
        return jax.lax.fori_loop(0, SWEEPS, lambda _, u: pull(u)[0], point)

    compiled = {"forward": jax.jit(jax.vmap(forward)), "backward": jax.jit(jax.vmap(backward))}
    return {name: lambda f=f: jax.block_until_ready(f(images)) for name, f in compiled.items()}


if __name__ == "__main__":
    main()
