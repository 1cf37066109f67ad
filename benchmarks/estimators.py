"""HAMClassifier beside classifiers of scikit-learn: accuracy, log loss and seconds, on six data sets.

    python benchmarks/estimators.py

Every classifier has its own default settings, except that none stops for want of iterations, and comes after
`StandardScaler`. A data set is split four times at random (the largest twice), a quarter for testing, the same splits
for all. "first call" is `fit` and `predict_proba` on the first split, with nothing compiled before; "fit" is the
median over the other splits. SVC gives no probabilities by itself: sigmoids of its decision function are fitted by
cross-validation. On 100,000 rows SVC takes the first 10,000 training rows, and HAMClassifier and MLPClassifier stop
early.
"""

import statistics
import time

import jax
import numpy as np
from common import arguments, write
from sklearn import datasets
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from hopfax.interop.sklearn import HAMClassifier

LARGE, SVC_ROWS, SPLITS = 100_000, 10_000, 4


def data_sets(large: int) -> dict:
    made = lambda rows, **settings: datasets.make_classification(rows, random_state=0, **settings)
    return {
        "wine": datasets.load_wine(return_X_y=True),
        "breast cancer": datasets.load_breast_cancer(return_X_y=True),
        "digits": datasets.load_digits(return_X_y=True),
        "moons": datasets.make_moons(1000, noise=0.3, random_state=0),
        "made, 3 classes": made(2000, n_features=20, n_informative=5, n_classes=3, flip_y=0.05),
        f"made, {large:,} rows": made(large, n_features=40, n_informative=15, n_classes=10, flip_y=0.05),
    }


def classifiers(rows: int, seed: int) -> dict:
    early = {"early_stopping": rows > SVC_ROWS, "random_state": seed}
    return {
        "HAMClassifier": HAMClassifier(**early),
        "MLPClassifier": MLPClassifier(max_iter=1000, **early),
        "SVC": CalibratedClassifierCV(SVC(random_state=seed), ensemble=False),
        "LogisticRegression": LogisticRegression(max_iter=1000),
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.set_defaults(rounds=SPLITS)
    parser.add_argument("--large", type=int, default=LARGE, help="rows of the largest data set")
    options = parser.parse_args()
    jax.config.update("jax_enable_compilation_cache", False)
    config = {"splits": options.rounds, "seeds": list(range(options.rounds)), "svc_rows": SVC_ROWS}
    results = {name: of_data(*data, options.rounds) for name, data in data_sets(options.large).items()}
    write("estimators", {"config": config, "data": results}, options.json)


def of_data(X: np.ndarray, y: np.ndarray, splits: int) -> dict:
    """The rows and features, and for each classifier its means over the splits."""
    runs: dict[str, list[dict[str, float]]] = {}
    for seed in range(splits if len(X) <= SVC_ROWS else 2):
        parts = train_test_split(X, y, test_size=0.25, random_state=seed, stratify=y)
        for name, classifier in classifiers(len(X), seed).items():
            runs.setdefault(name, []).append(of_split(name, classifier, *parts))
            print(len(X), name, runs[name][-1], flush=True)
    summary = {name: summarised(own) for name, own in runs.items()}
    return {"rows": len(X), "features": X.shape[1], "classes": len(np.unique(y)), "classifiers": summary}


def of_split(name: str, classifier, X, X_test, y, y_test) -> dict[str, float]:
    if name == "SVC":
        X, y = X[:SVC_ROWS], y[:SVC_ROWS]
    began = time.perf_counter()
    fitted = make_pipeline(StandardScaler(), classifier).fit(X, y)
    middle = time.perf_counter()
    probabilities = fitted.predict_proba(X_test)
    end = time.perf_counter()
    labels = fitted.classes_[np.argmax(probabilities, axis=1)]
    return {
        "accuracy": float(accuracy_score(y_test, labels)),
        "log loss": float(log_loss(y_test, probabilities, labels=fitted.classes_)),
        "fit": middle - began,
        "predict": end - middle,
    }


def summarised(runs: list[dict[str, float]]) -> dict[str, float]:
    mean = lambda what: statistics.mean(run[what] for run in runs)
    later = lambda what: statistics.median(run[what] for run in runs[1:] or runs)
    return {
        "accuracy": mean("accuracy"),
        "log loss": mean("log loss"),
        "first call, s": runs[0]["fit"] + runs[0]["predict"],
        "fit, s": later("fit"),
        "predict, s": later("predict"),
    }


if __name__ == "__main__":
    main()
