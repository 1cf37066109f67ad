"""Digits that the energy transformer of `run.py` completed, and where a token with an unknown patch attends to.

python -m experiments.energy_transformer.figures [--runs runs/energy_transformer]
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from experiments.energy_transformer import run

from hopfax import Method, relax
from hopfax.data import mnist
from hopfax.figures import images_figure
from hopfax.networks import PatchClamp
from hopfax.training import Trainer, TrainState
from hopfax.training.checkpoint import load_checkpoint

HERE = Path(__file__).parent
DRAWN = 8
TOKEN = 24  # in the middle


def trained(model, task, config: run.Config, file: Path):
    """The network of the last checkpoint in `file`."""
    optimiser = run.optimiser(config, 1)
    state = TrainState.begin(model, Trainer(optimiser, task, config.batch), key=jr.key(0))
    return load_checkpoint(file, state)[0].model


def images_of(patches) -> np.ndarray:
    """Patches as images, for drawing."""
    squares = np.clip(np.asarray(patches), 0, 1).reshape(-1, 7, 7, 4, 4)
    return squares.transpose(0, 1, 3, 2, 4).reshape(-1, 28, 28)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/energy_transformer"))
    folder = parser.parse_args().runs
    config, data = run.Config(), mnist()
    mean = jnp.mean(run.patches(data.train_images), axis=0)
    begin = run.energy_model(config, mean)
    network = trained(begin, run.energy_task(config, mean), config, folder / "energy")
    plain = trained(run.Plain(config, jr.key(0)), run.plain_task(), config, folder / "plain")
    tested = run.patches(data.test_images[:DRAWN])
    known = run.drawn_masks(config, DRAWN)
    result = relax(network, PatchClamp(mean)(tested, known), method=Method(rtol=1e-3, max_steps=30))
    once = jnp.where(known, tested, jax.vmap(plain)(tested, known))
    rows = [
        ("image", images_of(tested)),
        ("known", images_of(jnp.where(known, tested, jnp.nan))),
        ("completed", images_of(result.activation["image"])),
        ("plain block", images_of(once)),
    ]
    images_figure(rows).savefig(HERE / "completed.png")
    weights = network.synapses["tokens"].weights(result.activation["tokens"][0])
    maps = np.asarray(weights[:, TOKEN]).reshape(-1, 7, 7)
    images_figure([("attention of the token in the middle, by head", maps / maps.max())]).savefig(
        HERE / "attention.png"
    )


if __name__ == "__main__":
    main()
