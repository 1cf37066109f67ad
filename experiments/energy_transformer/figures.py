"""Images that the energy transformer of `run.py` completed, and where a token with an unknown patch attends to.

    python -m experiments.energy_transformer.figures [--data cifar10] [--runs runs/energy_transformer]

Networks whose checkpoints are not in the folder are left out; at least one energy transformer must be there.
"""

import argparse
import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from experiments.energy_transformer import run

from hopfax import Method, relax
from hopfax.data import Dataset, load
from hopfax.figures import images_figure
from hopfax.networks import PatchClamp
from hopfax.training import Trainer, TrainState
from hopfax.training.checkpoint import load_checkpoint

HERE = Path(__file__).parent
DRAWN = 8


def trained(model, task, config: run.Config, file: Path):
    """The network of the last checkpoint in `file`."""
    optimiser = run.optimiser(config, 1, 2, 1)
    state = TrainState.begin(model, Trainer(optimiser, task, config.batch), key=jr.key(0))
    return load_checkpoint(file, state)[0].model


def images_of(patches, data: Dataset) -> np.ndarray:
    """Patches as images, for drawing."""
    channels, side = data.image_shape[2:], run.SIDE
    grid = np.clip(np.asarray(patches), 0, 1).reshape(
        -1, *run.grid_of(data.image_shape), side, side, *channels
    )
    return np.swapaxes(grid, 2, 3).reshape(-1, *data.image_shape)


def draw(config: run.Config, data: Dataset, folder: Path) -> None:
    """`completed-DATA.png`, and `attention-DATA.png` of the first network in the folder."""
    tested, known = run.tested_patches(dataclasses.replace(config, tested=DRAWN), data)
    file = lambda name: folder / f"{data.name}-{name}"
    rows = [("image", tested), ("known", jnp.where(known, tested, jnp.nan))]
    weights = []
    for gradient in filter(lambda name: file(name).exists(), run.GRADIENTS):
        task = run.energy_task(config, data, gradient)
        network = trained(run.energy_model(config, data), task, config, file(gradient))
        clamp = PatchClamp(run.mean_patches(data))(tested, known)
        result = relax(network, clamp, method=Method(rtol=1e-3, max_steps=30))
        rows.append((run.TITLES[gradient].removeprefix("energy transformer, "), result.activation["image"]))
        weights.append(network.synapses["tokens"].weights(result.activation["tokens"][0]))
    for name in filter(lambda name: file(name).exists(), (run.PLAIN, run.TUNED)):
        plain = trained(run.plain_model(config, data), run.plain_task(data), config, file(name))
        rows.append((run.TITLES[name], jnp.where(known, tested, jax.vmap(plain)(tested, known))))
    images_figure([(title, images_of(row, data)) for title, row in rows]).savefig(
        HERE / f"completed-{data.name}.png"
    )
    height, width = run.grid_of(data.image_shape)
    middle = height // 2 * width + width // 2
    maps = np.asarray(weights[0][:, middle]).reshape(-1, height, width)
    images_figure([("attention of the token in the middle, by head", maps / maps.max())]).savefig(
        HERE / f"attention-{data.name}.png"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", choices=run.DATA, default="mnist")
    parser.add_argument("--runs", type=Path, default=Path("runs/energy_transformer"))
    options = parser.parse_args()
    draw(run.Config(), load(options.data), options.runs)


if __name__ == "__main__":
    main()
