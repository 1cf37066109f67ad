"""How long a search over HAMClassifiers takes in two processes, without and with the cache of compiled code.

    python benchmarks/search.py

426 rows (three quarters of the breast-cancer data), four shapes of the hidden layers, two learning rates, five folds:
41 fits of 30 passes. Each search is a process of its own, with two workers. "no cache" compiles in every worker,
"first" begins with an empty cache, "second" finds there what the first one compiled.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import arguments, write
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hopfax.interop.sklearn import HAMClassifier

GRID = {
    "hamclassifier__hidden_layers": [(16,), (32,), (64,), (32, 16)],
    "hamclassifier__learning_rate": [0.003, 0.01],
}


def main() -> None:
    parser = arguments(__doc__)
    parser.set_defaults(rounds=1)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(searched(options.epochs)))
        return
    rounds = [measured(options.epochs) for _ in range(options.rounds)]
    config = {"grid": GRID, "epochs": options.epochs, "folds": 5, "workers": 2, "rows": 426}
    write("search", {"config": config, "rounds": rounds}, options.json)


def measured(epochs: int) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory() as folder:
        return {
            "no cache": in_a_process(epochs, JAX_ENABLE_COMPILATION_CACHE="false"),
            "first": in_a_process(epochs, XDG_CACHE_HOME=folder),
            "second": in_a_process(epochs, XDG_CACHE_HOME=folder),
        }


def in_a_process(epochs: int, **variables: str) -> dict[str, float]:
    command = [sys.executable, "-W", "ignore", str(Path(__file__)), "--one", "--epochs", str(epochs)]
    environment = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    done = subprocess.run(command, env={**environment, **variables}, capture_output=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def searched(epochs: int) -> dict[str, float]:
    """Seconds of the search, and the accuracy of its best network on the rows left out."""
    X, X_test, y, y_test = train_test_split(*load_breast_cancer(return_X_y=True), random_state=0)
    pipeline = make_pipeline(StandardScaler(), HAMClassifier(epochs=epochs, random_state=0))
    began = time.perf_counter()
    search = GridSearchCV(pipeline, GRID, cv=5, n_jobs=2).fit(X, y)
    return {"seconds": time.perf_counter() - began, "accuracy": float(search.score(X_test, y_test))}


if __name__ == "__main__":
    main()
