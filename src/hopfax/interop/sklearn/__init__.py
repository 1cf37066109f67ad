"""Estimators for scikit-learn: a classifier and an associative memory for its pipelines and searches."""

from ..._internal.optional import needed

needed("`hopfax.interop.sklearn` needs scikit-learn", "sklearn", "'hopfax[sklearn]'")

from .classifier import HAMClassifier as HAMClassifier  # noqa: E402
from .memory import HopfieldMemory as HopfieldMemory  # noqa: E402
