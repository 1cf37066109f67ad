"""Estimators for scikit-learn: a classifier and a memory that fit into its pipelines and searches."""

from .classifier import HAMClassifier as HAMClassifier
from .memory import HopfieldMemory as HopfieldMemory
