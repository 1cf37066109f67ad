"""Which patterns are recalled from what, and which random keys are attended to."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Recall of real data, and attention heads with random keys.

    Attributes:
        sets: "digits" (training images of scikit-learn's), "mnist" (its training images), "faces" (the 100
            face patches of scikit-image, left out where that is not installed); and of the same sources
            "digits-test" (its test images), "mnist-next" (training images from the 2,001st on), "not-faces"
            (the 100 patches without a face).
        patterns: the first so many of each set are stored.
        queries: so many of them, drawn at random, are recalled.
        noises: standard deviations of the noise added to queries, over that of the set (the root of its total
            variance divided by its dimension).
        sweep: effective inverse temperatures at which recall is measured.
        dimensions: of keys, whose elements are standard normal.
        numbers: of keys.
        probes: so many keys are started from.
        max_steps: updates of a recall.
        seed: of noise, queries and keys.
    """

    sets: tuple[str, ...] = ("digits", "mnist", "faces")
    patterns: int = 2000
    queries: int = 200
    noises: tuple[float, ...] = (0.5, 1.0, 2.0)
    sweep: tuple[float, ...] = tuple(2.0**power for power in range(-1, 10))
    dimensions: tuple[int, ...] = (8, 16, 32, 64, 128, 256)
    numbers: tuple[int, ...] = (4, 16, 64, 256, 1024, 4096, 16384)
    probes: int = 128
    max_steps: int = 500
    seed: int = 0

    def __post_init__(self):
        for name in ("patterns", "queries", "probes", "max_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"`Config({name}={getattr(self, name)})` must be at least 1.")
        for name in ("noises", "sweep"):
            if min(getattr(self, name)) <= 0:
                raise ValueError(f"`Config({name}={getattr(self, name)})` must be positive throughout.")


def fresh(seed: int = 1) -> Config:
    """Patterns, queries and noise that the share of "auto" was not chosen by."""
    return Config(sets=("digits-test", "mnist-next", "not-faces"), dimensions=(), numbers=(), seed=seed)


def smoke(seed: int = 0) -> Config:
    """Seconds on small digits; shows that all runs, and nothing else."""
    return Config(
        sets=("digits",),
        patterns=40,
        queries=8,
        noises=(0.5,),
        sweep=(1.0, 32.0),
        dimensions=(4, 64),
        numbers=(64,),
        probes=8,
        max_steps=50,
        seed=seed,
    )
