"""The search for the settings of the feed-forward network of `hopfax completion`, on held-out training images.

    python -m experiments.completion.search_mlp [--data digits]

Every width, depth and learning rate; the error is that per missing pixel, mean over the damages. What is stored is not
done again.
"""

import argparse
import dataclasses
import itertools
import json
from pathlib import Path

import numpy as np

from hopfax._internal.files import write_json
from hopfax._internal.provenance import circumstances
from hopfax.apps.completion import MLPRecipe, damage
from hopfax.apps.completion.trained import trained_mlp
from hopfax.data import load
from hopfax.data.dataset import validation_split

HERE = Path(__file__).parent
HELD_OUT = {"digits": 500}  # else 5,000
GRID = {
    "digits": itertools.product((256, 512, 1024), (1, 2, 3), (1e-3, 3e-3)),
    "mnist": itertools.product((1024, 2048), (2, 3), (3e-4, 1e-3)),
}
EPOCHS = {"digits": 100, "mnist": 10}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", choices=list(GRID), default="digits")
    name = parser.parse_args().data
    path = HERE / "search" / f"mlp-{name}.json"
    trials = json.loads(path.read_text())["trials"] if path.exists() else []
    split = validation_split(load(name), HELD_OUT.get(name, 5000))
    damaged = damage(split.test_images[:1000], split.image_shape)
    for width, depth, rate in GRID[name]:
        recipe = MLPRecipe(width=width, depth=depth, epochs=EPOCHS[name], learning_rate=rate)
        if any(trial["recipe"] == dataclasses.asdict(recipe) for trial in trials):
            continue
        mlp = trained_mlp(recipe, split)
        restored = {kind: one.restored(mlp) for kind, one in damaged.items()}
        errors = {
            kind: float(np.mean(damaged[kind].errors(images)))
            for kind, images in restored.items()
            if images is not None
        }
        trials.append(
            {
                "recipe": dataclasses.asdict(recipe),
                "errors": errors,
                "mean": float(np.mean(list(errors.values()))),
            }
        )
        print(recipe, trials[-1]["mean"], flush=True)
        path.parent.mkdir(exist_ok=True)
        write_json(path, {"data": name, "trials": trials, "circumstances": circumstances()})


if __name__ == "__main__":
    main()
