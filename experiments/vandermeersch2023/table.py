"""Puts what is stored into the tables of the two pages.

python -m experiments.vandermeersch2023.table
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.runs import markdown
from experiments.vandermeersch2023 import gradient

from hopfax.apps.reproduce import fill_page

HERE = Path(__file__).parent
RUN_HEAD = (
    *("row", "trained by", "learning rate", "hidden", "epochs", "parameters"),
    *("one-sample ELBO", "importance-weighted log p", "squared error", "feature distance"),
)
WAYS = ("latent", "once", "ten times", "relaxed")
MASKS = ("30 % of pixels", "top half")
COMPLETION_HEAD = (
    *("row", "hidden", "epochs", "ELBO"),
    *(f"{mask}: {way}" for mask in MASKS for way in WAYS),
)
TRIAL_HEAD = (
    *(
        "model",
        "epochs",
        "optimiser",
        "learning rate",
        "factor",
        "hidden",
        "batch",
        "latent gain",
        "other settings",
    ),
    "ELBO, held out",
)
IN_TRIALS = {  # what a trial has that does not name it
    **{"muon_iterations": 3, "learning_rate": 3e-3, "visible_rate_factor": 0.3},
    **{"batch_size": 100, "latent_gain": 0.3},
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the two pages")
    out = parser.parse_args(arguments).out
    fill_page(out / "README.md", results())
    fill_page(out / "settings.md", trials())


def results() -> str:
    """The runs on each data set, how their models complete images, and how exact their gradient is."""
    tables: dict[str, str] = {}
    for data, name in (("mnist", "MNIST"), ("digits", "Digits")):
        runs = stored_runs(data)
        tables[name] = markdown(RUN_HEAD, map(_run, runs))
        tables[f"{name}, squared error of the missing pixels"] = _completion(runs)
    tables["The gradient of a trained network"] = gradient.table()
    return "\n".join(f"**{title}.**\n\n{table}\n" for title, table in tables.items())


def stored_runs(data: str) -> list[dict[str, Any]]:
    """The runs on a data set, the best first."""
    contents = (
        json.loads(path.read_text(encoding="utf-8")) for path in HERE.glob(f"**/results/{data}-*-seed*.json")
    )
    return sorted(contents, key=lambda run: run["negative_elbo"])


def _run(run: Mapping[str, Any]) -> list[str]:
    config = run["config"]
    return [
        _row(run),
        f"{_gradient(config)}, {_optimiser(config)}",
        f"{config['learning_rate']:.2g}",
        f"{config['hidden']:,}",
        str(config["epochs"]),
        f"{run['parameters']:,}",
        f"{-run['negative_elbo']:.2f}",
        f"{run['importance_weighted']:.2f}",
        _squared(run["squared_error"]),
        f"{run['feature_distance']['frechet']:.3f}",
    ]


def _row(run: Mapping[str, Any]) -> str:
    return run["row"].removesuffix("-implicit") + (f", seed {run['seed']}" if run["seed"] else "")


def _gradient(config: Mapping[str, Any]) -> str:
    if config["model"] == "feedforward":
        return "backpropagation"
    return "equilibrium propagation" if config["equilibrium_propagation"] else "implicit gradient"


def _optimiser(config: Mapping[str, Any]) -> str:
    return "Muon" if config["muon_iterations"] else "Adam"


def _completion(runs: Sequence[Mapping[str, Any]]) -> str:
    mean = [_error(runs[0]["completion"], mask, "mean image") for mask in MASKS]
    means = ["mean image", "", "", "", *(cell for error in mean for cell in (error, "", "", ""))]
    return markdown(COMPLETION_HEAD, [means, *map(_completed, runs)])


def _completed(run: Mapping[str, Any]) -> list[str]:
    config = run["config"]
    errors = [_error(run["completion"], mask, way) for mask in MASKS for way in WAYS]
    return [
        _row(run),
        f"{config['hidden']:,}",
        str(config["epochs"]),
        f"{-run['negative_elbo']:.2f}",
        *errors,
    ]


def _error(completion: Mapping[str, Any], mask: str, way: str) -> str:
    error = completion[mask].get(way)
    return "" if error is None else _squared(error)


def _squared(error: float) -> str:
    """With three digits or more."""
    return f"{error:.{3 if error < 1 else 2 if error < 10 else 1}f}"


def trials() -> str:
    """The trials on MNIST whose settings were chosen by hand, the best first among those of as many epochs."""
    files = ("trials-mnist.json", "trials-mnist-rates.json")
    contents = (json.loads((HERE / "results" / file).read_text(encoding="utf-8")) for file in files)
    stored = [trial for content in contents for trial in content["trials"]]
    order = lambda trial: (trial["settings"]["epochs"], -trial["held_out_elbo"])
    return markdown(TRIAL_HEAD, map(_trial, sorted(stored, key=order)))


def _trial(trial: Mapping[str, Any]) -> list[str]:
    settings = IN_TRIALS | trial["settings"]
    names = (
        "model",
        "epochs",
        "muon_iterations",
        "learning_rate",
        "visible_rate_factor",
        "hidden",
        "batch_size",
        "latent_gain",
    )
    known = {name: settings.pop(name) for name in names}
    known["muon_iterations"] = f"Muon, {known['muon_iterations']}" if known["muon_iterations"] else "Adam"
    others = "; ".join(f"{name} {_words(value)}" for name, value in settings.items())
    return [*map(str, known.values()), others, f"{trial['held_out_elbo']:.1f}"]


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {part}" for name, part in value.items())
    return str(value)


if __name__ == "__main__":
    main()
