"""Estimators for scikit-learn: a classifier, a regressor, an associative memory and an imputer."""

from ..._internal.optional import needed

needed("`hopfax.interop.sklearn` needs scikit-learn", "sklearn", "'hopfax[sklearn]'")

from .classifier import HAMClassifier as HAMClassifier  # noqa: E402
from .imputer import HopfieldImputer as HopfieldImputer  # noqa: E402
from .memory import HopfieldMemory as HopfieldMemory  # noqa: E402
from .regressor import HAMRegressor as HAMRegressor  # noqa: E402
