"""HopfieldImputer beside imputers of scikit-learn: error of the missing values and seconds, on three data sets.

    python benchmarks/imputers.py

Every imputer has its own default settings and comes after `StandardScaler`. A data set is split at random into three
quarters, to which it is fitted, and a quarter to be filled, in which values are missing: 30 % of them at random, or the
first half of the features (the upper half of a digit). Every fourth row of the former has such gaps too, without which
`IterativeImputer` stops after one round. "error" is the root mean square over the missing values, in
standard deviations of the feature, mean over the splits. "first call" is `fit` and `transform` on the first split, with
nothing compiled before; "fit" and "transform" are medians over the other splits.
"""

import statistics
import time

import jax
import numpy as np
from common import arguments, write
from sklearn import datasets
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from hopfax.interop.sklearn import HopfieldImputer

SPLITS = 5


def data_sets() -> dict[str, np.ndarray]:
    return {
        "wine": datasets.load_wine().data,
        "breast cancer": datasets.load_breast_cancer().data,
        "digits": datasets.load_digits().data,
    }


def imputers(seed: int) -> dict:
    return {
        "HopfieldImputer": HopfieldImputer(),
        "HopfieldImputer(metric=None)": HopfieldImputer(metric=None),
        "KNNImputer": KNNImputer(),
        "IterativeImputer": IterativeImputer(random_state=seed),
        "SimpleImputer": SimpleImputer(),
    }


def masks(shape: tuple[int, int], seed: int) -> dict[str, np.ndarray]:
    """True where a value is missing."""
    half = np.broadcast_to(np.arange(shape[1]) < shape[1] // 2, shape)
    return {"30 % at random": np.random.default_rng(seed).random(shape) < 0.3, "first half": half}


def main() -> None:
    parser = arguments(__doc__)
    parser.set_defaults(rounds=SPLITS)
    options = parser.parse_args()
    jax.config.update("jax_enable_compilation_cache", False)
    results = {name: measure(X, options.rounds) for name, X in data_sets().items()}
    write("imputers", {"config": {"splits": options.rounds}, "data": results}, options.json)


def measure(X: np.ndarray, splits: int) -> dict:
    """The rows and features, and for each kind of gap and each imputer its means over the splits."""
    runs: dict[str, dict[str, list[dict[str, float]]]] = {}
    for seed in range(splits):
        train, test = train_test_split(X, test_size=0.25, random_state=seed)
        scaler = StandardScaler().fit(train)
        train, test = scaler.transform(train), scaler.transform(test)
        for gaps, missing in masks(test.shape, seed).items():
            holes = masks(train.shape, seed)[gaps] & (np.arange(len(train)) % 4 == 0)[:, None]
            for name, imputer in imputers(seed).items():
                run = measure_split(imputer, np.where(holes, np.nan, train), test, missing)
                runs.setdefault(gaps, {}).setdefault(name, []).append(run)
                print(len(X), gaps, name, run, flush=True)
    summary = {
        gaps: {name: summary_of(of_imputer) for name, of_imputer in by_name.items()}
        for gaps, by_name in runs.items()
    }
    return {"rows": len(X), "features": X.shape[1], "gaps": summary}


def measure_split(imputer, train: np.ndarray, test: np.ndarray, missing: np.ndarray) -> dict[str, float]:
    began = time.perf_counter()
    fitted = imputer.fit(train)
    middle = time.perf_counter()
    filled = fitted.transform(np.where(missing, np.nan, test))
    end = time.perf_counter()
    error = float(np.sqrt(np.mean(np.square(filled - test)[missing])))
    return {"error": error, "fit": middle - began, "transform": end - middle}


def summary_of(runs: list[dict[str, float]]) -> dict[str, float]:
    later = lambda what: statistics.median(run[what] for run in runs[1:] or runs)
    return {
        "error": statistics.mean(run["error"] for run in runs),
        "first call, s": runs[0]["fit"] + runs[0]["transform"],
        "fit, s": later("fit"),
        "transform, s": later("transform"),
    }


if __name__ == "__main__":
    main()
