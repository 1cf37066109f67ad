"""Estimators for scikit-learn: a classifier, a regressor, an associative memory, an imputer and clustering."""

from ..._internal.optional import needed

needed("`hopfax.interop.sklearn` needs scikit-learn", "sklearn", "'hopfax[sklearn]'")

from .classifier import HAMClassifier as HAMClassifier  # noqa: E402
from .clustering import HopfieldClustering as HopfieldClustering  # noqa: E402
from .imputer import HopfieldImputer as HopfieldImputer  # noqa: E402
from .memory import HopfieldMemory as HopfieldMemory  # noqa: E402
from .regressor import HAMRegressor as HAMRegressor  # noqa: E402
