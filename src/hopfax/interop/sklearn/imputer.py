"""A modern Hopfield memory that fills missing values."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ..._internal.compiled import cache_compiled_code
from ...memory.memory import Memory
from ...memory.metric import Mahalanobis
from .memory import FLOATS, check_recall, completed
from .passes import in_chunks


class HopfieldImputer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """An imputer: `fit` stores the complete rows of `X`, `transform` replaces NaN by what they recall.

    With a metric, the default, a row is completed by its neighbours in the known elements: a mixture of Gaussians, or a
    linear regression on them where the calibrated `beta` is low (`hopfax.memory.Mahalanobis`). Without, the known
    elements are clamped and the others relax by `x <- X^T softmax(beta (X x + t))`, as in `hopfax.Memory.recall`: a
    large `beta` takes values from the stored row that is nearest in the known elements, a small one averages over many.
    A row with no known element becomes an average of the stored rows. Distances depend on the scale of the features,
    which should be the same: `StandardScaler` ignores NaN and may come first.

    Args:
        beta, tolerance, max_steps: as for `HopfieldMemory`; a metric needs `beta` only.
        metric: "auto" for `hopfax.memory.Mahalanobis()`, another such object, or None for Euclidean distances.
    Attributes:
        memory_: the `hopfax.Memory` of the complete rows.
        beta_: its inverse temperature.
        n_features_in_, feature_names_in_: as in scikit-learn, of the data in `fit`.
    """

    def __init__(
        self, *, beta: Any = "auto", metric: Any = "auto", tolerance: Any = 1e-5, max_steps: Any = 100
    ):
        self.beta = beta
        self.metric = metric
        self.tolerance = tolerance
        self.max_steps = max_steps

    def fit(self, X, y=None) -> "HopfieldImputer":
        """Store the rows of `X` that have no NaN; the others are left out.

        Raises: `ValueError` for fewer than two complete rows, for infinite values, and as `hopfax.Memory.store`.
        """
        rows = self._validated(X, reset=True, ensure_min_samples=2)
        check_recall(self)
        cache_compiled_code()
        complete = rows[~np.isnan(rows).any(axis=1)]
        if len(complete) < 2:
            raise ValueError(
                f"`X` has {len(complete)} rows without NaN among {len(rows)}; `HopfieldImputer` stores complete rows "
                "and needs two or more. Leave out features that are mostly missing, or use `KNNImputer`."
            )
        self.memory_ = Memory.store(complete, self.beta, metric=self._metric())
        self.beta_ = float(self.memory_.beta)
        return self

    def transform(self, X) -> np.ndarray:
        """`X` with NaN replaced, in the dtype of `X`; all other values are those of `X`."""
        check_is_fitted(self, "memory_")
        rows = self._validated(X, reset=False)
        cache_compiled_code()
        limits = {"tolerance": self.tolerance, "max_steps": self.max_steps}
        return in_chunks(lambda chunk: completed(self.memory_, chunk, **limits), rows)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()  # how scikit-learn combines the tags of a class and its mixins
        tags.input_tags.allow_nan = True
        return tags

    def _metric(self) -> Mahalanobis | None:
        """The metric of the memory. Raises: `ValueError` for an object of another kind."""
        automatic = isinstance(self.metric, str) and self.metric == "auto"
        metric = Mahalanobis() if automatic else self.metric
        if metric is not None and not isinstance(metric, Mahalanobis):
            raise ValueError(
                f'`HopfieldImputer(metric={metric!r})` must be "auto", None or an object, such as `Mahalanobis()`.'
            )
        return metric

    def _validated(self, X, *, reset: bool, ensure_min_samples: int = 1) -> np.ndarray:
        return np.asarray(
            validate_data(
                self,
                X,
                reset=reset,
                dtype=FLOATS,
                ensure_all_finite="allow-nan",
                ensure_min_samples=ensure_min_samples,
            )
        )
