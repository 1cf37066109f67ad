"""The rows of the tables of the papers: which network is trained, and the numbers that the papers print for it."""

import dataclasses
from collections.abc import Sequence

from ...data import Dataset
from ...training import recipes
from ...training.recipes import Recipe

V1 = "goemaere2023"
V2 = "goemaere2024"
THREE, FIVE, SEVEN = (784, 1990, 10), (784, 1280, 510, 200, 10), (784, 1024, 512, 256, 128, 70, 10)


@dataclasses.dataclass(frozen=True)
class Published:
    """The numbers that a paper prints for a row: means and standard deviations over five runs.

    Attributes:
        iterations: index of the first relative step below 1e-4, from 0, mean over the test set.
        accuracy: percent of the test set.
        speed_up: iterations of the first row of the group over those of this row, counted in updates.
        where: the table and its row.
    """

    iterations: float
    iterations_std: float
    accuracy: float
    accuracy_std: float
    speed_up: float | None
    where: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """A row of a table: a network, a model, and when its training ends.

    Attributes:
        name: such as 5-HAM-EO; its runs and results have it in their names.
        paper: the key of the paper in docs/references.bib, whose recipe is used.
        layers: number of neurons in each layer.
        model: the name of the model, as in `hopfax.training.recipes`.
        base: the row that speed-ups are relative to.
        stop_after: number of epochs that are trained, of the ten of the learning rate schedule.
        updates: updates of all neurons in what the paper counts as one iteration, relative to `base`.
        published: the numbers of the paper.
    """

    name: str
    paper: str
    layers: tuple[int, ...]
    model: str
    base: str
    stop_after: int = 10
    updates: int = 1
    published: Published

    def recipe(self, dataset: Dataset, seed: int) -> Recipe:
        """The recipe of the paper, with input and output layers of the sizes of the data."""
        layers = (dataset.train_images.shape[1], *self.layers[1:-1], dataset.classes)
        make = recipes.goemaere2023 if self.paper == V1 else recipes.goemaere2024
        return dataclasses.replace(make(layers, self.model), seed=seed)


def select_rows(rows: Sequence[Experiment], names: Sequence[str]) -> list[Experiment]:
    """The rows with these names; all of them if there are no names. Raises: `ValueError` for an unknown name."""
    known = {row.name: row for row in rows}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"there is no row {', '.join(unknown)}; choose from {', '.join(known)}.")
    return [known[name] for name in dict.fromkeys(names)] if names else list(rows)


def _table1(model: str, *numbers: float) -> Experiment:
    iterations, iterations_std, accuracy, accuracy_std = numbers
    printed = Published(iterations, iterations_std, accuracy, accuracy_std, None, f"Table 1, {model}")
    return Experiment(
        name=f"v1-{model}", paper=V1, layers=(784, 512, 10), model=model, base="v1-HAM", published=printed
    )


def _table2(
    layers: tuple[int, ...], model: str, *numbers: float, stop_after: int = 10, name: str = ""
) -> Experiment:
    """Args: `numbers` iterations, their deviation, speed-up, accuracy and its deviation, in the order of the table."""
    iterations, iterations_std, speed_up, accuracy, accuracy_std = numbers
    where = f"Table 2, {len(layers)} layers, {name or model}"
    return Experiment(
        name=f"{len(layers)}-{name or model}",
        paper=V2,
        layers=layers,
        model=model,
        base=f"{len(layers)}-{model[:3]}",
        stop_after=stop_after,
        # One iteration has ten local half steps on each of two colours, which the paper counts as twenty updates.
        updates=20 if model.startswith("CHN-EO") else 1,
        published=Published(iterations, iterations_std, accuracy, accuracy_std, speed_up, where),
    )


# Source: [goemaere2023], Table 1.
TABLE1: tuple[Experiment, ...] = (
    _table1("HAM", 8.2, 0.3, 96.9, 0.2),
    _table1("HAM-DEQ", 6.2, 0.4, 96.7, 0.3),
    _table1("HAM-EO", 5.1, 0.3, 97.2, 0.1),
    _table1("HAM-EO-DEQ", 4.5, 0.3, 96.7, 0.3),
)

# Source: [goemaere2024], Table 2; the ends of CHN runs: section 4, and the names of checkpoints in its code.
TABLE2: tuple[Experiment, ...] = (
    _table2(THREE, "CHN", 75.5, 2.1, 0.5, 97.9, 0.1, name="CHN-10-epochs"),
    _table2(THREE, "CHN", 39.1, 3.8, 1.0, 97.0, 0.2, stop_after=3),
    _table2(THREE, "CHN-DEQ", 20.6, 0.2, 1.9, 97.2, 0.3, stop_after=4),
    _table2(THREE, "CHN-EO", 16.8, 0.5, 0.1, 97.1, 0.1, stop_after=3),
    _table2(THREE, "CHN-EO-DEQ", 16.2, 1.0, 0.1, 97.1, 0.2, stop_after=3),
    _table2(THREE, "HAM", 11.9, 0.4, 1.0, 97.9, 0.0),
    _table2(THREE, "HAM-DEQ", 9.9, 0.3, 1.2, 97.9, 0.1),
    _table2(THREE, "HAM-EO", 8.0, 0.2, 1.5, 97.9, 0.1),
    _table2(THREE, "HAM-EO-DEQ", 6.6, 0.2, 1.8, 97.9, 0.1),
    _table2(FIVE, "HAM", 36.0, 1.8, 1.0, 97.1, 0.1),
    _table2(FIVE, "HAM-DEQ", 33.0, 0.6, 1.1, 97.1, 0.2),
    _table2(FIVE, "HAM-EO", 18.3, 0.5, 2.0, 97.1, 0.1),
    _table2(FIVE, "HAM-EO-DEQ", 17.7, 0.3, 2.0, 97.1, 0.1),
    _table2(SEVEN, "HAM", 67.1, 2.9, 1.0, 95.6, 0.2),
    _table2(SEVEN, "HAM-DEQ", 56.0, 1.4, 1.2, 95.6, 0.1),
    _table2(SEVEN, "HAM-EO", 32.2, 0.8, 2.1, 95.5, 0.2),
    _table2(SEVEN, "HAM-EO-DEQ", 31.0, 1.0, 2.2, 95.5, 0.2),
)
