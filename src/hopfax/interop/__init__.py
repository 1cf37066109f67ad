"""hopfax in other libraries: Equinox, Flax, scikit-learn, PyTorch, the Hugging Face hub."""

from .layer import EquilibriumLayer as EquilibriumLayer
from .layer import as_function as as_function
