"""Copy the network of a finished run into `models/`, with a card, and enter it into the catalogue of the package.

    python tools/publish_model.py RUN NAME

RUN is the folder of `hopfax train` or of an experiment. Nothing is trained or changed there.
"""

import argparse
import dataclasses
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import equinox as eqx

from hopfax._internal.files import write_atomic, write_json
from hopfax._internal.tree import size
from hopfax.interop.pretrained import CATALOGUE, CHECKOUT, FILES, PretrainedModel
from hopfax.networks import load_model
from hopfax.training.job import RESULT

MASK, START = "30 % of pixels", "mean"
LARGEST = 5_000_000  # bytes of a file


def entry(folder: Path, name: str) -> PretrainedModel:
    """What the catalogue says of the network in `folder`."""
    result = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    config = result["config"]
    task, error, error_is = _error(result)
    return PretrainedModel(
        name=name,
        task=task,
        data=config["data"],
        error=round(error, 5),
        error_is=error_is,
        parameters=size(eqx.filter(load_model(folder), eqx.is_inexact_array)),
        layers=", ".join(_layer(layer) for layer in config["layers"]),
        gradient=config["gradient"]["kind"],
        epochs=config["epochs"],
        seed=config["seed"],
        commit=result.get("circumstances", {}).get("commit"),
        sha256={file: hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in FILES},
    )


def card(model: PretrainedModel) -> str:
    """The card in Markdown."""
    rows = {
        "task": model.task,
        "data": model.data,
        "error": f"{model.error:.5g}, {model.error_is}",
        "layers": model.layers,
        "weights": f"{model.parameters:,}",
        "gradient": model.gradient,
        "epochs": model.epochs,
        "seed": model.seed,
        "commit of hopfax": f"`{model.commit}`",
        **{f"SHA-256 of `{file}`": f"`{value}`" for file, value in model.sha256.items()},
    }
    table = "\n".join(f"| {key} | {value} |" for key, value in rows.items())
    return f"""# {model.name}

| | |
| --- | --- |
{table}

    model = hopfax.load_pretrained("{model.name}")

The whole recipe, versions and the metrics of each epoch are in `run.json`. The number is ours, of this one run.
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("name")
    arguments = parser.parse_args()
    model = entry(arguments.run, arguments.name)
    if model.commit is None:
        raise SystemExit(f"{arguments.run / RESULT} does not say at which commit of hopfax it was trained.")
    folder = CHECKOUT / model.name
    folder.mkdir(parents=True, exist_ok=True)
    for file in (*FILES, RESULT):
        if (arguments.run / file).stat().st_size > LARGEST:
            raise SystemExit(f"{arguments.run / file} is larger than {LARGEST:,} bytes.")
        shutil.copy(arguments.run / file, folder)
    write_atomic(folder / "README.md", card(model).encode())
    entries = json.loads(CATALOGUE.read_text(encoding="utf-8"))["models"] if CATALOGUE.is_file() else []
    others = [one for one in entries if one["name"] != model.name]
    both = sorted([*others, dataclasses.asdict(model)], key=lambda one: one["name"])
    write_json(CATALOGUE, {"models": both})


def _error(result: dict[str, Any]) -> tuple[str, float, str]:
    if "completion" in result:
        row = result["completion"][MASK][START]
        return "completion", row["error_per_pixel"], f"squared, per missing pixel, {MASK} missing"
    return "classification", 1 - result["test_accuracy"], "the fraction of test images classified wrongly"


def _layer(layer: Any) -> str:
    if isinstance(layer, int):
        return str(layer)
    if isinstance(layer, list):
        return " x ".join(map(str, layer))
    return f"convolution {layer['size']} x {layer['size']} to {layer['channels']}, stride {layer['stride']}"


if __name__ == "__main__":
    main()
