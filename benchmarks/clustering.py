"""HopfieldClustering beside k-means on four data sets of scikit-learn: agreement with the classes, and seconds.

    python benchmarks/clustering.py

As many clusters as classes, each method with its default settings, k-means with one start as the patterns have one,
from equal random states. "adjusted Rand index" is 0 for clusters at random and 1 for the classes; mean and standard
deviation over the random states. "first call" is the first fit with nothing compiled before, "fit" the median of the
others.
"""

import statistics
import time
from typing import Any

import jax
import numpy as np
from common import arguments, write
from sklearn import datasets
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler

from hopfax.interop.sklearn import HopfieldClustering

METHODS = {"HopfieldClustering": HopfieldClustering, "KMeans": KMeans}


def main() -> None:
    parser = arguments(__doc__)
    parser.set_defaults(rounds=5)
    options = parser.parse_args()
    jax.config.update("jax_enable_compilation_cache", False)
    data = {name: measure(*table, options.rounds) for name, table in data_sets().items()}
    write("clustering", {"config": {"random states": options.rounds}, "data": data}, options.json)


def data_sets() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Features in units of their standard deviation, but for pixels, and classes."""
    loaded = {
        "iris": datasets.load_iris(return_X_y=True),
        "wine": datasets.load_wine(return_X_y=True),
        "breast cancer": datasets.load_breast_cancer(return_X_y=True),
    }
    scaled = {name: (StandardScaler().fit_transform(X), y) for name, (X, y) in loaded.items()}
    X, y = datasets.load_digits(return_X_y=True)
    return {**scaled, "digits": (X / 16, y)}


def measure(X: np.ndarray, y: np.ndarray, rounds: int) -> dict[str, Any]:
    """Each method with every random state."""
    clusters, results = len(np.unique(y)), {}
    for name, method in METHODS.items():
        indices, seconds = [], []
        for seed in range(rounds):
            start = time.perf_counter()
            labels = method(clusters, random_state=seed).fit(X).labels_
            seconds.append(time.perf_counter() - start)
            indices.append(adjusted_rand_score(y, labels))
        results[name] = {
            "adjusted Rand index": statistics.mean(indices),
            "spread": statistics.stdev(indices) if rounds > 1 else None,
            "first call": seconds[0],
            "fit": statistics.median(seconds[1:] or seconds),
        }
    return {"rows": len(X), "features": X.shape[1], "clusters": clusters, "methods": results}


if __name__ == "__main__":
    main()
