"""A modern Hopfield memory as a scikit-learn transformer."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ..._internal.compiled import cache_compiled_code
from ...memory.memory import Memory, Recall
from .passes import in_chunks

FLOATS = (np.float64, np.float32)


class HopfieldMemory(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """An associative memory: `fit` stores the rows of `X`, `transform` recalls one for each query.

    Recall iterates `x <- X^T softmax(beta (X x + t))` to a fixed point, as `hopfax.Memory` does with Euclidean
    distances. NaN in a query is an unknown element, which takes no part in the comparison with the patterns.
    `HopfieldImputer` fills unknown elements and keeps the others.

    Args:
        beta: the inverse temperature, positive; "auto" calibrates it with `hopfax.memory.calibration`.
        tolerance: a query has converged when its last step is at most `tolerance` times the largest pattern norm.
        max_steps: the largest number of updates of a query.
    Attributes:
        memory_: the `hopfax.Memory`.
        beta_: its inverse temperature.
        n_features_in_, feature_names_in_: as in scikit-learn, of the patterns.
    """

    def __init__(self, *, beta: Any = "auto", tolerance: Any = 1e-5, max_steps: Any = 100):
        self.beta = beta
        self.tolerance = tolerance
        self.max_steps = max_steps

    def fit(self, X, y=None) -> "HopfieldMemory":
        """Store the rows of `X` and forget earlier ones. Raises: `ValueError` as `hopfax.Memory.store`."""
        patterns = np.asarray(validate_data(self, X, dtype=FLOATS, ensure_min_samples=2))
        check_recall(self)
        cache_compiled_code()
        self.memory_ = Memory.store(patterns, self.beta)
        self.beta_ = float(self.memory_.beta)
        return self

    def transform(self, X) -> np.ndarray:
        """The recalled pattern for each row of `X`, in the dtype of `X`.

        A row with NaN is first completed with its known elements clamped. Recall then starts from the completed row,
        with all elements free, as for a row without NaN.
        """
        check_is_fitted(self, "memory_")
        queries = np.asarray(validate_data(self, X, reset=False, dtype=FLOATS, ensure_all_finite="allow-nan"))
        return in_chunks(lambda rows: np.asarray(self._recall(self._completed(rows)).state), queries).astype(
            queries.dtype
        )

    def recall(self, X, known=None) -> Recall:
        """The result of `hopfax.Memory.recall`: which pattern each row recalls, with what weight, in how many steps.

        Args:
            known: a mask of the values to clamp; the other values of `X` may be NaN and are completed.
        """
        check_is_fitted(self, "memory_")
        finite = True if known is None else "allow-nan"
        queries = validate_data(self, X, reset=False, dtype=FLOATS, ensure_all_finite=finite)
        return self._recall(np.asarray(queries), None if known is None else np.asarray(known, bool))

    def _completed(self, X: np.ndarray) -> np.ndarray:
        return completed(self.memory_, X, tolerance=self.tolerance, max_steps=self.max_steps)

    def _recall(self, X: np.ndarray, known=None) -> Recall:
        cache_compiled_code()
        return self.memory_.recall(X, known, tolerance=self.tolerance, max_steps=self.max_steps)


def check_recall(estimator: Any) -> None:
    """Raises: `ValueError` where `beta`, `tolerance` or `max_steps` of the estimator is out of range."""
    name, beta = type(estimator).__name__, estimator.beta
    if isinstance(beta, str) and beta != "auto":
        raise ValueError(f'`{name}(beta={beta!r})` must be "auto" or a positive number.')
    for setting in ("tolerance", "max_steps"):
        if not getattr(estimator, setting) > 0:
            raise ValueError(f"`{name}({setting}={getattr(estimator, setting)!r})` must be positive.")


def completed(memory: Memory, rows: np.ndarray, *, tolerance: float, max_steps: int) -> np.ndarray:
    """`rows` with NaN replaced by what the memory recalls while the other elements are clamped."""
    known = ~np.isnan(rows)
    if known.all():
        return rows
    recalled = memory.recall(rows, known, tolerance=tolerance, max_steps=max_steps).state
    return np.where(known, rows, np.asarray(recalled, rows.dtype))
