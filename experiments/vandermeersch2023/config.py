"""The rows: what each of the paper's names stands for here, and our settings. None of it is from the paper's text."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from hopfax.apps.reproduce.vae import ROWS, Protocol


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Which rows are trained, on what, and how they are measured.

    Attributes:
        rows: of F-VAE, H-VAE, DH-VAE, TDH-VAE, TH-VAE, TH-VAE-implicit, H-VAE-implicit.
        data: name of the data set; it decides size, likelihood and learning (`hopfax.vae.config.preset`).
        epochs: those of the preset if None.
        changes: other settings of `VAEConfig` that differ from the preset's.
        protocol: importance samples, and on how many test images.
    """

    rows: tuple[str, ...] = tuple(ROWS)
    seeds: tuple[int, ...] = (0,)
    data: str = "digits"
    epochs: int | None = None
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    protocol: Protocol = Protocol()

    def __post_init__(self):
        if unknown := [row for row in self.rows if row not in ROWS]:
            raise ValueError(f"`Config(rows=...)` has {unknown[0]!r}; choose of {', '.join(ROWS)}.")


MNIST = Protocol(
    samples=200, subset=100, classifier_epochs=1, completed=200
)  # more takes longer than the training


def smoke() -> Config:
    """Seconds; shows that all runs, and nothing else."""
    return Config(epochs=1, protocol=Protocol(samples=10, subset=5, classifier_epochs=1))
