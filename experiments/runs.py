"""Runs of an experiment: each is stored as one JSON, is not done again, and is read back for tables."""

import argparse
import dataclasses
import functools as ft
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from hopfax.data import Dataset, load
from hopfax.training import CompletionRecipe, Recipe
from hopfax.training.job import stored_or_made

R = TypeVar("R", Recipe, CompletionRecipe)


@dataclasses.dataclass(frozen=True)
class Run(Generic[R]):
    """One network in training; `name` is that of its JSON."""

    name: str
    recipe: R
    data: str = "mnist"

    def config(self) -> dict[str, Any]:
        return {**self.recipe.config(), "data": self.data}


@ft.lru_cache(maxsize=1)
def dataset_of(name: str) -> Dataset:
    """The data set, read once for runs that follow one another."""
    return load(name)


def stored_result(run: Run, results: Path, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result in the folder `results` if it is there, else that of `measure`, with the name of the run.

    Raises: `ValueError` if the stored result has other settings.
    """
    make = lambda: {"name": run.name, **measure()}
    return stored_or_made(results / f"{run.name}.json", run.config(), make)


def stored(results: Path) -> dict[str, dict[str, Any]]:
    """The results by the names of their runs, from the JSON alone."""
    contents = (json.loads(path.read_text(encoding="utf-8")) for path in sorted(results.glob("*.json")))
    return {content["name"]: content for content in contents}


def by_setting(results: Path) -> dict[str, list[dict[str, Any]]]:
    """The results of all seeds by the name of their runs without the seed, from the JSON alone."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for name, result in stored(results).items():
        groups.setdefault(name.split("-seed")[0], []).append(result)
    return groups


def markdown(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table."""
    lines = (head, ["---"] * len(head), *rows)
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def command(description: str | None, here: Path) -> argparse.ArgumentParser:
    """The options that the commands of experiments share, for one in the folder `here`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--only", default="", help="runs whose names begin so")
    parser.add_argument("--table", action="store_true", help="what is stored, in Markdown, and no training")
    parser.add_argument("--smoke", action="store_true", help="seconds on small digits, to see that it runs")
    parser.add_argument("--results", type=Path, default=here / "results", help="folder of the JSON")
    parser.add_argument("--runs", type=Path, default=Path("runs") / here.name, help="folder of the networks")
    return parser
